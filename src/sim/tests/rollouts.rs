//! How workloads replace their pods.

use super::*;
use crate::inventory::Strategy;
use crate::sim::NeverReady;

#[test]
fn a_deployment_rolls_with_surge_and_never_falls_short() {
    let sim = shop().deployment("carts", "cart", "cart", 4).sim();
    assert_eq!(modes(&sim), count("IRSA", 4));
    assert!(rollout(&sim, WorkloadKind::Deployment).complete);
    associate(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    assert!(!rollout(&sim, WorkloadKind::Deployment).complete, "its controller has not noticed yet");
    for _ in 0..300 {
        sim.world().pass(Duration::from_millis(100));
        let all = pods(&sim);
        assert!((4..=5).contains(&all.len()), "one above, none below: {}", all.len());
        assert!(all.iter().filter(|it| it.ready).count() >= 4);
    }
    assert_eq!(modes(&sim), count("Pod Identity", 4));
    assert_eq!(rollout(&sim, WorkloadKind::Deployment).updated, 4);
    assert!(rollout(&sim, WorkloadKind::Deployment).complete);
}

#[test]
fn the_same_stamp_again_rolls_nothing() {
    let sim = shop().deployment("carts", "cart", "cart", 2).sim();
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 60);
    let before = pods(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 60);
    assert_eq!(pods(&sim), before);
}

/// Half-way back: the old ReplicaSet is the one of before, and its pods stay, also one that was
/// admitted in between, in the mode of then.
#[test]
fn a_template_put_back_keeps_the_pods_of_its_old_replica_set() {
    let sim = shop().deployment("carts", "cart", "cart", 2).sim();
    let old = pods(&sim);
    associate(&sim);
    // A node fails: a pod of the old ReplicaSet is admitted on Pod Identity.
    sim.world().lose_pod(&cluster(), "carts", &old[0].name).unwrap();
    pass(&sim, 5);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 1), ("Pod Identity".to_owned(), 1)].into());

    sim.world()
        .edit_workload(&cluster(), &at(WorkloadKind::Deployment), |it| it.never_ready = Some(NeverReady::New))
        .unwrap();
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 60);
    let during = pods(&sim);
    assert_eq!(during.len(), 3, "the new pod never becomes Ready, so that both old ones stay");
    sim.world().edit_association(&cart(), None).unwrap();
    stamp(&sim, WorkloadKind::Deployment, None);
    pass(&sim, 60);
    let after = pods(&sim);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 1), ("Pod Identity".to_owned(), 1)].into());
    assert!(after.iter().all(|it| during.iter().any(|old| old.uid == it.uid)), "no pod was made");
    assert_eq!(after[0].controller, old[0].controller, "the same ReplicaSet as before");
    assert!(rollout(&sim, WorkloadKind::Deployment).complete);
}

#[test]
fn a_rollout_that_never_becomes_ready_fails_at_its_deadline() {
    let sim = shop().deployment("carts", "cart", "cart", 3).sim();
    sim.world()
        .edit_workload(&cluster(), &at(WorkloadKind::Deployment), |it| it.never_ready = Some(NeverReady::New))
        .unwrap();
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 590);
    let now = rollout(&sim, WorkloadKind::Deployment);
    assert!(!now.failed && !now.complete);
    assert_eq!((now.ready, now.updated), (3, 1));
    pass(&sim, 20);
    assert!(rollout(&sim, WorkloadKind::Deployment).failed);
}

#[test]
fn a_paused_deployment_rolls_nothing_and_still_replaces_lost_pods() {
    let sim = shop().workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 2, |it| it.paused = true).sim();
    let before = pods(&sim);
    assert_eq!(before.len(), 2);
    associate(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    pass(&sim, 600);
    assert_eq!(pods(&sim), before);
    assert!(!rollout(&sim, WorkloadKind::Deployment).complete);
    sim.world().lose_pod(&cluster(), "carts", &before[0].name).unwrap();
    pass(&sim, 60);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 1), ("Pod Identity".to_owned(), 1)].into());
    sim.world().edit_workload(&cluster(), &at(WorkloadKind::Deployment), |it| it.paused = false).unwrap();
    pass(&sim, 60);
    assert_eq!(modes(&sim), count("Pod Identity", 2));
}

#[test]
fn recreate_stops_all_before_it_starts_any() {
    let sim = shop()
        .workload_with(WorkloadKind::Deployment, "carts", "cart", "cart", 3, |it| it.strategy = Strategy::Recreate)
        .sim();
    associate(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    let mut lowest = 3;
    for _ in 0..100 {
        sim.world().pass(Duration::from_millis(100));
        lowest = lowest.min(pods(&sim).len());
        assert!(modes(&sim).len() <= 1, "never old and new side by side");
    }
    assert_eq!(lowest, 0);
    assert_eq!(modes(&sim), count("Pod Identity", 3));
}

#[test]
fn a_stateful_set_goes_from_the_highest_to_the_lowest_one_at_a_time() {
    let sim = shop().workload(WorkloadKind::StatefulSet, "carts", "cart", "cart", 3).sim();
    let names: Vec<String> = pods(&sim).into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["cart-0", "cart-1", "cart-2"]);
    associate(&sim);
    stamp(&sim, WorkloadKind::StatefulSet, Some("one"));
    let mut moved = Vec::new();
    for _ in 0..300 {
        sim.world().pass(Duration::from_millis(100));
        let all = pods(&sim);
        assert!(all.iter().filter(|it| it.ready).count() >= 2);
        for pod in all.into_iter().filter(|it| it.mode == Mode::PodIdentity) {
            if !moved.contains(&pod.name) {
                moved.push(pod.name);
            }
        }
    }
    assert_eq!(moved, ["cart-2", "cart-1", "cart-0"]);
    assert!(rollout(&sim, WorkloadKind::StatefulSet).complete);
}

