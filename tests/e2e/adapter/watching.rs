//! Waiting for a change, on a real control plane.

use std::time::{Duration, Instant};

use irsa_migrate::inventory::{Pod, WorkloadKind};
use irsa_migrate::ports::{Cluster as _, Sight, WorkloadNow};
use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::Api;
use kube::api::DeleteParams;

use super::Space;
use crate::harness::{objects, wait};

/// Far longer than anything here takes: a watch that missed its change would last so long.
const LONG: Duration = wait::PATIENCE;

async fn seen(it: &Space) -> (Vec<Pod>, WorkloadNow) {
    let at = it.at(WorkloadKind::Deployment, "web");
    let now = it.live.workload(&it.arn, &at).await.expect("an answer").expect("a Deployment");
    (it.pods().await, now)
}

/// Watches as often as it may return for nothing, until `is` finds what it is there for.
async fn until(it: &Space, is: impl Fn(&[Pod], &WorkloadNow) -> bool) {
    let subject = it.subject();
    let watching = async {
        loop {
            let (pods, now) = seen(it).await;
            if is(&pods, &now) {
                return;
            }
            let sight = Sight { subject: &subject, pods: &pods, workload: Some(&now) };
            it.live.changed(sight, LONG).await.expect("an answer");
        }
    };
    tokio::time::timeout(LONG, watching).await.expect("each change was told");
}

#[tokio::test]
async fn a_roll_out_is_watched_to_its_end() {
    let it = Space::new("adapter-watch").await;
    it.space.create_object(&objects::deployment("web", "app", 2)).await;
    until(&it, |pods, now| now.rollout.complete && pods.len() == 2 && pods.iter().all(|it| it.ready)).await;
    it.stamp(WorkloadKind::Deployment, "web", None, Some("plan-1")).await;
    let fresh = |now: &WorkloadNow| now.workload.stamp.is_some() && now.rollout.complete;
    until(&it, |pods, now| fresh(now) && pods.iter().filter(|it| !it.terminating).count() == 2).await;
}

#[tokio::test]
async fn a_pod_that_goes_is_told_and_what_was_missed_too() {
    let it = Space::new("adapter-watch-pod").await;
    it.space.create_object(&objects::deployment("web", "app", 1)).await;
    it.rolled_out(WorkloadKind::Deployment, "web").await;
    let (pods, now) = seen(&it).await;
    let subject = it.subject();
    let sight = Sight { subject: &subject, pods: &pods, workload: Some(&now) };

    let api: Api<KubePod> = it.space.api();
    let at_once = DeleteParams::default();
    let (told, _) = tokio::join!(it.live.changed(sight, LONG), api.delete(&pods[0].name, &at_once));
    told.expect("an answer");
    until(&it, |now, _| now.iter().all(|it| it.uid != pods[0].uid) && now.iter().any(|it| it.ready)).await;
    // What somebody saw long ago is no longer so: there is nothing to wait for.
    it.live.changed(sight, LONG).await.expect("an answer");
}

#[tokio::test]
async fn where_nothing_changes_the_time_ends_it() {
    let it = Space::new("adapter-watch-still").await;
    let subject = it.subject();
    let (least, began) = (Duration::from_secs(1), Instant::now());
    it.live.changed(Sight { subject: &subject, pods: &[], workload: None }, least).await.expect("an answer");
    assert!(began.elapsed() >= least, "it waited");
}
