//! Status as a fold of entries.

use std::collections::BTreeMap;

use super::{Entry, Event, Scope};

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum StepStatus {
    /// Nothing happened.
    #[default]
    Pending,
    /// It was started, and no outcome is known.
    InDoubt,
    /// Done, by us.
    Succeeded,
    /// Done, by somebody else.
    Unneeded,
    /// Sent, and not ended as it should. It may have taken effect.
    Failed,
    /// Nothing was sent, for the world is not as planned.
    Refused,
}

impl StepStatus {
    /// Whether the next step may start.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Unneeded)
    }

    /// Whether the world may have been changed by it, so that an undo has to look after it.
    #[must_use]
    pub fn may_be_ours(self) -> bool {
        matches!(self, Self::InDoubt | Self::Succeeded | Self::Failed)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InDoubt => "in doubt",
            Self::Succeeded => "done",
            Self::Unneeded => "unneeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// What follows from this status by this event.
    ///
    /// # Errors
    /// The event cannot have happened then.
    pub fn after(self, event: Event) -> Result<Self, IllegalEntry> {
        let next = match (self, event) {
            // A step that failed or was refused is looked at again when the run goes on.
            (Self::Pending | Self::InDoubt | Self::Failed | Self::Refused, Event::Started) => Self::InDoubt,
            (Self::InDoubt, Event::Sending) => Self::InDoubt,
            (Self::InDoubt, Event::Succeeded) => Self::Succeeded,
            (Self::InDoubt, Event::Failed) => Self::Failed,
            // Found done at the first look is another's work; found done later may be our own.
            (Self::Pending | Self::Refused, Event::Unneeded) => Self::Unneeded,
            // Once something may have been sent, "refused" would hide it from the undo.
            (Self::Pending | Self::Refused, Event::Refused) => Self::Refused,
            _ => return Err(IllegalEntry { what: format!("a step that is {}", self.word()), event }),
        };
        Ok(next)
    }
}

/// How far a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitStatus {
    /// Nothing happened.
    Pending,
    /// Some steps are done, and the next has not started.
    Partial,
    /// A step was started, and no outcome is known.
    InDoubt,
    /// All steps are done.
    Done,
    /// A step failed, or was refused after others were done.
    Failed,
    /// Refused, and nothing was sent.
    Refused,
    /// It was undone, and stays so: the same change needs a new plan.
    Undone,
}

impl UnitStatus {
    /// Whether the run has nothing more to do with it.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Refused)
    }

    /// Whether the next wave has to wait for a person.
    #[must_use]
    pub fn blocks_next_wave(self) -> bool {
        matches!(self, Self::Failed | Self::InDoubt | Self::Partial)
    }
}

/// An entry that cannot have happened. The journal is broken, or of another program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal says \"{}\" of {what}, which cannot have happened", event.as_str())]
pub struct IllegalEntry {
    what: String,
    event: Event,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunStatus {
    steps: BTreeMap<String, BTreeMap<usize, StepStatus>>,
    refused: BTreeMap<String, String>,
    undone: BTreeMap<String, String>,
    details: BTreeMap<String, String>,
    waves: BTreeMap<String, Event>,
    paused: Option<String>,
    pause_asked: bool,
    closed: bool,
    last_seq: u64,
}

impl RunStatus {
    /// Folds a run's entries, in their order.
    ///
    /// # Errors
    /// An entry that cannot have happened; a gap in the numbering.
    pub fn of(entries: &[Entry]) -> Result<Self, IllegalEntry> {
        let mut status = Self::default();
        for entry in entries {
            if entry.seq != status.last_seq + 1 {
                return Err(IllegalEntry { what: format!("entry {} of a run", entry.seq), event: entry.event });
            }
            status.last_seq = entry.seq;
            status.add(&entry.scope, entry.event, entry.detail.as_deref())?;
        }
        Ok(status)
    }

    /// Adds what one more entry says.
    ///
    /// # Errors
    /// It cannot have happened.
    pub fn add(&mut self, scope: &Scope, event: Event, detail: Option<&str>) -> Result<(), IllegalEntry> {
        let detail_text = detail.unwrap_or_default().to_owned();
        match scope {
            Scope::Run => self.add_run(event, detail_text),
            Scope::Wave(wave) => match event {
                Event::Started | Event::Succeeded | Event::Failed => {
                    self.waves.insert(wave.clone(), event);
                    Ok(())
                }
                Event::Sending
                | Event::Refused
                | Event::Unneeded
                | Event::Paused
                | Event::PauseAsked
                | Event::Undone
                | Event::Closed => Err(IllegalEntry { what: format!("wave {wave}"), event }),
            },
            Scope::Unit(unit) => match event {
                Event::Refused => {
                    self.refused.insert(unit.clone(), detail_text);
                    Ok(())
                }
                Event::Started => {
                    self.refused.remove(unit);
                    Ok(())
                }
                Event::Undone => {
                    self.undone.insert(unit.clone(), detail_text);
                    Ok(())
                }
                Event::Sending
                | Event::Succeeded
                | Event::Failed
                | Event::Unneeded
                | Event::Paused
                | Event::PauseAsked
                | Event::Closed => Err(IllegalEntry { what: format!("unit {unit}"), event }),
            },
            Scope::Step { unit, step } => {
                let now = self.steps.entry(unit.clone()).or_default().entry(*step).or_default();
                *now = now.after(event)?;
                if event != Event::Sending {
                    self.details.insert(unit.clone(), detail_text);
                }
                Ok(())
            }
        }
    }

