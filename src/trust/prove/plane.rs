//! Differences of unions of rectangles, one axis after the other.
//!
//! Of all namespaces only as many are looked at as the patterns can tell apart. For each of
//! them the question is about ServiceAccounts alone, and answered in the same way.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::trust::grants::{Except, Grant};
use crate::trust::pattern::Pattern;
use crate::trust::prove::classes::{Class, Classes, Form};
use crate::trust::prove::{Budget, OverBudget};

/// A namespace and a ServiceAccount in `inside` and not in `beside`.
pub(super) fn outside(
    inside: &[&Grant],
    beside: &[&Grant],
    budget: &mut Budget,
) -> Result<Option<(String, String)>, OverBudget> {
    let mut namespaces = Axis::default();
    let inside = namespaces.index(inside, |it| form(&it.namespace, false), |it| form(&it.namespace, it.ignore_case));
    let beside = namespaces.index(beside, |it| form(&it.namespace, false), |it| form(&it.namespace, it.ignore_case));
    for class in Classes::of(&namespaces.forms, budget)? {
        let inner = active(&inside, &class, budget)?;
        if inner.is_empty() {
            continue;
        }
        let outer = active(&beside, &class, budget)?;
        if let Some(account) = outside_line(&inner, &outer, budget)? {
            return Ok(Some((class.text, account)));
        }
    }
    Ok(None)
}

/// A ServiceAccount in one of `inner` and in none of `outer`.
fn outside_line(inner: &[Active<'_>], outer: &[Active<'_>], budget: &mut Budget) -> Result<Option<String>, OverBudget> {
    if outer.iter().any(|it| it.grant.service_account.is_any() && it.except.is_empty()) {
        return Ok(None);
    }
    let mut accounts = Axis::default();
    let inner: Vec<Line> = inner.iter().map(|it| accounts.line(it)).collect();
    let outer: Vec<Line> = outer.iter().map(|it| accounts.line(it)).collect();
    let by_pattern = |lines: &[Line]| {
        let mut by: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, line) in lines.iter().enumerate() {
            by.entry(line.pattern).or_default().push(index);
        }
        by
    };
    let (inner_by, outer_by) = (by_pattern(&inner), by_pattern(&outer));
    let classes = Classes::of(&accounts.forms, budget)?;
    let mut holds = |lines: &[Line], by: &HashMap<usize, Vec<usize>>, class: &Class| -> Result<bool, OverBudget> {
        for line in class.matching.iter().filter_map(|pattern| by.get(pattern)).flatten() {
            let Some(line) = lines.get(*line) else { continue };
            budget.spend(1 + line.except.len())?;
            if !line.except.iter().any(|except| class.matches(*except)) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    for class in classes {
        if holds(&inner, &inner_by, &class)? && !holds(&outer, &outer_by, &class)? {
            return Ok(Some(class.text));
        }
    }
    Ok(None)
}

/// The distinct patterns along one axis.
#[derive(Default)]
struct Axis<'g> {
    forms: Vec<Form<'g>>,
    ids: HashMap<Form<'g>, usize>,
}

/// A grant with its patterns along one axis, by number.
struct Indexed<'g> {
    grant: &'g Grant,
    except: Vec<usize>,
}

/// The grants by their pattern along one axis.
type Index<'g> = HashMap<usize, Vec<Indexed<'g>>>;

/// A grant, within one class of namespaces, with the exceptions that touch the class.
struct Active<'g> {
    grant: &'g Grant,
    except: Vec<&'g Except>,
}

/// A grant along the axis of ServiceAccounts, by numbers of patterns.
struct Line {
    pattern: usize,
    except: Vec<usize>,
}

impl<'g> Axis<'g> {
    fn id(&mut self, form: Form<'g>) -> usize {
        let next = self.forms.len();
        *self.ids.entry(form).or_insert_with_key(|form| {
            self.forms.push(form.clone());
            next
        })
    }

    fn index(
        &mut self,
        grants: &[&'g Grant],
        of_grant: impl Fn(&'g Grant) -> Form<'g>,
        of_except: impl Fn(&'g Except) -> Form<'g>,
    ) -> Index<'g> {
        let mut index = Index::new();
        for &grant in grants {
            let id = self.id(of_grant(grant));
            let except = grant.except.iter().map(|it| self.id(of_except(it))).collect();
            index.entry(id).or_default().push(Indexed { grant, except });
        }
        index
    }

    fn line(&mut self, active: &Active<'g>) -> Line {
        let pattern = self.id(form(&active.grant.service_account, false));
        let except = active.except.iter().map(|it| self.id(form(&it.service_account, it.ignore_case))).collect();
        Line { pattern, except }
    }
}

fn form(pattern: &Pattern, ignore_case: bool) -> Form<'_> {
    if !ignore_case && let Some(text) = pattern.as_literal() {
        return Form::Text(text);
    }
    if ignore_case {
        let lower = Pattern::parse(&pattern.as_str().to_ascii_lowercase());
        return Form::Glob { pattern: lower.map_or(Cow::Borrowed(pattern), Cow::Owned), ignore_case };
    }
    Form::Glob { pattern: Cow::Borrowed(pattern), ignore_case }
}

/// The grants whose namespaces include a class.
fn active<'g>(index: &Index<'g>, class: &Class, budget: &mut Budget) -> Result<Vec<Active<'g>>, OverBudget> {
    let mut found = Vec::new();
    for indexed in class.matching.iter().filter_map(|id| index.get(id)).flatten() {
        budget.spend(1 + indexed.except.len())?;
        let touching = indexed.grant.except.iter().zip(&indexed.except).filter(|(_, id)| class.matches(**id));
        found.push(Active { grant: indexed.grant, except: touching.map(|(except, _)| except).collect() });
    }
    Ok(found)
}
