//! A plan file is input: each thing that has to hold of it, broken, and what is said then.

use std::collections::BTreeMap;

use irsa_migrate::findings::{Code, Finding, Severity, Target as About};
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::journal::RunId;
use irsa_migrate::model::{AccountId, Digest};
use irsa_migrate::plan::check::{check, check_undo};
use irsa_migrate::plan::{
    Condition, Move, Numbers, Plan, Purpose, Request, RoleWork, Settings, SubjectWork, Unit, UnitId, Work, plan,
};
use irsa_migrate::trust::Relation;

use crate::inventories::{Fleet, issuer, one, role_arn, subject, trust};
use crate::plan_altered::{planned, undone};

fn said(plan: &Plan) -> Vec<String> {
    check(plan).iter().map(ToString::to_string).collect()
}

/// Asks that a plan with this change is refused, and that this is said of it.
fn refused(change: impl FnOnce(&mut Plan), wanted: &str) {
    let mut plan = planned();
    assert_eq!(said(&plan), Vec::<String>::new());
    change(&mut plan);
    let said = said(&plan);
    assert!(said.iter().any(|it| it == wanted), "{wanted}\n{said:#?}");
}

const SHARED: &str = "role:arn:aws:iam::111122223333:role/shared";
const CART: &str = "sa:arn:aws:eks:eu-west-1:111122223333:cluster/blue/shop/cart";
const SHIP: &str = "sa:arn:aws:eks:eu-west-1:111122223333:cluster/green/logs/ship";

/// The same of a unit: what is said begins with its name.
fn refused_of(unit: &str, change: impl FnOnce(&mut Unit), wanted: &str) {
    let change = |plan: &mut Plan| change(unit_of(plan, unit));
    refused(change, &format!("{unit}: {wanted}"));
}

fn unit_of<'p>(plan: &'p mut Plan, unit: &str) -> &'p mut Unit {
    plan.units.iter_mut().find(|it| it.id.0 == unit).expect("the unit")
}

fn role(unit: &mut Unit) -> &mut RoleWork {
    let Work::Role(work) = &mut unit.work else { panic!("a role") };
    work
}

fn account(unit: &mut Unit) -> &mut SubjectWork {
    let Work::ServiceAccount(work) = &mut unit.work else { panic!("a ServiceAccount") };
    work
}

fn added_times(unit: &mut Unit) {
    unit.expected_seconds = unit.steps.iter().map(|it| it.expected_seconds).sum();
    unit.worst_seconds = unit.steps.iter().map(|it| it.timeout_seconds).sum();
}

#[test]
fn a_unit_without_its_undo_is_refused() {
    refused_of(CART, |it| it.undo.clear(), "it has 0 undo steps, and its work needs 4");
    refused_of(SHARED, |it| it.undo.clear(), "it has 0 undo steps, and its work needs 1");
    let mut none = planned();
    none.units.iter_mut().for_each(|it| it.undo.clear());
    assert_eq!(said(&none).len(), none.units.len());
    let doubled = |it: &mut Unit| it.undo.extend(it.undo.clone());
    refused_of(SHARED, doubled, "it has 2 undo steps, and its work needs 1");
}

#[test]
fn steps_that_its_work_does_not_make_are_refused() {
    let both = |it: &mut Unit| {
        it.steps.extend(it.undo.clone());
        added_times(it);
    };
    refused_of(SHARED, both, "it has 2 steps, and its work needs 1");
    let swap = |it: &mut Unit| it.steps.swap(0, 1);
    refused_of(CART, swap, "it has the step \"effective\" where its work needs \"associate\"");
    refused_of(CART, |it| it.steps[0].when = None, "its step \"associate\" does not wait for what its work needs");
    refused_of(SHARED, |it| it.steps[0].write = None, "its step \"prepare\" does not send what its work needs");
    let remove = |it: &mut Unit| it.steps[0].write = Some(Request::RemoveTrust { role_arn: role_arn("shared") });
    refused_of(SHARED, remove, "its step \"prepare\" does not send what its work needs");
    let early = |it: &mut Unit| it.steps[0].until = Condition::TrustSeen { role_arn: role_arn("shared") };
    refused_of(SHARED, early, "its step \"prepare\" does not end with what its work needs");
}

