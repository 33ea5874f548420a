//! Histories from seeds: faults, crashes, lags, other people and a person's own changes of mind, all
//! mixed. After each: no promise was broken at any moment; and once everything is well again a rollback
//! ends, or says what is left and why, and the world is as before or as others left it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use irsa_migrate::journal::RunStatus;
use irsa_migrate::plan::{Plan, Purpose, UnitId};
use irsa_migrate::rehearse::{Undone, broken_promises, is_late_webhook, not_restored};
use irsa_migrate::rollback::Extent;
use irsa_migrate::sim::{Deed, Happening, Lag, MemoryJournal, Sim};

use crate::cycle::plan_of;
use crate::person::{Outcome, Person, run_of};
use crate::schedule::{Action, Event, Schedule, draw};
use crate::shapes::SHAPES;

/// How many schedules each change has to pass.
const IN_CI: u64 = 10_000;

/// How often a rollback is gone on with before it counts as stuck.
const TRIES: usize = 4;

type Plans = BTreeMap<&'static str, (Sim, Plan)>;

/// The world and the plan of each shape; made once a thread.
fn plans() -> Plans {
    let made = |shape: &crate::shapes::Shape| {
        let sim = (shape.build)().sim();
        let plan = plan_of(&sim, shape.settings);
        (shape.after_plan)(&sim);
        (sim, plan)
    };
    SHAPES.into_iter().map(|shape| (shape.name, made(shape))).collect()
}

/// One history.
struct Story<'a> {
    schedule: &'a Schedule,
    sim: Sim,
    journal: MemoryJournal,
    baseline: Sim,
    stops: Vec<u64>,
    /// Plans of migrations, oldest first.
    plans: Vec<Plan>,
    /// Rollbacks, oldest first.
    undos: Vec<Plan>,
}

impl<'a> Story<'a> {
    fn begin(schedule: &'a Schedule, plans: &Plans) -> Self {
        let (first, plan) = &plans[schedule.shape.name];
        let sim = first.fork();
        let base = sim.world().history().number_of_calls();
        sim.set_latency(Duration::from_millis(schedule.latency));
        sim.world().set_seed(schedule.seed);
        sim.world().set_lag(schedule.lag.clone());
        let baseline = sim.fork();
        sim.world().watch();
        let journal = sim.journal();
        let mut stops = Vec::new();
        for event in &schedule.events {
            match event {
                Event::Fault(call, fault) => sim.world().fault_at(base + call, *fault),
                Event::Entry(entry, fault) => journal.fail_at(*entry, *fault),
                Event::Others(call, deed) => sim.world().meanwhile(base + call, deed.clone()),
                Event::Stop(call) => stops.push(base + call),
            }
        }
        Self { schedule, sim, journal, baseline, stops, plans: vec![plan.clone()], undos: Vec::new() }
    }

