//! No pod is restarted before new pods are known to get Pod Identity: by probes, or where nothing can be probed by time.

use std::time::Duration;

use irsa_migrate::apply::{Ending, Why};
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::journal::{Event, Scope};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::Clock as _;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Deed, Fault, Lag, MemoryJournal, Sim};
use jiff::Timestamp;

use crate::beside::{carry_out_beside, first_cluster};
use crate::cycle::{carry_out, entries, plan_of, undo_of};

/// One ServiceAccount; the numbers are the defaults: 30 s to settle, and 120 s of rejections are enough.
fn shop(settings: &str) -> (Sim, Plan) {
    let world = Builder::new().cluster("blue").role("cart", &[("shop", "cart")]);
    let sim = world.service_account("shop", "cart", Some("cart")).deployment("shop", "cart", "cart", 2).sim();
    let plan = plan_of(&sim, settings);
    (sim, plan)
}

fn at(sim: &Sim, wanted: fn(&Call) -> bool) -> Option<Timestamp> {
    sim.world().history().writes().find(|it| wanted(&it.call)).map(|it| it.at)
}

/// How many seconds after the association the first pod was restarted; `None` if none was.
fn restarted_after(sim: &Sim) -> Option<i64> {
    let made = at(sim, |it| matches!(it, Call::CreateAssociation(_))).expect("an association");
    at(sim, |it| matches!(it, Call::Stamp { .. })).map(|it| it.duration_since(made).as_secs())
}

fn says(sim: &Sim, journal: &MemoryJournal, plan: &Plan, words: &str) -> bool {
    entries(sim, journal, plan).iter().any(|it| it.detail.as_ref().is_some_and(|it| it.contains(words)))
}

/// Carries the plan out; pods are rejected for so many seconds from now on.
fn rejected_for(sim: &Sim, journal: &MemoryJournal, plan: &Plan, seconds: u64) -> Ending {
    let cluster = first_cluster(sim);
    sim.world().reject_pods(&cluster, "shop", Some("a policy")).unwrap();
    let allow = async {
        sim.sleep(Duration::from_secs(seconds)).await;
        sim.world().reject_pods(&cluster, "shop", None).unwrap();
    };
    carry_out_beside(sim, journal, plan, allow)
}

#[test]
fn where_it_is_only_observed_the_association_has_its_time_to_settle() {
    let (sim, plan) = shop("[apply]\neffective = \"observe\"");
    let journal = sim.journal();
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().done, 2);
    let after = restarted_after(&sim).expect("a restart");
    assert!((30..=45).contains(&after), "{after} s");
    assert!(says(&sim, &journal, &plan, "observed, not probed"));
}

#[test]
fn where_every_probe_is_rejected_it_is_observed_if_that_was_allowed() {
    let (sim, plan) = shop("[apply]\nobserve_if_rejected = true");
    let journal = sim.journal();
    let ending = rejected_for(&sim, &journal, &plan, 400);
    assert_eq!((ending.done, ending.failed), (2, 0), "{ending:?}");
    let after = restarted_after(&sim).expect("a restart");
    assert!((150..=170).contains(&after), "{after} s");
    assert!(says(&sim, &journal, &plan, "no probe was ever admitted"));

    // Rejections that end in time leave nothing to observe.
    let (sim, plan) = shop("[apply]\nobserve_if_rejected = true");
    let journal = sim.journal();
    rejected_for(&sim, &journal, &plan, 100);
    assert!(!says(&sim, &journal, &plan, "observed"));

    // And where it was not allowed, nobody is restarted as long as nobody can tell.
    let (sim, plan) = shop("[apply]\nobserve_if_rejected = false");
    let journal = sim.journal();
    rejected_for(&sim, &journal, &plan, 400);
    assert!(restarted_after(&sim).is_some_and(|it| it > 300), "{:?}", restarted_after(&sim));
    assert!(!says(&sim, &journal, &plan, "observed"));
}

/// Forward a probe without the workload's template would prove nothing about its pods.
#[test]
fn on_the_way_there_a_workload_that_was_deleted_is_not_probed_for_with_a_plain_pod() {
    let (start, plan) = shop("");
    let whole = start.fork();
    carry_out(&whole, &whole.journal(), &plan).unwrap();
    let probes: Vec<u64> = {
        let world = whole.world();
        world.history().calls().filter(|it| it.call.operation() == "probe").map(|it| it.number).collect()
    };
    assert!(probes.len() > 3, "{probes:?}");
    let at = WorkloadRef { kind: WorkloadKind::Deployment, namespace: "shop".into(), name: "cart".into() };
    for call in probes {
        let sim = start.fork();
        let journal = sim.journal();
        let cluster = first_cluster(&sim);
        sim.world().meanwhile(call, Deed::DeleteWorkload(cluster, at.clone()));
        let ending = carry_out(&sim, &journal, &plan).unwrap();
        assert_eq!((ending.failed, ending.done), (1, 1), "call {call}: {ending:?}");
        assert_eq!(restarted_after(&sim), None, "call {call}");
        // It is the proof that fails, and not the restart that would have followed it.
        let failed = entries(&sim, &journal, &plan).into_iter().find(|it| it.event == Event::Failed).unwrap();
        assert!(matches!(failed.scope, Scope::Step { step: 1, .. }), "call {call}: {failed:?}");
        let undo = undo_of(&sim, &journal, &plan);
        assert_eq!(carry_out(&sim, &journal, &undo).unwrap().why, Why::Ended, "call {call}");
    }
}

#[test]
fn an_admitted_probe_in_the_old_mode_is_waited_out_and_never_taken_for_a_rejection() {
    for allowed in [true, false] {
        let (sim, plan) = shop(&format!("[apply]\nobserve_if_rejected = {allowed}"));
        sim.world().set_lag(Lag { webhook: Duration::from_secs(240), ..Lag::default() });
        let journal = sim.journal();
        assert_eq!(carry_out(&sim, &journal, &plan).unwrap().done, 2);
        let after = restarted_after(&sim).expect("a restart");
        assert!(after >= 200, "{after} s");
        assert!(!says(&sim, &journal, &plan, "observed"));
    }
}

#[test]
fn a_probe_without_an_answer_is_taken_again_and_one_that_is_denied_is_a_failure() {
    let (start, plan) = shop("");
    let whole = start.fork();
    carry_out(&whole, &whole.journal(), &plan).unwrap();
    let first = {
        let world = whole.world();
        world.history().calls().find(|it| it.call.operation() == "probe").expect("a probe").number
    };
    for fault in [Fault::Before, Fault::Lost, Fault::Throttle, Fault::Deny] {
        let sim = start.fork();
        sim.world().fault_at(first, fault);
        let ending = carry_out(&sim, &sim.journal(), &plan).unwrap();
        let passes = fault != Fault::Deny;
        assert_eq!((ending.done, ending.failed), if passes { (2, 0) } else { (1, 1) }, "{fault:?}: {ending:?}");
        assert_eq!(restarted_after(&sim).is_some(), passes, "{fault:?}");
    }
}
