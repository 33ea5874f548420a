//! There and back, under exactly the rights that the program asks for.

use irsa_migrate::plan::Work;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::stage::Stage;
use crate::harness::{AUDITED, Audited, Config, Mode, Plane, User, objects, wait};

const APPS: [&str; 3] = ["cart", "ledger", "web"];

/// `cart` and `web` share a role; `ledger` has its own. A Deployment, a StatefulSet, a DaemonSet
/// that is replaced by hand, and a CronJob.
async fn fleet(plane: &Plane) -> Stage<'_> {
    plane.install_agent().await;
    let stage = Stage::on(plane, "shop", |world| {
        world.role("shop", &[("shop", "cart"), ("shop", "web")]).role("ledger", &[("shop", "ledger")])
    })
    .await;
    let shop = &stage.space;
    for volume in objects::persistent_volumes("shop", "ledger", 2) {
        wait::create(&Api::all(plane.client()), &volume).await;
    }
    for (account, role) in [("cart", "shop"), ("web", "shop"), ("ledger", "ledger")] {
        stage.service_account(account, role).await;
    }
    shop.create_object(&objects::deployment("cart", "cart", 3)).await;
    shop.create_object(&objects::stateful_set("ledger", "ledger", 2)).await;
    shop.create_object(&objects::daemon_set_on_delete("web", "web")).await;
    shop.create_object(&objects::cron_job("report", "cart", "0 0 1 1 *")).await;
    shop.rolled_out::<Deployment>("cart").await;
    shop.rolled_out::<StatefulSet>("ledger").await;
    shop.rolled_out::<DaemonSet>("web").await;
    stage
}

/// Until the admission policy is in force, and that it is: a pod that would be real is refused.
async fn pods_are_refused(stage: &Stage<'_>) {
    let user = User::Named { user: &stage.user, group: Some(AUDITED) };
    let text = std::fs::read_to_string(stage.plane.kubeconfig("caller", user)).expect("a kubeconfig");
    let parsed = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.expect("settings");
    let pods: Api<Pod> = Api::namespaced(kube::Client::try_from(config).expect("a client"), "default");
    let trying = async {
        for number in 0.. {
            let pod = objects::pod(&format!("real-{number}"), "default");
            if let Err(error) = pods.create(&PostParams::default(), &pod).await {
                return error.to_string();
            }
            wait::a_moment().await;
        }
        unreachable!("the numbers do not end")
    };
    let error = tokio::time::timeout(wait::PATIENCE, trying).await.expect("the policy is seen");
    assert!(error.contains("as a dry run only"), "{error}");
}

#[tokio::test]
async fn there_and_back_under_the_least_rights() {
    let plane = Plane::start(Config { api_servers: 2, ..Config::named("east") });
    let stage = fleet(&plane).await;
    let before = stage.state().await;
    let arn = plane.config().arn();

    // Looking, under the rights to look.
    stage.run(&["permissions", "--for", "scan", "--cluster", &arn, "--out", "rights"]).await.ended(0);
    stage.apply_manifest("rights/rbac-scan.yaml").await;
    stage.run(&["scan", "--cluster", &arn, "--out", "inventory.json"]).await.ended(0);
    let args = ["plan", "--inventory", "inventory.json", "--out", "plan.json"];
    let shown = stage.run(&args).await.ended(0);
    let planned = stage.planned("plan.json");
    let again = stage.run(&args).await.ended(0);
    assert_eq!(again.stdout, shown.stdout, "planning twice gives the same bytes");
    assert_eq!(stage.planned("plan.json").digest, planned.digest);
    let what: Vec<Vec<&str>> = ["plan.json", "inventory.json"].map(|it| vec!["show", it]).into();
    for args in what {
        stage.run(&args).await.ended(0);
    }
    insta::assert_snapshot!(normal(&shown.stdout, &planned.digest));
    assert_eq!(planned.plan.units.len(), 5, "two roles, three ServiceAccounts");
    assert_eq!(stage.wire.writes(), []);
    assert_eq!(stage.patches(), Vec::<String>::new());
    assert!(!plane.audit(&stage.user).iter().any(|it| it.dry_run), "not even a dry run");
    let allowed = stage.allowed(&["rights/iam-scan.json"]);
    assert_eq!(stage.not_allowed(&allowed), Vec::<String>::new());

    // Moving, under the rights to move these roles.
    stage.run(&["permissions", "--for", "apply", "--plan", "plan.json", "--out", "rights"]).await.ended(0);
    stage.apply_manifest("rights/rbac-apply.yaml").await;
    pods_are_refused(&stage).await;
    let refusals = stage.patches().len();
    stage.wire.forget();
    stage.apply(&planned).await.ended(0);
    assert_eq!(stage.modes(&APPS).await, [Mode::PodIdentity].into());
    for unit in &planned.plan.units {
        if let Work::Role(work) = &unit.work {
            assert_eq!(stage.wire.world().trust_now(&work.role_arn), Some(work.after.as_str()), "as planned");
        }
    }
    // One association for each ServiceAccount, one update for each role, one patch for each workload
    // that rolls, one eviction for each pod that does not, and no more.
    let mut counts = stage.wire.counts();
    counts.retain(|operation, _| stage.wire.writes().iter().any(|it| it.operation == *operation));
    let expected = [("CreatePodIdentityAssociation", 3), ("UpdateAssumeRolePolicy", 2)];
    assert_eq!(counts, expected.map(|(operation, count)| (operation.to_owned(), count)).into());
    let moved = stage.patches();
    let of = |what: &str| moved.iter().filter(|it| it.starts_with(what)).count();
    assert_eq!(of("patch deployments cart: 200"), 1, "{moved:?}");
    assert_eq!(of("patch statefulsets ledger: 200"), 1, "{moved:?}");
    assert_eq!(of("create pods/eviction web-"), 2, "{moved:?}");
    assert_eq!(moved.len(), refusals + 4, "{moved:?}");
    stage.run(&["verify", &planned.run]).await.ended(0);
    stage.run(&["status", &planned.run]).await.ended(0);

    // The same plan again sends nothing, and so does a look at the way back.
    stage.apply(&planned).await.ended(0);
    stage.run(&["rollback", &planned.run, "--dry-run"]).await.ended(0);
    assert_eq!(stage.wire.writes().len(), 5);
    assert_eq!(stage.patches(), moved);

    stage.roll_back(&planned).await.ended(0);
    assert_eq!(stage.state().await, before, "trust policies byte for byte, no stamp, every pod on IRSA");
    let counts = stage.wire.counts();
    assert_eq!(counts["DeletePodIdentityAssociation"], 3);
    assert_eq!(counts["UpdateAssumeRolePolicy"], 2 + 2);
    let allowed = stage.allowed(&["rights/iam-scan.json", "rights/iam-apply.json"]);
    assert_eq!(stage.not_allowed(&allowed), Vec::<String>::new());
    let denied: Vec<Audited> = plane.audit(&stage.user).into_iter().filter(|it| it.status == 403).collect();
    assert_eq!(denied, [], "nothing was tried that is not allowed");
}

/// A plan's text without what differs from run to run: digests, and when it was seen.
fn normal(text: &str, digest: &str) -> String {
    let line = |line: &str| match line {
        it if it.starts_with("seen at") => "seen at   TIME".to_owned(),
        it if it.starts_with("made by") => "made by   irsa-migrate, from DIGESTS".to_owned(),
        it => it.replace(digest, "DIGEST").replace(&digest[..12], "RUN"),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
