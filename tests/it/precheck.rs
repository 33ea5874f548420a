//! What is found once more before a unit's first write: what has moved since, waivers that ran out, and what may
//! not be read.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::{AgentOnNode, Strategy, WorkloadKind, WorkloadRef};
use irsa_migrate::plan::{Plan, Unit};
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Fault, Sim, Workload};

use crate::beside::{carry_out_beside, first_cluster};
use crate::cycle::{carry_out, plan_of, scan, status};

fn shop() -> Sim {
    let world = Builder::new().cluster("a").role("cart", &[("shop", "cart")]);
    world.service_account("shop", "cart", Some("cart")).deployment("shop", "cart", "cart", 2).sim()
}

/// The nodes of the only cluster.
pub(crate) fn nodes(sim: &Sim) -> Vec<String> {
    scan(sim).clusters[0].nodes.get().expect("nodes").iter().map(|it| it.name.clone()).collect()
}

pub(crate) fn set_agents(sim: &Sim, nodes: &[String], agent: AgentOnNode) {
    let arn = first_cluster(sim);
    for node in nodes {
        sim.world().set_agent(&arn, node, agent).expect("a node");
    }
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
    let ending = carry_out_beside(&sim, &sim.journal(), &plan, back);
    assert_eq!((ending.done, ending.refused), (plan.units.len(), 0), "{ending:?}");
}

#[test]
fn an_agent_that_stays_away_refuses_the_unit_before_its_first_write() {
    let sim = shop();
    let plan = plan_of(&sim, "");
    set_agents(&sim, &nodes(&sim), AgentOnNode::NotReady);
    let ending = carry_out_beside(&sim, &sim.journal(), &plan, async {});
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
        let arn = first_cluster(&sim);
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
    let arn = first_cluster(&sim);
    let deploy = |it: &mut Workload| (it.template.image, it.replicas) = ("next".to_owned(), 3);
    sim.world().edit_workload(&arn, &at, deploy).expect("the workload");
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).expect("no crash").done, 2);
}

/// `cart`, whose pods name a profile, which somebody answers for within an hour; and `stock`, which is plain.
fn waived() -> (Sim, Plan) {
    let sim = Builder::new()
        .cluster("a")
        .role("cart", &[("shop", "cart")])
        .role("stock", &[("shop", "stock")])
        .service_account("shop", "cart", Some("cart"))
        .service_account("shop", "stock", Some("stock"))
        .workload_with(WorkloadKind::Deployment, "shop", "cart", "cart", 1, |it| {
            it.template.aws_env.push("AWS_PROFILE".to_owned());
        })
        .deployment("shop", "stock", "stock", 1)
        .sim();
    let until = sim.now() + Duration::from_hours(1);
    let waiver = format!(
        "[[waiver]]\ncode = \"CREDENTIALS_PRECEDE\"\nsubject = \"shop/cart\"\nreason = \"old\"\nexpires = \"{until}\"\n"
    );
    let plan = plan_of(&sim, &waiver);
    assert_eq!(plan.units.len(), 4, "{:?}", plan.held);
    (sim, plan)
}

fn unit<'p>(plan: &'p Plan, name: &str) -> &'p Unit {
    let named = |it: &&Unit| !it.needs.is_empty() && it.id.0.ends_with(name);
    plan.units.iter().find(named).expect("the ServiceAccount's unit")
}

#[test]
fn a_waiver_that_ran_out_refuses_its_unit_and_no_other() {
    let (sim, plan) = waived();
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).expect("no crash").done, 4, "as long as it counts");

    let (sim, plan) = waived();
    sim.run(sim.sleep(Duration::from_hours(1))).expect("the world goes on");
    let journal = sim.journal();
    let ending = carry_out(&sim, &journal, &plan).expect("no crash");
    assert_eq!((ending.done, ending.refused), (3, 1), "{ending:?}");
    let status = status(&sim, &journal, &plan);
    let why = status.detail(&unit(&plan, "cart").id.0).expect("a reason");
    assert!(why.contains("the waiver of CREDENTIALS_PRECEDE ran out"), "{why}");
    let counts = sim.world().history().counts();
    assert_eq!(counts.get("create_association"), Some(&1), "for `stock` alone");
}

