//! The journal, watched from outside while the program writes it, and after its death.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::stage::Stage;

impl Stage<'_> {
    /// Begins a new journal with the next run, for which a dead one's lease is no obstacle: where
    /// there was nothing to undo, nobody has waited for it.
    pub(super) async fn forget_journal(&self) {
        for end in ["db", "db-wal", "db-shm"] {
            let _there_may_be_none = std::fs::remove_file(self.path("journal").with_extension(end));
        }
        let leases: Api<Lease> = self.space.api();
        let _there_may_be_none = leases.delete("irsa-migrate", &DeleteParams::default()).await;
    }

    /// The lease of a program that is dead counts for a second more: whoever goes on waits that long for it.
    pub(super) async fn lease_runs_out(&self) {
        let soon = json!({"spec": {"leaseDurationSeconds": 1}});
        let leases: Api<Lease> = self.space.api();
        match leases.patch("irsa-migrate", &PatchParams::default(), &Patch::Merge(&soon)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("the lease: {error}"),
        }
    }

    /// Returns as soon as the journal holds so many entries.
    pub(super) async fn journal_holds(&self, wanted: usize) {
        let path = self.path("journal.db");
        let mut connection = None;
        loop {
            let entries = match &mut connection {
                Some(open) => count(open, "SELECT count(*) FROM entry").await,
                None => {
                    // Until it has its write-ahead log, a reader would keep the program from making one.
                    if path.with_extension("db-wal").exists() {
                        connection = reader(&path).await;
                    }
                    0
                }
            };
            if entries >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many entries the journal holds now.
    pub(super) async fn entries(&self) -> usize {
        self.counted("SELECT count(*) FROM entry").await
    }

    /// How many steps were about to be sent, by the journal.
    pub(super) async fn steps_started(&self) -> usize {
        self.counted("SELECT count(*) FROM entry WHERE event = 'started' AND scope LIKE 'step:%'").await
    }

    async fn counted(&self, query: &'static str) -> usize {
        let Some(mut connection) = reader(&self.path("journal.db")).await else { return 0 };
        let count = count(&mut connection, query).await;
        connection.close().await.expect("a journal that can be closed");
        count
    }
}

/// Opens the journal for reading. What a killed program left is the next one's to put in order.
async fn reader(path: &Path) -> Option<SqliteConnection> {
    SqliteConnectOptions::new().filename(path).read_only(true).connect().await.ok()
}

/// None while there is no schema.
async fn count(connection: &mut SqliteConnection, query: &'static str) -> usize {
    let count: Result<i64, _> = sqlx::query_scalar(query).fetch_one(connection).await;
    count.ok().and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
}
