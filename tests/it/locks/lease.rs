//! A lease is renewed, lost, outlived; clocks are set, machines sleep.

use super::*;

#[test]
fn the_lease_is_renewed_as_long_as_the_run_goes_on() {
    let sim = shop();
    let plan = plan_of(&sim, "[numbers]\nbake = 1800\n");
    let journal = sim.journal();
    let from = sim.world().history().number_of_calls();
    assert!(is_done(&one(&sim, &journal, &plan)));
    let world = sim.world();
    let calls: Vec<_> = world.history().calls().filter(|it| it.number > from).collect();
    let mut renewed = None;
    let (mut renewals, mut writes) = (0, 0);
    for it in &calls {
        if matches!(it.call, Call::WriteLease { .. }) {
            assert!(it.applied, "{it:?}");
            if let Some(before) = renewed {
                assert!(it.at.duration_since(before).as_secs() <= 20, "{it:?}");
            }
            renewed = Some(it.at);
            renewals += 1;
        }
        if it.call.is_write() {
            // Lease duration less the time that a call may take.
            assert!(it.at.duration_since(renewed.expect("a lease before any write")).as_secs() < 60 - 15, "{it:?}");
            writes += 1;
        }
    }
    assert!(renewals > 90 && writes >= 3, "{renewals} renewals, {writes} writes");
    assert!(matches!(calls.last().map(|it| &it.call), Some(Call::DeleteLease { .. })), "and given back at the end");
}

/// What may happen to a lease.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Deleted,
    Stolen,
}

/// At each second of the run the lease is lost. The call in flight finishes; once the loss is
/// known nothing more is sent; and the run goes on when the lease is free.
#[test]
fn a_lease_that_is_lost_stops_the_run() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    let mut stopped = 0;
    for loss in [Loss::Deleted, Loss::Stolen] {
        for second in 0..whole {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let thief = async {
                sim.sleep(Duration::from_secs(second)).await;
                let now = sim.now();
                let holder = match loss {
                    Loss::Deleted => None,
                    Loss::Stolen => Some(("another", Duration::from_secs(60), now)),
                };
                sim.world().edit_lease(&arn("blue"), "kube-system", LEASE_NAME, holder).unwrap();
            };
            let (ended, ()) = sim.run(join(operator.apply(), thief)).unwrap();
            if !is_done(&ended) {
                assert!(is_locked(&ended), "{loss:?} {second}: {ended:?}");
                stopped += 1;
            }
            assert_nothing_after_the_loss(&sim);
            // The thief's lease runs out, or there is none.
            sim.run(sim.sleep(Duration::from_secs(61))).unwrap();
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{loss:?} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{loss:?} {second}");
        }
    }
    assert!(stopped > whole, "only {stopped} runs were stopped");
}

/// How many seconds a run takes in which nothing happens.
fn length(start: &Sim, plan: &Plan) -> u64 {
    let sim = start.fork();
    sim.set_latency(Duration::from_millis(300));
    assert!(is_done(&one(&sim, &sim.journal(), plan)));
    sim.monotonic().as_secs()
}

/// After a renewal that was refused only what was sent before it still arrives.
fn assert_nothing_after_the_loss(sim: &Sim) {
    let world = sim.world();
    let refused = world.history().calls().find(|it| matches!(it.call, Call::WriteLease { .. }) && !it.applied);
    let Some(refused) = refused else { return };
    let in_flight = refused.at + Duration::from_millis(300);
    let late: Vec<_> = world
        .history()
        .calls()
        .filter(|it| it.call.is_write() && it.number > refused.number && it.at > in_flight)
        .collect();
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_wall_clock_that_is_set_forward_stops_the_run_or_is_outlived_and_one_set_back_changes_nothing() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    for hours in [-5, 5] {
        let mut stopped = 0;
        for second in (0..whole).step_by(2) {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let hand = async {
                sim.sleep(Duration::from_secs(second)).await;
                sim.world().set_clock_error(jiff::SignedDuration::from_hours(hours));
            };
            let (ended, ()) = sim.run(join(operator.apply(), hand)).unwrap();
            assert!(is_done(&ended) || is_locked(&ended), "{hours} {second}: {ended:?}");
            stopped += usize::from(is_locked(&ended));
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{hours} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{hours} {second}");
        }
        assert_eq!(stopped > 0, hours > 0, "{stopped} runs stopped by {hours} hours");
    }
}

