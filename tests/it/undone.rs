//! A run is told, in its own journal, what a rollback has undone of it, and is closed where that is all of it.

use irsa_migrate::apply::{ApplyError, Ending, Why};
use irsa_migrate::journal::{Event, Scope, UnitStatus};
use irsa_migrate::model::Subject;
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Plan, Purpose, Request, UnitId, Work};
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::rollback::Extent;
use irsa_migrate::sim::{Happening, JournalFault, MemoryJournal, Sim};

use crate::asked::{SHORT, shop};
use crate::beside::{carry_out_through, first_cluster};
use crate::cycle::{carry_out, entries, plan_of, run_of, status, undo_of, undo_of_part};
use crate::stuck::role;

/// A run that was carried out through a wave, or to its end.
struct Case {
    sim: Sim,
    journal: MemoryJournal,
    plan: Plan,
}

impl Case {
    fn through(wave: Option<&str>) -> Self {
        let sim = shop();
        let (plan, journal) = (plan_of(&sim, SHORT), sim.journal());
        carry_out_through(&sim, &journal, &plan, wave).0.unwrap();
        Self { sim, journal, plan }
    }

    fn undo(&self) -> Plan {
        undo_of(&self.sim, &self.journal, &self.plan)
    }

    fn carry_out(&self, plan: &Plan) -> Ending {
        carry_out(&self.sim, &self.journal, plan).unwrap()
    }

    fn unit(&self, wanted: impl Fn(&Work) -> bool) -> UnitId {
        self.plan.units.iter().find(|it| wanted(&it.work)).expect("the unit").id.clone()
    }

    /// The ServiceAccount of the first wave.
    fn cart(&self) -> UnitId {
        self.unit(|it| matches!(it, Work::ServiceAccount(work) if work.subject.service_account == "cart"))
    }

    /// The units of which the run was told that this plan has undone them, sorted.
    fn told(&self, by: &Plan) -> Vec<UnitId> {
        let why = format!("undone by run {}", run_of(by));
        let all = entries(&self.sim, &self.journal, &self.plan);
        let mut told: Vec<UnitId> = all
            .into_iter()
            .filter(|it| it.event == Event::Undone)
            .map(|it| {
                assert_eq!(it.detail.as_ref(), Some(&why));
                let Scope::Unit(unit) = it.scope else { panic!("{it:?}") };
                UnitId(unit)
            })
            .collect();
        told.sort();
        told
    }

    /// What was said of the run's end.
    fn closed(&self) -> Vec<Option<String>> {
        let all = entries(&self.sim, &self.journal, &self.plan).into_iter();
        all.filter(|it| it.event == Event::Closed).map(|it| it.detail).collect()
    }
}

fn units(plan: &Plan) -> Vec<UnitId> {
    let mut units: Vec<UnitId> = plan.units.iter().map(|it| it.id.clone()).collect();
    units.sort();
    units
}

#[test]
fn a_run_that_stopped_half_way_is_closed_once_it_is_undone() {
    let case = Case::through(Some("first"));
    let undo = case.undo();
    assert_eq!(case.carry_out(&undo).why, Why::Ended);
    assert_eq!(case.told(&undo), units(&undo));
    assert_eq!(case.closed(), [Some("undone".to_owned())]);

    let again = case.carry_out(&case.plan);
    assert_eq!((again.why, again.done, again.undone, again.pending), (Why::Ended, 0, 3, 1), "what is undone stays so");
}

#[test]
fn a_run_that_had_ended_is_not_closed_again() {
    let case = Case::through(None);
    let undo = case.undo();
    assert_eq!(case.carry_out(&undo).why, Why::Ended);
    assert_eq!(case.told(&undo), units(&undo));
    assert_eq!(case.closed(), [None]);
}

#[test]
fn it_is_told_at_once_of_what_is_undone_and_not_of_what_is_stuck() {
    let case = Case::through(None);
    let undo = case.undo();
    // Somebody's association lives by our statement in one of the roles.
    let cluster = first_cluster(&case.sim);
    let other = Subject { cluster, namespace: "carts".into(), service_account: "stranger".into() };
    case.sim.world().edit_association(&other, Some(&role())).unwrap();
    assert_eq!(case.carry_out(&undo).why, Why::Failed);
    let stuck = UnitId::of_role(&role());
    let others: Vec<UnitId> = units(&undo).into_iter().filter(|it| *it != stuck).collect();
    assert_eq!((case.told(&undo), others.len()), (others, 3));

    case.sim.world().edit_association(&other, None).unwrap();
    assert_eq!(case.carry_out(&undo).why, Why::Ended);
    assert_eq!(case.told(&undo), units(&undo), "each once");
}

