//! What cannot be done is said in one sentence with a hint, by its exit code, and changes nothing.

use irsa_migrate::model::Digest;

use super::stage::{Planned, Stage, account};
use crate::harness::{Plane, User};
use crate::wire::{Wire, WireFault};

async fn set(name: &str) -> (Stage<'static>, Planned) {
    let stage = Stage::shared(name, |world| world.role("cart", &[(name, "cart")])).await;
    stage.app("cart", "cart", 1).await;
    let planned = stage.plan().await;
    (stage, planned)
}

fn nothing_was_sent(stage: &Stage<'_>) {
    // Every write that was refused on the wire counts as not sent.
    let sent: Vec<_> = stage.wire.writes().into_iter().filter(|it| it.status == 200).collect();
    assert_eq!(sent, []);
    assert_eq!(stage.patches(), Vec::<String>::new());
}

#[tokio::test]
async fn the_wrong_cluster() {
    let (stage, planned) = set("wrong-cluster").await;
    let other = Plane::shared();
    let file = other.kubeconfig("other", User::Admin).display().to_string();
    let before = stage.state().await;
    let reach = ["--kubeconfig", &file, "--context", "other"];
    let apply = ["apply", "plan.json", "--digest", &planned.digest];
    let issuer = other.config().issuer().replace("https://", "");
    stage.run(&[&apply[..], &reach].concat()).await.refused(20, &["scenarios", &issuer]);
    let arn = stage.plane.config().arn();
    let ran = stage.run(&[&["plan", "--cluster", &arn, "--out", "other.json"][..], &reach].concat()).await;
    assert!(!stage.path("other.json").exists() || stage.planned("other.json").plan.units.is_empty(), "{}", ran.whole());

    // A context that is not there, and a file that is not.
    let unknown = ["--kubeconfig", &file, "--context", "nowhere"];
    stage.run(&[&apply[..], &unknown].concat()).await.refused(2, &["nowhere"]);
    let absent = ["--kubeconfig", "absent.yaml", "--context", "other"];
    stage.run(&[&apply[..], &absent].concat()).await.refused(2, &["absent.yaml"]);
    // A cluster that EKS does not know.
    let unknown = arn.replace("cluster/scenarios", "cluster/nowhere");
    stage.run(&["scan", "--cluster", &unknown]).await.refused(2, &["nowhere"]);
    nothing_was_sent(&stage);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn the_wrong_account() {
    let (stage, planned) = set("wrong-account").await;
    let before = stage.state().await;
    let variables = [("AWS_ACCESS_KEY_ID", "444455556666")];
    let apply = ["apply", "plan.json", "--digest", &planned.digest];
    stage.run_with(&apply, &variables).await.refused(20, &["111122223333", "444455556666"]);
    nothing_was_sent(&stage);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached() {
    let (stage, planned) = set("unreachable").await;
    // Port 9 of this machine, where nobody listens.
    let world = account(stage.plane, "https://127.0.0.1:9").role("cart", &[("unreachable", "cart")]).world();
    let elsewhere = Wire::start(world).await.expect("a port");
    let account = irsa_migrate::model::AccountId::parse(&stage.plane.config().account).expect("an account");
    elsewhere.key_of("AKIAUNREACHABLE", account);
    let (arn, url) = (stage.plane.config().arn(), elsewhere.url());
    let variables = [("AWS_ENDPOINT_URL", url.as_str())];
    let args = ["scan", "--cluster", &arn, "--out", "inventory.json"];
    stage.run_with(&args, &variables).await.refused(1, &["https://127.0.0.1:9"]);
    assert!(!stage.path("inventory.json").exists());
    let args = ["apply", "plan.json", "--digest", &planned.digest];
    stage.run_with(&args, &variables).await.refused(1, &["https://127.0.0.1:9"]);
    assert_eq!(elsewhere.writes(), []);
    nothing_was_sent(&stage);
}

#[tokio::test]
async fn credentials_that_are_none_or_run_out_or_may_not() {
    let (stage, planned) = set("credentials").await;
    let before = stage.state().await;
    let apply = ["apply", "plan.json", "--digest", &planned.digest];
    let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    stage.run_with(&apply, &none).await.refused(30, &["credentials"]);
    stage.run_with(&apply, &[("AWS_ACCESS_KEY_ID", "AKIANOBODY")]).await.refused(30, &["InvalidClientTokenId"]);
    stage.wire.fail("GetCallerIdentity", [WireFault::Expired]);
    stage.run(&apply).await.refused(30, &["ExpiredToken"]);
    stage.wire.fail("DescribeCluster", [WireFault::Denied]);
    stage.run(&apply).await.refused(30, &["eks:DescribeCluster"]);
    // The cluster knows nobody of this name.
    stage.wire.key_of("AKIASTRANGER", irsa_migrate::model::AccountId::parse("111122223333").expect("an account"));
    stage.run_with(&apply, &[("AWS_ACCESS_KEY_ID", "AKIASTRANGER")]).await.refused(30, &[]);
    nothing_was_sent(&stage);
    assert_eq!(stage.state().await, before);

    // In the middle: they pause the run, and nothing has failed.
    stage.wire.fail("UpdateAssumeRolePolicy", [WireFault::Expired]);
    let ran = stage.run(&apply).await.ended(23);
    assert!(ran.stderr.contains("credentials ran out"), "{}", ran.whole());
    nothing_was_sent(&stage);
    assert_eq!(stage.state().await, before);
    stage.apply(&planned).await.ended(0);
    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn a_write_that_is_denied() {
    let (stage, planned) = set("denied").await;
    let before = stage.state().await;
    stage.wire.fail("UpdateAssumeRolePolicy", [WireFault::Denied]);
    let ran = stage.apply(&planned).await.ended(30);
    assert!(ran.stderr.contains("not authorized to perform"), "{}", ran.whole());
    nothing_was_sent(&stage);
    assert_eq!(stage.state().await, before);
}

#[tokio::test]
async fn a_plan_that_is_not_the_one() {
    let (stage, planned) = set("edited-plan").await;
    let before = stage.state().await;
    stage.wire.forget();
    let bytes = std::fs::read(stage.path("plan.json")).expect("the plan");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let refused = async |text: &str, digest: Option<&str>, says: &str| {
        std::fs::write(stage.path("bad.json"), text).expect("a file");
        let own = Digest::of(text.as_bytes()).to_string();
        let args = ["apply", "bad.json", "--digest", digest.unwrap_or(&own)];
        stage.run(&args).await.refused(2, &[says]);
    };
    let edited = text.replace("\"cart\"", "\"till\"");
    assert_ne!(edited, text);
    refused(&format!("{text}\n"), Some(&planned.digest), "the plan's digest is").await;
    refused(&edited, None, "the plan does not hold").await;
    refused(&text[..text.len() / 2], None, "not a plan").await;
    let newer = text.replacen("\"major\": 1", "\"major\": 2", 1);
    assert_ne!(newer, text);
    refused(&newer, None, "newer").await;
    stage.run(&["apply", "plan.json"]).await.refused(2, &["--digest"]);
    stage.run(&["rollback", "0123456789ab", "--yes"]).await.refused(2, &["journal"]);
    assert_eq!(stage.wire.seen(), [], "nobody was asked anything");
    assert_eq!(stage.state().await, before);
}
