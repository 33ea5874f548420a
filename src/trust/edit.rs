//! Edits of a policy's text, and their inverses.
//!
//! An edit changes the smallest part of the text and leaves the rest byte for byte, also
//! in a document that somebody else has edited since: statements are found by what they
//! mean, not by where they stand. Where a document does not tell whether an edit is made,
//! nothing is changed.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trust::document::{Document, MAX_CHARACTERS};
use crate::trust::layout::Layout;
use crate::trust::meaning::StatementMeaning;
use crate::trust::reason::Code;

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
    /// What was to be changed may be there in another form.
    #[error("a statement was altered: nobody can tell whether it is the one to be changed")]
    Altered,
    /// Two statements mean the same.
    #[error("two statements of the policy mean the same, so that nobody could tell later which of them was changed")]
    Alike,
    /// Another statement has the Sid.
    #[error("the policy has another statement with the Sid {0}")]
    SidTaken(String),
    /// The policy would have more characters than the API takes.
    #[error("it would have more than {MAX_CHARACTERS} characters, which the API does not take")]
    TooLong,
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
    /// Somebody has altered the very statement, or may have.
    Altered,
}

impl Edit {
    /// The document with the edit made; the same document if it is made already.
    ///
    /// # Errors
    /// The edit does not fit. So it is with the removal of a statement without a Sid that is
    /// not there: it may have been removed, or altered.
    pub fn apply(&self, document: &Document) -> Result<Document, EditError> {
        match self.state(document, &[])? {
            State::Made => return Ok(document.clone()),
            State::Altered => return Err(self.conflict()),
            State::NotMade => {}
        }
        match self {
            Self::AddStatement(add) => insert(document, &add.text, add.position),
            Self::RemoveStatement(remove) => take_out(document, &remove.text),
            Self::RemoveSubject(remove) => replace(document, &remove.before, &remove.after),
        }
    }

    /// The document with the edit taken back; the same document if it is not made.
    ///
    /// `known` are the documents as they were and as our edits left them: a statement that is
    /// in none of them is somebody else's, and may be one of ours, altered.
    ///
    /// # Errors
    /// The edit cannot be taken back, for somebody has altered the statement, or may have.
    pub fn revert(&self, document: &Document, known: &[&Document]) -> Result<Document, EditError> {
        match self.state(document, known)? {
            State::NotMade => return Ok(document.clone()),
            State::Altered => return Err(self.conflict()),
            State::Made => {}
        }
        match self {
            Self::AddStatement(add) => take_out(document, &add.text),
            Self::RemoveStatement(remove) => insert(document, &remove.text, remove.position),
            Self::RemoveSubject(remove) => replace(document, &remove.after, &remove.before),
        }
    }

    pub(crate) fn state(&self, document: &Document, known: &[&Document]) -> Result<State, EditError> {
        let count = |text: &str| Ok(alike(document, text)?.len());
        Ok(match self {
            Self::AddStatement(add) => match count(&add.text)? {
                0 if has_sid(document, &add.sid) => State::Altered,
                0 => State::NotMade,
                _ => State::Made,
            },
            Self::RemoveStatement(remove) => match count(&remove.text)? {
                0 if may_be_altered(document, &remove.text, known)? => State::Altered,
                0 => State::Made,
                1 => State::NotMade,
                _ => State::Altered,
            },
            // A removal is made for statements that have no like, so that any other number is
            // somebody else's doing, and which is which cannot be told.
            Self::RemoveSubject(remove) => match (count(&remove.before)?, count(&remove.after)?) {
                (1, 0) => State::NotMade,
                (0, 1) => State::Made,
                _ => State::Altered,
            },
        })
    }

    fn conflict(&self) -> EditError {
        match self {
            Self::AddStatement(add) => EditError::SidTaken(add.sid.clone()),
            Self::RemoveStatement(_) | Self::RemoveSubject(_) => EditError::Altered,
        }
    }
}

