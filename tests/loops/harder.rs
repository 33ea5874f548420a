//! What one fault at one call does not show: rights that stay away, few calls a second, a program
//! that dies again and again, parts that are undone one by one.

use irsa_migrate::journal::UnitStatus;
use irsa_migrate::plan::Plan;
use irsa_migrate::rollback::Extent;
use irsa_migrate::sim::{Fault, MemoryJournal, Service, Sim};

use crate::cycle::plan_of;
use crate::faults::Tally;
use crate::person::{Outcome, Person, unbroken};
use crate::shapes::{self, SHAPES, Shape};

/// A shape's world with its plan, watched.
struct Scene {
    sim: Sim,
    journal: MemoryJournal,
    plan: Plan,
    before: Sim,
}

impl Scene {
    fn new(shape: &Shape) -> Self {
        let sim = (shape.build)().sim();
        let plan = plan_of(&sim, shape.settings);
        (shape.after_plan)(&sim);
        sim.world().nothing_meanwhile();
        let before = sim.fork();
        sim.world().watch();
        let journal = sim.journal();
        Self { sim, journal, plan, before }
    }

    fn person(&self) -> Person<'_> {
        Person { sim: &self.sim, journal: &self.journal, stops: &[] }
    }

    fn calls(&self) -> u64 {
        self.sim.world().history().number_of_calls()
    }

    fn as_before(&self) -> Result<(), String> {
        let left = self.sim.world().not_restored(&self.before.world());
        if left.is_empty() { unbroken(&self.sim, &self.plan) } else { Err(format!("not as before: {left:?}")) }
    }

    fn roll_back(&self, tries: usize) -> Result<(), String> {
        let mut last = None;
        for _ in 0..=tries {
            last = self.person().roll_back(&self.plan, &Extent::Run)?;
            if last.is_none() {
                return self.as_before();
            }
        }
        let Some((undo, outcome)) = last else { return self.as_before() };
        Err(format!("the rollback does not end: {outcome:?}: {:?}", self.person().left(&undo)?))
    }
}

/// How many calls a run of the plan makes if nothing goes wrong.
fn calls_of(shape: &Shape) -> u64 {
    let scene = Scene::new(shape);
    let before = scene.calls();
    scene.person().until_ended(&scene.plan, 1).expect("nothing goes wrong");
    scene.calls() - before
}

/// A right is gone from some call on, and stays away while everything is rolled back: that ends, or says
/// what is left and why; and once the right is there again it is run again and ends.
fn denied_and_rolled_back(shape: &Shape, call: u64) -> Result<(), String> {
    let scene = Scene::new(shape);
    let from = scene.calls();
    scene.sim.world().fault_at(from + call, Fault::Deny);
    scene.person().carry_out(&scene.plan)?;
    if let Some(undo) = scene.person().undo(&scene.plan, &Extent::Run)? {
        match scene.person().carry_out(&undo)? {
            Outcome::Ended(_) => scene.as_before()?,
            // Why is in the ending, or in what was said of a unit.
            Outcome::Paused(ending) => {
                let left = scene.person().left(&undo)?;
                if left.is_empty() {
                    return Err(format!("{:?}, and nothing is left", ending.why));
                }
                let said = left.iter().any(|(_, _, why)| why.as_ref().is_some_and(|it| it.contains("AccessDenied")));
                if !said && !format!("{:?}", ending.why).contains("AccessDenied") {
                    return Err(format!("{:?} says nothing of the right: {left:?}", ending.why));
                }
                if !ending.denied {
                    return Err(format!("{:?} does not count as denied", ending.why));
                }
            }
            Outcome::Declined(error) => {
                if !error.to_string().contains("AccessDenied") {
                    return Err(format!("declined for another reason: {error}"));
                }
            }
            Outcome::Crashed => return Err("nobody ended the program".into()),
        }
        unbroken(&scene.sim, &scene.plan)?;
    }
    scene.sim.world().heal();
    scene.roll_back(3)
}

#[test]
fn a_right_that_stays_away() {
    for shape in [&shapes::ONE, &shapes::SHARED, &shapes::ON_DELETE] {
        let mut tally = Tally::default();
        for call in 1..=calls_of(shape) {
            tally.add(|| format!("{}: denied from call {call} on", shape.name), denied_and_rolled_back(shape, call));
        }
        tally.judge(50);
    }
}

