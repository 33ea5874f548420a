//! Scan, plan, apply and roll back on the simulated world, in its time.

use irsa_migrate::apply::{self, Ending, Options, Stop, Why};
use irsa_migrate::inventory::Inventory;
use irsa_migrate::journal::{Entry, RunId, RunStatus};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::check::check;
use irsa_migrate::plan::{Plan, Settings, plan};
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::rollback::{self, Extent};
use irsa_migrate::scan::{self, Wanted};
use irsa_migrate::sim::{MemoryJournal, Sim, Stopped};

/// An inventory of every cluster of a world.
pub(crate) fn scan(sim: &Sim) -> Inventory {
    let wanted: Vec<Wanted> = sim.world().cluster_arns().into_iter().map(|arn| Wanted { arn, context: None }).collect();
    let scanned = sim.run(async { scan::scan(sim, &wanted, &mut |_| {}).await });
    scanned.expect("the world goes on").expect("an inventory")
}

/// A plan of all of it.
pub(crate) fn plan_of(sim: &Sim, settings: &str) -> Plan {
    let plan = plan(&scan(sim), &Settings::parse(settings).expect("settings")).expect("a plan");
    assert_eq!(check(&plan), []);
    plan
}

/// Carries a plan out as far as it goes; `Err` where the program was ended in the middle.
pub(crate) fn carry_out(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Result<Ending, Stopped> {
    let bytes = plan.to_bytes().expect("bytes");
    let options = Options { through: None, holder: "test".to_owned() };
    let done = sim.run(async { apply::apply(sim, journal, &bytes, &options, &Stop::default(), &mut |_| {}).await })?;
    Ok(done.expect("it can be applied"))
}

/// The run of a plan.
pub(crate) fn run_of(plan: &Plan) -> RunId {
    RunId::of(&Digest::of(&plan.to_bytes().expect("bytes")))
}

/// What the journal says of a plan's run.
pub(crate) fn entries(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Vec<Entry> {
    sim.run(journal.entries(&run_of(plan))).expect("the world goes on").expect("entries")
}

/// The plan that undoes a run.
pub(crate) fn undo_of(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> Plan {
    undo_of_part(sim, journal, plan, &Extent::Run)
}

/// The plan that undoes a part of a run.
pub(crate) fn undo_of_part(sim: &Sim, journal: &MemoryJournal, plan: &Plan, part: &Extent) -> Plan {
    let digest = Digest::of(&plan.to_bytes().expect("bytes"));
    rollback::plan(&run_of(plan), &digest, plan, &entries(sim, journal, plan), part).expect("an undo")
}

pub(crate) fn status(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> RunStatus {
    RunStatus::of(&entries(sim, journal, plan)).expect("a journal that can be")
}

#[test]
fn the_fleet_goes_there_and_back() {
    let sim = irsa_migrate::sim::fleet();
    let journal = sim.journal();
    let before = sim.world().state();
    let plan = plan_of(&sim, "");
    assert!(plan.units.len() >= 10, "{} units", plan.units.len());

    let ending = carry_out(&sim, &journal, &plan).expect("no crash");
    assert_eq!(ending.why, Why::Ended);
    assert_eq!((ending.failed, ending.refused, ending.pending), (0, 0, 0), "{ending:?}");
    assert_eq!(ending.done, plan.units.len());
    assert_ne!(sim.world().state(), before);

    let writes = sim.world().writes();
    assert_eq!(carry_out(&sim, &journal, &plan).expect("no crash").done, plan.units.len());
    assert_eq!(sim.world().writes(), writes, "the same plan again sends nothing");

    let undo = undo_of(&sim, &journal, &plan);
    let ending = carry_out(&sim, &journal, &undo).expect("no crash");
    assert_eq!(ending.why, Why::Ended);
    assert_eq!(ending.done, undo.units.len(), "{ending:?}");
    assert_eq!(before.differences(&sim.world().state()), Vec::<String>::new());
    let status = status(&sim, &journal, &plan);
    assert!(status.is_closed());
}
