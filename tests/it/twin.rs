//! The twin of an inventory: seen again, it is the same.

use irsa_migrate::inventory::{Inventory, Seen};
use irsa_migrate::model::ClusterArn;
use irsa_migrate::sim::{Sim, fleet};

use crate::cycle::{carry_out, plan_of, scan, undo_of};

/// A scan of the twin: the same clusters, whether or not they can be read.
fn seen_again(inventory: &Inventory) -> Inventory {
    scan(&Sim::from_inventory(inventory))
}

#[test]
fn a_scan_of_the_twin_is_the_inventory() {
    let inventory = scan(&fleet());
    assert_eq!(seen_again(&inventory), inventory);
}

#[test]
fn what_could_not_be_read_cannot_be_read_in_the_twin() {
    let sim = fleet();
    for operation in ["nodes", "api_servers", "trust_quota"] {
        sim.world().deny(operation);
    }
    let inventory = scan(&sim);
    assert!(matches!(inventory.clusters[0].nodes, Seen::Unseen(_)));
    let again = seen_again(&inventory);
    assert!(matches!(again.clusters[0].nodes, Seen::Unseen(_)));
    assert!(matches!(again.clusters[0].api_servers, Seen::Unseen(_)));
    assert!(again.accounts.values().all(|it| matches!(it.trust_quota, Seen::Unseen(_))));
}

#[test]
fn a_plan_is_carried_out_on_the_twin_and_undone() {
    let sim = Sim::from_inventory(&scan(&fleet()));
    let before = sim.world().state();
    let plan = plan_of(&sim, "");
    let journal = sim.journal();
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert_eq!((ending.refused, ending.failed, ending.pending), (0, 0, 0), "{ending:?}");
    let prod = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop-prod").unwrap();
    assert!(sim.world().cluster_arns().contains(&prod));
    assert_ne!(before, sim.world().state());
    let undo = undo_of(&sim, &journal, &plan);
    carry_out(&sim, &journal, &undo).unwrap();
    assert_eq!(before.differences(&sim.world().state()), Vec::<String>::new());
}
