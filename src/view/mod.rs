//! Values, made readable: as text for a terminal, as Markdown for a pull request, as JSON.
//!
//! A view turns a value into a [`doc::Doc`]; a renderer turns that into bytes and
//! neutralises everything in it. Views compute nothing that anybody acts on.

pub mod doc;
mod finding;
pub mod inventory;
pub mod markdown;
mod names;
pub mod plan;
pub mod progress;
pub mod rehearsal;
pub mod run;
pub mod sanitize;
pub mod text;
mod trust;
mod verified;
pub(crate) mod words;

pub use finding::{explanation, reason_explanation};
pub use names::Names;
pub use trust::{translation, trust_stopped};
pub use verified::verified;
