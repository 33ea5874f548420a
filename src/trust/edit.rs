//! Edits of a policy's text, and their inverses.
//!
//! An edit changes the smallest part of the text and leaves the rest byte for byte, also
//! in a document that somebody else has edited since: statements are found by what they
//! mean, not by where they stand.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Issuer;
use crate::trust::document::Document;
use crate::trust::glob::SUBJECT_PREFIX;
use crate::trust::layout::Layout;
use crate::trust::meaning::StatementMeaning;
use crate::trust::operator::{Set, Test};
use crate::trust::policy::{Condition, Effect, Statement};

/// Adds a statement of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddStatement {
    /// Its Sid, which marks it as ours.
    pub sid: String,
    /// The statement's text, as it stands in the new document.
    pub text: String,
    /// Its place among the statements of the new document, from 0.
    pub position: usize,
}

/// Removes a statement, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveStatement {
    /// The statement's text.
    pub text: String,
    /// Its place among the statements of the old document, from 0.
    pub position: usize,
}

/// Removes one ServiceAccount from a literal list of subjects of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveSubject {
    /// The statement's text before.
    pub before: String,
    /// The statement's text after.
    pub after: String,
    /// Its place among the statements, from 0.
    pub position: usize,
}

/// A change of a policy's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Edit {
    /// Adds a statement of ours.
    AddStatement(AddStatement),
    /// Removes a statement.
    RemoveStatement(RemoveStatement),
    /// Removes a ServiceAccount.
    RemoveSubject(RemoveSubject),
}

/// An edit that does not fit the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// What was to be changed is not there.
    #[error("the statement to be changed is not in the policy")]
    Missing,
    /// Another statement has the Sid.
    #[error("the policy has another statement with the Sid {0}")]
    SidTaken(String),
    /// No statement would be left.
    #[error("the policy would have no statement left")]
    Empty,
    /// The edit's own text is no statement, or has no place in the document.
    #[error("the edit's text is no statement")]
    Malformed,
    /// The ServiceAccount is granted by a wildcard or without its name.
    #[error("the ServiceAccount is not in a literal list of subjects, so that it cannot be removed alone")]
    NotLiteral,
}

/// Whether an edit is made in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Made,
    NotMade,
    /// Somebody has altered the very statement.
    Altered,
}

impl Edit {
    /// The document with the edit made; the same document if it is made already.
    ///
    /// # Errors
    /// The edit does not fit.
    pub fn apply(&self, document: &Document) -> Result<Document, EditError> {
        match self.state(document)? {
            State::Made => return Ok(document.clone()),
            State::Altered => return Err(self.conflict()),
            State::NotMade => {}
        }
        match self {
            Self::AddStatement(add) => insert(document, &add.text, add.position),
            Self::RemoveStatement(remove) => {
                let index = find(document, &remove.text, remove.position)?.ok_or(EditError::Missing)?;
                take_out(document, index)
            }
            Self::RemoveSubject(remove) => replace(document, &remove.before, &remove.after, remove.position),
        }
    }

    /// The document with the edit taken back; the same document if it is not made.
    ///
    /// # Errors
    /// The edit cannot be taken back, for somebody has altered the statement.
    pub fn revert(&self, document: &Document) -> Result<Document, EditError> {
        match self.state(document)? {
            State::NotMade => return Ok(document.clone()),
            State::Altered => return Err(self.conflict()),
            State::Made => {}
        }
        match self {
            Self::AddStatement(add) => {
                let index = find(document, &add.text, add.position)?.ok_or(EditError::Missing)?;
                take_out(document, index)
            }
            Self::RemoveStatement(remove) => insert(document, &remove.text, remove.position),
            Self::RemoveSubject(remove) => replace(document, &remove.after, &remove.before, remove.position),
        }
    }

