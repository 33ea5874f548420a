//! Trust policies: exact or not at all.
//!
//! ```text
//! text --Document::parse--> Document --read--> Reading { grants, pod_identity, reasons }
//! Document --translate--> Translation { added statements, new document, proof }
//! (before, after) --prove--> equal | narrower | wider | incomparable, with a witness
//! Document --Edit::apply / undo--> the text to send
//! ```
//!
//! A web identity token carries `ISSUER:sub = system:serviceaccount:NAMESPACE:NAME` and
//! `ISSUER:aud`. [`read`] turns every statement that such a token of a scanned cluster
//! can use into rectangles of namespaces and ServiceAccounts. [`translate()`] writes few
//! Pod Identity statements that grant the same set, or holds the policy and says why.
//! [`prove()`] decides whether two sets are the same; it shares no code with the translator.

mod condition;
mod document;
mod edit;
mod glob;
mod grants;
mod group;
mod layout;
mod matching;
mod meaning;
mod operator;
mod pattern;
mod policy;
mod prove;
mod read;
mod reason;
mod region;
mod remarks;
mod remove;
mod request;
mod scope;
mod statement;
mod translate;
mod undo;
mod value;

pub use document::{Document, Invalid, MAX_CHARACTERS};
pub(crate) use edit::with_added;
pub use edit::{AddStatement, Edit, EditError, RemoveStatement, RemoveSubject};
pub use grants::{Carried, Except, Grant, Grants, Place as GrantPlace};
pub use pattern::{MAX_PATTERN, Pattern, PatternError};
pub(crate) use prove::is_inside;
pub use prove::{OverBudget, Proof, Relation, Witness, prove};
pub use read::{Reading, read};
pub use reason::{Code, Place, Reason, Weight};
pub use remove::{remove_statement, remove_subject};
pub use scope::{Provider, Scope, ScopeCluster};
pub use translate::{Mode, Translation, Verdict, translate};
pub use undo::{Presence, Undo, presence, undo, undo_edits};
