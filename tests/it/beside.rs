//! A plan is carried out while others are told of it, or do something of their own.

use irsa_migrate::apply::{ApplyError, Ending, Options, Progress, Stop, apply};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::Cluster as _;
use irsa_migrate::sim::{MemoryJournal, Sim};

/// The only cluster of a world, or its first.
pub(crate) fn first_cluster(sim: &Sim) -> ClusterArn {
    sim.world().cluster_arns().remove(0)
}

/// The name of a pod of a ServiceAccount there; one of before may be on its way out, and is not meant.
pub(crate) fn a_pod(sim: &Sim, namespace: &str, service_account: &str) -> String {
    let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
    let subject = Subject { cluster: first_cluster(sim), namespace, service_account };
    let pods = sim.run(sim.pods_of(&subject)).unwrap().unwrap();
    pods.into_iter().find(|it| !it.terminating).expect("a pod that stays").name
}

/// Carries a plan out in a world that somebody else drives.
pub(crate) async fn applied(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    stop: &Stop,
    tell: &mut dyn FnMut(Progress),
) -> Result<Ending, ApplyError> {
    applied_through(sim, journal, plan, None, stop, tell).await
}

async fn applied_through(
    sim: &Sim,
    journal: &MemoryJournal,
    plan: &Plan,
    wave: Option<&str>,
    stop: &Stop,
    tell: &mut dyn FnMut(Progress),
) -> Result<Ending, ApplyError> {
    let options = Options { through: wave.map(str::to_owned), holder: "test".to_owned() };
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
    let (stop, mut told) = (Stop::default(), Vec::new());
    let mut tell = |progress| told.push(progress);
    let ended = sim.run(applied_through(sim, journal, plan, wave, &stop, &mut tell)).unwrap();
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