#[test]
fn an_undo_that_looks_for_another_mark_is_refused() {
    let tagged = |it: &mut Unit| {
        let Some(Request::DeleteAssociation { tags, .. }) = &mut it.undo[0].write else { panic!("a switch") };
        *tags = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    };
    refused_of(CART, tagged, "its undo step \"dissociate\" does not send what its work needs");
    let unrestart = |it: &mut Unit, change: &dyn Fn(&mut Option<String>, &mut Vec<String>)| {
        let Some(Request::Unrestart { before, stamps, .. }) = &mut it.undo[2].write else { panic!("a restart") };
        change(before, stamps);
    };
    let wanted = "its undo step \"put back Deployment shop/cart\" does not send what its work needs";
    refused_of(CART, |it| unrestart(it, &|_, stamps| stamps[0] = "x".into()), wanted);
    refused_of(CART, |it| unrestart(it, &|before, _| *before = Some("another".into())), wanted);
    // A plan of which the mark is another one throughout is another plan's.
    refused_of(
        CART,
        |it| {
            let Some(Request::Restart { stamps, .. }) = &mut it.steps[2].write else { panic!("a restart") };
            *stamps = (0..100).map(|it| it.to_string()).collect();
        },
        "its step \"restart Deployment shop/cart\" does not send what its work needs",
    );
    refused(
        |it| it.inventory = it.settings.clone(),
        &format!("{CART}: its step \"associate\" does not send what its work needs"),
    );
}

/// The stamp that was there is in the restart and its undo alone: another one has to be in both, and is compared with the
/// world then.
#[test]
fn what_was_found_of_a_workload_is_the_same_forth_and_back() {
    let mut plan = planned();
    let unit = unit_of(&mut plan, CART);
    let Some(Request::Restart { before, .. }) = &mut unit.steps[2].write else { panic!("a restart") };
    assert_eq!(before.replace("another".into()).as_deref(), Some("somebody-elses"));
    assert_eq!(said(&plan).len(), 1);
    let unit = unit_of(&mut plan, CART);
    let Some(Request::Unrestart { before, .. }) = &mut unit.undo[2].write else { panic!("a restart") };
    *before = Some("another".into());
    assert_eq!(said(&plan), Vec::<String>::new());
}

#[test]
fn times_are_those_of_the_plans_numbers() {
    let timed = |at: usize, expected: u64, timeout: u64| {
        move |it: &mut Unit| {
            (it.steps[at].expected_seconds, it.steps[at].timeout_seconds) = (expected, timeout);
            added_times(it);
        }
    };
    let numbers = "by the plan's numbers";
    refused_of(
        CART,
        timed(1, 0, 0),
        &format!("its step \"effective\" is said to take 0 s, 0 s at most, and takes 26 s, 600 s at most {numbers}"),
    );
    // Three pods are rolled in one, two or three rounds of 20 s each, and for as long as Kubernetes has patience.
    let restart = |expected: u64, timeout: u64| {
        let mut plan = planned();
        let unit = unit_of(&mut plan, CART);
        timed(2, expected, timeout)(unit);
        (unit.undo[2].expected_seconds, unit.undo[2].timeout_seconds) = (expected, timeout * 3);
        said(&plan)
    };
    for expected in [22, 42, 62] {
        assert_eq!(restart(expected, 1800), Vec::<String>::new(), "{expected}");
    }
    for (expected, timeout) in [(0, 1800), (21, 1800), (82, 1800), (42, 899), (42, 1 << 40), (1 << 60, 1 << 60)] {
        assert!(!restart(expected, timeout).is_empty(), "{expected} {timeout}");
    }
    let sum = |it: &mut Unit| it.expected_seconds = 0;
    refused_of(CART, sum, "it says that it takes 0 s, 2520 s at most, and its steps take 72 s, 2520 s at most");
    let sum = |it: &mut Unit| it.worst_seconds = 1 << 63;
    refused_of(
        CART,
        sum,
        "it says that it takes 72 s, 9223372036854775808 s at most, and its steps take 72 s, 2520 s at most",
    );
    let settings = Settings::parse("[numbers]\neffective_timeout = 5").expect("settings");
    let hasty = plan(&one(), &settings).expect("a plan");
    let wanted = "its step \"effective\" would fail after 5 s, and takes 26 s";
    assert!(said(&hasty).iter().any(|it| it.contains(wanted)), "{:?}", said(&hasty));
}

