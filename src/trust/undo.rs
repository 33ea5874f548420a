//! Taking back our edits from a document that others may have edited since.

use crate::trust::document::Document;
use crate::trust::edit::{AddStatement, Edit, State};

/// What to send so that our edits are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nothing of ours is there.
    Nothing,
    /// Nobody else has edited: the original text, byte for byte.
    SendOriginal(String),
    /// Somebody else has edited: the current text without our edits.
    SendEdited(String),
    /// What we changed was altered, or may have been; why nothing can be sent.
    Refuse(String),
}

/// Which of our statements a document holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All, unaltered.
    All,
    /// None, and their Sids are free.
    None,
    /// Some, unaltered; the others are missing.
    Partly,
    /// One of our Sids marks another statement.
    Altered,
}

/// Which of our statements a document holds.
#[must_use]
pub fn presence(current: &Document, added: &[AddStatement]) -> Presence {
    let mut made = 0;
    for add in added {
        match Edit::AddStatement(add.clone()).state(current, &[]) {
            Ok(State::Made) => made += 1,
            Ok(State::NotMade) => {}
            Ok(State::Altered) | Err(_) => return Presence::Altered,
        }
    }
    match made {
        0 => Presence::None,
        _ if made == added.len() => Presence::All,
        _ => Presence::Partly,
    }
}

/// How to take back the statements that we added.
///
/// `before` and `after` are the documents as they were and as we left them.
#[must_use]
pub fn undo(current: &Document, before: &Document, after: &Document, added: &[AddStatement]) -> Undo {
    let edits: Vec<Edit> = added.iter().cloned().map(Edit::AddStatement).collect();
    undo_edits(current, before, after, &edits)
}

/// How to take back edits of any kind, which led in this order from `before` to `after`.
#[must_use]
pub fn undo_edits(current: &Document, before: &Document, after: &Document, edits: &[Edit]) -> Undo {
    if current.same_meaning(before) {
        return Undo::Nothing;
    }
    if current.same_meaning(after) {
        return Undo::SendOriginal(before.text().to_owned());
    }
    let mut document = current.clone();
    for edit in edits.iter().rev() {
        match edit.revert(&document, &[before, after]) {
            Ok(reverted) => document = reverted,
            Err(error) => return Undo::Refuse(error.to_string()),
        }
    }
    if document == *current { Undo::Nothing } else { Undo::SendEdited(document.text().to_owned()) }
}
