//! What makes a plan the undo of another one.

use super::{Checker, Problem};
use crate::plan::Plan;

/// Everything in an undo that the plan of the run that it undoes does not hold; empty if it only selects from there.
///
/// An undo that is right by itself may still not be the one that was reviewed.
#[must_use]
pub fn check_undo(undo: &Plan, original: &Plan) -> Vec<Problem> {
    let mut checker = Checker { plan: undo, problems: Vec::new() };
    let selected = Plan {
        format: undo.format,
        tool: undo.tool.clone(),
        purpose: undo.purpose.clone(),
        waves: undo.waves.clone(),
        units: undo.units.clone(),
        held: Vec::new(),
        waived: Vec::new(),
        not_promised: undo.not_promised.clone(),
        ..original.clone()
    };
    if *undo != selected {
        checker.say("it is not made with the clusters, rules and numbers of the plan that it undoes");
    }
    for unit in &undo.units {
        let reviewed = original.unit(&unit.id).is_some_and(|it| it.work == unit.work && it.undo == unit.steps);
        checker.expect(unit, reviewed, "its steps are not the undo in the plan that is undone");
    }
    checker.problems
}