    pub(crate) fn state(&self, document: &Document) -> Result<State, EditError> {
        let there = |text: &str, position| Ok(find(document, text, position)?.is_some());
        match self {
            Self::AddStatement(add) => match there(&add.text, add.position)? {
                true => Ok(State::Made),
                false if has_sid(document, &add.sid) => Ok(State::Altered),
                false => Ok(State::NotMade),
            },
            Self::RemoveStatement(remove) => match there(&remove.text, remove.position)? {
                true => Ok(State::NotMade),
                false => {
                    let sid = only_statement(&remove.text)?.statements().first().and_then(|it| it.sid.clone());
                    let altered = sid.is_some_and(|sid| has_sid(document, &sid));
                    Ok(if altered { State::Altered } else { State::Made })
                }
            },
            Self::RemoveSubject(remove) => {
                // Another statement may say what is to be left, or what was there: the one
                // at the position decides, and then whether there is anything to remove.
                let before = find(document, &remove.before, remove.position)?;
                let after = find(document, &remove.after, remove.position)?;
                Ok(match (before, after) {
                    (_, Some(at)) if at == remove.position => State::Made,
                    (Some(_), _) => State::NotMade,
                    (None, Some(_)) => State::Made,
                    (None, None) => State::Altered,
                })
            }
        }
    }

    fn conflict(&self) -> EditError {
        match self {
            Self::AddStatement(add) => EditError::SidTaken(add.sid.clone()),
            Self::RemoveStatement(_) | Self::RemoveSubject(_) => EditError::Missing,
        }
    }
}

/// The edit that removes a whole statement.
///
/// # Errors
/// There is no such statement, or it is the only one.
pub fn remove_statement(document: &Document, position: usize) -> Result<RemoveStatement, EditError> {
    let text = document.statement_text(position).ok_or(EditError::Missing)?;
    if document.statement_count() < 2 {
        return Err(EditError::Empty);
    }
    Ok(RemoveStatement { text: text.to_owned(), position })
}

/// The edits that take one ServiceAccount's token grant away, where it is granted by name.
///
/// A statement that lists others keeps them; one that lists nobody else goes as a whole.
///
/// # Errors
/// The ServiceAccount stands in no literal list, or no statement would be left.
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
        let Some(condition) = literal_list(statement, &key, &subject) else { continue };
        let others = condition.values.iter().any(|word| word.text != subject);
        if !others {
            if statement.principal.federated.len() != 1 || !statement.principal.aws.is_empty() {
                return Err(EditError::NotLiteral);
            }
            edits.push(Edit::RemoveStatement(remove_statement(document, position)?));
            continue;
        }
        let before = document.statement_text(position).ok_or(EditError::Missing)?;
        let after = without_value(document, statement, condition, &subject).ok_or(EditError::Malformed)?;
        edits.push(Edit::RemoveSubject(RemoveSubject { before: before.to_owned(), after, position }));
    }
    if edits.is_empty() {
        return Err(EditError::NotLiteral);
    }
    if edits.iter().filter(|edit| matches!(edit, Edit::RemoveStatement(_))).count() >= document.statement_count() {
        return Err(EditError::Empty);
    }
    Ok(edits)
}

