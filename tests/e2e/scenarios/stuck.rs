//! A roll-out that never becomes Ready.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::harness::{Mode, objects};

/// A Deployment whose pods are Ready, and whose next ones never will be until [`heal`]ed.
pub(super) async fn sick_app(stage: &Stage<'_>, name: &str, role: &str, deadline: i32) {
    stage.service_account(name, role).await;
    let mut deployment = objects::deployment(name, name, 2);
    let spec = deployment.spec.as_mut().expect("a spec");
    spec.progress_deadline_seconds = Some(deadline);
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(objects::NEVER_READY.to_owned(), "true".to_owned());
    stage.space.create_object(&deployment).await;
    healing(stage, name, stage.space.rolled_out::<Deployment>(name)).await;
}

/// Lets the pods that are there become Ready. One that is Ready may be on its way out, and is left alone.
async fn heal(stage: &Stage<'_>, name: &str) {
    let well = json!({"metadata": {"labels": {objects::NEVER_READY: Value::Null}}});
    for (pod, now) in stage.space.pods(name).await {
        if now.labels().contains_key(objects::NEVER_READY) {
            stage.space.merge::<Pod>(&pod, &well).await;
        }
    }
}

/// Lets every pod become Ready for as long as `until` takes.
pub(super) async fn healing<T>(stage: &Stage<'_>, name: &str, until: impl Future<Output = T>) -> T {
    let for_ever = async {
        loop {
            heal(stage, name).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        done = until => done,
        () = for_ever => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn a_roll_out_that_is_never_ready_stops_the_run() {
    let stage = Stage::shared("stuck", |world| {
        world.role("good", &[("stuck", "good")]).role("bad", &[("stuck", "bad")]).role("later", &[("stuck", "later")])
    })
    .await;
    // The canary takes the two that risk least, which are the ones with fewer pods.
    stage.settings("[[wave]]\nname = \"first\"\nsize = 2\n[[wave]]\nname = \"second\"\n");
    stage.app("good", "good", 1).await;
    sick_app(&stage, "bad", "bad", 30).await;
    stage.app("later", "later", 3).await;
    let before = stage.state().await;
    let planned = stage.plan().await;
    let waves: Vec<usize> = planned.plan.waves.iter().map(|it| it.units.len()).collect();
    assert_eq!(waves, [3, 2, 1], "{:?}", planned.plan.waves);

    let ran = stage.apply(&planned).await.ended(21);
    assert!(ran.stderr.contains("made no progress"), "{}", ran.whole());
    assert_eq!(stage.modes(&["good"]).await, [Mode::PodIdentity].into(), "its sibling is whole");
    let irsa = Mode::Irsa(stage.role("later").to_string());
    assert_eq!(stage.modes(&["later"]).await, [irsa].into(), "the next wave did not start");
    assert_eq!(stage.patches(), ["patch deployments bad: 200", "patch deployments good: 200"]);
    let status = stage.run(&["status", &planned.run]).await.ended(0);
    assert!(status.stdout.contains("failed, and may have taken effect"), "{}", status.whole());

    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn a_unit_that_fails_is_undone_at_once_where_the_plan_says_so() {
    let stage = Stage::shared("undo-unit", |world| {
        let world = world.role("good", &[("undo-unit", "good")]).role("bad", &[("undo-unit", "bad")]);
        world.role("later", &[("undo-unit", "later")])
    })
    .await;
    stage.settings("[[wave]]\nname = \"first\"\nsize = 2\n[[wave]]\nname = \"second\"\n");
    let settings = std::fs::read_to_string(stage.path("irsa-migrate.toml")).unwrap();
    let settings = settings.replace("[apply]", "[apply]\non_failure = \"undo-unit\"");
    std::fs::write(stage.path("irsa-migrate.toml"), settings).unwrap();
    stage.app("good", "good", 1).await;
    sick_app(&stage, "bad", "bad", 30).await;
    stage.app("later", "later", 3).await;
    let before = stage.state().await;
    let planned = stage.plan().await;
    let shown = stage.run(&["show", "plan.json"]).await.ended(0);
    assert!(shown.stdout.contains("undo-unit"), "{}", shown.whole());

    let ran = stage.apply(&planned).await.ended(21);
    assert!(ran.stderr.contains("is undone, for the plan says so"), "{}", ran.whole());
    assert_eq!(stage.modes(&["good"]).await, [Mode::PodIdentity].into(), "its sibling is whole");
    let irsa = |name: &str| Mode::Irsa(stage.role(name).to_string());
    assert_eq!(stage.modes(&["bad"]).await, [irsa("bad")].into());
    let associations = stage.wire.world().state().associations;
    assert!(associations.keys().all(|it| !it.ends_with("/bad")), "new pods get IRSA again: {associations:?}");

    // The wave is over: what was undone stays undone, and the rest goes on.
    stage.apply(&planned).await.ended(0);
    assert_eq!(stage.modes(&["later"]).await, [Mode::PodIdentity].into());
    assert_eq!(stage.modes(&["bad"]).await, [irsa("bad")].into());
    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before);
}
