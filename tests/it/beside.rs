//! A plan is carried out while others are told of it, or do something of their own.

use irsa_migrate::apply::{ApplyError, Ending, Options, Progress, Stop, apply};
use irsa_migrate::plan::Plan;
use irsa_migrate::sim::{MemoryJournal, Sim};

/// Carries a plan out in a world that somebody else drives.
pub(crate) async fn applied(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    stop: &Stop,
    tell: &mut dyn FnMut(Progress),
) -> Result<Ending, ApplyError> {
    let options = Options { through: None, holder: "test".to_owned() };
    apply(sim, journal, &plan.to_bytes().unwrap(), &options, stop, tell).await
}

/// Carries a plan out; `tell` is told of each progress.
pub(crate) fn carry_out_told(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    stop: &Stop,
    tell: &mut dyn FnMut(Progress),
) -> Result<Ending, ApplyError> {
    sim.run(applied(sim, journal, plan, stop, tell)).unwrap()
}

/// Carries a plan out through a wave, and no further. Gives what was told meanwhile, too.
pub(crate) fn carry_out_through(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    wave: Option<&str>,
) -> (Result<Ending, ApplyError>, Vec<Progress>) {
    let (bytes, stop, mut told) = (plan.to_bytes().unwrap(), Stop::default(), Vec::new());
    let options = Options { through: wave.map(str::to_owned), holder: "test".to_owned() };
    let mut tell = |progress| told.push(progress);
    let ended = sim.run(async { apply(sim, journal, &bytes, &options, &stop, &mut tell).await }).unwrap();
    (ended, told)
}

/// Carries a plan out while `others` go on beside it.
pub(crate) fn carry_out_beside(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    others: impl Future<Output = ()>,
) -> Ending {
    let (stop, mut silent) = (Stop::default(), |_: Progress| {});
    sim.run(async { futures::join!(applied(sim, journal, plan, &stop, &mut silent), others).0 }).unwrap().unwrap()
}
