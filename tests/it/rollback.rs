//! From a plan and what happened to the plan that undoes it.

use irsa_migrate::findings::Code;
use irsa_migrate::journal::{Entry, Event, RunId, Scope};
use irsa_migrate::model::{Digest, Kind};
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::settings::Waiver;
use irsa_migrate::plan::{Plan, Settings, UnitId, plan};
use irsa_migrate::rollback::{self, Extent, RollbackError};

use crate::inventories::{role_arn, several, subject};

struct Case {
    plan: Plan,
    digest: Digest,
    entries: Vec<Entry>,
}

impl Case {
    fn new() -> Self {
        let plan = plan(&several(), &Settings::default()).expect("a plan");
        let digest = Digest::of(&plan.to_bytes().expect("bytes"));
        Self { plan, digest, entries: Vec::new() }
    }

    /// One more thing that happened to a unit's step.
    fn step(mut self, unit: &UnitId, step: usize, event: Event) -> Self {
        self.add(Scope::Step { unit: unit.0.clone(), step }, event);
        self
    }

    fn unit(mut self, unit: &UnitId, event: Event) -> Self {
        self.add(Scope::Unit(unit.0.clone()), event);
        self
    }

    fn add(&mut self, scope: Scope, event: Event) {
        let seq = self.entries.len() as u64 + 1;
        let at = "2026-11-24T12:00:00Z".parse().expect("a time");
        self.entries.push(Entry { seq, at, scope, event, detail: None });
    }

    /// A unit of which every step succeeded.
    fn done(mut self, unit: &UnitId) -> Self {
        for step in 0..self.plan.unit(unit).expect("the unit").steps.len() {
            self = self.step(unit, step, Event::Started).step(unit, step, Event::Succeeded);
        }
        self
    }

    fn undo(&self, extent: &Extent) -> Result<Plan, RollbackError> {
        let undo = rollback::plan(&RunId::of(&self.digest), &self.digest, &self.plan, &self.entries, extent)?;
        let problems = check(&undo);
        assert!(problems.is_empty(), "{problems:#?}");
        Ok(undo)
    }

    /// The waves of the undo of the whole run, with their units.
    fn waves(&self) -> Vec<(String, Vec<UnitId>)> {
        self.undo(&Extent::Run).expect("an undo").waves.into_iter().map(|it| (it.name, it.units)).collect()
    }
}

fn shared() -> UnitId {
    UnitId::of_role(&role_arn("shared"))
}

fn cart() -> UnitId {
    UnitId::of_subject(&subject("blue", "shop", "cart"))
}

#[test]
fn what_never_started_is_left_out() {
    assert!(matches!(Case::new().undo(&Extent::Run), Err(RollbackError::Nothing)));
    let prepared = Case::new().done(&shared());
    assert_eq!(prepared.waves(), [("undo-prepare".to_owned(), vec![shared()])]);
}

#[test]
fn last_wave_first_and_the_role_behind_those_that_need_it() {
    let case = Case::new().done(&shared()).done(&cart());
    let waves = [("undo-rest".to_owned(), vec![cart()]), ("undo-prepare".to_owned(), vec![shared()])];
    assert_eq!(case.waves(), waves);
    let undo = case.undo(&Extent::Run).expect("an undo");
    assert_eq!(undo.unit(&shared()).expect("the role").needs, [cart()]);
    assert_eq!(undo.unit(&cart()).expect("the unit").steps, case.plan.unit(&cart()).expect("the unit").undo);
}

/// Each way that the switch may have ended, and whether it is undone.
#[test]
fn what_may_have_happened_is_undone_and_what_others_did_is_not() {
    let prepared = || Case::new().done(&shared());
    let undone = |case: Case| case.waves().iter().any(|(_, units)| units.contains(&cart()));
    assert!(undone(prepared().step(&cart(), 0, Event::Started)), "in doubt");
    assert!(undone(prepared().step(&cart(), 0, Event::Started).step(&cart(), 0, Event::Failed)), "failed");
    assert!(!undone(prepared().step(&cart(), 0, Event::Refused)), "refused");
    assert!(!undone(prepared().step(&cart(), 0, Event::Unneeded)), "unneeded");
    assert!(!undone(prepared().unit(&cart(), Event::Refused)), "refused as a whole");
    assert!(!undone(prepared().done(&cart()).unit(&cart(), Event::Undone)), "undone already");
}

