//! Scripts of port calls that run on every world: the simulated one, the live adapters over
//! emulators, and a real control plane. Each answer becomes a line, in words that depend on no
//! id and no time, and the lines of two worlds are compared.

pub(crate) mod aws;
pub(crate) mod kubernetes;
pub(crate) mod simulated;

use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Answer, PortError};

/// What every world of the scripts holds: a cluster, a namespace in it, and a role.
pub(crate) struct Fixture {
    pub(crate) cluster: ClusterArn,
    pub(crate) namespace: String,
    pub(crate) role: RoleArn,
}

impl Fixture {
    /// Account 111122223333 and region eu-west-1, as everywhere in the tests.
    pub(crate) fn new() -> Self {
        Self::in_account("111122223333")
    }

    /// The same in another account.
    pub(crate) fn in_account(account: &str) -> Self {
        let cluster = ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{account}:cluster/conformance"));
        let role = RoleArn::parse(&format!("arn:aws:iam::{account}:role/app"));
        Self { cluster: cluster.expect("an ARN"), namespace: "conformance".to_owned(), role: role.expect("an ARN") }
    }

    /// A ServiceAccount of the namespace.
    pub(crate) fn subject(&self, service_account: &str) -> Subject {
        Subject {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            service_account: service_account.to_owned(),
        }
    }
}

/// Lines that say what was answered.
#[derive(Default)]
struct Transcript(Vec<String>);

impl Transcript {
    fn say(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// An answer of which only matters whether there is one, and why not.
    fn outcome<T>(&mut self, what: &str, answer: &Answer<T>) {
        self.say(format!("{what}: {}", outcome(answer)));
    }
}

/// Which error it is; its text is each world's own.
fn outcome<T>(answer: &Answer<T>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(PortError::Denied(_)) => "denied",
        Err(PortError::Credentials(_)) => "credentials",
        Err(PortError::NotFound(_)) => "not found",
        Err(PortError::Conflict(_)) => "conflict",
        Err(PortError::Throttled(_)) => "throttled",
        Err(PortError::NotNow(_)) => "not now",
        Err(PortError::Unreachable(_)) => "unreachable",
        Err(PortError::Invalid(_)) => "invalid",
        Err(PortError::Server(_)) => "server",
    }
}