/// Whether a statement that is not in the document may be there in another form.
///
/// Its Sid would show it. Without one any statement that is in no known document may be it.
fn may_be_altered(document: &Document, text: &str, known: &[&Document]) -> Result<bool, EditError> {
    let own = only_statement(text)?;
    if let Some(sid) = own.statements().first().and_then(|it| it.sid.as_deref()) {
        return Ok(has_sid(document, sid));
    }
    let known: Vec<_> = known.iter().flat_map(|it| it.statements()).map(StatementMeaning::of).collect();
    Ok(document.statements().iter().any(|it| !known.contains(&StatementMeaning::of(it))))
}

/// A text as a document of this one statement.
pub(crate) fn only_statement(text: &str) -> Result<Document, EditError> {
    let document = Document::parse(&format!("{{\"Statement\":[{text}]}}")).map_err(|_| EditError::Malformed)?;
    if document.statement_count() == 1 { Ok(document) } else { Err(EditError::Malformed) }
}

fn has_sid(document: &Document, sid: &str) -> bool {
    document.statements().iter().any(|it| it.sid.as_deref() == Some(sid))
}

/// Where the document has statements of this meaning.
pub(crate) fn alike(document: &Document, text: &str) -> Result<Vec<usize>, EditError> {
    let wanted = only_statement(text)?.statements().first().map(StatementMeaning::of).ok_or(EditError::Malformed)?;
    let statements = document.statements().iter().enumerate();
    Ok(statements.filter(|(_, it)| StatementMeaning::of(it) == wanted).map(|(index, _)| index).collect())
}

/// Splices text into the document and reads it again.
fn splice(document: &Document, range: Range<usize>, with: &str) -> Result<Document, EditError> {
    let text = document.text();
    let before = text.get(..range.start).ok_or(EditError::Malformed)?;
    let after = text.get(range.end..).ok_or(EditError::Malformed)?;
    let spliced = Document::parse(&format!("{before}{with}{after}"));
    spliced.map_err(|it| if it.code == Code::TooLarge { EditError::TooLong } else { EditError::Malformed })
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

/// The document with these statements of ours, as [`translate`](super::translate()) adds them: behind all others, each in
/// the place that it says.
pub(crate) fn with_added(document: &Document, added: &[AddStatement]) -> Result<Document, EditError> {
    if added.is_empty() {
        return Ok(document.clone());
    }
    let places = document.statement_count()..;
    if !added.iter().zip(places).all(|(it, place)| it.position == place) {
        return Err(EditError::Malformed);
    }
    append(document, added)
}

/// The range to cut so that one element of a list is gone, and its comma.
pub(crate) fn cut_from_list(ranges: &[Range<usize>], index: usize) -> Option<Range<usize>> {
    let own = ranges.get(index)?;
    if let Some(before) = index.checked_sub(1).and_then(|it| ranges.get(it)) {
        return Some(before.end..own.end);
    }
    Some(own.start..ranges.get(index + 1)?.start)
}

fn take_out(document: &Document, statement: &str) -> Result<Document, EditError> {
    let policy = document.policy();
    if !policy.listed || policy.statements.len() < 2 {
        return Err(EditError::Empty);
    }
    let index = alike(document, statement)?.first().copied().ok_or(EditError::Missing)?;
    let ranges: Vec<Range<usize>> = policy.statements.iter().map(|it| it.range.clone()).collect();
    let cut = cut_from_list(&ranges, index).ok_or(EditError::Missing)?;
    splice(document, cut, "")
}

fn replace(document: &Document, old: &str, new: &str) -> Result<Document, EditError> {
    only_statement(new)?;
    let index = alike(document, old)?.first().copied().ok_or(EditError::Missing)?;
    let range = document.statements().get(index).map(|it| it.range.clone()).ok_or(EditError::Missing)?;
    splice(document, range, new)
}
