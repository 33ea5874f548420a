//! Right before a unit's first write: waivers that ran out, new Jobs, and what may not be read.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::WorkloadKind;
use irsa_migrate::plan::{Plan, Unit};
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::Sim;
use irsa_migrate::sim::build::Builder;

use crate::cycle::{carry_out, plan_of, status};

/// `cart`, whose pods name a profile, which somebody answers for within an hour; and `stock`, which is plain.
fn shop() -> (Sim, Plan) {
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
    let (sim, plan) = shop();
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).expect("no crash").done, 4, "as long as it counts");

    let (sim, plan) = shop();
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
        let (sim, plan) = shop();
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
