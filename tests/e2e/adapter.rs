//! The Kubernetes side of `live` against a real control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use irsa_migrate::inventory::{AgentOnNode, Compute, Mode, Pod, Seen, Strategy, Workload, WorkloadKind, WorkloadRef};
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::ports::{Cluster as _, Lease, LeaseVersion, PortError, Probe, Stamping};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Pod as KubePod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Config, Identity, Plane, TestNamespace, User, objects, wait};
use crate::recorded::{Wire, sdk};

const ROLE: &str = "arn:aws:iam::111122223333:role/app";

fn arn(plane: &Plane) -> ClusterArn {
    ClusterArn::parse(&plane.config().arn()).expect("an ARN")
}

/// AWS that nobody may ask.
async fn no_aws() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    sdk_config()
        .endpoint_url("http://127.0.0.1:9")
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .load()
        .await
}

async fn by_file(plane: &Plane, kubeconfig: PathBuf) -> Live {
    let at = ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some("cluster".to_owned()) };
    let config = LiveConfig { kubeconfig: Some(kubeconfig), clusters: vec![at], ..LiveConfig::default() };
    Live::with_sdk(no_aws().await, &config).await.expect("a world")
}

async fn live(plane: &Plane) -> Live {
    by_file(plane, plane.kubeconfig("cluster", User::Admin)).await
}

/// A namespace with an annotated ServiceAccount `app`, and the world that sees it.
struct Space {
    space: TestNamespace<'static>,
    live: Live,
    arn: ClusterArn,
}

impl Space {
    async fn new(name: &str) -> Space {
        let plane = Plane::shared();
        let space = plane.namespace(name).await;
        space.create_object(&objects::service_account("app", Some(ROLE))).await;
        Space { space, live: live(plane).await, arn: arn(plane) }
    }

    fn subject(&self) -> Subject {
        Subject { cluster: self.arn.clone(), namespace: self.space.name.clone(), service_account: "app".to_owned() }
    }

    fn at(&self, kind: WorkloadKind, name: &str) -> WorkloadRef {
        WorkloadRef { kind, namespace: self.space.name.clone(), name: name.to_owned() }
    }

    async fn pods(&self) -> Vec<Pod> {
        self.live.pods_of(&self.subject()).await.expect("pods")
    }

    async fn modes(&self) -> BTreeSet<String> {
        self.pods().await.iter().filter(|it| !it.terminating).map(|it| it.mode.to_string()).collect()
    }

    async fn one(&self, kind: WorkloadKind, name: &str) -> Workload {
        let found = self.live.workload(&self.arn, &self.at(kind, name)).await.expect("an answer");
        found.expect("a workload").workload
    }

