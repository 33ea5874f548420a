//! Evictions and leases.

use super::*;
use crate::ports::{Lease, LeaseVersion, PortError};
use crate::sim::{BudgetRule, NeverReady};

#[test]
fn an_eviction_obeys_the_budget_and_waits_for_the_replacement() {
    let sim = shop()
        .workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 3)
        .budget("carts", "cart", BudgetRule::MinAvailable(2), &[(WorkloadKind::ReplicaSet, "cart")])
        .sim();
    let all = pods(&sim);
    assert_eq!(all[0].budgets, [("cart".to_owned(), 1)].into());
    evict(&sim, &all[0]).unwrap();
    assert!(matches!(evict(&sim, &all[1]), Err(PortError::NotNow(_))));
    pass(&sim, 30);
    evict(&sim, &all[1]).unwrap();
}

#[test]
fn the_only_pod_under_min_available_one_never_goes() {
    let sim = shop()
        .workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 1)
        .budget("carts", "cart", BudgetRule::MinAvailable(1), &[(WorkloadKind::ReplicaSet, "cart")])
        .sim();
    for _ in 0..10 {
        assert!(matches!(evict(&sim, &pods(&sim)[0]), Err(PortError::NotNow(_))));
        pass(&sim, 3600);
    }
}

#[test]
fn max_unavailable_counts_from_the_replicas() {
    let sim = shop()
        .workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 2)
        .budget("carts", "cart", BudgetRule::MaxUnavailable(0), &[(WorkloadKind::ReplicaSet, "cart")])
        .sim();
    assert!(matches!(evict(&sim, &pods(&sim)[0]), Err(PortError::NotNow(_))));
}

/// `unhealthyPodEvictionPolicy: IfHealthyBudget`.
#[test]
fn a_pod_that_is_not_ready_may_go_while_the_budget_is_kept() {
    let sim = shop()
        .workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 2)
        .budget("carts", "cart", BudgetRule::MinAvailable(2), &[(WorkloadKind::ReplicaSet, "cart")])
        .sim();
    let edit = |it: &mut crate::sim::Workload| (it.replicas, it.never_ready) = (3, Some(NeverReady::New));
    sim.world().edit_workload(&cluster(), &at(WorkloadKind::ReplicaSet), edit).unwrap();
    pass(&sim, 60);
    let (unready, ready) = pods(&sim).into_iter().partition::<Vec<_>, _>(|it| !it.ready);
    assert!(matches!(evict(&sim, &ready[0]), Err(PortError::NotNow(_))));
    evict(&sim, &unready[0]).unwrap();
}

#[test]
fn two_budgets_over_one_pod_keep_it_from_being_evicted() {
    let covers = [(WorkloadKind::ReplicaSet, "cart")];
    let sim = shop()
        .workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 2)
        .budget("carts", "one", BudgetRule::MinAvailable(0), &covers)
        .budget("carts", "two", BudgetRule::MinAvailable(0), &covers)
        .sim();
    assert!(matches!(evict(&sim, &pods(&sim)[0]), Err(PortError::Invalid(_))));
}

#[test]
fn an_eviction_is_of_one_pod_and_no_namesake() {
    let sim = shop().workload(WorkloadKind::StatefulSet, "carts", "cart", "cart", 1).sim();
    let old = pods(&sim).remove(0);
    evict(&sim, &old).unwrap();
    pass(&sim, 30);
    assert_ne!(pods(&sim)[0].uid, old.uid);
    assert!(matches!(evict(&sim, &old), Err(PortError::NotFound(_))), "cart-0 is another pod by now");
    let gone = Pod { name: "cart-9".into(), ..old };
    assert!(matches!(evict(&sim, &gone), Err(PortError::NotFound(_))));
}

#[test]
fn a_bare_pod_that_is_evicted_does_not_come_back() {
    let sim = shop().bare_pod("carts", "debug", "cart").sim();
    let pod = pods(&sim).remove(0);
    assert_eq!((pod.name.as_str(), pod.workload.is_none(), pod.ready), ("debug", true, true));
    evict(&sim, &pod).unwrap();
    pass(&sim, 60);
    assert_eq!(pods(&sim), []);
}

#[test]
fn a_lease_is_written_only_over_the_version_that_was_seen() {
    let sim = shop().sim();
    let lease = |holder: &str| Lease {
        holder: holder.into(),
        duration_seconds: 60,
        renewed_at: sim.world().now(),
        version: LeaseVersion(String::new()),
    };
    let write = |holder, found: Option<LeaseVersion>| {
        let (namespace, name) = ("kube-system".to_owned(), "irsa-migrate".to_owned());
        let reply = call(&sim, Call::WriteLease { cluster: cluster(), namespace, name, lease: lease(holder), found })?;
        match reply {
            Reply::WrittenLease(lease) => Ok(lease),
            other => panic!("{other:?}"),
        }
    };
    let first = write("a", None).unwrap();
    assert!(matches!(write("b", None), Err(PortError::Conflict(_))));
    let second = write("a", Some(first.version.clone())).unwrap();
    assert!(matches!(write("b", Some(first.version.clone())), Err(PortError::Conflict(_))));
    let (namespace, name) = ("kube-system".to_owned(), "irsa-migrate".to_owned());
    let delete =
        |found| Call::DeleteLease { cluster: cluster(), namespace: namespace.clone(), name: name.clone(), found };
    assert!(matches!(call(&sim, delete(first.version)), Err(PortError::Conflict(_))));
    call(&sim, delete(second.version.clone())).unwrap();
    assert!(matches!(call(&sim, delete(second.version)), Err(PortError::NotFound(_))));
    assert_eq!(sim.world().writes(), 0, "a lease is no write");
}
