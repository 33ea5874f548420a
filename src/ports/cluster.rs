//! Kubernetes: the API servers of every cluster in scope.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::Answer;
use crate::inventory::{Mode, Node, Pod, ServiceAccount, Workload, WorkloadKind, WorkloadRef};
use crate::model::{ClusterArn, Issuer, Subject};

/// What a probe found: a Pod create that is only a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The pod would have been admitted, in this mode.
    Admitted(Mode),
    /// The pod would have been refused: by a quota, Pod Security, another webhook. It says
    /// nothing about the mode.
    Rejected(String),
}

/// How far a workload's roll-out is, judged by its controller's own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout {
    /// Pods wanted.
    pub wanted: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods that are Ready.
    pub ready: u32,
    /// The controller has seen the newest template, all pods are of it, all are available,
    /// and none of an older one is left.
    pub complete: bool,
    /// The controller itself has given up (`ProgressDeadlineExceeded`).
    pub failed: bool,
}

/// A workload as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadNow {
    /// Its facts.
    pub workload: Workload,
    /// Its roll-out.
    pub rollout: Rollout,
}

/// What somebody who waits has seen last.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Whose pods.
    pub subject: &'a Subject,
    /// All its pods that had not ended.
    pub pods: &'a [Pod],
    /// A workload of it, if that matters too.
    pub workload: Option<&'a WorkloadNow>,
}

/// What of a pod is waited for: its UID, whether it is Ready, and whether it is on its way out.
pub type PodSight = (String, bool, bool);

impl Sight<'_> {
    /// Its pods, as far as they are waited for.
    #[must_use]
    pub fn pods(&self) -> BTreeSet<PodSight> {
        self.pods.iter().map(|it| (it.uid.clone(), it.ready, it.terminating)).collect()
    }
}

/// A change of the template annotation `irsa-migrate/restart`, and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamping {
    /// Whose template.
    pub workload: WorkloadRef,
    /// The workload's UID: the change is refused (`Conflict`) on another object of the same name.
    pub uid: String,
    /// The value that must be there (`Conflict` if not); `None` for no annotation.
    pub before: Option<String>,
    /// The value to leave; `None` takes the annotation away.
    pub after: Option<String>,
}

/// The version of a lease as the API server counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseVersion(pub String);

/// A Lease (coordination.k8s.io/v1): who may write to this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; empty if nobody.
    pub holder: String,
    /// How long it counts after a renewal.
    pub duration_seconds: u32,
    /// When it was last renewed, by the holder's clock.
    pub renewed_at: Timestamp,
    /// Its version, for a write that must find it unchanged.
    pub version: LeaseVersion,
}

/// Kubernetes, of every cluster in scope.
pub trait Cluster {
    /// The issuer that the API server itself names.
    async fn own_issuer(&self, cluster: &ClusterArn) -> Answer<Issuer>;

    /// How many API servers there are, told by their leases in `kube-system`. Never 0: no lease
    /// in sight is `NotFound`.
    async fn api_servers(&self, cluster: &ClusterArn) -> Answer<u32>;

    /// All ServiceAccounts, with the labels of their namespaces added to their own.
    async fn service_accounts(&self, cluster: &ClusterArn) -> Answer<Vec<ServiceAccount>>;

    /// One ServiceAccount.
    async fn service_account(&self, subject: &Subject) -> Answer<Option<ServiceAccount>>;

    /// All workloads of one kind; ReplicaSets of a Deployment and Jobs of a CronJob are left out.
    /// Within one namespace, or in all.
    async fn workloads(
        &self,
        cluster: &ClusterArn,
        kind: WorkloadKind,
        namespace: Option<&str>,
    ) -> Answer<Vec<Workload>>;

    /// One workload, with its roll-out.
    async fn workload(&self, cluster: &ClusterArn, at: &WorkloadRef) -> Answer<Option<WorkloadNow>>;

    /// All pods that have not ended.
    async fn pods(&self, cluster: &ClusterArn) -> Answer<Vec<Pod>>;

    /// The pods of one ServiceAccount that have not ended.
    async fn pods_of(&self, subject: &Subject) -> Answer<Vec<Pod>>;

    /// Returns once a pod came, went, or changed whether it is Ready or on its way out, or the
    /// workload's facts or roll-out changed, and at the latest after this time. It may also return for
    /// nothing: what there is now is for the caller to read.
    async fn changed(&self, seen: Sight<'_>, at_most: Duration) -> Answer<()>;

    /// All nodes, each with the agent on it.
    async fn nodes(&self, cluster: &ClusterArn) -> Answer<Vec<Node>>;

    /// Asks one API server, over a connection of its own, how it would admit a pod of this
    /// ServiceAccount now: with the template of this workload, or a plain pod that conforms to
    /// Pod Security `restricted`. Always a dry run; nothing is ever made.
    async fn probe(&self, subject: &Subject, template: Option<&WorkloadRef>) -> Answer<Probe>;

    /// Changes our annotation in a workload's template. A template that changes starts a roll-out.
    async fn stamp(&self, cluster: &ClusterArn, change: &Stamping) -> Answer<()>;

    /// Evicts one pod, by its UID, so that budgets are obeyed: `NotNow` if one forbids it.
    /// `NotFound` if the pod is gone already.
    async fn evict(&self, cluster: &ClusterArn, namespace: &str, pod: &str, uid: &str) -> Answer<()>;

    /// The lease of this name, if there is one.
    async fn lease(&self, cluster: &ClusterArn, namespace: &str, name: &str) -> Answer<Option<Lease>>;

    /// Takes or renews a lease: makes it where `found` is `None`, replaces the one of that
    /// version else. `Conflict` if somebody was faster. Gives the lease as it now stands.
    async fn write_lease(
        &self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        lease: &Lease,
        found: Option<&LeaseVersion>,
    ) -> Answer<Lease>;

    /// Deletes the lease of this version. `Conflict` if it is another's by now; `NotFound` if gone.
    async fn delete_lease(&self, cluster: &ClusterArn, namespace: &str, name: &str, found: &LeaseVersion)
    -> Answer<()>;
}
