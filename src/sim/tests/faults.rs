//! Calls that fail, programs that end, journals that are full.

use super::*;
use crate::journal::{Event, NewEntry, Run, RunId, Scope};
use crate::model::Digest;
use crate::ports::{Clock as _, Iam as _, JournalError, JournalStore as _, PortError};
use crate::sim::{Fault, Happening, JournalFault, Service, Stopped};

/// One write under a fault: what it did, and what was said.
fn write_under(fault: Fault) -> (bool, Result<Answer<()>, Stopped>) {
    let sim = shop().sim();
    let document = sim.world().state().trusts[ROLE].replace("cart\"", "cart2\"");
    let next = sim.world().history().number_of_calls() + 1;
    sim.world().fault_at(next, fault);
    let answer = sim.run(sim.set_trust(&role(), &document));
    let applied = sim.world().state().trusts[ROLE] == document;
    assert_eq!(sim.world().writes(), usize::from(applied));
    (applied, answer)
}

#[test]
fn each_fault_does_what_it_says() {
    for fault in Fault::ALL {
        let (applied, answer) = write_under(fault);
        assert_eq!(applied, fault.takes_effect(), "{fault:?}");
        match fault {
            Fault::Before | Fault::Lost => assert!(matches!(answer, Ok(Err(PortError::Unreachable(_))))),
            Fault::After => assert!(matches!(answer, Ok(Err(PortError::Server(_))))),
            Fault::Throttle => assert!(matches!(answer, Ok(Err(PortError::Throttled(_))))),
            Fault::Deny => assert!(matches!(answer, Ok(Err(PortError::Denied(_))))),
            Fault::Expire => assert!(matches!(answer, Ok(Err(PortError::Credentials(_))))),
            Fault::CrashBefore | Fault::CrashAfter => assert_eq!(answer, Err(Stopped::Crashed)),
        }
    }
}

#[test]
fn some_faults_last_until_they_are_healed() {
    let sim = shop().sim();
    sim.world().fault_at(1, Fault::Deny);
    assert!(matches!(sim.run(sim.role(&role())).unwrap(), Err(PortError::Denied(_))));
    assert!(matches!(sim.run(sim.role(&role())).unwrap(), Err(PortError::Denied(_))));
    assert!(sim.run(sim.caller()).unwrap().is_ok(), "another operation");
    sim.world().fault_at(4, Fault::Expire);
    assert!(matches!(sim.run(sim.caller()).unwrap(), Err(PortError::Credentials(_))));
    assert!(matches!(sim.run(sim.caller()).unwrap(), Err(PortError::Credentials(_))));
    sim.world().heal();
    assert!(sim.run(sim.role(&role())).unwrap().is_ok());
}

#[test]
fn after_a_crash_nothing_goes_on_until_somebody_restarts() {
    let sim = shop().sim();
    sim.world().fault_at(2, Fault::CrashBefore);
    let both = async {
        futures::join!(sim.caller(), async {
            sim.sleep(Duration::from_secs(1)).await;
            sim.role(&role()).await
        })
    };
    assert_eq!(sim.run(both).map(|_| ()), Err(Stopped::Crashed));
    assert_eq!(sim.run(sim.caller()).map(|_| ()), Err(Stopped::Crashed));
    sim.restart();
    assert!(sim.run(sim.caller()).unwrap().is_ok());
}

#[test]
fn a_rate_limit_refills_with_time() {
    let sim = shop().sim();
    sim.world().set_limit(Service::Iam, 1.0, 2.0);
    let ask = || sim.run(sim.caller()).unwrap();
    assert!(ask().is_ok() && ask().is_ok());
    assert!(matches!(ask(), Err(PortError::Throttled(_))));
    pass(&sim, 1);
    assert!(ask().is_ok());
    assert!(matches!(ask(), Err(PortError::Throttled(_))));
}

fn run_of(plan: &str, clusters: Vec<ClusterArn>, reverts: Option<RunId>) -> Run {
    let plan_digest = Digest::of(plan.as_bytes());
    Run {
        id: RunId::of(&plan_digest),
        plan_digest,
        plan: plan.into(),
        reverts,
        clusters,
        actor: "me".into(),
        tool: "0".into(),
        opened_at: "2026-03-02T09:00:00Z".parse().unwrap(),
        closed: false,
    }
}

#[test]
fn the_journal_has_the_semantics_of_the_one_in_a_file() {
    let sim = shop().sim();
    let journal = sim.journal();
    let entry = |event| NewEntry { at: sim.now(), scope: Scope::Run, event, detail: None };
    let (first, second) = (run_of("1", vec![cluster()], None), run_of("2", vec![cluster()], None));
    let undo = run_of("3", vec![cluster()], Some(first.id.clone()));
    sim.run(async {
        journal.open_run(&first).await.unwrap();
        journal.open_run(&first).await.unwrap();
        let open = JournalError::Open { run: first.id.clone(), cluster: cluster().to_string() };
        assert_eq!(journal.open_run(&second).await, Err(open));
        journal.open_run(&undo).await.unwrap();
        journal.append(&first.id, 1, &entry(Event::Started)).await.unwrap();
        assert!(matches!(journal.append(&first.id, 1, &entry(Event::Started)).await, Err(JournalError::Locked(_))));
        assert!(matches!(journal.append(&first.id, 3, &entry(Event::Started)).await, Err(JournalError::Broken(_))));
        journal.append(&undo.id, 1, &entry(Event::Closed)).await.unwrap();
        journal.append(&first.id, 2, &entry(Event::Closed)).await.unwrap();
        assert!(journal.run(&first.id).await.unwrap().closed);
        journal.open_run(&second).await.unwrap();
        assert_eq!(journal.entries(&first.id).await.unwrap().len(), 2);
        assert_eq!(journal.runs().await.unwrap().len(), 3);
    })
    .unwrap();
    let journaled = |it: &&Happening| matches!(it, Happening::Journaled { .. });
    assert_eq!(sim.world().history().all().iter().filter(journaled).count(), 3);
}

#[test]
fn a_journal_that_fails_and_survives_a_crash() {
    for fault in JournalFault::ALL {
        let sim = shop().sim();
        let journal = sim.journal();
        let run = run_of("1", vec![cluster()], None);
        let entry = NewEntry { at: sim.now(), scope: Scope::Run, event: Event::Started, detail: None };
        journal.fail_at(1, fault);
        let answer = sim.run(async {
            journal.open_run(&run).await?;
            journal.append(&run.id, 1, &entry).await
        });
        match fault {
            JournalFault::Before | JournalFault::After => assert!(matches!(answer, Ok(Err(JournalError::Broken(_))))),
            JournalFault::CrashBefore | JournalFault::CrashAfter => assert_eq!(answer, Err(Stopped::Crashed)),
        }
        sim.restart();
        let there = sim.run(journal.entries(&run.id)).unwrap().unwrap().len();
        let durable = matches!(fault, JournalFault::After | JournalFault::CrashAfter);
        assert_eq!(there, usize::from(durable), "{fault:?}");
    }
}
