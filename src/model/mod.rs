//! The words that every stage shares: names, ARNs of every partition, digests,
//! and the formats of the files that we write.
//!
//! Nothing here knows of AWS calls or Kubernetes objects. A value of one of
//! these types is well formed; parsing is where bad input stops.

mod arn;
mod digest;
mod format;

pub use arn::{AccountId, ClusterArn, Issuer, NameError, RoleArn, Subject};
pub use digest::Digest;
pub use format::{Format, FormatError, Kind};
