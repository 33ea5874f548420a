//! Runs and entries.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ClusterArn, Digest};

/// A run's name: the first twelve digits of its plan's digest, for a plan is carried out by
/// one run, ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The run of the plan with this digest.
    #[must_use]
    pub fn of(plan: &Digest) -> Self {
        Self(plan.short(12).to_owned())
    }

    /// Twelve hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One carrying-out of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// The digest of the plan's bytes.
    pub plan_digest: Digest,
    /// The plan's bytes, so that a rollback needs the journal alone.
    pub plan: String,
    /// The run that this one undoes, if it is a rollback.
    pub reverts: Option<RunId>,
    /// The clusters that no other open run may touch.
    pub clusters: Vec<ClusterArn>,
    /// Who opened it, as STS names the caller.
    pub actor: String,
    /// The version of this program.
    pub tool: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Whether it is closed: derived from its entries by the store, never written by hand.
    pub closed: bool,
}

/// What an entry is about. Written `run`, `wave:NAME`, `unit:UNIT`, `step:UNIT:STEP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// The run itself.
    Run,
    /// One of its waves.
    Wave(String),
    /// One of its units.
    Unit(String),
    /// A unit's step, by its place in the unit.
    Step {
        /// The unit.
        unit: String,
        /// The step's place, from 0.
        step: usize,
    },
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Wave(wave) => write!(f, "wave:{wave}"),
            Self::Unit(unit) => write!(f, "unit:{unit}"),
            Self::Step { unit, step } => write!(f, "step:{step}:{unit}"),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        let parsed = match text.split_once(':') {
            None if text == "run" => Some(Self::Run),
            Some(("wave", wave)) => Some(Self::Wave(wave.to_owned())),
            Some(("unit", unit)) => Some(Self::Unit(unit.to_owned())),
            Some(("step", rest)) => rest.split_once(':').and_then(|(step, unit)| {
                let step = step.parse().ok()?;
                Some(Self::Step { unit: unit.to_owned(), step })
            }),
            _ => None,
        };
        parsed.ok_or(ScopeError(text))
    }
}

/// A scope that no version of ours wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope of an entry")]
pub struct ScopeError(String);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A run: it was opened, or goes on. A wave: its units may start. A step: its call will be
    /// sent now, or is being waited for.
    Started,
    /// A step: one of its single calls will be sent now, such as one eviction. The detail names it.
    Sending,
    /// Its condition holds, and holds by our work.
    Succeeded,
    /// It was sent and did not end as it should. It may have taken effect.
    Failed,
    /// The world is neither before nor after, or a finding forbids it: nothing was sent.
    Refused,
    /// It is so already, and not by us.
    Unneeded,
    /// A run: it stopped on purpose and can go on. The detail says why.
    Paused,
    /// A run: a person asked it to pause; read between units.
    PauseAsked,
    /// A unit of this run was undone by another run. The detail names it.
    Undone,
    /// A run: it ended; nothing more will be done.
    Closed,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::Started,
        Self::Sending,
        Self::Succeeded,
        Self::Failed,
        Self::Refused,
        Self::Unneeded,
        Self::Paused,
        Self::PauseAsked,
        Self::Undone,
        Self::Closed,
    ];

    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Sending => "sending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unneeded => "unneeded",
            Self::Paused => "paused",
            Self::PauseAsked => "pause-asked",
            Self::Undone => "undone",
            Self::Closed => "closed",
        }
    }

    /// The event of a stored word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// An entry that is not yet in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// When, by the writer's wall clock: for people. The order is by `seq`.
    pub at: Timestamp,
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub event: Event,
    /// One line for people, and for `Sending` the key of what is sent.
    pub detail: Option<String>,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its place in its run, from 1.
    pub seq: u64,
    /// When, by the writer's wall clock.
    pub at: Timestamp,
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub event: Event,
    /// One line for people, and for `Sending` the key of what was sent.
    pub detail: Option<String>,
}

impl RunId {
    /// Reads a run's name.
    ///
    /// # Errors
    /// Anything but twelve hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, RunIdError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 12 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}

/// Not a run's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run: runs are named by twelve hexadecimal digits")]
pub struct RunIdError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_being_written() {
        let unit = "sa:arn:aws:eks:eu-west-1:111122223333:cluster/a/ns/sa".to_owned();
        for scope in
            [Scope::Run, Scope::Wave("prepare".into()), Scope::Unit(unit.clone()), Scope::Step { unit, step: 3 }]
        {
            assert_eq!(Scope::try_from(scope.to_string()).unwrap(), scope);
        }
        for text in ["", "runs", "step:x:u", "step:1", "other:1"] {
            assert!(Scope::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_in_json_is_its_text() {
        let scope = Scope::Step { unit: "role:cart".into(), step: 2 };
        assert_eq!(serde_json::to_value(&scope).unwrap(), "step:2:role:cart");
        assert_eq!(serde_json::from_value::<Scope>("wave:prepare".into()).unwrap(), Scope::Wave("prepare".into()));
    }

    #[test]
    fn a_run_is_named_by_twelve_hexadecimal_digits() {
        assert_eq!(RunId::parse("0123456789ab").unwrap().as_str(), "0123456789ab");
        for text in ["", "0123456789a", "0123456789abc", "0123456789ag", "0123456789AB"] {
            assert!(RunId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn events_survive_being_written() {
        for event in Event::ALL {
            assert_eq!(Event::from_word(event.as_str()), Some(event));
        }
    }
}
