//! A cluster: what EKS says of it, and what its API server says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pod, Seen, Workload, WorkloadKind};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};

/// One cluster, from both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Its ARN.
    pub arn: ClusterArn,
    /// The kubeconfig context that it was read by, if not by AWS credentials alone.
    pub context: Option<String>,
    /// What `DescribeCluster` says.
    pub facts: Seen<ClusterFacts>,
    /// The issuer that the API server itself names (`/.well-known/openid-configuration`).
    pub own_issuer: Seen<Issuer>,
    /// How many API servers there are (leases labelled `apiserver.kubernetes.io/identity`).
    pub api_servers: Seen<u32>,
    /// The EKS add-on `eks-pod-identity-agent`, if it is installed as one.
    pub agent_addon: Seen<Option<Addon>>,
    /// Add-ons that use an IAM role of their own.
    pub addons: Seen<Vec<AddonUse>>,
    /// All Pod Identity associations.
    pub associations: Seen<Vec<Association>>,
    /// All ServiceAccounts.
    pub service_accounts: Seen<Vec<ServiceAccount>>,
    /// All workloads, by kind: a kind that could not be listed is unseen by itself.
    pub workloads: BTreeMap<WorkloadKind, Seen<Vec<Workload>>>,
    /// Pods whose ServiceAccount has to do with a role: annotated, or named by an association.
    pub pods: Seen<Vec<Pod>>,
    /// All nodes.
    pub nodes: Seen<Vec<Node>>,
}

impl Cluster {
    /// Its issuer, if `DescribeCluster` was read and names one.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        self.facts.get()?.issuer.as_ref()
    }

    /// The association of one of its ServiceAccounts. `Err` says why it is not known.
    ///
    /// # Errors
    /// The associations could not be listed.
    pub fn association(&self, namespace: &str, service_account: &str) -> Result<Option<&Association>, &str> {
        let all = self.associations.as_result()?;
        Ok(all.iter().find(|it| it.namespace == namespace && it.service_account == service_account))
    }

    /// All workloads of every kind that was read.
    pub fn seen_workloads(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.values().filter_map(Seen::get).flatten()
    }

    /// A subject of this cluster.
    #[must_use]
    pub fn subject(&self, namespace: &str, service_account: &str) -> Subject {
        Subject {
            cluster: self.arn.clone(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        }
    }
}

/// What `DescribeCluster` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFacts {
    /// The API server's address.
    pub endpoint: String,
    /// The API server's CA, PEM in base64 as EKS gives it.
    pub certificate_authority: String,
    /// The OIDC issuer of its ServiceAccount tokens.
    pub issuer: Option<Issuer>,
    /// Kubernetes' version, such as `1.34`.
    pub version: String,
    /// EKS' platform version, such as `eks.9`.
    pub platform_version: String,
    /// EKS Auto Mode: the agent is built into its own nodes.
    pub auto_mode: bool,
    /// `ACTIVE`, `UPDATING`, ...
    pub status: String,
}

/// An installed EKS add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addon {
    /// Such as `v1.3.10-eksbuild.2`.
    pub version: String,
    /// `ACTIVE`, `DEGRADED`, ...
    pub status: String,
}

/// An add-on that uses a role, by `serviceAccountRoleArn` or by associations that it owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddonUse {
    /// Such as `vpc-cni`.
    pub name: String,
    /// Such as `v1.20.0-eksbuild.1`.
    pub version: String,
    /// `ACTIVE`, `DEGRADED`, ...
    pub status: String,
    /// The IRSA role that EKS puts into the annotation of its ServiceAccount.
    pub role_arn: Option<String>,
    /// The associations that it owns.
    pub association_arns: Vec<String>,
}

/// A Pod Identity association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    /// `a-...`, unique in the cluster.
    pub id: String,
    /// The namespace it is for, which need not exist.
    pub namespace: String,
    /// The ServiceAccount it is for, which need not exist.
    pub service_account: String,
    /// The add-on that owns it. An empty owner is no owner.
    pub owner: Option<String>,
    /// What only `DescribePodIdentityAssociation` tells; read where it matters.
    pub detail: Option<Seen<AssociationDetail>>,
}

/// What only `DescribePodIdentityAssociation` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssociationDetail {
    /// The role that pods get.
    pub role_arn: RoleArn,
    /// The role that is assumed with it, in whatever account.
    pub target_role_arn: Option<String>,
    /// With session tags off no condition on `aws:RequestTag` can hold.
    pub disable_session_tags: bool,
    /// Whether it narrows its sessions by a policy.
    pub has_policy: bool,
    /// Its tags; ours carry our mark.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[schemars(with = "Option<String>")]
    pub created_at: Option<Timestamp>,
}

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another one means that it was deleted and made again.
    pub uid: String,
    /// The annotation `eks.amazonaws.com/role-arn`, as it stands, well formed or not.
    pub role_arn: Option<String>,
    /// The annotation `eks.amazonaws.com/audience`.
    pub audience: Option<String>,
    /// Who seems to own the object, in words: `Helm release cart`, `Argo CD application shop`, ...
    pub owners: Vec<String>,
    /// Its own labels, and its namespace's: what waves are selected by.
    pub labels: BTreeMap<String, String>,
}

/// What kind of machine a node is, as far as Pod Identity cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Compute {
    /// A Linux EC2 instance: needs an agent pod.
    Ec2,
    /// A node of EKS Auto Mode: the agent is built in.
    Auto,
    /// A hybrid node: needs the agent's hybrid DaemonSet.
    Hybrid,
    /// Fargate: Pod Identity does not work there.
    Fargate,
    /// Windows: Pod Identity does not work there.
    Windows,
}

/// The agent on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AgentOnNode {
    /// The node has it built in.
    BuiltIn,
    /// An agent pod runs there and is Ready.
    Ready,
    /// An agent pod is there and is not Ready.
    NotReady,
    /// No agent pod.
    Absent,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What kind of machine it is.
    pub compute: Compute,
    /// Whether it is Ready.
    pub ready: bool,
    /// Its labels: what node selectors are matched against.
    pub labels: BTreeMap<String, String>,
    /// The Pod Identity agent there; unseen where pods could not be listed.
    pub agent: Seen<AgentOnNode>,
}
