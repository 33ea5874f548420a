//! Pods: their mode, what they belong to, the budgets that cover them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod as KubePod, PodSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, ResourceExt as _};

use super::owners::{controller, owner_ref};
use super::{Plane, named, timestamp, within};
use crate::inventory::{Mode, Pod};
use crate::ports::{Answer, PodSight, PortError};

/// The pod label that keeps the webhook away, whatever its value.
pub(super) const SKIP: &str = "eks.amazonaws.com/skip-pod-identity-webhook";

/// Pods that have ended hold no credentials.
const NOT_ENDED: &str = "status.phase!=Succeeded,status.phase!=Failed";

impl Plane {
    /// All pods that have not ended.
    pub(in crate::live) async fn pods(&self) -> Answer<Vec<Pod>> {
        self.learn_makers(None).await?;
        self.pods_by(None, NOT_ENDED).await
    }

    /// Those of one ServiceAccount.
    pub(in crate::live) async fn pods_of(&self, namespace: &str, service_account: &str) -> Answer<Vec<Pod>> {
        self.pods_by(Some(namespace), &fields_of(service_account)).await
    }

    async fn pods_by(&self, namespace: Option<&str>, fields: &str) -> Answer<Vec<Pod>> {
        let api: Api<KubePod> = within(&self.client, namespace);
        let found = self.list(&named("list pods", namespace), &api, ListParams::default().fields(fields), Some).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let budgets = self.budgets(namespace).await?;
        let mut pods = Vec::new();
        for it in &found {
            pods.push(self.pod(it, &budgets).await?);
        }
        Ok(pods)
    }

    async fn pod(&self, it: &KubePod, budgets: &[Budget]) -> Answer<Pod> {
        let namespace = it.namespace().unwrap_or_default();
        let owner = controller(&it.metadata);
        let workload = match owner {
            Some(owner) => self.top(&namespace, owner).await?,
            None => None,
        };
        let odd = |what: &str| PortError::Invalid(format!("pod {namespace}/{} has no {what}", it.name_any()));
        let spec = it.spec.as_ref().ok_or_else(|| odd("spec"))?;
        let status = it.status.as_ref();
        let containers = status.and_then(|it| it.container_statuses.as_ref()).into_iter().flatten();
        let inits = status.and_then(|it| it.init_container_statuses.as_ref()).into_iter().flatten();
        let restarts = containers.chain(inits).map(|it| it.restart_count.unsigned_abs()).sum();
        let created_at = it.creation_timestamp().and_then(|it| timestamp(it.0));
        Ok(Pod {
            uid: it.uid().ok_or_else(|| odd("UID"))?,
            name: it.name_any(),
            service_account: spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
            node: spec.node_name.clone().filter(|it| !it.is_empty()),
            mode: mode(spec),
            ready: is_ready(it),
            terminating: it.metadata.deletion_timestamp.is_some(),
            restarts,
            created_at: created_at.ok_or_else(|| odd("creation time"))?,
            workload,
            controller: owner.map(owner_ref),
            budgets: budgets
                .iter()
                .filter(|budget| budget.covers(&namespace, it.labels()))
                .map(Budget::entry)
                .collect(),
            skips_webhook: it.labels().contains_key(SKIP),
            namespace,
        })
    }

    async fn budgets(&self, namespace: Option<&str>) -> Answer<Vec<Budget>> {
        let api: Api<PodDisruptionBudget> = within(&self.client, namespace);
        let what = named("list poddisruptionbudgets", namespace);
        let found = self.list(&what, &api, ListParams::default(), |it| Some(Budget::of(it))).await?;
        found.into_iter().collect()
    }
}

/// Selects the pods of one ServiceAccount that have not ended.
pub(super) fn fields_of(service_account: &str) -> String {
    format!("{NOT_ENDED},spec.serviceAccountName={service_account}")
}

