//! Waits are watches where something can be watched, and what they cost.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::WorkloadKind;
use irsa_migrate::ports::{Clock as _, Cluster as _, Sight};
use irsa_migrate::sim::Sim;
use irsa_migrate::sim::build::Builder;

use crate::cycle::{carry_out, plan_of};

fn shop(ready_after: Duration) -> Sim {
    Builder::new()
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .service_account("carts", "cart", Some("cart"))
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 2, |it| it.ready_after = ready_after)
        .sim()
}

/// How often a workload is read while its plan is carried out.
fn reads(ready_after: Duration) -> (usize, usize) {
    let sim = shop(ready_after);
    let plan = plan_of(&sim, "");
    let before = sim.world().history().counts();
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).unwrap().why, Why::Ended);
    let after = sim.world().history().counts();
    let made = |name: &str| after.get(name).copied().unwrap_or(0) - before.get(name).copied().unwrap_or(0);
    (made("workload"), made("changed"))
}

#[test]
fn a_slow_roll_out_costs_watches_and_hardly_any_reads() {
    let (quick, slow) = (reads(Duration::from_secs(5)), reads(Duration::from_mins(5)));
    // Ten minutes of a roll-out, one pod after another, are a watch each five seconds.
    assert!((60..=140).contains(&slow.1), "{slow:?}");
    assert!(slow.0 <= quick.0 + slow.1 + 10, "a look after each watch, and no more: {quick:?}, {slow:?}");
}

#[test]
fn a_change_ends_a_wait_at_once() {
    let sim = shop(Duration::from_secs(5));
    let mut builder = Builder::new().cluster("shop");
    let subject = builder.subject("carts", "cart");
    let pods = sim.run(sim.pods_of(&subject)).unwrap().unwrap();
    assert_eq!(pods.len(), 2);
    let seen = Sight { subject: &subject, pods: &pods, workload: None };
    let from = sim.monotonic();
    sim.run(sim.changed(seen, Duration::from_secs(30))).unwrap().unwrap();
    assert_eq!(sim.monotonic() - from, Duration::from_secs(30), "nothing changed");

    let (cluster, lost) = (subject.cluster.clone(), pods[0].name.clone());
    sim.world().lose_pod(&cluster, "carts", &lost).unwrap();
    let from = sim.monotonic();
    sim.run(sim.changed(seen, Duration::from_secs(30))).unwrap().unwrap();
    assert_eq!(sim.monotonic(), from, "it had changed already");
}
