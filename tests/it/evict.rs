//! What does not roll is moved one pod at a time: the next goes only when all are there and Ready.

use std::time::Duration;

use irsa_migrate::inventory::{Strategy, WorkloadKind};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Reply, Sim, Workload};

use crate::cycle::{carry_out, plan_of};

const PODS: usize = 3;

fn shop(kind: WorkloadKind, strategy: Strategy, ready_after: Duration) -> Sim {
    let edit = |it: &mut Workload| (it.strategy, it.ready_after) = (strategy, ready_after);
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .workload_with(kind, "shop", "cart", "cart", 3, edit)
        .sim()
}

#[test]
fn a_pod_is_evicted_only_while_all_are_there_and_ready_and_none_is_leaving() {
    // A replacement is Ready before the old pod has left, or long after.
    for ready_after in [Duration::ZERO, Duration::from_mins(1)] {
        for (kind, strategy) in [
            (WorkloadKind::ReplicaSet, Strategy::None),
            (WorkloadKind::StatefulSet, Strategy::OnDelete),
            (WorkloadKind::DaemonSet, Strategy::OnDelete),
        ] {
            assert_one_after_another(
                &shop(kind, strategy, ready_after),
                &format!("{kind}, Ready after {ready_after:?}"),
            );
        }
    }
}

fn assert_one_after_another(sim: &Sim, what: &str) {
    let plan = plan_of(sim, "");
    let ending = carry_out(sim, &sim.journal(), &plan).unwrap();
    assert_eq!((ending.done, ending.failed), (2, 0), "{what}: {ending:?}");
    let (mut evictions, mut seen) = (0, None);
    let world = sim.world();
    for record in world.history().calls() {
        if let Some(Reply::Pods(pods)) = &record.reply {
            seen = Some(pods);
        }
        if !matches!(record.call, Call::Evict { .. }) {
            continue;
        }
        let pods = seen.expect("they were looked at");
        let well = pods.iter().filter(|it| it.ready && !it.terminating).count();
        assert_eq!((well, pods.len()), (PODS, PODS), "{what}, eviction {evictions}: {pods:?}");
        evictions += 1;
    }
    assert_eq!(evictions, PODS, "{what}: each once");
}
