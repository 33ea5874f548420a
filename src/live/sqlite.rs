//! The journal in one SQLite file.
//!
//! Write-ahead log with `synchronous = FULL`: an entry is on the disk when
//! [`JournalStore::append`] returns. What must never happen is refused by the
//! schema itself (`migrations/sqlite`), also to other programs.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::Mutex;

use crate::journal::{Entry, Event, NewEntry, Run, RunId, Scope};
use crate::model::{ClusterArn, Digest};
use crate::ports::{JournalError, JournalStore};

/// `PRAGMA application_id` of a journal: the bytes `IrMg`.
const APPLICATION_ID: i64 = 0x4972_4d67;

/// The newest migration that this program knows; `PRAGMA user_version` of a journal it made.
const VERSION: i64 = 1;

/// How long a call waits for another process' write. One append takes as long as the disk needs to
/// make it durable, mostly milliseconds and under heavy load seconds; whoever waits longer waits for a
/// program that hangs: better said than waited for.
const BUSY: Duration = Duration::from_secs(5);

/// A journal in a file. One connection: entries are written one after the other anyway.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    connection: Mutex<SqliteConnection>,
}

impl SqliteJournal {
    /// Opens the journal in this file, and makes it (0600, missing directories 0700) if there is none.
    ///
    /// # Errors
    /// `NotOurs` for a file that is something else, or was written by a newer version;
    /// `Locked` if another process holds it; `Broken` if it cannot be made, read or written.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        if path.is_dir() {
            return Err(JournalError::NotOurs(format!("{} is a folder", path.display())));
        }
        make(path).map_err(|it| JournalError::Broken(format!("{}: {it}", path.display())))?;
        let said = |it: sqlx::Error| said(path, it);
        // No pragma that would change the file is sent before it is known to be ours.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let mut connection = options.connect().await.map_err(said)?;
        if !is_ours(path, &mut connection).await? {
            migrate(path, &mut connection).await?;
        }
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.map_err(said)?;
        if mode != "wal" {
            sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await.map_err(said)?;
        }
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn said(&self, error: sqlx::Error) -> JournalError {
        said(&self.path, error)
    }

    fn damaged(&self, why: impl std::fmt::Display) -> JournalError {
        JournalError::Damaged(format!("{}: {why}", self.path.display()))
    }

    fn run_of(&self, row: &SqliteRow, clusters: Vec<String>) -> Result<Run, JournalError> {
        let text = |column: &str| row.try_get::<String, _>(column).map_err(|it| self.said(it));
        let plan = text("plan")?;
        let plan_digest = Digest::of(plan.as_bytes());
        if plan_digest.as_str() != text("plan_digest")? {
            return Err(self.damaged(format!("the plan of run {} is not the one that was journaled", text("run_id")?)));
        }
        let reverts: Option<String> = row.try_get("reverts").map_err(|it| self.said(it))?;
        let clusters: Result<_, _> = clusters.iter().map(|it| ClusterArn::parse(it)).collect();
        Ok(Run {
            id: RunId::of(&plan_digest),
            plan_digest,
            plan,
            reverts: reverts.map(|it| RunId::parse(&it)).transpose().map_err(|it| self.damaged(it))?,
            clusters: clusters.map_err(|it| self.damaged(it))?,
            actor: text("actor")?,
            tool: text("tool")?,
            opened_at: text("opened_at")?.parse().map_err(|it| self.damaged(it))?,
            closed: row.try_get("closed").map_err(|it| self.said(it))?,
        })
    }

    fn entry_of(&self, row: &SqliteRow) -> Result<Entry, JournalError> {
        let text = |column: &str| row.try_get::<String, _>(column).map_err(|it| self.said(it));
        let event = text("event")?;
        Ok(Entry {
            seq: row.try_get::<i64, _>("seq").map_err(|it| self.said(it))?.unsigned_abs(),
            at: text("at")?.parse().map_err(|it| self.damaged(it))?,
            scope: Scope::try_from(text("scope")?).map_err(|it| self.damaged(it))?,
            event: Event::from_word(&event).ok_or_else(|| self.damaged(format!("no event is called {event:?}")))?,
            detail: row.try_get("detail").map_err(|it| self.said(it))?,
        })
    }
}

/// Makes the file and the directories above it, for the user's eyes alone.
///
/// SQLite itself would make it by the umask; the `-wal` and `-shm` files copy the mode of this one.
fn make(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(it) if it.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(it) => Err(it),
    }
}

