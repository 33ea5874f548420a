//! The simulated world: IAM, EKS and Kubernetes in memory, on a clock of its own.

pub mod evaluate;
