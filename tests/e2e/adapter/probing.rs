//! How an API server would admit a pod.

use irsa_migrate::inventory::{Mode, WorkloadKind};
use irsa_migrate::model::Subject;
use irsa_migrate::ports::{Cluster as _, PortError, Probe};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{ROLE, Space, arn, live};
use crate::harness::{Config, Plane, objects, wait};

#[tokio::test]
async fn a_probe_is_judged_as_the_workloads_own_pod() {
    let it = Space::new("adapter-probe").await;
    let associations = it.space.associations();
    it.space.create_object(&objects::deployment("web", "app", 1)).await;
    it.space.create_object(&objects::stateful_set("db", "app", 1)).await;
    it.space.create_object(&objects::daemon_set_on_delete("each", "app")).await;
    it.space.create_object(&objects::cron_job("nightly", "app", "0 3 1 1 *")).await;
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
            wait::a_moment().await;
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
    let asking = async {
        while it.space.dry_run(&privileged).await.is_ok() {
            wait::a_moment().await;
        }
    };
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