    fn person(&self) -> Person<'_> {
        Person { sim: &self.sim, journal: &self.journal, stops: &self.stops }
    }

    fn newest(&self) -> Plan {
        self.plans.last().cloned().expect("there is one from the beginning")
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        let plan = self.newest();
        match action {
            Action::Apply => drop(self.person().carry_out(&plan)?),
            Action::UndoUnit(which) => {
                let unit: UnitId = plan.units[which % plan.units.len()].id.clone();
                drop(self.roll_back(&plan, &Extent::Unit(unit))?);
            }
            Action::UndoWave(which) => {
                let wave = plan.waves[which % plan.waves.len()].name.clone();
                drop(self.roll_back(&plan, &Extent::Wave(wave))?);
            }
            Action::UndoRun => drop(self.roll_back(&plan, &Extent::Run)?),
            Action::PlanAgain => {
                // With no answer from the world there is no plan, and with nothing to do none worth having.
                let plan = self.person().plan_again(self.schedule.shape.settings)?;
                self.plans.extend(plan.filter(|it| !it.units.is_empty()));
            }
            Action::Heal => self.sim.world().heal(),
            Action::Wait(seconds) => self.sim.world().pass(Duration::from_secs(seconds)),
        }
        Ok(())
    }

    fn roll_back(&mut self, plan: &Plan, extent: &Extent) -> Result<Option<(Plan, Outcome)>, String> {
        let Some((undo, outcome)) = self.person().roll_back(plan, extent)? else { return Ok(None) };
        if !self.undos.contains(&undo) {
            self.undos.push(undo.clone());
        }
        Ok(Some((undo, outcome)))
    }

    /// Everything is well again, and everybody has seen everything.
    fn heal(&mut self) {
        self.journal.heal();
        self.stops.clear();
        let mut world = self.sim.world();
        world.heal();
        world.nothing_meanwhile();
        for event in &self.schedule.events {
            let Event::Others(_, deed) = event else { continue };
            let Some(well) = self.well_again(deed) else { continue };
            let _absent = world.perform(&well);
        }
        world.pass(Duration::from_secs(300));
    }

    /// What puts a passing trouble right; `None` for what others did for good.
    fn well_again(&self, deed: &Deed) -> Option<Deed> {
        Some(match deed {
            Deed::Quota(cluster, namespace, _) => Deed::Quota(cluster.clone(), namespace.clone(), None),
            Deed::Webhook(cluster, _) => Deed::Webhook(cluster.clone(), false),
            Deed::Agent(cluster, node, _) => Deed::Agent(cluster.clone(), node.clone(), true),
            Deed::Lease(cluster, _) => Deed::Lease(cluster.clone(), None),
            Deed::Clock(_) => Deed::Clock(0),
            Deed::Provider(cluster, issuer, _) => Deed::Provider(cluster.clone(), issuer.clone(), true),
            Deed::Pause(cluster, at, _) => Deed::Pause(cluster.clone(), at.clone(), false),
            Deed::Annotate(subject, _) => Deed::Annotate(subject.clone(), self.first_annotation(subject)),
            Deed::AddStatement(_)
            | Deed::DropStatement(_)
            | Deed::Reformat(_)
            | Deed::Reapply(..)
            | Deed::TouchOurs(_)
            | Deed::DeleteRole(_)
            | Deed::Associate(..)
            | Deed::DeleteServiceAccount(_)
            | Deed::Deploy(..)
            | Deed::Scale(..)
            | Deed::DeleteWorkload(..)
            | Deed::LosePod(..) => return None,
        })
    }

    fn first_annotation(&self, subject: &irsa_migrate::model::Subject) -> Option<String> {
        self.baseline.world().service_account_now(subject)?.role_arn.clone()
    }

    /// Rolls everything back, newest first; each rollback ends, or says what is left and why. A part that is
    /// stuck is given up, so that the rest can be undone.
    fn end(&mut self) -> Result<(), String> {
        self.heal();
        for plan in self.plans.clone().iter().rev() {
            while let Some((undo, last)) = self.try_to_undo(plan)? {
                self.is_stuck_and_says_why(&undo, &last)?;
                self.person().close(&undo)?;
                if is_whole(&undo) {
                    break;
                }
            }
            self.person().close(plan)?;
        }
        Ok(())
    }

    /// Goes on with rolling back a few times. `None` once there is nothing left to undo.
    fn try_to_undo(&mut self, plan: &Plan) -> Result<Option<(Plan, Outcome)>, String> {
        let mut last = None;
        for _ in 0..TRIES {
            last = self.roll_back(plan, &Extent::Run)?;
            if last.is_none() {
                return Ok(None);
            }
        }
        Ok(last)
    }

    /// A rollback that others keep from ending names what is left, and says why.
    fn is_stuck_and_says_why(&self, undo: &Plan, last: &Outcome) -> Result<(), String> {
        let left = self.person().left(undo)?;
        let told = left.iter().any(|(_, _, why)| why.is_some());
        let said = match last {
            Outcome::Paused(_) => told,
            // Another rollback is stuck, and says so itself.
            Outcome::Declined(error) => error.to_string().contains("open"),
            Outcome::Ended(_) | Outcome::Crashed => false,
        };
        if said && self.others_did_something() {
            return Ok(());
        }
        Err(format!("a rollback does not end: {last:?}: {left:?}"))
    }

    fn others_did_something(&self) -> bool {
        self.schedule.events.iter().any(|it| matches!(it, Event::Others(..)))
    }

    /// The first three promises.
    fn judge(&self) -> Result<(), String> {
        let broken = broken_promises(&self.sim, &self.plans[0]);
        if !broken.is_empty() {
            return Err(format!("broken: {:?}", &broken[..broken.len().min(3)]));
        }
        let mut left = self.not_restored()?;
        left.retain(|it| !self.is_of_a_late_webhook(it));
        if left.is_empty() { Ok(()) } else { Err(format!("after rolling back: {left:?}")) }
    }

    /// A pod that came up on Pod Identity after all was undone, by a webhook that is later than is waited for:
    /// `broken_promises` says why that is let through.
    fn is_of_a_late_webhook(&self, line: &str) -> bool {
        is_late_webhook(&self.schedule.lag, &self.plans[0].numbers)
            && line.starts_with("modes of ")
            && line.contains("Pod Identity")
    }

    /// What no rollback has brought back, and none has told of.
    fn not_restored(&self) -> Result<Vec<String>, String> {
        let statuses: Result<Vec<RunStatus>, String> = self.undos.iter().map(|it| self.person().status(it)).collect();
        let (before, now) = (self.baseline.world(), self.sim.world());
        let mut left: Option<Vec<String>> = None;
        for (plan, status) in self.undos.iter().zip(&statuses?) {
            let run = run_of(plan);
            let found = not_restored(&before, &now, Some(Undone { plan, run: &run, status }));
            let about = |line: &String| line.split(": ").next().unwrap_or_default().to_owned();
            let all: BTreeSet<String> = found.iter().map(about).collect();
            left = Some(left.map_or(found, |it| it.into_iter().filter(|line| all.contains(&about(line))).collect()));
        }
        Ok(left.unwrap_or_else(|| not_restored(&before, &now, None)))
    }
}

