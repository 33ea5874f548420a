//! A plan file is input: whatever one thing is changed in it, the plan is refused, but for what this lists.

use std::collections::BTreeSet;

use irsa_migrate::inventory::{Inventory, OwnerRef, Seen, Strategy, WorkloadKind};
use irsa_migrate::journal::{Entry, Event, RunId, Scope};
use irsa_migrate::model::{Digest, Format, Kind};
use irsa_migrate::plan::check::{Problem, check, check_undo};
use irsa_migrate::plan::{Move, Plan, Settings, UnitId, Work, plan};
use irsa_migrate::rollback::{self, Extent};
use serde::Deserialize as _;
use serde_json::Value;

use crate::inventories::{Fleet, subject, trust};

/// What the plan alone cannot tell, each with its reason. A path is that of a field, numbers left out.
const FREE: &[(&str, &str)] = &[
    ("tool", "words: which version made it"),
    ("takenAt", "words: waivers are judged by the clock of whoever applies"),
    ("notPromised", "words"),
    ("held", "words: nothing of ours touches what is held, and no unit may be"),
    ("units.notices", "words: a blocker among them has to be waived"),
    ("units.work.serviceAccount.left", "words: nothing of ours touches them"),
    ("waves.name", "words, `prepare` aside"),
    ("waived", "the reviewer's: what is waived is shown, with its reason"),
    ("windows", "the reviewer's, shown"),
    ("rules.observe_if_rejected", "the reviewer's, shown"),
    ("rules.on_failure", "the reviewer's, shown"),
    ("rules.lease_namespace", "the reviewer's"),
    ("numbers.observe_after", "the reviewer's, shown"),
    ("numbers.lease_duration", "the reviewer's, shown"),
    ("numbers.lease_renewal", "the reviewer's, shown"),
    ("numbers.units_at_a_time", "the reviewer's, shown"),
    ("numbers.roles_at_a_time", "the reviewer's, shown"),
    ("numbers.pod_starts_per_second", "the reviewer's, shown"),
    ("numbers.bake", "the reviewer's, shown"),
    ("units.work.role.roleId", "compared with the world before the role is touched"),
    ("units.work.role.quota", "AWS' own: it refuses what is longer"),
    ("units.work.serviceAccount.uid", "compared with the world"),
    ("units.work.serviceAccount.workloads.uid", "compared with the world; a request has to name the same"),
    ("units.work.serviceAccount.workloads.strategy", "compared with the world"),
    ("units.work.serviceAccount.workloads.paused", "compared with the world"),
    ("units.work.serviceAccount.workloads.partition", "compared with the world"),
    ("units.work.serviceAccount.workloads.nodeSelector", "compared with the world"),
    ("units.work.serviceAccount.workloads.awsEnv", "compared with the world"),
    ("units.work.serviceAccount.workloads.replicas", "words: it was so many, and the times are judged by them"),
];

/// A role of two ServiceAccounts in one cluster and one of a ServiceAccount in each, with workloads that move in each
/// way that there is.
pub(crate) fn every_kind() -> Inventory {
    let (ship, cart, stock) = (("logs", "ship", "both"), ("shop", "cart", "shared"), ("shop", "stock", "shared"));
    let mut fleet = Fleet::of(&["blue", "green"])
        .role("shared", &trust(&[("blue", "shop:cart"), ("blue", "shop:stock")]))
        .role(
            "both",
            &trust(&[("blue", "logs:ship"), ("green", "logs:ship")])
                .replace(":ship", ":s*p")
                .replace("StringEquals", "StringLike"),
        )
        .role("second", &trust(&[("blue", "shop:stock")]))
        .account("blue", "shop", "cart", "shared")
        .account("blue", "shop", "stock", "shared")
        .account("blue", "logs", "ship", "both")
        .account("green", "logs", "ship", "both")
        .account("green", "tenant", "thief", "shared")
        .workload("blue", cart, WorkloadKind::Deployment, 3, |it| {
            it.stamp = Some("somebody-elses".to_owned());
            it.at_a_time = 2;
            it.progress_deadline_seconds = Some(1800);
            it.node_selector.insert("pool".to_owned(), "shop".to_owned());
            it.aws_env = vec!["AWS_A".to_owned(), "AWS_B".to_owned()];
        })
        .workload("blue", cart, WorkloadKind::CronJob, 0, |_| {})
        .workload("blue", stock, WorkloadKind::StatefulSet, 2, |it| it.partition = 1)
        .workload("blue", stock, WorkloadKind::ReplicaSet, 1, |_| {})
        .workload("blue", ship, WorkloadKind::DaemonSet, 1, |it| it.strategy = Strategy::OnDelete)
        .workload("green", ship, WorkloadKind::StatefulSet, 2, |_| {})
        .workload("green", ship, WorkloadKind::Deployment, 1, |it| {
            it.controller = Some(OwnerRef { kind: "Rollout".into(), name: "ship".into(), uid: "uid-rollout".into() });
        });
    fleet.cluster("green").api_servers = Seen::Seen(4);
    fleet.0
}

