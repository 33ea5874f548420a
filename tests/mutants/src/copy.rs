//! The copy of the crate in which the mutants are switched, and its builds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::blame;
use crate::list::Mutant;
use crate::switch::switch;

/// Not copied: what is built or is no part of the crate.
const NOT_COPIED: [&str; 3] = ["target", ".git", "tests/mutants"];

/// Optimised: running the tests is most of the time.
const OPTIMISED: [&str; 2] = ["--config", "profile.dev.package.irsa-migrate.opt-level=2"];

/// Compiler rounds after which something else must be wrong.
const ROUNDS: usize = 12;

pub struct Copy<'a> {
    pub project: &'a Path,
    pub folder: PathBuf,
    /// Where cargo builds: the project's own, for the packages that both use.
    pub target: PathBuf,
}

/// What became of the mutants when they were switched.
#[derive(Default)]
pub struct Written {
    /// Do not compile: not mutants of this program.
    pub unviable: BTreeSet<u32>,
    /// Cannot be switched; they count as not caught.
    pub left_out: BTreeSet<u32>,
}

impl Copy<'_> {
    /// Writes all mutants that compile, finding out which those are.
    pub fn write(&self, mutants: &[Mutant], known: BTreeSet<u32>) -> Result<Written> {
        let mut written = Written { unviable: known, left_out: BTreeSet::new() };
        for round in 1..=ROUNDS {
            written.left_out = self.sync(mutants, &mut written.unviable)?;
            let (blamed, errors) = self.check()?;
            if errors == 0 {
                return Ok(written);
            }
            eprintln!("mutants: round {round}: {} do not compile ({errors} errors)", blamed.len());
            if blamed.is_empty() {
                bail!("the switched copy does not compile, and no mutant is to blame: {}", self.folder.display());
            }
            written.unviable.extend(blamed);
        }
        bail!("after {ROUNDS} rounds the switched copy does not compile: {}", self.folder.display())
    }

    /// Makes the copy equal to the project but for the mutants. Files that are right are not touched, so that little is built.
    fn sync(&self, mutants: &[Mutant], without: &mut BTreeSet<u32>) -> Result<BTreeSet<u32>> {
        let mut of_file: BTreeMap<&Path, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants.iter().filter(|it| !without.contains(&it.id)) {
            of_file.entry(Path::new(&mutant.file)).or_default().push(mutant);
        }
        let mut left_out = BTreeSet::new();
        let wanted = files(self.project)?;
        for path in &wanted {
            let mut bytes = fs::read(self.project.join(path))?;
            if let Some(mutants) = of_file.get(path.as_path()) {
                let source = String::from_utf8(bytes).context("a source is no text")?;
                let switched = switch(&source, mutants).with_context(|| path.display().to_string())?;
                left_out.extend(switched.left_out);
                without.extend(switched.unviable);
                bytes = switched.text.into_bytes();
            } else if path == Path::new("src/lib.rs") {
                bytes.extend(b"\nmod mutant;\n");
            } else if path.starts_with("tests") && path.extension().is_some_and(|it| it == "rs") {
                bytes = passed_on(bytes);
            }
            put(&self.folder.join(path), &bytes)?;
        }
        let switches = PathBuf::from("src/mutant.rs");
        put(&self.folder.join(&switches), include_bytes!("../template/mutant.rs"))?;
        for path in files(&self.folder)? {
            if path != switches && !wanted.contains(&path) {
                fs::remove_file(self.folder.join(path))?;
            }
        }
        Ok(left_out)
    }

    fn cargo(&self, args: &[&str]) -> Result<(Vec<Message>, bool)> {
        let mut cargo = Command::new("cargo");
        cargo.args(args).args(["--locked", "--message-format", "json"]).args(OPTIMISED);
        cargo.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        let mut child = cargo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cargo does not run")?;
        let mut messages = Vec::new();
        for line in BufReader::new(child.stdout.take().context("cargo says nothing")?).lines() {
            messages.push(serde_json::from_str(&line?).context("cargo's message is not read")?);
        }
        Ok((messages, child.wait()?.success()))
    }

    /// Which mutants do not compile, and how many errors there are.
    fn check(&self) -> Result<(BTreeSet<u32>, usize)> {
        let (messages, succeeded) = self.cargo(&["check", "--lib"])?;
        let mut blamed = BTreeSet::new();
        let mut count = 0;
        for error in messages.into_iter().filter_map(|it| it.message).filter(|it| it.level == "error") {
            count += 1;
            let found = blame::blame(&self.folder, &error)?;
            if found.is_empty() {
                eprintln!("{}", error.rendered.unwrap_or_default());
            }
            blamed.extend(found);
        }
        if !succeeded && count == 0 {
            bail!("`cargo check` fails in {}", self.folder.display());
        }
        Ok((blamed, count))
    }

    /// Builds the test binaries: the library's own tests, and these.
    pub fn build(&self, tests: &[&str]) -> Result<Vec<Binary>> {
        let mut args = vec!["test", "--no-run", "--lib"];
        args.extend(tests.iter().flat_map(|it| ["--test", *it]));
        let (messages, succeeded) = self.cargo(&args)?;
        if !succeeded {
            for error in messages.into_iter().filter_map(|it| it.message).filter(|it| it.level == "error") {
                eprintln!("{}", error.rendered.unwrap_or_default());
            }
            bail!("the switched copy is not built: {}", self.folder.display());
        }
        let tests = messages.into_iter().filter(|it| it.profile.as_ref().is_some_and(|it| it.test));
        let binaries = tests.filter_map(|it| Some(Binary { name: it.target?.name, path: it.executable? }));
        Ok(binaries.collect())
    }
}

pub struct Binary {
    /// `irsa_migrate` for the library, or the folder of the tests.
    pub name: String,
    pub path: PathBuf,
}

/// A line of what cargo says, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    message: Option<blame::Diagnostic>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Tests that start the program clear its environment; the switch must get through.
fn passed_on(source: Vec<u8>) -> Vec<u8> {
    const PASSED: &str = r#".env_clear().envs(std::env::vars().filter(|(name, _)| name.starts_with("MUTANT")))"#;
    match String::from_utf8(source) {
        Ok(text) => text.replace(".env_clear()", PASSED).into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|it| it == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).with_context(|| path.display().to_string())
}

/// Every file of the crate, by its path inside.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if NOT_COPIED.iter().any(|it| path == Path::new(it)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// A digest of the files below these folders, to tell whether results still hold.
pub fn digest(project: &Path, folder: &str) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for path in files(project)?.into_iter().filter(|it| it.starts_with(folder)) {
        fs::read(project.join(&path))?.hash(&mut hasher);
        path.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
