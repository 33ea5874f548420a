//! The journal in a SQLite file: what it keeps, and each thing that it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use irsa_migrate::journal::{Event, NewEntry, Run, RunId, Scope};
use irsa_migrate::live::SqliteJournal;
use irsa_migrate::model::{ClusterArn, Digest};
use irsa_migrate::ports::{JournalError, JournalStore as _};
use sqlx::{Connection as _, SqliteConnection};

fn cluster(name: &str) -> ClusterArn {
    ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:111122223333:cluster/{name}")).expect("an ARN")
}

/// A run of a plan that is told apart by one word.
pub(crate) fn run(word: &str, clusters: &[&str]) -> Run {
    let plan = format!("{{\"plan\": \"{word}\"}}\n");
    let plan_digest = Digest::of(plan.as_bytes());
    Run {
        id: RunId::of(&plan_digest),
        plan_digest,
        plan,
        reverts: None,
        clusters: clusters.iter().map(|it| cluster(it)).collect(),
        actor: "arn:aws:sts::111122223333:assumed-role/platform/ann".into(),
        tool: "0.1.0".into(),
        opened_at: "2026-11-24T10:00:00Z".parse().expect("a time"),
        closed: false,
    }
}

fn entry(scope: Scope, event: Event) -> NewEntry {
    NewEntry { at: "2026-11-24T10:00:01.25Z".parse().expect("a time"), scope, event, detail: None }
}

fn started() -> NewEntry {
    entry(Scope::Step { unit: "role:cart".into(), step: 0 }, Event::Started)
}

fn home() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("state/irsa-migrate/journal.db");
    (home, path)
}

/// The file as another program sees it, with SQLite's own defaults but for the foreign keys.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a connection")
}

/// What another program does to a file, which it and everybody else has closed when this returns: the last
/// one that closes it moves its log into it. Of two that close it at once neither is the last.
async fn change(path: &Path, sql: &'static str) {
    let mut connection = raw(path).await;
    sqlx::query(sql).execute(&mut connection).await.expect(sql);
    connection.close().await.expect("a file that can be closed");
    let log = path.with_extension("db-wal");
    while log.exists() {
        raw(path).await.close().await.expect("a file that can be closed");
    }
}

/// What SQLite answers to a statement of another program.
async fn refusal(path: &Path, sql: &'static str) -> String {
    let error = sqlx::query(sql).execute(&mut raw(path).await).await.expect_err(sql);
    error.to_string()
}

#[tokio::test]
async fn a_run_and_its_entries_survive_reopening() {
    let (_home, path) = home();
    let run = run("first", &["shop", "bank"]);
    let entries = [
        NewEntry { detail: Some("two words\u{1b}[31m".into()), ..entry(Scope::Run, Event::Started) },
        entry(Scope::Wave("prepare".into()), Event::Started),
        started(),
    ];
    let journal = SqliteJournal::open(&path).await.unwrap();
    journal.open_run(&run).await.unwrap();
    for (entry, seq) in entries.iter().zip(1..) {
        journal.append(&run.id, seq, entry).await.unwrap();
    }
    drop(journal);

    let journal = SqliteJournal::open(&path).await.unwrap();
    assert_eq!(journal.runs().await.unwrap(), std::slice::from_ref(&run));
    let found = journal.entries(&run.id).await.unwrap();
    assert_eq!(found.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 2, 3]);
    for (found, written) in found.into_iter().zip(entries) {
        let back = NewEntry { at: found.at, scope: found.scope, event: found.event, detail: found.detail };
        assert_eq!(back, written);
    }
}

#[tokio::test]
async fn every_event_and_scope_can_be_written() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let run = run("first", &["shop"]);
    journal.open_run(&run).await.unwrap();
    let unit = "sa:arn:aws:eks:eu-west-1:111122223333:cluster/shop/ns/sa".to_owned();
    let scopes = [
        Scope::Run,
        Scope::Wave("a b".into()),
        Scope::Unit(unit.clone()),
        Scope::Step { unit: unit.clone(), step: 12 },
    ];
    let mut seq = 0;
    for scope in scopes {
        for event in Event::ALL {
            seq += 1;
            journal.append(&run.id, seq, &entry(scope.clone(), event)).await.unwrap();
        }
    }
    assert_eq!(journal.entries(&run.id).await.unwrap().len(), 4 * Event::ALL.len());
}

