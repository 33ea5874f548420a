//! What a rehearsal says of a promise that is broken.

use irsa_migrate::apply::{Options, Stop, apply};
use irsa_migrate::plan::{Plan, Settings, UnitId, plan};
use irsa_migrate::ports::Eks as _;
use irsa_migrate::rehearse::{Faults, Promise, Report, Stage, rehearse, there_and_back};
use irsa_migrate::sim::Sim;
use irsa_migrate::view::rehearsal::report;
use irsa_migrate::view::text::{Look, render};

use crate::cycle::scan;
use crate::inventories::{one, subject};

fn planned(sim: &Sim) -> Plan {
    plan(&scan(sim), &Settings::default()).expect("a plan")
}

fn shown(report_of: &Report, plan: &Plan) -> String {
    render(&report(report_of, plan), Look { width: 1000, colour: false })
}

/// What a run that went on after a fault is held against.
#[test]
fn a_world_where_little_was_done_is_not_as_an_undisturbed_run_leaves_it() {
    let sim = Sim::from_inventory(&one());
    let plan = planned(&sim);
    let stage = Stage::new(&sim, plan.clone()).expect("a run that ends well");
    let why = stage.as_undisturbed(&stage.world()).expect_err("nothing was done");
    for said in ["association of", "modes of", "trust of arn:aws:iam::111122223333:role/cart"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    let world = stage.world();
    let bytes = plan.to_bytes().expect("bytes");
    let options = Options { through: None, holder: "somebody".to_owned() };
    let journal = world.journal();
    let ran = world.run(async { apply(&world, &journal, &bytes, &options, &Stop::default(), &mut |_| {}).await });
    ran.expect("the world goes on").expect("it ends");
    assert_eq!(stage.as_undisturbed(&world), Ok(()));
    let subject = subject("blue", "shop", "cart");
    let deleted = world.run(async {
        let found = world.association_of(&subject).await?.expect("it is there");
        world.delete_association(&subject.cluster, &found.id).await
    });
    deleted.expect("the world goes on").expect("it is deleted");
    assert!(stage.as_undisturbed(&world).is_err_and(|why| why.contains("association")));
}

#[test]
fn an_undo_that_fails_names_its_unit_and_why() {
    let inventory = one();
    let sim = Sim::from_inventory(&inventory);
    let plan = planned(&sim);
    // Forward nothing is ever deleted.
    sim.world().deny("delete_association");
    let found = there_and_back(&sim, &plan, &mut |_| {});
    assert!(found.left.is_empty() && found.stopped.is_none(), "{found:#?}");
    let [broken] = found.broken.as_slice() else { panic!("{:#?}", found.broken) };
    assert_eq!(broken.promise, Promise::UndoAtAnyPoint);
    assert_eq!(broken.unit, Some(UnitId::of_subject(&subject("blue", "shop", "cart"))));
    assert!(broken.what.contains("its undo is failed: ") && broken.what.contains("AccessDenied"), "{broken:#?}");

    let digest = irsa_migrate::model::Digest::of(&plan.to_bytes().expect("bytes"));
    let mut rehearsed = rehearse(&plan, &digest, &inventory, Faults::None, &mut |_| {}).expect("a report");
    assert!(!shown(&rehearsed, &plan).contains("Broken promises"));
    rehearsed.nominal = found;
    let text = shown(&rehearsed, &plan);
    for said in [
        "a promise was broken, once",
        "- undo at any point: shop/cart: its undo is failed: ",
        "whoever you have irsa-migrate from",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("P3") && !text.contains("issue tracker"), "{text}");
}
