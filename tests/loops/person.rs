//! What a person does with the program, in the world's time: apply, go on, undo.

use irsa_migrate::apply::{ApplyError, Ending, Options, Stop, Why, apply};
use irsa_migrate::journal::{Event, NewEntry, Run, RunId, RunStatus, Scope, UnitStatus};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Plan, Purpose, Settings, plan};
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::rehearse::broken_promises;
use irsa_migrate::rollback::{self, Extent, RollbackError};
use irsa_migrate::scan::{self, Wanted};
use irsa_migrate::sim::{MemoryJournal, Sim, Stopped};

/// How one call of the program ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Every unit has ended.
    Ended(Ending),
    /// It stopped on the way, and said why.
    Paused(Ending),
    /// It did not begin, and said why.
    Declined(ApplyError),
    /// The program was ended.
    Crashed,
}

/// A person with a journal.
pub(crate) struct Person<'a> {
    pub(crate) sim: &'a Sim,
    pub(crate) journal: &'a MemoryJournal,
    /// Calls at which Ctrl-C is pressed.
    pub(crate) stops: &'a [u64],
}

pub(crate) fn bytes_of(plan: &Plan) -> Vec<u8> {
    plan.to_bytes().expect("a plan can be written")
}

pub(crate) fn run_of(plan: &Plan) -> RunId {
    RunId::of(&Digest::of(&bytes_of(plan)))
}

