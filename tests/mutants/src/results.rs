//! What is known of the mutants, kept in a file: a run that was ended goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::list::Mutant;
use crate::suite::Stage;

/// What one stage found out about one mutant.
#[derive(Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub name: String,
    pub stage: String,
    pub caught_by: Option<String>,
}

/// What the results were found with. Another program makes all of them void; other tests may catch more than before.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    pub sources: u64,
    pub tests: u64,
    pub unviable: BTreeSet<u32>,
}

pub struct Results {
    path: PathBuf,
    known: Mutex<BTreeMap<String, Vec<Outcome>>>,
}

/// The mutants that do not compile, as far as an earlier run of the same sources has found out.
pub fn basis(folder: &Path) -> Basis {
    let text = fs::read_to_string(folder.join("basis.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

impl Results {
    /// Reads what still holds for `now`, and writes it down.
    pub fn open(folder: &Path, before: &Basis, now: &Basis) -> Result<Self> {
        let path = folder.join("results.jsonl");
        let mut known: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
        if before.sources == now.sources {
            let text = fs::read_to_string(&path).unwrap_or_default();
            // A last line that was cut off is not known.
            let all = text.lines().filter_map(|it| serde_json::from_str::<Outcome>(it).ok());
            for outcome in all.filter(|it| before.tests == now.tests || it.caught_by.is_some()) {
                known.entry(outcome.name.clone()).or_default().push(outcome);
            }
        }
        let lines: Result<Vec<String>, _> = known.values().flatten().map(serde_json::to_string).collect();
        fs::write(&path, lines?.into_iter().map(|it| it + "\n").collect::<String>())?;
        fs::write(folder.join("basis.json"), serde_json::to_string(now)?)?;
        Ok(Self { path, known: Mutex::new(known) })
    }

    fn of(&self, mutant: &Mutant) -> Vec<Outcome> {
        self.known.lock().map(|it| it.get(&mutant.name).cloned()).ok().flatten().unwrap_or_default()
    }

    /// Whether the mutant is not caught yet, and was not tried in this stage.
    pub fn is_due(&self, mutant: &Mutant, stage: Stage) -> bool {
        self.of(mutant).iter().all(|it| it.caught_by.is_none() && it.stage != stage.words())
    }

    /// What caught the mutant: the stage, and the test.
    pub fn caught(&self, mutant: &Mutant) -> Option<(String, String)> {
        self.of(mutant).into_iter().find_map(|it| Some((it.stage, it.caught_by?)))
    }

    /// The tests that have caught a mutant of this file.
    pub fn catchers(&self, file: &str) -> BTreeSet<String> {
        let Ok(known) = self.known.lock() else { return BTreeSet::new() };
        let of_file = known.values().flatten().filter(|it| it.name.split(':').next() == Some(file));
        // Without the note of how it ended.
        let names = of_file.filter_map(|it| it.caught_by.as_deref()?.split(' ').next());
        names.map(str::to_owned).collect()
    }

    pub fn add(&self, outcome: Outcome) -> Result<()> {
        let mut known = self.known.lock().map_err(|_| anyhow!("a worker panicked"))?;
        let mut file = OpenOptions::new().append(true).open(&self.path).context("the file of results")?;
        file.write_all((serde_json::to_string(&outcome)? + "\n").as_bytes())?;
        known.entry(outcome.name.clone()).or_default().push(outcome);
        Ok(())
    }
}
