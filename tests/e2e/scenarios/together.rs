//! Two people apply at once.

use super::ran::step;
use super::stage::Stage;
use super::stuck::{healing, sick_app};
use crate::harness::{Audited, Mode};

#[tokio::test]
async fn the_second_of_two_applies_sends_nothing() {
    let stage = Stage::shared("together", |world| world.role("cart", &[("together", "cart")])).await;
    sick_app(&stage, "cart", "cart", 600).await;
    // Another plan of the same cluster, and the one that goes on.
    stage.settings("[[wave]]\nname = \"another\"\n");
    let arn = stage.plane.config().arn();
    stage.run(&["plan", "--cluster", &arn, "--out", "other.json"]).await.ended(0);
    let other = stage.planned("other.json").digest;
    stage.settings("");
    let planned = stage.plan().await;
    assert_ne!(other, planned.digest);
    let digest = planned.digest.as_str();

    // It waits for pods that are Ready only once the test lets them be.
    let mut first = stage.start(&["apply", "plan.json", "--digest", digest, "-o", "json"]);
    first.until("pods roll", step("waiting", "restart")).await;

    stage.let_in("AKIASECOND", "second");
    let own = stage.path("second.db").display().to_string();
    let same = stage.path("journal.db").display().to_string();
    for journal in [own, same] {
        let variables = [("AWS_ACCESS_KEY_ID", "AKIASECOND"), ("IRSA_MIGRATE_JOURNAL", journal.as_str())];
        stage.run_with(&["apply", "plan.json", "--digest", digest], &variables).await.refused(24, &["scenarios"]);
    }
    let variables = [("AWS_ACCESS_KEY_ID", "AKIASECOND")];
    stage.run_with(&["apply", "other.json", "--digest", &other], &variables).await.refused(24, &["scenarios"]);
    let sent: Vec<_> = stage.wire.writes().into_iter().filter(|it| it.access_key == "AKIASECOND").collect();
    assert_eq!(sent, []);
    let sent: Vec<Audited> = stage.plane.audit("second").into_iter().filter(Audited::is_write).collect();
    assert_eq!(sent, []);

    // The first one goes on as if nothing had been.
    assert_eq!(healing(&stage, "cart", first.end()).await, Some(0));
    assert_eq!(stage.modes(&["cart"]).await, [Mode::PodIdentity].into());
}