impl Person<'_> {
    /// Carries a plan out, or goes on with it, once.
    pub(crate) fn carry_out(&self, plan: &Plan) -> Result<Outcome, String> {
        let Self { sim, journal, stops } = *self;
        let (bytes, stop) = (bytes_of(plan), Stop::default());
        let options = Options { through: None, holder: "rehearsal".to_owned() };
        let began = sim.world().history().number_of_calls();
        let mut emit = |_| {
            let now = sim.world().history().number_of_calls();
            if stops.iter().any(|it| (began + 1..=now).contains(it)) {
                stop.ask();
            }
        };
        match sim.run(async { apply(sim, journal, &bytes, &options, &stop, &mut emit).await }) {
            Ok(Ok(ending)) if ending.why == Why::Ended => Ok(Outcome::Ended(ending)),
            Ok(Ok(ending)) => Ok(Outcome::Paused(ending)),
            Ok(Err(error)) => Ok(Outcome::Declined(error)),
            Err(Stopped::Crashed) => {
                sim.restart();
                Ok(Outcome::Crashed)
            }
            Err(stopped @ (Stopped::Stuck | Stopped::TimeUp)) => Err(format!("{stopped}: it turns in circles")),
        }
    }

    /// Carries a plan out until every unit has ended; `Err` where that takes too many tries.
    pub(crate) fn until_ended(&self, plan: &Plan, tries: usize) -> Result<Ending, String> {
        let mut last = String::new();
        for _ in 0..tries {
            match self.carry_out(plan)? {
                Outcome::Ended(ending) => return Ok(ending),
                Outcome::Paused(ending) => last = format!("{:?}: {:?}", ending.why, self.left(plan)?),
                Outcome::Declined(error) => last = error.to_string(),
                Outcome::Crashed => {}
            }
        }
        Err(format!("does not end: {last}"))
    }

    /// Scans and plans again; `None` where the world gave no answer.
    pub(crate) fn plan_again(&self, settings: &str) -> Result<Option<Plan>, String> {
        let sim = self.sim;
        let arns = sim.world().cluster_arns();
        let wanted: Vec<Wanted> = arns.into_iter().map(|arn| Wanted { arn, context: None }).collect();
        let inventory = match sim.run(async { scan::scan(sim, &wanted, &mut |_| {}).await }) {
            Ok(Ok(inventory)) => inventory,
            Ok(Err(_)) => return Ok(None),
            Err(Stopped::Crashed) => {
                sim.restart();
                return Ok(None);
            }
            Err(stopped) => return Err(format!("a scan does not end: {stopped}")),
        };
        let settings = Settings::parse(settings).expect("a shape's settings");
        let plan = plan(&inventory, &settings).map_err(|error| error.to_string())?;
        let problems = check(&plan);
        if problems.is_empty() { Ok(Some(plan)) } else { Err(format!("a plan that does not hold: {problems:?}")) }
    }

    /// How far a plan's run is.
    pub(crate) fn status(&self, plan: &Plan) -> Result<RunStatus, String> {
        let run = run_of(plan);
        if !self.runs()?.iter().any(|it| it.id == run) {
            return Ok(RunStatus::default());
        }
        let entries = self.sim.run(self.journal.entries(&run)).map_err(|it| it.to_string())?;
        RunStatus::of(&entries.map_err(|it| it.to_string())?).map_err(|it| it.to_string())
    }

    /// The units of a plan that are not done, each with what was said of it.
    pub(crate) fn left(&self, plan: &Plan) -> Result<Vec<(String, UnitStatus, Option<String>)>, String> {
        let status = self.status(plan)?;
        let line = |it: &irsa_migrate::plan::Unit| {
            let found = status.unit(&it.id.0, it.steps.len());
            let left = !matches!(found, UnitStatus::Done | UnitStatus::Undone);
            left.then(|| (it.id.to_string(), found, status.detail(&it.id.0).map(str::to_owned)))
        };
        Ok(plan.units.iter().filter_map(line).collect())
    }

    /// Rolls back a run or a part of it, once, as the command does: an undo of it that is open already
    /// goes on instead. `None` where there is nothing to undo.
    pub(crate) fn roll_back(&self, plan: &Plan, extent: &Extent) -> Result<Option<(Plan, Outcome)>, String> {
        let undo = match self.open_undo(plan)? {
            Some(undo) => Some(undo),
            None => self.undo(plan, extent)?,
        };
        let Some(undo) = undo else { return Ok(None) };
        let outcome = self.carry_out(&undo)?;
        Ok(Some((undo, outcome)))
    }

    /// Gives a run up, as the command does: one of which nothing is to be undone, or a rollback that is stuck.
    pub(crate) fn close(&self, plan: &Plan) -> Result<(), String> {
        let status = self.status(plan)?;
        let run = run_of(plan);
        let is_needed =
            || Ok::<_, String>(plan.purpose == Purpose::Migrate && self.undo(plan, &Extent::Run)?.is_some());
        if status.is_closed() || !self.runs()?.iter().any(|it| it.id == run) || is_needed()? {
            return Ok(());
        }
        let (scope, event) = (Scope::Run, Event::Closed);
        let closed = NewEntry { at: self.sim.world().now(), scope, event, detail: Some("closed by hand".into()) };
        let appended = self.sim.run(self.journal.append(&run, status.last_seq() + 1, &closed));
        appended.map_err(|it| it.to_string())?.map_err(|it| it.to_string())
    }

    /// The plan of an undo of this plan's run that was begun and has not ended.
    fn open_undo(&self, plan: &Plan) -> Result<Option<Plan>, String> {
        let run = run_of(plan);
        let open = self.runs()?.into_iter().find(|it| !it.closed && it.reverts.as_ref() == Some(&run));
        open.map(|it| Plan::from_bytes(it.plan.as_bytes()).map_err(|error| error.to_string())).transpose()
    }

    fn runs(&self) -> Result<Vec<Run>, String> {
        self.sim.run(self.journal.runs()).map_err(|it| it.to_string())?.map_err(|it| it.to_string())
    }

    /// The plan that undoes a run or a part of it; `None` where there is nothing to undo, or where that
    /// part is still needed.
    pub(crate) fn undo(&self, plan: &Plan, extent: &Extent) -> Result<Option<Plan>, String> {
        let digest = Digest::of(&bytes_of(plan));
        let run = RunId::of(&digest);
        if !self.runs()?.iter().any(|it| it.id == run) {
            return Ok(None);
        }
        let entries = self.sim.run(self.journal.entries(&run)).map_err(|it| it.to_string())?;
        match rollback::plan(&run, &digest, plan, &entries.map_err(|it| it.to_string())?, extent) {
            Ok(undo) => Ok(Some(undo)),
            Err(RollbackError::Nothing | RollbackError::StillNeeded { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// No promise was broken at any moment.
pub(crate) fn unbroken(sim: &Sim, plan: &Plan) -> Result<(), String> {
    let broken = broken_promises(sim, plan);
    if broken.is_empty() { Ok(()) } else { Err(format!("broken: {:?}", &broken[..broken.len().min(3)])) }
}
