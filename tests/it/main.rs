//! The tests that need no server, in one binary.

#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod journal;
