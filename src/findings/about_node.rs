//! The machines that its pods run on, and the agent there.

use super::{Explanation, Severity};

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
