//! Write ahead: what is not in the journal is not sent.

use std::cell::RefCell;

use futures::lock::Mutex;
use jiff::Timestamp;

use super::Halt;
use crate::journal::{Event, NewEntry, RunId, RunStatus, Scope, StepStatus, UnitStatus};
use crate::ports::{JournalError, JournalStore};

/// Writes a run's entries in order, and keeps its status beside them.
pub(super) struct Recorder<'a, J> {
    journal: &'a J,
    run: RunId,
    /// The last number that was written. Units run side by side, and their entries queue here.
    last: Mutex<u64>,
    status: RefCell<RunStatus>,
}

impl<'a, J: JournalStore> Recorder<'a, J> {
    pub(super) fn new(journal: &'a J, run: RunId, status: RunStatus) -> Self {
        Self { journal, run, last: Mutex::new(status.last_seq()), status: RefCell::new(status) }
    }

    /// Adds an entry; returns once it is durable.
    pub(super) async fn add(
        &self,
        at: Timestamp,
        scope: Scope,
        event: Event,
        detail: Option<String>,
    ) -> Result<(), Halt> {
        let mut last = self.last.lock().await;
        // First on a copy: an entry that cannot be must not reach the journal.
        let mut next = self.status.borrow().clone();
        next.add(&scope, event, detail.as_deref())?;
        let entry = NewEntry { at, scope, event, detail };
        let mut appended = self.journal.append(&self.run, *last + 1, &entry).await;
        if let Err(JournalError::Locked(_)) = &appended
            && self.absorb(&mut last).await?
        {
            next = self.status.borrow().clone();
            next.add(&entry.scope, entry.event, entry.detail.as_deref())?;
            appended = self.journal.append(&self.run, *last + 1, &entry).await;
        }
        appended?;
        *last += 1;
        *self.status.borrow_mut() = next;
        Ok(())
    }

    /// Takes in what another process wrote: it may ask for a pause and nothing else. `true` if
    /// there was something.
    async fn absorb(&self, last: &mut u64) -> Result<bool, Halt> {
        let entries = self.journal.entries(&self.run).await?;
        let before = *last;
        for entry in entries.iter().filter(|it| it.seq > before) {
            if entry.event != Event::PauseAsked {
                return Err(Halt::Locked(format!("another process writes to run {}", self.run)));
            }
            self.status.borrow_mut().add(&entry.scope, entry.event, entry.detail.as_deref())?;
            *last = entry.seq;
        }
        Ok(*last > before)
    }

    pub(super) fn step(&self, unit: &str, step: usize) -> StepStatus {
        self.status.borrow().step(unit, step)
    }

    pub(super) fn unit(&self, unit: &str, steps: usize) -> UnitStatus {
        self.status.borrow().unit(unit, steps)
    }

    pub(super) fn detail(&self, unit: &str) -> Option<String> {
        self.status.borrow().detail(unit).map(str::to_owned)
    }

    pub(super) fn wave_passed(&self, wave: &str) -> bool {
        self.status.borrow().wave_passed(wave)
    }

    /// Whether somebody asked the run to pause, by an entry that another process wrote.
    pub(super) async fn pause_asked(&self) -> Result<bool, Halt> {
        let mut last = self.last.lock().await;
        self.absorb(&mut last).await?;
        Ok(self.status.borrow().is_pause_asked())
    }

    /// The run that is written to.
    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    /// Whether the run is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.status.borrow().is_closed()
    }

    /// Whether the run was started before.
    pub(super) fn has_started(&self) -> bool {
        self.status.borrow().last_seq() > 0
    }
}
