//! A run that stops early is gone on with, and says so: what is done is not done again.

use irsa_migrate::apply::{ApplyError, Ending, Progress, Why};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::sim::{MemoryJournal, Sim};

use crate::asked::{SHORT, shop};
use crate::beside::carry_out_through;
use crate::cycle::{entries, plan_of, status};

fn planned() -> (Sim, Plan, MemoryJournal) {
    let sim = shop();
    let (plan, journal) = (plan_of(&sim, SHORT), sim.journal());
    (sim, plan, journal)
}

fn calls(sim: &Sim) -> u64 {
    sim.world().history().number_of_calls()
}

/// What a person is told of the run itself: whether it was started before, its waves, and why it pauses.
#[derive(Debug, Default, PartialEq)]
struct Told {
    resumed: Vec<bool>,
    waves: Vec<String>,
    paused: Vec<String>,
}

fn went(sim: &Sim, journal: &MemoryJournal, plan: &Plan, through: Option<&str>) -> (Ending, Told) {
    let (ended, all) = carry_out_through(sim, journal, plan, through);
    let mut told = Told::default();
    for progress in all {
        if let Progress::RunStarted { resumed, .. } = progress {
            told.resumed.push(resumed);
        } else if let Progress::WaveStarted { wave, .. } = progress {
            told.waves.push(wave);
        } else if let Progress::Paused { why } = progress {
            told.paused.push(why);
        }
    }
    (ended.unwrap(), told)
}

fn told(resumed: bool, waves: &[&str], paused: &[&str]) -> Told {
    let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    Told { resumed: vec![resumed], waves: owned(waves), paused: owned(paused) }
}

#[test]
fn through_a_wave_and_from_there_to_the_end() {
    let (sim, plan, journal) = planned();
    let why = "done through wave first";
    // The second time there is nothing left to do up to there.
    for (resumed, waves) in [(false, ["prepare", "first"].as_slice()), (true, [].as_slice())] {
        let (ending, heard) = went(&sim, &journal, &plan, Some("first"));
        assert_eq!((ending.why, ending.done, ending.pending), (Why::Through("first".to_owned()), 3, 1));
        assert_eq!(heard, told(resumed, waves, &[why]));
        let status = status(&sim, &journal, &plan);
        assert_eq!((status.paused(), status.is_closed()), (Some(why), false));
    }

    let (ending, heard) = went(&sim, &journal, &plan, None);
    assert_eq!((ending.why, ending.done), (Why::Ended, 4));
    assert_eq!(heard, told(true, &["second"], &[]));
    let status = status(&sim, &journal, &plan);
    assert_eq!((status.paused(), status.is_closed()), (None, true));
}

#[test]
fn through_the_last_wave_is_to_the_end() {
    let (sim, plan, journal) = planned();
    let (ending, heard) = went(&sim, &journal, &plan, Some("second"));
    assert_eq!((ending.why, ending.done), (Why::Ended, 4));
    assert_eq!(heard, told(false, &["prepare", "first", "second"], &[]));
    assert!(status(&sim, &journal, &plan).is_closed());
}

#[test]
fn a_wave_that_the_plan_does_not_have_is_refused_before_anything_is_asked() {
    let (sim, plan, journal) = planned();
    let before = calls(&sim);
    let (refused, told) = carry_out_through(&sim, &journal, &plan, Some("third"));
    assert!(matches!(&refused, Err(ApplyError::NoSuchWave(wave)) if wave == "third"), "{refused:?}");
    assert_eq!((told, calls(&sim)), (vec![], before));
    assert!(sim.run(journal.runs()).unwrap().unwrap().is_empty(), "nothing is begun");
}

#[test]
fn a_run_that_has_ended_says_so_and_asks_nothing() {
    let (sim, plan, journal) = planned();
    let (first, _) = went(&sim, &journal, &plan, None);
    let before = (calls(&sim), entries(&sim, &journal, &plan));
    let (again, told) = carry_out_through(&sim, &journal, &plan, None);
    assert_eq!((again.unwrap(), told), (first, vec![]));
    assert_eq!((calls(&sim), entries(&sim, &journal, &plan)), before);
}
