//! Everything is a unit or held, whatever could not be read.

use std::collections::{BTreeMap, BTreeSet};

use irsa_migrate::findings::{Code, Target};
use irsa_migrate::inventory::Inventory;
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{PLAN_TAG, Plan, Request, Settings, Unit, UnitId, Work, plan};
use irsa_migrate::scan::{self, Wanted};
use irsa_migrate::sim::{Fault, Sim, fleet};

use crate::shapes::SHAPES;

fn worlds() -> Vec<(&'static str, Sim)> {
    let shapes = SHAPES.iter().map(|it| (it.name, (it.build)().sim()));
    std::iter::once(("the fleet", fleet())).chain(shapes).collect()
}

/// `None` where nothing could be made of what was read.
fn scanned(sim: &Sim) -> Option<Inventory> {
    let wanted: Vec<Wanted> = sim.world().cluster_arns().into_iter().map(|arn| Wanted { arn, context: None }).collect();
    sim.run(async { scan::scan(sim, &wanted, &mut |_| {}).await }).expect("the world goes on").ok()
}

fn planned(inventory: &Inventory) -> Plan {
    let plan = plan(inventory, &Settings::default()).expect("a plan");
    assert_eq!(check(&plan), []);
    plan
}

fn target(unit: &Unit) -> Target {
    match &unit.work {
        Work::Role(work) => Target::Role(work.role_arn.clone()),
        Work::ServiceAccount(work) => Target::ServiceAccount(work.subject.clone()),
    }
}

/// Annotated ServiceAccounts and roles that trust an issuer in scope, as the world itself has them.
fn wanted(sim: &Sim) -> BTreeSet<String> {
    let state = sim.world().state();
    let issuers: Vec<String> = full_issuers(sim);
    let trusts = |text: &String| issuers.iter().any(|it| text.contains(it.as_str()));
    let roles = state.trusts.iter().filter(|(_, text)| trusts(text)).map(|(arn, _)| format!("role:{arn}"));
    state.annotations.keys().map(|it| format!("sa:{it}")).chain(roles).collect()
}

fn full_issuers(sim: &Sim) -> Vec<String> {
    let inventory = scanned(&sim.fork()).expect("an inventory");
    inventory.clusters.iter().filter_map(|it| it.issuer().map(ToString::to_string)).collect()
}

fn name(target: &Target) -> Option<String> {
    match target {
        Target::Role(arn) => Some(UnitId::of_role(arn).0),
        Target::ServiceAccount(subject) => Some(UnitId::of_subject(subject).0),
        Target::Account(_) | Target::Cluster(_) | Target::Addon { .. } => None,
    }
}

/// What is neither a unit nor held, and what is both, or twice.
fn not_a_partition(plan: &Plan, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let units = plan.units.iter().filter_map(|it| name(&target(it)));
    for it in units.chain(plan.held.iter().filter_map(|it| name(&it.what))) {
        *seen.entry(it).or_default() += 1;
    }
    let missing = wanted.iter().filter(|it| !seen.contains_key(*it)).map(|it| format!("{it} is not in the plan"));
    let twice = seen.iter().filter(|(_, times)| **times > 1).map(|(it, _)| format!("{it} is in the plan twice"));
    let silent = plan.held.iter().filter(|it| it.findings.is_empty());
    missing.chain(twice).chain(silent.map(|it| format!("{} is held without a reason", it.what))).collect()
}

/// A unit without what every plan names anew: marks and stamps. Where nobody knows how many API
/// servers there are, more probes are taken and the unit takes longer; that one read can be done without.
fn plain(less: &Plan, unit: &Unit) -> Unit {
    let mut unit = unit.clone();
    let servers_are_unknown = match &unit.work {
        Work::ServiceAccount(work) => less.cluster(&work.subject.cluster).is_some_and(|it| it.api_servers.is_none()),
        Work::Role(_) => false,
    };
    if servers_are_unknown {
        (unit.expected_seconds, unit.worst_seconds) = (0, 0);
        for step in unit.steps.iter_mut().chain(&mut unit.undo).filter(|it| it.name == "effective") {
            (step.expected_seconds, step.timeout_seconds) = (0, 0);
        }
    }
    for step in unit.steps.iter_mut().chain(&mut unit.undo) {
        match &mut step.write {
            Some(Request::CreateAssociation { tags, token, .. }) => {
                tags.remove(PLAN_TAG);
                token.clear();
            }
            Some(Request::DeleteAssociation { tags, .. }) => drop(tags.remove(PLAN_TAG)),
            Some(Request::Restart { stamps, .. }) => stamps.clear(),
            Some(Request::Unrestart { stamps, bounces, .. }) => {
                stamps.clear();
                bounces.clear();
            }
            Some(Request::AddTrust { .. } | Request::RemoveTrust { .. } | Request::Evict { .. }) | None => {}
        }
    }
    unit
}

