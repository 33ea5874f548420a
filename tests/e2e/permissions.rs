//! The RBAC that `permissions` writes, against a real control plane: with it every call of ours is
//! allowed, without it none, and no pod is ever created but as a dry run.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::permissions::{Identity, Scope, Stage, files};
use irsa_migrate::ports::{Answer, Cluster as _, Lease, PortError, Probe, Stamping};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::harness::{Config, Plane, TestNamespace, User, objects, wait};

const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const MIGRATOR: User<'_> = User::Named { user: "migrator", group: Some("irsa-migrate") };

/// AWS that nobody may ask.
async fn no_aws() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let loader = sdk_config().endpoint_url("http://127.0.0.1:9").region(Region::new("eu-west-1"));
    loader.credentials_provider(credentials).load().await
}

/// The plane as the migrator sees it.
struct Migrator<'a> {
    live: Live,
    arn: ClusterArn,
    space: &'a TestNamespace<'a>,
}

impl Migrator<'_> {
    fn subject(&self) -> Subject {
        let (namespace, service_account) = (self.space.name.clone(), "app".to_owned());
        Subject { cluster: self.arn.clone(), namespace, service_account }
    }

    fn at(&self, kind: WorkloadKind) -> WorkloadRef {
        WorkloadRef { kind, namespace: self.space.name.clone(), name: "app".to_owned() }
    }

    /// Every read of a scan, by name.
    async fn reads(&self) -> Vec<(String, Answer<()>)> {
        let (live, arn) = (&self.live, &self.arn);
        let mut all = vec![
            ("own_issuer".to_owned(), live.own_issuer(arn).await.map(drop)),
            ("api_servers".to_owned(), live.api_servers(arn).await.map(drop)),
            ("service_accounts".to_owned(), live.service_accounts(arn).await.map(drop)),
            ("pods".to_owned(), live.pods(arn).await.map(drop)),
            ("nodes".to_owned(), live.nodes(arn).await.map(drop)),
        ];
        for kind in WorkloadKind::ALL {
            all.push((format!("workloads {kind}"), live.workloads(arn, kind, None).await.map(drop)));
        }
        all
    }

    /// Every other call of an apply, by name.
    async fn others(&self) -> Vec<(String, Answer<()>)> {
        let (live, arn, subject) = (&self.live, &self.arn, self.subject());
        let mut all = vec![
            ("service_account".to_owned(), live.service_account(&subject).await.map(drop)),
            ("pods_of".to_owned(), live.pods_of(&subject).await.map(drop)),
        ];
        for kind in WorkloadKind::ALL {
            all.push((format!("workload {kind}"), live.workload(arn, &self.at(kind)).await.map(drop)));
        }
        for kind in [None, Some(self.at(WorkloadKind::Deployment))] {
            let probe = live.probe(&subject, kind.as_ref()).await;
            assert!(!matches!(probe, Ok(Probe::Rejected(_))), "{probe:?}");
            all.push(("probe".to_owned(), probe.map(drop)));
        }
        for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
            let change = Stamping { workload: self.at(kind), uid: "x".to_owned(), before: None, after: None };
            // There is only a Deployment, and it has another UID: what matters is who may ask.
            let answer = match live.stamp(arn, &change).await {
                Err(PortError::NotFound(_) | PortError::Conflict(_)) => Ok(()),
                other => other,
            };
            all.push((format!("stamp {kind}"), answer));
        }
        let pods = live.pods_of(&subject).await.unwrap_or_default();
        let evicted = match pods.iter().find(|it| !it.terminating) {
            Some(pod) => live.evict(arn, &self.space.name, &pod.name, &pod.uid).await,
            None => Err(PortError::Denied("no pod is seen".to_owned())),
        };
        all.push(("evict".to_owned(), evicted));
        all.extend(self.lease().await);
        all
    }

    /// Takes our lease, renews it and lets it go.
    async fn lease(&self) -> Vec<(String, Answer<()>)> {
        let (live, arn, name) = (&self.live, &self.arn, "irsa-migrate");
        let lease = Lease {
            holder: "test".to_owned(),
            duration_seconds: 60,
            renewed_at: "2026-11-24T10:00:00Z".parse().expect("a time"),
            version: irsa_migrate::ports::LeaseVersion(String::new()),
        };
        let mut all = vec![("lease".to_owned(), live.lease(arn, "kube-system", name).await.map(drop))];
        let taken = live.write_lease(arn, "kube-system", name, &lease, None).await;
        all.push(("write_lease".to_owned(), taken.clone().map(drop)));
        let Ok(taken) = taken else { return all };
        let renewed = live.write_lease(arn, "kube-system", name, &lease, Some(&taken.version)).await;
        all.push(("write_lease again".to_owned(), renewed.clone().map(drop)));
        let Ok(renewed) = renewed else { return all };
        all.push(("delete_lease".to_owned(), live.delete_lease(arn, "kube-system", name, &renewed.version).await));
        all
    }
}

