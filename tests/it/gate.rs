//! What must hold after a wave before the next one starts.

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

#[test]
fn a_pod_that_gets_no_credentials_shuts_the_gate() {
    let sim = shop();
    let plan = plan_of(&sim, ONE_AFTER_ANOTHER);
    let ending = when_watched(&sim, &sim.journal(), &plan, |sim| {
        let (cluster, pod) = (cluster(sim), a_pod(sim));
        for node in sim.run(sim.nodes(&cluster)).unwrap().unwrap() {
            sim.world().set_agent(&cluster, &node.name, AgentOnNode::Absent).unwrap();
        }
        sim.world().lose_pod(&cluster, "carts", &pod).unwrap();
    });
    assert!(matches!(ending.why, Why::Gate(_, Some(_))), "{ending:?}");
}
