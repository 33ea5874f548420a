//! The port's writes: stamps, evictions, leases.

use irsa_migrate::inventory::WorkloadKind;
use irsa_migrate::ports::{Cluster as _, Lease, LeaseVersion, PortError, Stamping};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use serde_json::{Value, json};

use super::Space;
use crate::harness::{objects, wait};

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
            // A busy control plane can miss the deadline before it has made the first new pod.
            if now.rollout.failed && now.rollout.updated >= 1 {
                return now.rollout;
            }
            wait::a_moment().await;
        }
    };
    let stuck = tokio::time::timeout(wait::PATIENCE, asking).await.unwrap();
    assert_eq!((stuck.wanted, stuck.ready), (2, 2), "the old pods stay");
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
