//! What was seen, and what could not be seen.
//!
//! An inventory is a value: `scan` makes it, `plan` reads it, a person can keep
//! it. It holds facts in our own words and no object of anybody's: no
//! templates, no environment values, nothing secret.
//!
//! Whatever could not be read is an [`Seen::Unseen`] with its error, where the
//! answer would have been. So no check can take "not read" for "not there".

mod account;
mod cluster;
mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use account::{Account, Provider, Role, RoleDetail};
pub use cluster::{
    Addon, AddonUse, AgentOnNode, Association, AssociationDetail, Cluster, ClusterFacts, Compute, Node, ServiceAccount,
};
pub use workload::{Mode, OwnerRef, Pod, Strategy, Workload, WorkloadKind, WorkloadRef};

use crate::model::{AccountId, ClusterArn, Digest, Format, FormatError, Kind, Subject};

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Seen<T> {
    /// What the world said.
    Seen(T),
    /// The read failed; the text says which call, and how.
    Unseen(String),
}

impl<T> Seen<T> {
    /// The answer, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Seen(it) => Some(it),
            Self::Unseen(_) => None,
        }
    }

    /// The answer, or the error's text.
    ///
    /// # Errors
    /// The read had failed.
    pub fn as_result(&self) -> Result<&T, &str> {
        match self {
            Self::Seen(it) => Ok(it),
            Self::Unseen(why) => Err(why),
        }
    }
}

/// Who asked, as STS names the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// The caller's account: that of every cluster and role that can be migrated.
    pub account: AccountId,
    /// The caller's ARN.
    pub arn: String,
}

/// Everything that a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Kind and version of this file.
    pub format: Format,
    /// When the scan began: the moment that waivers and windows are judged at.
    #[schemars(with = "String")]
    pub taken_at: Timestamp,
    /// Who asked.
    pub caller: Caller,
    /// The accounts that were read, each with its roles and OIDC providers.
    pub accounts: BTreeMap<AccountId, Account>,
    /// The clusters that were asked for, each once, in the order of their ARNs.
    pub clusters: Vec<Cluster>,
}

/// An inventory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Not JSON, or not of an inventory's shape.
    #[error("this is not an inventory: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A format that this version does not read.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Inventory {
    /// The bytes of an inventory's file: pretty JSON and a line end.
    ///
    /// # Errors
    /// None that is known; the JSON writer's own.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Not JSON, another kind of file, a format that is too new.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InventoryError> {
        #[derive(Deserialize)]
        struct Head {
            format: Format,
        }
        // The head is read first: a newer file must be refused by its version,
        // not by the first field that we fail to understand.
        let head: Head = serde_json::from_slice(bytes)?;
        head.format.readable_as(Kind::Inventory)?;
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The digest that a plan names as the inventory it was made from.
    ///
    /// # Errors
    /// None that is known; the JSON writer's own.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Ok(Digest::of(&self.to_bytes()?))
    }

    /// The cluster with this ARN.
    #[must_use]
    pub fn cluster(&self, arn: &ClusterArn) -> Option<&Cluster> {
        self.clusters.iter().find(|it| it.arn == *arn)
    }

    /// The ServiceAccount, if the cluster's were read and it is among them.
    #[must_use]
    pub fn service_account(&self, subject: &Subject) -> Option<&ServiceAccount> {
        let cluster = self.cluster(&subject.cluster)?;
        let named = |it: &&ServiceAccount| it.namespace == subject.namespace && it.name == subject.service_account;
        cluster.service_accounts.get()?.iter().find(named)
    }
}
