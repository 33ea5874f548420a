//! From a plan and its entries to the plan that undoes them.
//!
//! A rollback only selects undo steps that the original plan already holds, so
//! that they were reviewed with it. What never started is left out; what is in
//! doubt is undone, for it may have happened; what others did is left alone.

use crate::journal::RunId;
use crate::journal::{Entry, IllegalEntry, RunStatus, StepStatus, UnitStatus};
use crate::model::{Digest, Kind};
use crate::plan::{Plan, Purpose, Unit, UnitId, Wave, Work};

/// What of a run is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Run,
    /// The units of one wave.
    Wave(String),
    /// One unit.
    Unit(UnitId),
}

impl Extent {
    /// Whether a unit of the run's plan is to be undone.
    #[must_use]
    pub fn holds(&self, original: &Plan, unit: &UnitId) -> bool {
        match self {
            Self::Run => true,
            Self::Wave(name) => original.wave_of(unit).is_some_and(|it| it.name == *name),
            Self::Unit(id) => id == unit,
        }
    }
}

/// A rollback that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The journal holds what cannot have happened.
    #[error(transparent)]
    Illegal(#[from] IllegalEntry),
    /// The run's plan has no such wave.
    #[error("the run has no wave {0:?}")]
    NoSuchWave(String),
    /// The run's plan has no such unit.
    #[error("the run has no unit {0}")]
    NoSuchUnit(UnitId),
    /// The run is a rollback itself.
    #[error("run {0} is a rollback: to move forward again, make a new plan")]
    IsRollback(RunId),
    /// The unit is needed by others that are not undone.
    #[error("{unit} is still needed by {by}: undo that first, or undo the whole run")]
    StillNeeded {
        /// The unit.
        unit: UnitId,
        /// One that needs it.
        by: UnitId,
    },
    /// Something of ours is in the world, and the run's plan does not say how it comes out again.
    #[error("{0} was started, and the run's plan holds no undo for it: it has to be undone by hand")]
    NoUndo(UnitId),
    /// Nothing of it was ever started, or all of it is undone.
    #[error("there is nothing to undo")]
    Nothing,
}

/// Plans the undo of a run, or of a part of it. Pure.
///
/// The waves come in reverse; a role is put back once no ServiceAccount unit of the run needs it.
///
/// # Errors
/// See [`RollbackError`].
pub fn plan(
    run: &RunId,
    digest: &Digest,
    original: &Plan,
    entries: &[Entry],
    extent: &Extent,
) -> Result<Plan, RollbackError> {
    if original.purpose != Purpose::Migrate {
        return Err(RollbackError::IsRollback(run.clone()));
    }
    let status = RunStatus::of(entries)?;
    check_extent(original, extent)?;
    let touched = |unit: &&Unit| is_touched(&status, unit);
    let selected: Vec<&Unit> =
        original.units.iter().filter(|unit| extent.holds(original, &unit.id)).filter(touched).collect();
    let chosen = |id: &UnitId| selected.iter().any(|it| it.id == *id);
    for unit in &selected {
        let user = original.units.iter().find(|it| it.needs.contains(&unit.id) && touched(it) && !chosen(&it.id));
        if let Some(by) = user {
            return Err(RollbackError::StillNeeded { unit: unit.id.clone(), by: by.id.clone() });
        }
    }
    if let Some(unit) = selected.iter().find(|it| it.undo.is_empty()) {
        return Err(RollbackError::NoUndo(unit.id.clone()));
    }
    if selected.is_empty() {
        return Err(RollbackError::Nothing);
    }
    let (waves, units) = reversed(original, &selected);
    Ok(Plan {
        format: Kind::Plan.current(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        purpose: Purpose::Undo { run: run.clone(), plan: digest.clone(), whole: *extent == Extent::Run },
        waves,
        units,
        held: Vec::new(),
        waived: Vec::new(),
        not_promised: vec![
            "From the deletion of an association until a pod is replaced, that pod may get no fresh credentials."
                .to_owned(),
            "What others changed since is left as it is, and is reported.".to_owned(),
        ],
        ..original.clone()
    })
}

fn check_extent(original: &Plan, extent: &Extent) -> Result<(), RollbackError> {
    match extent {
        Extent::Run => Ok(()),
        Extent::Wave(name) if original.waves.iter().any(|it| it.name == *name) => Ok(()),
        Extent::Wave(name) => Err(RollbackError::NoSuchWave(name.clone())),
        Extent::Unit(id) if original.unit(id).is_some() => Ok(()),
        Extent::Unit(id) => Err(RollbackError::NoSuchUnit(id.clone())),
    }
}

/// Whether anything of ours may be in the world because of this unit.
fn is_touched(status: &RunStatus, unit: &Unit) -> bool {
    let undone = status.unit(&unit.id.0, unit.steps.len()) == UnitStatus::Undone;
    // Only a step that sends something leaves anything behind.
    let sent = unit.steps.iter().enumerate().filter(|(_, step)| step.write.is_some());
    let ours = sent.map(|(index, _)| status.step(&unit.id.0, index)).any(StepStatus::may_be_ours);
    !undone && ours
}

/// The selected units with their undo as steps, last wave first.
fn reversed(original: &Plan, selected: &[&Unit]) -> (Vec<Wave>, Vec<Unit>) {
    let (mut waves, mut units) = (Vec::new(), Vec::new());
    for wave in original.waves.iter().rev() {
        let of_wave: Vec<Unit> =
            selected.iter().filter(|it| wave.units.contains(&it.id)).map(|it| undo_of(it, selected)).collect();
        if !of_wave.is_empty() {
            waves.push(Wave {
                name: format!("undo-{}", wave.name),
                units: of_wave.iter().map(|it| it.id.clone()).collect(),
            });
            units.extend(of_wave);
        }
    }
    (waves, units)
}

fn undo_of(unit: &Unit, selected: &[&Unit]) -> Unit {
    // What needed it must be undone before it.
    let needs = match &unit.work {
        Work::Role(_) => selected.iter().filter(|it| it.needs.contains(&unit.id)).map(|it| it.id.clone()).collect(),
        Work::ServiceAccount(_) => Vec::new(),
    };
    Unit {
        id: unit.id.clone(),
        work: unit.work.clone(),
        needs,
        steps: unit.undo.clone(),
        undo: Vec::new(),
        expected_seconds: unit.undo.iter().map(|it| it.expected_seconds).sum(),
        worst_seconds: unit.undo.iter().map(|it| it.timeout_seconds).sum(),
        notices: Vec::new(),
    }
}
