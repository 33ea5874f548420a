//! The world, in our own words: narrow traits, each with only the calls that we make.
//!
//! Two worlds stand behind them, `live` and `sim`; `scan` and `apply` see
//! nothing else. Things are found by their natural keys, never by an id that
//! was handed out earlier, so that a plan is complete before anything exists.
//!
//! Native async traits with static dispatch: work runs side by side on one
//! thread, and nothing has to be `Send`.
#![expect(async_fn_in_trait, reason = "the traits are ours alone, and nothing is spawned on another thread")]

mod aws;
mod clock;
mod cluster;
mod error;
mod journal;

pub use aws::{Eks, Iam, NewAssociation};
pub use clock::Clock;
pub use cluster::{Cluster, Lease, LeaseVersion, PodSight, Probe, Rollout, Sight, Stamping, WorkloadNow};
pub use error::{Answer, PortError};
pub use journal::{JournalError, JournalStore};

/// A whole world: what `scan` reads and `apply` changes.
pub trait World: Iam + Eks + Cluster + Clock {}
impl<T: Iam + Eks + Cluster + Clock> World for T {}
