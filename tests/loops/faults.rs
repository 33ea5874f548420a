//! Every call made to fail in every way, and every way to go on from there.

use std::time::Duration;

use irsa_migrate::apply::{Options, Stop, Why, apply};
use irsa_migrate::inventory::{Strategy, WorkloadKind};
use irsa_migrate::journal::{RunId, RunStatus, UnitStatus};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Plan, Unit};
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::rollback::{self, Extent, RollbackError};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Fault, JournalFault, Lag, MemoryJournal, Sim, State};

use crate::cycle::{carry_out, plan_of, status, undo_of};

/// A world with one idea in it.
struct Shape {
    name: &'static str,
    build: fn() -> Builder,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "one ServiceAccount", build: one },
    Shape { name: "a shared role", build: shared },
    Shape { name: "a role in two clusters", build: two_clusters },
    Shape { name: "a DaemonSet that rolls on delete", build: on_delete },
];

fn one() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 2)
}

fn shared() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("shared", &[("shop", "cart"), ("shop", "stock")])
        .service_account("shop", "cart", Some("shared"))
        .service_account("shop", "stock", Some("shared"))
        .deployment("shop", "cart", "cart", 1)
        .workload(WorkloadKind::StatefulSet, "shop", "stock", "stock", 2)
}

fn two_clusters() -> Builder {
    let in_each = |it: Builder| {
        it.role("ship", &[("logs", "ship")])
            .service_account("logs", "ship", Some("ship"))
            .deployment("logs", "ship", "ship", 1)
    };
    in_each(in_each(Builder::new().cluster("blue")).cluster("green"))
}

fn on_delete() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("ship", &[("logs", "ship")])
        .service_account("logs", "ship", Some("ship"))
        .workload_with(WorkloadKind::DaemonSet, "logs", "ship", "ship", 3, |it| it.strategy = Strategy::OnDelete)
}

/// What is done once the fault has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FollowUp {
    Resume,
    Rollback,
    ResumeThenRollback,
}

const FOLLOW_UPS: [FollowUp; 3] = [FollowUp::Resume, FollowUp::Rollback, FollowUp::ResumeThenRollback];

/// A shape, its plan and what a run without faults does with it.
struct Nominal {
    /// The world once it was scanned: every case begins with a copy.
    sim: Sim,
    plan: Plan,
    bytes: Vec<u8>,
    before: State,
    first_call: u64,
    last_call: u64,
}

impl Nominal {
    fn of(shape: &Shape, lag: Lag) -> Self {
        let sim = (shape.build)().sim();
        sim.world().set_lag(lag);
        let before = sim.world().state();
        let plan = plan_of(&sim, "");
        sim.world().watch();
        let first_call = sim.world().history().number_of_calls() + 1;
        let run = sim.fork();
        let ending = carry_out(&run, &run.journal(), &plan).expect("no crash");
        assert_eq!((ending.why, ending.done), (Why::Ended, plan.units.len()), "{}", shape.name);
        let last_call = run.world().history().number_of_calls();
        let bytes = plan.to_bytes().expect("bytes");
        Self { sim, plan, bytes, before, first_call, last_call }
    }
}

