//! Runs and rollbacks that something gets in the way of: what is in the way is waited for or told of,
//! and once it is gone the same command goes on.

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::journal::UnitStatus;
use irsa_migrate::model::{ClusterArn, RoleArn};
use irsa_migrate::plan::Plan;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Fault, MemoryJournal, Service, Sim};

use crate::cycle::{carry_out, plan_of, status, undo_of};

/// One ServiceAccount with a Deployment, in each of these clusters.
pub(crate) fn shop(clusters: &[&str]) -> Builder {
    let in_each = |it: Builder, cluster: &&str| {
        it.cluster(cluster)
            .role("cart", &[("shop", "cart")])
            .service_account("shop", "cart", Some("cart"))
            .deployment("shop", "cart", "cart", 2)
    };
    clusters.iter().fold(Builder::new(), in_each)
}

pub(crate) fn role() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/cart").expect("a role")
}

fn blue() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/blue").expect("a cluster")
}

/// A statement that lets Pod Identity in for one ServiceAccount, or for all.
fn by_hand(trust: &str, only: Option<&str>) -> String {
    let condition = only.map_or_else(String::new, |name| {
        format!(r#", "Condition": {{ "StringEquals": {{ "aws:RequestTag/kubernetes-service-account": "{name}" }} }}"#)
    });
    let statement = format!(
        r#"    {{ "Sid": "ByHand", "Effect": "Allow", "Principal": {{ "Service": "pods.eks.amazonaws.com" }},
      "Action": ["sts:AssumeRole", "sts:TagSession"]{condition} }}"#
    );
    trust.replace("\n  ]\n}\n", &format!(",\n{statement}\n  ]\n}}\n"))
}

/// There, with nothing in the way.
fn migrated(builder: Builder) -> (Sim, Sim, MemoryJournal, Plan) {
    let sim = builder.sim();
    let plan = plan_of(&sim, "");
    let (before, journal) = (sim.fork(), sim.journal());
    let ending = carry_out(&sim, &journal, &plan).expect("no crash");
    assert_eq!((ending.why, ending.refused, ending.failed), (Why::Ended, 0, 0));
    (sim, before, journal, plan)
}

fn assert_as_before(sim: &Sim, before: &Sim) {
    assert_eq!(sim.world().not_restored(&before.world()), Vec::<String>::new());
}

#[test]
fn a_rollback_that_was_refused_is_run_again() {
    let (sim, before, journal, plan) = migrated(shop(&["blue"]));
    let issuer = plan.clusters[0].issuer.clone();
    let account = blue().account();
    sim.world().edit_provider(&account, &issuer, None);
    let undo = undo_of(&sim, &journal, &plan);
    for _ in 0..2 {
        // IRSA cannot be proven to work, so nothing is sent; what is left is named, with the reason.
        let ending = carry_out(&sim, &journal, &undo).expect("no crash");
        assert_eq!((ending.why, ending.done), (Why::Failed, 0));
        let status = status(&sim, &journal, &undo);
        let why = status.detail(&undo.units[0].id.0).expect("a reason").to_owned();
        assert!(why.contains("no OIDC provider"), "{why}");
    }
    sim.world().edit_provider(&account, &issuer, Some(&["sts.amazonaws.com"]));
    let ending = carry_out(&sim, &journal, &undo).expect("no crash");
    assert_eq!((ending.why, ending.done), (Why::Ended, undo.units.len()));
    assert_as_before(&sim, &before);
}

#[test]
fn an_association_that_lives_by_a_statement_of_others_holds_no_rollback_up() {
    let builder = shop(&["blue"]).role("cart", &[("shop", "stock")]);
    let trust = by_hand(&builder.trust_of("cart"), Some("stock"));
    let builder = builder
        .role_with("cart", &trust)
        .service_account("shop", "stock", Some("cart"))
        .association("shop", "stock", "cart")
        .deployment("shop", "stock", "stock", 1);
    let (sim, before, journal, plan) = migrated(builder);
    let undo = undo_of(&sim, &journal, &plan);
    assert_eq!(carry_out(&sim, &journal, &undo).expect("no crash").why, Why::Ended);
    assert_as_before(&sim, &before);
}

#[test]
fn one_that_lives_by_ours_does() {
    let (sim, _, journal, plan) = migrated(shop(&["blue"]));
    let undo = undo_of(&sim, &journal, &plan);
    let other =
        irsa_migrate::model::Subject { cluster: blue(), namespace: "shop".into(), service_account: "stranger".into() };
    sim.world().edit_association(&other, Some(&role())).expect("a cluster");
    let ending = carry_out(&sim, &journal, &undo).expect("no crash");
    assert_eq!(ending.why, Why::Failed);
    let trust = sim.world().trust_now(&role()).expect("a policy").to_owned();
    assert!(trust.contains("pods.eks.amazonaws.com"), "our statement stays");
}

#[test]
fn a_role_that_lets_pod_identity_in_already_needs_nothing() {
    let builder = shop(&["blue"]);
    let trust = by_hand(&builder.trust_of("cart"), None);
    let (sim, before, journal, plan) = migrated(builder.role_with("cart", &trust));
    assert_eq!(sim.world().trust_now(&role()), Some(trust.as_str()));
    let undo = undo_of(&sim, &journal, &plan);
    assert_eq!(carry_out(&sim, &journal, &undo).expect("no crash").why, Why::Ended);
    assert_as_before(&sim, &before);
}