fn is_whole(undo: &Plan) -> bool {
    matches!(undo.purpose, Purpose::Undo { whole: true, .. })
}

/// Lives through a schedule.
fn live(schedule: &Schedule, plans: &Plans) -> Result<(), (String, Vec<String>)> {
    let mut story = Story::begin(schedule, plans);
    let outcome = schedule.actions.iter().try_for_each(|action| story.act(*action));
    let outcome = outcome.and_then(|()| story.end()).and_then(|()| story.judge());
    outcome.map_err(|why| (why, told(&story)))
}

/// What happened, in words.
fn told(story: &Story<'_>) -> Vec<String> {
    let base = story.baseline.world().history().number_of_calls();
    let world = story.sim.world();
    let line = |it: &Happening| match it {
        Happening::Called(it) if it.number <= base => None,
        Happening::Called(it) => {
            let worth = it.fault.is_some() || it.error.is_some() || it.call.is_write();
            let error = it.error.as_ref().map(|it| format!(" -> {it}")).unwrap_or_default();
            let fault = it.fault.map(|it| format!(" [{it:?}]")).unwrap_or_default();
            worth.then(|| format!("{} call {} {}{fault}{error}", it.at, it.number - base, it.call.operation()))
        }
        Happening::Foreign { at, what } => {
            Some(format!("{at} somebody: {}", what.chars().take(120).collect::<String>()))
        }
        Happening::Journaled { run, entry } => {
            let detail = entry.detail.as_deref().unwrap_or_default();
            Some(format!("{} {run}: {} {} {detail}", entry.at, entry.scope, entry.event.as_str()))
        }
        Happening::Opened { run, reverts, .. } => Some(format!("run {run} is opened; it reverts {reverts:?}")),
    };
    world.history().all().iter().filter_map(line).collect()
}

/// The smallest schedule that still fails: events and actions taken out one by one, lags to nothing.
fn shrink(mut schedule: Schedule, plans: &Plans) -> Schedule {
    loop {
        let fails = |it: &Schedule| live(it, plans).is_err();
        match smaller(&schedule).into_iter().find(fails) {
            Some(smaller) => schedule = smaller,
            None => return schedule,
        }
    }
}

