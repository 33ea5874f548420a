//! The fourth promise: nothing is sent that no plan says, and nothing before its time.
//!
//! Each write belongs to one step of a plan whose digest was journaled before; it is what that step
//! says, to a world that was last seen as the step wants it; the step was begun in the journal
//! before, its predecessors and the units that it needs were done, the leases of all clusters counted
//! for longer than a call takes, and a window was open.
//!
//! A history is only ever added to, and all that is judged here is in it: calls, what they were told,
//! and entries, in the order in which they took effect. So it may be judged once, at its end, with
//! the same result as after each call.

mod looks;
mod request;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::apply::LEASE_NAME;
use crate::journal::{Event, NewEntry, RunId, RunStatus, Scope, StepStatus, UnitStatus};
use crate::model::ClusterArn;
use crate::plan::window::{Opening, opening};
use crate::plan::{Plan, Purpose, Step, Unit};
use crate::sim::{Call, Happening, History, Record};

use looks::{Looks, Since};

/// The writes of a history that break the fourth promise, one line each. `plans` are those that may
/// have been carried out, by their runs.
#[must_use]
pub fn out_of_order(history: &History, plans: &[(&RunId, &Plan)]) -> Vec<String> {
    let mut judge = Judge::default();
    for (index, it) in history.all().iter().enumerate() {
        match it {
            Happening::Called(record) => {
                if record.call.is_write()
                    && let Err(why) = judge.write(record)
                {
                    let led = history.led_to(index + 1).join("\n    ");
                    judge.found.push(format!("at call {}: {why}\n    {led}", record.number));
                }
                judge.called(index, record);
            }
            Happening::Opened { run, plan: digest, .. } => {
                let known = plans.iter().find(|(id, _)| *id == run && RunId::of(digest) == *run);
                if let Some((_, plan)) = known {
                    judge.runs.insert(run, OpenRun::of(plan));
                }
            }
            Happening::Journaled { run, entry } => {
                if let Some(open) = judge.runs.get_mut(run) {
                    open.add(index, entry);
                }
            }
            Happening::Foreign { .. } => {}
        }
    }
    judge.found
}

/// A run that is in the journal.
struct OpenRun<'a> {
    plan: &'a Plan,
    status: RunStatus,
    /// When it last went on, by the writer's clock.
    went_on: Option<Timestamp>,
    /// The place of that in the history: what was seen earlier decides nothing any more.
    went_on_from: usize,
    /// When each unit was begun since.
    began: BTreeMap<&'a str, Timestamp>,
    /// Single calls that were written ahead and not sent yet, by unit and step.
    announced: BTreeMap<(&'a str, usize), &'a str>,
}

