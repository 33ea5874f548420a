//! The machines that its pods run on, and the agent there.

use std::collections::{BTreeMap, BTreeSet};

use super::about_cluster::has_agent;
use super::checks::{Place, names, need, unread};
use super::{Code, Explanation, Finding, Severity};
use crate::inventory::{AgentOnNode, Compute, Node, Seen, Workload};

const AGENT: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html";
const RESTRICTIONS: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html";

pub(super) const AGENT_ABSENT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "no Pod Identity agent where its pods run",
    meaning: "A node that runs a pod of this ServiceAccount has no Pod Identity agent, or no agent is in the cluster \
              at all.",
    why: "The agent hands out the credentials. A pod on Pod Identity without it gets none, and may fall back to the \
          node's role.",
    remedy: "Install the add-on `eks-pod-identity-agent`, and see that its DaemonSet runs on these nodes; then scan \
             again.",
    sources: &[AGENT],
};

pub(super) const AGENT_NOT_READY: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the Pod Identity agent is not Ready where its pods run",
    meaning: "The agent's pod on a node that runs a pod of this ServiceAccount is not Ready.",
    why: "The agent hands out the credentials. A pod on Pod Identity gets none while it is down.",
    remedy: "Look at the agent's pod on the node: a common cause is IPv6 switched off on the node, which needs the \
             agent's `-b 169.254.170.23`; another is a used host port 80. Then scan again.",
    sources: &[AGENT, "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-config-ipv6.html"],
};

pub(super) const AGENT_NOT_EVERYWHERE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "a node that its pods may move to has no Ready agent",
    meaning: "The workload's node selector allows a Ready node without a Ready Pod Identity agent. None of its pods \
              runs there now; taints and affinity are not looked at.",
    why: "A pod that is rescheduled there gets no credentials.",
    remedy: "See that the agent runs on that node. If taints or affinity keep the workload away from it, waive this \
             finding.",
    sources: &[AGENT],
};

pub(super) const FARGATE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "pods on Fargate",
    meaning: "A pod of this ServiceAccount runs on Fargate, or its workload asks for it.",
    why: "Pod Identity does not work on Fargate, and the webhook does not look at the node: with an association it \
          would give these pods Pod Identity all the same, and they would have no credentials.",
    remedy: "Leave it on IRSA, or move its workloads to EC2 nodes. If only some of them are on Fargate, give those a \
             ServiceAccount of their own.",
    sources: &[RESTRICTIONS, "https://github.com/aws/containers-roadmap/issues/2274"],
};

pub(super) const WINDOWS: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "pods on Windows",
    meaning: "A pod of this ServiceAccount runs on a Windows node, or its workload asks for one.",
    why: "Pod Identity does not work on Windows, and the webhook does not look at the node: with an association it \
          would give these pods Pod Identity all the same, and they would have no credentials.",
    remedy: "Leave it on IRSA. If only some of its workloads run on Windows, give those a ServiceAccount of their own.",
    sources: &[RESTRICTIONS],
};

pub(super) const HYBRID: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "pods on hybrid nodes",
    meaning: "A pod of this ServiceAccount runs on a hybrid node.",
    why: "Hybrid nodes need the agent's own hybrid DaemonSet, from add-on version v1.3.3-eksbuild.1 on, and \
          `enableCredentialsFile: true` in the node's configuration. The latter cannot be seen from here.",
    remedy: "See that `enableCredentialsFile` is set on these nodes before this ServiceAccount moves.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-add-ons.html"],
};

pub(super) const UNKNOWN: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a pod on a node that was not seen",
    meaning: "A pod of this ServiceAccount is bound to a node that is not among the nodes that were listed.",
    why: "Whether the agent runs there, or whether the node is Fargate, cannot be told.",
    remedy: "Scan again: the node was probably created or deleted while the scan ran.",
    sources: &[],
};

/// Whether pods of this ServiceAccount would find an agent, where they run and where they may.
pub(super) fn checks(place: &Place<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    if need(&place.cluster.nodes, &place.target(), "the cluster's nodes", &mut out).is_none() {
        return out;
    }
    let nodes = place.nodes();
    let mut unseen = BTreeMap::new();
    let running = where_they_run(place, nodes, &mut unseen, &mut out);
    where_they_may(place, nodes, &running, &mut unseen, &mut out);
    // One failed list of pods leaves the agent of every node unseen: one finding for each cause.
    out.extend(unseen.into_iter().map(|(why, on)| unread(place.target(), &format!("the agent on {}", names(on)), why)));
    out
}

