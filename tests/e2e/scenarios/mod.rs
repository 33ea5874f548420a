//! The program as a person runs it: the real binary, a real control plane, and AWS on the wire.
//!
//! Each scenario stands on a [`stage::Stage`]: a namespace of a plane, an AWS account of its own
//! whose associations the plane's webhook obeys, and a home with settings of lowered numbers. The
//! binary reaches the plane by tokens that it makes from its AWS credentials.

mod bad_input;
mod bad_journal;
mod bounce;
mod calls;
mod cycle;
mod faults;
mod journal;
mod kill;
mod ran;
mod refused;
mod rights;
mod stage;
mod stuck;
mod sweep;
mod together;
mod tokens;
mod window;

/// Says how much was tried, for whoever runs a test with `--nocapture`.
#[expect(clippy::print_stderr, reason = "the test harness captures it")]
fn tell(what: &str) {
    eprintln!("{what}");
}
