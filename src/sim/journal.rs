//! A journal in memory, with the semantics of the one in a file, that can fail on purpose.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::handle::Sim;
use crate::journal::{Entry, Event, NewEntry, Run, RunId, Scope};
use crate::ports::{JournalError, JournalStore};

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JournalFault {
    /// The entry is not written, and the writer is told so.
    Before,
    /// It is durable, and yet the writer is told that it failed.
    After,
    /// The program ends before it is durable.
    CrashBefore,
    /// The program ends once it is durable.
    CrashAfter,
}

impl JournalFault {
    /// Every fault, for loops.
    pub const ALL: [Self; 4] = [Self::Before, Self::After, Self::CrashBefore, Self::CrashAfter];
}

/// A journal in memory. Clones are the same journal; it outlives the program that writes to it.
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    sim: Sim,
    store: Rc<RefCell<Store>>,
}

#[derive(Debug, Clone, Default)]
struct Store {
    runs: Vec<Run>,
    entries: BTreeMap<RunId, Vec<Entry>>,
    appends: u64,
    faults: BTreeMap<u64, JournalFault>,
}

impl MemoryJournal {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim, store: Rc::default() }
    }

    /// A journal of its own that holds what this one holds, for a copy of its world.
    pub(crate) fn fork(&self, sim: Sim) -> Self {
        Self { sim, store: Rc::new(RefCell::new(self.store.borrow().clone())) }
    }

    /// How many entries somebody tried to append.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.store.borrow().appends
    }

    /// Lets the append with this number (from 1, over all runs) fail.
    pub fn fail_at(&self, number: u64, fault: JournalFault) {
        self.store.borrow_mut().faults.insert(number, fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.store.borrow_mut().faults.clear();
    }

    /// Whether an entry closes its run.
    fn is_closed(store: &Store, run: &RunId) -> bool {
        let closes = |it: &Entry| it.scope == Scope::Run && it.event == Event::Closed;
        store.entries.get(run).is_some_and(|it| it.iter().any(closes))
    }
}

impl Store {
    fn run(&self, id: &RunId) -> Result<Run, JournalError> {
        let found = self.runs.iter().find(|it| it.id == *id).ok_or_else(|| JournalError::NoSuchRun(id.to_string()))?;
        Ok(Run { closed: MemoryJournal::is_closed(self, id), ..found.clone() })
    }

    /// Whether the run is new.
    fn open(&mut self, run: &Run) -> Result<bool, JournalError> {
        if let Some(known) = self.runs.iter().find(|it| it.id == run.id) {
            let other = || JournalError::Damaged(format!("run {} is of another plan", run.id));
            return if known.plan_digest == run.plan_digest { Ok(false) } else { Err(other()) };
        }
        if let Some(reverts) = &run.reverts {
            self.run(reverts)?;
        }
        let open = |it: &&Run| !MemoryJournal::is_closed(self, &it.id) && Some(&it.id) != run.reverts.as_ref();
        for other in self.runs.iter().filter(open) {
            if let Some(cluster) = run.clusters.iter().find(|it| other.clusters.contains(it)) {
                return Err(JournalError::Open { run: other.id.clone(), cluster: cluster.to_string() });
            }
        }
        self.runs.push(Run { closed: false, ..run.clone() });
        self.entries.entry(run.id.clone()).or_default();
        Ok(true)
    }

    fn append(&mut self, run: &RunId, seq: u64, entry: &NewEntry) -> Result<(), JournalError> {
        let entries = self.entries.get_mut(run).ok_or_else(|| JournalError::NoSuchRun(run.to_string()))?;
        let next = entries.len() as u64 + 1;
        if seq < next {
            return Err(JournalError::Locked(format!("entry {seq} of run {run} is there already")));
        }
        if seq > next {
            return Err(JournalError::Broken(format!("an entry is missing before entry {seq} of run {run}")));
        }
        let NewEntry { at, scope, event, detail } = entry.clone();
        entries.push(Entry { seq, at, scope, event, detail });
        Ok(())
    }
}

impl JournalStore for MemoryJournal {
    async fn open_run(&self, run: &Run) -> Result<(), JournalError> {
        let is_new = self.store.borrow_mut().open(run)?;
        if is_new {
            self.sim.world().opened(run);
        }
        Ok(())
    }

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        let store = self.store.borrow();
        store.runs.iter().map(|it| store.run(&it.id)).collect()
    }

    async fn run(&self, run: &RunId) -> Result<Run, JournalError> {
        self.store.borrow().run(run)
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        let store = self.store.borrow();
        store.entries.get(run).cloned().ok_or_else(|| JournalError::NoSuchRun(run.to_string()))
    }

    async fn append(&self, run: &RunId, seq: u64, entry: &NewEntry) -> Result<(), JournalError> {
        self.sim.unless_crashed().await;
        let fault = {
            let mut store = self.store.borrow_mut();
            store.appends += 1;
            let number = store.appends;
            store.faults.get(&number).copied()
        };
        let full = || Err(JournalError::Broken("database or disk is full".into()));
        match fault {
            Some(JournalFault::Before) => return full(),
            Some(JournalFault::CrashBefore) => {
                self.sim.world().crashed = true;
                self.sim.unless_crashed().await;
            }
            Some(JournalFault::After | JournalFault::CrashAfter) | None => {}
        }
        self.store.borrow_mut().append(run, seq, entry)?;
        self.sim.world().journaled(run, entry);
        match fault {
            Some(JournalFault::After) => return full(),
            Some(JournalFault::CrashAfter) => {
                self.sim.world().crashed = true;
                self.sim.unless_crashed().await;
            }
            Some(JournalFault::Before | JournalFault::CrashBefore) | None => {}
        }
        Ok(())
    }
}
