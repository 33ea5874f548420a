//! The third promise, at rest after a rollback: each field is as before, or as somebody else left
//! it after us; and of what others left, or of what a rollback could not finish, it has told.

use std::time::Duration;

use crate::journal::{RunId, RunStatus, Scope, UnitStatus};
use crate::model::ClusterArn;
use crate::plan::{Plan, Unit, Work};
use crate::sim::{Difference, Field, Happening, World};

use jiff::Timestamp;

/// A rollback that has ended for now.
#[derive(Debug, Clone, Copy)]
pub struct Undone<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// Its run.
    pub run: &'a RunId,
    /// How far that is.
    pub status: &'a RunStatus,
}

/// What a rollback should have brought back and did not, or left without a word. `None` for the
/// rollback where there was nothing to undo.
#[must_use]
pub fn not_restored(before: &World, now: &World, undone: Option<Undone<'_>>) -> Vec<String> {
    let others = now.last_foreign_since(before).is_some();
    let differences = now.differences_since(before).into_iter();
    differences.filter_map(|it| broken(now, &it, undone, others)).collect()
}

fn broken(now: &World, it: &Difference, undone: Option<Undone<'_>>, others: bool) -> Option<String> {
    let unit = undone.and_then(|undone| Some((undone, unit_of(undone.plan, &it.of)?)));
    let Some(theirs) = it.theirs else {
        // Others may keep a rollback from finishing. It says so then, and what it has not undone stays.
        let told = unit.is_some_and(|(undone, unit)| is_left_and_said_why(undone, unit));
        return (!others || !told).then(|| it.line.clone());
    };
    let (undone, unit) = unit.filter(|_| it.of.is_written_by_us())?;
    let told = !detail_of(undone, unit).is_empty();
    let seen = was_there_at_the_end(now, undone, unit, theirs);
    (seen && !told).then(|| format!("{}, by others, and the rollback said nothing of it", it.line))
}

fn detail_of<'a>(undone: Undone<'a>, unit: &Unit) -> &'a str {
    undone.status.detail(&unit.id.0).unwrap_or_default()
}

/// Whether the unit is not undone, and the rollback says what keeps it: itself, or one before it.
fn is_left_and_said_why(undone: Undone<'_>, unit: &Unit) -> bool {
    let is_left = |it: &Unit| undone.status.unit(&it.id.0, it.steps.len()) != UnitStatus::Done;
    is_left(unit) && undone.plan.units.iter().any(|it| is_left(it) && !detail_of(undone, it).is_empty())
}

/// Whether what others wrote could be seen by everybody before the rollback was done with the unit.
fn was_there_at_the_end(now: &World, undone: Undone<'_>, unit: &Unit, theirs: Timestamp) -> bool {
    let is_of_unit = |scope: &Scope| match scope {
        Scope::Step { unit: of, .. } | Scope::Unit(of) => *of == unit.id.0,
        Scope::Run | Scope::Wave(_) => false,
    };
    let all = now.history().all();
    let last = all.iter().rposition(
        |it| matches!(it, Happening::Journaled { run, entry } if run == undone.run && is_of_unit(&entry.scope)),
    );
    // Entries are dated by the writer's clock, which may be wrong; what happens in the world is not.
    let at = last.and_then(|last| {
        all[..last].iter().rev().find_map(|it| match it {
            Happening::Called(record) => Some(record.at),
            Happening::Foreign { at, .. } => Some(*at),
            Happening::Opened { .. } | Happening::Journaled { .. } => None,
        })
    });
    let lag = now.lag().longest() + Duration::from_secs(1);
    at.is_some_and(|at| theirs + lag <= at)
}

/// The unit that a field belongs to.
fn unit_of<'a>(plan: &'a Plan, field: &Field) -> Option<&'a Unit> {
    let has_workload = |unit: &&Unit, cluster: &ClusterArn, at: &crate::inventory::WorkloadRef| match &unit.work {
        Work::ServiceAccount(work) => {
            work.subject.cluster == *cluster && work.workloads.iter().any(|it| it.workload == *at)
        }
        Work::Role(_) => false,
    };
    plan.units.iter().find(|unit| match (field, &unit.work) {
        (Field::Trust(role), Work::Role(work)) => work.role_arn == *role,
        (Field::Association(subject) | Field::Annotation(subject), Work::ServiceAccount(work)) => {
            work.subject == *subject
        }
        (Field::Stamp(cluster, at) | Field::Image(cluster, at) | Field::Modes(cluster, at), _) => {
            has_workload(unit, cluster, at)
        }
        (Field::Trust(_), Work::ServiceAccount(_)) | (Field::Association(_) | Field::Annotation(_), Work::Role(_)) => {
            false
        }
    })
}
