//! Units start only where they fit into what is left of a window.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::plan::Settings;
use irsa_migrate::sim::Call;
use irsa_migrate::sim::build::Builder;
use jiff::{SignedDuration, Timestamp};

use crate::cycle::{carry_out, plan_of};

/// Tuesday, 24 November 2026, at ten in the evening, for an hour.
const WINDOW: &str = "[[window]]\ndays = [\"tue\"]\nstart = \"22:00\"\nminutes = 60\ntime_zone = \"UTC\"\n";

fn ends() -> Timestamp {
    "2026-11-24T23:00:00Z".parse().unwrap()
}

/// Carries a plan out from so long before the window ends, with calls that take their time. Gives
/// whether the association was made.
fn starts(left: SignedDuration) -> bool {
    let builder = Builder::new().cluster("shop").begins(ends() - left).role("cart", &[("carts", "cart")]);
    let sim = builder.service_account("carts", "cart", Some("cart")).deployment("carts", "cart", "cart", 1).sim();
    let plan = plan_of(&sim, WINDOW);
    sim.set_latency(Duration::from_secs(8));
    let ending = carry_out(&sim, &sim.journal(), &plan).unwrap();
    assert!(matches!(ending.why, Why::Window(Some(_)) | Why::Ended), "the rest comes in the next window: {ending:?}");
    let world = sim.world();
    let made = world.history().writes().find(|it| matches!(it.call, Call::CreateAssociation(_)));
    if let Some(made) = made {
        let unit = plan.units.iter().find(|it| !it.needs.is_empty()).expect("the ServiceAccount's unit");
        let expected = SignedDuration::try_from(Duration::from_secs(unit.expected_seconds)).unwrap();
        assert!(made.at + expected <= ends() + SLACK, "{left} before the end, it began at {}", made.at);
    }
    made.is_some()
}

/// The step itself looks before it sends: a few calls of eight seconds, in which our statement is seen.
const SLACK: SignedDuration = SignedDuration::from_secs(40);

#[test]
fn however_long_it_takes_to_look_no_unit_starts_too_late() {
    let started: Vec<bool> = (0..40).map(|it| starts(SignedDuration::from_secs(60 + it * 15))).collect();
    assert!(started.iter().any(|it| *it) && !started[0], "{started:?}");
    assert!(started.is_sorted(), "the more is left, the sooner it fits: {started:?}");
}

/// A plan that somebody gave other windows after it was made: no window is waited for that nothing fits into.
#[test]
fn the_next_window_is_one_that_something_fits_into() {
    let paused_until = |windows: &str| {
        let builder = Builder::new().cluster("shop").begins(ends()).role("cart", &[("carts", "cart")]);
        let sim = builder.service_account("carts", "cart", Some("cart")).sim();
        let mut plan = plan_of(&sim, "");
        plan.windows = Settings::parse(windows).unwrap().windows;
        let ending = carry_out(&sim, &sim.journal(), &plan).unwrap();
        assert_eq!(sim.world().writes(), 0, "the role needs a minute and more");
        let Why::Window(at) = ending.why else { panic!("{:?}", ending.why) };
        at.map(|it| it.to_string())
    };
    let short = WINDOW.replace("minutes = 60", "minutes = 1");
    assert_eq!(paused_until(&short), None);
    let friday = WINDOW.replace("tue", "fri");
    assert_eq!(paused_until(&format!("{short}{friday}")).as_deref(), Some("2026-11-27T22:00:00Z"));
}

#[test]
fn a_window_may_be_as_long_as_a_week() {
    let is_window = |minutes: u32| {
        let text = WINDOW.replace("minutes = 60", &format!("minutes = {minutes}"));
        irsa_migrate::plan::Settings::parse(&text).is_ok()
    };
    assert!(is_window(1) && is_window(2 * 24 * 60) && is_window(7 * 24 * 60));
    assert!(!is_window(0) && !is_window(7 * 24 * 60 + 1));
}
