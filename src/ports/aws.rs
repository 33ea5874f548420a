//! AWS: STS and IAM, and EKS.

use std::collections::BTreeMap;

use super::Answer;
use crate::inventory::{Addon, AddonUse, Association, AssociationDetail, Caller, ClusterFacts, Provider, Role};
use crate::model::{ClusterArn, RoleArn, Subject};

/// STS and IAM, of the caller's account.
pub trait Iam {
    /// Who the credentials belong to (`sts:GetCallerIdentity`).
    async fn caller(&self) -> Answer<Caller>;

    /// Most characters in a trust policy (`iam:GetAccountSummary`, `AssumeRolePolicySizeQuota`).
    async fn trust_quota(&self) -> Answer<u32>;

    /// All OIDC providers, with their client ids (`iam:ListOpenIDConnectProviders`, one `Get` each).
    async fn providers(&self) -> Answer<Vec<Provider>>;

    /// All roles with their trust policies, decoded; `detail` is empty (`iam:ListRoles`, every page).
    async fn roles(&self) -> Answer<Vec<Role>>;

    /// One role with its detail (`iam:GetRole`). The role's account must be the caller's, for
    /// IAM looks a role up by its name alone: any other is `Invalid`, and so is a role of this
    /// name under another path.
    async fn role(&self, role: &RoleArn) -> Answer<Role>;

    /// Replaces the trust policy (`iam:UpdateAssumeRolePolicy`). IAM has no conditional write: who
    /// calls this has just looked. Once it returns, [`Iam::role`] may still answer with the old one.
    async fn set_trust(&self, role: &RoleArn, document: &str) -> Answer<()>;
}

/// An association to be made. Session tags stay on, and there is neither target role nor policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAssociation {
    /// For whom.
    pub subject: Subject,
    /// The role that its pods get.
    pub role_arn: RoleArn,
    /// Our mark.
    pub tags: BTreeMap<String, String>,
    /// The idempotency token: the same one with the same request makes nothing twice.
    pub token: String,
}

/// EKS, of every cluster in scope.
pub trait Eks {
    /// `eks:DescribeCluster`.
    async fn cluster(&self, cluster: &ClusterArn) -> Answer<ClusterFacts>;

    /// The add-on `eks-pod-identity-agent`, if installed (`eks:DescribeAddon`).
    async fn agent_addon(&self, cluster: &ClusterArn) -> Answer<Option<Addon>>;

    /// Add-ons that use a role (`eks:ListAddons`, one `DescribeAddon` each).
    async fn addons(&self, cluster: &ClusterArn) -> Answer<Vec<AddonUse>>;

    /// All associations, without their detail (`eks:ListPodIdentityAssociations`, every page).
    async fn associations(&self, cluster: &ClusterArn) -> Answer<Vec<Association>>;

    /// The detail of one (`eks:DescribePodIdentityAssociation`).
    async fn association(&self, cluster: &ClusterArn, id: &str) -> Answer<AssociationDetail>;

    /// The association of one ServiceAccount, with its detail: a list with both filters, then a
    /// describe. `None` if there is none.
    async fn association_of(&self, subject: &Subject) -> Answer<Option<Association>>;

    /// Makes an association. `Conflict` if the ServiceAccount has one already, whose ever it is.
    /// Once it returns, pods admitted from now on may be given Pod Identity, and may not, for
    /// several seconds: no API says when it is effective.
    async fn create_association(&self, new: &NewAssociation) -> Answer<()>;

    /// Deletes the association with this id. `NotFound` if it is gone.
    async fn delete_association(&self, cluster: &ClusterArn, id: &str) -> Answer<()>;
}
