//! Work on every core.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};

/// Does this for each item, with the number of the worker. The first error ends it.
pub fn each<T: Sync>(items: &[T], work: impl Fn(usize, &T) -> Result<()> + Sync) -> Result<()> {
    let (next, work) = (&AtomicUsize::new(0), &work);
    let one = |worker| {
        move || -> Result<()> {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(why) = work(worker, item) {
                    next.store(items.len(), Ordering::Relaxed);
                    return Err(why);
                }
            }
            Ok(())
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(one(worker))).collect();
        threads.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// A folder of the worker's own.
pub fn folder(scratch: &Path, worker: usize) -> Result<PathBuf> {
    let folder = scratch.join(format!("worker-{worker}"));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