#[tokio::test]
async fn a_plan_of_some_megabytes_is_kept_byte_for_byte() {
    let (_home, path) = home();
    let plan = format!("{{\"plan\": [{}]}}\n", vec!["\"0123456789 äöü 😀\""; 200_000].join(",\n  "));
    assert!(plan.len() > 4_000_000);
    let plan_digest = Digest::of(plan.as_bytes());
    let run = Run { id: RunId::of(&plan_digest), plan_digest, plan, ..run("", &["shop"]) };
    let journal = SqliteJournal::open(&path).await.unwrap();
    journal.open_run(&run).await.unwrap();
    assert_eq!(journal.run(&run.id).await.unwrap(), run);
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let (home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    journal.open_run(&run("first", &["shop"])).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600, "the entries of now are in the write-ahead log");
    assert_eq!(mode(&home.path().join("state")), 0o700);
    assert_eq!(mode(&home.path().join("state/irsa-migrate")), 0o700);
}

#[tokio::test]
async fn one_open_run_of_a_cluster() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let (first, second) = (run("first", &["shop", "bank"]), run("second", &["farm", "bank"]));
    journal.open_run(&first).await.unwrap();
    journal.open_run(&first).await.unwrap();
    let open = JournalError::Open { run: first.id.clone(), cluster: cluster("bank").to_string() };
    assert_eq!(journal.open_run(&second).await, Err(open));
    assert_eq!(journal.runs().await.unwrap(), std::slice::from_ref(&first), "nothing of the refused run stays");

    // Only an entry closes a run.
    assert!(!journal.run(&first.id).await.unwrap().closed);
    journal.append(&first.id, 1, &entry(Scope::Run, Event::Closed)).await.unwrap();
    assert!(journal.run(&first.id).await.unwrap().closed);
    journal.open_run(&second).await.unwrap();
    assert!(!journal.run(&second.id).await.unwrap().closed);

    // The closed run is still the run of its plan, and is told of its undoing.
    journal.open_run(&first).await.unwrap();
    journal.append(&first.id, 2, &entry(Scope::Unit("role:cart".into()), Event::Undone)).await.unwrap();
    assert_eq!(journal.runs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_closed_wave_or_a_closing_unit_closes_no_run() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let run = run("first", &["shop"]);
    journal.open_run(&run).await.unwrap();
    journal.append(&run.id, 1, &entry(Scope::Wave("run".into()), Event::Closed)).await.unwrap();
    assert!(!journal.run(&run.id).await.unwrap().closed);
}

#[tokio::test]
async fn a_rollback_names_a_run_that_is_there() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    let undo = Run { reverts: Some(first.id.clone()), ..run("undo", &["bank"]) };
    assert_eq!(journal.open_run(&undo).await, Err(JournalError::NoSuchRun(first.id.to_string())));
    journal.open_run(&first).await.unwrap();
    journal.open_run(&undo).await.unwrap();
    assert_eq!(journal.run(&undo.id).await.unwrap(), undo);
}

#[tokio::test]
async fn a_rollback_goes_beside_the_open_run_that_it_reverts_and_beside_no_other() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    let undo = |word: &str| Run { reverts: Some(first.id.clone()), ..run(word, &["shop"]) };
    journal.open_run(&first).await.unwrap();
    let own = undo("undo");
    journal.open_run(&own).await.unwrap();
    let open = JournalError::Open { run: own.id.clone(), cluster: cluster("shop").to_string() };
    assert_eq!(journal.open_run(&undo("undo again")).await, Err(open));
    journal.append(&own.id, 1, &entry(Scope::Run, Event::Closed)).await.unwrap();
    journal.open_run(&undo("undo again")).await.unwrap();
}