    async fn stamp(&self, kind: WorkloadKind, name: &str, before: Option<&str>, after: Option<&str>) {
        let workload = self.one(kind, name).await;
        let change = Stamping {
            workload: workload.at,
            uid: workload.uid,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        self.live.stamp(&self.arn, &change).await.expect("a stamp");
    }

    /// Asks until the controller says so.
    async fn rolled_out(&self, kind: WorkloadKind, name: &str) {
        let asking = async {
            loop {
                let now = self.live.workload(&self.arn, &self.at(kind, name)).await.expect("an answer");
                if now.expect("a workload").rollout.complete {
                    return;
                }
            }
        };
        tokio::time::timeout(wait::PATIENCE, asking).await.expect("a roll-out");
    }
}

#[tokio::test]
async fn what_an_api_server_says_of_itself() {
    let plane = Plane::shared();
    let live = live(plane).await;
    assert_eq!(live.own_issuer(&arn(plane)).await.unwrap().url(), plane.config().issuer());
    assert!(live.api_servers(&arn(plane)).await.unwrap() >= 1);
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> = Api::namespaced(plane.client(), "kube-system");
    let before = live.api_servers(&arn(plane)).await.unwrap();
    wait::create(&leases, &objects::api_server_lease("one-more")).await;
    assert_eq!(live.api_servers(&arn(plane)).await, Ok(before + 1));
    let other = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/other").unwrap();
    assert!(matches!(live.own_issuer(&other).await, Err(PortError::Invalid(_))));
}

#[tokio::test]
async fn service_accounts_have_their_namespaces_labels() {
    let it = Space::new("adapter-accounts").await;
    let namespaces: Api<Namespace> = Api::all(it.space.client.clone());
    let labels = json!({"metadata": {"labels": {"team": "web", "wave": "1"}}});
    namespaces.patch(&it.space.name, &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
    let own = json!({"metadata": {"labels": {"wave": "2"}, "annotations": {"eks.amazonaws.com/audience": "x"}}});
    it.space.merge::<ServiceAccount>("app", &own).await;

    let one = it.live.service_account(&it.subject()).await.unwrap().unwrap();
    assert_eq!((one.role_arn.as_deref(), one.audience.as_deref()), (Some(ROLE), Some("x")));
    assert_eq!((one.labels["team"].as_str(), one.labels["wave"].as_str()), ("web", "2"));
    let all = it.live.service_accounts(&it.arn).await.unwrap();
    assert!(all.contains(&one));
    let absent = Subject { service_account: "nobody".to_owned(), ..it.subject() };
    assert_eq!(it.live.service_account(&absent).await, Ok(None));
    let nowhere = Subject { namespace: "nowhere".to_owned(), ..it.subject() };
    assert_eq!(it.live.service_account(&nowhere).await, Ok(None));
}

/// More objects than a page holds.
#[tokio::test]
async fn lists_come_in_pages() {
    let it = Space::new("adapter-pages").await;
    let api: Api<ServiceAccount> = it.space.api();
    let made = futures::stream::iter((0..1010).map(|number| {
        let api = api.clone();
        async move { wait::create(&api, &objects::service_account(&format!("many-{number}"), None)).await }
    }));
    made.buffer_unordered(32).collect::<Vec<_>>().await;
    let all = it.live.service_accounts(&it.arn).await.unwrap();
    let here: BTreeSet<_> = all.iter().filter(|found| found.namespace == it.space.name).map(|it| &it.name).collect();
    assert_eq!(here.len(), 1010 + 2, "and `app`, and `default`");
}

#[tokio::test]
async fn pods_know_what_they_belong_to() {
    let it = Space::new("adapter-pods").await;
    it.space.create_object(&objects::deployment("web", "app", 2)).await;
    it.space.create_object(&objects::daemon_set_on_delete("each", "app")).await;
    it.space.create_object(&objects::pod("bare", "app")).await;
    it.space.create_object(&objects::pod("other", "default")).await;
    let cron = it.space.create_object(&objects::cron_job("nightly", "app", "0 3 * * *")).await;
    let owner = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "controller": true,
        "uid": cron.metadata.uid});
    let job = json!({"metadata": {"name": "nightly-1", "ownerReferences": [owner]},
        "spec": cron.spec.unwrap().job_template.spec});
    let job: k8s_openapi::api::batch::v1::Job = serde_json::from_value(job).unwrap();
    it.space.create_object(&job).await;
    it.space.create_object(&objects::budget("web", 1)).await;
    it.rolled_out(WorkloadKind::Deployment, "web").await;
    it.rolled_out(WorkloadKind::DaemonSet, "each").await;
    wait::until_one(&it.space.api::<PodDisruptionBudget>(), "web", "it counts", |found| {
        found.and_then(|it| it.status.as_ref()).is_some_and(|it| it.disruptions_allowed == 1)
    })
    .await;
    let ready = |pod: &KubePod| {
        let conditions = pod.status.iter().flat_map(|it| it.conditions.iter().flatten());
        conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
    };
    for app in ["bare", "nightly"] {
        it.space.until_pods(app, "it is Ready", |pods| pods.values().any(ready)).await;
    }

    let pods = it.pods().await;
    let mut by_workload: BTreeMap<String, usize> = BTreeMap::new();
    for pod in &pods {
        let workload = pod.workload.as_ref().map_or("none".to_owned(), |at| format!("{} {}", at.kind, at.name));
        *by_workload.entry(workload).or_default() += 1;
        assert_eq!((pod.mode.clone(), pod.service_account.as_str()), (Mode::Irsa(ROLE.to_owned()), "app"));
        assert!(pod.ready && !pod.terminating && pod.node.is_some() && pod.restarts == 0, "{pod:?}");
    }
    let nodes = by_workload["DaemonSet each"];
    let expected = [("CronJob nightly", 1), ("DaemonSet each", nodes), ("Deployment web", 2), ("none", 1)];
    assert_eq!(by_workload, expected.map(|(name, count)| (name.to_owned(), count)).into());
    let web = pods.iter().find(|pod| pod.workload.as_ref().is_some_and(|at| at.name == "web")).unwrap();
    assert_eq!(web.controller.as_ref().unwrap().kind, "ReplicaSet");
    assert_eq!(web.budgets, [("web".to_owned(), 1)].into());
    let bare = pods.iter().find(|pod| pod.name == "bare").unwrap();
    assert_eq!((&bare.controller, bare.budgets.len()), (&None, 0));

    let mut all = it.live.pods(&it.arn).await.unwrap();
    all.retain(|pod| pod.namespace == it.space.name && pod.service_account == "app");
    let by_name = |mut pods: Vec<Pod>| {
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    };
    assert_eq!(by_name(all), by_name(pods), "one by one and all at once");
}

