//! Every call of the ports as one value, and every answer as another.

use crate::inventory::{
    Addon, AddonUse, Association, Caller, ClusterFacts, Node, Pod, Provider, Role, ServiceAccount, Workload,
    WorkloadKind, WorkloadRef,
};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};
use crate::ports::{Lease, LeaseVersion, NewAssociation, Probe, Stamping, WorkloadNow};

/// A call to the world. Named after the ports' methods.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the ports say what each call is")]
pub enum Call {
    Caller,
    TrustQuota,
    Providers,
    Roles,
    Role(RoleArn),
    SetTrust { role: RoleArn, document: String },
    ClusterFacts(ClusterArn),
    AgentAddon(ClusterArn),
    Addons(ClusterArn),
    Associations(ClusterArn),
    Association { cluster: ClusterArn, id: String },
    AssociationOf(Subject),
    CreateAssociation(NewAssociation),
    DeleteAssociation { cluster: ClusterArn, id: String },
    OwnIssuer(ClusterArn),
    ApiServers(ClusterArn),
    ServiceAccounts(ClusterArn),
    ServiceAccount(Subject),
    Workloads { cluster: ClusterArn, kind: WorkloadKind, namespace: Option<String> },
    Workload { cluster: ClusterArn, at: WorkloadRef },
    Pods(ClusterArn),
    PodsOf(Subject),
    Changed { subject: Subject, workload: Option<WorkloadRef> },
    Nodes(ClusterArn),
    Probe { subject: Subject, template: Option<WorkloadRef> },
    Stamp { cluster: ClusterArn, change: Stamping },
    Evict { cluster: ClusterArn, namespace: String, pod: String, uid: String },
    Lease { cluster: ClusterArn, namespace: String, name: String },
    WriteLease { cluster: ClusterArn, namespace: String, name: String, lease: Lease, found: Option<LeaseVersion> },
    DeleteLease { cluster: ClusterArn, namespace: String, name: String, found: LeaseVersion },
}

/// Whose rate limit a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// STS and IAM.
    Iam,
    /// EKS.
    Eks,
    /// The API servers.
    Kubernetes,
}

impl Call {
    /// The call's name: what a right is given or denied by.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::TrustQuota => "trust_quota",
            Self::Providers => "providers",
            Self::Roles => "roles",
            Self::Role(_) => "role",
            Self::SetTrust { .. } => "set_trust",
            Self::ClusterFacts(_) => "cluster",
            Self::AgentAddon(_) => "agent_addon",
            Self::Addons(_) => "addons",
            Self::Associations(_) => "associations",
            Self::Association { .. } => "association",
            Self::AssociationOf(_) => "association_of",
            Self::CreateAssociation(_) => "create_association",
            Self::DeleteAssociation { .. } => "delete_association",
            Self::OwnIssuer(_) => "own_issuer",
            Self::ApiServers(_) => "api_servers",
            Self::ServiceAccounts(_) => "service_accounts",
            Self::ServiceAccount(_) => "service_account",
            Self::Workloads { .. } => "workloads",
            Self::Workload { .. } => "workload",
            Self::Pods(_) => "pods",
            Self::PodsOf(_) => "pods_of",
            Self::Changed { .. } => "changed",
            Self::Nodes(_) => "nodes",
            Self::Probe { .. } => "probe",
            Self::Stamp { .. } => "stamp",
            Self::Evict { .. } => "evict",
            Self::Lease { .. } => "lease",
            Self::WriteLease { .. } => "write_lease",
            Self::DeleteLease { .. } => "delete_lease",
        }
    }

    /// Which service is called.
    #[must_use]
    pub fn service(&self) -> Service {
        match self {
            Self::Caller | Self::TrustQuota | Self::Providers | Self::Roles | Self::Role(_) | Self::SetTrust { .. } => {
                Service::Iam
            }
            Self::ClusterFacts(_)
            | Self::AgentAddon(_)
            | Self::Addons(_)
            | Self::Associations(_)
            | Self::Association { .. }
            | Self::AssociationOf(_)
            | Self::CreateAssociation(_)
            | Self::DeleteAssociation { .. } => Service::Eks,
            Self::OwnIssuer(_)
            | Self::ApiServers(_)
            | Self::ServiceAccounts(_)
            | Self::ServiceAccount(_)
            | Self::Workloads { .. }
            | Self::Workload { .. }
            | Self::Pods(_)
            | Self::PodsOf(_)
            | Self::Changed { .. }
            | Self::Nodes(_)
            | Self::Probe { .. }
            | Self::Stamp { .. }
            | Self::Evict { .. }
            | Self::Lease { .. }
            | Self::WriteLease { .. }
            | Self::DeleteLease { .. } => Service::Kubernetes,
        }
    }

    /// Whether it changes what others rely on. A lease is our own affair, and a probe makes nothing.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::SetTrust { .. }
                | Self::CreateAssociation(_)
                | Self::DeleteAssociation { .. }
                | Self::Stamp { .. }
                | Self::Evict { .. }
        )
    }

    /// Whether it tells of the very thing that a write is about to change.
    #[must_use]
    pub fn decides_a_write(&self) -> bool {
        matches!(
            self,
            Self::Role(_) | Self::AssociationOf(_) | Self::ServiceAccount(_) | Self::Workload { .. } | Self::PodsOf(_)
        )
    }

    /// The cluster that is asked, or asked about.
    #[must_use]
    pub fn cluster(&self) -> Option<&ClusterArn> {
        match self {
            Self::Caller | Self::TrustQuota | Self::Providers | Self::Roles | Self::Role(_) | Self::SetTrust { .. } => {
                None
            }
            Self::ClusterFacts(cluster)
            | Self::AgentAddon(cluster)
            | Self::Addons(cluster)
            | Self::Associations(cluster)
            | Self::OwnIssuer(cluster)
            | Self::ApiServers(cluster)
            | Self::ServiceAccounts(cluster)
            | Self::Pods(cluster)
            | Self::Nodes(cluster)
            | Self::Association { cluster, .. }
            | Self::DeleteAssociation { cluster, .. }
            | Self::Workloads { cluster, .. }
            | Self::Workload { cluster, .. }
            | Self::Stamp { cluster, .. }
            | Self::Evict { cluster, .. }
            | Self::Lease { cluster, .. }
            | Self::WriteLease { cluster, .. }
            | Self::DeleteLease { cluster, .. } => Some(cluster),
            Self::AssociationOf(subject) | Self::ServiceAccount(subject) | Self::PodsOf(subject) => {
                Some(&subject.cluster)
            }
            Self::Probe { subject, .. } | Self::Changed { subject, .. } => Some(&subject.cluster),
            Self::CreateAssociation(new) => Some(&new.subject.cluster),
        }
    }
}

/// What the world says to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "one for each type that the ports give back")]
pub enum Reply {
    Done(()),
    Caller(Caller),
    Number(u32),
    Providers(Vec<Provider>),
    Roles(Vec<Role>),
    Role(Role),
    ClusterFacts(ClusterFacts),
    AgentAddon(Option<Addon>),
    Addons(Vec<AddonUse>),
    Associations(Vec<Association>),
    Association(Association),
    AssociationOf(Option<Association>),
    Issuer(Issuer),
    ServiceAccounts(Vec<ServiceAccount>),
    ServiceAccount(Option<ServiceAccount>),
    Workloads(Vec<Workload>),
    Workload(Option<WorkloadNow>),
    Pods(Vec<Pod>),
    Nodes(Vec<Node>),
    Probe(Probe),
    Lease(Option<Lease>),
    WrittenLease(Lease),
}
