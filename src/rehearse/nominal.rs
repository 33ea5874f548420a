//! The whole plan, carried out and undone on the twin with nothing going wrong.

use jiff::Timestamp;

use super::broken::is_asked_for;
use super::case::{self, told};
use super::gaps::Gaps;
use super::orders::out_of_order;
use super::promise::{Broken, Promise};
use super::report::{Left, Nominal, WaveTime};
use super::restored::{Undone, not_restored};
use super::shape::{Pair, reduced_inventory, reduced_plan, roles};
use super::{Telling, lag};
use crate::apply::{Ending, Progress, UnitEnd, Why};
use crate::inventory::Inventory;
use crate::journal::{Entry, RunId, RunStatus, UnitStatus};
use crate::model::Digest;
use crate::plan::window::longest;
use crate::plan::{Plan, Unit, UnitId};
use crate::ports::JournalStore as _;
use crate::rollback::{self, Extent, RollbackError};
use crate::sim::{MemoryJournal, Sim};

/// How a unit is that nothing was done for yet.
const NOT_STARTED: &str = "not started";

/// How many violations are told; each says enough.
const MOST_TOLD: usize = 20;

/// Carries a plan out on the twin of its inventory, waits for windows, and undoes it.
pub(super) fn rehearse(plan: &Plan, inventory: &Inventory, tell: &mut dyn FnMut(Telling<'_>)) -> Nominal {
    let mut found = there_and_back(&twin(plan, inventory), plan, tell);
    // Watching looks at everybody at every moment: the whole fleet at once would take a time that
    // grows with its square.
    let roles = roles(plan);
    for (index, pairs) in roles.iter().enumerate() {
        tell(Telling::Watched { done: index + 1, of: roles.len() });
        for it in watched(plan, inventory, pairs) {
            // The whole plan may have broken the same.
            if !found.broken.iter().any(|known| it.is_again(known)) {
                found.broken.push(it);
            }
        }
    }
    found.broken.truncate(MOST_TOLD);
    found
}

fn twin(plan: &Plan, inventory: &Inventory) -> Sim {
    let sim = Sim::from_inventory(inventory);
    sim.world().set_lag(lag(plan));
    sim
}

/// Carries a plan out on a simulated world as it is, and undoes it.
pub fn there_and_back(sim: &Sim, plan: &Plan, tell: &mut dyn FnMut(Telling<'_>)) -> Nominal {
    let (before, journal) = (sim.fork(), sim.journal());
    let mut found = Nominal::default();
    forward(sim, &journal, plan, &mut found, tell);
    if let Err(why) = back(sim, &journal, plan, &before, &mut found, tell) {
        found.broken.push(Broken::new(Promise::UndoAtAnyPoint, why));
    }
    found.calls = sim.world().history().number_of_calls();
    found
}

/// The ServiceAccounts of one role there and back, watched at every moment: what was broken.
fn watched(plan: &Plan, inventory: &Inventory, pairs: &[Pair<'_>]) -> Vec<Broken> {
    let Some(small) = reduced_plan(plan, pairs) else { return Vec::new() };
    let sim = twin(plan, &reduced_inventory(inventory, plan, pairs));
    sim.world().watch();
    let mut broken = there_and_back(&sim, &small, &mut |_| {}).broken;
    let world = sim.world();
    let counted = world.violations().iter().filter(|it| !is_asked_for(plan, it));
    broken.extend(counted.map(|it| Broken::new(Promise::of(it), format!("after call {}: {}", it.after_call, it.what))));
    broken
}

fn carry_out(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    emit: &mut dyn FnMut(Progress),
) -> Result<Ending, String> {
    let bytes = plan.to_bytes().map_err(|error| error.to_string())?;
    told(case::carry_out(sim, journal, &bytes, emit))
}

fn forward(sim: &Sim, journal: &MemoryJournal, plan: &Plan, found: &mut Nominal, tell: &mut dyn FnMut(Telling<'_>)) {
    let mut waves = Waves { plan, times: Vec::new(), since: None };
    let (mut done, mut waited) = (0, false);
    loop {
        let mut ended = false;
        let mut emit = |progress: Progress| {
            waves.note(sim.world().now(), &progress);
            if let Progress::UnitEnded { end, .. } = progress {
                ended |= end != UnitEnd::NotNow;
                done += 1;
                tell(Telling::Unit { done, of: plan.units.len() });
            }
        };
        let ending = carry_out(sim, journal, plan, &mut emit);
        waves.pause(sim.world().now());
        match ending {
            Ok(Ending { why: Why::Ended, .. }) => break,
            // A window in which nothing ended is no better than none, and the next would be like it.
            Ok(Ending { why: Why::Window(Some(at)), .. }) if ended || !waited => {
                waited = true;
                let now = sim.world().now();
                found.window_seconds += whole_seconds(now, at);
                // A unit that waits for a window has not ended, and is told again.
                done = waves.done();
                sim.world().tick(at);
            }
            Ok(ending) => {
                found.stopped = Some(stopped(&ending.why));
                break;
            }
            Err(why) => {
                found.stopped = Some(why);
                break;
            }
        }
    }
    found.waves = waves.times;
    found.left = left(sim, journal, plan);
}

fn stopped(why: &Why) -> String {
    match why {
        Why::Ended | Why::Asked => "it was asked to".to_owned(),
        Why::Through(wave) => format!("it went through wave {wave}"),
        Why::Window(_) => "what is left fits into no window".to_owned(),
        Why::Failed => "a unit failed".to_owned(),
        Why::Gate(what, _) => format!("the gate did not pass: {what}"),
        Why::Credentials(what) | Why::Locked(what) => what.clone(),
        Why::Blind(what) => format!("what must be known before a unit starts could not be read: {what}"),
        Why::Journal(error) => error.to_string(),
    }
}

fn entries(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Result<(RunId, Digest, Vec<Entry>), String> {
    let digest = Digest::of(&plan.to_bytes().map_err(|error| error.to_string())?);
    let run = RunId::of(&digest);
    let entries = sim.run(journal.entries(&run)).map_err(|error| error.to_string())?;
    // A run that was refused before it was opened has none.
    Ok((run, digest, entries.unwrap_or_default()))
}

/// Units that are not done.
fn left(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Vec<Left> {
    let entries = entries(sim, journal, plan).map(|it| it.2).unwrap_or_default();
    let status = RunStatus::of(&entries).unwrap_or_default();
    let left = |unit: &Unit| {
        let found = status.unit(&unit.id.0, unit.steps.len());
        let word = match found {
            UnitStatus::Done => return None,
            UnitStatus::Pending => NOT_STARTED,
            UnitStatus::Partial | UnitStatus::InDoubt => "not finished",
            UnitStatus::Failed => "failed",
            UnitStatus::Refused => "refused",
            UnitStatus::Undone => "undone",
        };
        let why = status.detail(&unit.id.0).map_or_else(|| never_started(plan, unit, found), |it| Some(it.to_owned()));
        Some(Left { unit: unit.id.clone(), status: word.to_owned(), why })
    };
    plan.units.iter().filter_map(left).collect()
}

/// Why a unit has not started, where the plan itself tells.
fn never_started(plan: &Plan, unit: &Unit, found: UnitStatus) -> Option<String> {
    let (expected, longest) = (unit.expected_seconds, longest(&plan.windows)?);
    (found == UnitStatus::Pending && expected >= longest)
        .then(|| format!("it is expected to take {expected} s, and the longest window is {longest} s"))
}

/// Undoes what was done, and compares the world with what it was.
fn back(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    before: &Sim,
    found: &mut Nominal,
    tell: &mut dyn FnMut(Telling<'_>),
) -> Result<(), String> {
    let (forward, digest, entries) = entries(sim, journal, plan)?;
    let undo = match rollback::plan(&forward, &digest, plan, &entries, &Extent::Run) {
        Ok(undo) => undo,
        Err(RollbackError::Nothing) => {
            found.broken.extend(compared(sim, before, &[(&forward, plan)], None));
            return Ok(());
        }
        Err(error) => return Err(format!("there is no undo: {error}")),
    };
    let mut gaps = Gaps::of(sim, &undo);
    let (from, mut done) = (sim.world().now(), 0);
    let mut emit = |progress: Progress| {
        if let Some(unit) = unit_of(&progress) {
            gaps.look(sim, unit);
        }
        if matches!(progress, Progress::UnitEnded { .. }) {
            done += 1;
            tell(Telling::Undone { done, of: undo.units.len() });
        }
    };
    let ending = carry_out(sim, journal, &undo, &mut emit).map_err(|why| format!("the undo stopped: {why}"))?;
    found.undo_seconds = Some(whole_seconds(from, sim.world().now()));
    found.gaps = gaps.found(sim);
    if ending.why != Why::Ended {
        let not_undone = not_undone(left(sim, journal, &undo));
        if not_undone.is_empty() {
            return Err(format!("the undo stopped: {}", stopped(&ending.why)));
        }
        found.broken.extend(not_undone);
        return Ok(());
    }
    let (run, _, entries) = self::entries(sim, journal, &undo)?;
    let status = RunStatus::of(&entries).map_err(|error| error.to_string())?;
    let undone = Undone { plan: &undo, run: &run, status: &status };
    found.broken.extend(compared(sim, before, &[(&forward, plan), (&run, &undo)], Some(undone)));
    Ok(())
}

/// The units at which an undo stopped. Those that had not started wait for them.
fn not_undone(left: Vec<Left>) -> Vec<Broken> {
    let begun = left.into_iter().filter(|it| it.status != NOT_STARTED);
    let broken = |it: Left| {
        let why = it.why.map(|it| format!(": {it}")).unwrap_or_default();
        let what = format!("its undo is {}{why}", it.status);
        Broken { promise: Promise::UndoAtAnyPoint, unit: Some(it.unit), what }
    };
    begun.map(broken).collect()
}

/// What was sent out of order, and what is not as it was before.
fn compared(sim: &Sim, before: &Sim, plans: &[(&RunId, &Plan)], undone: Option<Undone<'_>>) -> Vec<Broken> {
    let sent = out_of_order(sim.world().history(), plans).into_iter().map(|it| Broken::new(Promise::AsReviewed, it));
    let left = not_restored(&before.world(), &sim.world(), undone).into_iter();
    let left = left.map(|it| Broken::new(Promise::UndoAtAnyPoint, format!("not as before the run: {it}")));
    sent.chain(left).collect()
}

fn unit_of(progress: &Progress) -> Option<&UnitId> {
    match progress {
        Progress::UnitStarted { unit }
        | Progress::StepStarted { unit, .. }
        | Progress::Waiting { unit, .. }
        | Progress::StepEnded { unit, .. }
        | Progress::UnitEnded { unit, .. } => Some(unit),
        Progress::RunStarted { .. }
        | Progress::Unanswered { .. }
        | Progress::LeaseWaiting { .. }
        | Progress::WaveStarted { .. }
        | Progress::GateWaiting { .. }
        | Progress::WaveEnded { .. }
        | Progress::Paused { .. }
        | Progress::Closed => None,
    }
}

/// The whole seconds between two moments.
pub(super) fn whole_seconds(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.duration_since(from).as_secs()).unwrap_or(0)
}

/// When each wave was worked on.
struct Waves<'a> {
    plan: &'a Plan,
    times: Vec<WaveTime>,
    /// Since when the last of them is.
    since: Option<Timestamp>,
}

impl Waves<'_> {
    fn note(&mut self, now: Timestamp, progress: &Progress) {
        if let Progress::WaveStarted { wave, .. } = progress {
            self.since = Some(now);
            // A wave whose first window had not opened yet starts now.
            let _ = self.times.pop_if(|it| it.wave == *wave && it.seconds == 0);
            if self.times.last().is_none_or(|it| it.wave != *wave) {
                let units = self.plan.waves.iter().find(|it| it.name == *wave).map_or(0, |it| it.units.len());
                let time = WaveTime { wave: wave.clone(), units, from: now, until: now, seconds: 0, passed: false };
                self.times.push(time);
            }
        }
        if let Progress::WaveEnded { passed, .. } = progress {
            self.pause(now);
            if let Some(last) = self.times.last_mut() {
                last.passed = *passed;
            }
        }
    }

    fn pause(&mut self, now: Timestamp) {
        if let (Some(since), Some(last)) = (self.since.take(), self.times.last_mut()) {
            last.until = now;
            last.seconds += whole_seconds(since, now);
        }
    }

    /// How many units are in waves that are over.
    fn done(&self) -> usize {
        self.times.iter().filter(|it| it.passed).map(|it| it.units).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RoleArn};
    use crate::plan::{Numbers, Purpose, Settings};
    use crate::ports::Iam as _;
    use crate::sim::build::Builder;

    /// A plan that does nothing.
    fn nothing(sim: &Sim) -> Plan {
        let world = sim.world();
        Plan {
            format: Kind::Plan.current(),
            tool: "test".to_owned(),
            purpose: Purpose::Migrate,
            inventory: Digest::of(b"an inventory"),
            settings: Digest::of(b"settings"),
            taken_at: world.now(),
            account: world.cluster_arns()[0].account(),
            clusters: Vec::new(),
            rules: Settings::default().apply,
            numbers: Numbers::default(),
            windows: Vec::new(),
            waves: Vec::new(),
            units: Vec::new(),
            held: Vec::new(),
            waived: Vec::new(),
            not_promised: Vec::new(),
        }
    }

    #[test]
    fn where_there_is_nothing_to_undo_the_world_has_to_be_as_before() {
        let sim = Builder::new().cluster("blue").role("cart", &[("shop", "cart")]).sim();
        let (before, journal, plan) = (sim.fork(), sim.journal(), nothing(&sim));
        let back = || {
            let mut found = Nominal::default();
            back(&sim, &journal, &plan, &before, &mut found, &mut |_| {}).unwrap();
            found.broken
        };
        assert_eq!(back(), []);
        let role = RoleArn::parse("arn:aws:iam::111122223333:role/cart").unwrap();
        let sent = r#"{"Version":"2012-10-17","Statement":[]}"#;
        sim.run(async { sim.set_trust(&role, sent).await }).unwrap().unwrap();
        let broken = back();
        let told = |it: &Broken, promise: Promise, what: &str| it.promise == promise && it.what.contains(what);
        assert!(broken.iter().any(|it| told(it, Promise::AsReviewed, "at call")), "{broken:#?}");
        assert!(
            broken.iter().any(|it| told(it, Promise::UndoAtAnyPoint, "not as before the run: trust")),
            "{broken:#?}"
        );
    }
}
