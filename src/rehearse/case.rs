//! One disturbance, and what follows.

use std::collections::BTreeSet;
use std::fmt;

use super::broken::{broken_promises, is_late_webhook};
use super::orders::out_of_order;
use super::promise::Promise;
use super::restored::{Undone, not_restored};
use crate::apply::{ApplyError, Ending, Options, Progress, Stop, Why, apply};
use crate::journal::{RunId, RunStatus, UnitStatus};
use crate::model::Digest;
use crate::plan::{Plan, Unit, Work};
use crate::ports::JournalStore as _;
use crate::rollback::{self, Extent, RollbackError};
use crate::sim::{Fault, JournalFault, MemoryJournal, Sim, State, Stopped};

/// How often a person carries a plan on before giving up.
const TRIES: usize = 4;

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disturbance {
    /// The call with this number fails, counted from the beginning of the world.
    Call(u64, Fault),
    /// Writing the entry with this number fails, counted from the beginning of the journal.
    Entry(u64, JournalFault),
}

/// What is done once something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FollowUp {
    /// What was done is undone.
    Rollback,
    /// The plan is carried on until all of it is done, and then undone.
    ResumeThenRollback,
}

impl FollowUp {
    /// All of them, for loops.
    pub const ALL: [Self; 2] = [Self::Rollback, Self::ResumeThenRollback];
}

/// One disturbance of a run, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// What goes wrong.
    pub disturbance: Disturbance,
    /// What is done then.
    pub follow_up: FollowUp,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.disturbance {
            Disturbance::Call(number, fault) => write!(f, "call {number} {fault:?}, then {:?}", self.follow_up),
            Disturbance::Entry(number, fault) => write!(f, "entry {number} {fault:?}, then {:?}", self.follow_up),
        }
    }
}

/// A world and a plan for it, and what a run without any disturbance does.
#[derive(Debug)]
pub struct Stage {
    sim: Sim,
    plan: Plan,
    bytes: Vec<u8>,
    /// The world and the journal once the plan has been carried out with no disturbance.
    done: (Sim, MemoryJournal),
    first_call: u64,
    last_call: u64,
    /// The calls of the undisturbed run that write.
    writes: BTreeSet<u64>,
    entries: u64,
    /// Units that are refused although nothing goes wrong.
    refused: BTreeSet<String>,
}

impl Stage {
    /// Watches the promises from now on, and carries the plan out once on a copy of the world.
    ///
    /// # Errors
    /// The plan cannot be written down, or its run does not end well although nothing goes wrong.
    pub fn new(sim: &Sim, plan: Plan) -> Result<Self, String> {
        let sim = sim.fork();
        sim.world().watch();
        let bytes = plan.to_bytes().map_err(|error| error.to_string())?;
        let first_call = sim.world().history().number_of_calls() + 1;
        let (writes, refused) = (BTreeSet::new(), BTreeSet::new());
        let run = sim.fork();
        let journal = run.journal();
        let done = (run.clone(), journal.clone());
        let mut stage = Self { sim, plan, bytes, done, first_call, last_call: 0, writes, entries: 0, refused };
        until_ended(&run, &journal, &stage.plan)?;
        let found = status(&run, &journal, &stage.plan)?;
        let is_refused = |it: &&Unit| found.unit(&it.id.0, it.steps.len()) == UnitStatus::Refused;
        stage.refused = stage.plan.units.iter().filter(is_refused).map(|it| it.id.0.clone()).collect();
        stage.all_done(&run, &journal)?;
        stage.last_call = run.world().history().number_of_calls();
        stage.writes = run.world().history().writes().map(|it| it.number).collect();
        stage.entries = journal.appends();
        Ok(stage)
    }