/// Numbers that no time is long enough for are refused, and nothing runs over.
#[test]
fn numbers_without_end_are_no_trouble() {
    let mut plan = planned();
    let most = u64::MAX;
    plan.numbers = Numbers { trust_settle: most, association_settle: most, probe_interval: most, ..plan.numbers };
    plan.numbers = Numbers { effective_timeout: most, rollout_timeout: most, eviction_timeout: most, ..plan.numbers };
    plan.numbers = Numbers { call_timeout: most, lease_renewal: most, lease_duration: most, ..plan.numbers };
    for unit in &mut plan.units {
        unit.steps.iter_mut().chain(&mut unit.undo).for_each(|it| {
            (it.expected_seconds, it.timeout_seconds) = (most, most);
        });
    }
    assert!(said(&plan).iter().any(|it| it == "a lease that runs out before it is renewed"));
}

#[test]
fn a_workload_of_somebody_else_is_refused() {
    let coredns =
        WorkloadRef { kind: WorkloadKind::Deployment, namespace: "kube-system".into(), name: "coredns".into() };
    // In every place, so that all steps are those of the work.
    let mut plan = planned();
    let text = serde_json::to_string(unit_of(&mut plan, CART)).expect("JSON");
    let own = r#"{"kind":"Deployment","namespace":"shop","name":"cart"}"#;
    assert!(text.contains(own));
    let text = text
        .replace(own, &serde_json::to_string(&coredns).expect("JSON"))
        .replace("Deployment shop/cart", "Deployment kube-system/coredns");
    *unit_of(&mut plan, CART) = serde_json::from_str(&text).expect("a unit");
    let wanted = format!("{CART}: it would move Deployment kube-system/coredns, which is in another namespace");
    assert!(said(&plan).contains(&wanted), "{:#?}", said(&plan));

    let twice = |it: &mut Unit| {
        let first = account(it).workloads[0].clone();
        account(it).workloads.push(first);
    };
    refused_of(CART, twice, "it would move Deployment shop/cart twice");
    let cannot = "Deployment shop/cart cannot be moved as it says";
    refused_of(CART, |it| account(it).workloads[0].moves = Move::Evict, cannot);
    refused_of(CART, |it| account(it).workloads[0].paused = true, cannot);
    let job = |it: &mut Unit| account(it).workloads[0].workload.kind = WorkloadKind::Job;
    refused_of(CART, job, "Job shop/cart cannot be moved as it says");
}

#[test]
fn a_unit_of_another_name_or_account_is_refused() {
    let renamed = |it: &mut Unit| it.work = Work::Role(RoleWork { role_arn: role_arn("both"), ..role(it).clone() });
    refused_of(SHARED, renamed, "its name is not its role's");
    refused_of(CART, |it| account(it).subject.namespace = "tenant".into(), "its name is not its ServiceAccount's");
    let other = |it: &mut Plan| it.account = AccountId::parse("999988887777").expect("an account");
    refused(other, &format!("{SHARED}: its role is of another account"));
    refused(other, &format!("{CART}: its role is of another account"));
    refused(other, &format!("{CART}: its cluster is of another account"));
    let gone = |it: &mut Plan| drop(it.clusters.remove(0));
    refused(gone, &format!("{CART}: its cluster is not in the plan"));
}