impl<'a> OpenRun<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            plan,
            status: RunStatus::default(),
            went_on: None,
            went_on_from: 0,
            began: BTreeMap::new(),
            announced: BTreeMap::new(),
        }
    }

    fn add(&mut self, place: usize, entry: &'a NewEntry) {
        // What cannot be is found by whoever reads the journal.
        let _ = self.status.add(&entry.scope, entry.event, entry.detail.as_deref());
        match (&entry.scope, entry.event) {
            (Scope::Run, Event::Started) => {
                (self.went_on, self.went_on_from) = (Some(entry.at), place);
                self.began.clear();
                self.announced.clear();
            }
            (Scope::Step { unit, .. }, Event::Started) => {
                self.began.entry(unit).or_insert(entry.at);
            }
            (Scope::Step { unit, step }, Event::Sending) => {
                self.announced.insert((unit, *step), entry.detail.as_deref().unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// A lease, as the last write of it left it.
struct Held<'a> {
    holder: &'a str,
    namespace: &'a str,
    renewed_at: Timestamp,
    duration: SignedDuration,
}

/// What is known at one place of a history.
#[derive(Default)]
struct Judge<'a> {
    runs: BTreeMap<&'a RunId, OpenRun<'a>>,
    leases: BTreeMap<&'a ClusterArn, Held<'a>>,
    /// What each caller was last told.
    looks: BTreeMap<&'a str, Looks<'a>>,
    found: Vec<String>,
}

/// A step of a run.
struct Place<'a> {
    run: &'a RunId,
    unit: &'a Unit,
    index: usize,
    step: &'a Step,
}

impl<'a> Judge<'a> {
    fn called(&mut self, place: usize, record: &'a Record) {
        self.looks.entry(&record.by).or_default().add(place, record);
        if !record.applied {
            return;
        }
        if let Call::WriteLease { cluster, namespace, name, lease, .. } = &record.call
            && name == LEASE_NAME
        {
            let duration = SignedDuration::from_secs(lease.duration_seconds.into());
            let (holder, renewed_at) = (lease.holder.as_str(), record.at);
            self.leases.insert(cluster, Held { holder, namespace, renewed_at, duration });
        }
        if let Call::DeleteLease { cluster, name, .. } = &record.call
            && name == LEASE_NAME
        {
            self.leases.remove(cluster);
        }
    }

    fn write(&mut self, record: &'a Record) -> Result<(), String> {
        let nothing = Looks::default();
        let looks = self.looks.get(record.by.as_str()).unwrap_or(&nothing);
        let place = self.place(&record.call, looks)?;
        let open = &self.runs[place.run];
        let since = Since { looks, place: open.went_on_from };
        request::check(&record.call, place.unit, place.step, &since)?;
        if let Some(earlier) = (0..place.index).find(|it| !open.status.step(&place.unit.id.0, *it).is_done()) {
            return Err(format!("{}: its step {earlier} is not done", place.unit.id));
        }
        let is_done = |id: &crate::plan::UnitId| {
            let steps = open.plan.unit(id).map_or(0, |it| it.steps.len());
            open.status.unit(&id.0, steps) == UnitStatus::Done
        };
        if let Some(need) = place.unit.needs.iter().find(|it| !is_done(it)) {
            return Err(format!("{}: it needs {need}, which is not done", place.unit.id));
        }
        self.leases_count(&place, record)?;
        in_window(open, place.unit, record.at)?;
        self.take_announcement(&place, &record.call)
    }

    /// The one step of a run that says this and was begun.
    fn place(&self, call: &Call, looks: &Looks<'_>) -> Result<Place<'a>, String> {
        let mut all = Vec::new();
        for (run, open) in &self.runs {
            for unit in &open.plan.units {
                for (index, step) in unit.steps.iter().enumerate() {
                    if request::says(step, unit, call, looks) {
                        all.push(Place { run, unit, index, step });
                    }
                }
            }
        }
        if all.is_empty() {
            return Err("no step of a journaled plan says this".to_owned());
        }
        let status = |it: &Place<'_>| self.runs[it.run].status.step(&it.unit.id.0, it.index);
        all.retain(|it| status(it) == StepStatus::InDoubt);
        if all.len() > 1 {
            // A run that died in the middle of a step, and the run that undoes it: the lease tells who writes.
            all.retain(|it| self.holds_leases(it.run));
        }
        match all.len() {
            0 => Err("its step was not begun in the journal by whoever holds the lease".to_owned()),
            1 => all.pop().ok_or_else(String::new),
            steps => Err(format!("{steps} steps that are under way say this")),
        }
    }

    fn holds_leases(&self, run: &RunId) -> bool {
        let is_its = |it: &Held<'_>| it.holder.split(' ').next() == Some(run.as_str());
        self.runs[run].plan.clusters.iter().all(|it| self.leases.get(&it.arn).is_some_and(is_its))
    }

    /// A lease in each cluster of the plan, held by the run for longer than the call may take.
    fn leases_count(&self, place: &Place<'a>, record: &Record) -> Result<(), String> {
        let plan = self.runs[place.run].plan;
        let call = SignedDuration::from_secs(i64::try_from(plan.numbers.call_timeout).unwrap_or(i64::MAX));
        for cluster in &plan.clusters {
            let held = self.leases.get(&cluster.arn).filter(|it| it.namespace == plan.rules.lease_namespace);
            let Some(held) = held else { return Err(format!("there is no lease in {}", cluster.arn)) };
            if held.holder.split(' ').next() != Some(place.run.as_str()) {
                return Err(format!("the lease in {} is held by {}", cluster.arn, held.holder));
            }
            if record.at + call >= held.renewed_at + held.duration {
                return Err(format!("the lease in {} was last renewed at {}", cluster.arn, held.renewed_at));
            }
        }
        Ok(())
    }

    /// Of several calls of one step each is written ahead by itself.
    fn take_announcement(&mut self, place: &Place<'a>, call: &Call) -> Result<(), String> {
        let Some(wanted) = request::announcement(call) else { return Ok(()) };
        let open = self.runs.get_mut(place.run).ok_or("its run is not open")?;
        match open.announced.remove(&(place.unit.id.0.as_str(), place.index)) {
            Some(found) if found == wanted => Ok(()),
            found => Err(format!("{wanted:?} was not written ahead, but {found:?}")),
        }
    }
}

/// A window is open, or was when the unit was begun: what was begun is brought to its end.
fn in_window(open: &OpenRun<'_>, unit: &Unit, now: Timestamp) -> Result<(), String> {
    if open.plan.purpose != Purpose::Migrate {
        return Ok(());
    }
    let is_open = |at: Timestamp| matches!(opening(&open.plan.windows, at), Ok(Opening::Always | Opening::Until(_)));
    let began = open.began.get(unit.id.0.as_str()).copied().or(open.went_on);
    if is_open(now) || began.is_some_and(is_open) {
        return Ok(());
    }
    Err(format!("{}: no window is open", unit.id))
}
