//! The scripts of port calls on real servers, compared with the simulated world. What is real
//! decides: a difference is a mistake of the simulated world, or stands in a list with its reason.

#[path = "../conformance/mod.rs"]
mod scripts;

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use futures::StreamExt as _;
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::Subject;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use serde_json::json;

use crate::harness::{AssociationView, Config, Emulator, Plane, TestNamespace, User, objects, wait};
use crate::wire::{Wire, wall_clock};
use scripts::{Fixture, aws, kubernetes, simulated};

/// A line that is not the same in both worlds.
struct Known {
    simulated: &'static str,
    real: &'static str,
    #[expect(dead_code, reason = "it is for whoever reads the list")]
    why: &'static str,
}

/// Compares two transcripts, line by line. A known difference must be there.
fn compare(simulated: &[String], real: &[String], known: &[Known]) {
    let mut met = vec![false; known.len()];
    let simulated: Vec<&str> = simulated
        .iter()
        .enumerate()
        .map(|(at, line)| {
            let real = real.get(at).map_or("", String::as_str);
            match known.iter().position(|it| it.simulated == line && it.real == real) {
                Some(which) => {
                    met[which] = true;
                    known[which].real
                }
                None => line,
            }
        })
        .collect();
    if simulated != real {
        let (ours, theirs) = (simulated.join("\n") + "\n", real.join("\n") + "\n");
        let diff = similar::TextDiff::from_lines(ours.as_str(), theirs.as_str());
        panic!("{}", diff.unified_diff().context_radius(3).header("the simulated world says", "the real one says"));
    }
    for (known, met) in known.iter().zip(met) {
        assert!(met, "not a difference any more: {:?}", known.simulated);
    }
}

/// The account of the fixture, with one endpoint for every service.
async fn settings(endpoint: &str) -> SdkConfig {
    sdk_config()
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("111122223333", "secret", None, None, "test"))
        .load()
        .await
}

async fn live(endpoint: &str, fixture: &Fixture, plane: Option<&Plane>) -> Live {
    let at = ClusterAt {
        cluster: ClusterName::Arn(fixture.cluster.clone()),
        context: plane.map(|_| "conformance".to_owned()),
    };
    let kubeconfig = plane.map(|it| it.kubeconfig("conformance", User::Admin));
    let config = LiveConfig { kubeconfig, clusters: vec![at], ..LiveConfig::default() };
    Live::with_sdk(settings(endpoint).await, &config).await.expect("a world")
}

/// The workloads that the script expects to find, settled.
async fn workloads(space: &TestNamespace<'_>, fixture: &Fixture) {
    space.create_object(&objects::service_account("app", Some(fixture.role.as_str()))).await;
    for (name, pods) in [("db", 2), ("part", 2), ("cache", 1)] {
        for volume in objects::persistent_volumes(&space.name, name, pods) {
            wait::create(&Api::all(space.client.clone()), &volume).await;
        }
    }
    let recreate = edited(&objects::deployment("once", "app", 2), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    let label = json!({"metadata": {"labels": {objects::NEVER_READY: "true"}}});
    let stuck = json!({"spec": {"progressDeadlineSeconds": 10, "template": label}});
    let stuck = edited(&objects::deployment("stuck", "app", 3), stuck);
    let deployments = [
        objects::deployment("web", "app", 3),
        recreate,
        objects::deployment("held", "app", 1),
        stuck,
        objects::deployment("lone", "app", 1),
        objects::deployment("twice", "app", 1),
    ];
    for it in &deployments {
        space.create_object(it).await;
    }
    let rolling = json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}});
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    space.create_object(&objects::stateful_set("db", "app", 2)).await;
    space.create_object(&edited(&objects::stateful_set("part", "app", 2), rolling)).await;
    space.create_object(&edited(&objects::stateful_set("cache", "app", 1), on_delete)).await;
    let mut each = objects::daemon_set_on_delete("each", "app");
    each.spec.as_mut().expect("a spec").update_strategy = None;
    space.create_object(&each).await;
    space.create_object(&objects::daemon_set_on_delete("log", "app")).await;
    space.create_object(&objects::cron_job("nightly", "app", "0 3 1 1 *")).await;
    space.create_object(&objects::pod("bare", "app")).await;
    space.create_object(&objects::budget("lone", 1)).await;
    let twice = objects::budget("twice", 0);
    space.create_object(&edited(&twice, json!({"metadata": {"name": "twice-more"}}))).await;
    space.create_object(&twice).await;
    free_the_first_pods(space).await;
    for name in ["web", "once", "held", "stuck", "lone", "twice"] {
        space.rolled_out::<Deployment>(name).await;
    }
    for name in ["db", "part", "cache"] {
        space.rolled_out::<StatefulSet>(name).await;
    }
    for name in ["each", "log"] {
        space.rolled_out::<DaemonSet>(name).await;
    }
    space.until_pods("bare", "it is Ready", |pods| pods.values().any(ready)).await;
    space.merge::<Deployment>("held", &json!({"spec": {"paused": true}})).await;
    for (name, allowed) in [("lone", 0), ("twice", 1), ("twice-more", 1)] {
        let counted = |found: Option<&PodDisruptionBudget>| {
            found
                .and_then(|it| it.status.as_ref())
                .is_some_and(|it| it.current_healthy == 1 && it.disruptions_allowed == allowed)
        };
        wait::until_one(&space.api::<PodDisruptionBudget>(), name, "it counts its pods", counted).await;
    }
}