#[test]
fn a_trust_policy_that_is_not_as_it_is_said_is_refused() {
    refused_of(
        SHARED,
        |it| role(it).characters = 10,
        "its new trust policy is said to have 10 characters, and has 1104",
    );
    refused_of(SHARED, |it| role(it).quota = 10, "its trust policy is longer than the account allows");
    refused_of(SHARED, |it| role(it).before = "{".into(), "its trust policy cannot be read");
    let there = |it: &mut Unit| role(it).before = role(it).after.clone();
    refused_of(SHARED, there, "the statements that it adds are there already, or their Sids are taken");
    let sid = |it: &mut Unit| role(it).added[0].sid = "Another".into();
    refused_of(SHARED, sid, "a statement that it adds has another Sid than it says");
    let differs = "its new trust policy differs from the old one in more than what it adds";
    refused_of(SHARED, |it| role(it).before = role(it).before.replace("shop:stock", "shop:other"), differs);
    // The old one has to be what is sent back, byte for byte.
    refused_of(SHARED, |it| role(it).before.push('\n'), differs);
    refused_of(SHARED, |it| role(it).added[0].position = 0, differs);
}

#[test]
fn access_that_is_not_as_it_is_said_is_refused() {
    let empty = || Vec::new().into();
    let more = |it: &mut Plan| {
        let others = role(unit_of(it, &SHARED.replace("shared", "both"))).grants_before.clone();
        let work = role(unit_of(it, SHARED));
        work.grants_before = work.grants_before.union(&others);
    };
    refused(more, &format!("{SHARED}: its trust policy does not grant what it says"));
    refused_of(SHARED, |it| role(it).grants_after = empty(), "its new trust policy does not grant what it says");
    refused_of(SHARED, |it| role(it).grants_before = empty(), "its proof does not follow from its grants");
    let both = |it: &mut Unit| role(it).proof.relation = Relation::Incomparable;
    refused_of(SHARED, both, "it would both give and take access");
    let renamed = |it: &mut Plan| it.clusters[0].issuer = issuer("red");
    refused(renamed, &format!("{SHARED}: its grants name another issuer than their cluster has"));
}

#[test]
fn a_service_account_that_loses_its_access_by_the_new_statements_is_refused() {
    let policy = trust(&[("blue", "shop:cart")]).replace("StringEquals", "StringLike").replace("shop:cart", "shop:*");
    let fleet = Fleet::of(&["blue"]).role("cart", &policy).account("blue", "shop", "cart", "cart");
    let inventory = fleet.deployment("blue", ("shop", "cart", "cart"), 1).0;
    let tight = plan(&inventory, &Settings::parse("[trust]\nmode = \"tight\"").expect("settings")).expect("a plan");
    assert_eq!(check(&tight), []);
    // The same unit for a ServiceAccount that IRSA grants, and the new statements do not.
    let mut value = serde_json::to_value(tight).expect("JSON");
    let unit = value["units"][1].to_string().replace("cart\"", "stock\"").replace("role/stock", "role/cart");
    value["units"][1] = serde_json::from_str(&unit).expect("JSON");
    let id = value["units"][1]["id"].clone();
    value["waves"][1]["units"][0] = id;
    let words = said(&serde_json::from_value(value).expect("a plan"));
    assert!(words.iter().any(|it| it.contains("its role does not grant it before and after")), "{words:?}");
}

#[test]
fn one_thing_twice_is_refused() {
    let again = |it: &mut Plan| {
        let unit = unit_of(it, CART).clone();
        it.waves[2].units.push(unit.id.clone());
        it.units.push(unit);
    };
    refused(again, &format!("{CART}: there are two units of this name"));
    let cluster = |it: &mut Plan| it.clusters.push(it.clusters[0].clone());
    refused(cluster, "cluster arn:aws:eks:eu-west-1:111122223333:cluster/blue is listed twice");
    let same = |it: &mut Plan| it.clusters[1].issuer = it.clusters[0].issuer.clone();
    refused(same, "cluster arn:aws:eks:eu-west-1:111122223333:cluster/green has the issuer of another one");
    let hold = |about: About| {
        move |it: &mut Plan| {
            it.held[0].what = about.clone();
        }
    };
    let cart = hold(About::ServiceAccount(subject("blue", "shop", "cart")));
    refused(cart, &format!("{CART}: it is held as well"));
    refused(hold(About::Role(role_arn("shared"))), &format!("{SHARED}: it is held as well"));
    let what = planned().held[0].what.to_string();
    refused(|it| it.held.push(it.held[0].clone()), &format!("{what} is held twice"));
    refused(|it| it.held[0].findings.clear(), &format!("{what} is held, and nothing says why"));
}

