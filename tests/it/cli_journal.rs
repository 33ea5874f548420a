//! `apply` with a journal that cannot be used: said in a sentence, and nobody is asked anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use irsa_migrate::live::SqliteJournal;
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Settings, plan};
use irsa_migrate::sim::build::Builder;
use sqlx::Connection as _;

use crate::cli::Home;
use crate::inventories::one;
use crate::wire::{Wire, wall_clock};

/// Root may write everywhere, which a run by root gives up for this.
const AS_ANYBODY: &str = "if [ \"$(id -u)\" = 0 ]; then \
    exec setpriv --inh-caps -dac_override --bounding-set -dac_override \"$@\"; fi; exec \"$@\"";

/// No file may grow beyond so many blocks of 512 bytes: what a full disk is to whoever writes.
fn with_room_for(blocks: u32) -> String {
    format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$@\"")
}

/// A home with a plan, and an AWS that would answer.
struct Scene {
    home: Home,
    wire: Wire,
    digest: String,
}

impl Scene {
    async fn new() -> Self {
        let home = Home::new();
        let bytes = plan(&one(), &Settings::default()).expect("a plan").to_bytes().expect("bytes");
        home.write("plan.json", &bytes);
        let world = Builder::new().begins(wall_clock()).account("111122223333").world();
        let wire = Wire::start(world).await.expect("a port");
        Self { home, wire, digest: Digest::of(&bytes).to_string() }
    }

    /// Applies the plan under a shell's `prelude`; the program must say one sentence with these words
    /// and a hint, with this exit code, and ask nobody anything.
    async fn refused(&self, journal: &str, prelude: &str, code: i32, says: &[&str]) {
        let mut command = tokio::process::Command::from(self.shell(prelude));
        command.args(["apply", "plan.json", "--digest", &self.digest, "--journal", journal]);
        let output = command.output().await.expect("a shell");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{journal}\n{stderr}");
        let errors: Vec<&str> = stderr.lines().filter(|it| it.starts_with("Error: ")).collect();
        assert_eq!(errors.len(), 1, "one sentence\n{stderr}");
        for words in says.iter().chain([&journal]) {
            assert!(errors[0].contains(words), "{words:?}\n{stderr}");
        }
        assert!(stderr.lines().any(|it| it.starts_with("Hint: ")), "a hint\n{stderr}");
        assert_eq!(self.wire.seen(), [], "{journal}: nobody was asked anything");
    }

    fn shell(&self, prelude: &str) -> Command {
        let program = self.home.command(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", prelude, "sh"]).arg(program.get_program()).env_clear();
        command.current_dir(self.home.path("")).envs(program.get_envs().filter_map(|(name, it)| Some((name, it?))));
        // The shell finds its programs by itself, without a PATH.
        command.env("AWS_ENDPOINT_URL", self.wire.url()).env("AWS_REGION", "eu-west-1");
        command.env("AWS_ACCESS_KEY_ID", "111122223333").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }
}

const AS_IT_IS: &str = "exec \"$@\"";

#[tokio::test]
async fn a_journal_that_would_do() {
    let scene = Scene::new().await;
    let mut command = tokio::process::Command::from(scene.shell(AS_IT_IS));
    command.args(["apply", "plan.json", "--digest", &scene.digest, "--journal", "journal.db"]);
    command.output().await.expect("a shell");
    assert!(scene.home.path("journal.db").exists());
    assert_ne!(scene.wire.seen(), [], "AWS is asked as soon as there is a journal");
}

#[tokio::test]
async fn a_file_that_is_no_journal() {
    let scene = Scene::new().await;
    let home = &scene.home;
    home.write("notes.txt", "a letter to my mother, and it is long enough to be no database at all");
    scene.refused("notes.txt", AS_IT_IS, 2, &["not a journal"]).await;
    let raw = async |name: &str, sql: &'static str| {
        let url = format!("sqlite://{}", home.path(name).display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("a connection");
        sqlx::query(sql).execute(&mut connection).await.expect("it is done");
        connection.close().await.expect("it is closed");
    };
    home.write("foreign.db", "");
    raw("foreign.db", "CREATE TABLE song (title TEXT)").await;
    scene.refused("foreign.db", AS_IT_IS, 2, &["another program"]).await;
    drop(SqliteJournal::open(&home.path("newer.db")).await.expect("a journal"));
    raw("newer.db", "PRAGMA user_version = 2").await;
    scene.refused("newer.db", AS_IT_IS, 2, &["newer"]).await;
}

#[tokio::test]
async fn a_journal_that_is_damaged() {
    let scene = Scene::new().await;
    let path = scene.home.path("journal.db");
    drop(SqliteJournal::open(&path).await.expect("a journal"));
    let url = format!("sqlite://{}", path.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("a connection");
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.expect("it is written back");
    connection.close().await.expect("it is closed");
    let mut bytes = fs::read(&path).expect("the journal");
    // The header stays; the schema behind it is gone.
    bytes[100..4096].fill(0x55);
    fs::write(&path, &bytes).expect("a file");
    scene.refused("journal.db", AS_IT_IS, 1, &["malformed"]).await;
}

#[tokio::test]
async fn a_place_where_no_file_can_be() {
    let scene = Scene::new().await;
    scene.home.write("file", "");
    scene.refused("file/journal.db", AS_IT_IS, 1, &[]).await;
    fs::create_dir(scene.home.path("folder")).expect("a folder");
    scene.refused("folder", AS_IT_IS, 2, &["is a folder"]).await;
}

#[tokio::test]
async fn a_place_where_this_user_may_not_write() {
    let scene = Scene::new().await;
    let mode = |name: &str, mode| {
        let path = scene.home.path(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    scene.home.write("journal.db", "");
    mode("journal.db", 0o444);
    scene.refused("journal.db", AS_ANYBODY, 1, &["readonly"]).await;
    fs::create_dir(scene.home.path("folder")).expect("a folder");
    mode("folder", 0o555);
    scene.refused("folder/journal.db", AS_ANYBODY, 1, &["denied"]).await;
    mode("folder", 0o755);
}

#[tokio::test]
async fn a_disk_without_room() {
    for blocks in [0, 8, 32] {
        let scene = Scene::new().await;
        scene.refused("journal.db", &with_room_for(blocks), 1, &[]).await;
    }
}
