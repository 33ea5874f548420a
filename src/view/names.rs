//! Short names of things, where they are not ambiguous.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::Target;
use crate::model::{AccountId, ClusterArn, RoleArn, Subject};
use crate::plan::{Plan, Unit, Work};

/// How the clusters, roles and ServiceAccounts of one value are called.
#[derive(Debug)]
pub struct Names {
    /// Whose roles need no more than a name; role names are unique within an account.
    account: AccountId,
    /// How many clusters there are: where there is one, it need not be named.
    clusters: usize,
    /// Cluster names that more than one cluster has.
    ambiguous: BTreeSet<String>,
}

impl Names {
    /// Names within an account and some clusters.
    #[must_use]
    pub fn new<'a>(account: &AccountId, clusters: impl IntoIterator<Item = &'a ClusterArn>) -> Self {
        let each: BTreeSet<&ClusterArn> = clusters.into_iter().collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for arn in &each {
            *counts.entry(arn.name()).or_default() += 1;
        }
        let ambiguous = counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect();
        Self { account: account.clone(), clusters: each.len(), ambiguous }
    }

    /// Names within a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        // What is held may be in clusters that no unit is in.
        let held = plan.held.iter().filter_map(|it| match &it.what {
            Target::ServiceAccount(subject) => Some(&subject.cluster),
            Target::Cluster(arn) | Target::Addon { cluster: arn, .. } => Some(arn),
            Target::Account(_) | Target::Role(_) => None,
        });
        Self::new(&plan.account, plan.clusters.iter().map(|it| &it.arn).chain(held))
    }

    /// A cluster's name, or its ARN where the name is not enough.
    #[must_use]
    pub fn cluster(&self, arn: &ClusterArn) -> String {
        if self.ambiguous.contains(arn.name()) { arn.to_string() } else { arn.name().to_owned() }
    }

    /// `NAMESPACE/NAME`, behind its cluster where there are several.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> String {
        let bare = format!("{}/{}", subject.namespace, subject.service_account);
        if self.clusters > 1 { format!("{}/{bare}", self.cluster(&subject.cluster)) } else { bare }
    }

    /// A role's name, or its ARN where it is of another account.
    #[must_use]
    pub fn role(&self, arn: &RoleArn) -> String {
        if arn.account() == self.account { arn.name().to_owned() } else { arn.to_string() }
    }

    /// What a unit is about.
    #[must_use]
    pub fn unit(&self, unit: &Unit) -> String {
        match &unit.work {
            Work::Role(work) => format!("role {}", self.role(&work.role_arn)),
            Work::ServiceAccount(work) => self.subject(&work.subject),
        }
    }

    /// Whom a finding is about.
    #[must_use]
    pub fn target(&self, target: &Target) -> String {
        match target {
            Target::Account(id) => format!("account {id}"),
            Target::Cluster(arn) => format!("cluster {}", self.cluster(arn)),
            Target::Role(arn) => format!("role {}", self.role(arn)),
            Target::ServiceAccount(subject) => self.subject(subject),
            Target::Addon { cluster, name } => format!("add-on {name} of {}", self.cluster(cluster)),
        }
    }
}
