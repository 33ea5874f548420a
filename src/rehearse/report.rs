//! What a rehearsal found.

use jiff::Timestamp;
use serde::Serialize;

use super::Faults;
use super::promise::Broken;
use super::shape::Shape;
use crate::model::{Digest, Subject};
use crate::plan::UnitId;

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The plan's digest.
    pub plan: Digest,
    /// The digest of the inventory that the twin was made from.
    pub inventory: Digest,
    /// When it was taken: the moment at which the twin's time begins.
    pub taken_at: Timestamp,
    /// How late AWS and the webhooks were in the twin, in seconds.
    pub lag_seconds: u64,
    /// How late they usually are.
    pub usual_lag_seconds: u64,
    /// Which faults were asked for.
    pub faults: Faults,
    /// The whole plan, with nothing going wrong, and its undo.
    pub nominal: Nominal,
    /// What was tried with everything going wrong, shape by shape.
    pub trials: Vec<Trial>,
}

impl Report {
    /// How often a promise was broken.
    #[must_use]
    pub fn number_of_broken(&self) -> usize {
        self.nominal.broken.len() + self.trials.iter().map(|it| it.failed).sum::<usize>()
    }

    /// How many cases were tried.
    #[must_use]
    pub fn number_of_cases(&self) -> usize {
        self.trials.iter().map(Trial::cases).sum()
    }

    /// Whether the twin was quicker than AWS usually is, because the plan does not wait for so long. Then it
    /// says nothing of whether the settle times are long enough.
    #[must_use]
    pub fn is_too_quick(&self) -> bool {
        self.lag_seconds < self.usual_lag_seconds
    }

    /// Whether every unit ended as the plan says while nothing went wrong.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.nominal.left.is_empty() && self.nominal.stopped.is_none()
    }
}

/// The whole plan, carried out and undone with nothing going wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nominal {
    /// How many calls were sent.
    pub calls: u64,
    /// The waves, as far as they came.
    pub waves: Vec<WaveTime>,
    /// How long windows were waited for, in seconds.
    pub window_seconds: u64,
    /// Why the run stopped before its end, if it did.
    pub stopped: Option<String>,
    /// Units that did not end as planned, and why.
    pub left: Vec<Left>,
    /// How long undoing all of it took, in seconds; none where nothing was done.
    pub undo_seconds: Option<u64>,
    /// The gap of each ServiceAccount that had pods to put back, the longest first.
    pub gaps: Vec<Gap>,
    /// Promises that were broken.
    pub broken: Vec<Broken>,
}

/// How long a wave took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveTime {
    /// Its name.
    pub wave: String,
    /// How many units it has.
    pub units: usize,
    /// When its first unit could start.
    pub from: Timestamp,
    /// When its gate was passed, or when the run stopped in it.
    pub until: Timestamp,
    /// Seconds in which it was carried out; waiting for a window does not count.
    pub seconds: u64,
    /// Whether the next wave could start.
    pub passed: bool,
}

/// A unit that did not end as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Which one.
    pub unit: UnitId,
    /// How far it came.
    pub status: String,
    /// Why.
    pub why: Option<String>,
}

/// How long pods of a ServiceAccount could get no fresh credentials while it was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// Whose.
    pub subject: Subject,
    /// How many pods were on Pod Identity when the association was deleted.
    pub pods: usize,
    /// Seconds from then until the last of them was replaced.
    pub seconds: u64,
}

/// One shape, carried out again and again with something else going wrong each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The shape.
    pub shape: Shape,
    /// How many units of the plan are of it.
    pub units: usize,
    /// The one that was tried.
    pub tried_on: UnitId,
    /// How many calls its run makes.
    pub calls: usize,
    /// Cases in which one of those failed.
    pub call_cases: usize,
    /// How many entries its run writes.
    pub entries: usize,
    /// Cases in which writing one of those failed.
    pub entry_cases: usize,
    /// How many calls its undo makes.
    pub undo_calls: usize,
    /// Cases in which one of those failed.
    pub undo_cases: usize,
    /// Why nothing was tried, if so: the unit does not end even when nothing goes wrong.
    pub skipped: Option<String>,
    /// How many cases broke a promise.
    pub failed: usize,
    /// The first of them, in words.
    pub failures: Vec<String>,
}

impl Trial {
    pub(super) fn new(shape: Shape, units: usize, tried_on: UnitId) -> Self {
        Self {
            shape,
            units,
            tried_on,
            calls: 0,
            call_cases: 0,
            entries: 0,
            entry_cases: 0,
            undo_calls: 0,
            undo_cases: 0,
            skipped: None,
            failed: 0,
            failures: Vec::new(),
        }
    }

    /// How many cases were tried.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.call_cases + self.entry_cases + self.undo_cases
    }
}
