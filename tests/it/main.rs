//! The tests that need no server, in one binary.

#[cfg(test)]
mod architecture;
mod journal;