/// What a plan of less than everything does that it must not: units that the full plan does not
/// have or has otherwise, and what is missing without a word about what was not read.
///
/// A read that a unit's findings or steps used would have left a trace in it: it would differ.
fn uses_what_was_not_read(less: &Plan, full: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for unit in &less.units {
        match full.unit(&unit.id) {
            None => found.push(format!("{} is a unit only because less was read", unit.id)),
            // A role has a statement for each of its ServiceAccounts that go.
            Some(same) if matches!(unit.work, Work::Role(_)) => {
                if unit.notices != same.notices {
                    found.push(format!("{} has other notices", unit.id));
                }
            }
            Some(same) if plain(less, unit) != plain(less, same) => found.push(format!("{} is another unit", unit.id)),
            Some(_) => {}
        }
    }
    let unread = |what: &Target| {
        let held = less.held.iter().filter(|it| it.what == *what);
        held.flat_map(|it| &it.findings)
            .any(|it| it.code == Code::Unread || matches!(it.code, Code::RoleHeld) && it.evidence.contains("UNREAD"))
    };
    for unit in full.units.iter().filter(|it| less.unit(&it.id).is_none()) {
        let whole = match &unit.work {
            Work::Role(work) => Target::Account(work.role_arn.account()),
            Work::ServiceAccount(work) => Target::Cluster(work.subject.cluster.clone()),
        };
        // A role that nobody needs any more is held for that: whoever needed it is held for what was not read.
        let users = full.units.iter().filter(|it| it.needs.contains(&unit.id));
        let by_users = !unit.needs.is_empty() || users.clone().count() == 0;
        let said = unread(&target(unit))
            || unread(&whole)
            || !by_users && users.into_iter().all(|it| less.unit(&it.id).is_none());
        if !said {
            let why = less.held.iter().filter(|it| it.what == target(unit)).flat_map(|it| &it.findings);
            let why: Vec<String> = why.map(|it| format!("{}: {}", it.code, it.evidence)).collect();
            found.push(format!("{} is missing, and nothing says what was not read: {why:?}", unit.id));
        }
    }
    found
}

#[test]
fn all_is_a_unit_or_held() {
    for (name, sim) in worlds() {
        let plan = planned(&scanned(&sim).expect("an inventory"));
        assert_eq!(not_a_partition(&plan, &wanted(&sim)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn whatever_is_not_read_nobody_goes_because_of_it() {
    let (mut tried, mut failures) = (0, Vec::new());
    for (name, sim) in worlds() {
        let full = sim.fork();
        let first = full.world().history().number_of_calls() + 1;
        let full_plan = planned(&scanned(&full).expect("an inventory"));
        let last = full.world().history().number_of_calls();
        for call in first..=last {
            for fault in [Fault::Before, Fault::Throttle, Fault::Deny, Fault::Expire] {
                let blind = sim.fork();
                blind.world().fault_at(call, fault);
                tried += 1;
                let Some(inventory) = scanned(&blind) else { continue };
                let operation =
                    blind.world().history().calls().find(|it| it.number == call).map(|it| it.call.operation());
                let less = planned(&inventory);
                let nobody = BTreeSet::new();
                let broken = not_a_partition(&less, &nobody);
                let broken = broken.into_iter().chain(uses_what_was_not_read(&less, &full_plan));
                failures.extend(broken.map(|it| format!("{name}, {operation:?} {fault:?}: {it}")));
            }
        }
    }
    assert!(tried > 400, "only {tried} cases");
    assert!(failures.is_empty(), "{} in {tried} cases: {:#?}", failures.len(), &failures[..failures.len().min(20)]);
}

#[test]
fn a_plan_that_forgets_somebody_is_found_out() {
    let sim = fleet();
    let (full, wanted) = (planned(&scanned(&sim).expect("an inventory")), wanted(&sim));
    let mut forgetful = full.clone();
    let forgotten = forgetful.held.iter().position(|it| name(&it.what).is_some_and(|it| wanted.contains(&it)));
    forgetful.held.swap_remove(forgotten.expect("somebody is held"));
    assert_ne!(not_a_partition(&forgetful, &wanted), Vec::<String>::new());
    let mut silent = full.clone();
    silent.held[0].findings.clear();
    assert_ne!(not_a_partition(&silent, &wanted), Vec::<String>::new());
}

#[test]
fn a_plan_that_goes_blindly_is_found_out() {
    let sim = fleet();
    let full = planned(&scanned(&sim).expect("an inventory"));
    let mut bold = full.clone();
    let last = bold.units.len() - 1;
    bold.units[last].expected_seconds += 1;
    assert_eq!(uses_what_was_not_read(&bold, &full).len(), 1);
    bold.units.truncate(last);
    assert_eq!(uses_what_was_not_read(&bold, &full).len(), 1, "missing without a word");
    assert_eq!(uses_what_was_not_read(&full, &bold).len(), 1, "a unit only because less was read");
}
