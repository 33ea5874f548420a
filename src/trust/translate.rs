//! From IRSA grants to Pod Identity statements.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Subject;
use crate::trust::document::Document;
use crate::trust::edit::AddStatement;
use crate::trust::grants::Grants;
use crate::trust::prove::Proof;
use crate::trust::read::Scope;
use crate::trust::reason::{Code, Reason};

/// How much the new statements grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// The same as IRSA.
    #[default]
    Equivalent,
    /// Only the ServiceAccounts that are named, where IRSA grants them.
    Tight,
    /// Every association of the account: AWS's own unconditioned statement. New access.
    Open,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There are statements to add.
    Translated,
    /// Pod Identity is granted already.
    Already,
    /// IRSA grants nobody anything.
    Nothing,
    /// It cannot be translated exactly; the reasons say why.
    Held,
    /// It is no policy; the reason says where.
    Invalid,
}

/// A policy's translation, with everything that a reviewer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Who may assume the role by IRSA.
    pub grants: Grants,
    /// Who may assume the role before: by IRSA, or by Pod Identity already.
    pub before: Grants,
    /// Who may assume the role by Pod Identity after.
    pub after: Grants,
    /// The statements to add; empty unless translated.
    pub added: Vec<AddStatement>,
    /// The new document; the old one unless translated.
    pub document: Document,
    /// The new document's length as IAM counts it.
    pub characters: usize,
    /// How `after` relates to `before`; absent where it could not be decided.
    pub proof: Option<Proof>,
}

/// Translates a policy.
///
/// `subjects` are the ServiceAccounts that are to move; they matter in tight mode only.
#[must_use]
pub fn translate(document: &Document, scope: &Scope, mode: Mode, subjects: &[Subject]) -> Translation {
    let _ = (scope, mode, subjects);
    Translation {
        verdict: Verdict::Held,
        reasons: vec![Reason { code: Code::TooComplex, message: "not read yet".to_owned(), place: None }],
        grants: Grants::default(),
        before: Grants::default(),
        after: Grants::default(),
        added: Vec::new(),
        document: document.clone(),
        characters: document.characters(),
        proof: None,
    }
}
