//! What a unit does about its pods once it has an association: whose restart it is, what is waited
//! for, and who is named where it ends.

use std::time::Duration;

use irsa_migrate::apply::{Ending, Progress, Stop, Why};
use irsa_migrate::inventory::{Mode, WorkloadKind, WorkloadRef};
use irsa_migrate::journal::{Event, Scope, UnitStatus};
use irsa_migrate::model::{RoleArn, Subject};
use irsa_migrate::plan::{Plan, Request};
use irsa_migrate::ports::{Clock as _, Cluster as _};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Call, Deed, MemoryJournal, Sim, Workload};

use crate::beside::{a_pod, carry_out_beside, carry_out_told, first_cluster};
use crate::cycle::{carry_out, entries, plan_of, status, undo_of};

fn shop(pods: u32, paused: bool) -> Sim {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .workload_with(WorkloadKind::Deployment, "shop", "cart", "cart", pods, |it| it.paused = paused)
        .sim()
}

fn at() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::Deployment, namespace: "shop".into(), name: "cart".into() }
}

fn subject(sim: &Sim) -> Subject {
    Subject { cluster: first_cluster(sim), namespace: "shop".into(), service_account: "cart".into() }
}

/// Carries the plan out; something happens as a step begins.
fn when(sim: &Sim, journal: &MemoryJournal, plan: &Plan, step: &str, happens: impl Fn(&Sim)) -> Ending {
    let mut tell = |progress: Progress| {
        if matches!(&progress, Progress::StepStarted { step: begun, .. } if begun == step) {
            happens(sim);
        }
    };
    carry_out_told(sim, journal, plan, &Stop::default(), &mut tell).unwrap()
}

/// What the journal says of the step that did not end well.
fn failed(sim: &Sim, journal: &MemoryJournal, plan: &Plan) -> String {
    let entries = entries(sim, journal, plan);
    let step =
        entries.iter().find(|it| matches!((&it.scope, it.event), (Scope::Step { .. }, Event::Failed | Event::Refused)));
    step.and_then(|it| it.detail.clone()).expect("a step that failed")
}

#[test]
fn a_workload_that_is_paused_just_before_its_restart_is_left_alone() {
    let sim = shop(2, false);
    let (plan, journal) = (plan_of(&sim, ""), sim.journal());
    let ending = when(&sim, &journal, &plan, "restart Deployment shop/cart", |sim| {
        let cluster = first_cluster(sim);
        sim.world().edit_workload(&cluster, &at(), |it| it.paused = true).unwrap();
    });
    assert_eq!((&ending.why, ending.done), (&Why::Failed, 1), "the role's unit alone: {ending:?}");
    let why = failed(&sim, &journal, &plan);
    assert!(why.starts_with("Deployment shop/cart: paused was false and is true"), "{why}");
    assert_eq!(sim.world().history().counts().get("stamp"), None, "nothing was restarted");
}

#[test]
fn a_restart_that_is_the_owners_is_waited_for() {
    let sim = shop(2, true);
    let (plan, journal) = (plan_of(&sim, "[apply]\nrestart = \"by-owner\""), sim.journal());
    let hour = Duration::from_mins(40);
    let owner = async {
        sim.sleep(hour).await;
        let (cluster, subject) = (first_cluster(&sim), subject(&sim));
        assert_eq!(sim.world().pods_on_pod_identity(&subject), 0, "nobody restarted it");
        let deploy =
            |it: &mut Workload| (it.paused, it.template.image) = (false, "registry.example.com/next".to_owned());
        sim.world().edit_workload(&cluster, &at(), deploy).unwrap();
    };
    let ending = carry_out_beside(&sim, &journal, &plan, owner);
    assert_eq!((&ending.why, ending.failed), (&Why::Ended, 0), "{ending:?}");
    assert!(sim.monotonic() > hour);
    let subject = subject(&sim);
    assert_eq!(sim.world().pods_on_pod_identity(&subject), 2);
    assert_eq!(sim.world().history().counts().get("stamp"), None, "by its owner alone");
}

#[test]
fn an_owner_who_does_not_restart_it_leaves_the_unit_failed() {
    let sim = shop(2, true);
    let (plan, journal) = (plan_of(&sim, "[apply]\nrestart = \"by-owner\""), sim.journal());
    let ending = carry_out(&sim, &journal, &plan).unwrap();
    assert_eq!(ending.why, Why::Failed, "{ending:?}");
    let why = failed(&sim, &journal, &plan);
    assert!(
        why.contains("the owner of Deployment shop/cart to restart it (2 pods are not on Pod Identity yet)"),
        "{why}"
    );
}