pub(crate) const SETTINGS: &str = r#"
    [apply]
    restart = "by-owner"
    on_failure = "undo-unit"
    [[window]]
    days = ["tue", "thu"]
    start = "22:00"
    minutes = 240
    time_zone = "Europe/Berlin"
    [[waiver]]
    code = "SECOND_ROLE"
    subject = "shop/stock"
    reason = "nobody calls it"
    expires = "2027-01-01T00:00:00Z"
"#;

pub(crate) fn planned() -> Plan {
    plan(&every_kind(), &Settings::parse(SETTINGS).expect("settings")).expect("a plan")
}

/// Words that stand where any of them could.
const WORDS: &[&[&str]] = &[
    &["rollingUpdate", "recreate", "onDelete", "none"],
    &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"],
    &["roll", "evict", "byOwner"],
    &["podIdentity", "irsa"],
    &["equal", "narrower", "wider", "incomparable"],
    &["blocker", "warning", "notice"],
    &["probe", "observe"],
    &["hold", "by-owner"],
    &["pause", "undo-unit"],
    &["SECOND_ROLE", "CREDENTIALS_BY_HAND", "BATCH_STAYS"],
];

/// One change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    To(Value),
    Missing(String),
    Dropped(usize),
    Doubled(usize),
    Swapped(usize),
}

/// What may be done to a value, its parts aside.
fn changes(value: &Value) -> Vec<Change> {
    let to = |values: Vec<Value>| values.into_iter().map(Change::To).collect();
    match value {
        Value::Null => to(vec![Value::from("x"), Value::from(7)]),
        Value::Bool(it) => to(vec![Value::from(!it)]),
        Value::Number(it) => {
            let number = it.as_u64().expect("a natural number");
            let others = [0, number.saturating_sub(1), number + 1, number + 7, 1 << 63];
            to(others.into_iter().map(Value::from).collect())
        }
        Value::String(it) => {
            let mut others = vec![Value::from(format!("{it}x")), Value::from(""), Value::Null];
            others.push(Value::from(it.replace("2026", "2025")));
            let alike = WORDS.iter().filter(|words| words.contains(&it.as_str())).flat_map(|it| it.iter());
            others.extend(alike.map(|it| Value::from(*it)));
            to(others)
        }
        Value::Array(list) => {
            let each = 0..list.len();
            let swapped = (1..list.len()).map(Change::Swapped);
            let empty = std::iter::once(Change::To(Value::Array(Vec::new())));
            each.clone().map(Change::Dropped).chain(each.map(Change::Doubled)).chain(swapped).chain(empty).collect()
        }
        Value::Object(map) => map.keys().cloned().map(Change::Missing).chain([Change::To(Value::Null)]).collect(),
    }
}

fn made(value: &mut Value, change: &Change) {
    let list = |value: &mut Value, change: fn(&mut Vec<Value>, usize), at: usize| {
        change(value.as_array_mut().expect("a list"), at);
    };
    match change {
        Change::To(new) => *value = new.clone(),
        Change::Missing(key) => drop(value.as_object_mut().expect("an object").shift_remove(key).expect("the key")),
        Change::Dropped(at) => list(value, |it, at| drop(it.remove(at)), *at),
        Change::Doubled(at) => list(value, |it, at| it.insert(at, it[at].clone()), *at),
        Change::Swapped(at) => list(value, |it, at| it.swap(at - 1, at), *at),
    }
}

/// The path of every value.
fn paths(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    out.push(path.clone());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, value) in below {
        path.push(key);
        paths(value, path, out);
        path.pop();
    }
}

fn at<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Value {
    path.iter().fold(value, |value, key| match key.parse::<usize>() {
        Ok(index) if value.is_array() => &mut value[index],
        Ok(_) | Err(_) => &mut value[key.as_str()],
    })
}