/// Nodes whose agent was not seen, by the cause.
type Unseen<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Notes that the agent of a node which needs one was not seen.
fn note_unseen<'a>(node: &'a Node, unseen: &mut Unseen<'a>) {
    if let Seen::Unseen(why) = &node.agent
        && needs_agent(node)
    {
        unseen.entry(why).or_default().insert(&node.name);
    }
}

/// The nodes that run its pods now. Pods that the webhook skips need no agent.
fn where_they_run<'a>(
    place: &Place<'a>,
    nodes: &BTreeMap<&str, &'a Node>,
    unseen: &mut Unseen<'a>,
    out: &mut Vec<Finding>,
) -> BTreeSet<&'a str> {
    let mut found: BTreeMap<Code, BTreeSet<String>> = BTreeMap::new();
    let mut running = BTreeSet::new();
    for pod in place.pods().filter(|it| !it.skips_webhook) {
        let Some(name) = pod.node.as_deref() else { continue };
        let code = match nodes.get(name) {
            None => Some(Code::NodeUnknown),
            Some(node) => {
                running.insert(name);
                note_unseen(node, unseen);
                judge(node)
            }
        };
        if let Some(code) = code {
            found.entry(code).or_default().insert(format!("{} on {name}", pod.name));
        }
    }
    out.extend(found.into_iter().map(|(code, pods)| place.finding(code, format!("pods {}", names(pods)))));
    running
}

/// What is wrong with a node that runs its pods.
fn judge(node: &Node) -> Option<Code> {
    match node.compute {
        Compute::Fargate => return Some(Code::Fargate),
        Compute::Windows => return Some(Code::Windows),
        Compute::Auto | Compute::Ec2 | Compute::Hybrid => {}
    }
    match node.agent.get() {
        Some(AgentOnNode::Absent) if needs_agent(node) => Some(Code::AgentAbsent),
        Some(AgentOnNode::NotReady) if needs_agent(node) => Some(Code::AgentNotReady),
        Some(_) | None if node.compute == Compute::Hybrid => Some(Code::HybridNode),
        Some(_) | None => None,
    }
}

/// Auto Mode nodes have the agent built in, with no pod to look for.
fn needs_agent(node: &Node) -> bool {
    matches!(node.compute, Compute::Ec2 | Compute::Hybrid)
}

/// The nodes that its workloads may run on, by node selector. Fargate is left out: a node of
/// Fargate runs the one pod that it was made for. A pod that has run on Linux is not for Windows.
fn where_they_may<'a>(
    place: &Place<'_>,
    nodes: &BTreeMap<&str, &'a Node>,
    running: &BTreeSet<&str>,
    unseen: &mut Unseen<'a>,
    out: &mut Vec<Finding>,
) {
    let mut lacking = BTreeSet::new();
    let mut nowhere = place.workloads().next().is_none();
    for workload in place.workloads().filter(|it| !it.skips_webhook) {
        if let Some(code) = asks_for(workload) {
            out.push(place.finding(code, format!("the node selector of {} asks for it", workload.at)));
            continue;
        }
        let allowed = nodes.values().copied().filter(|it| {
            it.ready
                && !matches!(it.compute, Compute::Fargate | Compute::Windows)
                && workload.node_selector.iter().all(|(key, value)| it.labels.get(key) == Some(value))
        });
        let mut any = false;
        for node in allowed {
            any = true;
            if running.contains(node.name.as_str()) || !needs_agent(node) {
                continue;
            }
            match &node.agent {
                Seen::Seen(AgentOnNode::Ready | AgentOnNode::BuiltIn) => {}
                Seen::Seen(AgentOnNode::NotReady | AgentOnNode::Absent) => {
                    lacking.insert(node.name.clone());
                }
                Seen::Unseen(_) => note_unseen(node, unseen),
            }
        }
        nowhere |= !any;
    }
    if !lacking.is_empty() {
        let evidence = format!("no Ready agent on {}", names(lacking));
        out.push(place.finding(Code::AgentNotEverywhere, evidence));
    }
    if nowhere {
        // No node is there to judge by, such as before the first scale-up.
        match has_agent(place.cluster) {
            Ok(true) => {}
            Ok(false) => out.push(place.finding(Code::AgentAbsent, "no agent on any node, no add-on, no Auto Mode")),
            Err(why) => out.push(unread(place.target(), "the agent's add-on", why)),
        }
    }
}

/// What kind of machine a workload asks for, if Pod Identity does not work there.
fn asks_for(workload: &Workload) -> Option<Code> {
    let wants = |key: &str, value: &str| workload.node_selector.get(key).is_some_and(|it| it == value);
    if wants("eks.amazonaws.com/compute-type", "fargate") {
        Some(Code::Fargate)
    } else if wants("kubernetes.io/os", "windows") {
        Some(Code::Windows)
    } else {
        None
    }
}
