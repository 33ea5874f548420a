//! The planner: what will be done, and what will not and why.
//!
//! Planning is pure: the same inventory and the same settings give the same
//! bytes. A plan leaves `apply` nothing to choose: documents, stamps, tokens,
//! order, expected times and the undo are in it. What cannot be done exactly is
//! *held*, with its findings.
//!
//! A plan file is input like any other: [`check`] reads it as a stranger would,
//! before anything is sent.

mod answer;
pub mod check;
mod make;
mod numbers;
mod pinned;
mod role;
pub mod settings;
mod step;
mod steps;
mod subject;
mod times;
mod waves;
pub mod wildcard;
pub mod window;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use make::{PlanError, plan};
pub use numbers::Numbers;
pub use pinned::{Move, PinnedWorkload};
pub use settings::Settings;
pub use step::{Condition, Request, RoleWork, Step, SubjectWork, Target, Unit, UnitId, Work};
pub use times::probes_in_a_row;

use crate::findings::{Finding, Target as About};
use crate::journal::RunId;
use crate::model::{AccountId, ClusterArn, Digest, Format, FormatError, Issuer, Kind};
use settings::{ApplyRules, Waiver};
use window::Window;

/// The annotation in a workload's template that is our mark, and makes it roll.
pub const RESTART_ANNOTATION: &str = "irsa-migrate/restart";
/// The association tag that names the plan.
pub const PLAN_TAG: &str = "irsa-migrate:plan";
/// The association tag that names the unit.
pub const UNIT_TAG: &str = "irsa-migrate:unit";

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Purpose {
    /// From IRSA to Pod Identity.
    Migrate,
    /// Back, as far as a run has come.
    Undo {
        /// The run that is undone.
        run: RunId,
        /// The digest of its plan, whose undo steps these are.
        plan: Digest,
        /// Whether all of it is undone, so that it is closed afterwards.
        whole: bool,
    },
}

/// A cluster that the plan touches, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanCluster {
    /// Its ARN.
    pub arn: ClusterArn,
    /// Pinned: its issuer, by `DescribeCluster` and by the API server itself.
    pub issuer: Issuer,
    /// How many API servers it has; `None` if that could not be read.
    pub api_servers: Option<u32>,
}

/// Units that go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// Its name; the first is `prepare`.
    pub name: String,
    /// Its units.
    pub units: Vec<UnitId>,
}

/// What will not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Held {
    /// What stays as it is.
    pub what: About,
    /// Why; at least one.
    pub findings: Vec<Finding>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Kind and version of this file.
    pub format: Format,
    /// The version of the program that made it.
    pub tool: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The digest of the inventory that it was made from.
    pub inventory: Digest,
    /// The digest of the settings that it was made with.
    pub settings: Digest,
    /// When the inventory was taken.
    #[schemars(with = "String")]
    pub taken_at: Timestamp,
    /// The account whose roles and clusters it touches.
    pub account: AccountId,
    /// The clusters.
    pub clusters: Vec<PlanCluster>,
    /// How units are carried out.
    pub rules: ApplyRules,
    /// Times and limits.
    pub numbers: Numbers,
    /// When units may start; none means always. Undo ignores them.
    pub windows: Vec<Window>,
    /// The waves, in order.
    pub waves: Vec<Wave>,
    /// The units, in the order of the waves.
    pub units: Vec<Unit>,
    /// What will not be done, and why.
    pub held: Vec<Held>,
    /// The waivers that were used.
    pub waived: Vec<Waiver>,
    /// What the plan does not promise.
    pub not_promised: Vec<String>,
}

/// A plan that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Not JSON, or not of a plan's shape.
    #[error("this is not a plan: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A format that this version does not read.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Plan {
    /// The bytes of a plan's file: pretty JSON and a line end.
    ///
    /// # Errors
    /// None that is known; the JSON writer's own.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a file's bytes. Nothing is believed yet: see [`check`].
    ///
    /// # Errors
    /// Not JSON, another kind of file, a newer format, a field or step that is not known.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanFileError> {
        #[derive(Deserialize)]
        struct Head {
            format: Format,
        }
        // The head is read first: a newer file must be refused by its version,
        // not by the first field that we fail to understand.
        let head: Head = serde_json::from_slice(bytes)?;
        head.format.readable_as(Kind::Plan)?;
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The unit of this name.
    #[must_use]
    pub fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.units.iter().find(|it| it.id == *id)
    }

    /// The cluster with this ARN.
    #[must_use]
    pub fn cluster(&self, arn: &ClusterArn) -> Option<&PlanCluster> {
        self.clusters.iter().find(|it| it.arn == *arn)
    }

    /// The wave that a unit is in.
    #[must_use]
    pub fn wave_of(&self, id: &UnitId) -> Option<&Wave> {
        self.waves.iter().find(|it| it.units.contains(id))
    }
}