#[test]
fn at_last_every_pod_must_be_on_pod_identity_and_one_that_is_not_is_named() {
    let sim = shop(2, false);
    let (plan, journal) = (plan_of(&sim, ""), sim.journal());
    let ending = when(&sim, &journal, &plan, "verify", |sim| {
        let (cluster, pod) = (first_cluster(sim), a_pod(sim, "shop", "cart"));
        sim.world().set_webhook_down(&cluster, true).unwrap();
        sim.world().lose_pod(&cluster, "shop", &pod).unwrap();
    });
    assert_eq!(ending.why, Why::Failed, "{ending:?}");
    let why = failed(&sim, &journal, &plan);
    assert!(why.contains("to be Ready and on Pod Identity (it is Ready, on "), "{why}");
}

#[test]
fn a_rollback_that_is_stuck_names_the_pods_that_are_left_and_no_other() {
    let sim = shop(4, false);
    let (plan, journal) = (plan_of(&sim, ""), sim.journal());
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
    let undo = undo_of(&sim, &journal, &plan);
    // Two pods are replaced, and so are on IRSA again; one of them is on its way out; then nothing may be sent.
    let mut tell = |progress: Progress| {
        let Progress::StepStarted { step, .. } = &progress else { return };
        let cluster = first_cluster(&sim);
        if step == "effective" {
            let pods = sim.run(sim.pods_of(&subject(&sim))).unwrap().unwrap();
            for pod in pods.iter().filter(|it| !it.terminating).take(2) {
                sim.world().lose_pod(&cluster, "shop", &pod.name).unwrap();
            }
        } else if step == "put back Deployment shop/cart" {
            sim.world().edit_workload(&cluster, &at(), |it| it.replicas = 3).unwrap();
            sim.world().deny("stamp");
        }
    };
    let ending = carry_out_told(&sim, &journal, &undo, &Stop::default(), &mut tell).unwrap();
    assert_eq!(ending.why, Why::Failed, "{ending:?}");
    assert_ne!(status(&sim, &journal, &undo).unit(&undo.units[0].id.0, undo.units[0].steps.len()), UnitStatus::Done);
    let why = failed(&sim, &journal, &undo);
    let (trouble, left) = why.split_once("; not on IRSA: ").expect(&why);
    assert!(trouble.contains("stamp"), "{why}");
    let pods = sim.run(sim.pods_of(&subject(&sim))).unwrap().unwrap();
    assert!(pods.iter().any(|it| !it.terminating && it.mode != Mode::PodIdentity), "one is on IRSA: {pods:?}");
    assert!(pods.iter().any(|it| it.terminating), "one is on its way out: {pods:?}");
    let named: Vec<&str> = left.split(", ").collect();
    let on_pod_identity = pods.iter().filter(|it| it.mode == Mode::PodIdentity && !it.terminating);
    let wanted: Vec<String> = on_pod_identity.map(|it| format!("{} (Pod Identity)", it.name)).collect();
    assert!(!wanted.is_empty() && named == wanted, "{why}: {pods:?}");
}

/// Another tool associates the ServiceAccount again while its pods are put back.
#[test]
fn pods_that_stay_in_the_wrong_mode_are_bounced_as_often_as_the_plan_says_and_no_more() {
    let sim = shop(2, false);
    let (plan, journal) = (plan_of(&sim, ""), sim.journal());
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
    let role = RoleArn::parse("arn:aws:iam::111122223333:role/cart").unwrap();
    let undo = undo_of(&sim, &journal, &plan);
    let planned = undo.units.iter().flat_map(|it| &it.steps).find_map(|it| match &it.write {
        Some(Request::Unrestart { bounces, .. }) => Some(bounces.clone()),
        _ => None,
    });
    let planned = planned.expect("a restart to undo");
    assert!(planned.len() > 1, "{planned:?}");
    let before = sim.world().history().number_of_calls();
    let ending = when(&sim, &journal, &undo, "put back Deployment shop/cart", |sim| {
        let again = Deed::Associate(subject(sim), Some(role.clone()));
        sim.world().perform(&again).unwrap();
    });
    assert_eq!(ending.why, Why::Failed, "{ending:?}");
    let why = failed(&sim, &journal, &undo);
    let wanted = format!("2 pods stayed in the wrong mode after {} bounces", planned.len());
    assert!(why.starts_with(&wanted), "{why}");
    let world = sim.world();
    let sent = world.history().writes().filter(|it| it.number > before);
    let stamps: Vec<String> = sent
        .filter_map(|it| if let Call::Stamp { change, .. } = &it.call { change.after.clone() } else { None })
        .collect();
    assert_eq!(stamps, planned, "each once, in order");
}
