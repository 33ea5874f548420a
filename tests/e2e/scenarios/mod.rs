//! The program as a person runs it: the real binary, a real control plane, and AWS on the wire.
//!
//! Each scenario stands on a [`stage::Stage`]: a namespace of a plane, an AWS account of its own
//! whose associations the plane's webhook obeys, and a home with settings of lowered numbers. The
//! binary reaches the plane by tokens that it makes from its AWS credentials.

mod bad_input;
mod bounce;
mod cycle;
mod kill;
mod refused;
mod rights;
mod stage;
mod stuck;
mod together;
mod window;