/// Carries a plan out again and again, as a person would, until every unit has ended.
fn until_ended(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Result<(), String> {
    for _ in 0..4 {
        match carry_out(sim, journal, plan) {
            Ok(ending) if ending.why == Why::Ended => return Ok(()),
            Ok(_) => {}
            Err(_) => sim.restart(),
        }
    }
    let status = status(sim, journal, plan);
    Err(format!("does not end: {:?}", stuck(&status, plan)))
}

fn stuck(status: &RunStatus, plan: &Plan) -> Vec<String> {
    let line = |it: &Unit| {
        let found = status.unit(&it.id.0, it.steps.len());
        (found != UnitStatus::Done)
            .then(|| format!("{} is {found:?}: {}", it.id, status.detail(&it.id.0).unwrap_or("")))
    };
    plan.units.iter().filter_map(line).collect()
}

/// The attempt that the fault hits, and the end of the fault.
fn attempt(sim: &Sim, journal: &MemoryJournal, bytes: &[u8]) {
    let (options, stop) = (Options { through: None, holder: "first".to_owned() }, Stop::default());
    // It may be refused before a run is opened: nothing was sent then.
    let first = sim.run(async { apply(sim, journal, bytes, &options, &stop, &mut |_| {}).await });
    if first.is_err() {
        sim.restart();
    }
    sim.world().heal();
}

/// One fault and what follows; `Err` says what went wrong.
fn one_case(nominal: &Nominal, inject: impl FnOnce(&Sim, &MemoryJournal), follow_up: FollowUp) -> Result<(), String> {
    let sim = nominal.sim.fork();
    let journal = sim.journal();
    inject(&sim, &journal);
    attempt(&sim, &journal, &nominal.bytes);
    if follow_up != FollowUp::Rollback {
        until_ended(&sim, &journal, &nominal.plan)?;
        let left = stuck(&status(&sim, &journal, &nominal.plan), &nominal.plan);
        if !left.is_empty() {
            return Err(format!("after going on: {left:?}"));
        }
    }
    if follow_up != FollowUp::Resume {
        roll_back(&sim, &journal, nominal)?;
        as_before(&sim, nominal)?;
    }
    unbroken(&sim)
}

/// No promise was broken at any moment.
fn unbroken(sim: &Sim) -> Result<(), String> {
    let world = sim.world();
    let broken: Vec<String> = world
        .violations()
        .iter()
        .map(|it| format!("{} after call {}: {}", it.promise, it.after_call, it.what))
        .collect();
    if broken.is_empty() { Ok(()) } else { Err(format!("broken: {:?}", &broken[..broken.len().min(3)])) }
}

fn as_before(sim: &Sim, nominal: &Nominal) -> Result<(), String> {
    let differences = nominal.before.differences(&sim.world().state());
    if differences.is_empty() { Ok(()) } else { Err(format!("after rolling back: {differences:?}")) }
}

fn roll_back(sim: &Sim, journal: &MemoryJournal, nominal: &Nominal) -> Result<(), String> {
    let digest = Digest::of(&nominal.bytes);
    let run = RunId::of(&digest);
    if sim.run(journal.runs()).expect("time").expect("runs").is_empty() {
        return Ok(());
    }
    let entries = sim.run(journal.entries(&run)).expect("time").expect("entries");
    match rollback::plan(&run, &digest, &nominal.plan, &entries, &Extent::Run) {
        Ok(undo) => until_ended(sim, journal, &undo),
        Err(RollbackError::Nothing) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a loop has tried, and what went wrong.
#[derive(Default)]
struct Tally {
    tried: usize,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, what: impl FnOnce() -> String, outcome: Result<(), String>) {
        self.tried += 1;
        if let Err(why) = outcome {
            self.failures.push(format!("{}: {why}", what()));
        }
    }

    fn judge(self, at_least: usize) {
        let Self { tried, failures } = self;
        assert!(tried >= at_least, "only {tried} cases");
        assert!(failures.is_empty(), "{} of {tried} cases: {:#?}", failures.len(), &failures[..failures.len().min(12)]);
    }
}

/// Every call of a nominal run x every fault x every follow-up.
fn every_fault(shape: &Shape, lag: Lag) {
    let nominal = Nominal::of(shape, lag);
    let mut tally = Tally::default();
    for call in nominal.first_call..=nominal.last_call {
        for fault in Fault::ALL {
            for follow_up in FOLLOW_UPS {
                let outcome = one_case(&nominal, |sim, _| sim.world().fault_at(call, fault), follow_up);
                tally.add(|| format!("call {call} {fault:?} {follow_up:?}"), outcome);
            }
        }
    }
    tally.judge(1000);
}

/// Every entry of a nominal run x every way in which writing it can fail x every follow-up.
fn every_journal_fault(shape: &Shape) {
    let nominal = Nominal::of(shape, Lag::default());
    let run = nominal.sim.fork();
    let journal = run.journal();
    carry_out(&run, &journal, &nominal.plan).expect("no crash");
    let mut tally = Tally::default();
    for append in 1..=journal.appends() {
        for fault in JournalFault::ALL {
            for follow_up in FOLLOW_UPS {
                let outcome = one_case(&nominal, |_, journal| journal.fail_at(append, fault), follow_up);
                tally.add(|| format!("entry {append} {fault:?} {follow_up:?}"), outcome);
            }
        }
    }
    tally.judge(100);
}

/// Every call of a rollback x every fault; then the rollback goes on until it has finished.
fn every_fault_of_a_rollback(shape: &Shape, lag: Lag) {
    let nominal = Nominal::of(shape, lag);
    let done = nominal.sim.fork();
    let journal = done.journal();
    carry_out(&done, &journal, &nominal.plan).expect("no crash");
    let undo = undo_of(&done, &journal, &nominal.plan);
    let first_call = done.world().history().number_of_calls() + 1;
    let mut tally = Tally::default();
    for call in first_call.. {
        let mut hit = false;
        for fault in Fault::ALL {
            // A world's journal is shared by its copies, so that each case carries the plan out anew.
            let sim = nominal.sim.fork();
            let journal = sim.journal();
            carry_out(&sim, &journal, &nominal.plan).expect("no crash");
            sim.world().fault_at(call, fault);
            attempt(&sim, &journal, &undo.to_bytes().expect("bytes"));
            hit |= sim.world().history().calls().any(|it| it.number == call);
            let outcome = until_ended(&sim, &journal, &undo)
                .and_then(|()| as_before(&sim, &nominal))
                .and_then(|()| unbroken(&sim));
            tally.add(|| format!("call {call} of the rollback {fault:?}"), outcome);
        }
        if !hit || call > first_call + 400 {
            break;
        }
    }
    tally.judge(200);
}

#[test]
fn one_service_account() {
    every_fault(&SHAPES[0], Lag::default());
}

#[test]
fn one_service_account_with_lag() {
    every_fault(&SHAPES[0], Lag::of(Duration::from_secs(10)));
}

#[test]
fn a_shared_role() {
    every_fault(&SHAPES[1], Lag::default());
}

#[test]
fn a_role_in_two_clusters() {
    every_fault(&SHAPES[2], Lag::default());
}

#[test]
fn a_daemon_set_on_delete() {
    every_fault(&SHAPES[3], Lag::default());
}

#[test]
fn a_journal_that_fails() {
    every_journal_fault(&SHAPES[0]);
    every_journal_fault(&SHAPES[1]);
}

#[test]
fn a_rollback_that_fails() {
    every_fault_of_a_rollback(&SHAPES[0], Lag::default());
}

#[test]
fn a_rollback_that_fails_with_lag() {
    every_fault_of_a_rollback(&SHAPES[3], Lag::of(Duration::from_secs(10)));
}
