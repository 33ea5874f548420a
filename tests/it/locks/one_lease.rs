//! One lease to the second: how often it is tried, how long it is waited for, and until when it counts.

use std::cell::RefCell;

use irsa_migrate::apply::Progress;
use irsa_migrate::journal::RunId;
use irsa_migrate::model::Digest;
use irsa_migrate::ports::{JournalStore as _, PortError};
use jiff::Timestamp;

use super::*;
use crate::beside::carry_out_told;

/// What a run of one cluster asks before it may write the lease: who calls, the cluster, its issuer, the lease.
const BEFORE_THE_LEASE: u64 = 4;

/// When calls of an operation came, in seconds after a moment.
fn seconds(sim: &Sim, operation: &str, from: Timestamp) -> Vec<i64> {
    let world = sim.world();
    let calls = world.history().calls().filter(|it| it.at >= from && it.call.operation() == operation);
    calls.map(|it| it.at.duration_since(from).as_secs()).collect()
}

/// Somebody's lease of a minute, renewed so many seconds ago.
fn held(sim: &Sim, holder: &str, seconds_ago: u64) {
    let renewed = sim.now() - Duration::from_secs(seconds_ago);
    let lease = Some((holder, Duration::from_mins(1), renewed));
    sim.world().edit_lease(&arn("blue"), "kube-system", LEASE_NAME, lease).unwrap();
}

/// Carries a plan out. Gives also whose lease was waited for, and for how long that was to take.
fn told(sim: &Sim, plan: &Plan) -> (Ended, Vec<(String, u64)>) {
    waited_with(sim, &sim.journal(), plan)
}

fn waited_with(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> (Ended, Vec<(String, u64)>) {
    let waits = RefCell::new(Vec::new());
    let ended = carry_out_told(sim, journal, plan, &Stop::default(), &mut |progress| {
        if let Progress::LeaseWaiting { holder, seconds, .. } = progress {
            waits.borrow_mut().push((holder, seconds));
        }
    });
    (ended, waits.into_inner())
}

#[test]
fn a_write_of_the_lease_that_is_throttled_is_tried_twenty_times_more() {
    for (throttled, taken) in [(1_u16, true), (20, true), (21, false)] {
        let sim = shop();
        let plan = plan_of(&sim, SHORT);
        let (from, journal) = (sim.now(), sim.journal());
        let first = sim.world().history().number_of_calls() + BEFORE_THE_LEASE + 1;
        for call in first..first + u64::from(throttled) {
            sim.world().fault_at(call, Fault::Throttle);
        }
        let ended = one(&sim, &journal, &plan);
        let tries = seconds(&sim, "write_lease", from);
        let wanted: Vec<i64> = (0..i64::from(throttled) + i64::from(taken)).map(|it| it * 2).collect();
        assert_eq!(tries[..wanted.len()], wanted, "{throttled}");
        if taken {
            assert!(is_done(&ended), "{throttled}: {ended:?}");
            continue;
        }
        assert!(matches!(ended, Err(ApplyError::Port(PortError::Throttled(_)))), "{throttled}: {ended:?}");
        assert_eq!((tries.len(), sim.world().writes()), (wanted.len(), 0));
        assert!(sim.run(journal.runs()).unwrap().unwrap().is_empty(), "no run was begun");
    }
}

#[test]
fn a_strangers_lease_is_waited_for_from_the_second_on_at_which_it_has_run_out() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    for (seconds_ago, waited) in [(0, false), (59, false), (60, true), (3600, true)] {
        let sim = start.fork();
        let from = sim.now();
        held(&sim, "stranger 1", seconds_ago);
        let (ended, waits) = told(&sim, &plan);
        if waited {
            assert!(is_done(&ended), "{seconds_ago}: {ended:?}");
            assert_eq!(waits, [("stranger 1".to_owned(), 60)], "{seconds_ago}");
            // Looked at every two seconds, and taken at the end of the sixtieth, not later.
            assert_eq!(seconds(&sim, "write_lease", from).first(), Some(&60), "{seconds_ago}");
            assert_eq!(seconds(&sim, "lease", from).len(), 31, "{seconds_ago}");
        } else {
            assert!(is_locked(&ended), "{seconds_ago}: {ended:?}");
            assert!(ended.unwrap_err().to_string().ends_with("is being worked on by stranger 1"), "{seconds_ago}");
            assert_eq!((waits.len(), sim.now()), (0, from), "{seconds_ago}: nobody waits");
            assert!(seconds(&sim, "write_lease", from).is_empty(), "{seconds_ago}");
        }
    }
}