    /// A copy of the world as it is before the plan is carried out, watched.
    #[must_use]
    pub fn world(&self) -> Sim {
        self.sim.fork()
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every call of the plan's run with every fault, and every follow-up.
    pub fn calls(&self) -> impl Iterator<Item = Case> + use<> {
        let disturbances = (self.first_call..=self.last_call)
            .flat_map(|number| Fault::ALL.into_iter().map(move |fault| Disturbance::Call(number, fault)));
        with_follow_ups(disturbances)
    }

    /// Every fault, and every follow-up, at the calls that write and those right beside them, and at every
    /// so many of the others.
    pub fn some_calls(&self, stride: u64) -> impl Iterator<Item = Case> + use<> {
        let near: BTreeSet<u64> = self.writes.iter().flat_map(|it| it - 1..=it + 1).collect();
        self.calls().filter(move |it| match it.disturbance {
            Disturbance::Call(number, _) => near.contains(&number) || number % stride.max(1) == 0,
            Disturbance::Entry(..) => true,
        })
    }

    /// Every entry of the plan's run with every way in which writing it can fail, and every follow-up.
    pub fn entries(&self) -> impl Iterator<Item = Case> + use<> {
        let disturbances = (1..=self.entries)
            .flat_map(|number| JournalFault::ALL.into_iter().map(move |fault| Disturbance::Entry(number, fault)));
        with_follow_ups(disturbances)
    }

    /// How many cases [`calls`](Self::calls) and [`entries`](Self::entries) are.
    #[must_use]
    pub fn number_of_cases(&self) -> u64 {
        let calls = (self.last_call + 1).saturating_sub(self.first_call);
        let of = |faults: usize| u64::try_from(faults * FollowUp::ALL.len()).unwrap_or(u64::MAX);
        calls * of(Fault::ALL.len()) + self.entries * of(JournalFault::ALL.len())
    }

    /// How many calls a rollback of the whole plan makes if nothing goes wrong; 0 where there is nothing to
    /// undo.
    ///
    /// # Errors
    /// There is no undo.
    pub fn calls_of_rollback(&self) -> Result<u64, String> {
        let (done, written) = &self.done;
        let sim = done.fork();
        let journal = written.fork(sim.clone());
        let Some(undo) = self.undo(&sim, &journal)? else { return Ok(0) };
        let before = sim.world().history().number_of_calls();
        first_attempt(&sim, &journal, &undo.to_bytes().map_err(|error| error.to_string())?);
        let calls = sim.world().history().number_of_calls() - before;
        Ok(calls)
    }

    /// Tries one case.
    ///
    /// # Errors
    /// What went wrong: a run that does not end, a world that is not as before, a broken promise.
    pub fn attempt(&self, case: Case) -> Result<(), String> {
        let sim = self.world();
        let journal = sim.journal();
        disturb(&sim, &journal, case.disturbance);
        first_attempt(&sim, &journal, &self.bytes);
        if case.follow_up == FollowUp::ResumeThenRollback {
            let ended = until_ended(&sim, &journal, &self.plan).and_then(|()| self.all_done(&sim, &journal));
            match ended {
                Ok(()) => self.as_undisturbed(&sim).and_then(|()| self.unbroken(&sim, None))?,
                Err(why) if !self.may_pause(&sim, &journal)? => return Err(why),
                Err(_) => {}
            }
        }
        let undo = self.undo(&sim, &journal)?;
        if let Some(undo) = &undo {
            until_undone(&sim, &journal, undo)?;
        }
        self.as_before(&sim, &journal, undo.as_ref())?;
        self.unbroken(&sim, undo.as_ref())
    }

    /// Rolls back what was carried out, with a fault at one call of the rollback (from 1), which
    /// is then run again until it has ended. `None` for a call that the rollback does not make.
    #[must_use]
    pub fn attempt_rollback(&self, call: u64, fault: Fault) -> Option<Result<(), String>> {
        match self.disturbed_rollback(call, fault) {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(why) => Some(Err(why)),
        }
    }

    /// Whether the rollback makes the call.
    fn disturbed_rollback(&self, call: u64, fault: Fault) -> Result<bool, String> {
        let (done, written) = &self.done;
        let sim = done.fork();
        let journal = written.fork(sim.clone());
        let undo = self.undo(&sim, &journal)?.ok_or("there is nothing to undo")?;
        let number = sim.world().history().number_of_calls() + call;
        disturb(&sim, &journal, Disturbance::Call(number, fault));
        first_attempt(&sim, &journal, &undo.to_bytes().map_err(|error| error.to_string())?);
        let hit = sim.world().history().calls().any(|it| it.number == number && it.fault.is_some());
        until_undone(&sim, &journal, &undo)?;
        self.as_before(&sim, &journal, Some(&undo))?;
        self.unbroken(&sim, Some(&undo))?;
        Ok(hit)
    }

    /// The plan that undoes what was done; `None` where there is nothing to undo.
    fn undo(&self, sim: &Sim, journal: &MemoryJournal) -> Result<Option<Plan>, String> {
        let digest = Digest::of(&self.bytes);
        let run = RunId::of(&digest);
        if told(sim.run(journal.runs()))?.is_empty() {
            return Ok(None);
        }
        let entries = told(sim.run(journal.entries(&run)))?;
        match rollback::plan(&run, &digest, &self.plan, &entries, &Extent::Run) {
            Ok(undo) => Ok(Some(undo)),
            Err(RollbackError::Nothing) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Going on has led to where a run without any disturbance leads. Stamps are left out: a restart whose
    /// outcome was open may have taken another of those that the plan says. So are pods where other people
    /// make some, and what only others change.
    ///
    /// # Errors
    /// What is different.
    pub fn as_undisturbed(&self, sim: &Sim) -> Result<(), String> {
        let (done, now) = (self.done.0.world(), sim.world());
        let alone = done.last_foreign_since(&self.sim.world()).is_none();
        let roles: BTreeSet<String> = self.plan.units.iter().filter_map(role_of).collect();
        let compared = |mut state: State| {
            state.trusts.retain(|role, _| roles.contains(role));
            state.stamps.clear();
            state.images.clear();
            if !alone {
                state.modes.clear();
            }
            state
        };
        let other = compared(done.state()).differences(&compared(now.state()));
        if other.is_empty() { Ok(()) } else { Err(format!("after going on, not as undisturbed: {}", other.join("; "))) }
    }

    /// The third promise, after the run of `undo`, or where there was nothing to undo.
    fn as_before(&self, sim: &Sim, journal: &MemoryJournal, undo: Option<&Plan>) -> Result<(), String> {
        let told = match undo {
            Some(plan) => Some((plan, run_of(plan)?, status(sim, journal, plan)?)),
            None => None,
        };
        let undone = told.as_ref().map(|(plan, run, status)| Undone { plan, run, status });
        let broken = not_restored(&self.sim.world(), &sim.world(), undone);
        if broken.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: not as before: {}", Promise::UndoAtAnyPoint, broken.join("; ")))
        }
    }

    /// No promise was broken at any moment, and nothing was sent that neither plan says.
    fn unbroken(&self, sim: &Sim, undo: Option<&Plan>) -> Result<(), String> {
        let run = RunId::of(&Digest::of(&self.bytes));
        let undo = match undo {
            Some(plan) => Some((run_of(plan)?, plan)),
            None => None,
        };
        let plans: Vec<(&RunId, &Plan)> =
            std::iter::once((&run, &self.plan)).chain(undo.as_ref().map(|(run, plan)| (run, *plan))).collect();
        let mut broken = broken_promises(sim, &self.plan);
        let out_of_order = out_of_order(sim.world().history(), &plans);
        broken.extend(out_of_order.iter().map(|it| format!("{}: {it}", Promise::AsReviewed)));
        broken.truncate(3);
        if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
    }

    /// Where a webhook is later than the settle time, a unit may fail for good: as many restarts as were planned
    /// were too few. It says so, and is rolled back.
    fn may_pause(&self, sim: &Sim, journal: &MemoryJournal) -> Result<bool, String> {
        let found = status(sim, journal, &self.plan)?;
        let failed = |it: &Unit| found.unit(&it.id.0, it.steps.len()) == UnitStatus::Failed;
        Ok(is_late_webhook(sim.world().lag(), &self.plan.numbers) && self.plan.units.iter().any(failed))
    }

    fn all_done(&self, sim: &Sim, journal: &MemoryJournal) -> Result<(), String> {
        let found = status(sim, journal, &self.plan)?;
        let expected =
            |it: &Unit| self.refused.contains(&it.id.0) && found.unit(&it.id.0, it.steps.len()) == UnitStatus::Refused;
        let left = stuck(&found, &self.plan, expected);
        if left.is_empty() { Ok(()) } else { Err(format!("after going on: {left:?}")) }
    }
}

fn role_of(unit: &Unit) -> Option<String> {
    match &unit.work {
        Work::Role(work) => Some(work.role_arn.to_string()),
        Work::ServiceAccount(_) => None,
    }
}

fn with_follow_ups(disturbances: impl Iterator<Item = Disturbance>) -> impl Iterator<Item = Case> {
    disturbances.flat_map(|disturbance| FollowUp::ALL.into_iter().map(move |follow_up| Case { disturbance, follow_up }))
}

fn disturb(sim: &Sim, journal: &MemoryJournal, disturbance: Disturbance) {
    match disturbance {
        Disturbance::Call(number, fault) => sim.world().fault_at(number, fault),
        Disturbance::Entry(number, fault) => journal.fail_at(number, fault),
    }
}

/// The answer, or what went wrong in words.
pub(super) fn told<T, E: fmt::Display>(answer: Result<Result<T, E>, Stopped>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The attempt that the fault hits, and the end of the fault.
fn first_attempt(sim: &Sim, journal: &MemoryJournal, bytes: &[u8]) {
    // It may be refused before a run is opened: nothing was sent then.
    if carry_out(sim, journal, bytes, &mut |_| {}).is_err() {
        sim.restart();
    }
    sim.world().heal();
}

/// Carries a plan out as far as it goes at once.
pub(super) fn carry_out(
    sim: &Sim,
    journal: &MemoryJournal,
    bytes: &[u8],
    emit: &mut dyn FnMut(Progress),
) -> Result<Result<Ending, ApplyError>, Stopped> {
    let (options, stop) = (Options { through: None, holder: "rehearsal".to_owned() }, Stop::default());
    sim.run(async { apply(sim, journal, bytes, &options, &stop, emit).await })
}

/// Carries a plan out again and again, as a person would, until every unit has ended.
fn until_ended(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Result<(), String> {
    let bytes = plan.to_bytes().map_err(|error| error.to_string())?;
    for _ in 0..TRIES {
        match carry_out(sim, journal, &bytes, &mut |_| {}) {
            Ok(Ok(ending)) if ending.why == Why::Ended => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => sim.restart(),
        }
    }
    Err(format!("does not end: {:?}", stuck(&status(sim, journal, plan)?, plan, |_| false)))
}

/// Carries the plan of an undo out likewise.
fn until_undone(sim: &Sim, journal: &MemoryJournal, undo: &Plan) -> Result<(), String> {
    until_ended(sim, journal, undo).map_err(|why| format!("{}: the undo {why}", Promise::UndoAtAnyPoint))
}

fn status(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Result<RunStatus, String> {
    let run = run_of(plan)?;
    RunStatus::of(&told(sim.run(journal.entries(&run)))?).map_err(|error| error.to_string())
}

fn run_of(plan: &Plan) -> Result<RunId, String> {
    Ok(RunId::of(&Digest::of(&plan.to_bytes().map_err(|error| error.to_string())?)))
}

fn stuck(status: &RunStatus, plan: &Plan, is_expected: impl Fn(&Unit) -> bool) -> Vec<String> {
    let line = |it: &Unit| {
        let found = status.unit(&it.id.0, it.steps.len());
        (found != UnitStatus::Done && !is_expected(it))
            .then(|| format!("{} is {found:?}: {}", it.id, status.detail(&it.id.0).unwrap_or("")))
    };
    plan.units.iter().filter_map(line).collect()
}
