//! What others associated is theirs, whenever they did it: it is neither taken for ours nor deleted.

use std::time::Duration;

use irsa_migrate::inventory::{Association, Seen};
use irsa_migrate::journal::RunId;
use irsa_migrate::model::{Digest, RoleArn, Subject};
use irsa_migrate::plan::{PLAN_TAG, Plan};
use irsa_migrate::ports::{Clock as _, Eks as _, JournalStore as _, NewAssociation};
use irsa_migrate::rollback::{self, Extent, RollbackError};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Deed, Fault, MemoryJournal, Sim};

use crate::cycle::{carry_out, plan_of, status};

/// Times that keep a run short, so that every call of it can be tried.
const SHORT: &str = "[numbers]\ntrust_settle = 6\nassociation_settle = 6\nbake = 20\n";

/// One ServiceAccount, with a role, and another role that is nobody's.
fn shop() -> (Sim, Subject, [RoleArn; 2]) {
    let mut builder = Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .role("other", &[("shop", "other")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 1);
    let subject = builder.subject("shop", "cart");
    let role = |name: &str| RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).unwrap();
    (builder.sim(), subject, [role("cart"), role("other")])
}

fn association(sim: &Sim, subject: &Subject) -> Option<Association> {
    sim.run(sim.association_of(subject)).unwrap().unwrap()
}

fn calls(sim: &Sim) -> u64 {
    sim.world().history().calls().last().map_or(0, |it| it.number)
}

/// Undoes whatever the run did; `false` if there is nothing.
fn roll_back(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> bool {
    let digest = Digest::of(&plan.to_bytes().unwrap());
    let run = RunId::of(&digest);
    let entries = sim.run(journal.entries(&run)).unwrap().unwrap();
    match rollback::plan(&run, &digest, plan, &entries, &Extent::Run) {
        Ok(undo) => drop(carry_out(sim, journal, &undo).unwrap()),
        Err(RollbackError::Nothing) => return false,
        Err(other) => panic!("{other}"),
    }
    true
}

/// The other's association as it was made: without our mark, and never deleted.
fn assert_theirs(sim: &Sim, subject: &Subject, role: &RoleArn, when: &str) {
    let found = association(sim, subject).unwrap_or_else(|| panic!("{when}: it was deleted"));
    let Some(Seen::Seen(detail)) = found.detail else { panic!("{when}: {found:?}") };
    assert!(!detail.tags.contains_key(PLAN_TAG), "{when}: it was replaced by ours");
    assert_eq!(detail.role_arn, *role, "{when}");
}

#[test]
fn an_association_that_others_make_at_any_call_of_a_run_stays() {
    let (start, subject, roles) = shop();
    let plan = plan_of(&start, SHORT);
    let first = calls(&start) + 1;
    let whole = start.fork();
    carry_out(&whole, &whole.journal(), &plan).unwrap();
    let mut undone = 0;
    for role in &roles {
        for call in first..=calls(&whole) {
            let sim = start.fork();
            let journal = sim.journal();
            sim.world().meanwhile(call, Deed::Associate(subject.clone(), Some(role.clone())));
            carry_out(&sim, &journal, &plan).unwrap();
            let when = format!("call {call}, {role}");
            assert_theirs(&sim, &subject, role, &when);
            undone += usize::from(roll_back(&sim, &journal, &plan));
            assert_theirs(&sim, &subject, role, &format!("{when}, rolled back"));
        }
    }
    assert!(undone > 20, "only {undone} runs had something to undo");
}

#[test]
fn an_association_that_others_make_at_any_call_of_a_rollback_stays() {
    let (start, subject, roles) = shop();
    let plan = plan_of(&start, SHORT);
    let whole = start.fork();
    let journal = whole.journal();
    carry_out(&whole, &journal, &plan).unwrap();
    let first = calls(&whole) + 1;
    assert!(roll_back(&whole, &journal, &plan));
    let mut kept = 0;
    for call in first..=calls(&whole) {
        let sim = start.fork();
        let journal = sim.journal();
        carry_out(&sim, &journal, &plan).unwrap();
        sim.world().meanwhile(call, Deed::Associate(subject.clone(), Some(roles[0].clone())));
        roll_back(&sim, &journal, &plan);
        // Between our last look and the deletion nobody can tell: EKS deletes what the id names, and theirs has another.
        assert_theirs(&sim, &subject, &roles[0], &format!("call {call}"));
        let world = sim.world();
        kept += usize::from(!world.history().writes().any(|it| matches!(it.call, Call::DeleteAssociation { .. })));
    }
    assert!(kept > 0, "it was never there before our deletion");
}

/// As when somebody points our association at another role: the mark is still there, and it is not what we made.
#[test]
fn an_association_with_our_mark_that_was_pointed_elsewhere_stays() {
    let (sim, subject, [_, other]) = shop();
    let plan = plan_of(&sim, SHORT);
    let journal = sim.journal();
    carry_out(&sim, &journal, &plan).unwrap();
    let ours = association(&sim, &subject).expect("ours");
    let Some(Seen::Seen(detail)) = ours.detail else { panic!("{ours:?}") };
    sim.run(sim.delete_association(&subject.cluster, &ours.id)).unwrap().unwrap();
    let open = r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
        "Principal": { "Service": "pods.eks.amazonaws.com" }, "Action": ["sts:AssumeRole", "sts:TagSession"] }] }"#;
    sim.world().edit_trust(&other, Some(open)).unwrap();
    sim.run(sim.sleep(Duration::from_mins(2))).unwrap();
    let tags = detail.tags.clone();
    let new = NewAssociation { subject: subject.clone(), role_arn: other.clone(), tags, token: "theirs".to_owned() };
    sim.run(sim.create_association(&new)).unwrap().unwrap();
    sim.run(sim.sleep(Duration::from_mins(1))).unwrap();
    assert!(roll_back(&sim, &journal, &plan));
    let found = association(&sim, &subject).expect("it stays");
    let Some(Seen::Seen(detail)) = found.detail else { panic!("{found:?}") };
    assert_eq!(detail.role_arn, other);
}