#[test]
fn a_lease_that_was_given_up_is_taken_at_once() {
    let sim = shop();
    let plan = plan_of(&sim, SHORT);
    let from = sim.now();
    held(&sim, "", 0);
    let (ended, waits) = told(&sim, &plan);
    assert!(is_done(&ended), "{ended:?}");
    assert_eq!((waits, seconds(&sim, "write_lease", from)[0]), (Vec::new(), 0));
}

/// Whoever goes on with a run, or undoes it, waits for what a process of it that died has left.
#[test]
fn a_living_lease_of_the_same_run_or_of_the_one_that_is_undone_is_waited_for() {
    let sim = shop();
    let journal = sim.journal();
    let plan = plan_of(&sim, SHORT);
    let died = format!("{} died", RunId::of(&Digest::of(&plan.to_bytes().unwrap())));
    let there = |plan: &Plan| {
        let from = sim.now();
        held(&sim, &died, 0);
        let (ended, waits) = waited_with(&sim, &journal, plan);
        assert!(is_done(&ended), "{ended:?}");
        assert_eq!(waits, [(died.clone(), 60)]);
        assert_eq!(seconds(&sim, "write_lease", from).first(), Some(&60));
    };
    there(&plan);
    there(&undo_of(&sim, &journal, &plan));
}

/// Its holder's clock is wrong: it looks dead, and is not.
#[test]
fn a_lease_that_shows_a_sign_of_life_while_it_is_waited_for_is_left_to_its_holder() {
    let sim = shop();
    let plan = plan_of(&sim, SHORT);
    let from = sim.now();
    held(&sim, "stranger 1", 3600);
    let renewal = async {
        sim.sleep(Duration::from_secs(31)).await;
        held(&sim, "stranger 2", 3600);
    };
    let operator = Operator::new(&sim, "one", &sim.journal(), &plan);
    let (ended, ()) = sim.run(join(operator.apply(), renewal)).unwrap();
    assert!(is_locked(&ended), "{ended:?}");
    assert!(ended.unwrap_err().to_string().ends_with("is being worked on by stranger 2"));
    assert_eq!(sim.now().duration_since(from).as_secs(), 32, "the next look sees it");
    assert!(seconds(&sim, "write_lease", from).is_empty());
}

#[test]
fn a_look_without_an_answer_is_no_sign_of_life_and_one_that_is_denied_ends_it() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let watched = start.world().history().number_of_calls() + BEFORE_THE_LEASE + 1;
    for (fault, passes) in [(Fault::Before, true), (Fault::Throttle, true), (Fault::Deny, false)] {
        let sim = start.fork();
        let from = sim.now();
        held(&sim, "stranger 1", 3600);
        sim.world().fault_at(watched, fault);
        let ended = one(&sim, &sim.journal(), &plan);
        let first = seconds(&sim, "write_lease", from).first().copied();
        if passes {
            assert!(is_done(&ended), "{fault:?}: {ended:?}");
            assert_eq!(first, Some(60), "{fault:?}");
        } else {
            assert!(matches!(ended, Err(ApplyError::Port(PortError::Denied(_)))), "{fault:?}: {ended:?}");
            assert_eq!((first, sim.now().duration_since(from).as_secs()), (None, 2), "{fault:?}");
        }
    }
}

/// The numbers of the calls that write the lease, in a run in which nothing happens.
fn renewals(start: &Sim, plan: &Plan) -> Vec<u64> {
    let sim = start.fork();
    assert!(is_done(&one(&sim, &sim.journal(), plan)));
    let world = sim.world();
    world.history().calls().filter(|it| it.call.operation() == "write_lease").map(|it| it.number).collect()
}

