//! How a run ended for now, and why.

use jiff::Timestamp;

use crate::journal::{RunId, UnitStatus};
use crate::plan::{Plan, Purpose, Unit, UnitId};
use crate::ports::JournalError;

/// Why a run is no longer being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Every unit has ended; the run is closed.
    Ended,
    /// The wave that the caller named is done; the run stays open.
    Through(String),
    /// No window is open that what is left would fit into. The next that something of it fits into opens
    /// then; none ever does where there is no moment.
    Window(Option<Timestamp>),
    /// A person asked.
    Asked,
    /// Units failed, and a person has to look before the next wave.
    Failed,
    /// A wave's pods are not well: what is wrong, and whose they are where that is known.
    Gate(String, Option<UnitId>),
    /// The credentials ran out.
    Credentials(String),
    /// The lease or the run is another's.
    Locked(String),
    /// What must be known before a unit may start could not be read.
    Blind(String),
    /// The journal cannot be written.
    Journal(JournalError),
}

/// How a run ended, for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The run.
    pub run: RunId,
    /// Whether it is a rollback.
    pub undo: bool,
    /// Why it is no longer being carried out.
    pub why: Why,
    /// Whether a call was denied.
    pub denied: bool,
    /// Units by how far they are.
    pub done: usize,
    /// Nothing was sent for these.
    pub refused: usize,
    /// These were sent something and are not whole.
    pub failed: usize,
    /// Those of them that failed, and the one whose pods are not well.
    pub unwell: Vec<UnitId>,
    /// These have not started.
    pub pending: usize,
    /// These were undone.
    pub undone: usize,
}

/// What a pause says in the journal; none where the run has ended, or the journal takes nothing more.
pub(super) fn paused(why: &Why) -> Option<String> {
    match why {
        Why::Window(Some(at)) => Some(format!("no window is open that what is left fits into; the next opens at {at}")),
        Why::Window(None) => Some("what is left fits into no window".to_owned()),
        Why::Asked => Some("asked to stop".to_owned()),
        Why::Failed => Some("a unit failed".to_owned()),
        Why::Gate(what, _) => Some(format!("the gate did not pass: {what}")),
        Why::Credentials(what) => Some(format!("the credentials ran out: {what}")),
        Why::Through(wave) => Some(format!("done through wave {wave}")),
        Why::Blind(what) => Some(format!("what must be known before a unit starts could not be read: {what}")),
        Why::Ended | Why::Locked(_) | Why::Journal(_) => None,
    }
}

/// Counts the units of a run that ends here.
pub(super) fn ending(plan: &Plan, id: &RunId, why: Why, denied: bool, status: impl Fn(&Unit) -> UnitStatus) -> Ending {
    let count = |wanted: &[UnitStatus]| plan.units.iter().filter(|unit| wanted.contains(&status(unit))).count();
    let failed = plan.units.iter().filter(|unit| status(unit) == UnitStatus::Failed).map(|it| it.id.clone());
    let sick = if let Why::Gate(_, Some(unit)) = &why { Some(unit.clone()) } else { None };
    let unwell = failed.chain(sick).collect();
    Ending {
        run: id.clone(),
        undo: plan.purpose != Purpose::Migrate,
        why,
        denied,
        done: count(&[UnitStatus::Done]),
        refused: count(&[UnitStatus::Refused]),
        failed: count(&[UnitStatus::Failed, UnitStatus::InDoubt, UnitStatus::Partial]),
        unwell,
        pending: count(&[UnitStatus::Pending]),
        undone: count(&[UnitStatus::Undone]),
    }
}
