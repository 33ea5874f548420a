//! Time.

use std::time::Duration;

use jiff::Timestamp;

/// The only source of time, so that a test can own it.
pub trait Clock {
    /// The wall clock: what entries are dated with and windows are judged by. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment. It never goes back; it may stand still while a machine sleeps.
    fn monotonic(&self) -> Duration;

    /// Returns once this much time has passed.
    async fn sleep(&self, time: Duration);
}