/// Rights that are away for the rollback alone, one operation at a time.
#[test]
fn a_right_that_is_away_for_the_rollback() {
    let mut tally = Tally::default();
    for shape in [&shapes::ONE, &shapes::BUDGET, &shapes::TWO_CLUSTERS] {
        let whole = Scene::new(shape);
        whole.person().until_ended(&whole.plan, 1).expect("nothing goes wrong");
        let undo = whole.person().undo(&whole.plan, &Extent::Run).expect("an undo").expect("something to undo");
        let counts = whole.sim.world().history().counts();
        whole.person().until_ended(&undo, 1).expect("nothing goes wrong");
        let after = whole.sim.world().history().counts();
        for (operation, _) in after.into_iter().filter(|(it, count)| counts.get(it) != Some(count)) {
            let attempt = || {
                let scene = Scene::new(shape);
                scene.person().until_ended(&scene.plan, 1)?;
                let undo = scene.person().undo(&scene.plan, &Extent::Run)?.ok_or("nothing to undo")?;
                scene.sim.world().deny(operation);
                let first = scene.person().carry_out(&undo)?;
                let left = scene.person().left(&undo)?;
                let told = match &first {
                    Outcome::Ended(_) => left.is_empty(),
                    Outcome::Paused(ending) => {
                        ending.denied && left.iter().any(|(_, status, _)| *status != UnitStatus::Done)
                    }
                    Outcome::Declined(error) => error.to_string().contains("AccessDenied"),
                    Outcome::Crashed => false,
                };
                if !told {
                    return Err(format!("{first:?}: {left:?}"));
                }
                scene.sim.world().heal();
                scene.roll_back(3)
            };
            tally.add(|| format!("{}: {operation} denied for the rollback", shape.name), attempt());
        }
    }
    tally.judge(30);
}

/// Each API takes few calls a second, and fewer at once than a unit's findings ask for: a run stops because
/// it is blind, or goes on; and what it did is rolled back.
#[test]
fn few_calls_a_second() {
    let mut tally = Tally::default();
    for shape in SHAPES {
        for (service, per_second, burst) in
            [(Service::Iam, 0.5, 1.0), (Service::Eks, 0.5, 1.0), (Service::Kubernetes, 2.0, 4.0)]
        {
            let attempt = || {
                let scene = Scene::new(shape);
                scene.sim.world().set_limit(service, per_second, burst);
                for _ in 0..3 {
                    scene.person().carry_out(&scene.plan)?;
                }
                scene.roll_back(3)
            };
            tally.add(|| format!("{}: {service:?} at {per_second} a second", shape.name), attempt());
        }
    }
    tally.judge(3 * SHAPES.len());
}

/// The program dies every so many calls, until it has got through; then likewise on the way back.
#[test]
fn a_program_that_dies_again_and_again() {
    let mut tally = Tally::default();
    for shape in SHAPES {
        for every in [131, 173] {
            for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                let attempt = || {
                    let scene = Scene::new(shape);
                    let from = scene.calls();
                    for crash in 1..200 {
                        scene.sim.world().fault_at(from + crash * every, fault);
                    }
                    scene.person().until_ended(&scene.plan, 60)?;
                    scene.roll_back(60)
                };
                tally.add(|| format!("{}: {fault:?} every {every} calls", shape.name), attempt());
            }
        }
    }
    tally.judge(4 * SHAPES.len());
}

/// Parts are undone, one by one, in every order that is allowed; then the rest. What was undone is not
/// touched again, and a rollback is not rolled back: forward goes a new plan.
#[test]
fn parts_and_then_the_rest() {
    let mut tally = Tally::default();
    for shape in SHAPES {
        let plan = Scene::new(shape).plan;
        for unit in &plan.units {
            for goes_on in [false, true] {
                let attempt = || {
                    let scene = Scene::new(shape);
                    let person = scene.person();
                    person.until_ended(&scene.plan, 1)?;
                    let Some(part) = person.undo(&scene.plan, &Extent::Unit(unit.id.clone()))? else { return Ok(()) };
                    person.until_ended(&part, 1)?;
                    if person.undo(&part, &Extent::Run).is_ok() {
                        return Err("a rollback was rolled back".into());
                    }
                    if goes_on {
                        // What was undone stays undone.
                        let writes = scene.sim.world().writes();
                        person.until_ended(&scene.plan, 1)?;
                        if scene.sim.world().writes() != writes {
                            return Err("going on sent something".into());
                        }
                    }
                    scene.roll_back(1)
                };
                tally.add(|| format!("{}: {} first", shape.name, unit.id), attempt());
            }
        }
    }
    tally.judge(2 * SHAPES.len());
}

/// After a rollback the same can be planned again, carried out, and rolled back.
#[test]
fn there_and_back_and_there_again() {
    let mut tally = Tally::default();
    for shape in SHAPES {
        let attempt = || {
            let scene = Scene::new(shape);
            let person = scene.person();
            person.until_ended(&scene.plan, 1)?;
            scene.roll_back(1)?;
            let again = plan_of(&scene.sim, shape.settings);
            person.until_ended(&again, 1)?;
            let undo = person.undo(&again, &Extent::Run)?.ok_or("nothing to undo")?;
            person.until_ended(&undo, 1)?;
            scene.as_before()
        };
        tally.add(|| shape.name.to_owned(), attempt());
    }
    tally.judge(SHAPES.len());
}
