//! `status`, `pause`, `close` and `rollback --dry-run` on journals, good and bad.

use irsa_migrate::journal::{Event, NewEntry, Run, RunId, Scope};
use irsa_migrate::live::SqliteJournal;
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Plan, Settings, plan};
use irsa_migrate::ports::JournalStore as _;
use irsa_migrate::rollback::{self, Extent};

use crate::cli::Home;
use crate::inventories::several;

fn planned() -> (Plan, String) {
    let plan = plan(&several(), &Settings::default()).expect("a plan");
    let text = String::from_utf8(plan.to_bytes().expect("bytes")).expect("UTF-8");
    (plan, text)
}

fn id() -> RunId {
    RunId::of(&Digest::of(planned().1.as_bytes()))
}

/// What happened to the run, as its journal tells it.
fn entries(plan: &Plan, until: &str) -> Vec<(Scope, Event, Option<&'static str>)> {
    let step = |unit: usize, step: usize| Scope::Step { unit: plan.units[unit].id.0.clone(), step };
    let done = |unit: usize, step_: usize| {
        [(step(unit, step_), Event::Started, None), (step(unit, step_), Event::Succeeded, None)]
    };
    let mut all = vec![(Scope::Run, Event::Started, None), (Scope::Wave("prepare".into()), Event::Started, None)];
    all.extend(done(0, 0));
    all.extend(done(1, 0));
    all.push((Scope::Wave("prepare".into()), Event::Succeeded, None));
    if until == "prepared" {
        return all;
    }
    all.push((Scope::Wave("canary".into()), Event::Started, None));
    all.extend(done(2, 0));
    all.push((step(2, 1), Event::Started, None));
    if until == "failed" {
        all.push((step(2, 1), Event::Failed, Some("no success in 600 s\u{1b}[31m while waiting for probes")));
        all.push((Scope::Run, Event::Paused, Some("a unit failed")));
    }
    all
}

/// A home whose journal has one run, as far as it came.
async fn home(until: &str) -> Home {
    let home = Home::new();
    let (plan, text) = planned();
    // Where the program looks by itself, had the home not been in a temporary directory.
    let journal = SqliteJournal::open(&home.path("journal.db")).await.expect("a journal");
    let run = Run {
        id: id(),
        plan_digest: Digest::of(text.as_bytes()),
        plan: text,
        reverts: None,
        clusters: plan.clusters.iter().map(|it| it.arn.clone()).collect(),
        actor: "arn:aws:sts::111122223333:assumed-role/platform/ann".into(),
        tool: "0.1.0".into(),
        opened_at: "2026-11-24T12:01:00Z".parse().expect("a time"),
        closed: false,
    };
    journal.open_run(&run).await.expect("a run");
    for ((scope, event, detail), seq) in entries(&plan, until).into_iter().zip(1..) {
        let at = "2026-11-24T12:02:00Z".parse().expect("a time");
        let entry = NewEntry { at, scope, event, detail: detail.map(str::to_owned) };
        journal.append(&run.id, seq, &entry).await.expect("an entry");
    }
    home
}

fn run(home: &Home, args: &[&str]) -> crate::cli::Transcript {
    let args: Vec<&str> = args.iter().copied().chain(["--journal", "journal.db"]).collect();
    home.run(&args)
}

#[tokio::test]
async fn all_runs() {
    insta::assert_snapshot!(run(&home("prepared").await, &["status"]).whole());
}

#[tokio::test]
async fn a_run_with_a_failed_step() {
    insta::assert_snapshot!(run(&home("failed").await, &["status", &id().as_str()[..4]]).whole());
}

