//! The clock, and who is woken by it.

use std::cell::RefCell;

use futures::future::{join, join_all};

use super::*;
use crate::ports::{Clock as _, Iam as _};
use crate::sim::Stopped;

#[test]
fn time_moves_only_when_everybody_waits() {
    let sim = shop().sim();
    let began = sim.world().now();
    let log = RefCell::new(Vec::new());
    let sleeper = |name: &'static str, seconds: u64| {
        let (sim, log) = (&sim, &log);
        async move {
            for _ in 0..3 {
                sim.sleep(Duration::from_secs(seconds)).await;
                log.borrow_mut().push((name, sim.monotonic().as_secs()));
            }
        }
    };
    sim.run(join(sleeper("a", 2), sleeper("b", 3))).unwrap();
    assert_eq!(log.into_inner(), [("a", 2), ("b", 3), ("a", 4), ("a", 6), ("b", 6), ("b", 9)]);
    assert_eq!(sim.world().now().duration_since(began).as_secs(), 9);
}

#[test]
fn calls_of_several_tasks_take_turns_and_cost_no_time() {
    let sim = shop().sim();
    let began = sim.world().now();
    let answers = sim.run(join_all((0..10).map(|_| sim.caller()))).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(sim.world().now(), began);
    sim.set_latency(Duration::from_millis(50));
    sim.run(join_all((0..10).map(|_| sim.caller()))).unwrap();
    assert_eq!(sim.world().now().duration_since(began).as_millis(), 50, "side by side");
}

#[test]
fn the_world_goes_on_while_somebody_sleeps() {
    let sim = shop().deployment("carts", "cart", "cart", 2).sim();
    associate(&sim);
    stamp(&sim, WorkloadKind::Deployment, Some("one"));
    sim.run(sim.sleep(Duration::from_secs(60))).unwrap();
    assert_eq!(modes(&sim), count("Pod Identity", 2));
}

#[test]
fn what_never_ends_is_stopped() {
    let sim = shop().sim();
    assert_eq!(sim.run(std::future::pending::<()>()), Err(Stopped::Stuck));
    let forever = async {
        loop {
            sim.sleep(Duration::from_hours(1)).await
        }
    };
    let stopped: Result<(), Stopped> = sim.run_for(Duration::from_mins(90), forever);
    assert_eq!(stopped, Err(Stopped::TimeUp));
    assert_eq!(sim.monotonic(), Duration::from_mins(90));
}

#[test]
fn a_wall_clock_that_is_set_moves_no_time() {
    let sim = shop().sim();
    let before = sim.now();
    sim.world().set_clock_error(jiff::SignedDuration::from_hours(-2));
    assert_eq!(sim.now().duration_since(before).as_hours(), -2);
    assert_eq!(sim.monotonic(), Duration::ZERO);
}

#[test]
fn a_machine_that_sleeps_loses_no_time_by_its_monotonic_clock() {
    let sim = shop().sim();
    let (before, began) = (sim.now(), sim.world().now());
    let waiter = async {
        sim.sleep(Duration::from_secs(10)).await;
        sim.monotonic()
    };
    let lid = async {
        sim.sleep(Duration::from_secs(4)).await;
        sim.suspend(Duration::from_hours(2));
        assert_eq!(sim.monotonic(), Duration::from_secs(4));
    };
    let (waited, ()) = sim.run(join(waiter, lid)).unwrap();
    assert_eq!(waited, Duration::from_secs(10), "what is waited for is waited for as long after it");
    assert_eq!(sim.now().duration_since(before).as_secs(), 2 * 3600 + 10);
    assert_eq!(sim.world().now().duration_since(began).as_secs(), 2 * 3600 + 10);
}
