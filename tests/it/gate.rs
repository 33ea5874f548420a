//! What must hold after a wave before the next one starts.

use std::cell::Cell;
use std::time::Duration;

use irsa_migrate::apply::{Ending, Progress, Stop, Why};
use irsa_migrate::inventory::{AgentOnNode, WorkloadKind, WorkloadRef};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::{Clock as _, Cluster as _};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Deed, MemoryJournal, Sim};
use tokio::sync::Notify;

use crate::beside::{applied, carry_out_told};
use crate::cycle::{carry_out, plan_of};

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

fn cluster(sim: &Sim) -> ClusterArn {
    sim.world().cluster_arns().remove(0)
}

fn a_pod(sim: &Sim) -> String {
    let (cluster, namespace, service_account) = (cluster(sim), "carts".to_owned(), "cart".to_owned());
    let pods = sim.run(sim.pods_of(&Subject { cluster, namespace, service_account })).unwrap().unwrap();
    // One of before may be on its way out.
    pods.iter().find(|it| !it.terminating).expect("a pod").name.clone()
}

#[test]
fn a_pod_that_is_replaced_and_ready_again_is_no_trouble() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        let (cluster, pod) = (cluster(sim), a_pod(sim));
        sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
    });
    assert_eq!((ending.why, ending.unwell), (Why::Ended, vec![]));
}

#[test]
fn pods_that_an_autoscaler_adds_at_any_second_are_no_trouble() {
    let start = shop();
    let plan = plan_of(&start, &format!("{ONE_AFTER_ANOTHER}\n[numbers]\nbake = 20\n"));
    let at = WorkloadRef { kind: WorkloadKind::Deployment, namespace: "carts".into(), name: "cart".into() };
    for second in 0..40 {
        let sim = start.fork();
        let (journal, more) = (sim.journal(), Deed::Scale(cluster(&sim), at.clone(), 4));
        let (watched, stop) = (Notify::new(), Stop::default());
        let mut tell = |progress: Progress| {
            if matches!(&progress, Progress::GateWaiting { wave, .. } if wave == "first") {
                watched.notify_one();
            }
        };
        let others = async {
            watched.notified().await;
            sim.sleep(Duration::from_secs(second)).await;
            sim.world().perform(&more).unwrap();
        };
        let both = async { futures::join!(applied(&sim, &journal, &plan, &stop, &mut tell), others).0 };
        let ending = sim.run(both).unwrap().unwrap();
        assert_eq!((ending.why, ending.unwell), (Why::Ended, vec![]), "second {second}");
    }
}

#[test]
fn a_pod_that_never_comes_back_shuts_the_gate_and_its_unit_is_named() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let journal = sim.journal();
    let ending = when_watched(&sim, &journal, &plan, |sim| {
        let (cluster, pod) = (cluster(sim), a_pod(sim));
        sim.world().reject_pods(&cluster, "carts", Some("a policy")).unwrap();
        sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
    });
    let Why::Gate(why, Some(unit)) = &ending.why else { panic!("{ending:?}") };
    assert!(why.contains("1 of 2 pods are Ready"), "{why}");
    assert!(unit.0.contains("cart"), "{unit}");
    assert_eq!(ending.unwell.as_slice(), std::slice::from_ref(unit));
    assert_eq!(ending.pending, 1, "the second wave has not started: {ending:?}");

    // Once it is well, the same plan goes on.
    let cluster = cluster(&sim);
    sim.world().reject_pods(&cluster, "carts", None).unwrap();
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
}

/// Why the gate after the first wave did not pass, where that is known of a unit.
fn shut(ending: &Ending) -> &str {
    let Why::Gate(why, Some(unit)) = &ending.why else { panic!("{ending:?}") };
    assert!(unit.0.contains("cart"), "{unit}");
    assert_eq!(ending.pending, 1, "the second wave has not started: {ending:?}");
    why
}

fn set_agents(sim: &Sim, agent: AgentOnNode) {
    let cluster = cluster(sim);
    for node in sim.run(sim.nodes(&cluster)).unwrap().unwrap() {
        sim.world().set_agent(&cluster, &node.name, agent).unwrap();
    }
}

/// A pod comes up while the agents are away, in a wave that is watched for so many seconds.
fn without_agents(sim: &Sim) {
    let (cluster, pod) = (cluster(sim), a_pod(sim));
    set_agents(sim, AgentOnNode::Absent);
    sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
}

#[test]
fn a_pod_that_gets_no_credentials_shuts_the_gate_when_the_watch_ends() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let watched = Cell::new(None);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        watched.set(Some(sim.monotonic()));
        without_agents(sim);
    });
    let why = shut(&ending);
    assert!(why.starts_with("pod carts/cart-") && why.ends_with(" is not Ready"), "{why}");
    let took = sim.monotonic() - watched.get().expect("it was watched");
    let bake = Duration::from_secs(plan.numbers.bake);
    assert!(took >= bake && took < bake * 2, "no roll-out is waited for: {took:?} of {bake:?}");
}

#[test]
fn a_pod_that_restarted_meanwhile_shuts_the_gate_though_it_is_well_again() {
    let start = shop();
    let plan = plan_of(&start, &format!("{ONE_AFTER_ANOTHER}\n[numbers]\nbake = 120\n"));
    let sim = start.fork();
    let (journal, watched, stop) = (sim.journal(), Notify::new(), Stop::default());
    let mut tell = |progress: Progress| {
        if matches!(&progress, Progress::GateWaiting { wave, .. } if wave == "first") {
            without_agents(&sim);
            watched.notify_one();
        }
    };
    let others = async {
        watched.notified().await;
        sim.sleep(Duration::from_secs(40)).await;
        let cluster = cluster(&sim);
        for node in sim.nodes(&cluster).await.unwrap() {
            sim.world().set_agent(&cluster, &node.name, AgentOnNode::Ready).unwrap();
        }
    };
    let both = async { futures::join!(applied(&sim, &journal, &plan, &stop, &mut tell), others).0 };
    let ending = sim.run(both).unwrap().unwrap();
    let why = shut(&ending);
    assert!(why.starts_with("pod carts/cart-") && why.contains(" restarted "), "{why}");
}

#[test]
fn a_pod_that_comes_up_without_pod_identity_shuts_the_gate() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        let (cluster, pod) = (cluster(sim), a_pod(sim));
        sim.world().set_webhook_down(&cluster, true).unwrap();
        sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
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
        let (cluster, pod) = (cluster(sim), a_pod(sim));
        watched.set(Some(sim.monotonic()));
        sim.world().reject_pods(&cluster, "carts", Some("a policy")).unwrap();
        sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
    });
    let Why::Gate(why, Some(_)) = &ending.why else { panic!("{ending:?}") };
    assert!(why.contains("StatefulSet carts/cart has not rolled out: 1 of 2 pods are Ready"), "{why}");
    let took = sim.monotonic() - watched.get().expect("it was watched");
    let numbers = &plan.numbers;
    let most = Duration::from_secs(numbers.bake + numbers.rollout_timeout);
    assert!(took >= most && took < most + Duration::from_secs(30), "{took:?} of {most:?}");
}