/// An object with a merge patch applied.
fn edited<K: serde::Serialize + serde::de::DeserializeOwned>(object: &K, patch: serde_json::Value) -> K {
    fn merge(into: &mut serde_json::Value, patch: serde_json::Value) {
        if into.is_object()
            && let serde_json::Value::Object(patch) = patch
        {
            for (key, value) in patch {
                merge(&mut into[key], value);
            }
        } else {
            *into = patch;
        }
    }
    let mut value = serde_json::to_value(object).expect("JSON");
    merge(&mut value, patch);
    serde_json::from_value(value).expect("an object of its kind")
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|it| it.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// Takes the label that keeps a pod from becoming Ready off the pods of `stuck` that are there by
/// now: only later ones are held up by it.
async fn free_the_first_pods(space: &TestNamespace<'_>) {
    let first = space.until_pods("stuck", "three pods", |pods| pods.len() == 3).await;
    for name in first.keys() {
        space.merge::<Pod>(name, &json!({"metadata": {"labels": {objects::NEVER_READY: null}}})).await;
    }
}

/// The cluster's AWS side is the simulated one behind HTTP, and feeds the webhook of the plane.
#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_cluster_answers_as_a_real_control_plane_does() {
    let fixture = Fixture::new();
    let sim = simulated::cluster(&fixture);
    let expected = sim.run(kubernetes::run(&sim, &fixture)).expect("it ends");

    let wire = Arc::new(Wire::start(simulated::account(&fixture).begins(wall_clock()).world()).await.expect("a port"));
    let plane = Plane::start(Config { webhook_replicas: 2, nodes: 3, ..Config::named("conformance") });
    let (feed, cluster) = (Arc::clone(&wire), fixture.cluster.clone());
    plane.feed_all(Arc::new(move |replica, namespace, service_account| {
        let subject = Subject {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        };
        let replica = u32::try_from(replica).expect("few replicas");
        feed.webhook_sees(replica, &subject).map(|_| AssociationView::default())
    }));
    let space = plane.namespace(&fixture.namespace).await;
    workloads(&space, &fixture).await;
    let live = live(&wire.url(), &fixture, Some(&plane)).await;
    let said = kubernetes::run(&live, &fixture).await;
    let known = [
        Known {
            simulated: "a probe where there is no namespace: rejected",
            real: "a probe where there is no namespace: not found",
            why: "the simulated world has no namespaces as objects; the ServiceAccount is missing there too",
        },
        Known {
            simulated: "make one where there is no namespace: ok",
            real: "make one where there is no namespace: not found",
            why: "the simulated world has no namespaces as objects; the lease's is a setting",
        },
    ];
    compare(&expected, &said, &known);
}

