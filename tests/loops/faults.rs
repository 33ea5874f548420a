//! Every call made to fail in every way, and every way to go on from there: shape by shape, with
//! nobody late, with everybody late by less than is waited for, and by more.

use std::time::Duration;

use irsa_migrate::rehearse::{Case, Stage};
use irsa_migrate::sim::{Fault, Lag};

use crate::cycle::plan_of;
use crate::shapes::{self, Shape};

/// Of the calls that neither write nor stand beside one that does, every so many is made to fail, unless
/// `LOOPS=all` asks for each: they are many, alike, and followed by the same code.
const STRIDE: u64 = 11;

fn stride(times: u64) -> u64 {
    if std::env::var("LOOPS").is_ok_and(|it| it == "all") { 1 } else { STRIDE * times }
}

/// Nobody is late.
fn at_once() -> Lag {
    Lag::default()
}

/// Everybody is late, by less than the settle times.
fn late() -> Lag {
    Lag::of(Duration::from_secs(12))
}

/// Everybody is later than what is waited for: 60 s for trust policies and 30 s for associations.
fn too_late() -> Lag {
    Lag::of(Duration::from_secs(75))
}

pub(crate) fn stage(shape: &Shape, lag: Lag) -> Stage {
    let sim = (shape.build)().sim();
    let plan = plan_of(&sim, shape.settings);
    (shape.after_plan)(&sim);
    sim.world().set_lag(lag);
    Stage::new(&sim, plan).unwrap_or_else(|why| panic!("{} without faults: {why}", shape.name))
}

/// After so many failures a loop goes no further.
const ENOUGH: usize = 5;

/// What a loop has tried, and what went wrong.
#[derive(Default)]
pub(crate) struct Tally {
    tried: usize,
    failures: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, what: impl FnOnce() -> String, outcome: Result<(), String>) {
        self.tried += 1;
        if let Err(why) = outcome {
            self.failures.push(format!("{}: {why}", what()));
        }
    }

    /// Whatever is wrong has shown itself by now.
    pub(crate) fn is_enough(&self) -> bool {
        self.failures.len() >= ENOUGH
    }

    pub(crate) fn judge(self, at_least: usize) {
        let Self { tried, failures } = self;
        let failed = failures.len();
        assert!(failed == 0, "{failed} of {tried} cases, and no more were tried:\n{}", failures.join("\n"));
        assert!(tried >= at_least, "only {tried} cases");
    }
}

fn every(cases: impl Iterator<Item = Case>, stage: &Stage, at_least: usize) {
    let mut tally = Tally::default();
    for case in cases {
        tally.add(|| case.to_string(), stage.attempt(case));
        if tally.is_enough() {
            break;
        }
    }
    tally.judge(at_least);
}

/// Calls of a run x every fault x every follow-up.
fn of_a_run(shape: &Shape, lag: Lag, stride: u64) {
    let stage = stage(shape, lag);
    every(stage.some_calls(stride), &stage, 100);
}

/// Calls of a rollback x every fault; then the rollback goes on until it has finished. Every call is lost before it arrives; other faults are taken at some.
fn of_a_rollback(shape: &Shape, lag: Lag) {
    let stage = stage(shape, lag);
    let mut tally = Tally::default();
    for call in 1.. {
        // A call that the rollback does not make is its end.
        let Some(outcome) = stage.attempt_rollback(call, Fault::ALL[0]) else { break };
        tally.add(|| format!("call {call} of the rollback {:?}", Fault::ALL[0]), outcome);
        if tally.is_enough() {
            break;
        }
        for fault in Fault::ALL.into_iter().skip(1).filter(|_| call % stride(1).min(5) == 0) {
            let outcome = stage.attempt_rollback(call, fault).unwrap_or_else(|| Err("the call was not made".into()));
            tally.add(|| format!("call {call} of the rollback {fault:?}"), outcome);
        }
    }
    tally.judge(60);
}

macro_rules! loops {
    ($($name:ident: $shape:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn at_once() {
                of_a_run(&shapes::$shape, super::at_once(), stride(1));
            }

            #[test]
            fn late() {
                of_a_run(&shapes::$shape, super::late(), stride(4));
            }

            #[test]
            fn too_late() {
                of_a_run(&shapes::$shape, super::too_late(), stride(8));
            }

            #[test]
            fn back() {
                of_a_rollback(&shapes::$shape, super::late());
            }
        }
    )*};
}

loops! {
    one_service_account: ONE,
    a_shared_role: SHARED,
    a_role_in_two_clusters: TWO_CLUSTERS,
    a_stateful_set_with_a_budget: BUDGET,
    a_daemon_set_on_delete: ON_DELETE,
    stragglers: STRAGGLERS,
    a_bare_pod: BARE_POD,
    a_cron_job: CRON_JOB,
    a_wildcard_trust: WILDCARD,
    an_adopted_association: ADOPTED,
    three_waves: THREE_WAVES,
    an_autoscaler: AUTOSCALED,
    one_unit_refused: ONE_REFUSED,
    pods_that_need_credentials: NEEDS_CREDENTIALS,
    a_prepared_role: PREPARED,
}

#[test]
fn a_journal_that_fails() {
    for shape in [&shapes::ONE, &shapes::SHARED] {
        let stage = stage(shape, at_once());
        every(stage.entries(), &stage, 100);
    }
}
