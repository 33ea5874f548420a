//! The machine's own clocks.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ports::Clock;

/// Real time.
#[derive(Debug)]
pub struct MachineClock {
    started: Instant,
}

impl MachineClock {
    /// A clock that counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for MachineClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
pub(super) fn wall_clock() -> Timestamp {
    Timestamp::now()
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
