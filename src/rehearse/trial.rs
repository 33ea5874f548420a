//! One unit, carried out again and again with something else going wrong each time.

use super::case::{Disturbance, FollowUp, Stage};
use super::lag;
use super::report::Trial;
use super::shape::{Pair, Shape, reduced_inventory, reduced_plan};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::sim::{Fault, JournalFault, Sim};

/// How many failures are told in words: the first few say enough.
const MOST_TOLD: usize = 10;

/// The stage on which a unit is carried out alone; why there is none, where it does not end well even
/// with nothing going wrong.
fn stage(pair: &Pair<'_>, plan: &Plan, inventory: &Inventory) -> Result<Stage, String> {
    let pairs = std::slice::from_ref(pair);
    let sim = Sim::from_inventory(&reduced_inventory(inventory, plan, pairs));
    sim.world().set_lag(lag(plan));
    Stage::new(&sim, reduced_plan(plan, pairs).ok_or("it has no role")?)
}

/// How many cases there are to try on a unit.
pub(super) fn number_of_cases(pair: &Pair<'_>, plan: &Plan, inventory: &Inventory) -> usize {
    let number = stage(pair, plan, inventory).map(|it| {
        let back = it.calls_of_rollback().unwrap_or(0).saturating_mul(Fault::ALL.len() as u64);
        usize::try_from(it.number_of_cases() + back).unwrap_or(usize::MAX)
    });
    number.unwrap_or(0)
}

/// Tries every call, entry and call of the undo with every fault, on one of the units of a shape.
pub(super) fn tried(
    shape: &Shape,
    units: usize,
    pair: &Pair<'_>,
    plan: &Plan,
    inventory: &Inventory,
    tell: &mut dyn FnMut(usize),
) -> Trial {
    let mut trial = Trial::new(shape.clone(), units, pair.unit.id.clone());
    match stage(pair, plan, inventory) {
        Ok(stage) => {
            forward(&stage, &mut trial, tell);
            back(&stage, &mut trial, tell);
        }
        Err(why) => trial.skipped = Some(why),
    }
    trial
}

fn forward(stage: &Stage, trial: &mut Trial, tell: &mut dyn FnMut(usize)) {
    for case in stage.calls().chain(stage.entries()) {
        let outcome = stage.attempt(case);
        match case.disturbance {
            Disturbance::Call(..) => trial.call_cases += 1,
            Disturbance::Entry(..) => trial.entry_cases += 1,
        }
        note(trial, &case.to_string(), outcome);
        tell(trial.cases());
    }
    trial.calls = trial.call_cases / (Fault::ALL.len() * FollowUp::ALL.len());
    trial.entries = trial.entry_cases / (JournalFault::ALL.len() * FollowUp::ALL.len());
}

fn back(stage: &Stage, trial: &mut Trial, tell: &mut dyn FnMut(usize)) {
    let calls = match stage.calls_of_rollback() {
        Ok(calls) => calls,
        Err(why) => return note(trial, "its undo", Err(why)),
    };
    for call in 1..=calls {
        for fault in Fault::ALL {
            if let Some(outcome) = stage.attempt_rollback(call, fault) {
                trial.undo_cases += 1;
                note(trial, &format!("call {call} of the undo {fault:?}"), outcome);
                tell(trial.cases());
            }
        }
        trial.undo_calls += 1;
    }
}

fn note(trial: &mut Trial, case: &str, outcome: Result<(), String>) {
    let Err(why) = outcome else { return };
    trial.failed += 1;
    if trial.failures.len() < MOST_TOLD {
        trial.failures.push(format!("{} ({}): {case}: {why}", trial.tried_on, trial.shape));
    }
}
