//! The binary as it runs: what it was asked, what it said, how it ended.

use std::fmt::Write as _;
use std::process::Output;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::wait;

/// What a person saw.
pub(super) struct Ran {
    args: Vec<String>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: Option<i32>,
}

impl Ran {
    pub(super) fn of(args: &[&str], output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code(),
        }
    }

    /// All of it.
    pub(super) fn whole(&self) -> String {
        let mut out = format!("$ irsa-migrate {}\n", self.args.join(" "));
        let _ = write!(out, "--- stdout\n{}--- stderr\n{}--- exit status: {:?}", self.stdout, self.stderr, self.code);
        out
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(super) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.whole());
        self
    }

    /// It must have ended with this code, one sentence that says this, and a hint.
    #[track_caller]
    pub(super) fn refused(self, code: i32, says: &[&str]) -> Self {
        let ran = self.ended(code);
        let errors: Vec<&str> = ran.stderr.lines().filter(|it| it.starts_with("Error: ")).collect();
        assert_eq!(errors.len(), 1, "one sentence\n{}", ran.whole());
        assert!(ran.stderr.lines().any(|it| it.starts_with("Hint: ")), "a hint\n{}", ran.whole());
        for words in says {
            assert!(errors[0].contains(words), "{words:?}\n{}", ran.whole());
        }
        ran
    }
}

/// The binary, running.
pub(super) struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Started {
    pub(super) fn of(command: &mut Command) -> Started {
        let mut child = command.spawn().expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Started { child, lines, said: Vec::new() }
    }

    /// Reads events until one fits.
    pub(super) async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said.push(line.clone());
                if let Some(event) = serde_json::from_str(&line).ok().filter(&fits) {
                    return Some(event);
                }
            }
            None
        };
        match tokio::time::timeout(wait::PATIENCE, reading).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let mut stderr = String::new();
                let _whatever_came = self.child.stderr.take().expect("a pipe").read_to_string(&mut stderr).await;
                panic!("it ended before {what}\n{}\n{stderr}", self.said.join("\n"))
            }
            Err(_) => panic!("not in time: {what}\n{}", self.said.join("\n")),
        }
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.expect("a process to kill");
    }

    /// `kill -9` once `when` is over; the exit code if it ended by itself before.
    pub(super) async fn kill_once(mut self, when: impl Future<Output = ()>) -> Option<i32> {
        let ending = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said.push(line);
            }
            self.child.wait().await.expect("it ends").code()
        };
        let ended = tokio::select! {
            biased;
            code = ending => Some(code),
            () = when => None,
        };
        match ended {
            Some(code) => code,
            None => {
                self.child.kill().await.expect("a process to kill");
                None
            }
        }
    }

    /// Ctrl-C.
    pub(super) async fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs");
        assert!(sent.success());
    }

    /// Reads on to its end; the exit code.
    pub(super) async fn end(mut self) -> Option<i32> {
        let ending = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said.push(line);
            }
            self.child.wait().await.expect("it ends").code()
        };
        tokio::time::timeout(wait::PATIENCE, ending).await.expect("it ends in time")
    }
}

/// Whether an event is of this kind, about a step whose name begins so.
pub(super) fn step<'e>(event: &'e str, step: &'e str) -> impl Fn(&Value) -> bool + use<'e> {
    move |it| it["event"] == event && it["step"].as_str().is_some_and(|name| name.starts_with(step))
}