fn is_ready(it: &KubePod) -> bool {
    let conditions = it.status.as_ref().and_then(|it| it.conditions.as_ref());
    conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// What of a pod is waited for.
pub(super) fn sight(it: &KubePod) -> PodSight {
    (it.uid().unwrap_or_default(), is_ready(it), it.metadata.deletion_timestamp.is_some())
}

/// A PodDisruptionBudget (policy/v1).
struct Budget {
    namespace: String,
    name: String,
    selector: Option<Selector>,
    allowed: u32,
}

impl Budget {
    fn of(it: PodDisruptionBudget) -> Answer<Self> {
        let (namespace, name) = (it.namespace().unwrap_or_default(), it.name_any());
        let generation = it.metadata.generation;
        let selector = it.spec.and_then(|it| it.selector).map(Selector::try_from).transpose();
        let selector =
            selector.map_err(|why| PortError::Invalid(format!("poddisruptionbudget {namespace}/{name}: {why}")))?;
        // The API server evicts nothing under a budget whose controller has not seen its newest spec.
        let status = it.status.filter(|it| it.observed_generation >= generation);
        let allowed = status.and_then(|it| u32::try_from(it.disruptions_allowed).ok()).unwrap_or(0);
        Ok(Self { namespace, name, selector, allowed })
    }

    /// An empty selector covers every pod of the namespace, none at all covers none.
    fn covers(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        self.namespace == namespace && self.selector.as_ref().is_some_and(|it| it.matches(labels))
    }

    fn entry(&self) -> (String, u32) {
        (self.name.clone(), self.allowed)
    }
}

/// How a pod gets its AWS credentials, by what the webhook put into its containers at admission.
///
/// Environment variables decide; the label `eks.amazonaws.com/pod-identity` is missing where the
/// webhook is older than March 2026. Somebody's own `AWS_CONTAINER_CREDENTIALS_FULL_URI`, of
/// another credential server, is not Pod Identity: the agent's addresses are 169.254.170.23 and
/// fd00:ec2::23, and the webhook's token lies in a file of this name.
/// Source: aws/amazon-eks-pod-identity-webhook `pkg/handler`, aws/eks-pod-identity-agent `configuration`.
pub(super) fn mode(spec: &PodSpec) -> Mode {
    let inits = spec.init_containers.iter().flatten();
    let all: Vec<&Container> = inits.chain(&spec.containers).collect();
    let pod_identity = all.iter().any(|it| has_agent(it));
    let irsa = all.iter().find_map(|it| {
        value(it, "AWS_WEB_IDENTITY_TOKEN_FILE")?;
        value(it, "AWS_ROLE_ARN")
    });
    match (pod_identity, irsa) {
        (true, Some(_)) => Mode::Both,
        (true, None) => Mode::PodIdentity,
        (false, Some(role)) => Mode::Irsa(role.to_owned()),
        (false, None) => Mode::None,
    }
}

fn has_agent(container: &Container) -> bool {
    let address = value(container, "AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap_or_default();
    let token = value(container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").unwrap_or_default();
    let agent = ["http://169.254.170.23/", "http://[fd00:ec2::23]/"].iter().any(|it| address.starts_with(it));
    agent && token.ends_with("eks-pod-identity-token")
}

/// The value of a container's variable: empty where it comes from elsewhere.
fn value<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let found = container.env.iter().flatten().find(|it| it.name == name)?;
    Some(found.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mode_of(containers: Value, inits: Value) -> Mode {
        mode(&serde_json::from_value(json!({"containers": containers, "initContainers": inits})).unwrap())
    }

    fn pod_identity() -> Vec<Value> {
        vec![
            json!({"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}),
            json!({"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                   "value": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"}),
        ]
    }

    fn irsa() -> Vec<Value> {
        vec![
            json!({"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/cart"}),
            json!({"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"}),
        ]
    }

    fn container(env: &[Value]) -> Value {
        json!({"name": "c", "env": env})
    }

    #[test]
    fn modes() {
        let plain = container(&[json!({"name": "AWS_REGION", "value": "eu-west-1"})]);
        let cart = Mode::Irsa("arn:aws:iam::111122223333:role/cart".into());
        assert_eq!(mode_of(json!([plain]), json!([])), Mode::None);
        assert_eq!(mode_of(json!([container(&irsa())]), json!([])), cart);
        assert_eq!(mode_of(json!([container(&pod_identity())]), json!([])), Mode::PodIdentity);
        // Containers can be exempt from injection; one that is not decides.
        assert_eq!(mode_of(json!([plain, container(&pod_identity())]), json!([])), Mode::PodIdentity);
        assert_eq!(mode_of(json!([plain]), json!([container(&irsa())])), cart);
        let both = [pod_identity(), irsa()].concat();
        assert_eq!(mode_of(json!([container(&both)]), json!([])), Mode::Both);
        assert_eq!(mode_of(json!([container(&irsa())]), json!([container(&pod_identity())])), Mode::Both);
    }

    #[test]
    fn ipv6_and_windows() {
        let mut env = pod_identity();
        env[0] = json!({"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://[fd00:ec2::23]/v1/credentials"});
        env[1] = json!({"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": "C:\\x\\eks-pod-identity-token"});
        assert_eq!(mode_of(json!([container(&env)]), json!([])), Mode::PodIdentity);
    }

    #[test]
    fn half_of_it_by_hand_is_neither() {
        assert_eq!(mode_of(json!([container(&irsa()[..1])]), json!([])), Mode::None);
        assert_eq!(mode_of(json!([container(&irsa()[1..])]), json!([])), Mode::None);
        // Another credential server, with the webhook's token beside it.
        let mut env = pod_identity();
        env[0] = json!({"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://127.0.0.1:8080/creds"});
        assert_eq!(mode_of(json!([container(&env)]), json!([])), Mode::None);
    }

    #[test]
    fn budgets_cover_by_selector_and_namespace() {
        let budget = |spec: Value, status: Value| {
            let meta = json!({"name": "b", "namespace": "web", "generation": 2});
            Budget::of(serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": status})).unwrap())
        };
        let seen = json!({"observedGeneration": 2, "disruptionsAllowed": 3, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1});
        let labels = BTreeMap::from([("app".to_owned(), "cart".to_owned())]);
        let covers = |spec: Value| {
            let budget = budget(spec, seen.clone()).unwrap();
            assert!(!budget.covers("other", &labels));
            budget.covers("web", &labels)
        };
        assert!(covers(json!({"selector": {"matchLabels": {"app": "cart"}}})));
        assert!(!covers(json!({"selector": {"matchLabels": {"app": "bank"}}})));
        assert!(covers(
            json!({"selector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}})
        ));
        assert!(covers(json!({"selector": {}})));
        assert!(!covers(json!({})));
        let odd = json!({"selector": {"matchExpressions": [{"key": "tier", "operator": "Near"}]}});
        assert!(budget(odd, seen.clone()).is_err(), "never taken for one that covers nothing");

        assert_eq!(budget(json!({"selector": {}}), seen.clone()).unwrap().allowed, 3);
        let mut stale = seen;
        stale["observedGeneration"] = json!(1);
        assert_eq!(budget(json!({"selector": {}}), stale).unwrap().allowed, 0);
        assert_eq!(budget(json!({"selector": {}}), Value::Null).unwrap().allowed, 0);
    }
}
