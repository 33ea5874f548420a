//! The planner: one small inventory an idea.

use std::collections::BTreeSet;

use irsa_migrate::findings::{Code, Target as About, candidates};
use irsa_migrate::inventory::{Inventory, Seen, Strategy, Workload, WorkloadKind};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Move, Plan, Request, Settings, Unit, UnitId, Work, plan};
use irsa_migrate::trust::Relation;

use crate::inventories::{Fleet, cluster_arn, one, role_arn, several, subject, trust};

fn planned(inventory: &Inventory) -> Plan {
    planned_with(inventory, "")
}

fn planned_with(inventory: &Inventory, settings: &str) -> Plan {
    let plan = plan(inventory, &Settings::parse(settings).expect("settings")).expect("a plan");
    let problems = check(&plan);
    assert!(problems.is_empty(), "{problems:#?}");
    plan
}

/// The waves with their units, roles by name.
fn waves(plan: &Plan) -> Vec<String> {
    let short = |id: &UnitId| {
        id.0.rsplit("role/").next().map_or(String::new(), |it| it.rsplit("cluster/").next().unwrap_or(it).to_owned())
    };
    let wave = |it: &irsa_migrate::plan::Wave| {
        format!("{}: {}", it.name, it.units.iter().map(short).collect::<Vec<_>>().join(", "))
    };
    plan.waves.iter().map(wave).collect()
}

fn held(plan: &Plan, about: &About) -> Vec<Code> {
    let found = plan.held.iter().find(|it| it.what == *about);
    found.map(|it| it.findings.iter().map(|it| it.code).collect()).unwrap_or_default()
}

fn unit_of<'a>(plan: &'a Plan, cluster: &str, namespace: &str, name: &str) -> &'a Unit {
    plan.unit(&UnitId::of_subject(&subject(cluster, namespace, name))).expect("a unit")
}

#[test]
fn one_service_account_whole() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&planned(&one())).expect("JSON"));
}

#[test]
fn planning_twice_gives_the_same_bytes() {
    let inventory = several();
    let again = Inventory::from_bytes(&inventory.to_bytes().expect("bytes")).expect("the same inventory");
    assert_eq!(again, inventory);
    assert_eq!(planned(&inventory).to_bytes().expect("bytes"), planned(&again).to_bytes().expect("bytes"));
    let read = Plan::from_bytes(&planned(&inventory).to_bytes().expect("bytes")).expect("the same plan");
    assert_eq!(read, planned(&inventory));
}

#[test]
fn a_role_is_one_unit_whoever_shares_it() {
    let plan = planned(&several());
    assert_eq!(
        waves(&plan),
        ["prepare: both, shared", "canary: blue/logs/ship", "rest: green/logs/ship, blue/shop/stock, blue/shop/cart",]
    );
    let thief = About::ServiceAccount(subject("green", "tenant", "thief"));
    assert!(held(&plan, &thief).contains(&Code::TrustDoesNotGrant), "{:?}", plan.held);
    let ship = unit_of(&plan, "blue", "logs", "ship");
    let Work::ServiceAccount(work) = &ship.work else { panic!("a ServiceAccount") };
    assert_eq!(work.workloads[0].moves, Move::Evict);
    let evicts = ship.steps.iter().filter(|it| matches!(it.write, Some(Request::Evict { .. }))).count();
    assert_eq!(evicts, 1);
}

#[test]
fn waves_by_selector_and_what_no_wave_takes() {
    let settings = r#"
        [[wave]]
        name = "green-first"
        clusters = ["green"]
        [[wave]]
        name = "shop"
        labels = { team = "shop" }
        size = 1
    "#;
    let plan = planned_with(&several(), settings);
    assert_eq!(waves(&plan), ["prepare: both, shared", "green-first: green/logs/ship", "shop: blue/shop/stock"]);
    for (namespace, name) in [("shop", "cart"), ("logs", "ship")] {
        let about = About::ServiceAccount(subject("blue", namespace, name));
        assert_eq!(held(&plan, &about), [Code::InNoWave], "{name}");
    }
}