#[tokio::test]
async fn workloads_of_every_kind() {
    let it = Space::new("adapter-workloads").await;
    let mut web = objects::deployment("web", "app", 10);
    let spec = web.spec.as_mut().unwrap();
    spec.paused = Some(true);
    let template = spec.template.metadata.get_or_insert_default();
    template.annotations = Some([("eks.amazonaws.com/skip-containers".to_owned(), "a, b".to_owned())].into());
    let pod = spec.template.spec.as_mut().unwrap();
    pod.node_selector = Some([("kubernetes.io/os".to_owned(), "windows".to_owned())].into());
    pod.containers[0].env = Some(serde_json::from_value(json!([{"name": "AWS_ROLE_ARN", "value": "secret"}])).unwrap());
    it.space.create_object(&web).await;
    it.space.create_object(&objects::deployment("plain", "app", 1)).await;
    it.rolled_out(WorkloadKind::Deployment, "plain").await;
    let mut db = objects::stateful_set("db", "app", 3);
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    db.spec.as_mut().unwrap().update_strategy = serde_json::from_value(rolling).unwrap();
    it.space.create_object(&db).await;
    it.space.create_object(&objects::daemon_set_on_delete("each", "app")).await;
    let alone = json!({"metadata": {"name": "alone"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "alone"}},
        "template": {"metadata": {"labels": {"app": "alone"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}});
    it.space.create_object(&serde_json::from_value::<ReplicaSet>(alone).unwrap()).await;
    it.space.create_object(&objects::cron_job("nightly", "app", "0 3 * * *")).await;

    it.rolled_out(WorkloadKind::DaemonSet, "each").await;
    let mut all = BTreeMap::new();
    for kind in WorkloadKind::ALL {
        for found in it.live.workloads(&it.arn, kind, Some(&it.space.name)).await.unwrap() {
            assert_eq!(
                Ok(Some(found.clone())),
                it.live.workload(&it.arn, &found.at).await.map(|it| it.map(|it| it.workload))
            );
            all.insert(found.at.name.clone(), found);
        }
    }
    assert_eq!(all.keys().collect::<Vec<_>>(), ["alone", "db", "each", "nightly", "plain", "web"]);
    let web = &all["web"];
    assert_eq!(
        (web.service_account.as_str(), web.replicas, web.strategy, web.paused),
        ("app", 10, Strategy::RollingUpdate, true)
    );
    assert_eq!(web.at_a_time, 2 + 3, "a quarter of ten, down and up");
    assert_eq!(
        (web.aws_env.as_slice(), web.skip_containers.as_slice()),
        (&["AWS_ROLE_ARN".to_owned()][..], &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(web.node_selector["kubernetes.io/os"], "windows");
    assert_eq!((web.progress_deadline_seconds, &web.stamp), (Some(600), &None));
    assert_eq!((all["db"].strategy, all["db"].partition), (Strategy::RollingUpdate, 2));
    assert_eq!(all["each"].strategy, Strategy::OnDelete);
    assert_eq!((all["alone"].service_account.as_str(), all["alone"].replicas), ("default", 0));
    assert_eq!(all["nightly"].schedule.as_deref(), Some("0 3 * * *"));

    let everywhere = it.live.workloads(&it.arn, WorkloadKind::ReplicaSet, None).await.unwrap();
    assert!(everywhere.iter().any(|found| found.at == all["alone"].at));
    assert!(everywhere.iter().all(|found| !found.at.name.starts_with("plain-")), "of a Deployment");
    let absent = it.live.workload(&it.arn, &it.at(WorkloadKind::Deployment, "absent")).await;
    assert_eq!(absent, Ok(None));
}

#[tokio::test]
async fn a_probe_is_judged_as_the_workloads_own_pod() {
    let it = Space::new("adapter-probe").await;
    let associations = it.space.associations();
    it.space.create_object(&objects::deployment("web", "app", 1)).await;
    it.space.create_object(&objects::stateful_set("db", "app", 1)).await;
    it.space.create_object(&objects::daemon_set_on_delete("each", "app")).await;
    it.space.create_object(&objects::cron_job("nightly", "app", "0 3 * * *")).await;
    let templates = [
        None,
        Some(it.at(WorkloadKind::Deployment, "web")),
        Some(it.at(WorkloadKind::StatefulSet, "db")),
        Some(it.at(WorkloadKind::DaemonSet, "each")),
        Some(it.at(WorkloadKind::CronJob, "nightly")),
    ];
    for template in &templates {
        let irsa = Probe::Admitted(Mode::Irsa(ROLE.to_owned()));
        assert_eq!(it.live.probe(&it.subject(), template.as_ref()).await, Ok(irsa), "{template:?}");
    }
    associations.add("app");
    for template in &templates {
        let moved = Probe::Admitted(Mode::PodIdentity);
        assert_eq!(it.live.probe(&it.subject(), template.as_ref()).await, Ok(moved), "{template:?}");
    }
    let names: Vec<String> = it.pods().await.into_iter().map(|it| it.name).collect();
    assert!(names.iter().all(|name| !name.contains("probe")), "{names:?}");

    let absent = it.live.probe(&it.subject(), Some(&it.at(WorkloadKind::Deployment, "absent"))).await;
    assert!(matches!(absent, Err(PortError::NotFound(_))), "{absent:?}");
    let nobody = Subject { service_account: "nobody".to_owned(), ..it.subject() };
    let refused = it.live.probe(&nobody, None).await;
    assert!(
        matches!(&refused, Ok(Probe::Rejected(why)) if why.contains("error looking up service account")),
        "{refused:?}"
    );
    let other = it.live.probe(&nobody, Some(&it.at(WorkloadKind::Deployment, "web"))).await;
    assert!(matches!(other, Err(PortError::Invalid(_))), "the template is of another ServiceAccount: {other:?}");
    let nowhere = it.live.probe(&Subject { namespace: "nowhere".to_owned(), ..it.subject() }, None).await;
    assert!(matches!(nowhere, Err(PortError::NotFound(_))), "{nowhere:?}");

    it.space.create_object(&objects::pod_quota(0)).await;
    let asking = async {
        // An API server notices a new quota with a delay.
        loop {
            if let Probe::Rejected(why) = it.live.probe(&it.subject(), None).await.expect("an answer") {
                return why;
            }
        }
    };
    let full = tokio::time::timeout(wait::PATIENCE, asking).await.unwrap();
    assert!(full.contains("exceeded quota"), "{full}");
}

#[tokio::test]
async fn the_plain_probe_conforms_to_restricted() {
    let it = Space::new("adapter-restricted").await;
    let namespaces: Api<Namespace> = Api::all(it.space.client.clone());
    let level = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces.patch(&it.space.name, &PatchParams::default(), &Patch::Merge(&level)).await.unwrap();
    let mut privileged = objects::pod("privileged", "app");
    privileged.spec.as_mut().unwrap().host_network = Some(true);
    let asking = async { while it.space.dry_run(&privileged).await.is_ok() {} };
    tokio::time::timeout(wait::PATIENCE, asking).await.expect("the level is enforced");
    let probed = it.live.probe(&it.subject(), None).await;
    assert_eq!(probed, Ok(Probe::Admitted(Mode::Irsa(ROLE.to_owned()))));
}

/// Each probe has a connection of its own, so that it meets each API server in turn.
#[tokio::test]
async fn probes_meet_every_api_server() {
    let plane = Plane::start(Config { api_servers: 2, nodes: 0, ..Config::named("adapter-pair") });
    let space = plane.namespace("pair").await;
    space.associations().add_to_replica(1, "app");
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    let live = live(&plane).await;
    assert_eq!(live.api_servers(&arn(&plane)).await, Ok(2));
    let subject = Subject { cluster: arn(&plane), namespace: "pair".into(), service_account: "app".into() };
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(live.probe(&subject, None).await.unwrap());
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!((&seen[0], &seen[1]), (&seen[2], &seen[3]), "connections are dealt in turn");
}

#[tokio::test]
async fn a_stamp_rolls_and_its_removal_rolls_back() {
    let it = Space::new("adapter-stamp").await;
    let associations = it.space.associations();
    for volume in objects::persistent_volumes(&it.space.name, "db", 2) {
        wait::create(&Api::all(it.space.client.clone()), &volume).await;
    }
    let mut each = objects::daemon_set_on_delete("each", "app");
    each.spec.as_mut().unwrap().update_strategy = None;
    it.space.create_object(&objects::deployment("web", "app", 3)).await;
    it.space.create_object(&objects::stateful_set("db", "app", 2)).await;
    it.space.create_object(&each).await;
    let all = [(WorkloadKind::Deployment, "web"), (WorkloadKind::StatefulSet, "db"), (WorkloadKind::DaemonSet, "each")];
    for (kind, name) in all {
        it.rolled_out(kind, name).await;
    }
    let before = templates(&it).await;
    assert_eq!(it.modes().await, ["IRSA".to_owned()].into());

    associations.add("app");
    for (kind, name) in all {
        it.stamp(kind, name, None, Some("plan-1")).await;
        assert_eq!(it.one(kind, name).await.stamp.as_deref(), Some("plan-1"));
    }
    for (kind, name) in all {
        it.rolled_out(kind, name).await;
    }
    assert_eq!(it.modes().await, ["Pod Identity".to_owned()].into());
    let web: Deployment = it.space.api::<Deployment>().get("web").await.unwrap();
    let managers: Vec<_> = web.metadata.managed_fields.unwrap().into_iter().filter_map(|it| it.manager).collect();
    assert!(managers.contains(&"irsa-migrate".to_owned()), "{managers:?}");

    associations.remove("app");
    for (kind, name) in all {
        it.stamp(kind, name, Some("plan-1"), None).await;
    }
    for (kind, name) in all {
        it.rolled_out(kind, name).await;
    }
    assert_eq!(it.modes().await, ["IRSA".to_owned()].into());
    assert_eq!(templates(&it).await, before, "no mark is left");
    let web: Deployment = it.space.api::<Deployment>().get("web").await.unwrap();
    let managers: Vec<_> = web.metadata.managed_fields.unwrap().into_iter().filter_map(|it| it.manager).collect();
    assert!(!managers.contains(&"irsa-migrate".to_owned()), "{managers:?}");
}

async fn templates(it: &Space) -> Vec<Value> {
    let web = it.space.api::<Deployment>().get("web").await.expect("a Deployment").spec.expect("a spec").template;
    let db = it.space.api::<StatefulSet>().get("db").await.expect("a StatefulSet").spec.expect("a spec").template;
    let each = it.space.api::<DaemonSet>().get("each").await.expect("a DaemonSet").spec.expect("a spec").template;
    [web, db, each].iter().map(|it| serde_json::to_value(it).expect("JSON")).collect()
}

#[tokio::test]
async fn a_stamp_never_overwrites() {
    let it = Space::new("adapter-stamp-conflicts").await;
    it.space.create_object(&objects::deployment("web", "app", 1)).await;
    let web = it.one(WorkloadKind::Deployment, "web").await;
    let change = |before: Option<&str>, after: Option<&str>| Stamping {
        workload: web.at.clone(),
        uid: web.uid.clone(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let stamp = async |change: Stamping| it.live.stamp(&it.arn, &change).await;

    assert!(matches!(stamp(change(Some("x"), Some("y"))).await, Err(PortError::Conflict(_))));
    assert!(matches!(stamp(change(Some("x"), None)).await, Err(PortError::Conflict(_))));
    let other = Stamping { uid: "another".to_owned(), ..change(None, Some("1")) };
    assert!(matches!(stamp(other).await, Err(PortError::Conflict(_))), "made again under the same name");
    assert_eq!(it.one(WorkloadKind::Deployment, "web").await.stamp, None);

    stamp(change(None, Some("1"))).await.unwrap();
    assert!(matches!(stamp(change(None, Some("2"))).await, Err(PortError::Conflict(_))));
    stamp(change(Some("1"), Some("2"))).await.unwrap();
    assert_eq!(it.one(WorkloadKind::Deployment, "web").await.stamp.as_deref(), Some("2"));

    let absent = Stamping { workload: it.at(WorkloadKind::Deployment, "absent"), ..change(None, Some("1")) };
    assert!(matches!(stamp(absent).await, Err(PortError::NotFound(_))));
    let job = Stamping { workload: it.at(WorkloadKind::Job, "job"), ..change(None, Some("1")) };
    assert!(matches!(stamp(job).await, Err(PortError::Invalid(_))));
}

/// Of several writers with the same expectation one wins.
#[tokio::test]
async fn one_stamp_of_many_wins() {
    let it = Space::new("adapter-stamp-race").await;
    it.space.create_object(&objects::deployment("web", "app", 3)).await;
    let web = it.one(WorkloadKind::Deployment, "web").await;
    let stamps = (0..6).map(|number| {
        let change =
            Stamping { workload: web.at.clone(), uid: web.uid.clone(), before: None, after: Some(number.to_string()) };
        let it = &it;
        async move { it.live.stamp(&it.arn, &change).await }
    });
    let outcomes = futures::future::join_all(stamps).await;
    let won = outcomes.iter().filter(|it| it.is_ok()).count();
    let lost = outcomes.iter().filter(|it| matches!(it, Err(PortError::Conflict(_)))).count();
    assert_eq!((won, lost), (1, 5), "{outcomes:?}");
}

#[tokio::test]
async fn an_eviction_obeys_budgets_and_means_one_pod() {
    let it = Space::new("adapter-evict").await;
    it.space.create_object(&objects::deployment("web", "app", 1)).await;
    it.rolled_out(WorkloadKind::Deployment, "web").await;
    it.space.create_object(&objects::budget("web", 1)).await;
    wait::until_one(&it.space.api::<PodDisruptionBudget>(), "web", "it counts", |found| {
        found.and_then(|it| it.status.as_ref()).is_some_and(|it| it.current_healthy == 1)
    })
    .await;
    let pod = it.pods().await.remove(0);
    let evict = async |name: &str, uid: &str| it.live.evict(&it.arn, &pod.namespace, name, uid).await;
    let refused = evict(&pod.name, &pod.uid).await;
    assert!(matches!(&refused, Err(PortError::NotNow(why)) if why.contains("disruption budget")), "{refused:?}");
    assert!(matches!(evict("absent", &pod.uid).await, Err(PortError::NotFound(_))));

    let free = json!({"spec": {"minAvailable": 0}});
    it.space.merge::<PodDisruptionBudget>("web", &free).await;
    wait::until_one(&it.space.api::<PodDisruptionBudget>(), "web", "it allows one", |found| {
        found.and_then(|it| it.status.as_ref()).is_some_and(|it| it.disruptions_allowed == 1)
    })
    .await;
    let other = evict(&pod.name, "another").await;
    assert!(matches!(other, Err(PortError::NotFound(_))), "{other:?}");
    assert!(it.pods().await.iter().any(|now| now.uid == pod.uid && !now.terminating), "untouched");
    evict(&pod.name, &pod.uid).await.unwrap();
    it.space
        .until_pods("web", "a new pod", |pods| {
            pods.len() == 1 && pods.values().all(|now| now.metadata.uid.as_deref() != Some(&pod.uid))
        })
        .await;
}

#[tokio::test]
async fn a_rollout_that_gets_stuck() {
    let it = Space::new("adapter-stuck").await;
    let mut web = objects::deployment("web", "app", 2);
    web.spec.as_mut().unwrap().progress_deadline_seconds = Some(1);
    it.space.create_object(&web).await;
    it.rolled_out(WorkloadKind::Deployment, "web").await;
    let never = json!({"spec": {"template": {"metadata": {"labels": {objects::NEVER_READY: "true"}}}}});
    it.space.merge::<Deployment>("web", &never).await;
    let asking = async {
        loop {
            let now = it.live.workload(&it.arn, &it.at(WorkloadKind::Deployment, "web")).await.unwrap().unwrap();
            assert!(!now.rollout.complete, "{:?}", now.rollout);
            if now.rollout.failed {
                return now.rollout;
            }
        }
    };
    let stuck = tokio::time::timeout(wait::PATIENCE, asking).await.unwrap();
    assert_eq!((stuck.wanted, stuck.ready), (2, 2), "the old pods stay");
    assert!(stuck.updated >= 1);
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let it = Space::new("adapter-lease").await;
    let lease = |holder: &str, time: &str| Lease {
        holder: holder.to_owned(),
        duration_seconds: 60,
        renewed_at: time.parse().expect("a time"),
        version: LeaseVersion(String::new()),
    };
    let write = async |wanted: &Lease, found: Option<&LeaseVersion>| {
        it.live.write_lease(&it.arn, &it.space.name, "irsa-migrate", wanted, found).await
    };
    let read = async || it.live.lease(&it.arn, &it.space.name, "irsa-migrate").await.unwrap();
    assert_eq!(read().await, None);
    let taken = write(&lease("ann", "2026-11-24T10:00:00.123456Z"), None).await.unwrap();
    assert_eq!((taken.holder.as_str(), taken.duration_seconds), ("ann", 60));
    assert_eq!(taken.renewed_at.to_string(), "2026-11-24T10:00:00.123456Z");
    assert_eq!(read().await.as_ref(), Some(&taken));

    let ben = lease("ben", "2026-11-24T10:00:30Z");
    assert!(matches!(write(&ben, None).await, Err(PortError::Conflict(_))), "it is there already");
    let renewed = write(&lease("ann", "2026-11-24T10:00:20Z"), Some(&taken.version)).await.unwrap();
    assert!(matches!(write(&ben, Some(&taken.version)).await, Err(PortError::Conflict(_))), "of an older version");
    assert_eq!(read().await.unwrap().holder, "ann");

    // Nobody holds it, and the lease stays.
    let free = write(&lease("", "2026-11-24T10:00:40Z"), Some(&renewed.version)).await.unwrap();
    assert_eq!(free.holder, "");
    let delete =
        async |found: &LeaseVersion| it.live.delete_lease(&it.arn, &it.space.name, "irsa-migrate", found).await;
    assert!(matches!(delete(&renewed.version).await, Err(PortError::Conflict(_))));
    delete(&free.version).await.unwrap();
    assert!(matches!(delete(&free.version).await, Err(PortError::NotFound(_))));
    assert!(matches!(write(&ben, Some(&free.version)).await, Err(PortError::Conflict(_))), "it is gone");
}

#[tokio::test]
async fn nodes_and_their_agents() {
    let plane = Plane::start(Config::named("adapter-nodes"));
    let region = &plane.config().region;
    let labelled = |name: &str, label: &str, value: &str| {
        let mut node = objects::node(name, region);
        node.metadata.labels.get_or_insert_default().insert(label.to_owned(), value.to_owned());
        node
    };
    plane.add_node(objects::fargate_node("fargate", region)).await;
    plane.add_node(labelled("auto", "eks.amazonaws.com/compute-type", "auto")).await;
    plane.add_node(labelled("hybrid", "eks.amazonaws.com/compute-type", "hybrid")).await;
    plane.add_node(labelled("windows", "kubernetes.io/os", "windows")).await;
    let live = live(&plane).await;
    let seen = async || {
        let nodes = live.nodes(&arn(&plane)).await.expect("nodes");
        let entry = |it: irsa_migrate::inventory::Node| (it.name, (it.compute, it.agent));
        nodes.into_iter().map(entry).collect::<BTreeMap<_, _>>()
    };
    let before = seen().await;
    assert_eq!(before["node-0"], (Compute::Ec2, Seen::Seen(AgentOnNode::Absent)));

    // A tenant's pod with the agent's label is no agent.
    let tenant = plane.namespace("tenant").await;
    tenant.create_object(&objects::service_account("app", None)).await;
    let mut fake = objects::daemon_set_on_delete("fake", "app");
    let template = &mut fake.spec.as_mut().unwrap().template;
    let label = ("app.kubernetes.io/name".to_owned(), "eks-pod-identity-agent".to_owned());
    template.metadata.get_or_insert_default().labels.get_or_insert_default().extend([label]);
    tenant.create_object(&fake).await;
    tenant.rolled_out::<DaemonSet>("fake").await;
    assert_eq!(seen().await, before);

    plane.install_agent().await;
    let expected = [
        ("auto", (Compute::Auto, AgentOnNode::BuiltIn)),
        ("fargate", (Compute::Fargate, AgentOnNode::Absent)),
        ("hybrid", (Compute::Hybrid, AgentOnNode::Absent)),
        ("node-0", (Compute::Ec2, AgentOnNode::Ready)),
        ("node-1", (Compute::Ec2, AgentOnNode::Ready)),
        ("windows", (Compute::Windows, AgentOnNode::Absent)),
    ];
    let expected = expected.map(|(name, (compute, agent))| (name.to_owned(), (compute, Seen::Seen(agent))));
    assert_eq!(seen().await, expected.into());
}

/// `DescribeCluster` of a plane, and a world with these credentials and no kubeconfig.
async fn by_credentials(plane: &Plane, credentials: &Credentials) -> (Live, Wire) {
    let wire = Wire::start().await;
    let (arn, name) = (plane.config().arn(), &plane.config().name);
    let cluster = json!({
        "arn": arn, "name": name, "status": "ACTIVE", "endpoint": plane.endpoint(),
        "certificateAuthority": {"data": STANDARD.encode(plane.authority())},
        "identity": {"oidc": {"issuer": plane.config().issuer()}},
    });
    wire.on(&format!("GET /clusters/{name}"), 200, &json!({"cluster": cluster}).to_string());
    let sdk = sdk(&wire.url).await.into_builder();
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials.clone());
    let sdk = sdk.credentials_provider(provider).build();
    let at = ClusterAt { cluster: ClusterName::Arn(ClusterArn::parse(&arn).expect("an ARN")), context: None };
    let config = LiveConfig { clusters: vec![at], ..LiveConfig::default() };
    (Live::with_sdk(sdk, &config).await.expect("a world"), wire)
}

#[tokio::test]
async fn aws_credentials_alone_open_the_cluster() {
    let plane = Plane::shared();
    let admin = Credentials::new("AKIAADAPTER", "secret", Some("a+session/token=".to_owned()), None, "test");
    let masters = Identity { user: "ann".to_owned(), groups: vec!["system:masters".to_owned()] };
    plane.accept(admin.clone(), masters);
    let (live, wire) = by_credentials(plane, &admin).await;
    assert_eq!(live.own_issuer(&arn(plane)).await.unwrap().url(), plane.config().issuer());
    assert!(live.nodes(&arn(plane)).await.unwrap().len() >= 2);
    assert_eq!(wire.sent(&format!("GET /clusters/{}", plane.config().name)).len(), 1);

    let stranger = Credentials::new("AKIASTRANGE", "secret", None, None, "test");
    let (live, _wire) = by_credentials(plane, &stranger).await;
    let error = live.nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(error, PortError::Credentials(_)), "{error}");
}

#[tokio::test]
async fn whoever_may_do_nothing_is_told_so() {
    let plane = Plane::shared();
    let powerless = Credentials::new("AKIAPOWERLESS", "secret", None, None, "test");
    plane.accept(powerless.clone(), Identity { user: "nobody".to_owned(), groups: Vec::new() });
    let (live, _wire) = by_credentials(plane, &powerless).await;
    let cluster = arn(plane);
    // The endpoint and the CA are those that EKS names: no other cluster can have answered.
    assert_eq!(live.own_issuer(&cluster).await.unwrap().url(), plane.config().issuer());
    let subject = Subject { cluster: cluster.clone(), namespace: "default".into(), service_account: "default".into() };
    for error in [
        live.api_servers(&cluster).await.unwrap_err(),
        live.service_accounts(&cluster).await.unwrap_err(),
        live.pods_of(&subject).await.unwrap_err(),
        live.nodes(&cluster).await.unwrap_err(),
        live.workloads(&cluster, WorkloadKind::ReplicaSet, None).await.unwrap_err(),
        live.probe(&subject, None).await.unwrap_err(),
        live.evict(&cluster, "default", "pod", "uid").await.unwrap_err(),
        live.lease(&cluster, "kube-system", "irsa-migrate").await.unwrap_err(),
    ] {
        assert!(matches!(&error, PortError::Denied(it) if it.contains("nobody")), "{error}");
    }
}

fn write(folder: &Path, kubeconfig: &Value) -> PathBuf {
    let path = folder.join("kubeconfig.json");
    std::fs::write(&path, kubeconfig.to_string()).expect("a file");
    path
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

#[tokio::test]
async fn an_exec_plugin_runs_once_and_not_for_every_probe() {
    let plane = Plane::shared();
    let space = plane.namespace("adapter-exec").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    let caller = Credentials::new("AKIAEXEC", "secret", None, None, "test");
    plane.accept(caller.clone(), Identity { user: "eve".to_owned(), groups: vec!["system:masters".to_owned()] });
    let token = crate::harness::eks_token(&caller, &plane.config().region, &plane.config().name);
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}});
    let script = format!("echo run >> {}; echo '{credential}'", runs.display());
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Nobody));
    kubeconfig["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", script], "interactiveMode": "Never"}});
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: space.name.clone(), service_account: "app".into() };
    live.probe(&subject, None).await.unwrap();
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    let to_connect = count();
    for _ in 0..5 {
        live.probe(&subject, None).await.unwrap();
        live.pods_of(&subject).await.unwrap();
    }
    assert_eq!(count(), to_connect);

    kubeconfig["users"][0]["user"]["exec"]["args"][1] = json!("echo no session >&2; exit 1");
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let error = live.nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(&error, PortError::Credentials(_)), "{error}");
}

