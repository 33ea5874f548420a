//! Child processes that never outlive the tests, and the ports they listen on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Ends the servers of one plane when the test process ends in any way.
///
/// A static is never dropped, and a test process that is killed drops nothing at
/// all. So a small shell reads the servers' process ids from a pipe; the pipe
/// closes when this process is gone, and then the shell kills them and removes
/// the data folder. Logs stay.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    /// Closed when dropped.
    pids: Option<ChildStdin>,
}

impl Guardian {
    /// Starts the shell; `data` is the folder to remove at the end.
    pub(crate) fn start(data: &Path) -> Guardian {
        let script = r#"while read -r pid; do pids="$pids $pid"; done; kill -9 $pids 2>/dev/null; rm -rf "$1""#;
        let mut child = Command::new("sh")
            .args(["-c", script, "guardian"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let pids = child.stdin.take();
        Guardian { child, pids }
    }

    fn watch(&mut self, pid: u32) {
        let pids = self.pids.as_mut().expect("the pipe is open");
        writeln!(pids, "{pid}").expect("the guardian reads its pipe");
    }
}

impl Drop for Guardian {
    /// The owner ends its servers itself, so the guardian must not: by the time
    /// it came to kill them, their ids could be somebody else's.
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A server: killed when dropped, its output in a log file.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with its output in `<logs>/<name>.log`. Its own process
    /// group keeps a Ctrl-C in the terminal away from it; the guardian ends it.
    pub(crate) fn start(guardian: &mut Guardian, logs: &Path, name: &str, command: &mut Command) -> Server {
        let log = logs.join(format!("{name}.log"));
        let out = File::create(&log).expect("a log file can be created");
        let err = out.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        guardian.watch(child.id());
        Server { name: name.to_owned(), child, log }
    }

    /// The operating system's number for it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Panics with the end of the log if the server has ended by itself.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be asked for its status") {
            panic!("{} ended: {status}\n{}", self.name, self.tail(30));
        }
    }

    /// The last lines of its log, under a heading.
    pub(crate) fn tail(&self, lines: usize) -> String {
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        let all: Vec<&str> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].join("\n");
        format!("--- {} ({}) ---\n{last}\n", self.name, self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A port of 127.0.0.1 that nothing listens on, never the same one twice in this
/// process: planes start side by side.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// A new folder below `target/tmp/e2e/<process id>`, after those of processes
/// that are gone have been removed.
pub(super) fn new_folder(name: &str) -> PathBuf {
    static OURS: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            let alive = Command::new("kill").arg("-0").arg(entry.file_name()).stderr(Stdio::null()).status();
            if alive.is_ok_and(|status| !status.success()) {
                let _somebody_else_was_faster = std::fs::remove_dir_all(entry.path());
            }
        }
        all.join(std::process::id().to_string())
    });
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let folder = OURS.join(format!("{}-{name}", NUMBER.fetch_add(1, Ordering::SeqCst)));
    std::fs::create_dir_all(folder.join("data")).expect("a folder below target/tmp");
    folder
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn servers_end_when_the_pipe_closes_as_it_does_with_this_process() {
        let folder = new_folder("guardian");
        let data = folder.join("data");
        let mut guardian = Guardian::start(&data);
        let mut server = Server::start(&mut guardian, &folder, "sleep", Command::new("sleep").arg("600"));
        server.assert_running();

        drop(guardian.pids.take());
        assert_eq!(server.child.wait().expect("a child to wait for").signal(), Some(9));
        guardian.child.wait().expect("a child to wait for");
        assert!(!data.exists(), "its data is gone");
        assert!(server.tail(1).contains("sleep.log"), "its log is not");
    }
}
