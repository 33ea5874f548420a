//! A journal that somebody else uses at the same moment.

use std::cell::Cell;

use irsa_migrate::journal::{Entry, Event, NewEntry, Run, RunId, Scope};
use irsa_migrate::ports::{JournalError, JournalStore};

use super::*;

/// A journal that another process comes to between two calls.
struct Used<'a> {
    journal: &'a MemoryJournal,
    appends: Cell<u64>,
    /// The number of the append that finds it held, so that nothing is written.
    held_at: Option<u64>,
    /// What another writes to a run as soon as the runs were listed.
    written: Option<(RunId, NewEntry)>,
}

impl JournalStore for Used<'_> {
    async fn open_run(&self, run: &Run) -> Result<(), JournalError> {
        self.journal.open_run(run).await
    }

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        let runs = self.journal.runs().await?;
        if let Some((run, entry)) = &self.written {
            let next = self.journal.entries(run).await?.len() as u64 + 1;
            self.journal.append(run, next, entry).await?;
        }
        Ok(runs)
    }

    async fn run(&self, run: &RunId) -> Result<Run, JournalError> {
        self.journal.run(run).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        self.journal.entries(run).await
    }

    async fn append(&self, run: &RunId, seq: u64, entry: &NewEntry) -> Result<(), JournalError> {
        self.appends.set(self.appends.get() + 1);
        if Some(self.appends.get()) == self.held_at {
            return Err(JournalError::Locked("another process holds it".to_owned()));
        }
        self.journal.append(run, seq, entry).await
    }
}

fn apply_to(sim: &Sim, journal: &Used<'_>, plan: &Plan) -> Ended {
    let (bytes, options) = (plan.to_bytes().unwrap(), Options { through: None, holder: "one".into() });
    sim.run(async { apply::apply(sim, journal, &bytes, &options, &Stop::default(), &mut |_| {}).await }).unwrap()
}

/// Nothing is tried twice: where nobody wrote, there is nothing to take in.
#[test]
fn a_journal_that_another_holds_stops_the_run_at_once() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    for held_at in 1..=8 {
        let sim = start.fork();
        let journal = sim.journal();
        let used = Used { journal: &journal, appends: Cell::new(0), held_at: Some(held_at), written: None };
        let ended = apply_to(&sim, &used, &plan);
        assert!(matches!(&ended, Ok(Ending { why: Why::Locked(_), .. })), "append {held_at}: {ended:?}");
        let entries = crate::cycle::entries(&sim, &journal, &plan);
        assert_eq!((used.appends.get(), entries.len() as u64 + 1), (held_at, held_at));
        let again = one(&sim, &journal, &plan);
        assert!(is_done(&again), "append {held_at}: {again:?}");
    }
}

#[test]
fn a_run_that_another_closes_while_it_is_looked_for_is_not_gone_on_with() {
    let sim = shop();
    let (plan, journal) = (plan_of(&sim, SHORT), sim.journal());
    let (prepared, _) = crate::beside::carry_out_through(&sim, &journal, &plan, Some("prepare"));
    assert!(matches!(prepared, Ok(Ending { why: Why::Through(_), .. })), "{prepared:?}");
    let run = crate::cycle::run_of(&plan);
    let closed = NewEntry { at: sim.now(), scope: Scope::Run, event: Event::Closed, detail: Some("undone".into()) };
    let used = Used { journal: &journal, appends: Cell::new(0), held_at: None, written: Some((run, closed)) };
    let before = sim.world().history().number_of_calls();
    let ended = apply_to(&sim, &used, &plan);
    assert!(matches!(&ended, Ok(Ending { why: Why::Ended, .. })), "{ended:?}");
    assert_eq!((sim.world().history().number_of_calls(), used.appends.get()), (before, 0), "nothing is sent");
}