/// A proxy that counts the tunnels it opens.
async fn proxy() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let tunnels = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(char::from(client.read_u8().await.expect("a request")));
                }
                let target = head.split(' ').nth(1).expect("a target");
                let mut server = tokio::net::TcpStream::connect(target).await.expect("a server");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("an answer");
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, tunnels)
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    let plane = Plane::shared();
    let space = plane.namespace("adapter-proxy").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    let (url, tunnels) = proxy().await;
    let folder = tempfile::tempdir().unwrap();
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Admin));
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = json!(url);
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: space.name.clone(), service_account: "app".into() };
    live.own_issuer(&arn(plane)).await.unwrap();
    let opened = || tunnels.load(std::sync::atomic::Ordering::SeqCst);
    let before = opened();
    assert!(before >= 1);
    for _ in 0..3 {
        live.probe(&subject, None).await.unwrap();
    }
    assert_eq!(opened(), before + 3, "each probe has a connection of its own");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named() {
    let plane = Plane::shared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Admin));
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: "default".into(), service_account: "default".into() };
    for error in [live.nodes(&arn(plane)).await.unwrap_err(), live.probe(&subject, None).await.unwrap_err()] {
        assert!(matches!(&error, PortError::Unreachable(it) if it.contains(&address)), "{error}");
    }

    let at = |context: &str| ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some(context.to_owned()) };
    let kubeconfig = Some(plane.kubeconfig("cluster", User::Admin));
    let config = LiveConfig { kubeconfig, clusters: vec![at("elsewhere")], ..LiveConfig::default() };
    let error = Live::with_sdk(no_aws().await, &config).await.unwrap().nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(&error, PortError::Invalid(it) if it.contains("elsewhere")), "{error}");
}