/// `cart` with a Deployment and a CronJob.
fn nightly() -> Builder {
    let world = Builder::new().cluster("a").role("cart", &[("shop", "cart")]);
    let world = world.service_account("shop", "cart", Some("cart")).deployment("shop", "cart", "cart", 1);
    world.workload_with(WorkloadKind::CronJob, "shop", "report", "cart", 0, |it| {
        it.schedule = Some("*/2 * * * *".to_owned());
        it.every = Duration::from_mins(2);
        it.run_time = Duration::from_secs(30);
    })
}

#[test]
fn jobs_that_come_and_go_refuse_nobody_and_another_deployment_does() {
    let sim = nightly().sim();
    let before = plan_of(&sim, "");
    sim.run(sim.sleep(Duration::from_mins(5))).expect("the world goes on");
    assert_eq!(carry_out(&sim, &sim.journal(), &before).expect("no crash").done, 2);

    let sim = nightly().deployment("shop", "second", "cart", 1).sim();
    let journal = sim.journal();
    assert_eq!(carry_out(&sim, &journal, &before).expect("no crash").refused, 1);
    let status = status(&sim, &journal, &before);
    let why = status.detail(&unit(&before, "cart").id.0).expect("a reason");
    assert!(why.contains("second is new"), "{why}");
}

#[test]
fn a_right_that_is_missing_pauses_the_run_and_is_said_to_be_missing() {
    for operation in ["workloads", "service_account", "pods_of"] {
        let (sim, plan) = waived();
        let journal = sim.journal();
        sim.world().deny(operation);
        let ending = carry_out(&sim, &journal, &plan).expect("no crash");
        assert!(matches!(ending.why, Why::Blind(_)), "{operation}: {ending:?}");
        assert!(operation == "pods_of" || ending.denied, "{operation}: {ending:?}");
        assert_eq!((ending.refused, ending.failed), (0, 0), "{operation}: {ending:?}");
        sim.world().heal();
        let ending = carry_out(&sim, &journal, &plan).expect("no crash");
        assert_eq!((ending.why, ending.done), (Why::Ended, 4), "{operation}");
    }
}

/// When calls of an operation came in this world, since it was handed out.
fn calls(sim: &Sim, operation: &str) -> Vec<(u64, jiff::Timestamp)> {
    let world = sim.world();
    let calls = world.history().calls().filter(|it| it.call.operation() == operation);
    calls.map(|it| (it.number, it.at)).collect()
}

/// The right to one call is missing for so many looks: who calls is what all units share, and its association is the
/// ServiceAccount's own.
#[test]
fn what_cannot_be_read_is_looked_at_five_times_and_pauses_the_run_then() {
    // Before the first look somebody asked who calls, for the plan and for the run.
    for (operation, before) in [("caller", 2), ("association_of", 0)] {
        let start = shop();
        let plan = plan_of(&start, "");
        let whole = start.fork();
        carry_out(&whole, &whole.journal(), &plan).expect("no crash");
        let first = calls(&whole, operation)[before].0;
        for looks in [1, 4, 5] {
            let sim = start.fork();
            sim.world().fault_at(first, Fault::Deny);
            let granted = async {
                while calls(&sim, operation).len() < before + looks {
                    sim.sleep(Duration::from_secs(1)).await;
                }
                sim.world().heal();
            };
            let ending = carry_out_beside(&sim, &sim.journal(), &plan, granted);
            assert_eq!((ending.refused, ending.failed), (0, 0), "{operation} {looks}: {ending:?}");
            assert_eq!(ending.why == Why::Ended, looks < 5, "{operation} {looks}: {ending:?}");
            assert_eq!(matches!(ending.why, Why::Blind(_)), looks == 5, "{operation} {looks}: {ending:?}");
            let at: Vec<jiff::Timestamp> = calls(&sim, operation).into_iter().skip(before).map(|(_, at)| at).collect();
            let pauses: Vec<i64> = at.windows(2).map(|it| it[1].duration_since(it[0]).as_secs()).take(looks).collect();
            let wanted = [2, 4, 8, 16];
            assert_eq!(pauses[..looks.min(4)], wanted[..looks.min(4)], "{operation} {looks}");
        }
    }
}
