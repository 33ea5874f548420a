//! Steps on a role's trust policy that others edit, put back, or delete with its role.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::model::RoleArn;
use irsa_migrate::plan::{Plan, RoleWork, UnitId, Work};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Deed, Fault, Lag, MemoryJournal, Sim};

use crate::beside::carry_out_through;
use crate::cycle::{carry_out, plan_of, status, undo_of};

/// Times that keep a run short.
const SHORT: &str = "[numbers]\ntrust_settle = 6\nassociation_settle = 6\nbake = 20\n";

/// ServiceAccounts, each with a role of its name and a Deployment.
fn shop(names: &[&str]) -> Sim {
    let app = |it: Builder, name: &&str| {
        it.role(name, &[("shop", name)]).service_account("shop", name, Some(name)).deployment("shop", name, name, 1)
    };
    names.iter().fold(Builder::new().cluster("blue"), app).sim()
}

fn role(name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).unwrap()
}

fn work<'p>(plan: &'p Plan, role: &RoleArn) -> &'p RoleWork {
    match &plan.unit(&UnitId::of_role(role)).expect("the role's unit").work {
        Work::Role(work) => work,
        Work::ServiceAccount(_) => panic!("{role} is a role"),
    }
}

/// The number of the call that sends the first statement.
fn sent_at(start: &Sim, plan: &Plan) -> u64 {
    let whole = start.fork();
    carry_out(&whole, &whole.journal(), plan).unwrap();
    let world = whole.world();
    world.history().writes().find(|it| matches!(it.call, Call::SetTrust { .. })).expect("it was sent").number
}

/// What is said of a unit.
fn said(sim: &Sim, journal: &MemoryJournal, plan: &Plan, unit: &UnitId) -> String {
    status(sim, journal, plan).detail(&unit.0).unwrap_or_default().to_owned()
}

#[test]
fn a_statement_that_others_put_there_before_is_theirs_and_any_other_edit_beside_it_is_drift() {
    let start = shop(&["cart"]);
    let (plan, cart) = (plan_of(&start, SHORT), role("cart"));
    for edited in [false, true] {
        let sim = start.fork();
        let journal = sim.journal();
        sim.world().edit_trust(&cart, Some(&work(&plan, &cart).after)).unwrap();
        if edited {
            sim.world().perform(&Deed::AddStatement(cart.clone())).unwrap();
        }
        let ending = carry_out(&sim, &journal, &plan).unwrap();
        let said = said(&sim, &journal, &plan, &UnitId::of_role(&cart));
        if edited {
            // Nobody approved a plan on this policy.
            assert_eq!(ending.done, 0, "{ending:?}");
            assert!(said.contains("edited since the plan was made"), "{said}");
        } else {
            assert_eq!(ending.done, 2, "{ending:?}");
        }
        assert_eq!(sim.world().history().counts().get("set_trust"), None, "{edited}");
    }
}

/// What was wanted is there: others who write beside it, once the program has died or when only the answer is lost,
/// fail nothing.
#[test]
fn our_statement_is_known_though_others_have_edited_the_rest() {
    let start = shop(&["cart"]);
    let (plan, cart) = (plan_of(&start, SHORT), role("cart"));
    let sent = sent_at(&start, &plan);
    for fault in [Fault::CrashAfter, Fault::Lost] {
        let sim = start.fork();
        let journal = sim.journal();
        let edit = Deed::AddStatement(cart.clone());
        sim.world().fault_at(sent, fault);
        if fault == Fault::CrashAfter {
            assert!(carry_out(&sim, &journal, &plan).is_err(), "it was ended");
            sim.restart();
            sim.world().perform(&edit).unwrap();
        } else {
            sim.world().meanwhile(sent + 1, edit);
        }
        let ending = carry_out(&sim, &journal, &plan).unwrap();
        assert_eq!((ending.why, ending.done), (Why::Ended, 2), "{fault:?}");
        assert_eq!(sim.world().history().counts().get("set_trust"), Some(&1), "{fault:?}: it is not sent again");
        let trust = sim.world().trust_now(&cart).unwrap().to_owned();
        let both = trust.contains("SomebodyElse") && trust.contains(&work(&plan, &cart).added[0].sid);
        assert!(both, "{fault:?}: {trust}");
    }
}

/// Whether it was written is not known, and an old answer does not tell: it is looked at until it has settled.
#[test]
fn a_statement_that_is_not_seen_yet_is_not_sent_again() {
    let start = shop(&["cart"]);
    let plan = plan_of(&start, SHORT);
    let sent = sent_at(&start, &plan);
    for seed in 0..8 {
        let sim = start.fork();
        let journal = sim.journal();
        sim.world().set_seed(seed);
        sim.world().set_lag(Lag { api: Duration::from_secs(5), ..Lag::default() });
        sim.world().fault_at(sent, Fault::Lost);
        let ending = carry_out(&sim, &journal, &plan).unwrap();
        assert_eq!((ending.why, ending.done), (Why::Ended, 2), "seed {seed}");
        assert_eq!(sim.world().history().counts().get("set_trust"), Some(&1), "seed {seed}");
    }
}

#[test]
fn an_association_waits_for_the_statement_in_its_own_role() {
    let names = ["cart", "stock"];
    for gone in names {
        let sim = shop(&names);
        let plan = plan_of(&sim, SHORT);
        let journal = sim.journal();
        let (prepared, _) = carry_out_through(&sim, &journal, &plan, Some("prepare"));
        assert_eq!(prepared.unwrap().why, Why::Through("prepare".to_owned()));
        // A tool that knows of nothing else puts one role's policy back.
        let before = work(&plan, &role(gone)).before.clone();
        sim.world().perform(&Deed::Reapply(role(gone), before)).unwrap();
        carry_out(&sim, &journal, &plan).unwrap();
        let world = sim.world();
        let role_of = |it: &Call| if let Call::CreateAssociation(new) = it { Some(new.role_arn.clone()) } else { None };
        let made: Vec<RoleArn> = world.history().calls().filter_map(|it| role_of(&it.call)).collect();
        let others: Vec<RoleArn> = names.into_iter().filter(|it| *it != gone).map(role).collect();
        assert_eq!(made, others, "{gone} has lost its statement");
    }
}

#[test]
fn a_rollback_that_cannot_read_the_role_names_it() {
    let sim = shop(&["cart"]);
    let (plan, journal, cart) = (plan_of(&sim, SHORT), sim.journal(), role("cart"));
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
    sim.world().edit_trust(&cart, None).unwrap();
    let undo = undo_of(&sim, &journal, &plan);
    carry_out(&sim, &journal, &undo).unwrap();
    let said = said(&sim, &journal, &undo, &undo.units[0].id);
    assert!(said.contains(&format!("role {cart}: ")), "{said}");
}
