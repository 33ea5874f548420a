//! Carrying a plan out on a simulated world, with everything that can go wrong on the way.
//!
//! A [`Stage`] is a world and a plan for it. A [`Case`] is one disturbance of the plan's run and what a
//! person does next; it has failed if the run does not end, the world is not as it was after rolling
//! back, or a promise was broken at any moment.
//!
//! [`rehearse`] does it with a plan and the twin of its inventory: the whole plan and its undo once
//! with nothing going wrong, and then every case on one unit of each [`Shape`].

mod broken;
mod case;
mod gaps;
mod nominal;
mod orders;
mod promise;
mod report;
mod restored;
mod shape;
mod trial;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

pub use broken::{broken_promises, is_late_webhook};
pub use case::{Case, Disturbance, FollowUp, Stage};
pub use nominal::there_and_back;
pub use orders::out_of_order;
pub use promise::{Broken, Promise};
pub use report::{Gap, Left, Nominal, Report, Trial, WaveTime};
pub use restored::{Undone, not_restored};
pub use shape::Shape;

use shape::Pair;

use crate::inventory::Inventory;
use crate::model::Digest;
use crate::plan::Plan;
use crate::sim::Lag;

/// What AWS usually takes until everybody sees a change: "several seconds" in its own words.
const LAG: u64 = 10;

/// Which faults are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Faults {
    /// Every fault at every call, on one unit of each shape.
    Every,
    /// None: the whole plan and its undo alone.
    None,
}

/// What a rehearsal tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling<'a> {
    /// Another unit of the whole plan has ended.
    Unit {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Another unit of the whole plan was undone.
    Undone {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Another role was carried out once more, with its ServiceAccounts alone, to watch the promises.
    Watched {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// So much will be tried.
    Counted {
        /// How many shapes.
        shapes: usize,
        /// How many cases on all of them.
        cases: usize,
    },
    /// A shape begins to be tried.
    Begun {
        /// Which shape, from 1.
        number: usize,
        /// The shape.
        shape: &'a Shape,
        /// How many cases there are.
        cases: usize,
    },
    /// More cases were tried.
    Tried {
        /// How many cases by now, on all shapes.
        cases: usize,
    },
    /// A shape was tried.
    Ended {
        /// Which shape, from 1.
        number: usize,
        /// What was found.
        trial: &'a Trial,
    },
}

/// Rehearses a plan on the twin of the inventory that it was made from.
///
/// # Errors
/// None that is known; the JSON writer's own.
pub fn rehearse(
    plan: &Plan,
    digest: &Digest,
    inventory: &Inventory,
    faults: Faults,
    tell: &mut dyn FnMut(Telling<'_>),
) -> Result<Report, serde_json::Error> {
    let nominal = nominal::rehearse(plan, inventory, tell);
    let shapes = match faults {
        Faults::Every => shape::shapes(plan, inventory),
        Faults::None => BTreeMap::new(),
    };
    let trials = trials(plan, inventory, &shapes, tell);
    Ok(Report {
        plan: digest.clone(),
        inventory: inventory.digest()?,
        taken_at: inventory.taken_at,
        lag_seconds: lag_seconds(plan),
        usual_lag_seconds: LAG,
        faults,
        nominal,
        trials,
    })
}

/// Tries the shapes, side by side on all cores; the trials are in the order of the shapes.
fn trials(
    plan: &Plan,
    inventory: &Inventory,
    shapes: &BTreeMap<Shape, Vec<Pair<'_>>>,
    tell: &mut dyn FnMut(Telling<'_>),
) -> Vec<Trial> {
    // The first of each shape is the smallest.
    let all: Vec<(&Shape, usize, Pair<'_>)> =
        shapes.iter().filter_map(|(shape, pairs)| Some((shape, pairs.len(), *pairs.first()?))).collect();
    let cases: Vec<usize> = all.iter().map(|(_, _, pair)| trial::number_of_cases(pair, plan, inventory)).collect();
    if !all.is_empty() {
        tell(Telling::Counted { shapes: all.len(), cases: cases.iter().sum() });
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let one = |sender: mpsc::Sender<(usize, Told)>| {
        while let Some((at, (shape, units, pair))) = take(&next, &all) {
            // Whoever listens is there until all of it is told.
            let _ = sender.send((at, Told::Begun));
            let mut tell = |cases| drop(sender.send((at, Told::Cases(cases))));
            let trial = trial::tried(shape, units, &pair, plan, inventory, &mut tell);
            let _ = sender.send((at, Told::Done(Box::new(trial))));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (mut done, mut tried) = (BTreeMap::new(), vec![0; all.len()]);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(all.len()) {
            let sender = sender.clone();
            scope.spawn(|| one(sender));
        }
        drop(sender);
        for (at, told) in receiver {
            match told {
                Told::Begun => tell(Telling::Begun { number: at + 1, shape: all[at].0, cases: cases[at] }),
                Told::Cases(by_now) => {
                    tried[at] = by_now;
                    tell(Telling::Tried { cases: tried.iter().sum() });
                }
                Told::Done(trial) => {
                    tell(Telling::Ended { number: at + 1, trial: &trial });
                    done.insert(at, *trial);
                }
            }
        }
    });
    done.into_values().collect()
}

/// What a thread tells of a shape.
enum Told {
    Begun,
    Cases(usize),
    Done(Box<Trial>),
}

/// The next shape that nobody has taken.
fn take<T: Copy>(next: &AtomicUsize, all: &[T]) -> Option<(usize, T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    all.get(at).map(|it| (at, *it))
}

/// How late everybody is in the twin: as usual, and always less than the plan waits for.
fn lag_seconds(plan: &Plan) -> u64 {
    let settle = plan.numbers.trust_settle.min(plan.numbers.association_settle);
    LAG.min(settle.saturating_sub(1))
}

fn lag(plan: &Plan) -> Lag {
    Lag::of(Duration::from_secs(lag_seconds(plan)))
}
