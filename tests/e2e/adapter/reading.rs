//! What the port says of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use irsa_migrate::inventory::{AgentOnNode, Compute, Mode, Pod, Seen, Strategy, WorkloadKind};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::ports::{Cluster as _, PortError};
use k8s_openapi::api::apps::v1::{DaemonSet, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod as KubePod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{ROLE, Space, arn, live};
use crate::harness::{Config, Plane, objects, wait};

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
    let cron = it.space.create_object(&objects::cron_job("nightly", "app", "0 3 1 1 *")).await;
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
    it.space.create_object(&objects::cron_job("nightly", "app", "0 3 1 1 *")).await;

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
    assert_eq!(all["nightly"].schedule.as_deref(), Some("0 3 1 1 *"));

    let everywhere = it.live.workloads(&it.arn, WorkloadKind::ReplicaSet, None).await.unwrap();
    assert!(everywhere.iter().any(|found| found.at == all["alone"].at));
    assert!(everywhere.iter().all(|found| !found.at.name.starts_with("plain-")), "of a Deployment");
    let absent = it.live.workload(&it.arn, &it.at(WorkloadKind::Deployment, "absent")).await;
    assert_eq!(absent, Ok(None));
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
