//! Carrying a plan out on a simulated world, with everything that can go wrong on the way.
//!
//! A [`Stage`] is a world and a plan for it. A [`Case`] is one disturbance of the plan's run and what a
//! person does next; it has failed if the run does not end, the world is not as it was after rolling
//! back, or a promise was broken at any moment.

mod case;
mod orders;
mod restored;

pub use case::{Case, Disturbance, FollowUp, Stage};
pub use orders::out_of_order;
pub use restored::{Undone, not_restored};
