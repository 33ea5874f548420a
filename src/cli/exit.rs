//! Exit codes: documented, and constant from version to version.

use std::process::ExitCode;

use crate::apply::{ApplyError, Ending, Why};
use crate::ports::{JournalError, PortError};
use crate::scan::ScanError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// An error that nobody foresaw.
    Unexpected = 1,
    /// The command line, a file or the settings cannot be used. Nothing was changed.
    Usage = 2,
    /// `plan --exit-code`: there is something to do.
    ChangesPending = 10,
    /// `plan --exit-code`: nothing to do, and something is held.
    Held = 11,
    /// A rehearsal broke a promise.
    BrokenPromise = 12,
    /// The world is not as the plan was made for. Nothing was sent for what moved.
    Refused = 20,
    /// Something failed; the run can go on or be undone.
    Incomplete = 21,
    /// An undo could not finish; a person is needed.
    Stuck = 22,
    /// Stopped on the way: a window, a gate, `pause`, Ctrl-C, credentials that ran out.
    Paused = 23,
    /// Somebody else works on a cluster of the plan, or on the run.
    Locked = 24,
    /// Credentials or rights are missing.
    Denied = 30,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// How a run ended. Where several apply, the one that most needs a person: stuck, denied,
    /// locked, refused, incomplete, paused.
    #[must_use]
    pub fn of_ending(ending: &Ending) -> Self {
        let why = match &ending.why {
            // What the caller asked for is done.
            Why::Ended | Why::Through(_) => Self::Done,
            // Units that were stopped in the middle count as failed, and are not.
            Why::Window(_) | Why::Asked | Why::Gate(..) | Why::Credentials(_) => Self::Paused,
            Why::Failed | Why::Blind(_) => Self::Incomplete,
            Why::Locked(_) => Self::Locked,
            Why::Journal(JournalError::Locked(_) | JournalError::Open { .. }) => Self::Locked,
            Why::Journal(_) => Self::Incomplete,
        };
        if ending.undo && ending.failed + ending.refused > 0 && why == Self::Incomplete {
            Self::Stuck
        } else if ending.denied {
            Self::Denied
        } else if why == Self::Locked {
            Self::Locked
        } else if ending.refused > 0 {
            Self::Refused
        } else {
            why
        }
    }

    /// The one of two that most needs a person.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let order = [Self::Stuck, Self::Denied, Self::Locked, Self::Refused, Self::Incomplete, Self::Paused];
        order.into_iter().find(|it| *it == self || *it == other).unwrap_or(self)
    }

    /// Why a run did not start.
    #[must_use]
    pub fn of_apply_error(error: &ApplyError) -> Self {
        match error {
            ApplyError::Plan(_) | ApplyError::NoSuchWave(_) => Self::Usage,
            ApplyError::WrongWorld(_) | ApplyError::Ended(_) => Self::Refused,
            ApplyError::Locked(_) => Self::Locked,
            ApplyError::Journal(error) => Self::of_journal(error),
            ApplyError::Illegal(_) => Self::Unexpected,
            // Before a run starts nothing is asked for but what the user named: a kubeconfig, a context.
            ApplyError::Port(PortError::Invalid(_)) => Self::Usage,
            ApplyError::Port(error) => Self::of_port(error),
        }
    }

    /// Why nothing could be seen.
    #[must_use]
    pub fn of_scan_error(error: &ScanError) -> Self {
        match error {
            ScanError::Caller(error) => Self::of_port(error),
            ScanError::NoCluster(_) | ScanError::Twice(_) => Self::Usage,
            ScanError::Unreachable { .. } => Self::Unexpected,
        }
    }

    /// What a journal's error means.
    #[must_use]
    pub fn of_journal(error: &JournalError) -> Self {
        match error {
            JournalError::Locked(_) | JournalError::Open { .. } => Self::Locked,
            JournalError::NoSuchRun(_) | JournalError::NotOurs(_) => Self::Usage,
            JournalError::Broken(_) | JournalError::Damaged(_) => Self::Unexpected,
        }
    }

    /// What a call that gave no answer means, where nothing goes on without it.
    #[must_use]
    pub fn of_port(error: &PortError) -> Self {
        match error {
            PortError::Denied(_) | PortError::Credentials(_) => Self::Denied,
            PortError::NotFound(_) | PortError::Conflict(_) => Self::Refused,
            PortError::Throttled(_)
            | PortError::NotNow(_)
            | PortError::Unreachable(_)
            | PortError::Invalid(_)
            | PortError::Server(_) => Self::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::RunId;

    fn ending(why: Why) -> Ending {
        let run = RunId::parse("0123456789ab").unwrap();
        let unwell = Vec::new();
        Ending { run, undo: false, why, denied: false, done: 1, refused: 0, failed: 0, unwell, pending: 0, undone: 0 }
    }

    #[test]
    fn each_ending_has_its_code() {
        for (why, want) in [
            (Why::Ended, Exit::Done),
            (Why::Through("prepare".into()), Exit::Done),
            (Why::Window(None), Exit::Paused),
            (Why::Asked, Exit::Paused),
            (Why::Gate("x".into(), None), Exit::Paused),
            (Why::Credentials("x".into()), Exit::Paused),
            (Why::Failed, Exit::Incomplete),
            (Why::Locked("x".into()), Exit::Locked),
            (Why::Journal(JournalError::Broken("x".into())), Exit::Incomplete),
        ] {
            assert_eq!(Exit::of_ending(&ending(why.clone())), want, "{why:?}");
        }
    }

    #[test]
    fn a_way_that_the_user_named_and_that_is_none_is_bad_input() {
        let error = ApplyError::Port(PortError::Invalid("kubeconfig context nowhere".into()));
        assert_eq!(Exit::of_apply_error(&error), Exit::Usage);
        assert_eq!(Exit::of_apply_error(&ApplyError::Port(PortError::Server("x".into()))), Exit::Unexpected);
    }

    #[test]
    fn if_several_apply_the_one_that_most_needs_a_person_counts() {
        let mut it = Ending { failed: 1, ..ending(Why::Asked) };
        assert_eq!(Exit::of_ending(&it), Exit::Paused);
        it.why = Why::Failed;
        assert_eq!(Exit::of_ending(&it), Exit::Incomplete);
        it.refused = 1;
        assert_eq!(Exit::of_ending(&it), Exit::Refused);
        it.why = Why::Locked("x".into());
        assert_eq!(Exit::of_ending(&it), Exit::Locked);
        it.denied = true;
        assert_eq!(Exit::of_ending(&it), Exit::Denied);
        it.why = Why::Failed;
        it.undo = true;
        assert_eq!(Exit::of_ending(&it), Exit::Stuck);
    }
}