/// The adapters and the wire front add nothing and lose nothing.
#[tokio::test]
async fn the_simulated_account_answers_the_same_through_the_adapters() {
    let fixture = Fixture::new();
    let sim = simulated::account(&fixture).sim();
    let wire = Wire::start(simulated::account(&fixture).begins(wall_clock()).world()).await.expect("a port");
    let live = live(&wire.url(), &fixture, None).await;
    let expected = sim.run(aws::roles(&sim, &fixture)).expect("it ends");
    compare(&expected, &aws::roles(&live, &fixture).await, &[]);
    let expected = sim.run(aws::associations(&sim, &fixture)).expect("it ends");
    compare(&expected, &aws::associations(&live, &fixture).await, &[]);
}

/// ministack stores whatever it is sent as a trust policy, so only its roles are compared, and its
/// associations.
#[tokio::test]
async fn the_simulated_account_answers_as_ministack_does() {
    let fixture = Fixture::new();
    let ministack = Emulator::ministack();
    let settings = settings(ministack.endpoint()).await;
    role(&settings, "app").await;
    let eks = aws_sdk_eks::Client::new(&settings);
    let network = aws_sdk_eks::types::VpcConfigRequest::builder().subnet_ids("subnet-1").build();
    let made = eks
        .create_cluster()
        .name("conformance")
        .role_arn("arn:aws:iam::111122223333:role/app")
        .resources_vpc_config(network)
        .send();
    made.await.expect("a cluster");
    let live = live(ministack.endpoint(), &fixture, None).await;
    let sim = simulated::account(&fixture).sim();
    let expected = sim.run(aws::associations(&sim, &fixture)).expect("it ends");
    let known = [Known {
        simulated: "describe the cluster: ok",
        real: "describe the cluster: invalid",
        why: "ministack gives a cluster no certificate authority, and EKS always does",
    }];
    compare(&expected, &aws::associations(&live, &fixture).await, &known);
}

/// moto knows the grammar of trust policies, and pages. Its account is its own.
#[tokio::test]
async fn the_simulated_account_answers_as_moto_does() {
    let fixture = Fixture::in_account("123456789012");
    let moto = Emulator::moto();
    let settings = settings(moto.endpoint()).await;
    role(&settings, "app").await;
    let live = live(moto.endpoint(), &fixture, None).await;
    let sim = simulated::account(&fixture).sim();
    let expected = sim.run(aws::roles(&sim, &fixture)).expect("it ends");
    let known = [
        Known {
            simulated: "trust policy: no Principal: invalid",
            real: "trust policy: no Principal: ok",
            why: "moto does not ask a trust policy for a principal, and IAM does",
        },
        Known {
            simulated: "trust policy: an action of another service: ok",
            real: "trust policy: an action of another service: invalid",
            why: "the simulated world does not ask whose actions a trust policy names; ours are always of STS",
        },
    ];
    compare(&expected, &aws::roles(&live, &fixture).await, &known);

    let names: Vec<String> = (0..1050).map(|number| format!("many-{number:04}")).collect();
    let made = names.iter().map(|name| role(&settings, name));
    futures::stream::iter(made).buffer_unordered(8).collect::<Vec<()>>().await;
    let many = names.iter().fold(simulated::account(&fixture), |world, name| world.role_with(name, &aws::open())).sim();
    let expected = many.run(aws::many_roles(&many)).expect("it ends");
    assert_eq!(expected.len(), names.len() + 1);
    compare(&expected, &aws::many_roles(&live).await, &[]);
}

/// Makes a role with the trust policy that the scripts expect.
async fn role(settings: &SdkConfig, name: &str) {
    let iam = aws_sdk_iam::Client::new(settings);
    let made = iam.create_role().role_name(name).assume_role_policy_document(aws::open()).send().await;
    made.expect("a role");
}