/// The one condition that lists a subject by name and decides alone about it.
fn literal_list<'d>(statement: &'d Statement, key: &str, subject: &str) -> Option<&'d Condition> {
    if statement.effect != Effect::Allow || statement.principal.negated || statement.principal.everyone {
        return None;
    }
    let mut on_subject = statement.conditions.iter().filter(|it| it.key == key);
    let condition = on_subject.next().filter(|it| {
        // Under StringLike a wildcard, also of another value, may match the subject as well.
        let literal = it.operator.test == Test::StringEquals
            || (it.operator.test == Test::StringLike && !it.values.iter().any(|word| word.text.contains(['*', '?'])));
        // `IfExists` and `ForAllValues` also let in who has no such claim.
        let asked = !it.operator.if_exists && it.operator.set != Some(Set::All);
        literal && asked && !it.operator.negated && it.values.iter().any(|word| word.text == subject)
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

/// The range to cut so that one element of a list is gone, and its comma.
fn cut_from_list(ranges: &[Range<usize>], index: usize) -> Option<Range<usize>> {
    let own = ranges.get(index)?;
    if let Some(before) = index.checked_sub(1).and_then(|it| ranges.get(it)) {
        return Some(before.end..own.end);
    }
    Some(own.start..ranges.get(index + 1)?.start)
}

/// A text as a document of this one statement.
pub(crate) fn only_statement(text: &str) -> Result<Document, EditError> {
    let document = Document::parse(&format!("{{\"Statement\":[{text}]}}")).map_err(|_| EditError::Malformed)?;
    if document.statement_count() == 1 { Ok(document) } else { Err(EditError::Malformed) }
}

fn has_sid(document: &Document, sid: &str) -> bool {
    document.statements().iter().any(|it| it.sid.as_deref() == Some(sid))
}

/// Where the document has a statement of this meaning; at best at the position given.
fn find(document: &Document, text: &str, position: usize) -> Result<Option<usize>, EditError> {
    let wanted = only_statement(text)?.statements().first().map(StatementMeaning::of).ok_or(EditError::Malformed)?;
    let statements = document.statements();
    let same = |statement: &Statement| StatementMeaning::of(statement) == wanted;
    if statements.get(position).is_some_and(same) {
        return Ok(Some(position));
    }
    Ok(statements.iter().position(same))
}

/// Splices text into the document and reads it again.
fn splice(document: &Document, range: Range<usize>, with: &str) -> Result<Document, EditError> {
    let text = document.text();
    let before = text.get(..range.start).ok_or(EditError::Malformed)?;
    let after = text.get(range.end..).ok_or(EditError::Malformed)?;
    Document::parse(&format!("{before}{with}{after}")).map_err(|_| EditError::Malformed)
}

fn insert(document: &Document, statement: &str, position: usize) -> Result<Document, EditError> {
    only_statement(statement)?;
    insert_text(document, statement, position)
}

/// Splices one statement or several, with commas between them, before a position.
fn insert_text(document: &Document, statement: &str, position: usize) -> Result<Document, EditError> {
    let policy = document.policy();
    let gap = Layout::of(document).gap;
    if !policy.listed {
        let own = document.text().get(policy.range.clone()).ok_or(EditError::Malformed)?;
        let list =
            if position == 0 { format!("[{statement},{gap}{own}]") } else { format!("[{own},{gap}{statement}]") };
        return splice(document, policy.range.clone(), &list);
    }
    if let Some(next) = policy.statements.get(position) {
        return splice(document, next.range.start..next.range.start, &format!("{statement},{gap}"));
    }
    match policy.statements.last() {
        Some(last) => splice(document, last.range.end..last.range.end, &format!(",{gap}{statement}")),
        None => splice(document, policy.range.clone(), &format!("[{statement}]")),
    }
}

/// The document with these statements behind all others, in one go.
pub(crate) fn append(document: &Document, added: &[AddStatement]) -> Result<Document, EditError> {
    let gap = Layout::of(document).gap;
    let texts: Vec<&str> = added.iter().map(|it| it.text.as_str()).collect();
    insert_text(document, &texts.join(&format!(",{gap}")), document.statement_count())
}

fn take_out(document: &Document, index: usize) -> Result<Document, EditError> {
    let policy = document.policy();
    if !policy.listed || policy.statements.len() < 2 {
        return Err(EditError::Empty);
    }
    let ranges: Vec<Range<usize>> = policy.statements.iter().map(|it| it.range.clone()).collect();
    let cut = cut_from_list(&ranges, index).ok_or(EditError::Missing)?;
    splice(document, cut, "")
}

fn replace(document: &Document, old: &str, new: &str, position: usize) -> Result<Document, EditError> {
    only_statement(new)?;
    let index = find(document, old, position)?.ok_or(EditError::Missing)?;
    let range = document.statements().get(index).map(|it| it.range.clone()).ok_or(EditError::Missing)?;
    splice(document, range, new)
}