/// The field that is free, if any.
fn free(path: &[String], free: &[(&'static str, &str)]) -> Option<&'static str> {
    let names: Vec<&str> = path.iter().map(String::as_str).filter(|it| it.parse::<usize>().is_err()).collect();
    let names = names.join(".");
    let is_in = |field: &str| names.strip_prefix(field).is_some_and(|it| it.is_empty() || it.starts_with('.'));
    free.iter().map(|(field, _)| *field).find(|field| is_in(field))
}

/// The plan as it is read from a file: its format first.
fn read(value: &Value) -> Result<Plan, String> {
    let format = Format::deserialize(&value["format"]).map_err(|it| it.to_string())?;
    format.readable_as(Kind::Plan).map_err(|it| it.to_string())?;
    Plan::deserialize(value).map_err(|it| it.to_string())
}

/// Makes every change there is; gives how many were made, and those that passed.
fn alter(original: &Plan, problems: &dyn Fn(&Plan) -> Vec<Problem>) -> (usize, Vec<(Vec<String>, Change)>) {
    let mut value = serde_json::to_value(original).expect("JSON");
    let mut all = Vec::new();
    paths(&value, &mut Vec::new(), &mut all);
    let (mut tried, mut passed) = (0, Vec::new());
    for path in all {
        let kept = at(&mut value, &path).clone();
        for change in changes(&kept) {
            made(at(&mut value, &path), &change);
            // What is read as the same plan is no change.
            if let Ok(plan) = read(&value)
                && plan != *original
                && problems(&plan).is_empty()
            {
                let field = if let Change::Missing(key) = &change { Some(key.clone()) } else { None };
                passed.push((path.iter().cloned().chain(field).collect(), change));
            }
            *at(&mut value, &path) = kept.clone();
            tried += 1;
        }
    }
    (tried, passed)
}

/// Whether only these fields may be changed, and each of them may.
fn only_these_are_free(
    original: &Plan,
    problems: &dyn Fn(&Plan) -> Vec<Problem>,
    fields: &[(&'static str, &str)],
    at_least: usize,
) {
    assert_eq!(problems(original), []);
    let (tried, passed) = alter(original, problems);
    assert!(tried > at_least, "only {tried} changes were made");
    let (mut used, mut bad) = (BTreeSet::new(), Vec::new());
    for (path, change) in passed {
        match free(&path, fields) {
            Some(field) => drop(used.insert(field)),
            None => bad.push(format!("{}: {change:?}", path.join("."))),
        }
    }
    assert!(bad.is_empty(), "{} of {tried} changes passed: {bad:#?}", bad.len());
    let unused: Vec<&str> = fields.iter().map(|it| it.0).filter(|it| !used.contains(it)).collect();
    assert!(unused.is_empty(), "these need not be free: {unused:?}");
}

#[test]
fn the_plan_has_every_kind_of_unit() {
    let plan = planned();
    assert_eq!(check(&plan), []);
    let mut moves = Vec::new();
    for unit in &plan.units {
        if let Work::ServiceAccount(work) = &unit.work {
            moves.extend(work.workloads.iter().map(|it| it.moves));
        }
    }
    for wanted in [Move::Roll, Move::Evict, Move::ByOwner] {
        assert!(moves.contains(&wanted), "{wanted:?}: {moves:?}");
    }
    let roles = plan.units.iter().filter(|it| matches!(it.work, Work::Role(_))).count();
    assert_eq!((roles, plan.units.len(), plan.waived.len()), (2, 6, 1));
    assert!(plan.clusters.len() == 2 && plan.waves.len() == 3 && !plan.held.is_empty());
}

#[test]
fn whatever_one_thing_is_changed_in_a_plan_it_is_refused() {
    only_these_are_free(&planned(), &check, FREE, 4000);
}

/// What an undo and the plan that it undoes cannot tell.
const FREE_OF_AN_UNDO: &[(&str, &str)] = &[
    ("tool", "words: which version made it"),
    ("notPromised", "words"),
    ("waves.name", "words, `undo-prepare` aside"),
    ("purpose.undo.whole", "what it leaves can be undone by another undo"),
];

/// Two undos: of all, and of one unit alone.
pub(crate) fn undone() -> (Plan, [Plan; 2]) {
    let original = planned();
    let digest = Digest::of(&original.to_bytes().expect("bytes"));
    let mut entries = Vec::new();
    for unit in &original.units {
        for step in 0..unit.steps.len() {
            for event in [Event::Started, Event::Succeeded] {
                let scope = Scope::Step { unit: unit.id.0.clone(), step };
                let seq = entries.len() as u64 + 1;
                entries.push(Entry { seq, at: original.taken_at, scope, event, detail: None });
            }
        }
    }
    let undo =
        |extent: &Extent| rollback::plan(&RunId::of(&digest), &digest, &original, &entries, extent).expect("an undo");
    let cart = UnitId::of_subject(&subject("blue", "shop", "cart"));
    let undos = [undo(&Extent::Run), undo(&Extent::Unit(cart))];
    (original, undos)
}

#[test]
fn whatever_one_thing_is_changed_in_an_undo_it_is_refused() {
    let (original, [whole, part]) = undone();
    let problems = |undo: &Plan| [check(undo), check_undo(undo, &original)].concat();
    only_these_are_free(&whole, &problems, FREE_OF_AN_UNDO, 2500);
    only_these_are_free(&part, &problems, FREE_OF_AN_UNDO, 500);
}

/// Of what an undo's file alone tells, which nobody has a plan beside: what was found of a workload.
#[test]
fn an_undo_by_itself_is_refused_but_for_what_only_the_plan_that_it_undoes_tells() {
    let (_, [whole, _]) = undone();
    let (_, passed) = alter(&whole, &check);
    let mut steps: BTreeSet<String> = BTreeSet::new();
    for (path, _) in passed {
        let names: Vec<&str> = path.iter().map(String::as_str).filter(|it| it.parse::<usize>().is_err()).collect();
        if path.iter().any(|it| it == "steps") {
            steps.insert(names.join("."));
        }
    }
    assert_eq!(steps, BTreeSet::from(["units.steps.write.unrestart.before".to_owned()]));
}