#[tokio::test]
async fn a_run_with_a_step_in_doubt_for_programs() {
    let seen = run(&home("in doubt").await, &["status", id().as_str(), "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(json["waves"][1]["units"][0]["status"], "inDoubt", "{json:#}");
    assert_eq!(json["waves"][1]["units"][0]["steps"][1]["status"], "inDoubt", "{json:#}");
    assert_eq!(json["waves"][0]["passed"], true, "{json:#}");
}

#[tokio::test]
async fn a_run_that_is_not_there() {
    insta::assert_snapshot!(run(&home("prepared").await, &["status", "0000"]).whole());
}

#[tokio::test]
async fn the_plan_of_a_run_can_be_shown_again() {
    let seen = run(&home("prepared").await, &["show", id().as_str()]);
    assert!(seen.stdout.contains(Digest::of(planned().1.as_bytes()).as_str()), "{}", seen.whole());
}

#[tokio::test]
async fn the_undo_of_a_run_is_shown_and_nothing_is_done() {
    let home = home("failed").await;
    insta::assert_snapshot!(run(&home, &["rollback", id().as_str(), "--dry-run"]).whole());
    let after = run(&home, &["status", "-o", "json"]);
    assert_eq!(after.stdout.matches("\"run\"").count(), 1, "{}", after.stdout);
}

#[tokio::test]
async fn an_undo_of_what_others_still_need_is_refused() {
    let home = home("failed").await;
    insta::assert_snapshot!("needed", run(&home, &["rollback", id().as_str(), "--unit", "both", "--dry-run"]).whole());
    insta::assert_snapshot!("no_unit", run(&home, &["rollback", id().as_str(), "--unit", "x/y", "--dry-run"]).whole());
}

/// A run of which one unit is being undone.
async fn half_undone() -> (Home, String) {
    let home = home("failed").await;
    let (plan, text) = planned();
    let unit = plan.units[2].id.clone();
    let journal = SqliteJournal::open(&home.path("journal.db")).await.expect("a journal");
    let entries = journal.entries(&id()).await.expect("entries");
    let digest = Digest::of(text.as_bytes());
    let undo = rollback::plan(&id(), &digest, &plan, &entries, &Extent::Unit(unit.clone())).expect("an undo");
    let text = String::from_utf8(undo.to_bytes().expect("bytes")).expect("UTF-8");
    let digest = Digest::of(text.as_bytes());
    let forward = journal.runs().await.expect("runs").remove(0);
    let run = Run { id: RunId::of(&digest), plan_digest: digest, plan: text, reverts: Some(id()), ..forward };
    journal.open_run(&run).await.expect("a run");
    (home, unit.0)
}

#[tokio::test]
async fn while_a_part_is_being_undone_no_other_part_is_taken_for_it() {
    let (home, unit) = half_undone().await;
    let name = id();
    let seen = run(&home, &["rollback", name.as_str(), "--unit", &unit, "--dry-run"]);
    assert!(seen.code == Some(0) && seen.stderr.contains("undoes it already"), "{}", seen.whole());
    let seen = run(&home, &["rollback", name.as_str(), "--dry-run"]);
    assert!(seen.code == Some(0) && seen.stderr.contains("undoes a part of it"), "{}", seen.whole());
    for other in [["--wave", "prepare"], ["--unit", "both"]] {
        let seen = run(&home, &["rollback", name.as_str(), other[0], other[1], "--yes"]);
        assert_eq!((seen.code, seen.stdout.as_str()), (Some(24), ""), "{}", seen.whole());
        assert!(seen.stderr.contains("undoes something else of it"), "{}", seen.stderr);
    }
}

#[tokio::test]
async fn without_a_terminal_an_undo_wants_a_digest_too() {
    let home = home("failed").await;
    let seen = run(&home, &["rollback", id().as_str()]);
    assert_eq!((seen.code, seen.stdout.as_str()), (Some(2), ""), "{}", seen.whole());
    assert!(seen.stderr.contains("--dry-run"), "{}", seen.stderr);
}

#[tokio::test]
async fn a_pause_is_an_entry_and_status_tells_of_it() {
    let home = home("prepared").await;
    assert_eq!(run(&home, &["pause", id().as_str()]).code, Some(0));
    let seen = run(&home, &["status", id().as_str(), "-o", "json"]);
    assert!(seen.stdout.contains("\"pauseAsked\": true"), "{}", seen.stdout);
}

#[tokio::test]
async fn what_never_started_can_be_given_up_and_what_is_in_the_middle_cannot() {
    let whole = home("prepared").await;
    let seen = run(&whole, &["close", id().as_str()]);
    assert_eq!(seen.code, Some(0), "{}", seen.whole());
    assert!(run(&whole, &["status", id().as_str()]).stdout.contains("closed"));
    assert_eq!(run(&whole, &["close", id().as_str()]).code, Some(0), "closing twice is no error");
    insta::assert_snapshot!(run(&home("in doubt").await, &["close", id().as_str()]).whole());
}

#[test]
fn a_journal_that_is_not_there_or_not_ours() {
    let home = Home::new();
    insta::assert_snapshot!("no_journal", run(&home, &["status"]).whole());
    assert!(!home.path("journal.db").exists(), "reading makes no journal");
    home.write("journal.db", "a letter to my mother, and it is long enough to be no database at all");
    insta::assert_snapshot!("not_ours", run(&home, &["status"]).whole());
}

#[test]
fn a_temporary_directory_is_no_place_for_a_journal_unless_it_is_named() {
    let seen = Home::new().run(&["status"]);
    assert_eq!(seen.code, Some(2), "{}", seen.whole());
    assert!(seen.stderr.contains("may be emptied at any time"), "{}", seen.stderr);
}

#[tokio::test]
async fn a_journal_that_another_program_holds() {
    let home = home("prepared").await;
    let other = in_a_write(&home).await;
    let seen = run(&home, &["pause", id().as_str()]);
    drop(other);
    assert_eq!(seen.code, Some(24), "{}", seen.whole());
    assert!(seen.stderr.contains("Error: ") && seen.stderr.contains("Hint: "), "{}", seen.stderr);
}

/// Another program in the middle of a write.
async fn in_a_write(home: &Home) -> sqlx::SqliteConnection {
    use sqlx::Connection as _;
    let path = home.path("journal.db");
    let mut other =
        sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a connection");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("a lock");
    other
}
