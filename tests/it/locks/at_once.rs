//! Several that would begin at once: one does.

use irsa_migrate::journal::Event;

use super::*;

#[test]
fn ten_applies_of_one_plan_at_once() {
    let start = shop();
    let plan = plan_of(&start, "");
    let mut tried = 0;
    // One journal for all or one each; names of their own or all the same; at once or one after the other.
    for (shared, same, step) in [
        (true, false, 0),
        (true, true, 0),
        (false, false, 0),
        (false, true, 0),
        (true, false, 7),
        (false, false, 13),
        (true, true, 60),
        (false, true, 25),
    ] {
        let sim = start.fork();
        sim.set_latency(Duration::from_millis(50));
        let journal = sim.journal();
        let operator = |at: u32| {
            let name = format!("host/{at}");
            let own = sim.journal();
            let mut it = Operator::new(&sim, &name, if shared { &journal } else { &own }, &plan);
            if same {
                it.holder = "host/1".to_owned();
            }
            it.after = Duration::from_millis(step) * at;
            it
        };
        let operators: Vec<Operator<'_>> = (0..10).map(operator).collect();
        let ended = all_at_once(&sim, &operators);
        assert_one(&operators, &ended, &format!("{shared} {same} {step}"));
        tried += operators.len();
    }
    assert_eq!(tried, 80);
}

#[test]
fn plans_that_overlap_in_one_cluster() {
    let start = two_clusters();
    let (both, green) = (plan_for(&start, &["blue", "green"]), plan_for(&start, &["green"]));
    for step in 0..15 {
        for first in [&both, &green] {
            let sim = start.fork();
            sim.set_latency(Duration::from_millis(50));
            let second = if std::ptr::eq(first, &both) { &green } else { &both };
            let mut operators: Vec<Operator<'_>> = Vec::new();
            for at in 0..10 {
                let plan = if at % 2 == 0 { first } else { second };
                let mut it = Operator::new(&sim, &format!("host/{at}"), &sim.journal(), plan);
                it.after = Duration::from_millis(step * 19) * at;
                operators.push(it);
            }
            let ended = all_at_once(&sim, &operators);
            assert_one(&operators, &ended, &format!("step {step}"));
        }
    }
}

#[test]
fn one_journal_takes_one_run_of_a_cluster() {
    let start = two_clusters();
    let (both, green) = (plan_for(&start, &["blue", "green"]), plan_for(&start, &["green"]));
    let journal = start.journal();
    let bytes = both.to_bytes().unwrap();
    let options = Options { through: Some("prepare".into()), holder: "one".into() };
    let prepared = start
        .run(async { apply::apply(&start, &journal, &bytes, &options, &Stop::default(), &mut |_| {}).await.unwrap() });
    assert!(matches!(prepared, Ok(Ending { why: Why::Through(_), .. })), "{prepared:?}");
    // The lease was given back; the run is open in the journal all the same.
    let writes = start.world().writes();
    let refused = one(&start, &journal, &green);
    assert!(is_locked(&refused) && matches!(refused, Err(ApplyError::Journal(_))), "{refused:?}");
    assert_eq!(start.world().writes(), writes);
    let ended = one(&start, &journal, &both);
    assert!(is_done(&ended), "{ended:?}");
}

/// Whoever waits for a lease of the same run finds it done once it is free.
#[test]
fn who_waited_for_a_run_that_ended_meanwhile_is_told_so() {
    let start = shop();
    let quick =
        "[numbers]\ntrust_settle = 1\nassociation_settle = 1\nbake = 0\nlease_renewal = 40\nlease_duration = 120\n";
    let plan = plan_of(&start, quick);
    let whole = {
        let sim = start.fork();
        let own = sim.journal();
        assert!(is_done(&one(&sim, &own, &plan)));
        sim.monotonic()
    };
    let mut waited = 0;
    for seconds in 0..=whole.as_secs() {
        let sim = start.fork();
        let journal = sim.journal();
        let mut late = Operator::new(&sim, "late", &journal, &plan);
        late.after = Duration::from_secs(seconds);
        let early = Operator::new(&sim, "early", &journal, &plan);
        let (first, second) = sim.run(join(early.apply(), late.apply())).unwrap();
        assert!(is_done(&first), "{seconds}: {first:?}");
        assert!(is_done(&second) || is_locked(&second), "{seconds}: {second:?}");
        assert_eq!(late.writes(), 0, "{seconds}");
        let last = crate::cycle::entries(&sim, &journal, &plan).into_iter().map(|it| it.event);
        let closed: Vec<Event> = last.skip_while(|it| *it != Event::Closed).collect();
        assert_eq!(closed, [Event::Closed], "{seconds}: nothing is said of a run that is closed");
        waited += usize::from(is_done(&second));
    }
    assert!(waited > 0, "nobody waited for the other's lease");
}