/// Whether the file is a journal already. `false` for an empty one.
async fn is_ours(path: &Path, connection: &mut SqliteConnection) -> Result<bool, JournalError> {
    let said = |it| said(path, it);
    // In one statement, and so of one moment: another process may be making the journal just now.
    let (application, version, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(connection)
    .await
    .map_err(said)?;
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(true),
        (APPLICATION_ID, newer) if newer > VERSION => Err(JournalError::NotOurs(format!(
            "{} has version {newer}, newer than the {VERSION} that this program knows",
            path.display()
        ))),
        (0, 0) if tables == 0 => Ok(false),
        _ => Err(JournalError::NotOurs(format!("{} is a database of another program", path.display()))),
    }
}

/// Brings an empty file to our schema: all of it, or nothing. Another process may do the same just
/// now; whoever comes second finds it done.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), JournalError> {
    let said = |it| said(path, it);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(said)?;
    if !is_ours(path, &mut transaction).await? {
        let migrated = sqlx::migrate!("migrations/sqlite").run(&mut *transaction).await;
        migrated.map_err(|it| JournalError::Broken(format!("{}: {it}", path.display())))?;
    }
    transaction.commit().await.map_err(said)
}

/// SQLite's primary result code (<https://www.sqlite.org/rescode.html>) without the extended part.
fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn said(path: &Path, error: sqlx::Error) -> JournalError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const CORRUPT: i32 = 11;
    const NOT_A_DATABASE: i32 = 26;
    let text = match error.as_database_error() {
        Some(it) => format!("{}: {}", path.display(), it.message()),
        None => format!("{}: {error}", path.display()),
    };
    match code(&error).map(|it| it & 0xff) {
        Some(BUSY | LOCKED) => JournalError::Locked(text),
        Some(CORRUPT) => JournalError::Damaged(text),
        Some(NOT_A_DATABASE) => JournalError::NotOurs(text),
        _ => JournalError::Broken(text),
    }
}

const RUN: &str = "SELECT run_id, plan_digest, plan, reverts, actor, tool, opened_at, \
     run_id IN (SELECT run_id FROM closed_run) AS closed FROM run";

impl JournalStore for SqliteJournal {
    async fn open_run(&self, run: &Run) -> Result<(), JournalError> {
        let said = |it| self.said(it);
        let mut connection = self.connection.lock().await;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(said)?;
        let known: Option<String> = sqlx::query_scalar("SELECT plan_digest FROM run WHERE run_id = ?")
            .bind(run.id.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(said)?;
        if let Some(known) = known {
            // Twelve digits in common and not the same plan: nobody meets that by chance.
            let same = known == run.plan_digest.as_str();
            return if same { Ok(()) } else { Err(self.damaged(format!("run {} is of another plan", run.id))) };
        }
        if let Some(reverts) = &run.reverts {
            let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE run_id = ?)")
                .bind(reverts.as_str())
                .fetch_one(&mut *tx)
                .await
                .map_err(said)?;
            if !there {
                return Err(JournalError::NoSuchRun(reverts.to_string()));
            }
        }
        for cluster in &run.clusters {
            let open: Option<String> = sqlx::query_scalar(
                "SELECT run_id FROM run_cluster WHERE cluster = ? AND run_id IS NOT ? \
                 AND run_id NOT IN (SELECT run_id FROM closed_run)",
            )
            .bind(cluster.as_str())
            .bind(run.reverts.as_ref().map(RunId::as_str))
            .fetch_optional(&mut *tx)
            .await
            .map_err(said)?;
            if let Some(open) = open {
                let open = RunId::parse(&open).map_err(|it| self.damaged(it))?;
                return Err(JournalError::Open { run: open, cluster: cluster.to_string() });
            }
        }
        sqlx::query(
            "INSERT INTO run (run_id, plan_digest, plan, reverts, actor, tool, opened_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(run.id.as_str())
        .bind(run.plan_digest.as_str())
        .bind(&run.plan)
        .bind(run.reverts.as_ref().map(RunId::as_str))
        .bind(&run.actor)
        .bind(&run.tool)
        .bind(run.opened_at.to_string())
        .execute(&mut *tx)
        .await
        .map_err(said)?;
        for cluster in &run.clusters {
            sqlx::query("INSERT INTO run_cluster (run_id, cluster) VALUES (?, ?)")
                .bind(run.id.as_str())
                .bind(cluster.as_str())
                .execute(&mut *tx)
                .await
                .map_err(said)?;
        }
        tx.commit().await.map_err(said)
    }

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        let ids: Vec<String> = {
            let mut connection = self.connection.lock().await;
            let all = sqlx::query_scalar("SELECT run_id FROM run ORDER BY rowid").fetch_all(&mut *connection).await;
            all.map_err(|it| self.said(it))?
        };
        let mut runs = Vec::new();
        for id in ids {
            runs.push(self.run(&RunId::parse(&id).map_err(|it| self.damaged(it))?).await?);
        }
        Ok(runs)
    }