#[test]
fn a_unit_out_of_its_place_is_refused() {
    let id = |name: &str| UnitId(name.to_owned());
    refused(|it| it.waves[2].name = it.waves[1].name.clone(), "two waves named \"canary\"");
    refused(|it| it.waves[1].units.clear(), "wave \"canary\" has no units");
    let list = "the waves do not list the units, each once and in their order";
    refused(|it| it.waves[1].units.clear(), list);
    refused(|it| it.waves[2].units.push(id(CART)), list);
    refused(|it| it.waves[2].units.push(id("role:other")), list);
    refused(|it| it.waves.swap(0, 1), list);
    refused(|it| it.units.swap(2, 3), list);
    let kind = |roles: &str| format!("it is in no wave of its kind: roles, and they alone, are in {roles:?}");
    refused(|it| it.waves[0].name = "first".into(), &format!("{SHARED}: {}", kind("prepare")));
    let early = |it: &mut Plan| {
        let canary = it.waves.remove(1);
        it.waves[0].units.extend(canary.units);
    };
    let canary = planned().waves[1].units[0].clone();
    refused(early, &format!("{canary}: {}", kind("prepare")));
    refused(early, &format!("{canary}: it needs a unit that is not in an earlier wave"));
    refused_of(CART, |it| it.needs.clear(), "it needs other units than its work does");
    refused_of(SHARED, |it| it.needs.push(id(CART)), "it needs other units than its work does");
    let gone = |it: &mut Plan| {
        it.units.remove(1);
        it.waves[0].units.remove(1);
    };
    refused(gone, &format!("{CART}: its role does not grant it before and after"));
}

#[test]
fn numbers_and_names_that_mean_nothing_are_refused() {
    refused(|it| it.numbers.units_at_a_time = 0, "a limit of 0");
    let year = 365 * 24 * 3600;
    let times: [fn(&mut Numbers) -> &mut u64; 11] = [
        |it| &mut it.trust_settle,
        |it| &mut it.association_settle,
        |it| &mut it.probe_interval,
        |it| &mut it.effective_timeout,
        |it| &mut it.observe_after,
        |it| &mut it.rollout_timeout,
        |it| &mut it.eviction_timeout,
        |it| &mut it.lease_duration,
        |it| &mut it.lease_renewal,
        |it| &mut it.call_timeout,
        |it| &mut it.bake,
    ];
    for time in times {
        refused(|it| *time(&mut it.numbers) = year + 1, "a time of more than a year");
    }
    let mut slow = planned();
    slow.numbers.bake = year;
    assert_eq!(said(&slow), Vec::<String>::new());
    let lasting = |seconds: u64| {
        let mut plan = planned();
        plan.numbers.lease_duration = seconds;
        said(&plan)
    };
    let needs = Numbers::default().lease_renewal + Numbers::default().call_timeout;
    assert_eq!(lasting(needs), ["a lease that runs out before it is renewed"]);
    assert_eq!(lasting(needs + 1), Vec::<String>::new());
    let window = "a window needs at least one day, and a length from 1 to 10080 minutes";
    refused(|it| it.windows[0].minutes = 0, window);
    let digest = |text: &str| -> Digest { serde_json::from_value(text.into()).expect("a text") };
    refused(|it| it.format.major = 0, "there is no format 0 of plans");
    let no_digest = "its inventory or its settings are named by what is no digest";
    refused(|it| it.inventory = digest("abc"), no_digest);
    refused(|it| it.settings = digest(&"G".repeat(64)), no_digest);
}

