//! The least rights that each command needs, as files: an IAM policy and Kubernetes RBAC.
//!
//! Everything follows from one table ([`calls`]) with a row for each call that the ports have: what
//! the code does not call is not asked for. Nothing here is ever written to the world.

mod calls;
mod iam;
mod rbac;

pub use calls::{Call, Need, On, calls};

use crate::model::{ClusterArn, RoleArn};

/// What is to be done with the rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `scan`, `plan`, `show`: nothing is ever written.
    Scan,
    /// `apply` with its undo, `rollback`, `verify`.
    Apply,
}

impl Stage {
    /// Both, the lesser first.
    pub const ALL: [Self; 2] = [Self::Scan, Self::Apply];

    /// As it stands in names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Apply => "apply",
        }
    }
}

/// Which things the rights are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The clusters, all of one account.
    pub clusters: Vec<ClusterArn>,
    /// The roles whose trust policies change and that associations may give; none means every role
    /// of the account.
    pub roles: Vec<RoleArn>,
    /// Who the caller is in the clusters.
    pub identity: Identity,
    /// The namespace of our lease.
    pub lease_namespace: String,
    /// Whether pods may be created as a dry run, to prove that an association is effective. Without
    /// it settings must say `effective = "observe"`.
    pub probe: bool,
}

/// Who the caller is, as Kubernetes knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A group, such as an EKS access entry gives.
    Group(String),
    /// A user.
    User(String),
}

/// A file to be reviewed and applied by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A scope that nothing can be written for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No cluster.
    #[error("no cluster is named")]
    NoCluster,
    /// A cluster or role of another account than the first cluster's.
    #[error("{arn} is not in the account and partition of {home}")]
    OtherAccount {
        /// Of the cluster or role.
        arn: String,
        /// The first cluster.
        home: ClusterArn,
    },
    /// A name that Kubernetes does not take for a user, a group or a namespace.
    #[error("{0:?} is not a name that can be written into RBAC")]
    Name(String),
}

/// The files for one stage: `iam-STAGE.json` (more than one if a managed policy cannot hold them
/// all) and `rbac-STAGE.yaml`.
///
/// # Errors
/// No cluster; things of another account; names that Kubernetes does not take.
pub fn files(stage: Stage, scope: &Scope) -> Result<Vec<File>, ScopeError> {
    let home = check(scope)?;
    let mut files = iam::policies(stage, scope, home);
    files.push(rbac::manifest(stage, scope));
    Ok(files)
}

/// Checks the scope, and gives its first cluster: whose account and partition all the rest is in.
fn check(scope: &Scope) -> Result<&ClusterArn, ScopeError> {
    let home = scope.clusters.first().ok_or(ScopeError::NoCluster)?;
    let clusters = scope.clusters.iter().map(|it| (it.as_str(), it.account(), it.partition()));
    let roles = scope.roles.iter().map(|it| (it.as_str(), it.account(), it.partition()));
    for (arn, account, partition) in clusters.chain(roles) {
        if account != home.account() || partition != home.partition() {
            return Err(ScopeError::OtherAccount { arn: arn.to_owned(), home: home.clone() });
        }
    }
    let (Identity::Group(identity) | Identity::User(identity)) = &scope.identity;
    // The name goes into CEL and YAML: what could end a string of either is nobody's name.
    let plain = |c: char| c.is_ascii_graphic() && !"'\"\\`".contains(c);
    if identity.is_empty() || !identity.chars().all(plain) {
        return Err(ScopeError::Name(identity.clone()));
    }
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if scope.lease_namespace.is_empty() || scope.lease_namespace.len() > 63 || !scope.lease_namespace.chars().all(label)
    {
        return Err(ScopeError::Name(scope.lease_namespace.clone()));
    }
    Ok(home)
}

#[cfg(test)]
mod tests;
