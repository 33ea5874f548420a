//! The journal's own lock, in the file that the program uses.

use irsa_migrate::journal::{Event, NewEntry, Run, Scope};
use irsa_migrate::live::SqliteJournal;
use irsa_migrate::ports::{JournalError, JournalStore as _};

use crate::journal::run;

fn entry(seq: u64) -> NewEntry {
    let at = "2026-11-24T10:00:01Z".parse().unwrap();
    let scope = Scope::Step { unit: "role:cart".into(), step: 0 };
    NewEntry { at, scope, event: Event::Started, detail: Some(format!("{seq}")) }
}

async fn handles(home: &tempfile::TempDir) -> Vec<SqliteJournal> {
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(SqliteJournal::open(&home.path().join("journal.db")).await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_of_one_run_take_each_place_once() {
    let home = tempfile::tempdir().unwrap();
    let handles = handles(&home).await;
    let run = run("one", &["blue"]);
    handles[0].open_run(&run).await.unwrap();
    for seq in 1..=20 {
        let appends = handles.iter().map(|it| async { it.append(&run.id, seq, &entry(seq)).await });
        let outcomes = futures::future::join_all(appends).await;
        let locked = outcomes.iter().filter(|it| matches!(it, Err(JournalError::Locked(_)))).count();
        assert_eq!((outcomes.iter().filter(|it| it.is_ok()).count(), locked), (1, 7), "{outcomes:?}");
    }
    assert_eq!(handles[3].entries(&run.id).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_plans_of_one_cluster_open_one_run() {
    let home = tempfile::tempdir().unwrap();
    let handles = handles(&home).await;
    let runs: Vec<Run> = (0..8).map(|it| run(&format!("plan {it}"), &["blue"])).collect();
    let opened = handles.iter().zip(&runs).map(|(journal, run)| journal.open_run(run));
    let outcomes = futures::future::join_all(opened).await;
    let open = outcomes.iter().filter(|it| matches!(it, Err(JournalError::Open { .. }))).count();
    assert_eq!((outcomes.iter().filter(|it| it.is_ok()).count(), open), (1, 7), "{outcomes:?}");
    assert_eq!(handles[0].runs().await.unwrap().len(), 1);
}
