//! What went wrong, as a person reads it: one sentence, and what to do.

use super::exit::Exit;
use crate::apply::ApplyError;
use crate::journal::IllegalEntry;
use crate::ports::{JournalError, PortError};
use crate::rollback::RollbackError;
use crate::scan::ScanError;

/// An error that ends a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One sentence, perhaps with words of others in it: the printer neutralises them.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new() }
    }

    /// Bad input: nothing was done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// With something to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What most often is wrong with a call, by its error.
fn hint_of_port(error: &PortError) -> Option<&'static str> {
    match error {
        PortError::Denied(_) => {
            Some("`irsa-migrate permissions` writes the IAM policy and the RBAC rules that are needed, and no more")
        }
        PortError::Credentials(_) => Some(
            "the usual AWS settings are read: AWS_PROFILE, environment, SSO, instance; `aws sts get-caller-identity` shows whether they work",
        ),
        PortError::Unreachable(said) if is_of_aws(said) => Some("does this machine reach AWS, in this region?"),
        PortError::Unreachable(_) => {
            Some("is this machine on the cluster's network? With a tunnel or a proxy, name the kubeconfig's --context")
        }
        PortError::NotFound(_)
        | PortError::Conflict(_)
        | PortError::Throttled(_)
        | PortError::NotNow(_)
        | PortError::Invalid(_)
        | PortError::Server(_) => None,
    }
}

/// Whether what was said names a call to AWS, which is done by its service's name.
fn is_of_aws(said: &str) -> bool {
    ["sts:", "iam:", "eks:"].iter().any(|it| said.starts_with(it))
}

fn with_hint(error: CommandError, hint: Option<&str>) -> CommandError {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl From<PortError> for CommandError {
    fn from(error: PortError) -> Self {
        with_hint(Self::new(Exit::of_port(&error), error.to_string()), hint_of_port(&error))
    }
}

impl From<ScanError> for CommandError {
    fn from(error: ScanError) -> Self {
        let said = error.to_string();
        match &error {
            // Nothing is known of the credentials where nobody could be asked.
            ScanError::Caller(port @ PortError::Unreachable(_)) => port.clone().into(),
            ScanError::Caller(port) => with_hint(Self::new(Exit::of_port(port), said), hint_of_port(port)),
            ScanError::NoCluster(_) => Self::usage(said).hint("`aws eks list-clusters --region REGION` lists them"),
            ScanError::Twice(_) => Self::usage(said).hint("name each cluster once"),
            ScanError::Unreachable { error, .. } => {
                with_hint(Self::new(Exit::Unexpected, said), hint_of_port(&PortError::Unreachable(error.clone())))
            }
        }
    }
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        let hint = match &error {
            JournalError::Locked(_) => Some("wait until it is done; `irsa-migrate status` shows what goes on"),
            JournalError::Open { .. } => {
                Some("go on with that run, undo it with `rollback`, or give up what never started with `close`")
            }
            JournalError::NoSuchRun(_) => Some("`irsa-migrate status` lists the runs of a journal"),
            JournalError::NotOurs(_) => Some("--journal names the file; it is made where there is none"),
            JournalError::Damaged(_) => Some(
                "something changed the file: bring a copy of it back; without one, a new scan and plan show what is done already",
            ),
            JournalError::Broken(_) => Some("is there room on the disk, and may this user write there?"),
        };
        with_hint(Self::new(Exit::of_journal(&error), error.to_string()), hint)
    }
}

impl From<IllegalEntry> for CommandError {
    fn from(error: IllegalEntry) -> Self {
        Self::new(Exit::Unexpected, error.to_string())
            .hint("somebody changed the journal, or this is a bug; nothing was sent")
    }
}

impl From<ApplyError> for CommandError {
    fn from(error: ApplyError) -> Self {
        let exit = Exit::of_apply_error(&error);
        let said = error.to_string();
        match error {
            ApplyError::Journal(error) => error.into(),
            ApplyError::Illegal(error) => error.into(),
            ApplyError::Port(error @ PortError::Invalid(_)) => Self { exit, ..error.into() }
                .hint("nothing was sent; `kubectl config get-contexts` lists the contexts that --context may name"),
            ApplyError::Port(error) => error.into(),
            ApplyError::Plan(_) => {
                Self::new(exit, said).hint("the file was changed since it was made, or made by hand: plan again")
            }
            ApplyError::WrongWorld(_) => {
                Self::new(exit, said).hint("nothing was sent; check the credentials and the kubeconfig context")
            }
            ApplyError::Locked(_) => {
                Self::new(exit, said).hint("nothing was sent; try again once the other one is done")
            }
            ApplyError::Ended(_) => Self::new(exit, said).hint("`irsa-migrate rollback RUN` goes on with the undo"),
            ApplyError::NoSuchWave(_) => Self::new(exit, said).hint("`irsa-migrate show PLAN` lists the waves"),
        }
    }
}

impl From<RollbackError> for CommandError {
    fn from(error: RollbackError) -> Self {
        let said = error.to_string();
        match error {
            RollbackError::Illegal(error) => error.into(),
            RollbackError::NoSuchWave(_) | RollbackError::NoSuchUnit(_) => {
                Self::usage(said).hint("`irsa-migrate status RUN` lists the waves and units of a run")
            }
            RollbackError::IsRollback(_) => Self::usage(said),
            RollbackError::StillNeeded { .. } => Self::new(Exit::Refused, said),
            RollbackError::NoUndo(_) => Self::new(Exit::Stuck, said)
                .hint("the plan was changed by hand; `irsa-migrate status RUN` tells what was done"),
            RollbackError::Nothing => Self::new(Exit::Done, said),
        }
    }
}

impl From<serde_json::Error> for CommandError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Exit::Unexpected, format!("the result cannot be written as JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_reached_is_told_apart() {
        let unreachable = |said: &str| PortError::Unreachable(said.to_owned());
        let aws = CommandError::from(ScanError::Caller(unreachable("sts:GetCallerIdentity: refused")));
        assert!(aws.exit == Exit::Unexpected && !aws.message.contains("credentials"), "{aws:?}");
        assert!(aws.hints[0].contains("reach AWS"), "{aws:?}");
        let cluster = CommandError::from(unreachable("list pods: https://127.0.0.1:9: refused"));
        assert!(cluster.hints[0].contains("--context"), "{cluster:?}");
    }
}