#[test]
fn a_renewal_whose_answer_was_lost_is_known_for_our_own_by_the_next_one_and_renewed_again() {
    let start = shop();
    let plan = plan_of(&start, "");
    let renewals = renewals(&start, &plan);
    assert!(renewals.len() > 4, "{renewals:?}");
    // The first is no renewal: it takes the lease. After the last one there is none that could find it out.
    let (taken, rest) = renewals.split_first().expect("a lease");
    for number in &rest[..rest.len() - 1] {
        let sim = start.fork();
        sim.world().fault_at(*number, Fault::Lost);
        let ended = one(&sim, &sim.journal(), &plan);
        assert!(is_done(&ended), "call {number} after {taken}: {ended:?}");
        // It is a conflict once, and from then on the version is the right one.
        let world = sim.world();
        let conflicts = world.history().calls().filter(|it| matches!(it.error, Some(PortError::Conflict(_)))).count();
        assert_eq!(conflicts, 1, "call {number}");
    }
}

#[test]
fn a_lease_that_another_takes_between_the_look_and_the_second_renewal_is_lost() {
    let start = shop();
    let plan = plan_of(&start, "");
    let renewals = renewals(&start, &plan);
    let lost = || {
        let sim = start.fork();
        sim.world().fault_at(renewals[1], Fault::Lost);
        sim
    };
    let conflicts = |sim: &Sim| -> Vec<(u64, &str)> {
        let world = sim.world();
        let conflicts = world.history().calls().filter(|it| matches!(it.error, Some(PortError::Conflict(_))));
        conflicts.map(|it| (it.number, it.call.operation())).collect()
    };
    let seen = lost();
    assert!(is_done(&one(&seen, &seen.journal(), &plan)));
    let [(conflict, "write_lease")] = conflicts(&seen)[..] else { panic!("{:?}", conflicts(&seen)) };
    // After the conflict comes the look, and then the renewal.
    let sim = lost();
    sim.world().meanwhile(conflict + 2, Deed::Lease(arn("blue"), Some("another 1".to_owned())));
    let ended = one(&sim, &sim.journal(), &plan);
    let Ok(Ending { why: Why::Locked(why), .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!(why, "the lease in cluster blue was taken by another process");
    let [_, again, given_back] = conflicts(&sim)[..] else { panic!("{:?}", conflicts(&sim)) };
    assert_eq!(again, (conflict + 2, "write_lease"));
    assert_eq!(given_back.1, "delete_lease", "what is another's stays");
}

#[test]
fn a_lease_that_another_took_stops_the_run_at_the_next_renewal() {
    let start = shop();
    let plan = plan_of(&start, "");
    let renewals = renewals(&start, &plan);
    let sim = start.fork();
    let from = sim.now();
    sim.world().meanwhile(renewals[1], Deed::Lease(arn("blue"), Some("another 1".to_owned())));
    let ended = one(&sim, &sim.journal(), &plan);
    let Ok(Ending { why: Why::Locked(why), .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!(why, "the lease in cluster blue was taken by another process");
    assert!((20..=25).contains(&sim.now().duration_since(from).as_secs()), "a wait of five seconds ends, no other");
    assert_eq!(sim.world().writes(), 1, "the role was written before");
}

/// A call that is sent may take 15 of the 60 seconds that a lease counts.
#[test]
fn a_lease_that_cannot_be_renewed_counts_for_45_seconds() {
    let sim = shop();
    let plan = plan_of(&sim, "");
    let (from, journal) = (sim.now(), sim.journal());
    let operator = Operator::new(&sim, "one", &journal, &plan);
    let denied = async {
        sim.sleep(Duration::from_secs(1)).await;
        sim.world().deny("write_lease");
    };
    let (ended, ()) = sim.run(join(operator.apply(), denied)).unwrap();
    let Ok(Ending { why: Why::Locked(why), .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!(why, "the lease in cluster blue was not renewed in time");
    assert!((45..=50).contains(&sim.now().duration_since(from).as_secs()), "as long as it counts, and no longer");
    assert_eq!(sim.world().writes(), 1, "the role was written before");
    sim.world().heal();
    let again = one(&sim, &journal, &plan);
    assert!(is_done(&again), "{again:?}");
}
