//! What must hold after a wave before the next one starts.

use std::cell::Cell;
use std::time::Duration;

use irsa_migrate::apply::{Ending, Progress, Stop, Why};
use irsa_migrate::inventory::{AgentOnNode, WorkloadKind, WorkloadRef};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Deed, MemoryJournal, Sim};
use tokio::sync::Notify;

use crate::beside::{a_pod, applied, carry_out_told, first_cluster};
use crate::cycle::{carry_out, plan_of};
use crate::precheck::{nodes, set_agents};

const ONE_AFTER_ANOTHER: &str = "[[wave]]\nname = \"first\"\nnamespaces = [\"carts\"]\n[[wave]]\nname = \"second\"";

fn shop() -> Sim {
    let app = |it: Builder, namespace: &str, name: &str| {
        it.role(name, &[(namespace, name)]).service_account(namespace, name, Some(name)).workload_with(
            WorkloadKind::Deployment,
            namespace,
            name,
            name,
            2,
            |it| it.needs_credentials = true,
        )
    };
    app(app(Builder::new().cluster("shop"), "carts", "cart"), "stocks", "stock").sim()
}

/// Carries the plan out; something happens while the first wave's pods are watched.
fn when_watched(sim: &Sim, journal: &MemoryJournal, plan: &Plan, happens: impl Fn(&Sim)) -> Ending {
    let mut tell = |progress: Progress| {
        if matches!(&progress, Progress::GateWaiting { wave, .. } if wave == "first") {
            happens(sim);
        }
    };
    carry_out_told(sim, journal, plan, &Stop::default(), &mut tell).unwrap()
}

/// The same; and something else happens so long after that.
fn when_watched_and_later(
    sim: &Sim,
    plan: &Plan,
    happens: impl Fn(&Sim),
    after: Duration,
    later: impl Fn(&Sim),
) -> Ending {
    let (journal, watched, stop) = (sim.journal(), Notify::new(), Stop::default());
    let mut tell = |progress: Progress| {
        if matches!(&progress, Progress::GateWaiting { wave, .. } if wave == "first") {
            happens(sim);
            watched.notify_one();
        }
    };
    let others = async {
        watched.notified().await;
        sim.sleep(after).await;
        later(sim);
    };
    let both = async { futures::join!(applied(sim, &journal, plan, &stop, &mut tell), others).0 };
    sim.run(both).unwrap().unwrap()
}

fn lose_a_pod(sim: &Sim) {
    let (cluster, pod) = (first_cluster(sim), a_pod(sim, "carts", "cart"));
    sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
}

#[test]
fn a_pod_that_is_replaced_and_ready_again_is_no_trouble() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let ending = when_watched(&sim, &sim.journal(), &plan, lose_a_pod);
    assert_eq!((ending.why, ending.unwell), (Why::Ended, vec![]));
}

#[test]
fn pods_that_an_autoscaler_adds_at_any_second_are_no_trouble() {
    let start = shop();
    let plan = plan_of(&start, &format!("{ONE_AFTER_ANOTHER}\n[numbers]\nbake = 20\n"));
    let at = WorkloadRef { kind: WorkloadKind::Deployment, namespace: "carts".into(), name: "cart".into() };
    for second in 0..40 {
        let sim = start.fork();
        let more = Deed::Scale(first_cluster(&sim), at.clone(), 4);
        let scale = |sim: &Sim| sim.world().perform(&more).unwrap();
        let ending = when_watched_and_later(&sim, &plan, |_| {}, Duration::from_secs(second), scale);
        assert_eq!((ending.why, ending.unwell), (Why::Ended, vec![]), "second {second}");
    }
}

#[test]
fn a_pod_that_never_comes_back_shuts_the_gate_and_its_unit_is_named() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let journal = sim.journal();
    let ending = when_watched(&sim, &journal, &plan, |sim| {
        let cluster = first_cluster(sim);
        sim.world().reject_pods(&cluster, "carts", Some("a policy")).unwrap();
        lose_a_pod(sim);
    });
    let why = shut(&ending);
    assert!(why.contains("1 of 2 pods are Ready"), "{why}");

    // Once it is well, the same plan goes on.
    let cluster = first_cluster(&sim);
    sim.world().reject_pods(&cluster, "carts", None).unwrap();
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
}

