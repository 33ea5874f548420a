//! Says which mutant is switched on. This file is put into the switched copy of the crate.

use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The mutant to live with: none when the variable is not set.
static ON: LazyLock<Option<u32>> = LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());

/// Where to note which mutants' places are reached, while the tests are looked at without any mutant.
static NOTES: LazyLock<Option<std::path::PathBuf>> =
    LazyLock::new(|| std::env::var_os("MUTANTS_REACHED").map(Into::into));

/// More than there will ever be mutants.
static REACHED: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];

/// Whether this mutant is switched on.
#[allow(unreachable_pub, clippy::expect_used, reason = "a copy for tests: a note that cannot be taken must stop them")]
pub fn is_on(id: u32) -> bool {
    if let Some(path) = &*NOTES
        && !REACHED[id as usize].swap(true, Ordering::Relaxed)
    {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the file for notes");
        file.write_all(format!("{id}\n").as_bytes()).expect("a note");
    }
    *ON == Some(id)
}
