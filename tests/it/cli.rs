//! The real binary, run in a home of its own: what it prints, where, and how it ends.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person's home, empty at first, with nothing of this machine's environment.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a file");
    }

    /// The program with these arguments, in this home.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irsa-migrate"));
        command.args(args).env_clear().current_dir(self.directory.path());
        command.env("HOME", self.directory.path());
        // No instance metadata: a machine that has it would lend its credentials.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Runs it, and writes down what a person would see.
    pub(crate) fn run(&self, args: &[&str]) -> Transcript {
        let output = self.command(args).output().expect("the program");
        let code = output.status.code();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Transcript { args: args.iter().map(|it| (*it).to_owned()).collect(), stdout, stderr, code, home: self.home() }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What a person would see.
pub(crate) struct Transcript {
    args: Vec<String>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    home: PathBuf,
}

impl Transcript {
    /// All of it, with the home's path made the same on every machine.
    pub(crate) fn whole(&self) -> String {
        let mut out = format!("$ irsa-migrate {}\n", self.args.join(" "));
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                let _ = write!(out, "--- {name}\n{text}");
            }
        }
        let code = self.code.map_or_else(|| "a signal".to_owned(), |it| it.to_string());
        let _ = write!(out, "--- exit status: {code}");
        out.replace(&shown(&self.home), "HOME")
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn help_lists_the_commands_and_exit_codes() {
    insta::assert_snapshot!(Home::new().run(&["--help"]).whole());
}

#[test]
fn a_command_that_does_not_exist_is_a_usage_error() {
    insta::assert_snapshot!(Home::new().run(&["frobnicate"]).whole());
}

#[test]
fn as_a_plugin_of_kubectl_it_names_itself_so() {
    let home = Home::new();
    let plugin = home.path("kubectl-irsa_migrate");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_irsa-migrate"), &plugin).expect("a link");
    let output = Command::new(plugin).args(["explain", "--help"]).output().expect("the program");
    assert!(text(&output.stdout).contains("Usage: kubectl irsa-migrate explain"), "{}", text(&output.stdout));
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let seen = Home::new().run(&["completions", shell]);
        assert!(seen.code == Some(0) && seen.stdout.contains("irsa-migrate") && seen.stderr.is_empty(), "{shell}");
    }
}