#[test]
fn a_role_that_nobody_needs_is_held() {
    let plan = planned_with(&several(), "[scope]\nexclude = [\"shop\"]");
    assert_eq!(held(&plan, &About::Role(role_arn("shared"))), [Code::RoleNotNeeded]);
    assert_eq!(held(&plan, &About::ServiceAccount(subject("blue", "shop", "cart"))), [Code::OutOfScope]);
}

/// A window of so many minutes.
fn window(minutes: u32) -> String {
    format!("[[window]]\ndays = [\"tue\"]\nstart = \"22:00\"\nminutes = {minutes}\ntime_zone = \"UTC\"\n")
}

#[test]
fn what_is_longer_than_every_window_is_held() {
    let about = About::ServiceAccount(subject("blue", "shop", "cart"));
    // A role's settle time is short, and an association's is longer than the window.
    let plan = planned_with(&one(), &format!("{}[numbers]\ntrust_settle = 5\nassociation_settle = 60\n", window(1)));
    assert_eq!(held(&plan, &about), [Code::NeverFitsWindow]);
    assert_eq!(held(&plan, &About::Role(role_arn("cart"))), [Code::RoleNotNeeded]);
    assert!(plan.units.is_empty());
    assert_eq!(planned_with(&one(), &window(60)).units.len(), 2);
}

#[test]
fn a_role_that_is_longer_than_every_window_is_held_and_so_is_who_needs_it() {
    let role = About::Role(role_arn("cart"));
    let about = About::ServiceAccount(subject("blue", "shop", "cart"));
    let settle = |seconds: u64| format!("{}[numbers]\ntrust_settle = {seconds}\n", window(10));
    let plan = planned_with(&one(), &settle(900));
    assert_eq!((held(&plan, &role), held(&plan, &about)), (vec![Code::NeverFitsWindow], vec![Code::RoleHeld]));
    assert!(plan.units.is_empty() && plan.waves.is_empty());
    let why = plan.held.iter().find(|it| it.what == role).map(|it| it.findings[0].evidence.as_str());
    assert_eq!(why, Some("it is expected to take 902 s, and the longest window is 600 s"));
    // What takes all of a window could only start in the moment in which it opens.
    let first = planned_with(&one(), &settle(60)).units[0].clone();
    let left_over = 10 * 60 - (first.expected_seconds - 60);
    assert_eq!(held(&planned_with(&one(), &settle(left_over)), &role), [Code::NeverFitsWindow]);
    assert_eq!(planned_with(&one(), &settle(left_over - 1)).units.len(), 2);
    // Where both are too long, both say so.
    let plan = planned_with(&one(), &window(1));
    assert_eq!(held(&plan, &role), [Code::NeverFitsWindow]);
    assert_eq!(held(&plan, &about), [Code::RoleHeld, Code::NeverFitsWindow]);
}

#[test]
fn each_kind_of_workload_moves_in_its_own_way() {
    let account = ("shop", "cart", "cart");
    type Case = (WorkloadKind, fn(&mut Workload), Option<Move>);
    let cases: [Case; 8] = [
        (WorkloadKind::Deployment, |_| {}, Some(Move::Roll)),
        (WorkloadKind::Deployment, |it| it.strategy = Strategy::Recreate, Some(Move::Roll)),
        (WorkloadKind::StatefulSet, |_| {}, Some(Move::Roll)),
        (WorkloadKind::StatefulSet, |it| it.partition = 1, Some(Move::Evict)),
        (WorkloadKind::DaemonSet, |it| it.strategy = Strategy::OnDelete, Some(Move::Evict)),
        (WorkloadKind::ReplicaSet, |_| {}, Some(Move::Evict)),
        (WorkloadKind::CronJob, |_| {}, None),
        (WorkloadKind::Deployment, |it| it.skips_webhook = true, None),
    ];
    for (kind, change, wanted) in cases {
        let inventory = Fleet::of(&["blue"])
            .role("cart", &trust(&[("blue", "shop:cart")]))
            .account("blue", "shop", "cart", "cart")
            .workload("blue", account, kind, 2, change)
            .0;
        let plan = planned(&inventory);
        let Work::ServiceAccount(work) = &unit_of(&plan, "blue", "shop", "cart").work else {
            panic!("a ServiceAccount")
        };
        assert_eq!(work.workloads.first().map(|it| it.moves), wanted, "{kind}");
        assert_eq!(work.left.len(), usize::from(wanted.is_none()), "{kind}: {:?}", work.left);
    }
}