/// Schedules that are a little smaller.
fn smaller(of: &Schedule) -> Vec<Schedule> {
    let without = |edit: &dyn Fn(&mut Schedule)| {
        let mut it = of.clone();
        edit(&mut it);
        it
    };
    let mut all = Vec::new();
    if of.lag != Lag::default() {
        all.push(without(&|it| it.lag = Lag::default()));
        all.push(without(&|it| it.lag.api = Duration::ZERO));
        all.push(without(&|it| it.lag.sts = Duration::ZERO));
        all.push(without(&|it| it.lag.eks_auth = Duration::ZERO));
        all.push(without(&|it| it.lag.webhook = Duration::ZERO));
        all.push(without(&|it| it.lag.webhooks.clear()));
        all.retain(|it| it.lag != of.lag);
    }
    if of.latency > 0 {
        all.push(without(&|it| it.latency = 0));
    }
    all.extend((0..of.events.len()).map(|at| without(&|it| it.events = but(at, &of.events))));
    all.extend((0..of.actions.len()).map(|at| without(&|it| it.actions = but(at, &of.actions))));
    all
}

fn but<T: Clone>(at: usize, all: &[T]) -> Vec<T> {
    [&all[..at], &all[at + 1..]].concat()
}

/// A failure, so that a person can replay and read it.
fn report(schedule: Schedule, why: &str, plans: &Plans) -> String {
    let seed = schedule.seed;
    let small = shrink(schedule, plans);
    let (why_small, history) = live(&small, plans).err().unwrap_or_else(|| (why.to_owned(), Vec::new()));
    let history = history.join("\n    ");
    format!("{why}\n  replay: SEED={seed} tests/loops/run replay\n  smallest: {small}\n  {why_small}\n    {history}")
}

/// So many schedules from a seed on, on every core. Gives what failed, at most a few.
fn many(from: u64, count: u64) -> Vec<String> {
    let (next, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        let plans = plans();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count || failures.lock().expect("nobody panics").len() >= 5 {
                return;
            }
            if at > 0 && at % 10_000 == 0 {
                // Directly, so that it is seen while the test runs.
                let _ = writeln!(std::io::stderr(), "{at} of {count} schedules");
            }
            let schedule = draw(from + at, &plans);
            if let Err((why, _)) = live(&schedule, &plans) {
                let told = report(schedule, &why, &plans);
                failures.lock().expect("nobody panics").push(told);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    failures.into_inner().expect("nobody panics")
}

/// `SCHEDULES` says how many, and `FROM` the first seed.
#[test]
fn schedules() {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    };
    let count = number("SCHEDULES", IN_CI);
    let failures = many(number("FROM", 1), count);
    assert!(failures.is_empty(), "of {count} schedules:\n{}", failures.join("\n\n"));
}

/// One seed once more, with all that happened.
#[test]
#[ignore = "replays one seed: SEED=123 tests/loops/run replay"]
fn replay() {
    let seed = std::env::var("SEED").expect("SEED").parse().expect("a number");
    let plans = plans();
    let schedule = draw(seed, &plans);
    let _ = writeln!(std::io::stderr(), "{schedule}");
    if let Err((why, history)) = live(&schedule, &plans) {
        let history = history.join("\n    ");
        panic!("{why}\n    {history}\n{}", report(schedule, &why, &plans));
    }
}

/// The same seed is the same history, and seeds differ.
#[test]
fn a_seed_is_a_history() {
    let plans = plans();
    let words = |seed| draw(seed, &plans).to_string();
    assert_eq!(words(7), words(7));
    let all: BTreeSet<String> = (1..200).map(words).collect();
    assert_eq!(all.len(), 199);
    let shapes: BTreeSet<&str> = (1..200).map(|seed| draw(seed, &plans).shape.name).collect();
    assert_eq!(shapes.len(), SHAPES.len());
}