/// Each rollback that died after its own entry and before the other run's tells it when it goes on.
#[test]
fn what_died_between_the_two_entries_is_told_later() {
    let whole = Case::through(None);
    whole.carry_out(&whole.undo());
    let world = whole.sim.world();
    let entries = world.history().all().iter().filter_map(|it| match it {
        Happening::Journaled { entry, .. } => Some(entry.event),
        Happening::Called(_) | Happening::Foreign { .. } | Happening::Opened { .. } => None,
    });
    let undone: Vec<u64> = (1..).zip(entries).filter(|(_, event)| *event == Event::Undone).map(|it| it.0).collect();
    assert_eq!(undone.len(), 4);
    for number in undone {
        let case = Case::through(None);
        let undo = case.undo();
        case.journal.fail_at(number, JournalFault::CrashBefore);
        assert!(carry_out(&case.sim, &case.journal, &undo).is_err(), "{number}: it dies");
        case.sim.restart();
        case.journal.heal();
        assert!(case.told(&undo).len() < 4, "{number}");
        assert_eq!(case.carry_out(&undo).why, Why::Ended, "{number}");
        assert_eq!(case.told(&undo), units(&undo), "{number}: each once");
    }
}

#[test]
fn nobody_goes_on_with_a_run_that_is_being_undone() {
    let case = Case::through(Some("first"));
    let undo = case.undo();
    let (ending, _) = carry_out_through(&case.sim, &case.journal, &undo, Some(&undo.waves[0].name));
    assert!(matches!(ending.unwrap().why, Why::Through(_)));
    let before = case.sim.world().history().number_of_calls();
    let (refused, told) = carry_out_through(&case.sim, &case.journal, &case.plan, None);
    let Err(ApplyError::Ended(why)) = refused else { panic!("{refused:?}") };
    let (run, by) = (run_of(&case.plan), run_of(&undo));
    assert_eq!(why, format!("run {run} is being undone by run {by}, which is not finished"));
    assert_eq!((told, case.sim.world().history().number_of_calls()), (vec![], before));
    assert_eq!(case.carry_out(&undo).why, Why::Ended);
}

#[test]
fn where_a_part_is_undone_the_rest_goes_on() {
    let case = Case::through(Some("first"));
    let undo = undo_of_part(&case.sim, &case.journal, &case.plan, &Extent::Unit(case.cart()));
    assert_eq!(case.carry_out(&undo).why, Why::Ended);
    assert_eq!((case.told(&undo), case.closed()), (vec![case.cart()], vec![]));

    let ending = case.carry_out(&case.plan);
    assert_eq!((ending.why, ending.done, ending.undone), (Why::Ended, 3, 1));
    let steps = case.plan.unit(&case.cart()).expect("the unit").steps.len();
    let status = status(&case.sim, &case.journal, &case.plan);
    assert_eq!(status.unit(&case.cart().0, steps), UnitStatus::Undone);
}

/// An undo's file may be right by itself, and not be what was reviewed with the plan.
#[test]
fn an_undo_that_was_not_reviewed_is_refused() {
    let case = Case::through(None);
    let refused = |undo: &Plan| {
        assert_eq!(check(undo), []);
        let writes = case.sim.world().writes();
        let ended = carry_out_through(&case.sim, &case.journal, undo, None).0;
        let Err(ApplyError::Plan(said)) = ended else { panic!("{ended:?}") };
        assert_eq!(case.sim.world().writes(), writes);
        assert_eq!(case.sim.run(case.journal.runs()).unwrap().unwrap().len(), 1, "no run was opened for it");
        said
    };
    let mut stamped = case.undo();
    let steps = stamped.units.iter_mut().flat_map(|it| &mut it.steps);
    for step in steps {
        if let Some(Request::Unrestart { before, .. }) = &mut step.write {
            *before = Some("someone-elses".to_owned());
        }
    }
    let wanted = ": its steps are not the undo in the plan that is undone";
    assert!(refused(&stamped).ends_with(wanted), "{}", refused(&stamped));
    let mut patient = case.undo();
    patient.numbers.observe_after += 1;
    assert_eq!(refused(&patient), "it is not made with the clusters, rules and numbers of the plan that it undoes");
    let mut renamed = case.undo();
    let Purpose::Undo { run, plan, .. } = &mut renamed.purpose else { panic!("an undo") };
    let digest = format!("{}{}", plan.short(12), "0".repeat(52));
    *plan = serde_json::from_value(digest.into()).unwrap();
    let wanted = format!("run {run}, which it undoes, is not of the plan that it names");
    assert_eq!(refused(&renamed), wanted);
    assert_eq!(case.carry_out(&case.undo()).why, Why::Ended);
}
