//! Which edits take access away: a whole statement, or one ServiceAccount's token grant.

use std::ops::Range;

use crate::model::Issuer;
use crate::trust::document::Document;
use crate::trust::edit::{Edit, EditError, RemoveStatement, RemoveSubject, alike, cut_from_list, only_statement};
use crate::trust::glob::SUBJECT_PREFIX;
use crate::trust::operator::Test;
use crate::trust::policy::{Condition, Effect, Statement, Word};

/// The edit that removes a whole statement.
///
/// # Errors
/// There is no such statement, it is the only one, or another means the same.
pub fn remove_statement(document: &Document, position: usize) -> Result<RemoveStatement, EditError> {
    let text = document.statement_text(position).ok_or(EditError::Missing)?;
    if document.statement_count() < 2 {
        return Err(EditError::Empty);
    }
    if alike(document, text)?.len() > 1 {
        return Err(EditError::Alike);
    }
    Ok(RemoveStatement { text: text.to_owned(), position })
}

/// The edits that take one ServiceAccount's token grant away, where it is granted by name.
///
/// A statement that lists others keeps them; one that lists nobody else, or others that
/// another statement grants in the same words, goes as a whole.
///
/// # Errors
/// The ServiceAccount stands in no literal list, no statement would be left, or another
/// statement means the same.
pub fn remove_subject(
    document: &Document,
    issuer: &Issuer,
    namespace: &str,
    service_account: &str,
) -> Result<Vec<Edit>, EditError> {
    let subject = format!("{SUBJECT_PREFIX}{namespace}:{service_account}");
    let key = format!("{}:sub", issuer.as_str().to_ascii_lowercase());
    let mut edits = Vec::new();
    for (position, statement) in document.statements().iter().enumerate() {
        let of_issuer = |word: &Word| names_issuer(word, issuer);
        if !statement.principal.federated.iter().any(of_issuer) {
            continue;
        }
        let Some(condition) = literal_list(statement, &key, &subject) else { continue };
        if condition.values.iter().all(|word| word.text == subject) {
            // Others may come in by the same statement, and it is not for us to send them away.
            if !statement.principal.federated.iter().all(of_issuer) || has_more_principals(statement) {
                return Err(EditError::NotLiteral);
            }
            edits.push(Edit::RemoveStatement(remove_statement(document, position)?));
            continue;
        }
        let before = document.statement_text(position).ok_or(EditError::Missing)?;
        let after = without_value(document, statement, condition, &subject).ok_or(EditError::Malformed)?;
        edits.push(if alike(document, &after)?.is_empty() && alike(document, before)?.len() == 1 {
            Edit::RemoveSubject(RemoveSubject { before: before.to_owned(), after })
        } else {
            Edit::RemoveStatement(remove_statement(document, position)?)
        });
    }
    if edits.is_empty() {
        return Err(EditError::NotLiteral);
    }
    if edits.iter().filter(|edit| matches!(edit, Edit::RemoveStatement(_))).count() >= document.statement_count() {
        return Err(EditError::Empty);
    }
    Ok(edits)
}

fn names_issuer(word: &Word, issuer: &Issuer) -> bool {
    let named = word.text.split_once(":oidc-provider/");
    named.is_some_and(|(_, it)| it.eq_ignore_ascii_case(issuer.as_str()))
}

fn has_more_principals(statement: &Statement) -> bool {
    let principal = &statement.principal;
    [&principal.aws, &principal.service, &principal.canonical].iter().any(|it| !it.is_empty())
}

/// The one condition that lists a subject by name and decides alone about it.
///
/// `IfExists` and `ForAllValues` also let in who has no such claim. A token of the issuer
/// always has it, so that without the name in the list this one is out as well.
fn literal_list<'d>(statement: &'d Statement, key: &str, subject: &str) -> Option<&'d Condition> {
    if statement.effect != Effect::Allow || statement.principal.negated || statement.principal.everyone {
        return None;
    }
    let mut on_subject = statement.conditions.iter().filter(|it| it.key == key);
    let condition = on_subject.next().filter(|it| {
        // A wildcard or a variable, also of another value, may match the subject as well.
        let any = |texts: &[&str]| it.values.iter().any(|word| texts.iter().any(|text| word.text.contains(text)));
        let literal = match it.operator.test {
            Test::StringEquals => !any(&["${"]),
            Test::StringLike => !any(&["${", "*", "?"]),
            Test::StringEqualsIgnoreCase
            | Test::Arn
            | Test::Bool
            | Test::Null
            | Test::Date
            | Test::Numeric
            | Test::Ip
            | Test::Binary => false,
        };
        literal && !it.operator.negated && it.values.iter().any(|word| word.text == subject)
    })?;
    on_subject.next().is_none().then_some(condition)
}

/// The statement's text without one value of a list.
fn without_value(document: &Document, statement: &Statement, condition: &Condition, subject: &str) -> Option<String> {
    let text = document.text();
    let mut kept = text.get(statement.range.clone())?.to_owned();
    let start = statement.range.start;
    let mut ranges: Vec<Range<usize>> = condition.values.iter().map(|word| word.range.clone()).collect();
    // From the back, so that earlier ranges stay true. A range that is gone leaves the list
    // too, and what follows the first value moves up to where the one after it stood.
    for (index, word) in condition.values.iter().enumerate().rev() {
        if word.text != subject {
            continue;
        }
        let cut = cut_from_list(&ranges, index)?;
        kept.replace_range(cut.start.checked_sub(start)?..cut.end.checked_sub(start)?, "");
        ranges.remove(index);
        for later in ranges.iter_mut().skip(index) {
            *later = later.start.checked_sub(cut.len())?..later.end.checked_sub(cut.len())?;
        }
    }
    only_statement(&kept).ok()?;
    Some(kept)
}
