//! What a policy is read against.

use crate::model::{AccountId, ClusterArn, Issuer};

/// What a policy is read against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The account that owns the role; a provider counts only there.
    pub role_account: AccountId,
    /// The clusters that were looked at.
    pub clusters: Vec<ScopeCluster>,
}

/// One cluster that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeCluster {
    /// The cluster.
    pub arn: ClusterArn,
    /// Its issuer, as `DescribeCluster` gives it.
    pub issuer: Issuer,
    /// Its OIDC provider in the role's account.
    pub provider: Provider,
}

/// The IAM OIDC provider of a cluster's issuer in the role's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// It exists and takes tokens for these audiences.
    Exists {
        /// The audiences.
        client_ids: Vec<String>,
    },
    /// There is none, so that no token of this cluster is taken.
    Absent,
}

impl Scope {
    /// The provider of a cluster, if it is in the role's account.
    pub(crate) fn provider_arn(&self, cluster: &ScopeCluster) -> String {
        cluster.issuer.provider_arn(cluster.arn.partition(), &self.role_account)
    }
}
