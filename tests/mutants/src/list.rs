//! The mutants: what cargo-mutants would change, without changing it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// The version of cargo-mutants this was made with. Others may name more kinds of mutants.
const MADE_WITH: &str = "27.1.0";

/// One change of one place.
#[derive(Debug, Deserialize)]
pub struct Mutant {
    /// Counted from one, in the order of the list.
    #[serde(skip)]
    pub id: u32,
    /// The file, the place and the replacement in words: unique.
    pub name: String,
    pub file: String,
    pub genre: Genre,
    /// What stands there instead: an expression, an operator, or nothing.
    pub replacement: String,
    pub span: Span,
}

/// The kinds of mutants that can be switched. Another one is an error, so that none is left out unseen.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Debug, Deserialize)]
pub struct Span {
    pub start: Place,
}

/// A line and a column, both from one.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// All mutants of these folders.
pub fn mutants(project: &Path, folders: &[&str]) -> Result<Vec<Mutant>> {
    let install = format!("cargo install --locked cargo-mutants@{MADE_WITH}");
    let run = |args: &[String]| {
        let output = Command::new("cargo").arg("mutants").args(args).current_dir(project).output();
        let output = output.context("cargo does not run")?;
        if !output.status.success() {
            bail!("cargo mutants does not run ({install}): {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("what cargo mutants says is no text")
    };
    let version = run(&["--version".to_owned()])?;
    if !version.trim().ends_with(MADE_WITH) {
        eprintln!("mutants: made with cargo-mutants {MADE_WITH}, and this is {}", version.trim());
    }
    let mut args = vec!["--list".to_owned(), "--json".to_owned()];
    args.extend(folders.iter().flat_map(|it| ["-f".to_owned(), format!("{it}/**")]));
    let mut all: Vec<Mutant> = serde_json::from_str(&run(&args)?).context("the list of cargo mutants is not read")?;
    (1..).zip(&mut all).for_each(|(id, mutant)| mutant.id = id);
    Ok(all)
}