#[test]
fn the_dead_leases_of_several_clusters_are_outlived_at_once() {
    let sim = shop(&["blue", "green", "red"]).sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    let crash = sim.world().history().number_of_calls() + 60;
    sim.world().fault_at(crash, Fault::CrashAfter);
    assert!(carry_out(&sim, &journal, &plan).is_err(), "it was ended");
    sim.restart();
    assert_eq!(carry_out(&sim, &journal, &plan).expect("no crash").why, Why::Ended);
}

#[test]
fn a_role_that_was_deleted_needs_no_statement_taken_out() {
    let sim = shop(&["blue"]).sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    // The role alone is prepared.
    sim.world().deny("create_association");
    carry_out(&sim, &journal, &plan).expect("no crash");
    sim.world().heal();
    sim.world().edit_trust(&role(), None).expect("it is there");
    let undo = undo_of(&sim, &journal, &plan);
    let ending = carry_out(&sim, &journal, &undo).expect("no crash");
    let told = status(&sim, &journal, &undo);
    let why = told.detail(&irsa_migrate::plan::UnitId::of_role(&role()).0).unwrap_or_default().to_owned();
    assert_eq!(ending.why, Why::Ended);
    assert!(why.contains("deleted by others"), "{why}");
}

/// Before anything was sent, a role that cannot be read refuses nobody: the run waits for an answer.
#[test]
fn a_role_that_cannot_be_read_for_long_refuses_nobody() {
    let sim = shop(&["blue"]).sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    // IAM says who calls, and then nothing more.
    sim.world().set_limit(Service::Iam, 0.0, 1.0);
    let ending = carry_out(&sim, &journal, &plan).expect("no crash");
    assert!(matches!(ending.why, Why::Blind(_)), "{ending:?}");
    assert_eq!((ending.refused, ending.failed, sim.world().writes()), (0, 0, 0), "{ending:?}");
    sim.world().set_limit(Service::Iam, 100.0, 100.0);
    let ending = carry_out(&sim, &journal, &plan).expect("no crash");
    assert_eq!((ending.why, ending.done), (Why::Ended, plan.units.len()));
}

#[test]
fn one_that_lives_by_a_condition_of_others_does_too() {
    let builder = shop(&["blue"]).role("cart", &[("shop", "stock")]);
    let by_hand = by_hand(&builder.trust_of("cart"), Some("stock"));
    let until = r#""Condition": { "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" }, "StringEquals""#;
    let trust = by_hand
        .replace(r#""Condition": { "StringEquals": { "aws:RequestTag"#, &format!("{until}: {{ \"aws:RequestTag"));
    assert_ne!(trust, by_hand);
    let builder = builder
        .role_with("cart", &trust)
        .service_account("shop", "stock", Some("cart"))
        .association("shop", "stock", "cart")
        .deployment("shop", "stock", "stock", 1);
    let sim = builder.sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    carry_out(&sim, &journal, &plan).expect("no crash");
    let undo = undo_of(&sim, &journal, &plan);
    // What holds today may not hold tomorrow: our statement stays as long as the association does.
    assert_eq!(carry_out(&sim, &journal, &undo).expect("no crash").why, Why::Failed);
    let ours = plan.units.iter().find_map(|it| match &it.work {
        irsa_migrate::plan::Work::Role(work) => work.added.first().map(|it| it.sid.clone()),
        irsa_migrate::plan::Work::ServiceAccount(_) => None,
    });
    let ours = ours.expect("a statement is added");
    assert!(sim.world().trust_now(&role()).expect("a policy").contains(&ours));
}

#[test]
fn a_workload_that_was_deleted_holds_no_rollback_up() {
    let (sim, before, journal, plan) = migrated(shop(&["blue"]));
    let at = WorkloadRef { kind: WorkloadKind::Deployment, namespace: "shop".into(), name: "cart".into() };
    sim.world().delete_workload(&blue(), &at).expect("it is there");
    let undo = undo_of(&sim, &journal, &plan);
    let ending = carry_out(&sim, &journal, &undo).expect("no crash");
    assert_eq!((ending.why, ending.done), (Why::Ended, undo.units.len()));
    assert_as_before(&sim, &before);
}

/// A webhook that is late may give new pods an association that is gone, and no look shows it: only
/// time rules it out.
#[test]
fn a_rollback_waits_until_every_webhook_has_seen_the_deletion() {
    let (sim, _, journal, plan) = migrated(shop(&["blue"]));
    let undo = undo_of(&sim, &journal, &plan);
    assert_eq!(carry_out(&sim, &journal, &undo).expect("no crash").why, Why::Ended);
    let world = sim.world();
    let at = |wanted: fn(&Call) -> bool| {
        world.history().writes().rfind(|it| wanted(&it.call)).map(|it| it.at).expect("it was sent")
    };
    let deleted = at(|it| matches!(it, Call::DeleteAssociation { .. }));
    let put_back = at(|it| matches!(it, Call::Stamp { .. }));
    let waited = put_back.duration_since(deleted).as_secs();
    assert!(waited >= i64::try_from(plan.numbers.association_settle).expect("a time"), "only {waited} s");
}

#[test]
fn a_write_gets_through_where_each_look_takes_what_a_rate_leaves() {
    let sim = shop(&["blue"]).sim();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    // Two calls of IAM at once, and one more every two seconds: a role is looked at, and then written.
    sim.world().set_limit(Service::Iam, 0.5, 2.0);
    carry_out(&sim, &journal, &plan).expect("no crash");
    let role = plan.units.iter().find(|it| it.id.0.starts_with("role:")).expect("a role");
    assert_eq!(status(&sim, &journal, &plan).unit(&role.id.0, role.steps.len()), UnitStatus::Done);
}