#[test]
fn a_partition_keeps_the_pods_below_it() {
    let sim = shop().workload_with(WorkloadKind::StatefulSet, "carts", "cart", "cart", 3, |it| it.partition = 2).sim();
    associate(&sim);
    stamp(&sim, WorkloadKind::StatefulSet, Some("one"));
    pass(&sim, 120);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 2), ("Pod Identity".to_owned(), 1)].into());
    let now = rollout(&sim, WorkloadKind::StatefulSet);
    assert!(now.complete && !now.failed, "what lies above the partition is rolled out");
    assert_eq!(now.updated, 1);
}

/// kubernetes#67250: with the template put back, the pod of the bad one stays until somebody deletes it.
#[test]
fn a_broken_stateful_set_is_stuck_also_when_its_template_is_put_back() {
    let sim = shop()
        .workload_with(WorkloadKind::StatefulSet, "carts", "cart", "cart", 3, |it| {
            it.never_ready = Some(NeverReady::OnPodIdentity);
        })
        .sim();
    associate(&sim);
    stamp(&sim, WorkloadKind::StatefulSet, Some("one"));
    pass(&sim, 120);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 2), ("Pod Identity".to_owned(), 1)].into());
    sim.world().edit_association(&cart(), None).unwrap();
    stamp(&sim, WorkloadKind::StatefulSet, None);
    pass(&sim, 3600);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 2), ("Pod Identity".to_owned(), 1)].into());
    let stuck = pods(&sim).into_iter().find(|it| !it.ready).unwrap();
    evict(&sim, &stuck).unwrap();
    pass(&sim, 60);
    assert_eq!(modes(&sim), count("IRSA", 3));
}

#[test]
fn a_daemon_set_replaces_one_node_at_a_time() {
    let sim = shop().workload(WorkloadKind::DaemonSet, "carts", "cart", "cart", 0).sim();
    let nodes: std::collections::BTreeSet<_> = pods(&sim).into_iter().map(|it| it.node).collect();
    assert_eq!(nodes.len(), 3, "one on each node");
    associate(&sim);
    stamp(&sim, WorkloadKind::DaemonSet, Some("one"));
    for _ in 0..300 {
        sim.world().pass(Duration::from_millis(100));
        assert!(pods(&sim).iter().filter(|it| it.ready).count() >= 2);
    }
    assert_eq!(modes(&sim), count("Pod Identity", 3));
    assert!(rollout(&sim, WorkloadKind::DaemonSet).complete);
}

#[test]
fn on_delete_waits_for_somebody() {
    let sim = shop()
        .workload_with(WorkloadKind::DaemonSet, "carts", "cart", "cart", 0, |it| it.strategy = Strategy::OnDelete)
        .sim();
    associate(&sim);
    stamp(&sim, WorkloadKind::DaemonSet, Some("one"));
    pass(&sim, 600);
    assert_eq!(modes(&sim), count("IRSA", 3));
    for pod in pods(&sim) {
        evict(&sim, &pod).unwrap();
        pass(&sim, 30);
    }
    assert_eq!(modes(&sim), count("Pod Identity", 3));
}

#[test]
fn a_bare_replica_set_moves_only_as_its_pods_are_replaced() {
    let sim = shop().workload(WorkloadKind::ReplicaSet, "carts", "cart", "cart", 2).sim();
    associate(&sim);
    pass(&sim, 600);
    assert_eq!(modes(&sim), count("IRSA", 2));
    evict(&sim, &pods(&sim)[0]).unwrap();
    pass(&sim, 30);
    assert_eq!(modes(&sim), [("IRSA".to_owned(), 1), ("Pod Identity".to_owned(), 1)].into());
}

#[test]
fn only_what_rolls_takes_a_stamp() {
    use WorkloadKind::{CronJob, DaemonSet, Deployment, Job, ReplicaSet, ReplicationController, StatefulSet};
    for (kind, rolls) in [
        (Deployment, true),
        (StatefulSet, true),
        (DaemonSet, true),
        (ReplicaSet, false),
        (ReplicationController, false),
        (Job, false),
        (CronJob, false),
    ] {
        let sim = shop().workload(kind, "carts", "cart", "cart", 1).sim();
        let Reply::Workload(Some(now)) = call(&sim, Call::Workload { cluster: cluster(), at: at(kind) }).unwrap()
        else {
            panic!("{kind} is there")
        };
        let change = |uid: &str| Call::Stamp {
            cluster: cluster(),
            change: Stamping { workload: at(kind), uid: uid.into(), before: None, after: Some("one".into()) },
        };
        let other = call(&sim, change("another"));
        assert_eq!(matches!(other, Err(crate::ports::PortError::Conflict(_))), rolls, "{kind}: {other:?}");
        assert_eq!(call(&sim, change(&now.workload.uid)).is_ok(), rolls, "{kind}");
    }
}

#[test]
fn a_cron_jobs_pods_come_and_go_and_the_next_one_moves() {
    let sim = shop()
        .workload_with(WorkloadKind::CronJob, "carts", "cart", "cart", 0, |it| it.every = Duration::from_mins(15))
        .sim();
    assert_eq!(pods(&sim), []);
    pass(&sim, 5 * 60 + 30);
    assert_eq!(modes(&sim), count("IRSA", 1));
    let pod = &pods(&sim)[0];
    assert_eq!(pod.workload, Some(at(WorkloadKind::CronJob)));
    assert_eq!(pod.controller.as_ref().unwrap().kind, "Job");
    associate(&sim);
    pass(&sim, 15 * 60);
    assert_eq!(modes(&sim), count("Pod Identity", 1));
    pass(&sim, 3 * 60);
    assert_eq!(pods(&sim), []);
}
