//! Taking back our edits from a document that others may have edited since.

use crate::trust::document::Document;
use crate::trust::edit::AddStatement;

/// What to send so that our edits are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nothing of ours is there.
    Nothing,
    /// Nobody else has edited: the original text, byte for byte.
    SendOriginal(String),
    /// Somebody else has edited: the current text without our edits.
    SendEdited(String),
    /// Our own statement was altered; why nothing can be sent.
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
    let _ = (current, added);
    Presence::None
}

/// How to take back the statements that we added.
#[must_use]
pub fn undo(current: &Document, before: &Document, after: &Document, added: &[AddStatement]) -> Undo {
    let _ = (before, after, added);
    Undo::Refuse(current.text().to_owned())
}
