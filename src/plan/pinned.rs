//! Facts of a workload that a unit was planned on, and how the workload moves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::{Strategy, Workload, WorkloadKind, WorkloadRef};

/// How a workload's pods are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Move {
    /// A stamp in its template: its controller rolls it.
    Roll,
    /// Evictions, one pod at a time: its controller does not roll.
    Evict,
    /// Nothing of ours: its owner restarts it, and we wait.
    ByOwner,
}

impl Move {
    /// How a workload moves that nobody else restarts; `None` for batch, which never moves.
    pub(super) fn of(kind: WorkloadKind, strategy: Strategy, partition: u32) -> Option<Self> {
        match kind {
            WorkloadKind::Job | WorkloadKind::CronJob => return None,
            WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => {}
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {}
        }
        Some(match strategy {
            Strategy::RollingUpdate if partition == 0 => Self::Roll,
            Strategy::Recreate => Self::Roll,
            Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None => Self::Evict,
        })
    }
}

/// A workload as it was when the unit was planned. Never its image, never its replicas as a
/// condition: those change every day and decide nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PinnedWorkload {
    /// Which one.
    pub workload: WorkloadRef,
    /// Pinned: its UID.
    pub uid: String,
    /// Pinned: how it replaces its pods.
    pub strategy: Strategy,
    /// Pinned: whether it is paused.
    pub paused: bool,
    /// Pinned: a StatefulSet's partition.
    pub partition: u32,
    /// Pinned: where its pods may run.
    pub node_selector: BTreeMap<String, String>,
    /// Pinned: names of `AWS_*` variables in its containers.
    pub aws_env: Vec<String>,
    /// How it moves.
    pub moves: Move,
    /// Shown: how many pods it had.
    pub replicas: u32,
}

impl PinnedWorkload {
    /// Pins what decides, of a workload as it stands.
    #[must_use]
    pub fn of(workload: &Workload, moves: Move) -> Self {
        Self {
            workload: workload.at.clone(),
            uid: workload.uid.clone(),
            strategy: workload.strategy,
            paused: workload.paused,
            partition: workload.partition,
            node_selector: workload.node_selector.clone(),
            aws_env: workload.aws_env.clone(),
            moves,
            replicas: workload.replicas,
        }
    }

    /// What of the pinned facts is no longer so; empty if all are.
    #[must_use]
    pub fn moved(&self, now: &Workload) -> Vec<String> {
        let mut moved = Vec::new();
        let mut compare = |what: &str, same: bool, was: String, is: String| {
            if !same {
                moved.push(format!("{what} was {was} and is {is}"));
            }
        };
        compare("UID", self.uid == now.uid, self.uid.clone(), now.uid.clone());
        let (was, is) = (format!("{:?}", self.strategy), format!("{:?}", now.strategy));
        compare("strategy", self.strategy == now.strategy, was, is);
        compare("paused", self.paused == now.paused, self.paused.to_string(), now.paused.to_string());
        let (was, is) = (self.partition.to_string(), now.partition.to_string());
        compare("partition", self.partition == now.partition, was, is);
        let (was, is) = (format!("{:?}", self.node_selector), format!("{:?}", now.node_selector));
        compare("node selector", self.node_selector == now.node_selector, was, is);
        let (was, is) = (format!("{:?}", self.aws_env), format!("{:?}", now.aws_env));
        compare("AWS_* variables", self.aws_env == now.aws_env, was, is);
        moved
    }
}
