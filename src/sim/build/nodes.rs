//! Nodes, and the agent on each.

use std::collections::BTreeMap;

use super::Builder;
use crate::inventory::{AgentOnNode, Compute, Node, Seen};
use crate::sim::aws::AGENT_ADDON;

impl Builder {
    /// One more node; its address is written with dashes.
    #[must_use]
    pub fn node(mut self, address: &str, compute: Compute, agent: AgentOnNode) -> Self {
        let prefix = if compute == Compute::Fargate { "fargate-ip" } else { "ip" };
        let name = format!("{prefix}-{address}.{}.compute.internal", self.region);
        let os = if compute == Compute::Windows { "windows" } else { "linux" };
        let mut labels = BTreeMap::from([("kubernetes.io/os".to_owned(), os.to_owned())]);
        let kind = match compute {
            Compute::Fargate => Some("fargate"),
            Compute::Auto => Some("auto"),
            Compute::Hybrid => Some("hybrid"),
            Compute::Ec2 | Compute::Windows => None,
        };
        labels.extend(kind.map(|it| ("eks.amazonaws.com/compute-type".to_owned(), it.to_owned())));
        let node = Node { name: name.clone(), compute, ready: true, labels, agent: Seen::Seen(agent) };
        self.here().env.nodes.insert(name, node);
        self
    }

    /// A Fargate profile that takes all pods of a namespace.
    #[must_use]
    pub fn fargate(mut self, namespace: &str) -> Self {
        self.here().env.fargate.insert(namespace.to_owned());
        if self.here().env.nodes.values().any(|it| it.compute == Compute::Fargate) {
            return self;
        }
        self.node("10-0-9-40", Compute::Fargate, AgentOnNode::Absent)
    }

    /// No agent: neither the add-on nor a pod on any node.
    #[must_use]
    pub fn without_agent(mut self) -> Self {
        let env = &mut self.here().env;
        env.addons.remove(AGENT_ADDON);
        for node in env.nodes.values_mut() {
            node.agent = Seen::Seen(AgentOnNode::Absent);
        }
        self
    }
}
