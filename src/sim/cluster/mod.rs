//! A Kubernetes cluster: its objects, how pods are admitted, and what its controllers do.
//!
//! Not modelled: scheduling by resources, volumes, autoscalers of nodes, surge of DaemonSets,
//! `maxUnavailable` of StatefulSets, Jobs that are retried, containers (a pod is one).

mod admit;
mod control;
mod objects;
mod serve;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use objects::{Budget, BudgetRule, NeverReady, Template, Workload};

pub(crate) use admit::{AUDIENCE, Context, Ids};
pub(crate) use objects::Pod;

use crate::inventory::{AddonUse, Association, ClusterFacts, Node, ServiceAccount, WorkloadRef};
use crate::model::{ClusterArn, Issuer};
use crate::ports::{Lease, NewAssociation};
use crate::sim::versioned::Versioned;

/// Namespace and name.
pub(crate) type Key = (String, String);

/// A cluster, from both sides.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) env: Environment,
    pub(crate) workloads: BTreeMap<WorkloadRef, Workload>,
    /// Pods that nobody owns.
    pub(crate) bare: Vec<Pod>,
    /// When something happens next by itself; `None` where that has to be found out.
    pub(crate) settled_until: Option<Timestamp>,
}

/// All of a cluster but its workloads and pods: what admission looks at.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) arn: ClusterArn,
    pub(crate) facts: ClusterFacts,
    /// The issuer that the API server itself names.
    pub(crate) own_issuer: Issuer,
    pub(crate) api_servers: u32,
    pub(crate) addons: BTreeMap<String, AddonUse>,
    pub(crate) associations: BTreeMap<Key, Versioned<Association>>,
    /// Idempotency tokens that were used, with their requests.
    pub(crate) tokens: BTreeMap<String, NewAssociation>,
    pub(crate) association_quota: usize,
    pub(crate) service_accounts: BTreeMap<Key, Versioned<ServiceAccount>>,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// Namespaces whose pods a Fargate profile takes.
    pub(crate) fargate: BTreeSet<String>,
    pub(crate) budgets: Vec<Budget>,
    /// ResourceQuotas on the number of pods, by namespace.
    pub(crate) quotas: BTreeMap<String, u32>,
    /// What Pod Security or another webhook says to every new pod of a namespace.
    pub(crate) rejections: BTreeMap<String, String>,
    /// The webhook is registered with `failurePolicy: Ignore`: pods are admitted as they are.
    pub(crate) webhook_down: bool,
    /// When it last stopped answering.
    pub(crate) webhook_went_down: Option<Timestamp>,
    pub(crate) leases: BTreeMap<Key, Lease>,
    pub(crate) lease_version: u64,
}

impl Cluster {
    /// Lets controllers do all that there is to do at this moment. Whether there was anything.
    pub(crate) fn settle(&mut self, context: &mut Context<'_>) -> bool {
        context.count_pods(self.workloads.values().flat_map(|it| &it.pods).chain(&self.bare));
        let now = context.now;
        let bare = self.bare.len();
        self.bare.retain(|it| it.gone_at.is_none_or(|at| at > now));
        let mut changed = self.bare.len() != bare;
        for pod in &mut self.bare {
            changed |= control::become_ready(pod, false, &self.env, context);
        }
        for workload in self.workloads.values_mut() {
            while control::reconcile(workload, &self.env, context) {
                workload.progress_at = now;
                changed = true;
            }
        }
        let pods = self.bare.iter().flat_map(Pod::due);
        let due = self.workloads.values().flat_map(Workload::due).chain(pods).filter(|it| *it > now).min();
        self.settled_until = Some(due.unwrap_or(Timestamp::MAX));
        changed
    }

    /// Something changed: controllers have to look again.
    pub(crate) fn touch(&mut self) {
        self.settled_until = None;
    }

    /// Every pod, with its workload.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (Option<&Workload>, &Pod)> {
        let owned = self.workloads.values().flat_map(|it| it.pods.iter().map(move |pod| (Some(it), pod)));
        owned.chain(self.bare.iter().map(|it| (None, it)))
    }
}