/// What is told with a unit does not hold it when it is looked at again.
#[test]
fn a_blocker_that_nobody_answers_for_is_refused() {
    let (stock, by_hand) = (CART.replace("cart", "stock"), Code::CredentialsByHand);
    let about = About::ServiceAccount(subject("blue", "shop", "cart"));
    let notice = |code: Code| Finding::new(code, about.clone(), "");
    let holds = |code: &str| format!("{code} holds it, and no waiver of the plan answers for that");
    refused_of(CART, |it| it.notices.push(notice(by_hand)), &holds("CREDENTIALS_BY_HAND"));
    refused(|it| it.waived.clear(), &format!("{stock}: {}", holds("SECOND_ROLE")));
    refused(|it| it.waived[0].subject = "shop/other".into(), &format!("{stock}: {}", holds("SECOND_ROLE")));
    refused(|it| it.rules.restart = Default::default(), &format!("{SHIP}: {}", holds("RESTART_BY_OWNER")));
    let light = Finding { severity: Severity::Notice, ..notice(by_hand) };
    let grave = "its notice CREDENTIALS_BY_HAND is not as grave as the catalogue says";
    refused_of(CART, |it| it.notices.push(light.clone()), grave);
    refused_of(CART, |it| it.notices.push(light), &holds("CREDENTIALS_BY_HAND"));
    refused_of(CART, |it| it.notices.push(Finding { waivable: true, ..notice(by_hand) }), grave);
    refused(|it| it.waived[0].reason = " ".into(), "the waiver of SECOND_ROLE for \"shop/stock\" gives no reason");
    refused(|it| it.waived[0].code = by_hand, "CREDENTIALS_BY_HAND cannot be waived");
    // What the owner of a role was asked for is settled by settings that no plan holds.
    let mut plan = planned();
    unit_of(&mut plan, SHARED).notices.push(Finding::new(Code::RoleOwned, About::Role(role_arn("shared")), ""));
    assert_eq!(said(&plan), Vec::<String>::new());
}

/// What only the file of an undo can say.
#[test]
fn an_undo_that_undoes_no_run_or_more_than_one_is_refused() {
    let altered = |change: &dyn Fn(&mut Plan)| {
        let (original, [mut whole, _]) = undone();
        change(&mut whole);
        let beside = check_undo(&whole, &original);
        [said(&whole), beside.iter().map(ToString::to_string).collect()].concat()
    };
    let named = |it: &mut Plan| {
        let Purpose::Undo { run, .. } = &mut it.purpose else { panic!("an undo") };
        *run = RunId::of(&it.settings);
    };
    assert_eq!(altered(&named), ["the run that it undoes is not named by the digest of that run's plan"]);
    let again = |it: &mut Plan| unit_of(it, CART).undo = unit_of(it, CART).steps.clone();
    assert_eq!(altered(&again), [format!("{CART}: it has 4 undo steps, and its work needs 0")]);
    let needless = |it: &mut Plan| unit_of(it, SHARED).needs.clear();
    assert_eq!(altered(&needless), [format!("{SHARED}: it needs other units than its work does")]);
    let late = |it: &mut Plan| it.waves.reverse();
    let said = altered(&late);
    assert!(said.contains(&format!("{SHARED}: it needs a unit that is not in an earlier wave")), "{said:#?}");
    let wanted = format!("{CART}: its steps are not the undo in the plan that is undone");
    let other = |it: &mut Plan| {
        let Some(Request::Unrestart { before, .. }) = &mut unit_of(it, CART).steps[2].write else {
            panic!("a restart")
        };
        *before = None;
    };
    assert_eq!(altered(&other), [wanted]);
    let holding = |it: &mut Plan| it.held = planned().held;
    let wanted = "it is not made with the clusters, rules and numbers of the plan that it undoes";
    assert_eq!(altered(&holding), [wanted]);
    // A ServiceAccount that the role was given to is looked at, whether or not it is undone as well.
    let forgotten = |it: &mut Plan| {
        let Some(Condition::RoleUnused { subjects, .. }) = &mut unit_of(it, SHARED).steps[0].when else {
            panic!("a role")
        };
        subjects.pop();
    };
    let wanted = "its step \"restore trust\" does not wait for what its work needs";
    assert!(altered(&forgotten).contains(&format!("{SHARED}: {wanted}")));
}
