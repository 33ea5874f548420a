//! The harness itself: does a plane behave as a cluster of EKS does, in what the
//! scenarios rely on. Workloads and pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{LimitRange, Pod};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta};
use serde_json::json;

use crate::harness::{AssociationView, Config, Mode, Plane, TestNamespace, objects, wait};

const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const RESTART: &str = "irsa-migrate/restart";

fn irsa() -> BTreeSet<Mode> {
    [Mode::Irsa(ROLE.to_owned())].into()
}

/// A namespace with the ServiceAccount `app`, annotated with a role.
async fn annotated(name: &str) -> TestNamespace<'static> {
    let space = Plane::shared().namespace(name).await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    space
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn labels<'a>(pods: &'a BTreeMap<String, Pod>, key: &str) -> BTreeSet<&'a str> {
    pods.values().filter_map(|pod| pod.metadata.labels.as_ref()?.get(key)).map(String::as_str).collect()
}

fn refusal(outcome: Result<Pod, kube::Error>) -> String {
    outcome.expect_err("a refusal").to_string()
}

#[tokio::test]
async fn a_deployment_rolls_out() {
    let space = Plane::shared().namespace("rolls-out").await;
    space.create_object(&objects::service_account("app", None)).await;
    space.create_object(&objects::deployment("app", "app", 3)).await;
    space.rolled_out::<Deployment>("app").await;
    assert_eq!(space.pods("app").await.len(), 3);
    assert_eq!(space.modes("app").await, [Mode::Neither].into());
}

#[tokio::test]
async fn pods_move_with_the_association_and_back() {
    let space = annotated("moves").await;
    let associations = space.associations();
    space.create_object(&objects::deployment("app", "app", 3)).await;
    space.rolled_out::<Deployment>("app").await;
    let before = space.pods("app").await;
    assert_eq!(space.modes("app").await, irsa());

    associations.add("app");
    let probe = space.dry_run(&objects::pod("probe", "app")).await.expect("a dry run");
    assert_eq!(Mode::of(&probe), Mode::PodIdentity);
    assert_eq!(space.modes("app").await, irsa(), "a running pod never changes");

    space.annotate_template::<Deployment>("app", RESTART, Some("1")).await;
    space.rolled_out::<Deployment>("app").await;
    let moved = space.pods("app").await;
    assert_eq!(space.modes("app").await, [Mode::PodIdentity].into());
    assert_eq!(labels(&moved, "eks.amazonaws.com/pod-identity"), ["enabled"].into());

    associations.remove("app");
    space.annotate_template::<Deployment>("app", RESTART, None).await;
    space.rolled_out::<Deployment>("app").await;
    let after = space.pods("app").await;
    assert_eq!(space.modes("app").await, irsa());
    let hash = "pod-template-hash";
    assert_eq!(labels(&after, hash), labels(&before, hash), "the old ReplicaSet is used again");
}

#[tokio::test]
async fn a_stateful_set_rolls_and_goes_back_to_its_old_revision() {
    let space = annotated("ordered").await;
    let associations = space.associations();
    for volume in objects::persistent_volumes(&space.name, "db", 2) {
        wait::create(&Api::all(space.client.clone()), &volume).await;
    }
    space.create_object(&objects::stateful_set("db", "app", 2)).await;
    let first = space.rolled_out::<StatefulSet>("db").await;
    assert_eq!(space.modes("db").await, irsa());

    associations.add("app");
    space.annotate_template::<StatefulSet>("db", RESTART, Some("1")).await;
    space.rolled_out::<StatefulSet>("db").await;
    assert_eq!(space.modes("db").await, [Mode::PodIdentity].into());

    space.annotate_template::<StatefulSet>("db", RESTART, None).await;
    let last = space.rolled_out::<StatefulSet>("db").await;
    let revision = |set: StatefulSet| set.status.expect("a status").update_revision;
    assert_eq!(revision(last), revision(first));
}

