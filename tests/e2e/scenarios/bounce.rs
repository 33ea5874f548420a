//! A pod that was admitted between the association and the restart, and the way back from there,
//! by a kubeconfig context.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use super::ran::step;
use super::stage::Stage;
use crate::harness::{AUDITED, Mode, User};

#[tokio::test]
async fn a_pod_that_came_in_between_is_bounced() {
    let mut stage = Stage::shared("bounce", |world| world.role("cart", &[("bounce", "cart")])).await;
    let user = User::Named { user: &stage.user, group: Some(AUDITED) };
    let file = stage.plane.kubeconfig("of the shop", user).display().to_string();
    stage.reach = vec!["--kubeconfig".to_owned(), file, "--context".to_owned(), "of the shop".to_owned()];
    stage.app("cart", "cart", 2).await;
    let before = stage.state().await;
    let planned = stage.plan().await;

    // Ctrl-C as soon as there is an association: nothing is restarted.
    stage.webhook_is_deaf();
    let args = stage.reaching(&["apply", "plan.json", "--digest", &planned.digest, "-o", "json"]);
    let mut run = stage.start(&args);
    run.until("the association", step("stepStarted", "effective")).await;
    run.interrupt().await;
    assert_eq!(run.end().await, Some(23), "paused");
    stage.webhook_hears();
    assert_eq!(stage.patches(), Vec::<String>::new());

    let pods = stage.space.pods("cart").await;
    let lost = pods.keys().next().expect("a pod");
    stage.space.api::<Pod>().delete(lost, &DeleteParams::default()).await.expect("a pod that goes");
    let both = |pods: &std::collections::BTreeMap<String, Pod>| pods.len() == 2 && !pods.contains_key(lost);
    stage.space.until_pods("cart", "the pod is replaced", both).await;
    stage.space.rolled_out::<Deployment>("cart").await;
    assert_eq!(stage.modes(&["cart"]).await, [Mode::Irsa(stage.role("cart").to_string()), Mode::PodIdentity].into());

    // The template never had a stamp: only fresh pods bring the second one back.
    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before);
    assert_eq!(stage.stamp("cart").await, None);
    assert_eq!(stage.patches(), ["patch deployments cart: 200"; 2], "a stamp, and its removal");
    assert!(stage.plane.audit(&stage.user).len() > 10, "the context's user did it");
}
