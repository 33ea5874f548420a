//! A window that closes half-way.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::stage::Stage;
use crate::harness::{Mode, objects};
use crate::wire::wall_clock;
use k8s_openapi::api::apps::v1::Deployment;

/// A window of the settings that is open from this full minute on.
fn window(from: Timestamp, minutes: i64) -> String {
    let from = from.to_zoned_datetime(TimeZone::UTC);
    let day = from.strftime("%a").to_string().to_lowercase();
    let start = from.strftime("%H:%M");
    format!("[[window]]\ndays = [\"{day}\"]\nstart = \"{start}\"\nminutes = {minutes}\ntime_zone = \"UTC\"\n")
}

#[tokio::test]
async fn what_a_window_is_too_short_for_goes_on_in_the_next() {
    let stage = Stage::shared("window", |world| world.role("cart", &[("window", "cart")])).await;
    stage.service_account("cart", "cart").await;
    // One pod at a time: the program expects it to take longer than what will be left of the window.
    let mut deployment = objects::deployment("cart", "cart", 7);
    let strategy = serde_json::json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    deployment.spec.as_mut().expect("a spec").strategy = serde_json::from_value(strategy).expect("a strategy");
    stage.space.create_object(&deployment).await;
    stage.space.rolled_out::<Deployment>("cart").await;
    let arn = stage.plane.config().arn();
    stage.run(&["scan", "--cluster", &arn, "--out", "inventory.json"]).await.ended(0);

    // Windows have full minutes: this one ends in 45 to 105 seconds, and the next begins a minute later.
    let now = wall_clock().as_second();
    let end = Timestamp::from_second((now + 45).div_euclid(60) * 60 + 60).expect("a time");
    let next = end + SignedDuration::from_mins(1);
    let long_ago = end - SignedDuration::from_mins(10);
    stage.settings(&(window(long_ago, 10) + &window(next, 60)));
    stage.run(&["plan", "--inventory", "inventory.json", "--out", "plan.json"]).await.ended(0);
    let planned = stage.planned("plan.json");

    let ran = stage.apply(&planned).await.ended(23);
    let said = next.to_string();
    assert!(ran.stderr.contains(&said) || ran.stdout.contains(&said), "{said}\n{}", ran.whole());
    let operations =
        |stage: &Stage<'_>| -> Vec<String> { stage.wire.writes().into_iter().map(|it| it.operation).collect() };
    assert_eq!(operations(&stage), ["UpdateAssumeRolePolicy"], "the role fitted, the pods did not");
    assert_eq!(stage.modes(&["cart"]).await, [Mode::Irsa(stage.role("cart").to_string())].into());

    let left = Duration::try_from(next.duration_since(wall_clock())).unwrap_or_default();
    tokio::time::sleep(left).await;
    stage.apply(&planned).await.ended(0);
    assert_eq!(operations(&stage), ["UpdateAssumeRolePolicy", "CreatePodIdentityAssociation"]);
    assert_eq!(stage.modes(&["cart"]).await, [Mode::PodIdentity].into());
}
