//! Lives with each mutant in turn, until a test notices.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::list::Mutant;
use crate::pool;
use crate::results::{Outcome, Results};
use crate::suite::{Bench, End, Stage, Test};

/// The first tests are run together for about this long, and each further group for twice as long.
const FIRST_GROUP: Duration = Duration::from_millis(200);

/// Tells how far it is after so many mutants.
const TELL: usize = 50;

/// Runs the stage's tests for each mutant that is still alive.
pub fn stage(stage: Stage, mutants: &[&Mutant], tests: &[Test<'_>], bench: (&Path, &Path), to: &Results) -> Result<()> {
    let alive: Vec<&Mutant> = mutants.iter().copied().filter(|it| to.is_due(it, stage)).collect();
    let (begun, done, caught) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    pool::each(&alive, |worker, mutant| {
        let bench = Bench { crate_folder: bench.0, scratch: pool::folder(bench.1, worker)? };
        let mut reaching: Vec<&Test<'_>> =
            tests.iter().filter(|it| it.stage == stage && it.reaches.contains(&mutant.id)).collect();
        // What caught another mutant of the file is likely to catch this one. The sort keeps the order otherwise.
        let catchers = to.catchers(&mutant.file);
        reaching.sort_by_key(|it| !catchers.contains(&it.name));
        let end = live_with(mutant, reaching, &bench)?;
        if end.is_some() {
            caught.fetch_add(1, Ordering::Relaxed);
        }
        to.add(Outcome { name: mutant.name.clone(), stage: stage.words().to_owned(), caught_by: end })?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done % TELL == 0 || done == alive.len() {
            let (caught, minutes) = (caught.load(Ordering::Relaxed), begun.elapsed().as_secs_f64() / 60.0);
            eprintln!("mutants: {}: {done} of {}, {caught} caught, {minutes:.1} min", stage.words(), alive.len());
        }
        Ok(())
    })
}

/// The test that notices the mutant, if one does.
fn live_with(mutant: &Mutant, tests: Vec<&Test<'_>>, bench: &Bench<'_>) -> Result<Option<String>> {
    let id = mutant.id.to_string();
    let mut rest = tests.as_slice();
    let mut budget = FIRST_GROUP;
    while let Some(first) = rest.first() {
        let mut takes = Duration::ZERO;
        let fits = rest.iter().take_while(|it| {
            let goes_on = std::ptr::eq(it.binary, first.binary) && (takes.is_zero() || takes + it.takes <= budget);
            takes += it.takes;
            goes_on
        });
        let (group, later) = rest.split_at(fits.count());
        let names: Vec<&str> = group.iter().map(|it| it.name.as_str()).collect();
        let usually = group.iter().map(|it| it.takes).sum();
        match bench.run(first.binary, &names, usually, ("MUTANT", &id))? {
            End::Passed => {}
            End::Failed(test) => return Ok(Some(test)),
            End::Hung(test) => return Ok(Some(format!("{test} (ended by a signal or a limit)"))),
        }
        (rest, budget) = (later, budget * 2);
    }
    Ok(None)
}