#[test]
fn a_role_is_not_taken_from_under_its_service_accounts() {
    let case = Case::new().done(&shared()).done(&cart());
    let refused = case.undo(&Extent::Unit(shared()));
    assert!(matches!(refused, Err(RollbackError::StillNeeded { unit, by }) if unit == shared() && by == cart()));
    let refused = case.undo(&Extent::Wave("prepare".to_owned()));
    assert!(matches!(refused, Err(RollbackError::StillNeeded { .. })));
    let part = case.undo(&Extent::Unit(cart())).expect("an undo");
    assert_eq!(part.units.len(), 1);
}

#[test]
fn what_is_not_there_is_said() {
    let case = Case::new().done(&shared());
    assert!(matches!(case.undo(&Extent::Wave("no".to_owned())), Err(RollbackError::NoSuchWave(_))));
    assert!(matches!(case.undo(&Extent::Unit(UnitId("no".to_owned()))), Err(RollbackError::NoSuchUnit(_))));
    let undo = case.undo(&Extent::Run).expect("an undo");
    let again = rollback::plan(&RunId::of(&case.digest), &case.digest, &undo, &[], &Extent::Run);
    assert!(matches!(again, Err(RollbackError::IsRollback(_))));
    let broken = case.step(&cart(), 0, Event::Succeeded);
    assert!(matches!(broken.undo(&Extent::Run), Err(RollbackError::Illegal(_))));
}

/// What was done and cannot be undone by the plan is said, rather than left out.
#[test]
fn what_has_no_undo_is_not_nothing() {
    let without = |id: &UnitId| {
        let mut case = Case::new().done(&shared()).done(&cart());
        case.plan.units.iter_mut().find(|it| it.id == *id).expect("the unit").undo.clear();
        case
    };
    for id in [shared(), cart()] {
        let case = without(&id);
        let refused = case.undo(&Extent::Run);
        assert!(matches!(&refused, Err(RollbackError::NoUndo(it)) if *it == id), "{refused:?}");
        assert_eq!(
            refused.expect_err("no undo").to_string(),
            format!("{id} was started, and the run's plan holds no undo for it: it has to be undone by hand")
        );
    }
    assert!(matches!(without(&cart()).undo(&Extent::Unit(cart())), Err(RollbackError::NoUndo(_))));
    // What is not undone needs none, nor does what never started.
    let part = without(&shared()).undo(&Extent::Unit(cart())).expect("an undo");
    assert_eq!(part.units.len(), 1);
    let mut untouched = Case::new();
    untouched.plan.units.iter_mut().for_each(|it| it.undo.clear());
    assert!(matches!(untouched.undo(&Extent::Run), Err(RollbackError::Nothing)));
}

#[test]
fn an_undo_is_a_plan_of_the_program_that_makes_it() {
    let mut case = Case::new().done(&shared());
    // As another program wrote it, with an answer to a finding that an undo does not ask about.
    case.plan.format.minor += 1;
    case.plan.tool = "0.0.1".to_owned();
    case.plan.waived.push(Waiver {
        code: Code::SecondRole,
        cluster: None,
        subject: "shop/cart".to_owned(),
        reason: "nobody calls it".to_owned(),
        expires: "2026-11-25T12:00:00Z".parse().expect("a time"),
    });
    let undo = case.undo(&Extent::Run).expect("an undo");
    assert_eq!((undo.format, undo.tool.as_str()), (Kind::Plan.current(), env!("CARGO_PKG_VERSION")));
    assert_eq!(undo.waived, []);
}
