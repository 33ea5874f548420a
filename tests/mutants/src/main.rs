//! Mutation testing with one build: breaks the program in one place at a time, and sees whether a test notices.
//!
//! cargo-mutants says what would be changed. Every change is written into a copy of the crate, behind a switch of its
//! own; what does not compile is taken out again; the tests are built once. Then they are run for each mutant, its
//! number in an environment variable: only those tests that reach its place, the quick ones first.

mod blame;
mod copy;
mod hunt;
mod list;
mod pool;
mod report;
mod results;
mod suite;
mod switch;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use copy::Copy;
use results::{Basis, Results};
use suite::Stage;

/// The rooms whose mistakes would break somebody's access.
const ROOMS: [&str; 5] = ["src/plan", "src/apply", "src/journal", "src/rollback", "src/trust"];

/// At least so many of a hundred mutants are to be caught.
const ENOUGH: f64 = 95.0;

fn main() -> Result<ExitCode> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.join("target"), Into::into);
    let folder = target.join("mutants");
    fs::create_dir_all(&folder)?;
    let copy = Copy { project: &project, folder: folder.join("crate"), target: folder.join("target") };

    let all = list::mutants(&project, &ROOMS)?;
    let before = results::basis(&folder);
    let mut now = Basis {
        sources: copy::digest(&project, "src")?,
        tests: copy::digest(&project, "tests")?,
        unviable: BTreeSet::new(),
    };
    let known = if before.sources == now.sources { before.unviable.clone() } else { BTreeSet::new() };
    let written = copy.write(&all, known)?;
    now.unviable = written.unviable;
    let results = Results::open(&folder, &before, &now)?;

    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|it| name.starts_with(it));
    let mutants: Vec<_> = all.iter().filter(|it| is_asked(&it.name)).collect();
    let (unviable, viable): (Vec<_>, Vec<_>) = mutants.into_iter().partition(|it| now.unviable.contains(&it.id));
    if viable.is_empty() {
        bail!("no mutant of {} begins with {}", ROOMS.join(", "), asked.join(" or "));
    }
    eprintln!("mutants: {} to be lived with; building the tests", viable.len());
    let binaries = copy.build(&["it", "loops"])?;
    let tests = suite::explore(&binaries, &copy.folder, &folder).context("the tests")?;
    eprintln!("mutants: all {} tests pass without a mutant", tests.len());
    for stage in Stage::ALL {
        hunt::stage(stage, &viable, &tests, (&copy.folder, &folder), &results)?;
    }
    let rate = report::print(&viable, unviable.len(), &written.left_out, &tests, &results);
    Ok(if rate >= ENOUGH { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
