//! The tests that need no server, in one binary.
#![expect(clippy::expect_used, reason = "a helper of a test that cannot go on says so, and where")]

mod architecture;
mod inventories;
mod journal;
mod permissions;
mod plan_check;
mod planner;
mod trust_corpus;
