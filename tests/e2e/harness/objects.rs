//! Kubernetes objects that the tests begin with, small and valid under the Pod
//! Security level `restricted`. A test changes the typed fields it cares about.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{LimitRange, Node, PersistentVolume, Pod, ResourceQuota, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A pod with this label is scheduled and then never becomes Ready: kwok leaves
/// it alone. Take the label off, and it does.
pub(crate) const NEVER_READY: &str = "irsa-migrate.test/never-ready";
/// A pod of a Job with this label runs on instead of completing at once.
pub(crate) const KEEP_RUNNING: &str = "irsa-migrate.test/keep-running";

/// kwok's stages with the two labels of ours left out of them.
pub(crate) fn stages(shipped: &str) -> String {
    let mut text = shipped.to_owned();
    for (stage, label) in [("pod-ready", NEVER_READY), ("pod-complete", KEEP_RUNNING)] {
        let name = text.find(&format!("  name: {stage}\n")).expect("a stage of that name");
        let list = "    matchExpressions:\n";
        let end = name + text[name..].find(list).expect("a stage with a selector") + list.len();
        let exclusion = format!("    - key: '.metadata.labels[\"{label}\"]'\n      operator: 'DoesNotExist'\n");
        text.insert_str(end, &exclusion);
    }
    text
}

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object of its kind")
}

/// A Linux node on EC2 with room for many pods.
pub(crate) fn node(name: &str, region: &str) -> Node {
    typed(json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": "m6i.large",
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": format!("{region}a"),
        }},
        "spec": {"providerID": format!("aws:///{region}a/i-{name}")},
        "status": {
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "250"},
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "250"},
        },
    }))
}

/// A node as Fargate makes it: for one pod, tainted, with the label that says so.
pub(crate) fn fargate_node(name: &str, region: &str) -> Node {
    let mut node = node(name, region);
    let labels = node.metadata.labels.get_or_insert_default();
    labels.insert("eks.amazonaws.com/compute-type".to_owned(), "fargate".to_owned());
    let spec = node.spec.get_or_insert_default();
    spec.provider_id = Some(format!("aws:///{region}a/{name}"));
    spec.taints = Some(vec![typed(json!({
        "key": "eks.amazonaws.com/compute-type", "value": "fargate", "effect": "NoSchedule",
    }))]);
    node
}

/// Whether the node's condition `Ready` is true.
pub(crate) fn node_is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A ServiceAccount, annotated with a role if there is one.
pub(crate) fn service_account(name: &str, role_arn: Option<&str>) -> ServiceAccount {
    let mut account: ServiceAccount = typed(json!({"metadata": {"name": name}}));
    if let Some(role) = role_arn {
        let annotation = ("eks.amazonaws.com/role-arn".to_owned(), role.to_owned());
        account.metadata.annotations = Some([annotation].into());
    }
    account
}

fn template(app: &str, service_account: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "serviceAccountName": service_account,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "app",
                "image": "registry.example/app:1",
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// A bare pod, labelled `app=<name>`.
pub(crate) fn pod(name: &str, service_account: &str) -> Pod {
    let mut pod: Pod = typed(template(name, service_account));
    pod.metadata.name = Some(name.to_owned());
    pod
}

/// A Deployment with rolling updates; its pods are labelled `app=<name>`.
pub(crate) fn deployment(name: &str, service_account: &str, replicas: i32) -> Deployment {
    typed(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, service_account),
        },
    }))
}

/// A StatefulSet with one claim a pod, `data-<name>-<ordinal>`: create its
/// `persistent_volumes` as well.
pub(crate) fn stateful_set(name: &str, service_account: &str, replicas: i32) -> StatefulSet {
    let mut template = template(name, service_account);
    template["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    typed(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }],
        },
    }))
}

/// The volumes that the claims of `stateful_set` bind to: nothing provisions any.
pub(crate) fn persistent_volumes(namespace: &str, stateful_set: &str, replicas: i32) -> Vec<PersistentVolume> {
    let volume = |ordinal| {
        typed(json!({
            "metadata": {"name": format!("{namespace}-{stateful_set}-{ordinal}")},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "claimRef": {"namespace": namespace, "name": format!("data-{stateful_set}-{ordinal}")},
                "hostPath": {"path": format!("/mnt/{namespace}-{stateful_set}-{ordinal}")},
            },
        }))
    };
    (0..replicas).map(volume).collect()
}

/// A DaemonSet whose pods are replaced only when somebody deletes them.
pub(crate) fn daemon_set_on_delete(name: &str, service_account: &str) -> DaemonSet {
    typed(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "updateStrategy": {"type": "OnDelete"},
            "template": template(name, service_account),
        },
    }))
}

/// A CronJob on `schedule`; its pods run on until their label is taken off.
pub(crate) fn cron_job(name: &str, service_account: &str, schedule: &str) -> CronJob {
    let mut template = template(name, service_account);
    template["metadata"]["labels"][KEEP_RUNNING] = json!("true");
    template["spec"]["restartPolicy"] = json!("Never");
    typed(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}},
    }))
}

/// A budget over the pods labelled `app=<app>`.
pub(crate) fn budget(app: &str, min_available: i32) -> PodDisruptionBudget {
    typed(json!({
        "metadata": {"name": app},
        "spec": {"minAvailable": min_available, "selector": {"matchLabels": {"app": app}}},
    }))
}

/// A quota that is used up by `pods` pods.
pub(crate) fn pod_quota(pods: u32) -> ResourceQuota {
    typed(json!({"metadata": {"name": "pods"}, "spec": {"hard": {"pods": pods.to_string()}}}))
}

/// A limit range that refuses every container with more memory than `memory`.
pub(crate) fn memory_limit(memory: &str) -> LimitRange {
    let limit = json!({"type": "Container", "max": {"memory": memory}});
    typed(json!({"metadata": {"name": "memory"}, "spec": {"limits": [limit]}}))
}

/// The Pod Identity agent as its add-on installs it: on every Linux node of EC2
/// that EKS does not run by itself.
pub(crate) fn agent() -> DaemonSet {
    let elsewhere = json!({
        "key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate", "hybrid", "auto"],
    });
    let linux = json!({"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]});
    let terms = json!([{"matchExpressions": [linux, elsewhere]}]);
    typed(json!({
        "metadata": {
            "name": "eks-pod-identity-agent", "namespace": "kube-system",
            "labels": {"app.kubernetes.io/name": "eks-pod-identity-agent"},
        },
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": "eks-pod-identity-agent"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "eks-pod-identity-agent"}},
                "spec": {
                    "affinity": {"nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
                    }},
                    "hostNetwork": true,
                    "priorityClassName": "system-node-critical",
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{
                        "name": "eks-pod-identity-agent",
                        "image": "registry.example/eks-pod-identity-agent:v1.3.3",
                    }],
                },
            },
        },
    }))
}

/// A lease by which one more API server shows that it is there. It is renewed in
/// the far future, or the API server would collect it.
pub(crate) fn api_server_lease(name: &str) -> Lease {
    typed(json!({
        "metadata": {"name": name, "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver"}},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 3600, "renewTime": "2100-01-01T00:00:00.000000Z"},
    }))
}
