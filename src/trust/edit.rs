//! Edits of a policy's text, and their inverses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Issuer;
use crate::trust::document::Document;

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

/// Removes one ServiceAccount from a literal list of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveSubject {
    /// The issuer whose `sub` key holds the list.
    pub issuer: Issuer,
    /// The statement's text before.
    pub before: String,
    /// The statement's text after.
    pub after: String,
    /// The value of the `sub` claim.
    pub subject: String,
    /// The statement's place among the statements, from 0.
    pub position: usize,
}

/// A change of a policy's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
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
    /// Another statement has our Sid.
    #[error("the policy has another statement with the Sid {0}")]
    SidTaken(String),
    /// No statement would be left.
    #[error("the policy would have no statement left")]
    Empty,
    /// The edit's own text is no statement.
    #[error("the edit's text is no statement")]
    Malformed,
}

impl Edit {
    /// The document with the edit made; the same document if it is made already.
    ///
    /// # Errors
    /// The edit does not fit.
    pub fn apply(&self, document: &Document) -> Result<Document, EditError> {
        let _ = document;
        Err(EditError::Missing)
    }
}
