//! Somebody asks a run to stop, here or by an entry of another process, at every moment of it.

use std::cell::{Cell, RefCell};

use irsa_migrate::apply::{Ending, Progress, Stop, Why};
use irsa_migrate::journal::{Event, NewEntry, Scope};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::{Clock as _, JournalStore as _};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Fault, MemoryJournal, Sim};

use crate::beside::carry_out_told;
use crate::cycle::{carry_out, plan_of, run_of, status};

/// Times that keep a run short, and one unit at a time, so that what has started and what has not is plain.
pub(crate) const SHORT: &str = "[numbers]\ntrust_settle = 10\nassociation_settle = 10\nbake = 20\nunits_at_a_time = 1\n\
                     [[wave]]\nname = \"first\"\nnamespaces = [\"carts\"]\n[[wave]]\nname = \"second\"\n";

/// Two ServiceAccounts with a role and a Deployment each.
pub(crate) fn shop() -> Sim {
    let app = |it: Builder, namespace: &str, name: &str| {
        let it = it.role(name, &[(namespace, name)]).service_account(namespace, name, Some(name));
        it.deployment(namespace, name, name, 1)
    };
    app(app(Builder::new().cluster("blue"), "carts", "cart"), "stocks", "stock").sim()
}

fn writes(sim: &Sim) -> usize {
    sim.world().history().writes().count()
}

/// Carries the plan out; `when` is told of each progress, by its number.
fn told(sim: &Sim, journal: &MemoryJournal, plan: &Plan, stop: &Stop, when: impl Fn(usize, &Progress)) -> Ending {
    let count = Cell::new(0);
    let mut tell = |progress: Progress| {
        count.set(count.get() + 1);
        when(count.get(), &progress);
    };
    carry_out_told(sim, journal, plan, stop, &mut tell).unwrap()
}

/// How much a run tells, and how much it writes, that nobody asks to stop.
fn whole(start: &Sim, plan: &Plan) -> (usize, usize) {
    let (sim, last) = (start.fork(), Cell::new(0));
    let ending = told(&sim, &sim.journal(), plan, &Stop::default(), |number, _| last.set(number));
    assert_eq!(ending.why, Why::Ended);
    (last.get(), writes(&sim))
}

#[test]
fn whenever_somebody_asks_the_call_in_flight_is_the_last() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let (moments, all) = whole(&start, &plan);
    let mut stopped = 0;
    for moment in 1..=moments {
        let (sim, stop, at) = (start.fork(), Stop::default(), Cell::new(0));
        let journal = sim.journal();
        let ending = told(&sim, &journal, &plan, &stop, |number, _| {
            if number == moment {
                stop.ask();
                at.set(writes(&sim));
            }
        });
        // What is told between the last look and the call comes with the call.
        assert!(writes(&sim) <= at.get() + 1, "moment {moment}: {} writes after it", writes(&sim) - at.get());
        if ending.why == Why::Ended {
            assert_eq!(writes(&sim), all, "moment {moment}");
        } else {
            assert_eq!(ending.why, Why::Asked, "moment {moment}");
            assert_eq!(status(&sim, &journal, &plan).paused(), Some("asked to stop"), "moment {moment}");
            stopped += 1;
        }
        // It goes on where it was, and sends nothing twice.
        assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended, "moment {moment}");
        assert_eq!(writes(&sim), all, "moment {moment}");
    }
    assert!(stopped > moments / 2, "{stopped} of {moments}");
}

/// An entry of another process that asks the run to pause.
async fn ask_by_entry(sim: &Sim, journal: &MemoryJournal, plan: &Plan) {
    let run = run_of(plan);
    let seq = journal.entries(&run).await.unwrap().len() as u64 + 1;
    let entry = NewEntry { at: sim.now(), scope: Scope::Run, event: Event::PauseAsked, detail: None };
    journal.append(&run, seq, &entry).await.unwrap();
}

#[test]
fn whoever_asks_by_an_entry_is_heard_before_the_next_unit_starts() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    let (moments, all) = whole(&start, &plan);
    let mut stopped = 0;
    for moment in 1..=moments {
        let sim = start.fork();
        let journal = sim.journal();
        let (asked, begun) = (Cell::new(false), RefCell::new(Vec::new()));
        let ending = told(&sim, &journal, &plan, &Stop::default(), |number, progress| {
            if number >= moment && !asked.get() && status(&sim, &journal, &plan).last_seq() > 0 {
                asked.set(true);
                futures::executor::block_on(ask_by_entry(&sim, &journal, &plan));
            } else if let (true, Progress::UnitStarted { unit }) = (asked.get(), progress) {
                begun.borrow_mut().push(unit.clone());
            }
        });
        // One unit may have been on its way when the entry came.
        assert!(begun.borrow().len() <= 1, "moment {moment}: {begun:?}");
        if ending.why != Why::Ended {
            assert_eq!(ending.why, Why::Asked, "moment {moment}");
            assert_eq!(ending.failed, 0, "a unit that has started is carried to its end: {ending:?}");
            stopped += 1;
        }
        assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended, "moment {moment}");
        assert_eq!(writes(&sim), all, "moment {moment}");
    }
    assert!(stopped > moments / 3, "{stopped} of {moments}");
}

/// What is read before there is a run, and whoever waits for it is told, and may stop it.
#[test]
fn while_nothing_answers_it_is_told_and_asking_ends_it() {
    let start = shop();
    let plan = plan_of(&start, SHORT);
    for (operation, before) in ["caller", "cluster", "own_issuer", "lease"].into_iter().zip(0..) {
        for patience in [1, 3] {
            let (sim, stop, told) = (start.fork(), Stop::default(), Cell::new(0));
            let journal = sim.journal();
            // One cluster: these are asked in this order, each once.
            let first = sim.world().history().number_of_calls() + 1 + before;
            for call in first..first + 20 {
                sim.world().fault_at(call, Fault::Before);
            }
            let mut tell = |progress: Progress| {
                let Progress::Unanswered { error, .. } = progress else { return };
                assert!(error.contains(operation), "{error}");
                told.set(told.get() + 1);
                if told.get() == patience {
                    stop.ask();
                }
            };
            let error = carry_out_told(&sim, &journal, &plan, &stop, &mut tell).unwrap_err().to_string();
            assert!(error.contains(operation) && told.get() == patience, "{operation}: {error}, told {}", told.get());
            assert!(sim.run(journal.runs()).unwrap().unwrap().is_empty(), "{operation}: nothing is begun");
        }
    }
}
