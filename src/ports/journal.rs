//! Where entries are kept.

use crate::journal::{Entry, NewEntry, Run, RunId};

/// A journal that gave no answer. Nothing is sent to the world without its word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process writes to it, or to this run.
    #[error("the journal is in use: {0}")]
    Locked(String),
    /// A run of another plan is open over one of this plan's clusters.
    #[error("run {run} is still open over cluster {cluster}")]
    Open {
        /// The open run.
        run: RunId,
        /// The cluster that both want.
        cluster: String,
    },
    /// No run of that name.
    #[error("there is no run {0}")]
    NoSuchRun(String),
    /// The file or the database is not a journal of ours, or of a newer version.
    #[error("this is not a journal that this version can use: {0}")]
    NotOurs(String),
    /// It cannot be read or written: a full disk, missing rights.
    #[error("the journal cannot be used: {0}")]
    Broken(String),
    /// What it holds is not what was written to it.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
}

/// The journal: runs, each with its plan inside, and their entries. Append-only.
pub trait JournalStore {
    /// Opens a run. The same run again changes nothing: there is one run for each plan digest, ever.
    /// A run is open until an entry of it says `closed`.
    ///
    /// # Errors
    /// `Open` if a run of another plan is open over one of the run's clusters, unless it is the one
    /// that this run reverts.
    async fn open_run(&self, run: &Run) -> Result<(), JournalError>;

    /// All runs, oldest first.
    async fn runs(&self) -> Result<Vec<Run>, JournalError>;

    /// One run.
    async fn run(&self, run: &RunId) -> Result<Run, JournalError>;

    /// All entries of a run, in order.
    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, JournalError>;

    /// Adds one entry, and returns once it is durable. `seq` is the entry's place; that it is taken
    /// already means that somebody else carries out this run (`Locked`).
    async fn append(&self, run: &RunId, seq: u64, entry: &NewEntry) -> Result<(), JournalError>;
}
