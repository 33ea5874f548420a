//! The scan, over the simulated world: what it asks for, and what it makes of calls that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use irsa_migrate::findings::{self, Checks, Code, Finding, Target};
use irsa_migrate::inventory::{Inventory, Seen, WorkloadKind};
use irsa_migrate::model::ClusterArn;
use irsa_migrate::plan::{Plan, Settings, Unit, plan};
use irsa_migrate::scan::{self, Progress, ScanError, State, Wanted, scan};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Fault, Sim, fleet};

fn wanted(names: &[&str]) -> Vec<Wanted> {
    let arn = |name: &&str| ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:111122223333:cluster/{name}")).unwrap();
    names.iter().map(|it| Wanted { arn: arn(it), context: None }).collect()
}

fn both() -> Vec<Wanted> {
    wanted(&["shop-prod", "shop-staging"])
}

fn scanned(sim: &Sim, wanted: &[Wanted]) -> Result<Inventory, ScanError> {
    sim.run(scan(sim, wanted, &mut |_| {})).unwrap()
}

fn planned(inventory: &Inventory) -> Plan {
    plan(inventory, &Settings::default()).unwrap()
}

#[test]
fn each_thing_is_asked_for_once() {
    let sim = fleet();
    let inventory = scanned(&sim, &both()).unwrap();
    let roles = planned(&inventory).units.iter().filter(|it| it.id.0.starts_with("role:")).count();
    let counts = sim.world().history().counts();
    let expected = BTreeMap::from([
        ("caller", 1),
        ("trust_quota", 1),
        ("providers", 1),
        ("roles", 1),
        // One for each role that becomes a unit.
        ("role", roles),
        ("cluster", 2),
        ("agent_addon", 2),
        ("addons", 2),
        ("associations", 2),
        // The one whose ServiceAccount nobody made.
        ("association", 1),
        ("own_issuer", 2),
        ("api_servers", 2),
        ("service_accounts", 2),
        ("workloads", 2 * WorkloadKind::ALL.len()),
        ("pods", 2),
        ("nodes", 2),
    ]);
    assert_eq!(counts, expected);
    assert_eq!(sim.world().writes(), 0);
}

#[test]
fn only_what_matters_is_kept() {
    let inventory = scanned(&fleet(), &both()).unwrap();
    let roles = inventory.accounts.values().next().unwrap().roles.get().unwrap();
    assert!(!roles.iter().any(|it| it.arn.name() == "ci-deploy"));
    for held in ["invoice-archive", "billing-ledger"] {
        let role = roles.iter().find(|it| it.arn.name() == held).unwrap();
        // A Fargate workload's role is not edited; the ledger's is, for its own ServiceAccount.
        assert_eq!(role.detail.is_some(), held == "billing-ledger", "{held}");
    }
    let pods = inventory.clusters[0].pods.get().unwrap();
    assert!(!pods.is_empty() && pods.iter().all(|it| it.service_account != "default"));
}

#[test]
fn associations_are_described_where_their_role_matters() {
    let sim = Builder::new()
        .cluster("a")
        .role("cart", &[("shop", "cart")])
        .role("other", &[("shop", "other")])
        .service_account("shop", "cart", Some("cart"))
        .service_account("shop", "plain", None)
        .association("shop", "cart", "cart")
        .association("shop", "plain", "other")
        .association("shop", "nobody", "other")
        .sim();
    let inventory = scanned(&sim, &wanted(&["a"])).unwrap();
    let associations = inventory.clusters[0].associations.get().unwrap();
    let described: Vec<_> =
        associations.iter().filter(|it| it.detail.is_some()).map(|it| it.service_account.as_str()).collect();
    assert_eq!(described, ["cart", "nobody"]);
}

#[test]
fn the_order_of_answers_changes_nothing() {
    let first = scanned(&fleet(), &both()).unwrap();
    let late = fleet();
    late.set_latency(Duration::from_millis(30));
    let turned: Vec<_> = both().into_iter().rev().collect();
    assert_eq!(scanned(&late, &turned).unwrap(), first);
    assert_eq!(first.to_bytes().unwrap(), scanned(&fleet(), &both()).unwrap().to_bytes().unwrap());
    assert_eq!(Inventory::from_bytes(&first.to_bytes().unwrap()).unwrap(), first);
}

/// What a plan says of everything: its units, and whom it holds.
fn accounted(plan: &Plan) -> (BTreeMap<String, Unit>, BTreeSet<Target>) {
    let units = plan.units.iter().map(|it| (it.id.0.clone(), it.clone())).collect();
    (units, plan.held.iter().map(|it| it.what.clone()).collect())
}

