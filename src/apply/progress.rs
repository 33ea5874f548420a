//! What a run tells while it goes on. Not the journal: nothing is computed from it.

use serde::Serialize;

use crate::journal::{Event, RunId, UnitStatus};
use crate::plan::UnitId;

/// How a unit ended, for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UnitEnd {
    /// All steps are done.
    Done,
    /// Nothing was sent.
    Refused,
    /// A step failed.
    Failed,
    /// It was stopped in the middle, and can go on.
    Stopped,
    /// It does not fit into what is left of the window.
    NotNow,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Progress {
    /// The run was opened, or goes on.
    RunStarted {
        /// The run.
        run: RunId,
        /// Whether it had been started before.
        resumed: bool,
    },
    /// What is asked outside any unit has no answer yet, and is asked again.
    Unanswered {
        /// What went wrong.
        error: String,
        /// After so many seconds.
        seconds: u64,
    },
    /// Somebody holds the lease, and perhaps no longer lives.
    LeaseWaiting {
        /// The cluster's ARN.
        cluster: String,
        /// Who.
        holder: String,
        /// After so many seconds without a sign it is ours.
        seconds: u64,
    },
    /// A wave's units may start.
    WaveStarted {
        /// Its name.
        wave: String,
        /// How many units of it are left to do.
        units: usize,
    },
    /// A unit starts.
    UnitStarted {
        /// The unit.
        unit: UnitId,
    },
    /// A step starts.
    StepStarted {
        /// The unit.
        unit: UnitId,
        /// The step's name.
        step: String,
        /// How long it usually takes.
        expected_seconds: u64,
    },
    /// A step waits.
    Waiting {
        /// The unit.
        unit: UnitId,
        /// The step's name.
        step: String,
        /// For what.
        on: String,
        /// How long already.
        seconds: u64,
        /// How long at most.
        at_most_seconds: u64,
    },
    /// A step ended.
    StepEnded {
        /// The unit.
        unit: UnitId,
        /// The step's name.
        step: String,
        /// How.
        outcome: Event,
        /// More about it.
        detail: Option<String>,
    },
    /// A unit ended, for now.
    UnitEnded {
        /// The unit.
        unit: UnitId,
        /// How.
        end: UnitEnd,
        /// Why, where it is not done.
        detail: Option<String>,
    },
    /// A wave's units are done, and its pods are watched for a while.
    GateWaiting {
        /// The wave.
        wave: String,
        /// How long.
        seconds: u64,
    },
    /// A wave's gate was passed, or was not.
    WaveEnded {
        /// The wave.
        wave: String,
        /// Whether the next one may start.
        passed: bool,
        /// What was found.
        detail: Option<String>,
    },
    /// The run stops here, and can go on.
    Paused {
        /// Why.
        why: String,
    },
    /// Every unit has ended.
    Closed,
}

impl UnitEnd {
    /// What a unit's status in the journal means to a person who watches.
    #[must_use]
    pub fn of(status: UnitStatus) -> Self {
        match status {
            UnitStatus::Done | UnitStatus::Undone => Self::Done,
            UnitStatus::Refused => Self::Refused,
            UnitStatus::Failed => Self::Failed,
            UnitStatus::Pending | UnitStatus::Partial | UnitStatus::InDoubt => Self::Stopped,
        }
    }
}
