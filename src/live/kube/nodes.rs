//! Nodes, and the Pod Identity agent on each.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node as KubeNode, Pod as KubePod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::Plane;
use super::owners::{controller, kind_of};
use crate::inventory::{AgentOnNode, Compute, Node, Seen, WorkloadKind};
use crate::ports::Answer;

/// The label of the agent's pods, in the add-on and in the Helm chart alike.
const AGENT: &str = "app.kubernetes.io/name=eks-pod-identity-agent";

impl Plane {
    /// All nodes, each with the agent on it.
    pub(in crate::live) async fn nodes(&self) -> Answer<Vec<Node>> {
        let api: Api<KubeNode> = Api::all(self.client.clone());
        let nodes = self.list("list nodes", &api, ListParams::default(), Some).await?;
        let agents = self.agents().await;
        Ok(nodes.iter().map(|it| node(it, &agents)).collect())
    }

    /// The agent by node, or why it is not known. A node with two is as good as the better one.
    async fn agents(&self) -> Result<BTreeMap<String, AgentOnNode>, String> {
        let api: Api<KubePod> = Api::all(self.client.clone());
        let what = "list the Pod Identity agent's pods";
        let found = self.list(what, &api, ListParams::default().labels(AGENT), |it| agent(&it)).await;
        let mut agents = BTreeMap::new();
        for (node, agent) in found.map_err(|it| it.to_string())? {
            let best = agents.entry(node).or_insert(agent);
            if agent == AgentOnNode::Ready {
                *best = agent;
            }
        }
        Ok(agents)
    }
}

/// The node of an agent's pod, and how it is. A label alone makes no agent, for any tenant can set
/// it: the agent is a DaemonSet's, uses the node's own network, and runs in `kube-system` or from
/// an image of its name.
fn agent(it: &KubePod) -> Option<(String, AgentOnNode)> {
    let spec = it.spec.as_ref()?;
    let by_daemon_set = controller(&it.metadata).and_then(kind_of) == Some(WorkloadKind::DaemonSet);
    let by_image = spec.containers.iter().any(|it| it.image.iter().any(|it| it.contains("eks-pod-identity-agent")));
    let in_system = it.namespace().as_deref() == Some("kube-system");
    if !by_daemon_set || spec.host_network != Some(true) || !(in_system || by_image) {
        return None;
    }
    let conditions = it.status.as_ref().and_then(|it| it.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
    let here = ready && it.metadata.deletion_timestamp.is_none();
    Some((spec.node_name.clone()?, if here { AgentOnNode::Ready } else { AgentOnNode::NotReady }))
}

fn node(it: &KubeNode, agents: &Result<BTreeMap<String, AgentOnNode>, String>) -> Node {
    let compute = compute(it.labels());
    let agent = match (compute, agents) {
        (Compute::Auto, _) => Seen::Seen(AgentOnNode::BuiltIn),
        (_, Ok(agents)) => Seen::Seen(agents.get(&it.name_any()).copied().unwrap_or(AgentOnNode::Absent)),
        (_, Err(why)) => Seen::Unseen(why.clone()),
    };
    let conditions = it.status.as_ref().and_then(|it| it.conditions.as_ref());
    Node {
        name: it.name_any(),
        compute,
        ready: conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True"),
        labels: it.labels().clone(),
        agent,
    }
}

/// EKS labels the nodes that are not plain EC2 instances; Kubernetes labels each with its system.
fn compute(labels: &BTreeMap<String, String>) -> Compute {
    let label = |key: &str| labels.get(key).map(String::as_str);
    match (label("eks.amazonaws.com/compute-type"), label("kubernetes.io/os")) {
        (_, Some("windows")) => Compute::Windows,
        (Some("fargate"), _) => Compute::Fargate,
        (Some("hybrid"), _) => Compute::Hybrid,
        (Some("auto"), _) => Compute::Auto,
        _ => Compute::Ec2,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn labels(text: &[(&str, &str)]) -> BTreeMap<String, String> {
        text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn kinds_of_machine() {
        for (label, expected) in
            [("ec2", Compute::Ec2), ("auto", Compute::Auto), ("hybrid", Compute::Hybrid), ("fargate", Compute::Fargate)]
        {
            assert_eq!(compute(&labels(&[("eks.amazonaws.com/compute-type", label)])), expected);
        }
        assert_eq!(compute(&labels(&[("kubernetes.io/os", "windows")])), Compute::Windows);
        assert_eq!(compute(&labels(&[("kubernetes.io/os", "linux")])), Compute::Ec2);
    }

    fn pod(change: impl Fn(&mut Value)) -> KubePod {
        let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "a", "uid": "u", "controller": true});
        let mut pod = json!({
            "metadata": {"name": "a-1", "namespace": "kube-system", "ownerReferences": [owner]},
            "spec": {"hostNetwork": true, "nodeName": "n1", "containers": [{"name": "a", "image": "x/eks-pod-identity-agent:v1"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn an_agent_is_more_than_its_label() {
        let ready = Some(("n1".to_owned(), AgentOnNode::Ready));
        assert_eq!(agent(&pod(|_| {})), ready);
        assert_eq!(agent(&pod(|it| it["spec"]["containers"][0]["image"] = json!("mirror/x:1"))), ready);
        assert_eq!(agent(&pod(|it| it["metadata"]["namespace"] = json!("agents"))), ready);
        let not_ready = Some(("n1".to_owned(), AgentOnNode::NotReady));
        assert_eq!(agent(&pod(|it| it["status"] = json!({}))), not_ready);
        assert_eq!(agent(&pod(|it| it["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:00Z"))), not_ready);

        assert_eq!(agent(&pod(|it| it["spec"]["hostNetwork"] = json!(false))), None);
        assert_eq!(agent(&pod(|it| it["metadata"]["ownerReferences"] = json!([]))), None);
        let foreign = |it: &mut Value| {
            it["metadata"]["namespace"] = json!("tenant");
            it["spec"]["containers"][0]["image"] = json!("nginx");
        };
        assert_eq!(agent(&pod(foreign)), None);
    }

    #[test]
    fn where_the_pods_could_not_be_listed_nothing_is_guessed() {
        let of = |labels: Value, agents| {
            let it = serde_json::from_value(json!({"metadata": {"name": "n1", "labels": labels}})).unwrap();
            node(&it, &agents).agent
        };
        let auto = json!({"eks.amazonaws.com/compute-type": "auto"});
        assert_eq!(of(json!({}), Err("denied".to_owned())), Seen::Unseen("denied".into()));
        assert_eq!(of(auto, Err("denied".to_owned())), Seen::Seen(AgentOnNode::BuiltIn));
        assert_eq!(of(json!({}), Ok(BTreeMap::new())), Seen::Seen(AgentOnNode::Absent));
    }
}
