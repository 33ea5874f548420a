//! Every call made to fail in every way, and every way to go on from there.

use std::time::Duration;

use irsa_migrate::rehearse::{Case, Stage};
use irsa_migrate::sim::{Fault, Lag};

use crate::cycle::plan_of;
use crate::shapes::{SHAPES, Shape};

fn stage(shape: &Shape, lag: Lag) -> Stage {
    let sim = (shape.build)().sim();
    sim.world().set_lag(lag);
    let plan = plan_of(&sim, "");
    Stage::new(&sim, plan).unwrap_or_else(|why| panic!("{} without faults: {why}", shape.name))
}

/// After so many failures a loop goes no further.
const ENOUGH: usize = 5;

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

    /// Whatever is wrong has shown itself by now.
    fn is_enough(&self) -> bool {
        self.failures.len() >= ENOUGH
    }

    fn judge(self, at_least: usize) {
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

/// Every call of a rollback x every fault; then the rollback goes on until it has finished.
fn every_fault_of_a_rollback(shape: &Shape, lag: Lag) {
    let stage = stage(shape, lag);
    let mut tally = Tally::default();
    for call in 1..400 {
        let tried = tally.tried;
        for fault in Fault::ALL {
            if let Some(outcome) = stage.attempt_rollback(call, fault) {
                tally.add(|| format!("call {call} of the rollback {fault:?}"), outcome);
            }
        }
        if tally.tried == tried || tally.is_enough() {
            break;
        }
    }
    tally.judge(200);
}

fn every_call(shape: &Shape, lag: Lag) {
    let stage = stage(shape, lag);
    every(stage.calls(), &stage, 1000);
}

#[test]
fn one_service_account() {
    every_call(&SHAPES[0], Lag::default());
}

#[test]
fn one_service_account_with_lag() {
    every_call(&SHAPES[0], Lag::of(Duration::from_secs(10)));
}

#[test]
fn a_shared_role() {
    every_call(&SHAPES[1], Lag::default());
}

#[test]
fn a_role_in_two_clusters() {
    every_call(&SHAPES[2], Lag::default());
}

#[test]
fn a_daemon_set_on_delete() {
    every_call(&SHAPES[3], Lag::default());
}

#[test]
fn a_journal_that_fails() {
    for shape in &SHAPES[..2] {
        let stage = stage(shape, Lag::default());
        every(stage.entries(), &stage, 100);
    }
}

#[test]
fn a_rollback_that_fails() {
    every_fault_of_a_rollback(&SHAPES[0], Lag::default());
}

#[test]
fn a_rollback_that_fails_with_lag() {
    every_fault_of_a_rollback(&SHAPES[3], Lag::of(Duration::from_secs(10)));
}
