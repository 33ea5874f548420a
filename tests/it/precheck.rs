//! What is found once more before a unit's first write.

use std::time::Duration;

use irsa_migrate::apply::{self, Ending, Options, Stop};
use irsa_migrate::inventory::{AgentOnNode, Strategy, WorkloadKind, WorkloadRef};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Sim, Workload};

use crate::cycle::{carry_out, plan_of, scan, status};

fn shop() -> Sim {
    let world = Builder::new().cluster("a").role("cart", &[("shop", "cart")]);
    world.service_account("shop", "cart", Some("cart")).deployment("shop", "cart", "cart", 2).sim()
}

/// The nodes of the only cluster.
fn nodes(sim: &Sim) -> Vec<String> {
    scan(sim).clusters[0].nodes.get().expect("nodes").iter().map(|it| it.name.clone()).collect()
}

fn set_agents(sim: &Sim, nodes: &[String], agent: AgentOnNode) {
    let arn = sim.world().cluster_arns().remove(0);
    for node in nodes {
        sim.world().set_agent(&arn, node, agent).expect("a node");
    }
}

/// Applies the plan while `meanwhile` goes on beside it.
fn carry_out_beside(sim: &Sim, plan: &Plan, meanwhile: impl Future<Output = ()>) -> Ending {
    let (bytes, journal) = (plan.to_bytes().expect("bytes"), sim.journal());
    let options = Options { through: None, holder: "test".to_owned() };
    let both = async {
        let (stop, mut silent) = (Stop::default(), |_| {});
        futures::join!(apply::apply(sim, &journal, &bytes, &options, &stop, &mut silent), meanwhile).0
    };
    sim.run(both).expect("the world goes on").expect("it can be applied")
}

#[test]
fn an_agent_that_is_away_for_a_moment_refuses_nobody() {
    let sim = shop();
    let plan = plan_of(&sim, "");
    let nodes = nodes(&sim);
    set_agents(&sim, &nodes, AgentOnNode::NotReady);
    let back = async {
        while !sim.world().history().counts().contains_key("pods_of") {
            sim.sleep(Duration::from_secs(1)).await;
        }
        sim.sleep(Duration::from_secs(5)).await;
        set_agents(&sim, &nodes, AgentOnNode::Ready);
    };
    let ending = carry_out_beside(&sim, &plan, back);
    assert_eq!((ending.done, ending.refused), (plan.units.len(), 0), "{ending:?}");
}

#[test]
fn an_agent_that_stays_away_refuses_the_unit_before_its_first_write() {
    let sim = shop();
    let plan = plan_of(&sim, "");
    set_agents(&sim, &nodes(&sim), AgentOnNode::NotReady);
    let ending = carry_out_beside(&sim, &plan, async {});
    assert_eq!((ending.done, ending.refused), (1, 1), "{ending:?}");
    let counts = sim.world().history().counts();
    assert_eq!(counts.get("create_association"), None);
    assert_eq!(counts.get("stamp"), None);
}

/// A StatefulSet of two.
fn stock() -> (Sim, WorkloadRef) {
    let world = Builder::new().cluster("a").role("stock", &[("shop", "stock")]);
    let sim = world
        .service_account("shop", "stock", Some("stock"))
        .workload_with(WorkloadKind::StatefulSet, "shop", "stock", "stock", 2, |_| {})
        .sim();
    (sim, WorkloadRef { kind: WorkloadKind::StatefulSet, namespace: "shop".to_owned(), name: "stock".to_owned() })
}

/// Each fact that decides how a workload moves, changed by others after the plan was made.
#[test]
fn a_workload_that_is_no_longer_as_planned_refuses_its_unit_and_says_what_moved() {
    type Edit = fn(&mut Workload);
    let cases: [(&str, Edit); 4] = [
        ("partition was 0 and is 1", |it| it.partition = 1),
        ("strategy was RollingUpdate and is OnDelete", |it| it.strategy = Strategy::OnDelete),
        ("node selector was", |it| drop(it.template.node_selector.insert("zone".to_owned(), "b".to_owned()))),
        ("AWS_* variables was", |it| it.template.aws_env.push("AWS_REGION".to_owned())),
    ];
    for (what, edit) in cases {
        let (sim, at) = stock();
        let plan = plan_of(&sim, "");
        let arn = sim.world().cluster_arns().remove(0);
        sim.world().edit_workload(&arn, &at, edit).expect("the workload");
        let journal = sim.journal();
        let ending = carry_out(&sim, &journal, &plan).expect("no crash");
        assert_eq!((ending.done, ending.refused), (1, 1), "{what}: {ending:?}");
        let unit = plan.units.iter().find(|it| !it.needs.is_empty()).expect("the ServiceAccount's unit");
        let status = status(&sim, &journal, &plan);
        let why = status.detail(&unit.id.0).expect("a reason");
        assert!(why.contains(what), "{why}");
        assert_eq!(sim.world().history().counts().get("create_association"), None, "{what}");
    }
    // A new image and another number of pods decide nothing.
    let (sim, at) = stock();
    let plan = plan_of(&sim, "");
    let arn = sim.world().cluster_arns().remove(0);
    let deploy = |it: &mut Workload| (it.template.image, it.replicas) = ("next".to_owned(), 3);
    sim.world().edit_workload(&arn, &at, deploy).expect("the workload");
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).expect("no crash").done, 2);
}
