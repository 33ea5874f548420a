//! The tests: how long each takes, and which mutants' places it reaches when none is switched on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::copy::Binary;
use crate::pool;

/// Which tests are asked first. What an earlier stage catches costs a later one nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Quick,
    Slow,
    Slowest,
    Loops,
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Quick, Self::Slow, Self::Slowest, Self::Loops];

    pub fn words(self) -> &'static str {
        match self {
            Self::Quick => "quick tests",
            Self::Slow => "slow tests",
            Self::Slowest => "slowest tests",
            Self::Loops => "loops",
        }
    }
}

/// A test that takes no longer than this is quick.
const QUICK: Duration = Duration::from_millis(400);

/// One that takes longer than this is among the slowest.
const SLOW: Duration = Duration::from_secs(5);

/// Of the loops: some that fit, each with an idea of its own.
const LOOPS: [&str; 6] = [
    "schedules::schedules",
    "harder::there_and_back_and_there_again",
    "faults::one_service_account::at_once",
    "faults::one_service_account::back",
    "faults::stragglers::at_once",
    "faults::a_bare_pod::at_once",
];

/// Not asked: these read the sources, which look otherwise in the copy; and this one lets no file be written, nor a
/// note of what it reaches.
const NOT_ASKED: [&str; 2] = ["architecture::", "cli_journal::a_disk_without_room"];

/// So many histories from seeds.
const SCHEDULES: &str = "100";

pub struct Test<'a> {
    pub binary: &'a Binary,
    pub name: String,
    pub stage: Stage,
    pub takes: Duration,
    pub reaches: BTreeSet<u32>,
}

/// How a run of some tests ended.
pub enum End {
    Passed,
    /// With the first test that did not pass.
    Failed(String),
    /// It reached a limit, or was ended by a signal: an endless loop, or an overflow of the stack.
    Hung(String),
}

/// A place to run tests in.
pub struct Bench<'a> {
    pub crate_folder: &'a Path,
    /// For what the tests print, and their notes.
    pub scratch: PathBuf,
}

impl Bench<'_> {
    /// Runs these tests of the binary, which together take `usually`.
    pub fn run(&self, binary: &Binary, tests: &[&str], usually: Duration, variable: (&str, &str)) -> Result<End> {
        let said = self.scratch.join("said");
        let mut command = Command::new("sh");
        // Endless loops end by the first limit, endless lists by the second, which not every system has.
        command.args(["-c", "ulimit -t \"$1\"; ulimit -v 8000000 2>/dev/null || :; shift; exec \"$@\"", "sh"]);
        command.arg((10 + 4 * usually.as_secs()).to_string());
        command.arg(&binary.path).args(["--test-threads", "1", "--exact"]).args(tests);
        command.current_dir(self.crate_folder).stdin(Stdio::null()).stderr(Stdio::null()).stdout(File::create(&said)?);
        command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", self.crate_folder);
        command.env("SCHEDULES", SCHEDULES).env("RUST_BACKTRACE", "0").env(variable.0, variable.1);
        // A run that only waits uses no CPU.
        let status = within(&mut command, Duration::from_secs(120) + 10 * usually)?;
        if status.is_some_and(|it| it.success()) {
            return Ok(End::Passed);
        }
        let said = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
        let test = first_failure(&said).unwrap_or_else(|| tests.first().copied().unwrap_or_default().to_owned());
        // A test that fails gives this code; anything else is a signal, or an abort.
        Ok(if status.is_some_and(|it| it.code() == Some(101)) { End::Failed(test) } else { End::Hung(test) })
    }
}

/// Waits for the command; `None` if it had to be ended.
fn within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn().context("a test binary does not run")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first line of a test that does not end in `ok`.
fn first_failure(said: &str) -> Option<String> {
    let tests = said.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    let mut failed = tests.filter(|(_, end)| !end.ends_with("ok") && !end.starts_with("ignored"));
    failed.next().map(|(name, _)| name.split(" - ").next().unwrap_or(name).to_owned())
}

/// The names of the binary's tests that are not ignored.
fn names(binary: &Binary) -> Result<Vec<String>> {
    let list = |more: &[&str]| -> Result<BTreeSet<String>> {
        let output = Command::new(&binary.path).args(["--list", "--format", "terse"]).args(more).output()?;
        let text = String::from_utf8(output.stdout).context("the list of tests is no text")?;
        Ok(text.lines().filter_map(|it| it.strip_suffix(": test")).map(str::to_owned).collect())
    };
    let (all, ignored) = (list(&[])?, list(&["--ignored"])?);
    Ok(all.difference(&ignored).filter(|it| is_wanted(binary, it)).cloned().collect())
}

fn is_wanted(binary: &Binary, test: &str) -> bool {
    match binary.name.as_str() {
        "loops" => LOOPS.contains(&test),
        _ => !NOT_ASKED.iter().any(|it| test.starts_with(it)),
    }
}

/// Runs every test once without a mutant. One that fails is an error: it would catch everything.
pub fn explore<'a>(binaries: &'a [Binary], crate_folder: &Path, scratch: &Path) -> Result<Vec<Test<'a>>> {
    let mut todo = Vec::new();
    for binary in binaries {
        todo.extend(names(binary)?.into_iter().map(|name| (binary, name)));
    }
    if todo.is_empty() {
        bail!("there are no tests");
    }
    let (tests, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    pool::each(&todo, |worker, (binary, name)| {
        let scratch = pool::folder(scratch, worker)?;
        let notes = scratch.join("reached");
        fs::write(&notes, "")?;
        let bench = Bench { crate_folder, scratch };
        let begun = Instant::now();
        let variable = ("MUTANTS_REACHED", notes.to_str().context("a path is text")?);
        match bench.run(binary, &[name], Duration::from_secs(120), variable)? {
            End::Passed => {}
            End::Failed(_) | End::Hung(_) => {
                failed.lock().map_err(|_| anyhow!("a worker panicked"))?.push(format!("{} {name}", binary.name));
                return Ok(());
            }
        }
        let takes = begun.elapsed();
        let stage = match takes {
            _ if binary.name == "loops" => Stage::Loops,
            it if it <= QUICK => Stage::Quick,
            it if it <= SLOW => Stage::Slow,
            _ => Stage::Slowest,
        };
        let reaches = fs::read_to_string(&notes)?.lines().filter_map(|it| it.parse().ok()).collect();
        let test = Test { binary, name: name.clone(), stage, takes, reaches };
        tests.lock().map_err(|_| anyhow!("a worker panicked"))?.push(test);
        Ok(())
    })?;
    let failed = failed.into_inner().map_err(|_| anyhow!("a worker panicked"))?;
    if !failed.is_empty() {
        bail!("without a mutant these fail: {}", failed.join(", "));
    }
    let mut tests = tests.into_inner().map_err(|_| anyhow!("a worker panicked"))?;
    tests.sort_by(|a, b| (a.stage, &a.binary.name, a.takes).cmp(&(b.stage, &b.binary.name, b.takes)));
    Ok(tests)
}
