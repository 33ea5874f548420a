//! Loops over every fault: too many cases for each `cargo test`, and all of them in CI.
#![expect(clippy::expect_used, reason = "a helper of a test that cannot go on says where")]

#[path = "../it/cycle.rs"]
mod cycle;
mod faults;
mod harder;
mod partition;
mod person;
mod schedule;
mod schedules;
mod shapes;
