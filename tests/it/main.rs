//! The tests that need no server, in one binary.
#![expect(clippy::expect_used, reason = "a helper of a test that cannot go on says so, and where")]

#[cfg(test)]
mod architecture;
mod journal;
mod permissions;
#[cfg(test)]
mod trust_corpus;