/// A laptop's lid is closed at each second of the run. Its lease is dead by then, and somebody else
/// has taken it, or nobody has.
#[test]
fn a_machine_that_slept_sends_nothing_under_its_dead_lease() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let whole = length(&start, &plan);
    for taken in [true, false] {
        let mut stopped = 0;
        for second in 0..whole {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(300));
            sim.world().watch();
            let journal = sim.journal();
            let operator = Operator::new(&sim, "one", &journal, &plan);
            let lid = async {
                sim.sleep(Duration::from_secs(second)).await;
                sim.suspend(Duration::from_hours(2));
                let now = sim.now();
                if taken {
                    let holder = Some(("another", Duration::from_secs(60), now));
                    sim.world().edit_lease(&arn("blue"), "kube-system", LEASE_NAME, holder).unwrap();
                }
                now
            };
            let (ended, woke) = sim.run(join(operator.apply(), lid)).unwrap();
            assert!(is_done(&ended) || is_locked(&ended), "{taken} {second}: {ended:?}");
            stopped += u64::from(is_locked(&ended));
            assert_leased(&sim, woke);
            sim.run(sim.sleep(Duration::from_secs(61))).unwrap();
            let again = one(&sim, &journal, &plan);
            assert!(is_done(&again), "{taken} {second}: {again:?}");
            assert_eq!(broken(&sim), NONE, "{taken} {second}");
        }
        assert!(stopped * 2 > whole, "{taken}: only {stopped} of {whole} runs stopped");
    }
}

/// Each write since then, those in flight aside, is behind a renewal since then.
fn assert_leased(sim: &Sim, since: jiff::Timestamp) {
    let world = sim.world();
    let mut leased = false;
    for it in world.history().calls().filter(|it| it.at > since + Duration::from_millis(300)) {
        leased |= matches!(it.call, Call::WriteLease { .. }) && it.applied;
        assert!(leased || !it.call.is_write(), "{it:?}");
    }
}

/// A run that died leaves its lease. Strangers are sent away while it may be alive; once it shows no
/// sign of life it is outlived, and whoever goes on with the same run waits for it.
#[test]
fn the_lease_of_a_dead_run_is_outlived() {
    let start = shop();
    let plan = plan_of(&start, "");
    // The same cluster, and other numbers: another plan.
    let other = plan_of(&start, "[numbers]\nbake = 10\n");
    let first = start.world().history().number_of_calls();
    let mut outlived = 0;
    for call in first + 1..first + 90 {
        let sim = start.fork();
        sim.world().watch();
        let journal = sim.journal();
        sim.world().fault_at(call, Fault::CrashAfter);
        let died = sim.run(Operator::new(&sim, "one", &journal, &plan).apply());
        assert!(matches!(died, Err(Stopped::Crashed)), "call {call}: {died:?}");
        sim.restart();
        sim.world().heal();
        let held = sim.world().history().calls().any(|it| matches!(it.call, Call::WriteLease { .. }) && it.applied);
        if held {
            let stranger = Operator::new(&sim, "stranger", &sim.journal(), &other);
            let sent_away = sim.run(stranger.apply()).unwrap();
            assert!(is_locked(&sent_away), "call {call}: {sent_away:?}");
            assert_eq!(stranger.writes(), 0);
        }
        let number = sim.world().history().number_of_calls();
        let before = sim.now();
        let again = one(&sim, &journal, &plan);
        assert!(is_done(&again), "call {call}: {again:?}");
        if held {
            let took = leased_after(&sim, number).duration_since(before).as_secs();
            assert!(took >= 60, "call {call}: outlived after {took} s");
            outlived += 1;
        }
        assert_eq!(broken(&sim), NONE, "call {call}");
    }
    assert!(outlived > 60, "{outlived}");
}

/// When a lease was first taken after the call with this number.
fn leased_after(sim: &Sim, number: u64) -> jiff::Timestamp {
    let world = sim.world();
    let taken = |it: &&irsa_migrate::sim::Record| {
        it.number > number && it.applied && matches!(it.call, Call::WriteLease { .. })
    };
    world.history().calls().find(taken).expect("a lease was taken").at
}
