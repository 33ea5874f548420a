//! Workloads and pods: who runs as a ServiceAccount, and how it is restarted.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of object that own pods, and the pod that nobody owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// apps/v1.
    Deployment,
    /// apps/v1.
    StatefulSet,
    /// apps/v1.
    DaemonSet,
    /// apps/v1, and of no Deployment.
    ReplicaSet,
    /// v1.
    ReplicationController,
    /// batch/v1, and of no CronJob.
    Job,
    /// batch/v1.
    CronJob,
}

impl WorkloadKind {
    /// Every kind, in the order that they are listed in.
    pub const ALL: [Self; 7] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::CronJob,
    ];

    /// The kind's name in Kubernetes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which workload, within a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The controller in an object's owner references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnerRef {
    /// Such as `ReplicaSet` or `Rollout`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// How a workload replaces its pods once its template changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Some at a time, new before old or old before new.
    RollingUpdate,
    /// A Deployment that stops all pods before it starts the new ones.
    Recreate,
    /// Only when somebody deletes a pod.
    OnDelete,
    /// The kind replaces no pod by itself: ReplicaSet, ReplicationController, Job, CronJob.
    None,
}

/// A workload: the facts that decide how it moves. Never its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Which one.
    #[serde(flatten)]
    pub at: WorkloadRef,
    /// Its UID.
    pub uid: String,
    /// The ServiceAccount of its pods (`default` where the template names none).
    pub service_account: String,
    /// How many pods it wants; for a DaemonSet, on how many nodes; for a Job, its parallelism.
    pub replicas: u32,
    /// How it replaces its pods.
    pub strategy: Strategy,
    /// Pods it takes at a time in a roll-out: unavailable and surge together, at least 1.
    pub at_a_time: u32,
    /// A paused Deployment; a suspended Job or CronJob.
    pub paused: bool,
    /// A StatefulSet's partition: pods below it are not rolled.
    pub partition: u32,
    /// Seconds after which Kubernetes itself calls a roll-out failed.
    pub progress_deadline_seconds: Option<u32>,
    /// The controller that owns it: Argo Rollouts, an operator.
    pub controller: Option<OwnerRef>,
    /// Where its pods may run.
    pub node_selector: BTreeMap<String, String>,
    /// Names, never values, of `AWS_*` variables in its containers.
    pub aws_env: Vec<String>,
    /// Containers that the annotation `eks.amazonaws.com/skip-containers` exempts.
    pub skip_containers: Vec<String>,
    /// Whether its pods carry the label that keeps the webhook away.
    pub skips_webhook: bool,
    /// The template annotation `irsa-migrate/restart`, if any: a stamp of ours.
    pub stamp: Option<String>,
    /// A CronJob's schedule.
    pub schedule: Option<String>,
}

/// How a pod gets its AWS credentials, told by what the webhook put into it at admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// A web identity token and this role.
    Irsa(String),
    /// The Pod Identity agent.
    PodIdentity,
    /// Both, which the webhook never does: somebody set one of them by hand.
    Both,
    /// Neither.
    None,
}

impl Mode {
    /// Whether it is IRSA, whatever the role.
    #[must_use]
    pub fn is_irsa(&self) -> bool {
        matches!(self, Self::Irsa(_))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Irsa(_) => "IRSA",
            Self::PodIdentity => "Pod Identity",
            Self::Both => "both",
            Self::None => "none",
        })
    }
}

/// A pod that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its ServiceAccount.
    pub service_account: String,
    /// The node it was bound to.
    pub node: Option<String>,
    /// How it gets its credentials: settled at admission, for good.
    pub mode: Mode,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it is on its way out.
    pub terminating: bool,
    /// Restarts of all its containers.
    pub restarts: u32,
    /// When it was admitted.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// The workload at the top of its owners, a Deployment rather than its ReplicaSet; none for a bare pod.
    pub workload: Option<WorkloadRef>,
    /// The controller right above it. `None` for a bare pod.
    pub controller: Option<OwnerRef>,
    /// Names of the budgets that cover it, with how many disruptions each allows now.
    pub budgets: BTreeMap<String, u32>,
    /// Whether it carries the label that keeps the webhook away.
    pub skips_webhook: bool,
}
