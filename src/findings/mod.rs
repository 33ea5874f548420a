//! What a person must know before a migration: one code for each thing that can be wrong.
//!
//! A check is a pure function of the inventory. It says what it found, about whom, on what
//! evidence and what to do; whether that holds somebody back is the code's severity, never the
//! check's mood. What could not be read holds back everything that would have needed it
//! ([`Code::Unread`]), so that no check takes "not read" for "not there".

mod about_addon;
mod about_annotation;
mod about_association;
mod about_cluster;
mod about_node;
mod about_plan;
mod about_role;
mod about_trust;
mod about_unread;
mod about_workload;
mod all;
mod checks;
mod code;
mod policy_text;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use about_annotation::audience_of;
pub use about_role::{Owner, owner_of};
pub use about_trust::{of_reason, scope_of, too_large};
pub use about_workload::is_evicted;
pub use all::{candidates, of_inventory, of_role, of_subject};
pub use checks::Checks;
pub use code::{Code, UnknownCode};
pub use policy_text::concerns;

use crate::model::{AccountId, ClusterArn, RoleArn, Subject};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// What it is about is held back and stays on IRSA, unless the finding is waived or the
    /// settings answer for it.
    Blocker,
    /// It may hurt; it holds nobody back.
    Warning,
    /// Good to know.
    Notice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
            Self::Notice => "notice",
        })
    }
}

/// Whom a finding is about, and what a plan must account for.
///
/// An association is found by its ServiceAccount, for there is at most one for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Target {
    /// An account's IAM.
    Account(AccountId),
    /// A cluster.
    Cluster(ClusterArn),
    /// A role.
    Role(RoleArn),
    /// A ServiceAccount with its workloads and its association, whether or not it exists.
    ServiceAccount(Subject),
    /// An EKS add-on.
    Addon {
        /// Where it is installed.
        cluster: ClusterArn,
        /// Such as `vpc-cni`.
        name: String,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::Cluster(arn) => write!(f, "cluster {arn}"),
            Self::Role(arn) => write!(f, "role {arn}"),
            Self::ServiceAccount(subject) => write!(f, "ServiceAccount {subject}"),
            Self::Addon { cluster, name } => write!(f, "add-on {}/{name}", cluster.name()),
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is.
    pub code: Code,
    /// Whom it is about.
    pub subject: Target,
    /// What was seen, on one line: names and values, none of them secret.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
    /// Whether somebody may answer for it with a waiver.
    pub waivable: bool,
}

impl Finding {
    /// A finding of this code, with the severity and the remedy that the catalogue gives it.
    #[must_use]
    pub fn new(code: Code, subject: Target, evidence: impl Into<String>) -> Self {
        let explanation = code.explain();
        Self {
            severity: explanation.severity,
            code,
            subject,
            evidence: evidence.into(),
            remedy: explanation.remedy.to_owned(),
            waivable: explanation.waivable,
        }
    }

    /// Whether a waiver or the settings may answer for it, so that it does not hold for good.
    #[must_use]
    pub fn may_be_answered(&self) -> bool {
        self.waivable || self.code.is_settled_by_settings()
    }

    /// Whether it is a blocker.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Blocker
    }
}

/// An entry of the catalogue: what a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// How much it weighs, always.
    pub severity: Severity,
    /// Whether a waiver counts. A finding that settings answer for takes no waiver.
    pub waivable: bool,
    /// A few words.
    pub title: &'static str,
    /// What was found.
    pub meaning: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Where the rule is from.
    pub sources: &'static [&'static str],
}
