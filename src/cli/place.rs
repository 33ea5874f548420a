//! Where the journal is, and the runs in it.

use std::path::{Path, PathBuf};

use super::error::CommandError;
use super::exit::Exit;
use super::file::{PlanFile, plan_of};
use super::out::Printer;
use crate::journal::{Entry, Run, RunId, RunStatus};
use crate::live::SqliteJournal;
use crate::ports::JournalStore;
use crate::view::run::Seen;

/// Which journal.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The journal's file; without it, irsa-migrate/journal.db in the user's state directory
    #[arg(long, value_name = "PATH", env = "IRSA_MIGRATE_JOURNAL")]
    journal: Option<PathBuf>,
}

impl Place {
    /// The journal's path. A directory that may be emptied at any time is no place for the only
    /// record of what has to be undone, unless somebody names it.
    fn path(&self, printer: Printer) -> Result<PathBuf, CommandError> {
        if let Some(path) = &self.journal {
            if let Some(temporary) = temporary(path) {
                let shown = temporary.display();
                printer.say(&format!("Warning: the journal is in {shown}, which may be emptied at any time."));
            }
            return Ok(path.clone());
        }
        let path = state_directory()?.join("irsa-migrate").join("journal.db");
        match temporary(&path) {
            None => Ok(path),
            Some(temporary) => {
                let message =
                    format!("the journal would be in {}, which may be emptied at any time", temporary.display());
                Err(CommandError::usage(message)
                    .hint("name its file with --journal; it is the only record of what to undo"))
            }
        }
    }

    /// Opens the journal, and makes it if there is none; says where it is.
    pub(crate) async fn make(&self, printer: Printer) -> Result<SqliteJournal, CommandError> {
        let path = self.path(printer)?;
        printer.say(&format!("Journal: {}", path.display()));
        Ok(SqliteJournal::open(&path).await?)
    }

    /// Opens the journal, which must be there.
    pub(crate) async fn open(&self, printer: Printer) -> Result<SqliteJournal, CommandError> {
        let path = self.path(printer)?;
        if !path.exists() {
            let message = format!("there is no journal at {}", path.display());
            return Err(CommandError::usage(message).hint("`apply` makes it; --journal names another"));
        }
        Ok(SqliteJournal::open(&path).await?)
    }
}

/// `$XDG_STATE_HOME`, else `~/.local/state`, as the XDG base directory specification has it; a
/// relative path there counts as none.
fn state_directory() -> Result<PathBuf, CommandError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|it| it.join(".local/state"))).ok_or_else(|| {
        CommandError::usage("neither XDG_STATE_HOME nor HOME is set, so there is no place for the journal")
            .hint("name its file with --journal")
    })
}

/// The temporary directory that a path is in, if it is in one.
fn temporary(path: &Path) -> Option<PathBuf> {
    let known = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/private/tmp"].map(PathBuf::from);
    known.into_iter().chain([std::env::temp_dir()]).find(|it| path.starts_with(it))
}

/// A run with its plan and its entries.
pub(crate) struct Found {
    pub(crate) run: Run,
    pub(crate) file: PlanFile,
    pub(crate) entries: Vec<Entry>,
    /// The run that undoes it and is not closed, if there is one.
    pub(crate) undone_by: Option<Run>,
}

impl Found {
    pub(crate) fn seen(self) -> Result<Seen, CommandError> {
        let status = RunStatus::of(&self.entries)?;
        let undone_by = self.undone_by.map(|it| it.id.to_string());
        Ok(Seen { run: self.run, plan: self.file.plan, status, undone_by })
    }
}

/// The run that is meant by its name or the beginning of it.
pub(crate) async fn find(journal: &impl JournalStore, name: &str) -> Result<Found, CommandError> {
    let runs = journal.runs().await?;
    let wanted = name.to_ascii_lowercase();
    let meant: Vec<&Run> = runs.iter().filter(|it| !wanted.is_empty() && it.id.as_str().starts_with(&wanted)).collect();
    match meant.as_slice() {
        [] => Err(CommandError::usage(format!("there is no run {name:?} in this journal"))
            .hint("`irsa-migrate status` lists its runs; --journal names another")),
        [run] => load(journal, (*run).clone(), &runs).await,
        several => {
            let names: Vec<&str> = several.iter().map(|it| it.id.as_str()).collect();
            let message = format!("{name:?} is the beginning of several runs: {}", names.join(", "));
            Err(CommandError::usage(message).hint("give more of its name"))
        }
    }
}

/// All runs, oldest first.
pub(crate) async fn all(journal: &impl JournalStore) -> Result<Vec<Found>, CommandError> {
    let runs = journal.runs().await?;
    let mut all = Vec::new();
    for run in &runs {
        all.push(load(journal, run.clone(), &runs).await?);
    }
    Ok(all)
}

async fn load(journal: &impl JournalStore, run: Run, runs: &[Run]) -> Result<Found, CommandError> {
    let file = plan_of(run.plan.clone().into_bytes()).map_err(|error| CommandError {
        exit: Exit::Usage,
        message: format!("the plan of run {}: {}", run.id, error.message),
        hints: error.hints,
    })?;
    let entries = journal.entries(&run.id).await?;
    let undone_by = runs.iter().find(|it| !it.closed && it.reverts.as_ref() == Some(&run.id)).cloned();
    Ok(Found { run, file, entries, undone_by })
}

/// Whether a word may be the name of a run rather than of a file.
pub(crate) fn may_be_run(word: &Path) -> bool {
    let hex = |it: &str| (4..=12).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_hexdigit());
    !word.exists() && word.to_str().is_some_and(hex)
}

/// Whether this run is closed.
pub(crate) fn is_closed(found: &Found) -> Result<bool, CommandError> {
    Ok(found.run.closed || RunStatus::of(&found.entries)?.is_closed())
}

/// The name of a run.
pub(crate) fn id(found: &Found) -> &RunId {
    &found.run.id
}
