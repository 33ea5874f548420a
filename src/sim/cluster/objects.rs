//! What a cluster holds: templates, workloads, pods, budgets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::inventory::{self, Mode, OwnerRef, Strategy, WorkloadKind, WorkloadRef};
use crate::sim::versioned::Versioned;

/// The parts of a pod template that decide something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// The ServiceAccount of its pods.
    pub service_account: String,
    /// Whatever else people deploy: a changed image starts a roll-out like any change.
    pub image: String,
    /// The annotation `irsa-migrate/restart`.
    pub stamp: Option<String>,
    /// Where pods may run.
    pub node_selector: BTreeMap<String, String>,
    /// Names of `AWS_*` variables set by hand.
    pub aws_env: Vec<String>,
    /// The value of `AWS_ROLE_ARN`, where that is set by hand.
    pub role_by_hand: Option<String>,
    /// The annotation `eks.amazonaws.com/skip-containers`; pods here have one more container than these.
    pub skip_containers: Vec<String>,
    /// The label `eks.amazonaws.com/skip-pod-identity-webhook`.
    pub skips_webhook: bool,
}

/// Pods that never become Ready, though they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeverReady {
    /// Every pod that is admitted from now on.
    New,
    /// Pods on Pod Identity: an SDK that is too old.
    OnPodIdentity,
    /// Pods of one image.
    Image(String),
}

/// A ReplicaSet of a Deployment, or a ControllerRevision.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) template: Template,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// How many pods a Deployment wants of it.
    pub(crate) want: u32,
}

/// A workload with its pods.
#[derive(Debug, Clone)]
pub struct Workload {
    pub(crate) at: WorkloadRef,
    pub(crate) uid: String,
    /// Pods wanted; a DaemonSet has as many as there are nodes for it.
    pub replicas: u32,
    /// How pods are replaced.
    pub strategy: Strategy,
    /// Pods above `replicas` during a roll-out.
    pub surge: u32,
    /// Pods below `replicas` during a roll-out.
    pub unavailable: u32,
    /// A paused Deployment; a suspended Job or CronJob.
    pub paused: bool,
    /// A StatefulSet's partition.
    pub partition: u32,
    /// A StatefulSet whose pods come and go all at once (`podManagementPolicy: Parallel`).
    pub parallel: bool,
    /// Kubernetes' default for a Deployment is 600.
    pub progress_deadline_seconds: Option<u32>,
    /// An owner above it.
    pub controller: Option<OwnerRef>,
    /// A CronJob's schedule, as text.
    pub schedule: Option<String>,
    /// How often a CronJob runs.
    pub every: Duration,
    /// How long a Job's pod runs.
    pub run_time: Duration,
    /// How long a pod takes to become Ready.
    pub ready_after: Duration,
    /// Whether a pod becomes Ready only once it has got credentials.
    pub needs_credentials: bool,
    /// Pods that never become Ready.
    pub never_ready: Option<NeverReady>,
    /// The template as it stands.
    pub template: Template,
    /// Every stamp that its template had, and by whom.
    pub(crate) stamps: Versioned<String>,
    /// When somebody else last edited it.
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) revisions: Vec<Revision>,
    /// The revision that a StatefulSet rolls away from.
    pub(crate) current: usize,
    pub(crate) pods: Vec<Pod>,
    /// When its controller notices the last change of the object.
    pub(crate) observed_at: Timestamp,
    /// When its controller tries again to make a pod that was refused.
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) progress_at: Timestamp,
    pub(crate) next_fire: Option<Timestamp>,
    pub(crate) finished: u32,
}

impl Workload {
    pub(crate) fn new(at: WorkloadRef, uid: String, template: Template, replicas: u32, now: Timestamp) -> Self {
        let rolls = matches!(at.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet);
        let deployment = at.kind == WorkloadKind::Deployment;
        Self {
            at,
            uid,
            replicas,
            strategy: if rolls { Strategy::RollingUpdate } else { Strategy::None },
            surge: u32::from(deployment),
            unavailable: u32::from(rolls && !deployment),
            paused: false,
            partition: 0,
            parallel: false,
            progress_deadline_seconds: deployment.then_some(600),
            controller: None,
            schedule: None,
            every: Duration::from_hours(1),
            run_time: Duration::from_mins(2),
            ready_after: Duration::from_secs(3),
            needs_credentials: false,
            never_ready: None,
            stamps: Versioned::since_ever(template.stamp.clone()),
            edited_at: None,
            template,
            revisions: Vec::new(),
            current: 0,
            pods: Vec::new(),
            observed_at: now,
            retry_at: None,
            progress_at: now,
            next_fire: None,
            finished: 0,
        }
    }

