//! What came of it, for people.

use std::collections::{BTreeMap, BTreeSet};

use crate::list::Mutant;
use crate::results::Results;
use crate::suite::{Stage, Test};

/// Prints the summary, and gives how many of a hundred were caught.
pub fn print(
    viable: &[&Mutant],
    unviable: usize,
    left_out: &BTreeSet<u32>,
    tests: &[Test<'_>],
    results: &Results,
) -> f64 {
    let caught: Vec<(&Mutant, String)> = viable.iter().filter_map(|it| Some((*it, results.caught(it)?.0))).collect();
    println!("{} mutants compile, and {unviable} more do not", viable.len());
    for stage in Stage::ALL {
        let count = caught.iter().filter(|(_, it)| it == stage.words()).count();
        println!("{count:6} caught by {}", stage.words());
    }
    let mut rooms: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for mutant in viable {
        let (all, found) = rooms.entry(room(mutant)).or_default();
        *all += 1;
        *found += usize::from(results.caught(mutant).is_some());
    }
    for (room, (all, found)) in rooms {
        println!("{room}: {found} of {all} caught: {:.2} %", percent(found, all));
    }
    for mutant in viable.iter().filter(|it| results.caught(it).is_none()) {
        let why = match () {
            () if left_out.contains(&mutant.id) => " (cannot be switched: not tried)",
            () if tests.iter().all(|it| !it.reaches.contains(&mutant.id)) => " (no test reaches it)",
            () => "",
        };
        println!("not caught: {}{why}", mutant.name);
    }
    let rate = percent(caught.len(), viable.len());
    println!("{} of {} caught: {rate:.2} %", caught.len(), viable.len());
    rate
}

/// The first two parts of the path.
fn room(mutant: &Mutant) -> &str {
    let end = mutant.file.match_indices('/').nth(1).map_or(mutant.file.len(), |(at, _)| at);
    &mutant.file[..end]
}

fn percent(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let (part, whole) = (part as f64, whole as f64);
    100.0 * part / whole
}
