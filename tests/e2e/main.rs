//! The tests that need real servers, in one binary: `tests/e2e/run`.

#[cfg(test)]
mod access;
#[cfg(test)]
mod adapter;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod emulators;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod plane;
#[cfg(test)]
#[path = "../it/recorded.rs"]
mod recorded;
#[cfg(test)]
mod relays;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
#[path = "../wire/mod.rs"]
#[expect(dead_code, reason = "some of its faults are for the tests that need no server")]
mod wire;