/// Why the gate after the first wave did not pass, where that is known of a unit.
fn shut(ending: &Ending) -> &str {
    let Why::Gate(why, Some(unit)) = &ending.why else { panic!("{ending:?}") };
    assert!(unit.0.contains("cart"), "{unit}");
    assert_eq!(ending.unwell.as_slice(), std::slice::from_ref(unit));
    assert_eq!(ending.pending, 1, "the second wave has not started: {ending:?}");
    why
}

#[test]
fn a_pod_that_gets_no_credentials_shuts_the_gate_when_the_watch_ends() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let (watched, nodes) = (Cell::new(None), nodes(&sim));
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        watched.set(Some(sim.monotonic()));
        set_agents(sim, &nodes, AgentOnNode::Absent);
        lose_a_pod(sim);
    });
    let why = shut(&ending);
    assert!(why.starts_with("pod carts/cart-") && why.ends_with(" is not Ready"), "{why}");
    let took = sim.monotonic() - watched.get().expect("it was watched");
    let bake = Duration::from_secs(plan.numbers.bake);
    assert!(took >= bake && took < bake * 2, "no roll-out is waited for: {took:?} of {bake:?}");
}

#[test]
fn a_pod_that_restarted_meanwhile_shuts_the_gate_though_it_is_well_again() {
    let sim = shop();
    let (plan, nodes) = (plan_of(&sim, &format!("{ONE_AFTER_ANOTHER}\n[numbers]\nbake = 120\n")), nodes(&sim));
    let without_agents = |sim: &Sim| {
        set_agents(sim, &nodes, AgentOnNode::Absent);
        lose_a_pod(sim);
    };
    let back = |sim: &Sim| set_agents(sim, &nodes, AgentOnNode::Ready);
    let ending = when_watched_and_later(&sim, &plan, without_agents, Duration::from_secs(40), back);
    let why = shut(&ending);
    assert!(why.starts_with("pod carts/cart-") && why.contains(" restarted "), "{why}");
}

#[test]
fn a_pod_that_comes_up_without_pod_identity_shuts_the_gate() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        let cluster = first_cluster(sim);
        sim.world().set_webhook_down(&cluster, true).unwrap();
        lose_a_pod(sim);
    });
    let why = shut(&ending);
    assert!(why.starts_with("pod carts/cart-") && why.contains(" came up on "), "{why}");
}

#[test]
fn pods_that_cannot_be_read_shut_the_gate_and_no_unit_is_blamed() {
    for operation in ["pods_of", "workload"] {
        let sim = shop();
        let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
        let ending = when_watched(&sim, &sim.journal(), &plan, |sim| sim.world().deny(operation));
        let Why::Gate(why, None) = &ending.why else { panic!("{operation}: {ending:?}") };
        assert!(why.contains("could not be read"), "{operation}: {why}");
        assert_eq!((ending.unwell.len(), ending.pending), (0, 1), "{operation}: {ending:?}");
    }
}

/// A StatefulSet has no deadline of its own.
#[test]
fn a_roll_out_that_never_says_that_it_failed_is_waited_for_no_longer_than_a_roll_out_takes() {
    let sim = Builder::new()
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .service_account("carts", "cart", Some("cart"))
        .workload_with(WorkloadKind::StatefulSet, "carts", "cart", "cart", 2, |_| {})
        .sim();
    let plan = plan_of(&sim, "[[wave]]\nname = \"first\"");
    let watched = Cell::new(None);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        let cluster = first_cluster(sim);
        watched.set(Some(sim.monotonic()));
        sim.world().reject_pods(&cluster, "carts", Some("a policy")).unwrap();
        lose_a_pod(sim);
    });
    let Why::Gate(why, Some(_)) = &ending.why else { panic!("{ending:?}") };
    assert!(why.contains("StatefulSet carts/cart has not rolled out: 1 of 2 pods are Ready"), "{why}");
    let took = sim.monotonic() - watched.get().expect("it was watched");
    let numbers = &plan.numbers;
    let most = Duration::from_secs(numbers.bake + numbers.rollout_timeout);
    assert!(took >= most && took < most + Duration::from_secs(30), "{took:?} of {most:?}");
}