/// Whether something that was not read stands for this candidate.
fn stands_for(unread: &Target, candidate: &Target) -> bool {
    match (unread, candidate) {
        // A cluster or an account that was not read may hide anything that has to do with it.
        (Target::Account(_) | Target::Cluster(_), Target::Role(_)) => true,
        (Target::Cluster(arn), Target::ServiceAccount(it)) => *arn == it.cluster,
        (Target::Cluster(arn), Target::Addon { cluster, .. }) => arn == cluster,
        _ => unread == candidate,
    }
}

#[test]
fn whatever_cannot_be_read_is_told_and_holds_back_whoever_needs_it() {
    let sim = fleet();
    let whole = scanned(&sim, &both()).unwrap();
    let calls = sim.world().history().number_of_calls();
    let candidates = findings::candidates(&whole);
    let (full, _) = accounted(&planned(&whole));
    let mut narrower = 0;
    for number in 1..=calls {
        for fault in [Fault::Before, Fault::Deny] {
            let sim = fleet();
            sim.world().fault_at(number, fault);
            let inventory = match scanned(&sim, &both()) {
                Ok(it) => it,
                Err(ScanError::Caller(_)) if number == 1 => continue,
                Err(error) => panic!("call {number} {fault:?}: {error}"),
            };
            let call = sim.world().history().calls().find(|it| it.error.is_some()).unwrap().call.operation();
            let said = findings::of_inventory(&inventory);
            let told: Vec<&Finding> = said
                .iter()
                .filter(|it| matches!(it.code, Code::Unread | Code::ApiServersUnknown | Code::AgentAddonUnknown))
                .collect();
            // Where the address is EKS' own word, its issuer need not be heard from the server.
            assert!(!told.is_empty() || call == "own_issuer", "call {number} {call} {fault:?}");
            let (units, held) = accounted(&planned(&inventory));
            for (id, unit) in &units {
                let before = full.get(id).unwrap_or_else(|| panic!("call {number} {call} {fault:?}: {id} is new"));
                assert_eq!(before.work, unit.work, "call {number} {call} {fault:?}");
            }
            narrower += usize::from(units.len() < full.len());
            for candidate in &candidates {
                let is_unit = units.contains_key(&unit_of(candidate));
                let is_held = held.contains(candidate);
                let hidden = told.iter().any(|it| it.code == Code::Unread && stands_for(&it.subject, candidate));
                assert!(is_unit || is_held || hidden, "call {number} {call} {fault:?}: {candidate} is missing");
                assert!(!(is_unit && is_held), "call {number} {call} {fault:?}: {candidate} is both");
            }
        }
    }
    assert!(narrower > 20, "{narrower}");
}

fn unit_of(candidate: &Target) -> String {
    match candidate {
        Target::Role(arn) => format!("role:{arn}"),
        Target::ServiceAccount(it) => format!("sa:{}/{}/{}", it.cluster, it.namespace, it.service_account),
        Target::Account(_) | Target::Cluster(_) | Target::Addon { .. } => String::new(),
    }
}

#[test]
fn scans_that_see_nothing_say_why() {
    let nobody = fleet();
    nobody.world().fault_at(1, Fault::Expire);
    assert!(matches!(scanned(&nobody, &both()), Err(ScanError::Caller(_))));

    let error = scanned(&fleet(), &wanted(&["shop-prod", "shop-prd"])).unwrap_err().to_string();
    assert_eq!(error, "there is no cluster shop-prd in region eu-west-1 of account 111122223333");

    let mut twice = both();
    twice.push(Wanted { context: Some("other".into()), ..twice[0].clone() });
    assert!(matches!(scanned(&fleet(), &twice), Err(ScanError::Twice(_))));

    let away = fleet();
    let mut dry = away.clone();
    let _ = scanned(&dry, &both());
    let kubernetes: Vec<u64> = dry
        .world()
        .history()
        .calls()
        .filter(|it| it.call.service() == irsa_migrate::sim::Service::Kubernetes)
        .map(|it| it.number)
        .collect();
    dry = fleet();
    for number in kubernetes {
        dry.world().fault_at(number, Fault::Before);
    }
    let error = scanned(&dry, &both()).unwrap_err();
    assert!(matches!(&error, ScanError::Unreachable { endpoint, .. } if endpoint.starts_with("https://")), "{error}");
}