#[tokio::test]
async fn a_place_that_is_taken_means_that_somebody_else_is_at_it() {
    let (_home, path) = home();
    let (one, two) = (SqliteJournal::open(&path).await.unwrap(), SqliteJournal::open(&path).await.unwrap());
    let run = run("first", &["shop"]);
    one.open_run(&run).await.unwrap();
    two.open_run(&run).await.unwrap();
    one.append(&run.id, 1, &started()).await.unwrap();
    assert!(matches!(two.append(&run.id, 1, &started()).await, Err(JournalError::Locked(_))));
    two.append(&run.id, 2, &started()).await.unwrap();
    assert!(matches!(one.append(&run.id, 2, &started()).await, Err(JournalError::Locked(_))));
    assert_eq!(one.entries(&run.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_gap_is_refused() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let run = run("first", &["shop"]);
    journal.open_run(&run).await.unwrap();
    let error = journal.append(&run.id, 2, &started()).await.unwrap_err();
    assert!(error.to_string().contains("missing before"), "{error}");
    assert!(journal.append(&run.id, 0, &started()).await.is_err());
    assert!(journal.entries(&run.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_such_run() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let id = run("first", &[]).id;
    let absent = JournalError::NoSuchRun(id.to_string());
    assert_eq!(journal.run(&id).await, Err(absent.clone()));
    assert_eq!(journal.entries(&id).await, Err(absent.clone()));
    assert_eq!(journal.append(&id, 1, &started()).await, Err(absent), "foreign keys are on");
}

#[tokio::test]
async fn the_schema_itself_refuses_what_must_never_be() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    journal.open_run(&first).await.unwrap();
    journal.append(&first.id, 1, &started()).await.unwrap();
    drop(journal);

    for table in ["run", "run_cluster", "entry"] {
        let delete = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        let error = sqlx::query(delete).execute(&mut raw(&path).await).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{table}: {error}");
        let update = sqlx::AssertSqlSafe(format!("UPDATE {table} SET run_id = 'x'"));
        let error = sqlx::query(update).execute(&mut raw(&path).await).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{table}: {error}");
    }

    const CASES: [(&str, &str); 7] = [
        (
            "INSERT INTO run SELECT '0123456789ab', substr('0123456789ab' || plan_digest, 1, 64), 'not json', NULL, '', '', '' FROM run",
            "json_valid",
        ),
        ("INSERT INTO run SELECT 'short', plan_digest, plan, NULL, '', '', '' FROM run", "length(run_id)"),
        ("INSERT INTO run SELECT '0123456789ab', plan_digest, plan, NULL, '', '', '' FROM run", "UNIQUE"),
        ("INSERT INTO entry SELECT run_id, 2, at, scope, 'exploded', NULL FROM entry", "event IN"),
        ("INSERT INTO entry SELECT run_id, 2, at, 'universe', event, NULL FROM entry", "scope"),
        ("INSERT INTO entry SELECT run_id, 'two', at, scope, event, NULL FROM entry", "INTEGER"),
        ("INSERT INTO entry VALUES ('0123456789ab', 1, '', 'run', 'started', NULL)", "FOREIGN KEY"),
    ];
    for (sql, expected) in CASES {
        let found = refusal(&path, sql).await;
        assert!(found.contains(expected), "{sql}: {found}");
    }

    // A second open run of a cluster, written past `open_run`.
    let mut other = raw(&path).await;
    sqlx::query("INSERT INTO run VALUES ('0123456789ab', substr('0123456789ab' || (SELECT plan_digest FROM run), 1, 64), '{}', NULL, '', '', '')")
        .execute(&mut other)
        .await
        .unwrap();
    let found = refusal(&path, "INSERT INTO run_cluster SELECT '0123456789ab', cluster FROM run_cluster").await;
    assert!(found.contains("another run is open"), "{found}");
}

#[tokio::test]
async fn a_plan_that_was_swapped_is_not_believed() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    journal.open_run(&first).await.unwrap();
    let mut other = raw(&path).await;
    sqlx::query("DROP TRIGGER run_is_never_updated").execute(&mut other).await.unwrap();
    sqlx::query("UPDATE run SET plan = '{}'").execute(&mut other).await.unwrap();
    assert!(matches!(journal.run(&first.id).await, Err(JournalError::Damaged(_))));
}

#[tokio::test]
async fn a_writer_that_hangs_is_named_and_not_waited_for() {
    let (_home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    journal.open_run(&first).await.unwrap();
    let mut other = raw(&path).await;
    let hold = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = journal.append(&first.id, 1, &started()).await.unwrap_err();
    assert!(matches!(&error, JournalError::Locked(it) if it.contains("journal.db")), "{error}");
    assert!(matches!(journal.open_run(&run("second", &["bank"])).await, Err(JournalError::Locked(_))));
    // Reading goes on meanwhile.
    assert_eq!(journal.runs().await.unwrap().len(), 1);
    hold.rollback().await.unwrap();
    journal.append(&first.id, 1, &started()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_journal_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("notes.txt");
    fs::write(&text, "Dear diary, this is a file of more than a hundred bytes and no database of any kind. ".repeat(3))
        .unwrap();
    let foreign = home.path().join("foreign.db");
    fs::write(&foreign, "").unwrap();
    change(&foreign, "CREATE TABLE song (title TEXT)").await;
    let newer = home.path().join("newer.db");
    drop(SqliteJournal::open(&newer).await.unwrap());
    change(&newer, "PRAGMA user_version = 2").await;

    for (path, expected) in [(text, "not a database"), (foreign, "another program"), (newer, "newer")] {
        let before = fs::read(&path).unwrap();
        let error = SqliteJournal::open(&path).await.unwrap_err();
        assert!(matches!(&error, JournalError::NotOurs(it) if it.contains(expected)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "{}", path.display());
    }
}

#[tokio::test]
async fn where_no_file_can_be_the_path_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let path = home.path().join("file/journal.db");
    let error = SqliteJournal::open(&path).await.unwrap_err();
    assert!(matches!(&error, JournalError::Broken(it) if it.contains(path.to_str().unwrap())), "{error}");
    let error = SqliteJournal::open(home.path()).await.unwrap_err();
    assert!(matches!(&error, JournalError::NotOurs(it) if it.ends_with("is a folder")), "{error}");
}

#[tokio::test]
async fn two_programs_may_make_the_file_at_once() {
    // Which of them sees what the others have made so far differs from time to time.
    for _ in 0..20 {
        let (_home, path) = home();
        let opened = futures::future::join_all((0..8).map(|_| SqliteJournal::open(&path))).await;
        for journal in opened {
            // Switching a fresh file to its write-ahead log needs it alone for a moment.
            if let Err(error) = journal {
                assert!(matches!(error, JournalError::Locked(_)), "{error}");
            }
        }
        assert!(SqliteJournal::open(&path).await.unwrap().runs().await.unwrap().is_empty());
    }
}

/// Power was lost: of the write-ahead log only a beginning is on the disk.
#[tokio::test]
async fn a_log_that_was_cut_off_keeps_whole_entries() {
    let (home, path) = home();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let first = run("first", &["shop"]);
    journal.open_run(&first).await.unwrap();
    for seq in 1..=20 {
        journal.append(&first.id, seq, &started()).await.unwrap();
    }
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    let mut kept = Vec::new();
    for cut in (0..=log.len()).step_by(log.len() / 25) {
        let copy = home.path().join(format!("cut-{cut}.db"));
        fs::copy(&path, &copy).unwrap();
        fs::write(copy.with_extension("db-wal"), &log[..cut]).unwrap();
        let journal = SqliteJournal::open(&copy).await.unwrap();
        let runs = journal.runs().await.unwrap();
        let entries = if runs.is_empty() { 0 } else { journal.entries(&first.id).await.unwrap().len() };
        kept.push(entries);
        // And it goes on from there.
        journal.open_run(&first).await.unwrap();
        journal.append(&first.id, entries as u64 + 1, &started()).await.unwrap();
    }
    assert!(kept.is_sorted(), "{kept:?}");
    assert!(kept.contains(&0) && kept.iter().any(|it| (1..20).contains(it)), "{kept:?}");
}
