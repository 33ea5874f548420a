//! One call that fails in a way that passes is borne with: the same run goes on and ends, with nobody asked.

use irsa_migrate::apply::{Stop, Why};
use irsa_migrate::plan::Plan;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Fault, MemoryJournal, Sim};

use crate::beside::carry_out_told;
use crate::cycle::{carry_out, plan_of, undo_of};

/// Times that keep a run short, so that every call of it can be tried.
const SHORT: &str = "[numbers]\ntrust_settle = 6\nassociation_settle = 6\nbake = 20\n";

/// What passes by itself.
const PASSING: [Fault; 4] = [Fault::Throttle, Fault::Before, Fault::After, Fault::Lost];

fn shop() -> (Sim, Plan) {
    let world = Builder::new().cluster("blue").role("cart", &[("shop", "cart")]);
    let sim = world.service_account("shop", "cart", Some("cart")).deployment("shop", "cart", "cart", 1).sim();
    let plan = plan_of(&sim, SHORT);
    (sim, plan)
}

fn calls(sim: &Sim) -> u64 {
    sim.world().history().number_of_calls()
}

/// Carries a plan out with a fault at one call. What is wrong, if it does not end at once.
fn with_fault(sim: &Sim, journal: &MemoryJournal, plan: &Plan, call: u64, fault: Fault) -> Option<String> {
    sim.world().fault_at(call, fault);
    let before = sim.world().history().writes().count();
    let ended = carry_out_told(sim, journal, plan, &Stop::default(), &mut |_| {});
    let world = sim.world();
    let operation = world.history().calls().find(|it| it.number == call).map(|it| it.call.operation());
    let well = match &ended {
        Ok(ending) => ending.why == Why::Ended && ending.failed == 0,
        // Whose a lease is after a write of it was lost, only a later look can tell. Nothing was sent.
        Err(_) => operation == Some("write_lease") && world.history().writes().count() == before,
    };
    (!well).then(|| format!("call {call} ({operation:?}) {fault:?}: {ended:?}"))
}

#[test]
fn on_the_way_there() {
    let (start, plan) = shop();
    let first = calls(&start) + 1;
    let whole = start.fork();
    assert_eq!(carry_out(&whole, &whole.journal(), &plan).unwrap().why, Why::Ended);
    for fault in PASSING {
        for call in first..=calls(&whole) {
            let sim = start.fork();
            assert_eq!(with_fault(&sim, &sim.journal(), &plan, call, fault), None);
        }
    }
}

#[test]
fn on_the_way_back() {
    let (start, plan) = shop();
    let whole = start.fork();
    let journal = whole.journal();
    carry_out(&whole, &journal, &plan).unwrap();
    let undo = undo_of(&whole, &journal, &plan);
    let first = calls(&whole) + 1;
    assert_eq!(carry_out(&whole, &journal, &undo).unwrap().why, Why::Ended);
    for fault in PASSING {
        for call in first..=calls(&whole) {
            let sim = start.fork();
            let journal = sim.journal();
            carry_out(&sim, &journal, &plan).unwrap();
            assert_eq!(with_fault(&sim, &journal, &undo, call, fault), None);
        }
    }
}
