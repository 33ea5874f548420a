//! The program is killed, again and again, and its run goes on.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use super::ran::step;
use super::stage::{Planned, Stage};
use super::stuck::{healing, sick_app};
use crate::harness::Mode;

/// `apply` is killed at an event, and its run is open.
async fn killed_at(stage: &Stage<'_>, planned: &Planned, place: &str, fits: impl Fn(&Value) -> bool) {
    let mut run = stage.start(&["apply", "plan.json", "--digest", &planned.digest, "-o", "json"]);
    run.until(place, fits).await;
    run.kill().await;
    stage.lease_runs_out().await;
    let status = stage.run(&["status", &planned.run]).await.ended(0);
    assert!(status.stdout.contains("open"), "{place}\n{}", status.whole());
}

#[tokio::test]
async fn a_killed_run_goes_on_and_is_undone() {
    let stage = Stage::shared("kill", |world| world.role("cart", &[("kill", "cart")])).await;
    // Each place is one where the program waits until the test lets it go on, or for long.
    stage.settings_with("", "trust_settle = 15\nassociation_settle = 4\nbake = 15");
    sick_app(&stage, "cart", "cart", 600).await;
    let before = stage.state().await;
    let planned = stage.plan().await;
    stage.webhook_is_deaf();
    killed_at(&stage, &planned, "a trust policy is about to be written", step("stepStarted", "prepare")).await;
    killed_at(&stage, &planned, "a trust policy settles", step("waiting", "prepare")).await;
    killed_at(&stage, &planned, "an association is there", step("stepStarted", "effective")).await;
    stage.webhook_hears();
    killed_at(&stage, &planned, "pods roll", step("waiting", "restart")).await;
    healing(&stage, "cart", stage.space.rolled_out::<Deployment>("cart")).await;
    killed_at(&stage, &planned, "a wave's pods are watched", |it| it["event"] == "gateWaiting").await;
    stage.apply(&planned).await.ended(0);
    assert_eq!(stage.modes(&["cart"]).await, [Mode::PodIdentity].into());
    let counts = stage.wire.counts();
    assert_eq!(counts["CreatePodIdentityAssociation"], 1, "found, and not made again");
    assert!(counts["UpdateAssumeRolePolicy"] <= 2, "at most again after the kill that may have come before it");
    assert_eq!(stage.patches(), ["patch deployments cart: 200"]);

    let rollback = ["rollback", &planned.run, "--yes", "-o", "json"];
    for (place, fits) in [
        ("an association is about to be deleted", step("stepStarted", "dissociate")),
        ("pods roll back", step("waiting", "put back")),
    ] {
        let mut run = stage.start(&rollback);
        run.until(place, fits).await;
        run.kill().await;
        stage.lease_runs_out().await;
    }
    healing(&stage, "cart", stage.roll_back(&planned)).await.ended(0);
    assert_eq!(stage.state().await, before);
}
