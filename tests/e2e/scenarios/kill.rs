//! The program is killed, again and again, and its run goes on.

use serde_json::Value;

use super::ran::step;
use super::stage::Stage;
use crate::harness::Mode;

/// Which event it is.
type Fits = Box<dyn Fn(&Value) -> bool>;

#[tokio::test]
async fn a_killed_run_goes_on_and_is_undone() {
    let stage = Stage::shared("kill", |world| world.role("cart", &[("kill", "cart")])).await;
    stage.app("cart", "cart", 2).await;
    let before = stage.state().await;
    let planned = stage.plan().await;
    let apply = ["apply", "plan.json", "--digest", &planned.digest, "-o", "json"];

    let gate = |it: &Value| it["event"] == "gateWaiting";
    let places: [(&str, Fits); 5] = [
        ("a trust policy is about to be written", Box::new(step("stepStarted", "prepare"))),
        ("a trust policy settles", Box::new(step("waiting", "prepare"))),
        ("an association is there", Box::new(step("stepStarted", "effective"))),
        ("pods roll", Box::new(step("waiting", "restart"))),
        ("a wave's pods are watched", Box::new(gate)),
    ];
    for (place, fits) in places {
        let mut run = stage.start(&apply);
        run.until(place, fits).await;
        run.kill().await;
        let status = stage.run(&["status", &planned.run]).await.ended(0);
        assert!(status.stdout.contains("open"), "{place}\n{}", status.whole());
    }
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
    }
    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before);
}
