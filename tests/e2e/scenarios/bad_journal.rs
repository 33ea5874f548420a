//! A journal that cannot be written: nothing is sent that it does not hold.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sqlx::Connection as _;

use super::stage::{Planned, Stage};
use super::tell;
use crate::harness::Mode;

/// Root may write everywhere, which a run by root gives up for this.
const AS_ANYBODY: &str = "if [ \"$(id -u)\" = 0 ]; then \
    exec setpriv --inh-caps -dac_override --bounding-set -dac_override \"$@\"; fi; exec \"$@\"";

async fn set(name: &str) -> Stage<'static> {
    let stage = Stage::shared(name, |world| world.role("cart", &[(name, "cart")])).await;
    stage.hurry();
    stage.app("cart", "cart", 1).await;
    stage
}

/// How many calls have changed something, the lease left out.
fn sent(stage: &Stage<'_>) -> usize {
    stage.wire.writes().len() + stage.patches().len()
}

async fn there_and_back(stage: &Stage<'_>, planned: &Planned) {
    stage.apply(planned).await.ended(0);
    assert_eq!(stage.modes(&["cart"]).await, [Mode::PodIdentity].into());
    stage.roll_back(planned).await.ended(0);
}

#[tokio::test]
async fn one_that_another_program_holds_or_that_may_only_be_read() {
    let stage = set("journal-held").await;
    let before = stage.state().await;
    // Another plan's run, whole and undone, has made the journal.
    there_and_back(&stage, &stage.plan().await).await;
    let planned = stage.plan().await;
    let apply = ["apply", "plan.json", "--digest", &planned.digest];
    let already = sent(&stage);

    let path = stage.path("journal.db");
    let url = format!("sqlite://{}", path.display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.expect("a connection");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("a lock");
    stage.run(&apply).await.refused(24, &["journal.db"]);
    other.close().await.expect("it is closed");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("a mode");
    stage.run_under(AS_ANYBODY, &apply).await.refused(1, &["journal.db", "readonly"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");

    assert_eq!(sent(&stage), already, "nothing was sent");
    assert_eq!(stage.state().await, before);
    there_and_back(&stage, &planned).await;
    assert_eq!(stage.state().await, before);
}

/// No file may grow beyond a limit, which is more each time, until a run has room enough. It stands
/// for a full disk, which would need a file system of its own and the right to mount it; SQLite is told
/// "file too large" instead of "no space left", by the same call.
#[tokio::test]
async fn one_for_which_there_is_no_more_room() {
    /// In KiB. What the schema and the plan need is some 60.
    const ROOMS: [usize; 12] = [0, 40, 56, 64, 72, 80, 88, 96, 104, 112, 120, 512];
    let stage = set("journal-full").await;
    let before = stage.state().await;
    let mut ends = Vec::new();
    for kibibytes in ROOMS {
        stage.forget_journal().await;
        let planned = stage.plan().await;
        let already = sent(&stage);
        // In blocks of 512 bytes. The signal would end the program where a full disk gives an error.
        let prelude = format!("ulimit -f {}; trap '' XFSZ; exec \"$@\"", kibibytes * 2);
        let ran = stage.run_under(&prelude, &["apply", "plan.json", "--digest", &planned.digest]).await;
        let (sent, started) = (sent(&stage) - already, stage.steps_started().await);
        ends.push((kibibytes, ran.code, sent, started));
        assert!(sent <= started, "{sent} were sent and {started} are journaled\n{}", ran.whole());
        if ran.code != Some(0) {
            assert!([Some(1), Some(21)].contains(&ran.code), "{}", ran.whole());
            assert!(ran.stderr.contains("journal.db"), "{}", ran.whole());
            assert!(ran.code == Some(21) || sent == 0, "{}", ran.whole());
        }
        // There is room again.
        stage.lease_runs_out().await;
        if ends.len() % 2 == 0 || started == 0 {
            there_and_back(&stage, &planned).await;
        } else {
            stage.roll_back(&planned).await.ended(0);
        }
        assert_eq!(stage.state().await, before, "{kibibytes} KiB");
    }
    tell(&format!("room in KiB, exit code, calls sent, steps journaled: {ends:?}"));
    assert_eq!(stage.state().await, before);
    let stopped = |code: i32| ends.iter().filter(|it| it.1 == Some(code)).count();
    assert!(stopped(1) >= 1 && stopped(21) >= 3, "before it begins, and in the middle: {ends:?}");
    assert!(ends.iter().any(|it| it.1 == Some(21) && it.2 > 0), "after something was sent: {ends:?}");
    assert_eq!(ends.last().map(|it| it.1), Some(Some(0)), "with room enough: {ends:?}");
}

/// Power was lost, and with it the end of the write-ahead log. What was sent is found by its marks. (Were
/// all of the log lost, our statement would be taken for another run's, and stay when this one is undone.)
#[tokio::test]
async fn one_whose_log_was_cut_off() {
    const FRAME: u64 = 4096 + 24;
    let stage = set("journal-cut").await;
    let before = stage.state().await;
    let mut lost = Vec::new();
    // The twelfth entry is the last one with a wait behind it.
    for (entry, cut) in [(5, 100), (8, FRAME), (11, 2 * FRAME), (12, 100), (12, 3 * FRAME)] {
        stage.forget_journal().await;
        let planned = stage.plan().await;
        let run = stage.start(&["apply", "plan.json", "--digest", &planned.digest]);
        assert_eq!(run.kill_once(stage.journal_holds(entry)).await, None, "it is killed");
        stage.lease_runs_out().await;
        let whole = stage.entries().await;
        let log = fs::OpenOptions::new().write(true).open(stage.path("journal.db-wal")).expect("the log");
        let length = log.metadata().expect("its length").len();
        log.set_len(length.saturating_sub(cut)).expect("a cut");
        let _it_is_made_again = fs::remove_file(stage.path("journal.db-shm"));
        lost.push((whole, whole - stage.entries().await));
        there_and_back(&stage, &planned).await;
        assert_eq!(stage.state().await, before, "killed at entry {entry}, and {cut} bytes cut off");
    }
    tell(&format!("entries, and how many of them were lost: {lost:?}"));
    assert!(lost.iter().any(|it| it.1 > 0), "{lost:?}");
}