#[tokio::test]
async fn on_delete_pods_move_by_eviction_alone() {
    let space = annotated("by-hand").await;
    let associations = space.associations();
    space.create_object(&objects::daemon_set_on_delete("agent", "app")).await;
    space.rolled_out::<DaemonSet>("agent").await;
    let before = space.pods("agent").await;
    associations.add("app");
    space.annotate_template::<DaemonSet>("agent", RESTART, Some("1")).await;
    assert_eq!(space.pods("agent").await.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());

    for pod in before.keys() {
        space.evict(pod).await.expect("nothing forbids it");
    }
    let all_new = |pods: &BTreeMap<String, Pod>| {
        pods.len() == before.len() && pods.iter().all(|(name, pod)| !before.contains_key(name) && ready(pod))
    };
    space.until_pods("agent", "every pod is a new one", all_new).await;
    assert_eq!(space.modes("agent").await, [Mode::PodIdentity].into());
}

#[tokio::test]
async fn a_budget_stops_the_eviction_of_the_only_replica() {
    let space = annotated("budget").await;
    space.create_object(&objects::deployment("app", "app", 1)).await;
    space.rolled_out::<Deployment>("app").await;
    space.create_object(&objects::budget("app", 1)).await;
    wait::until_one(&space.api::<k8s_openapi::api::policy::v1::PodDisruptionBudget>(), "app", "it counts", |found| {
        found.and_then(|budget| budget.status.as_ref()).is_some_and(|status| status.current_healthy == 1)
    })
    .await;
    let pods = space.pods("app").await;
    let error = space.evict(pods.keys().next().expect("one pod")).await.expect_err("a refusal");
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 429), "{error}");
}

#[tokio::test]
async fn a_pod_can_be_kept_from_becoming_ready() {
    let space = annotated("stuck").await;
    let mut stuck = objects::deployment("app", "app", 1);
    let metadata: &mut ObjectMeta = stuck.spec.as_mut().expect("a spec").template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().insert(objects::NEVER_READY.to_owned(), "true".to_owned());
    space.create_object(&stuck).await;
    let scheduled = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let pods = space.until_pods("app", "it has a node", |pods| pods.values().any(scheduled)).await;
    assert!(!pods.values().any(ready));

    let name = pods.keys().next().expect("one pod");
    let free = json!({"metadata": {"labels": {objects::NEVER_READY: null}}});
    space.merge::<Pod>(name, &free).await;
    wait::until_one(&space.api::<Pod>(), name, "it is Ready", |pod| pod.is_some_and(ready)).await;
}

#[tokio::test]
async fn a_job_runs_until_it_is_let_go() {
    let space = annotated("jobs").await;
    let cron = space.create_object(&objects::cron_job("report", "app", "0 3 1 1 *")).await;
    let job = Job {
        metadata: ObjectMeta { name: Some("report-now".to_owned()), ..ObjectMeta::default() },
        spec: cron.spec.expect("a spec").job_template.spec,
        ..Job::default()
    };
    space.create_object(&job).await;
    let pods = space.until_pods("report", "its pod runs", |pods| pods.values().any(ready)).await;
    assert_eq!(space.modes("report").await, irsa());
    let name = pods.keys().next().expect("one pod");
    let free = json!({"metadata": {"labels": {objects::KEEP_RUNNING: null}}});
    space.merge::<Pod>(name, &free).await;
    let succeeded = |job: Option<&Job>| job.and_then(|job| job.status.as_ref()?.succeeded) == Some(1);
    wait::until_one(&space.api::<Job>(), "report-now", "it is complete", succeeded).await;
}

#[tokio::test]
async fn a_dry_run_is_judged_as_the_real_pod_would_be() {
    let space = annotated("judged").await;
    let pod = objects::pod("probe", "app");
    space.dry_run(&pod).await.expect("nothing forbids it yet");

    let nobody = refusal(space.dry_run(&objects::pod("probe", "nobody")).await);
    assert!(nobody.contains("error looking up service account judged/nobody"), "{nobody}");

    space.create_object(&objects::memory_limit("32Mi")).await;
    let limited = refusal_once(&space, &pod, "maximum memory usage").await;
    assert!(limited.contains("per Container is 32Mi"), "{limited}");

    space.api::<LimitRange>().delete("memory", &DeleteParams::default()).await.expect("it is there");

    space.create_object(&objects::pod_quota(0)).await;
    refusal_once(&space, &pod, "exceeded quota").await;

    let secured = Plane::shared().namespace("secured").await;
    secured.create_object(&objects::service_account("app", None)).await;
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(secured.client.clone());
    let level = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    api.patch("secured", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&level)).await.expect("a label");
    secured.dry_run(&pod).await.expect("it conforms");
    let mut privileged = pod.clone();
    privileged.spec.as_mut().expect("a spec").host_network = Some(true);
    refusal_once(&secured, &privileged, "violates PodSecurity").await;
}