#[test]
fn one_cluster_out_of_reach_does_not_end_the_scan() {
    let probe = fleet();
    scanned(&probe, &both()).unwrap();
    let staging = &both()[1].arn;
    let of_staging: Vec<u64> = probe
        .world()
        .history()
        .calls()
        .filter(|it| it.call.cluster() == Some(staging) && it.call.service() == irsa_migrate::sim::Service::Kubernetes)
        .map(|it| it.number)
        .collect();
    let sim = fleet();
    for number in of_staging {
        sim.world().fault_at(number, Fault::Before);
    }
    let inventory = scanned(&sim, &both()).unwrap();
    assert!(matches!(inventory.clusters[1].service_accounts, Seen::Unseen(_)));
    let units = planned(&inventory).units;
    assert!(!units.is_empty() && units.iter().all(|it| !it.id.0.contains("shop-staging")));
}

#[test]
fn every_read_is_told_from_beginning_to_end() {
    let sim = fleet();
    sim.world().deny("nodes");
    let mut told: Vec<Progress> = Vec::new();
    sim.run(scan(&sim, &both(), &mut |it| told.push(it))).unwrap().unwrap();
    let count = |wanted: fn(&State) -> bool| told.iter().filter(|it| wanted(&it.state)).count();
    let failed = count(|it| matches!(it, State::Failed(_)));
    assert_eq!(failed, 2);
    assert_eq!(count(|it| *it == State::Started), count(|it| *it == State::Done) + failed);
    assert_eq!(count(|it| *it == State::Started) as u64, sim.world().history().number_of_calls());
}

#[test]
fn one_service_account_once_more_is_judged_as_before() {
    let sim = fleet();
    let whole = scanned(&sim, &both()).unwrap();
    let checks = Checks::new(&whole);
    let shared = sim.run(scan::shared(&sim, &both(), &mut |_| {})).unwrap().unwrap();
    let mut looked = 0;
    for candidate in findings::candidates(&whole) {
        let Target::ServiceAccount(subject) = candidate else { continue };
        let anew = sim.run(scan::subject(&sim, &shared, &subject)).unwrap();
        // Which roles have detail was decided for the whole; here it is read for the one that counts.
        let blockers = |all: Vec<Finding>| -> Vec<Finding> {
            all.into_iter().filter(|it| it.blocks() && matches!(it.subject, Target::ServiceAccount(_))).collect()
        };
        assert_eq!(blockers(findings::of_subject(&anew, &subject)), blockers(checks.of_subject(&subject)), "{subject}");
        looked += 1;
    }
    assert!(looked >= 12);
    assert_eq!(sim.world().writes(), 0);
}

#[test]
fn one_service_account_once_more_sees_what_changed() {
    let sim = fleet();
    let shared = sim.run(scan::shared(&sim, &both(), &mut |_| {})).unwrap().unwrap();
    let subject = shared.clusters[0].subject("checkout", "checkout-api");
    let found = |sim: &Sim| -> BTreeSet<Code> {
        let anew = sim.run(scan::subject(sim, &shared, &subject)).unwrap();
        findings::of_subject(&anew, &subject).into_iter().filter(Finding::blocks).map(|it| it.code).collect()
    };
    assert_eq!(found(&sim), BTreeSet::new());
    let role = irsa_migrate::model::RoleArn::parse("arn:aws:iam::111122223333:role/checkout-payments").unwrap();
    let before = sim.world().history().number_of_calls();
    sim.run(scan::subject(&sim, &shared, &subject)).unwrap();
    // The ServiceAccount, its association, its role, its pods, the nodes, and each kind of workload.
    assert_eq!(sim.world().history().number_of_calls() - before, 5 + WorkloadKind::ALL.len() as u64);
    let closed = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    sim.world().edit_trust(&role, Some(closed)).unwrap();
    sim.world().pass(Duration::from_secs(600));
    assert_eq!(found(&sim), BTreeSet::from([Code::TrustDoesNotGrant]));
    sim.world().edit_trust(&role, None).unwrap();
    sim.world().pass(Duration::from_secs(600));
    assert_eq!(found(&sim), BTreeSet::from([Code::RoleAbsent]));
    sim.world().annotate(&subject, Some("null")).unwrap();
    sim.world().pass(Duration::from_secs(600));
    assert_eq!(found(&sim), BTreeSet::from([Code::AnnotationMalformed]));
    for call in ["service_account", "association_of", "workloads", "pods_of", "nodes"] {
        let sim = fleet();
        sim.world().deny(call);
        assert!(found(&sim).contains(&Code::Unread), "{call}");
    }
}
