//! What happened: runs, entries, and status as a fold of entries.
//!
//! An entry is one thing that happened to a run, a wave, a unit or a step. Entries
//! are only ever added, and no status is stored anywhere: it is computed from
//! them, so that it cannot go stale. A sequence of entries that cannot have
//! happened is an error, not a guess.

mod entry;
mod status;

pub use entry::{Entry, Event, NewEntry, Run, RunId, Scope};
pub use status::{IllegalEntry, RunStatus, StepStatus, UnitStatus};