    /// The revision of the template as it stands, if the controller has made one.
    pub(crate) fn newest(&self) -> Option<usize> {
        self.revisions.iter().position(|it| it.template == self.template)
    }

    /// One more revision, with the template as it stands.
    pub(crate) fn add_revision(&mut self, name: String, uid: String) {
        self.revisions.push(Revision { template: self.template.clone(), name, uid, want: 0 });
    }

    /// Its pods that are not on their way out.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|it| it.gone_at.is_none())
    }

    pub(crate) fn living_of(&self, revision: usize) -> usize {
        self.living().filter(|it| it.revision == revision).count()
    }

    pub(crate) fn ready_of(&self, revision: usize) -> usize {
        self.living().filter(|it| it.revision == revision && it.ready).count()
    }

    /// The object's facts, as a scan tells them.
    pub(crate) fn facts(&self) -> inventory::Workload {
        let rolls = self.strategy == Strategy::RollingUpdate;
        inventory::Workload {
            at: self.at.clone(),
            uid: self.uid.clone(),
            service_account: self.template.service_account.clone(),
            replicas: self.replicas,
            strategy: self.strategy,
            at_a_time: match self.strategy {
                Strategy::RollingUpdate => (self.surge + self.unavailable).max(1),
                Strategy::Recreate => self.replicas.max(1),
                Strategy::OnDelete | Strategy::None => 1,
            },
            paused: self.paused,
            partition: if rolls { self.partition } else { 0 },
            progress_deadline_seconds: self.progress_deadline_seconds,
            controller: self.controller.clone(),
            node_selector: self.template.node_selector.clone(),
            aws_env: self.template.aws_env.clone(),
            skip_containers: self.template.skip_containers.clone(),
            skips_webhook: self.template.skips_webhook,
            stamp: self.template.stamp.clone(),
            schedule: self.schedule.clone(),
        }
    }

    /// The controller right above one of its pods: a ReplicaSet for a Deployment, or itself.
    pub(crate) fn controller_of(&self, pod: &Pod) -> OwnerRef {
        match self.revisions.get(pod.revision) {
            Some(it) if self.at.kind == WorkloadKind::Deployment => {
                OwnerRef { kind: "ReplicaSet".into(), name: it.name.clone(), uid: it.uid.clone() }
            }
            Some(_) | None => {
                OwnerRef { kind: self.at.kind.to_string(), name: self.at.name.clone(), uid: self.uid.clone() }
            }
        }
    }
}

/// A pod that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) service_account: String,
    /// The audience of its web identity token.
    pub(crate) audience: String,
    pub(crate) node: Option<String>,
    /// Settled at admission, for good.
    pub(crate) mode: Mode,
    pub(crate) skips_webhook: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) ready: bool,
    /// When it becomes Ready, or tries to; `None` for never.
    pub(crate) ready_at: Option<Timestamp>,
    /// When a Job's pod ends.
    pub(crate) ends_at: Option<Timestamp>,
    /// On its way out, and gone at this moment.
    pub(crate) gone_at: Option<Timestamp>,
    pub(crate) restarts: u32,
    /// Its template's place among its workload's revisions.
    pub(crate) revision: usize,
    /// A StatefulSet's ordinal.
    pub(crate) ordinal: u32,
    /// The controller right above it, where that is neither its workload nor a ReplicaSet: the Job
    /// of a CronJob, or one of a kind that is not modelled.
    pub(crate) controller: Option<OwnerRef>,
    /// Whether it ever got credentials: whether it worked at birth.
    pub(crate) worked: bool,
}

impl Pod {
    /// The moments at which something happens to it by itself.
    pub(crate) fn due(&self) -> impl Iterator<Item = Timestamp> {
        let ready = if self.ready || self.gone_at.is_some() { None } else { self.ready_at };
        [ready, self.ends_at, self.gone_at].into_iter().flatten()
    }
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The workloads whose pods it selects.
    pub covers: BTreeSet<WorkloadRef>,
    /// What it asks for.
    pub rule: BudgetRule,
}

/// What a PodDisruptionBudget asks for, in pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetRule {
    /// `minAvailable`.
    MinAvailable(u32),
    /// `maxUnavailable`.
    MaxUnavailable(u32),
}
