//! The simulated world: IAM, EKS and Kubernetes in memory, on a clock of its own.
//!
//! [`World`] is the state, and [`World::call`] the one function that answers every call. What
//! AWS sees late is kept in versions: an observer may be told any that is still in lag. Calls
//! can fail in every way ([`Fault`]), and other people can change anything.

mod access;
mod aws;
pub mod build;
mod call;
mod cluster;
mod deeds;
pub mod evaluate;
mod fleet;
mod handle;
mod history;
mod journal;
mod look;
pub mod normal;
mod others;
mod ports;
mod restored;
mod state;
#[cfg(test)]
mod tests;
mod twin;
mod versioned;
mod watch;
mod world;

pub use call::{Call, Reply, Service};
pub use cluster::{Budget, BudgetRule, NeverReady, Template, Workload};
pub use deeds::Deed;
pub use fleet::fleet;
pub use handle::{Sim, Stopped};
pub use history::{Fault, Happening, History, Record};
pub use journal::{JournalFault, MemoryJournal};
pub use others::Absent;
pub use restored::{Difference, Field};
pub use state::State;
pub use versioned::{Author, Lag, Observer, Version, Versioned};
pub use watch::Violation;
pub use world::World;