    async fn run(&self, run: &RunId) -> Result<Run, JournalError> {
        let said = |it| self.said(it);
        let mut connection = self.connection.lock().await;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{RUN} WHERE run_id = ?")))
            .bind(run.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(said)?
            .ok_or_else(|| JournalError::NoSuchRun(run.to_string()))?;
        let clusters = sqlx::query_scalar("SELECT cluster FROM run_cluster WHERE run_id = ? ORDER BY rowid")
            .bind(run.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(said)?;
        self.run_of(&row, clusters)
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        let mut connection = self.connection.lock().await;
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE run_id = ?)")
            .bind(run.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(|it| self.said(it))?;
        if !there {
            return Err(JournalError::NoSuchRun(run.to_string()));
        }
        let rows = sqlx::query("SELECT seq, at, scope, event, detail FROM entry WHERE run_id = ? ORDER BY seq")
            .bind(run.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(|it| self.said(it))?;
        rows.iter().map(|it| self.entry_of(it)).collect()
    }

    async fn append(&self, run: &RunId, seq: u64, entry: &NewEntry) -> Result<(), JournalError> {
        const PRIMARY_KEY: i32 = 1555;
        const FOREIGN_KEY: i32 = 787;
        let place = i64::try_from(seq).map_err(|it| self.damaged(it))?;
        let mut connection = self.connection.lock().await;
        let added = sqlx::query("INSERT INTO entry (run_id, seq, at, scope, event, detail) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(run.as_str())
            .bind(place)
            .bind(entry.at.to_string())
            .bind(entry.scope.to_string())
            .bind(entry.event.as_str())
            .bind(&entry.detail)
            .execute(&mut *connection)
            .await;
        match added {
            Ok(_) => Ok(()),
            Err(it) if code(&it) == Some(PRIMARY_KEY) => Err(JournalError::Locked(format!(
                "entry {seq} of run {run} is there already: another process carries out this run"
            ))),
            Err(it) if code(&it) == Some(FOREIGN_KEY) => Err(JournalError::NoSuchRun(run.to_string())),
            Err(it) => Err(self.said(it)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> NewEntry {
        let at = "2026-11-24T10:00:00Z".parse().unwrap();
        NewEntry { at, scope: Scope::Run, event: Event::Started, detail: Some("x".repeat(20_000)) }
    }

    async fn opened() -> (tempfile::TempDir, SqliteJournal, Run) {
        let home = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&home.path().join("journal.db")).await.unwrap();
        let plan_digest = Digest::of(b"{}");
        let run = Run {
            id: RunId::of(&plan_digest),
            plan_digest,
            plan: "{}".into(),
            reverts: None,
            clusters: Vec::new(),
            actor: String::new(),
            tool: String::new(),
            opened_at: started().at,
            closed: false,
        };
        journal.open_run(&run).await.unwrap();
        (home, journal, run)
    }

    /// The pragma makes SQLite answer as it does on a full disk and on a read-only one.
    async fn append_under(pragma: &'static str) -> String {
        let (_home, journal, run) = opened().await;
        sqlx::query(pragma).execute(&mut *journal.connection.lock().await).await.unwrap();
        let error = journal.append(&run.id, 1, &started()).await.unwrap_err();
        assert!(matches!(&error, JournalError::Broken(it) if it.contains("journal.db")), "{error}");
        assert!(journal.entries(&run.id).await.unwrap().is_empty());
        error.to_string()
    }

    #[tokio::test]
    async fn a_full_disk_is_said() {
        assert!(append_under("PRAGMA max_page_count = 1").await.contains("full"));
    }

    #[tokio::test]
    async fn a_read_only_file_is_said() {
        assert!(append_under("PRAGMA query_only = ON").await.contains("readonly"));
    }

    #[tokio::test]
    async fn an_entry_is_durable_when_append_returns() {
        let (_home, journal, _run) = opened().await;
        for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
            let mut connection = journal.connection.lock().await;
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(found, expected, "{pragma}");
        }
    }
}
