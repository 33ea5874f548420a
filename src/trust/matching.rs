//! Whether a statement is about a kind of request, and for whom its conditions are met.

use crate::trust::condition::{Outcome, judge};
use crate::trust::glob::{Rect, TooComplex};
use crate::trust::grants::Carried;
use crate::trust::pattern::Pattern;
use crate::trust::policy::{Effect, Principal, Statement, Version};
use crate::trust::reason::Code;
use crate::trust::region::{Hole, Region, matches_nobody, meet_all, name_patterns, product, subject_rects};
use crate::trust::request::{PODS_SERVICE, Request, Symbol};
use crate::trust::value::NameGlob;

/// A code at a byte of the text.
pub(crate) type Note = (Code, usize);

/// Yes, no, or we cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tri {
    Yes,
    No,
    Unsure(Code),
}

/// Whether the statement's principals include tokens of a provider.
///
/// A federated principal is an exact ARN; IAM documents no wildcards in it.
pub(crate) fn names_provider(principal: &Principal, provider_arn: &str) -> Tri {
    if principal.negated {
        return Tri::Unsure(Code::NotPrincipal);
    }
    if principal.everyone || principal.federated.iter().any(|word| word.text == provider_arn) {
        return Tri::Yes;
    }
    if principal.federated.iter().any(|word| word.text == "*") {
        return Tri::Unsure(Code::PrincipalWildcard);
    }
    Tri::No
}

/// Whether the statement's principals include EKS Pod Identity.
pub(crate) fn names_pods(principal: &Principal) -> Tri {
    if principal.negated {
        return Tri::Unsure(Code::NotPrincipal);
    }
    if principal.everyone || principal.service.iter().any(|word| word.text == PODS_SERVICE) {
        return Tri::Yes;
    }
    if principal.service.iter().any(|word| word.text == "*" || word.text.eq_ignore_ascii_case(PODS_SERVICE)) {
        return Tri::Unsure(Code::PrincipalWildcard);
    }
    Tri::No
}

/// What the conditions of a statement come to for one kind of request.
pub(crate) enum Met {
    /// Never met.
    Never(Vec<Note>),
    /// Met by the region, for the audiences; not for certain if `unsure` says why.
    By { region: Region, audiences: Vec<usize>, unsure: Vec<Note>, notes: Vec<Note> },
}

/// Solves a statement's conditions for one kind of request.
///
/// `audiences` are those that the provider takes; the answer names them by their index.
pub(crate) fn conditions(statement: &Statement, version: Version, request: Request<'_>, audiences: &[String]) -> Met {
    // Why a Pod Identity statement is not about a cluster is nobody's question, and of many
    // clusters most statements are about one.
    let fails = |it| matches!(judge(it, version, request), Outcome::Fails(_));
    if matches!(request, Request::PodIdentity { .. }) && statement.conditions.iter().any(fails) {
        return Met::Never(Vec::new());
    }
    let mut solver = Solver {
        denies: statement.effect == Effect::Deny,
        region: Region::all(),
        namespaces: vec![Pattern::any()],
        accounts: vec![Pattern::any()],
        audiences: (0..audiences.len()).collect(),
        unsure: Vec::new(),
        notes: Vec::new(),
    };
    let mut never = Vec::new();
    for condition in &statement.conditions {
        let at = condition.range.start;
        match judge(condition, version, request) {
            Outcome::Holds(code) => solver.notes.extend(code.map(|code| (code, at))),
            Outcome::Fails(code) => never.push((code, at)),
            Outcome::Unsure(code) => solver.unsure.push((code, at)),
            Outcome::Carried(carried) => solver.carry(carried),
            Outcome::Names { symbol, negated, globs } => {
                if let Err(TooComplex) = solver.names(symbol, negated, &globs, audiences) {
                    solver.unsure.push((Code::TooComplex, at));
                }
            }
        }
        if condition.again {
            solver.unsure.push((Code::ConditionKeyTwice, at));
        }
    }
    if never.is_empty() { solver.finish() } else { Met::Never(never) }
}

struct Solver {
    denies: bool,
    region: Region,
    namespaces: Vec<Pattern>,
    accounts: Vec<Pattern>,
    audiences: Vec<usize>,
    unsure: Vec<Note>,
    notes: Vec<Note>,
}

impl Solver {
    fn carry(&mut self, carried: Carried) {
        self.region.carried.push(carried);
        self.region.carried.sort();
        self.region.carried.dedup();
    }

    fn names(
        &mut self,
        symbol: Symbol,
        negated: bool,
        globs: &[NameGlob<'_>],
        audiences: &[String],
    ) -> Result<(), TooComplex> {
        match symbol {
            Symbol::Audience => {
                self.audiences.retain(|index| {
                    let Some(audience) = audiences.get(*index) else { return false };
                    globs.iter().any(|glob| glob.takes(audience)) != negated
                });
                Ok(())
            }
            Symbol::Subject => self.subjects(negated, globs),
            Symbol::Namespace | Symbol::ServiceAccount => {
                let patterns = name_patterns(globs)?;
                let of_namespace = symbol == Symbol::Namespace;
                if negated {
                    let ignore_case = globs.iter().any(|glob| glob.ignore_case);
                    self.region.holes.extend(patterns.into_iter().map(|pattern| {
                        let rect = if of_namespace {
                            Rect { ns: pattern, sa: Pattern::any() }
                        } else {
                            Rect { ns: Pattern::any(), sa: pattern }
                        };
                        Hole { rect, ignore_case }
                    }));
                    return Ok(());
                }
                let axis = if of_namespace { &mut self.namespaces } else { &mut self.accounts };
                *axis = meet_all(axis, &patterns)?;
                Ok(())
            }
        }
    }

    fn subjects(&mut self, negated: bool, globs: &[NameGlob<'_>]) -> Result<(), TooComplex> {
        if negated {
            for glob in globs {
                let rects = self.left_out(glob)?;
                let hole = |rect| Hole { rect, ignore_case: glob.ignore_case };
                self.region.holes.extend(rects.into_iter().map(hole));
            }
            return Ok(());
        }
        let mut rects = Vec::with_capacity(globs.len());
        for glob in globs {
            if self.denies {
                rects.extend(self.left_out(glob)?);
                continue;
            }
            let (found, odd) = subject_rects(glob)?;
            self.notes.extend(odd.map(|code| (code, glob.word.range.start)));
            rects.extend(found);
        }
        self.region.restrict(rects)
    }

    /// What a value leaves out. Names that cannot exist stay left out: it costs nothing and takes no chance. Of a
    /// wildcard that is meant literally its author should hear.
    fn left_out(&mut self, glob: &NameGlob<'_>) -> Result<Vec<Rect>, TooComplex> {
        let rects = glob.split()?;
        if rects.iter().any(|it| matches_nobody(&it.ns, &it.sa)) {
            self.notes.push((Code::LiteralWildcard, glob.word.range.start));
        }
        Ok(rects)
    }

    fn finish(mut self) -> Met {
        let any = |patterns: &[Pattern]| matches!(patterns, [only] if only.is_any());
        if !any(&self.namespaces) || !any(&self.accounts) {
            match product(&self.namespaces, &self.accounts) {
                Ok(rects) => self.region.rects = rects,
                Err(TooComplex) => self.unsure.push((Code::TooComplex, 0)),
            }
        }
        Met::By { region: self.region, audiences: self.audiences, unsure: self.unsure, notes: self.notes }
    }
}
