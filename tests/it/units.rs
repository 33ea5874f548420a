//! How each unit ends is told, with the reason where it is not done.

use irsa_migrate::apply::{Progress, UnitEnd};
use irsa_migrate::plan::{Plan, UnitId};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{MemoryJournal, Sim};

use crate::beside::carry_out_through;
use crate::cycle::{plan_of, status};
use crate::stuck::{role, shop};

fn planned() -> (Sim, Plan, MemoryJournal, UnitId) {
    let sim = shop(&["blue"]).sim();
    let (plan, journal) = (plan_of(&sim, ""), sim.journal());
    let account = plan.units.iter().find(|it| !it.needs.is_empty()).expect("the ServiceAccount's unit").id.clone();
    (sim, plan, journal, account)
}

/// How each unit ended, and why, as it was told.
fn ends(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Vec<(UnitId, UnitEnd, Option<String>)> {
    let (ended, told) = carry_out_through(sim, journal, plan, None);
    ended.unwrap();
    let end = |progress: Progress| {
        let Progress::UnitEnded { unit, end, detail } = progress else { return None };
        Some((unit, end, detail))
    };
    told.into_iter().filter_map(end).collect()
}

#[test]
fn of_a_unit_that_failed_it_is_told_why() {
    let (sim, plan, journal, account) = planned();
    sim.world().deny("create_association");
    let ends = ends(&sim, &journal, &plan);
    let why = status(&sim, &journal, &plan).detail(&account.0).map(str::to_owned);
    assert!(why.as_ref().is_some_and(|it| it.contains("denied")), "{why:?}");
    assert_eq!(ends, [(UnitId::of_role(&role()), UnitEnd::Done, None), (account, UnitEnd::Failed, why)]);
}

#[test]
fn a_unit_whose_role_is_not_prepared_is_refused_and_not_begun() {
    let (sim, plan, journal, account) = planned();
    // Somebody lets another ServiceAccount in.
    let other = Builder::new().cluster("blue").role("cart", &[("shop", "stock")]).trust_of("cart");
    sim.world().edit_trust(&role(), Some(&other)).unwrap();
    let told = ends(&sim, &journal, &plan);
    let prepared = UnitId::of_role(&role());
    let needs = format!("it needs {prepared}, which is not done");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0].0, told[0].1), (&prepared, UnitEnd::Refused));
    assert_eq!(told[1], (account, UnitEnd::Refused, Some(needs)));
    assert_eq!(sim.world().writes(), 0);
}
