//! A unit's steps and its undo: those that the planner makes of its work, and no others.

use std::collections::BTreeSet;

use super::Checker;
use crate::model::{ClusterArn, Subject};
use crate::plan::pinned::{Move, PinnedWorkload};
use crate::plan::step::{Condition, Request, RoleWork, Step, SubjectWork, Unit, Work};
use crate::plan::steps::{self, Found, Maker, Steps};
use crate::plan::times::{self, Pace, Times};

impl Checker<'_> {
    pub(super) fn steps(&mut self, unit: &Unit) {
        let made = match &unit.work {
            Work::Role(work) => Some(self.of_role(unit, work)),
            Work::ServiceAccount(work) => self.of_subject(unit, work),
        };
        let Some(made) = made else { return self.say_of(unit, "its cluster is not in the plan") };
        // An undo's steps are what undoes the unit of the plan that is undone, and nothing undoes them.
        let (wanted, wanted_undo) = if self.is_undo() { (made.back, Vec::new()) } else { (made.forth, made.back) };
        if let Some(what) = difference("step", &unit.steps, &wanted) {
            self.say_of(unit, what);
        }
        if let Some(what) = difference("undo step", &unit.undo, &wanted_undo) {
            self.say_of(unit, what);
        }
    }

    fn of_role(&self, unit: &Unit, work: &RoleWork) -> Steps {
        let clusters: Vec<ClusterArn> = self.plan.clusters.iter().map(|it| it.arn.clone()).collect();
        steps::of_role(&self.plan.numbers, work, self.given(unit, work), clusters)
    }

    /// Every ServiceAccount that the plan gives the role to. An undo may carry only some of them, and names
    /// whomever else the plan that is undone gave the role to.
    fn given(&self, unit: &Unit, role: &RoleWork) -> Vec<Subject> {
        let mut given = BTreeSet::new();
        for it in &self.plan.units {
            if let Work::ServiceAccount(work) = &it.work
                && work.role_arn == role.role_arn
            {
                given.insert(work.subject.clone());
            }
        }
        if self.is_undo()
            && let Some(Condition::RoleUnused { subjects, .. }) = unit.steps.first().and_then(|it| it.when.as_ref())
        {
            let is_known = |it: &&Subject| role.grants_before.allows(it) && self.plan.cluster(&it.cluster).is_some();
            given.extend(subjects.iter().filter(is_known).cloned());
        }
        given.into_iter().collect()
    }

    fn of_subject(&self, unit: &Unit, work: &SubjectWork) -> Option<Steps> {
        let plan = self.plan;
        let cluster = plan.cluster(&work.subject.cluster)?;
        // Before the workloads come the switch and its proof.
        let of_workloads = unit.steps.iter().skip(2).map(Some).chain(std::iter::repeat(None));
        let found: Vec<Found> = work.workloads.iter().zip(of_workloads).map(|(it, step)| found(it, step)).collect();
        let maker = Maker {
            numbers: &plan.numbers,
            rules: &plan.rules,
            mark: &steps::mark(&plan.inventory, &plan.settings),
            issuer: &cluster.issuer,
            api_servers: cluster.api_servers,
            work,
            found: &found,
        };
        Some(maker.steps())
    }
}

/// What was found of a workload, which the step that moves it alone tells: whatever it says has to be so there in
/// every other place.
fn found(workload: &PinnedWorkload, step: Option<&Step>) -> Found {
    let Some(step) = step.filter(|_| workload.moves == Move::Roll) else { return Found::default() };
    let times = Times { expected: step.expected_seconds, timeout: step.timeout_seconds };
    match &step.write {
        Some(Request::Restart { before, .. }) => Found { stamp: before.clone(), pace: Pace::of(workload, times) },
        Some(Request::Unrestart { before, .. }) => {
            Found { stamp: before.clone(), pace: Pace::of(workload, times::before_back(times)) }
        }
        _ => Found::default(),
    }
}

/// The first of some steps that is not as the unit's work makes it; `kind` is what one of them is called.
fn difference(kind: &str, steps: &[Step], wanted: &[Step]) -> Option<String> {
    if steps.len() != wanted.len() {
        let (has, needs) = (steps.len(), wanted.len());
        return Some(format!("it has {has} {kind}s, and its work needs {needs}"));
    }
    let differs = |(step, wanted): &(&Step, &Step)| step != wanted;
    let (step, wanted) = steps.iter().zip(wanted).find(differs)?;
    let name = &wanted.name;
    Some(if step.name != *name {
        format!("it has the {kind} {:?} where its work needs {name:?}", step.name)
    } else if step.when != wanted.when {
        format!("its {kind} {name:?} does not wait for what its work needs")
    } else if step.write != wanted.write {
        format!("its {kind} {name:?} does not send what its work needs")
    } else if step.until != wanted.until {
        format!("its {kind} {name:?} does not end with what its work needs")
    } else {
        let times = |it: &Step| format!("{} s, {} s at most", it.expected_seconds, it.timeout_seconds);
        let (has, needs) = (times(step), times(wanted));
        format!("its {kind} {name:?} is said to take {has}, and takes {needs} by the plan's numbers")
    })
}