#[test]
fn a_paused_deployment_is_held_unless_its_owner_restarts_it() {
    let inventory = Fleet::of(&["blue"])
        .role("cart", &trust(&[("blue", "shop:cart")]))
        .account("blue", "shop", "cart", "cart")
        .workload("blue", ("shop", "cart", "cart"), WorkloadKind::Deployment, 1, |it| it.paused = true)
        .0;
    let about = About::ServiceAccount(subject("blue", "shop", "cart"));
    assert_eq!(held(&planned(&inventory), &about), [Code::RestartByOwner]);
    let plan = planned_with(&inventory, "[apply]\nrestart = \"by-owner\"");
    let names: Vec<&str> = unit_of(&plan, "blue", "shop", "cart").steps.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["associate", "effective", "await Deployment shop/cart", "verify"]);
}

#[test]
fn a_role_whose_owner_was_not_asked_for_is_held() {
    let mut inventory = one();
    let account = inventory.accounts.values_mut().next().expect("an account");
    let Seen::Seen(roles) = &mut account.roles else { panic!("roles were read") };
    roles[0].detail = None;
    let plan = planned(&inventory);
    assert_eq!(held(&plan, &About::Role(role_arn("cart"))), [Code::Unread]);
    assert_eq!(held(&plan, &About::ServiceAccount(subject("blue", "shop", "cart"))), [Code::RoleHeld]);
}

#[test]
fn the_canary_replaces_pods() {
    let inventory = Fleet::of(&["blue"])
        .role("nightly", &trust(&[("blue", "shop:nightly")]))
        .role("cart", &trust(&[("blue", "shop:cart")]))
        .account("blue", "shop", "nightly", "nightly")
        .account("blue", "shop", "cart", "cart")
        .workload("blue", ("shop", "nightly", "nightly"), WorkloadKind::CronJob, 1, |_| {})
        .deployment("blue", ("shop", "cart", "cart"), 3)
        .0;
    assert_eq!(waves(&planned(&inventory))[1..], ["canary: blue/shop/cart", "rest: blue/shop/nightly"]);
}

#[test]
fn everything_is_a_unit_or_held() {
    for inventory in [one(), several()] {
        let plan = planned(&inventory);
        accounted_for(&inventory, &plan);
    }
}