    fn add_run(&mut self, event: Event, detail: String) -> Result<(), IllegalEntry> {
        match event {
            Event::Started => {
                self.paused = None;
                self.pause_asked = false;
            }
            Event::Paused => self.paused = Some(detail),
            Event::PauseAsked => self.pause_asked = true,
            Event::Closed => self.closed = true,
            Event::Sending | Event::Succeeded | Event::Failed | Event::Refused | Event::Unneeded | Event::Undone => {
                return Err(IllegalEntry { what: "a run".to_owned(), event });
            }
        }
        Ok(())
    }

    /// The number of the last entry; 0 if there is none.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Whether the run is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Why the run is paused, if it is.
    #[must_use]
    pub fn paused(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// Whether somebody asked the run to pause since it last started.
    #[must_use]
    pub fn is_pause_asked(&self) -> bool {
        self.pause_asked
    }

    /// Whether a wave's gate has passed.
    #[must_use]
    pub fn wave_passed(&self, wave: &str) -> bool {
        self.waves.get(wave) == Some(&Event::Succeeded)
    }

    /// How far a step is.
    #[must_use]
    pub fn step(&self, unit: &str, step: usize) -> StepStatus {
        self.steps.get(unit).and_then(|it| it.get(&step)).copied().unwrap_or_default()
    }

    /// How far a unit is that has this many steps.
    #[must_use]
    pub fn unit(&self, unit: &str, steps: usize) -> UnitStatus {
        if self.undone.contains_key(unit) {
            return UnitStatus::Undone;
        }
        let all: Vec<StepStatus> = (0..steps).map(|step| self.step(unit, step)).collect();
        let has = |status: StepStatus| all.contains(&status);
        let sent = all.iter().any(|it| it.may_be_ours());
        let refused = has(StepStatus::Refused) || self.refused.contains_key(unit);
        if has(StepStatus::Failed) || (refused && sent) {
            UnitStatus::Failed
        } else if has(StepStatus::InDoubt) {
            UnitStatus::InDoubt
        } else if refused {
            UnitStatus::Refused
        } else if all.iter().all(|it| it.is_done()) {
            UnitStatus::Done
        } else if all.iter().any(|it| it.is_done()) {
            UnitStatus::Partial
        } else {
            UnitStatus::Pending
        }
    }

    /// The last thing that was said of a unit: why it was refused, what failed, who undid it.
    #[must_use]
    pub fn detail(&self, unit: &str) -> Option<&str> {
        let said = self.undone.get(unit).or_else(|| self.refused.get(unit)).or_else(|| self.details.get(unit))?;
        (!said.is_empty()).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(events: &[(Scope, Event)]) -> Result<RunStatus, IllegalEntry> {
        let mut status = RunStatus::default();
        for (scope, event) in events {
            status.add(scope, *event, None)?;
        }
        Ok(status)
    }

    fn step(step: usize) -> Scope {
        Scope::Step { unit: "u".into(), step }
    }

    /// What a unit of two steps is after these events of its steps.
    fn unit(events: &[(usize, Event)]) -> UnitStatus {
        let events: Vec<_> = events.iter().map(|(at, event)| (step(*at), *event)).collect();
        fold(&events).unwrap().unit("u", 2)
    }

    #[test]
    fn units() {
        use Event::{Failed, Refused, Started, Succeeded, Unneeded};
        assert_eq!(unit(&[]), UnitStatus::Pending);
        assert_eq!(unit(&[(0, Started)]), UnitStatus::InDoubt);
        assert_eq!(unit(&[(0, Started), (0, Succeeded)]), UnitStatus::Partial);
        assert_eq!(unit(&[(0, Unneeded), (1, Started), (1, Succeeded)]), UnitStatus::Done);
        assert_eq!(unit(&[(0, Refused)]), UnitStatus::Refused);
        assert_eq!(unit(&[(0, Started), (0, Succeeded), (1, Refused)]), UnitStatus::Failed);
        assert_eq!(unit(&[(0, Started), (0, Failed)]), UnitStatus::Failed);
        assert_eq!(unit(&[(0, Started), (0, Failed), (0, Started)]), UnitStatus::InDoubt);
    }

    #[test]
    fn a_unit_that_is_refused_may_be_tried_again_and_stays_undone_once_undone() {
        let u = || Scope::Unit("u".into());
        assert_eq!(fold(&[(u(), Event::Refused)]).unwrap().unit("u", 1), UnitStatus::Refused);
        assert_eq!(fold(&[(u(), Event::Refused), (u(), Event::Started)]).unwrap().unit("u", 1), UnitStatus::Pending);
        let undone = [(step(0), Event::Started), (step(0), Event::Succeeded), (u(), Event::Undone)];
        assert_eq!(fold(&undone).unwrap().unit("u", 1), UnitStatus::Undone);
    }

    #[test]
    fn what_cannot_have_happened_is_an_error() {
        for events in [
            vec![Event::Succeeded],
            vec![Event::Failed],
            vec![Event::Sending],
            vec![Event::Started, Event::Refused],
            vec![Event::Started, Event::Unneeded],
            vec![Event::Started, Event::Succeeded, Event::Started],
            vec![Event::Unneeded, Event::Started],
        ] {
            let events: Vec<_> = events.into_iter().map(|event| (step(0), event)).collect();
            assert!(fold(&events).is_err(), "{events:?}");
        }
        assert!(fold(&[(Scope::Run, Event::Succeeded)]).is_err());
        assert!(fold(&[(Scope::Wave("w".into()), Event::Undone)]).is_err());
    }
}