/// Whatever a step waits for, a statement that others add meanwhile is in what is sent.
#[test]
fn a_statement_that_others_add_at_any_call_stays() {
    let (start, _, [role, _]) = shop();
    let plan = plan_of(&start, SHORT);
    let whole = start.fork();
    let journal = whole.journal();
    let first = calls(&start) + 1;
    carry_out(&whole, &journal, &plan).unwrap();
    let done = calls(&whole);
    assert!(roll_back(&whole, &journal, &plan));
    let last = calls(&whole);
    // Between the send and its taking effect nobody can tell: IAM replaces the whole document.
    let sends: Vec<u64> = {
        let world = whole.world();
        world.history().writes().filter(|it| matches!(it.call, Call::SetTrust { .. })).map(|it| it.number).collect()
    };
    assert_eq!(sends.len(), 2, "there and back: {sends:?}");
    for call in (first..=last).filter(|it| !sends.contains(it)) {
        let sim = start.fork();
        let journal = sim.journal();
        sim.world().meanwhile(call, Deed::AddStatement(role.clone()));
        carry_out(&sim, &journal, &plan).unwrap();
        let theirs = |when: &str| {
            let trust = sim.world().trust_now(&role).unwrap().to_owned();
            assert!(trust.contains("SomebodyElse"), "call {call} of {done} there and {last} back, {when}: {trust}");
        };
        if call <= done {
            theirs("there");
        }
        roll_back(&sim, &journal, &plan);
        theirs("back");
    }
}

/// The numbers of the calls that a write of an operation is: the last look before it, and itself.
fn look_and_write(sim: &Sim, operation: &str) -> (u64, u64) {
    let world = sim.world();
    let write = world.history().writes().find(|it| it.call.operation() == operation).expect("it was sent").number;
    let is_look = |it: &&irsa_migrate::sim::Record| it.number < write && it.call.operation() == "association_of";
    (world.history().calls().rfind(is_look).expect("a look").number, write)
}

/// What tells ours from theirs is the mark alone, where theirs is to the same role.
#[test]
fn an_association_of_others_to_the_same_role_is_neither_taken_for_ours_nor_deleted() {
    let (start, subject, [role, _]) = shop();
    let plan = plan_of(&start, SHORT);
    let whole = start.fork();
    let journal = whole.journal();
    carry_out(&whole, &journal, &plan).unwrap();
    assert!(roll_back(&whole, &journal, &plan));
    let theirs = Deed::Associate(subject.clone(), Some(role.clone()));

    let sim = start.fork();
    let journal = sim.journal();
    sim.world().meanwhile(look_and_write(&whole, "create_association").0, theirs.clone());
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert_eq!((ending.done, ending.refused), (1, 1), "{ending:?}");
    let unit = plan.units.iter().find(|it| !it.needs.is_empty()).expect("the ServiceAccount's unit");
    let status = status(&sim, &journal, &plan);
    let why = status.detail(&unit.id.0).expect("a reason");
    assert!(why.contains("which is not what this plan makes"), "{why}");

    let sim = start.fork();
    let journal = sim.journal();
    carry_out(&sim, &journal, &plan).unwrap();
    sim.world().meanwhile(look_and_write(&whole, "delete_association").0, theirs);
    assert!(roll_back(&sim, &journal, &plan));
    assert_theirs(&sim, &subject, &role, "rolled back");
    assert_eq!(sim.world().history().counts().get("delete_association"), None);
}

#[test]
fn our_own_association_is_known_by_its_mark_after_a_lost_answer_and_after_a_crash() {
    let (start, subject, [role, _]) = shop();
    let plan = plan_of(&start, SHORT);
    let whole = start.fork();
    carry_out(&whole, &whole.journal(), &plan).unwrap();
    let (_, create) = look_and_write(&whole, "create_association");
    for fault in [Fault::Lost, Fault::After, Fault::CrashAfter] {
        let sim = start.fork();
        let journal = sim.journal();
        sim.world().fault_at(create, fault);
        let first = carry_out(&sim, &journal, &plan);
        assert_eq!(first.is_err(), fault == Fault::CrashAfter, "{fault:?}: {first:?}");
        sim.restart();
        let ending = carry_out(&sim, &journal, &plan).unwrap();
        assert_eq!((ending.done, ending.failed), (2, 0), "{fault:?}: {first:?}, {ending:?}");
        assert_eq!(sim.world().history().counts().get("create_association"), Some(&1), "{fault:?}");
        let found = association(&sim, &subject).expect("ours");
        let Some(Seen::Seen(detail)) = found.detail else { panic!("{found:?}") };
        assert!(detail.role_arn == role && detail.tags.contains_key(PLAN_TAG), "{fault:?}: {detail:?}");
    }
}
