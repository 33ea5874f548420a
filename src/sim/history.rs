//! What happened to a world, and the faults that are to happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::call::{Call, Reply};
use crate::journal::{NewEntry, RunId};
use crate::model::Digest;
use crate::ports::PortError;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It never arrives, and the caller is told so.
    Before,
    /// It takes effect, and then the server says that it failed.
    After,
    /// It takes effect, and the answer is lost.
    Lost,
    /// Too many calls.
    Throttle,
    /// The right to this operation is gone, from this call on.
    Deny,
    /// The credentials have run out, from this call on.
    Expire,
    /// The program ends before it is sent.
    CrashBefore,
    /// The program ends when it has taken effect and before the answer is read.
    CrashAfter,
}

impl Fault {
    /// Every fault, for loops.
    pub const ALL: [Self; 8] = [
        Self::Before,
        Self::After,
        Self::Lost,
        Self::Throttle,
        Self::Deny,
        Self::Expire,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// Whether the call takes effect all the same.
    #[must_use]
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::After | Self::Lost | Self::CrashAfter)
    }
}

/// The faults to come, by the number of the call, and those that last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) at: BTreeMap<u64, Fault>,
    pub(crate) denied: BTreeSet<&'static str>,
    pub(crate) expired: bool,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1, in the order of all calls to this world.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The caller's ARN.
    pub by: String,
    /// What was asked.
    pub call: Call,
    /// What went wrong with it on purpose.
    pub fault: Option<Fault>,
    /// What the caller was told instead of an answer.
    pub error: Option<PortError>,
    /// What the caller was told, of those calls that a write is decided by.
    pub reply: Option<Reply>,
    /// Whether the world served it: false where it never arrived or was refused.
    pub applied: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A call.
    Called(Box<Record>),
    /// Somebody else changed something, in words.
    Foreign {
        /// When.
        at: Timestamp,
        /// What.
        what: String,
    },
    /// A run became durable in a journal of this world, with its plan.
    Opened {
        /// The run.
        run: RunId,
        /// The digest of its plan.
        plan: Digest,
        /// The run that it undoes.
        reverts: Option<RunId>,
    },
    /// An entry became durable in a journal of this world.
    Journaled {
        /// The run.
        run: RunId,
        /// The entry.
        entry: NewEntry,
    },
}

/// How much of a history is told with what it led to.
const LED_BY: usize = 15;
/// As much of a call or an edit as fits on a line.
const ON_A_LINE: usize = 160;

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(it) => {
                let (number, at, by) = (it.number, it.at, it.by.rsplit('/').next().unwrap_or_default());
                write!(f, "{at} call {number} of {by}: {}", on_a_line(&format!("{:?}", it.call)))?;
                if let Some(fault) = it.fault {
                    write!(f, " [{fault:?}]")?;
                }
                match (&it.error, it.applied) {
                    (None, _) => Ok(()),
                    (Some(error), true) => write!(f, " -> took effect, and was told {error}"),
                    (Some(error), false) => write!(f, " -> {error}"),
                }
            }
            Self::Foreign { at, what } => write!(f, "{at} somebody else: {}", on_a_line(what)),
            Self::Opened { run, reverts: None, .. } => write!(f, "run {run} is opened"),
            Self::Opened { run, reverts: Some(of), .. } => write!(f, "run {run} is opened, which undoes {of}"),
            Self::Journaled { run, entry } => {
                let detail = on_a_line(entry.detail.as_deref().unwrap_or_default());
                write!(f, "entry of {run}: {} {} {detail}", entry.scope, entry.event.as_str())
            }
        }
    }
}

fn on_a_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line: String = words.join(" ").chars().take(ON_A_LINE).collect();
    if line.len() < text.len() && line.chars().count() == ON_A_LINE {
        line.push_str("...");
    }
    line
}

/// Everything that happened, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub(crate) all: Vec<Happening>,
    pub(crate) calls: u64,
}

impl History {
    /// Everything, in order.
    #[must_use]
    pub fn all(&self) -> &[Happening] {
        &self.all
    }

    /// All calls, in order.
    pub fn calls(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.all.iter().filter_map(|it| match it {
            Happening::Called(record) => Some(&**record),
            Happening::Foreign { .. } | Happening::Opened { .. } | Happening::Journaled { .. } => None,
        })
    }

    /// What led to a place in it: what happened last before, in words, oldest first.
    #[must_use]
    pub fn led_to(&self, place: usize) -> Vec<String> {
        let place = place.min(self.all.len());
        self.all[place.saturating_sub(LED_BY)..place].iter().map(ToString::to_string).collect()
    }

    /// How many calls were made: the number of the last one.
    #[must_use]
    pub fn number_of_calls(&self) -> u64 {
        self.calls
    }

    /// How many calls of each operation were made.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for record in self.calls() {
            *counts.entry(record.call.operation()).or_default() += 1;
        }
        counts
    }

    /// The writes that took effect, in order; leases are not among them.
    pub fn writes(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.calls().filter(|it| it.applied && it.call.is_write())
    }
}