/// Tries until a dry run is refused with `words` in the message: an API server
/// notices a new limit with a delay.
async fn refusal_once(space: &TestNamespace<'_>, pod: &Pod, words: &str) -> String {
    let trying = async {
        loop {
            match space.dry_run(pod).await {
                Err(error) if error.to_string().contains(words) => return error.to_string(),
                _ => wait::a_moment().await,
            }
        }
    };
    tokio::time::timeout(wait::PATIENCE, trying).await.unwrap_or_else(|_| panic!("never refused with: {words}"))
}

#[tokio::test]
async fn the_agent_runs_where_it_can() {
    let plane = Plane::shared();
    plane.add_node(objects::fargate_node("fargate-0", &plane.config().region)).await;
    plane.install_agent().await;
    let pods: Api<Pod> = Api::namespaced(plane.client(), "kube-system");
    let agents = pods.list(&ListParams::default().labels("app.kubernetes.io/name=eks-pod-identity-agent")).await;
    let nodes: BTreeSet<String> = agents.expect("a list").into_iter().filter_map(|pod| pod.spec?.node_name).collect();
    assert_eq!(nodes, ["node-0".to_owned(), "node-1".to_owned()].into());
}

#[tokio::test]
async fn replicas_of_the_webhook_may_disagree() {
    let space = annotated("disagree").await;
    let associations = space.associations();
    associations.add_to_replica(1, "app");
    // Other tests' pods take turns too: that one replica sees all of these does not happen by chance.
    space.create_object(&objects::deployment("app", "app", 24)).await;
    space.rolled_out::<Deployment>("app").await;
    assert_eq!(space.modes("app").await, [Mode::PodIdentity, Mode::Irsa(ROLE.to_owned())].into());
}

#[tokio::test]
async fn with_two_api_servers_a_connection_sees_one_replica() {
    let plane = Plane::start(Config { api_servers: 2, nodes: 0, ..Config::named("pair") });
    plane.feed_all(Arc::new(|replica, _, account| (replica == 1 && account == "app").then(AssociationView::default)));
    let space = plane.namespace("pair").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;

    let probe = objects::pod("probe", "app");
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let kept_alive = plane.dialling_client();
        let api: Api<Pod> = Api::namespaced(kept_alive, &space.name);
        let mut of_this_connection = BTreeSet::new();
        for _ in 0..3 {
            let params = kube::api::PostParams { dry_run: true, ..kube::api::PostParams::default() };
            of_this_connection.insert(Mode::of(&api.create(&params, &probe).await.expect("a dry run")));
        }
        assert_eq!(of_this_connection.len(), 1, "one connection, one replica");
        seen.append(&mut of_this_connection);
    }
    assert_eq!(seen, [Mode::PodIdentity, Mode::Irsa(ROLE.to_owned())].into());

    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let servers = leases.list(&ListParams::default().labels("apiserver.kubernetes.io/identity=kube-apiserver")).await;
    assert_eq!(servers.expect("a list").items.len(), 2);
}

#[tokio::test]
async fn a_plane_says_what_describe_cluster_would() {
    let plane = Plane::shared();
    assert_eq!(plane.config().arn(), "arn:aws:eks:eu-west-1:111122223333:cluster/shared");
    assert!(plane.endpoint().starts_with("https://127.0.0.1:"));
    assert!(plane.authority().starts_with("-----BEGIN CERTIFICATE-----"));
    let issuer = plane.config().issuer();
    let id = issuer.strip_prefix("https://oidc.eks.eu-west-1.amazonaws.com/id/").expect("the form that EKS uses");
    assert!(id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')), "{id}");
    assert_ne!(issuer, Config::named("other").issuer());
}

#[tokio::test]
async fn a_plane_stays_small() {
    let kib = Plane::shared().memory();
    assert!((1..3_000_000).contains(&kib), "{kib} KiB");
}