/// An issuer that was denied is only known where server and CA are those that EKS names.
#[tokio::test]
async fn a_denied_issuer_is_not_guessed() {
    let plane = Plane::shared();
    let wire = Wire::start().await;
    let name = &plane.config().name;
    let cluster = |endpoint: &str| {
        let facts = json!({"arn": plane.config().arn(), "name": name, "status": "ACTIVE", "endpoint": endpoint,
            "certificateAuthority": {"data": STANDARD.encode(plane.authority())},
            "identity": {"oidc": {"issuer": plane.config().issuer()}}});
        json!({"cluster": facts}).to_string()
    };
    wire.on(&format!("GET /clusters/{name}"), 200, &cluster("https://another.example.com"));
    wire.on(&format!("GET /clusters/{name}"), 200, &cluster(&plane.endpoint()));
    let kubeconfig = Some(plane.kubeconfig("cluster", User::Named { user: "anybody", group: None }));
    let at = ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some("cluster".to_owned()) };
    let config = LiveConfig { kubeconfig, clusters: vec![at], ..LiveConfig::default() };
    let live = Live::with_sdk(sdk(&wire.url).await, &config).await.unwrap();
    let denied = live.own_issuer(&arn(plane)).await;
    assert!(matches!(denied, Err(PortError::Denied(_))), "{denied:?}");
    assert_eq!(live.own_issuer(&arn(plane)).await.unwrap().url(), plane.config().issuer());
}
