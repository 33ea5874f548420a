//! What has no answer for long: how often it is asked for again, and what becomes of the run.

use irsa_migrate::apply::{Ending, Progress, Stop, Why};
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::{Call, Fault, Sim};

use crate::beside::carry_out_told;
use crate::cycle::{carry_out, plan_of};
use crate::stuck::shop;

/// Times that keep a run short, and a lease that is not renewed meanwhile: each call is asked for by the run.
const QUIET: &str = "[numbers]\ntrust_settle = 10\nassociation_settle = 10\nbake = 20\n\
                     lease_duration = 3600\nlease_renewal = 1800\n";

/// So many calls from the next one on have no answer.
fn say_nothing(sim: &Sim, calls: u64) {
    let mut world = sim.world();
    let next = world.history().number_of_calls() + 1;
    for call in next..next + calls {
        world.fault_at(call, Fault::Before);
    }
}

#[test]
fn before_the_run_it_is_asked_nine_times_and_each_pause_is_told() {
    let sim = shop(&["blue"]).sim();
    let plan = plan_of(&sim, QUIET);
    let (from, before) = (sim.monotonic(), sim.world().history().number_of_calls());
    say_nothing(&sim, 12);
    let mut pauses = Vec::new();
    let mut tell = |progress: Progress| {
        let Progress::Unanswered { seconds, .. } = progress else { panic!("{progress:?}") };
        pauses.push(seconds);
    };
    let ended = carry_out_told(&sim, &sim.journal(), &plan, &Stop::default(), &mut tell);
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30, 30]);
    assert_eq!((sim.monotonic() - from).as_secs(), pauses.iter().sum::<u64>());
    assert_eq!(sim.world().history().number_of_calls() - before, 9);
}

#[test]
fn within_a_step_it_is_asked_half_as_often_each_time() {
    let start = shop(&["blue"]).sim();
    let plan = plan_of(&start, QUIET);
    let before = start.world().history().number_of_calls();
    let whole = start.fork();
    assert_eq!(carry_out(&whole, &whole.journal(), &plan).unwrap().why, Why::Ended);
    let looks = |it: &&irsa_migrate::sim::Record| it.number > before && matches!(it.call, Call::Role(_));
    let first = whole.world().history().calls().find(looks).expect("the role is looked at").number;

    let sim = start.fork();
    for call in first..first + 7 {
        sim.world().fault_at(call, Fault::Throttle);
    }
    assert_eq!(carry_out(&sim, &sim.journal(), &plan).unwrap().why, Why::Ended);
    let world = sim.world();
    let asked: Vec<_> = world.history().calls().filter(looks).take(8).map(|it| it.at).collect();
    let pauses: Vec<i64> = asked.windows(2).map(|it| it[1].duration_since(it[0]).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

/// A run whose first gate has no answer about its pods; and the same, of which somebody who hears that asks
/// to stop.
fn at_the_gate(asks: bool) -> Ending {
    let sim = shop(&["blue"]).sim();
    let (plan, journal, stop) = (plan_of(&sim, QUIET), sim.journal(), Stop::default());
    let mut tell = |progress: Progress| {
        if matches!(progress, Progress::GateWaiting { .. }) {
            say_nothing(&sim, 12);
        } else if asks && matches!(progress, Progress::Unanswered { .. }) {
            stop.ask();
        }
    };
    let ending = carry_out_told(&sim, &journal, &plan, &stop, &mut tell).unwrap();
    sim.world().heal();
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended, "the same plan goes on");
    ending
}

#[test]
fn a_gate_without_an_answer_does_not_open_and_blames_nobody() {
    let ending = at_the_gate(false);
    let Why::Gate(why, None) = &ending.why else { panic!("{ending:?}") };
    assert!(why.contains("could not be read: unreachable"), "{why}");
    assert_eq!((ending.unwell, ending.failed), (vec![], 0));
}

#[test]
fn whoever_stops_a_run_that_waits_for_an_answer_has_asked_for_it() {
    assert_eq!(at_the_gate(true).why, Why::Asked);
}

/// Before anything was sent, a role that may not be read refuses nobody: the run waits for the right.
#[test]
fn a_role_that_may_not_be_read_refuses_nobody() {
    let sim = shop(&["blue"]).sim();
    let (plan, journal) = (plan_of(&sim, QUIET), sim.journal());
    sim.world().deny("role");
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert!(matches!(ending.why, Why::Blind(_)) && ending.denied, "{ending:?}");
    assert_eq!((ending.refused, ending.failed, sim.world().writes()), (0, 0, 0), "{ending:?}");
    sim.world().heal();
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert_eq!((ending.why, ending.done), (Why::Ended, plan.units.len()));
}