/// Sends a manifest to the API server as a person would, each document to its collection.
async fn apply(plane: &Plane, manifest: &str) {
    for document in manifest.split("---\n") {
        let field = |name: &str| {
            let line = document.lines().find_map(|it| it.strip_prefix(name));
            line.map(|it| it.trim().trim_matches('"').to_owned())
        };
        let kind = field("kind:").expect("a kind").to_lowercase();
        let plural = if kind.ends_with('y') { format!("{}ies", &kind[..kind.len() - 1]) } else { format!("{kind}s") };
        let namespace = field("  namespace:").map_or_else(String::new, |it| format!("/namespaces/{it}"));
        let path = format!("/apis/{}{namespace}/{plural}", field("apiVersion:").expect("a version"));
        let request = http::Request::post(&path).header("content-type", "application/yaml");
        let request = request.body(document.as_bytes().to_vec()).expect("a request");
        let made: Result<Value, _> = plane.client().request(request).await;
        made.unwrap_or_else(|error| panic!("{path}: {error}\n{document}"));
    }
}

fn denied(answers: Vec<(String, Answer<()>)>) -> Vec<String> {
    let denied = |(name, answer): (String, Answer<()>)| match answer {
        Ok(()) => None,
        Err(PortError::Denied(_)) => Some(name),
        // Denied by the API server it asks EKS whether this is the right one, and here is no EKS.
        Err(PortError::Unreachable(_)) if name == "own_issuer" => Some(name),
        Err(other) => panic!("{name}: {other}"),
    };
    answers.into_iter().filter_map(denied).collect()
}

/// Asks until nothing is denied: an API server notices new rights with a delay.
async fn until_allowed<F: Future<Output = Vec<(String, Answer<()>)>>>(ask: impl Fn() -> F) {
    let mut last = Vec::new();
    let asking = async {
        loop {
            last = denied(ask().await);
            if last.is_empty() {
                return;
            }
            wait::a_moment().await;
        }
    };
    let allowed = tokio::time::timeout(wait::PATIENCE, asking).await;
    assert!(allowed.is_ok(), "still denied: {last:?}");
}

fn manifest(plane: &Plane, stage: Stage) -> String {
    let scope = Scope {
        clusters: vec![ClusterArn::parse(&plane.config().arn()).expect("an ARN")],
        roles: vec![],
        identity: Identity::Group("irsa-migrate".to_owned()),
        lease_namespace: "kube-system".to_owned(),
        probe: true,
    };
    let files = files(stage, &scope).expect("files");
    files.into_iter().find(|it| it.name.ends_with(".yaml")).expect("a manifest").text
}

#[tokio::test]
async fn the_written_rights_are_enough_and_no_more() {
    let plane = Plane::start(Config::named("rights"));
    let space = plane.namespace("rights").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    space.create_object(&objects::deployment("app", "app", 1)).await;
    space.rolled_out::<Deployment>("app").await;
    let kubeconfig = plane.kubeconfig("cluster", MIGRATOR);
    let arn = ClusterArn::parse(&plane.config().arn()).expect("an ARN");
    let at = ClusterAt { cluster: ClusterName::Arn(arn.clone()), context: Some("cluster".to_owned()) };
    let config = LiveConfig { kubeconfig: Some(kubeconfig.clone()), clusters: vec![at], ..LiveConfig::default() };
    let live = Live::with_sdk(no_aws().await, &config).await.expect("a world");
    let migrator = Migrator { live, arn, space: &space };

    let reads = migrator.reads().await;
    assert_eq!(denied(reads.clone()).len(), reads.len(), "a stranger may do nothing");

    apply(&plane, &manifest(&plane, Stage::Scan)).await;
    until_allowed(|| migrator.reads()).await;
    let with_rights_to_scan = denied(migrator.others().await);
    for write in ["probe", "stamp Deployment", "stamp StatefulSet", "stamp DaemonSet", "evict", "write_lease"] {
        assert!(with_rights_to_scan.iter().any(|it| it == write), "{write} is allowed: {with_rights_to_scan:?}");
    }

    apply(&plane, &manifest(&plane, Stage::Apply)).await;
    until_allowed(|| migrator.others()).await;
    assert_eq!(denied(migrator.reads().await), Vec::<String>::new());

    // The right to create pods is for dry runs alone, also without our program.
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.expect("a setting")).expect("a client");
    let pods: Api<Pod> = Api::namespaced(client, &space.name);
    // An API server notices a new admission policy with a delay, as it does a new role.
    let trying = async {
        for number in 0.. {
            let pod = objects::pod(&format!("real-{number}"), "app");
            if let Err(error) = pods.create(&PostParams::default(), &pod).await {
                return error.to_string();
            }
        }
        unreachable!("the numbers do not end")
    };
    let error = tokio::time::timeout(wait::PATIENCE, trying).await.expect("the policy is noticed");
    assert!(error.contains("dry run only"), "{error}");
    assert_eq!(denied(migrator.others().await), Vec::<String>::new());
    space.create_object(&objects::pod("of-somebody-else", "app")).await;
}