/// Units and held together are the candidates, and nothing is both.
fn accounted_for(inventory: &Inventory, plan: &Plan) {
    let units: BTreeSet<About> = plan
        .units
        .iter()
        .map(|unit| match &unit.work {
            Work::Role(work) => About::Role(work.role_arn.clone()),
            Work::ServiceAccount(work) => About::ServiceAccount(work.subject.clone()),
        })
        .collect();
    let held: BTreeSet<About> = plan.held.iter().map(|it| it.what.clone()).collect();
    assert!(units.is_disjoint(&held), "{units:?} {held:?}");
    let wanted = candidates(inventory);
    let missing: Vec<&About> = wanted.iter().filter(|it| !units.contains(it) && !held.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(plan.held.iter().all(|it| !it.findings.is_empty()), "held without a reason: {:#?}", plan.held);
}

/// Each read of an inventory made to fail, one at a time.
fn each_read_failed(inventory: &Inventory) -> Vec<(String, Inventory)> {
    let mut all = Vec::new();
    let mut fail = |what: String, change: &dyn Fn(&mut Inventory)| {
        let mut copy = inventory.clone();
        change(&mut copy);
        all.push((what, copy));
    };
    let why = || "denied".to_owned();
    for id in inventory.accounts.keys() {
        fail("quota".into(), &|it| it.accounts.get_mut(id).expect("it").trust_quota = Seen::Unseen(why()));
        fail("providers".into(), &|it| it.accounts.get_mut(id).expect("it").providers = Seen::Unseen(why()));
        fail("roles".into(), &|it| it.accounts.get_mut(id).expect("it").roles = Seen::Unseen(why()));
    }
    for at in 0..inventory.clusters.len() {
        fail(format!("facts of {at}"), &|it| it.clusters[at].facts = Seen::Unseen(why()));
        fail(format!("associations of {at}"), &|it| it.clusters[at].associations = Seen::Unseen(why()));
        fail(format!("ServiceAccounts of {at}"), &|it| it.clusters[at].service_accounts = Seen::Unseen(why()));
        fail(format!("pods of {at}"), &|it| it.clusters[at].pods = Seen::Unseen(why()));
        fail(format!("nodes of {at}"), &|it| it.clusters[at].nodes = Seen::Unseen(why()));
        fail(format!("add-ons of {at}"), &|it| it.clusters[at].addons = Seen::Unseen(why()));
        for kind in WorkloadKind::ALL {
            fail(format!("{kind} of {at}"), &|it| {
                it.clusters[at].workloads.insert(kind, Seen::Unseen(why()));
            });
        }
    }
    all
}

#[test]
fn a_read_that_fails_only_takes_units_away() {
    let inventory = several();
    let whole: BTreeSet<UnitId> = planned(&inventory).units.into_iter().map(|it| it.id).collect();
    for (what, partial) in each_read_failed(&inventory) {
        let plan = planned(&partial);
        let left: BTreeSet<UnitId> = plan.units.iter().map(|it| it.id.clone()).collect();
        assert!(left.is_subset(&whole), "{what}: {left:?}");
        accounted_for(&partial, &plan);
        // Whatever was not read concerns somebody here.
        let unaffected = what.starts_with("add-ons");
        assert!(unaffected || left.len() < whole.len(), "{what} failed, and everything is planned all the same");
    }
}

#[test]
fn the_plan_names_only_what_it_must_look_into() {
    let plan = planned(&several());
    let clusters: Vec<_> = plan.clusters.iter().map(|it| it.arn.clone()).collect();
    assert_eq!(clusters, [cluster_arn("blue"), cluster_arn("green")]);
}

#[test]
fn a_role_that_clusters_of_other_accounts_use_too() {
    let mut fleet = Fleet::of(&["blue", "green"])
        .role("both", &trust(&[("blue", "logs:ship"), ("green", "logs:ship")]))
        .account("blue", "logs", "ship", "both")
        .account("green", "logs", "ship", "both")
        .deployment("blue", ("logs", "ship", "both"), 1);
    // Another account's cluster: its tokens open the role through a provider in the role's account.
    let elsewhere = ClusterArn::parse("arn:aws:eks:eu-west-1:999988887777:cluster/green").expect("an ARN");
    fleet.cluster("green").arn = elsewhere.clone();
    let plan = planned(&fleet.0);
    assert_eq!(waves(&plan), ["prepare: both", "canary: blue/logs/ship"]);
    let role = plan.unit(&UnitId::of_role(&role_arn("both"))).expect("the role's unit");
    let Work::Role(work) = &role.work else { panic!("a role") };
    let theirs = Subject { cluster: elsewhere, ..subject("green", "logs", "ship") };
    let ours = subject("blue", "logs", "ship");
    // Ours may both ways; theirs by IRSA as before, and by Pod Identity never.
    assert!(work.grants_before.allows(&ours) && work.grants_after.allows(&ours));
    assert!(work.grants_before.allows(&theirs) && !work.grants_after.allows(&theirs));
    assert_eq!(work.proof.relation, Relation::Narrower);
    assert!(work.after.contains(
        &work.before[work.before.find("\"Effect\"").expect("a statement")..work.before.rfind('}').expect("an end") - 6]
    ));
    let said: Vec<_> = role.notices.iter().map(|it| (it.code, it.evidence.contains("STAYS_ON_IRSA"))).collect();
    assert_eq!(said, [(Code::TrustRemark, true)]);
    // Were it all, there would be nothing to move.
    let mut fleet =
        Fleet::of(&["blue"]).role("both", &trust(&[("blue", "logs:ship")])).account("blue", "logs", "ship", "both");
    fleet.cluster("blue").arn = theirs.cluster.clone();
    assert_eq!(planned(&fleet.0).units, []);
}
