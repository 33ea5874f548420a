//! `irsa-migrate` moves Amazon EKS workloads from IRSA to EKS Pod Identity.
//!
//! The folder is the pipeline. Each arrow is a value that can be saved, read,
//! diffed and shown:
//!
//! ```text
//! world --scan--> Inventory --plan--> Plan --apply--> Entries --rollback--> Plan --apply--> ...
//! ```
//!
//! The modules stand in reading order: the pure core first, then the ports, the
//! shell that works over ports only, the two worlds, and the program.

// Pure: no async, no I/O, no clock.
pub mod findings;
pub mod inventory;
pub mod journal;
pub mod model;
pub mod permissions;
pub mod plan;
pub mod rollback;
pub mod trust;
pub mod verify;

// Boundary.
pub mod ports;

// Shell: async, over ports only.
pub mod apply;
pub mod scan;

// Worlds.
pub mod live;
pub mod sim;

// Both: a plan on the simulated world.
pub mod rehearse;

// Program.
pub mod cli;
pub mod view;
