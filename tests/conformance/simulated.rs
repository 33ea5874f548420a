//! The simulated world that the scripts expect to find.

use std::time::Duration;

use irsa_migrate::inventory::{Strategy, WorkloadKind};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{BudgetRule, NeverReady, Sim};

use super::{Fixture, aws};

/// An account with the role, and the empty cluster.
pub(crate) fn account(fixture: &Fixture) -> Builder {
    Builder::new().account(fixture.role.account().as_str()).cluster("conformance").role_with("app", &aws::open())
}

/// The same with the workloads of the script [`super::kubernetes`].
pub(crate) fn cluster(fixture: &Fixture) -> Sim {
    use WorkloadKind::{CronJob, DaemonSet, Deployment, StatefulSet};
    let ns = fixture.namespace.as_str();
    let twice: &[_] = &[(Deployment, "twice")];
    let sim = account(fixture)
        .service_account(ns, "app", Some("app"))
        .deployment(ns, "web", "app", 3)
        .workload_with(Deployment, ns, "once", "app", 2, |it| it.strategy = Strategy::Recreate)
        .workload_with(Deployment, ns, "held", "app", 1, |it| it.paused = true)
        .workload_with(Deployment, ns, "stuck", "app", 3, |it| it.progress_deadline_seconds = Some(10))
        .deployment(ns, "lone", "app", 1)
        .deployment(ns, "twice", "app", 1)
        .workload(StatefulSet, ns, "db", "app", 2)
        .workload_with(StatefulSet, ns, "part", "app", 2, |it| it.partition = 1)
        .workload_with(StatefulSet, ns, "cache", "app", 1, |it| it.strategy = Strategy::OnDelete)
        .workload(DaemonSet, ns, "each", "app", 3)
        .workload_with(DaemonSet, ns, "log", "app", 3, |it| it.strategy = Strategy::OnDelete)
        .workload_with(CronJob, ns, "nightly", "app", 1, |it| {
            it.schedule = Some("0 3 1 1 *".to_owned());
            it.every = Duration::from_hours(24 * 365);
        })
        .bare_pod(ns, "bare", "app")
        .budget(ns, "lone", BudgetRule::MinAvailable(1), &[(Deployment, "lone")])
        .budget(ns, "twice", BudgetRule::MinAvailable(0), twice)
        .budget(ns, "twice-more", BudgetRule::MinAvailable(0), twice)
        .sim();
    let stuck =
        irsa_migrate::inventory::WorkloadRef { kind: Deployment, namespace: ns.to_owned(), name: "stuck".to_owned() };
    // Its first pods are there; from now on none becomes Ready.
    let edited = sim.world().edit_workload(&fixture.cluster, &stuck, |it| it.never_ready = Some(NeverReady::New));
    edited.expect("it is there");
    sim
}
