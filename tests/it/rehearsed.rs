//! What a rehearsal says of a promise that is broken.

use irsa_migrate::plan::UnitId;
use irsa_migrate::rehearse::{Faults, Promise, Report, rehearse, there_and_back};
use irsa_migrate::sim::Sim;
use irsa_migrate::view::rehearsal::report;
use irsa_migrate::view::text::{Look, render};

use crate::cycle::scan;
use crate::inventories::{one, subject};

use irsa_migrate::plan::{Plan, Settings, plan};

fn planned(sim: &Sim) -> Plan {
    plan(&scan(sim), &Settings::default()).expect("a plan")
}

fn shown(report_of: &Report, plan: &Plan) -> String {
    render(&report(report_of, plan), Look { width: 1000, colour: false })
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
