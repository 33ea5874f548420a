//! Units and steps: what is sent, and the condition that ends it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::Finding;
use crate::inventory::{Mode, WorkloadRef};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};
use crate::trust::{AddStatement, Grants, Proof, Relation};

use super::pinned::PinnedWorkload;

/// A unit's name: `role:ARN`, or `sa:CLUSTER_ARN/NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UnitId(pub String);

impl UnitId {
    /// The unit of a role.
    #[must_use]
    pub fn of_role(role: &RoleArn) -> Self {
        Self(format!("role:{role}"))
    }

    /// The unit of a ServiceAccount.
    #[must_use]
    pub fn of_subject(subject: &Subject) -> Self {
        Self(format!("sa:{}/{}/{}", subject.cluster, subject.namespace, subject.service_account))
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What succeeds, fails and is undone together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unit {
    /// Its name, unique in the plan.
    pub id: UnitId,
    /// What it is about, with the facts that it was planned on.
    pub work: Work,
    /// Units that must be done before this one starts.
    pub needs: Vec<UnitId>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What undoes it, in order: not the steps reversed, but an order of its own.
    pub undo: Vec<Step>,
    /// Seconds that it takes if all goes as usual.
    pub expected_seconds: u64,
    /// Seconds after which it has either ended or failed.
    pub worst_seconds: u64,
    /// What its owner should know.
    pub notices: Vec<Finding>,
}

/// What a unit is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// A role's trust policy.
    Role(RoleWork),
    /// A ServiceAccount with all its workloads.
    ServiceAccount(SubjectWork),
}

/// A role, and how its trust policy changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleWork {
    /// The role.
    pub role_arn: RoleArn,
    /// Pinned: its unique id.
    pub role_id: String,
    /// Pinned: the document's text.
    pub before: String,
    /// The document's text with our statements.
    pub after: String,
    /// Our statements.
    pub added: Vec<AddStatement>,
    /// Who may assume it today through the clusters of this plan.
    pub grants_before: Grants,
    /// Who may by our statements.
    pub grants_after: Grants,
    /// How the two compare.
    pub proof: Proof,
    /// Characters of `after`, whitespace not counted.
    pub characters: u32,
    /// The account's own limit for them.
    pub quota: u32,
}

impl RoleWork {
    /// Whether our statements let somebody in whom nothing lets in today, as only mode `open` does.
    #[must_use]
    pub fn is_new_access(&self) -> bool {
        self.proof.relation == Relation::Wider && !self.added.is_empty()
    }
}

/// A ServiceAccount, and how it moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectWork {
    /// The ServiceAccount.
    pub subject: Subject,
    /// Pinned: its UID.
    pub uid: String,
    /// Pinned: its annotation, and the role of its association.
    pub role_arn: RoleArn,
    /// Pinned: the audience of its tokens.
    pub audience: String,
    /// The workloads that are moved, and how each moves.
    pub workloads: Vec<PinnedWorkload>,
    /// Who stays on IRSA until it is next admitted: Jobs, CronJobs, bare pods. Shown, never touched.
    pub left: Vec<String>,
}

/// One thing that is sent, if any, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// A short name, unique in its list: `associate`, `effective`, `restart Deployment shop/cart`, ...
    pub name: String,
    /// What must hold at the moment that it is sent, looked at again each time.
    pub when: Option<Condition>,
    /// What is sent; none for a step that only waits.
    pub write: Option<Request>,
    /// What must be seen before the step has succeeded.
    pub until: Condition,
    /// Seconds that it takes if all goes as usual.
    pub expected_seconds: u64,
    /// Seconds after which it has failed.
    pub timeout_seconds: u64,
}

/// Where a pod is to get its credentials from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The way forward.
    PodIdentity,
    /// The way back.
    Irsa,
}

impl Target {
    /// Whether a pod in this mode is where it is to be.
    #[must_use]
    pub fn is_reached(self, mode: &Mode, role: &RoleArn) -> bool {
        match (self, mode) {
            (Self::PodIdentity, Mode::PodIdentity) => true,
            (Self::Irsa, Mode::Irsa(found)) => found == role.as_str(),
            (Self::PodIdentity | Self::Irsa, Mode::PodIdentity | Mode::Irsa(_) | Mode::Both | Mode::None) => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodIdentity => "Pod Identity",
            Self::Irsa => "IRSA",
        })
    }
}

/// Everything that this program ever sends to change the world, its lease and journal aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// Writes the unit's `after` where its `before` stands (`iam:UpdateAssumeRolePolicy`).
    AddTrust {
        /// The role.
        role_arn: RoleArn,
    },
    /// Takes our statements out again: the original text where the document still means our
    /// `after`, else the inverse edit of what stands there.
    RemoveTrust {
        /// The role.
        role_arn: RoleArn,
    },
    /// Makes the association, with our tags (`eks:CreatePodIdentityAssociation`).
    CreateAssociation {
        /// For whom.
        subject: Subject,
        /// The role.
        role_arn: RoleArn,
        /// Our mark.
        tags: BTreeMap<String, String>,
        /// The idempotency token.
        token: String,
    },
    /// Deletes the association that carries our mark (`eks:DeletePodIdentityAssociation`).
    DeleteAssociation {
        /// For whom.
        subject: Subject,
        /// The role that it must still name.
        role_arn: RoleArn,
        /// The mark that it must carry.
        tags: BTreeMap<String, String>,
    },
    /// Stamps a workload's template, so that it rolls; the next stamp if stragglers are left.
    Restart {
        /// Whose pods.
        subject: Subject,
        /// Which workload.
        workload: WorkloadRef,
        /// Its UID.
        uid: String,
        /// Pinned: the stamp that is there now.
        before: Option<String>,
        /// Our stamps, in the order that they are used.
        stamps: Vec<String>,
    },
    /// Takes our stamp away again, which rolls; where pods in the wrong mode are left, one of these
    /// stamps is put and taken away, so that fresh pods come and no mark stays.
    Unrestart {
        /// Whose pods.
        subject: Subject,
        /// Which workload.
        workload: WorkloadRef,
        /// Its UID.
        uid: String,
        /// What was there before us.
        before: Option<String>,
        /// Our stamps, any of which may be there.
        stamps: Vec<String>,
        /// Stamps for the bounce, in the order that they are used.
        bounces: Vec<String>,
    },
    /// Evicts its pods that are in the wrong mode, one at a time, each by its UID.
    Evict {
        /// Whose pods.
        subject: Subject,
        /// Which workload.
        workload: WorkloadRef,
        /// Its UID.
        uid: String,
        /// The mode that its pods shall have.
        to: Target,
    },
}

/// What must be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Condition {
    /// Our statements, in one answer of `GetRole`.
    TrustSeen {
        /// The role.
        role_arn: RoleArn,
    },
    /// Our statements, in each answer of `GetRole` throughout the settle time.
    TrustSettled {
        /// The role.
        role_arn: RoleArn,
    },
    /// A document without our statements, in one answer of `GetRole`.
    TrustRestored {
        /// The role.
        role_arn: RoleArn,
    },
    /// No association names the role, ours or not, in any cluster in sight, and no pod of a
    /// ServiceAccount that had it by this plan is on Pod Identity.
    RoleUnused {
        /// The role.
        role_arn: RoleArn,
        /// Every ServiceAccount that this plan gives the role to.
        subjects: Vec<Subject>,
        /// The clusters to look into.
        clusters: Vec<ClusterArn>,
    },
    /// The association with our mark.
    AssociationSeen {
        /// For whom.
        subject: Subject,
        /// Its role.
        role_arn: RoleArn,
    },
    /// No association.
    AssociationGone {
        /// For whom.
        subject: Subject,
    },
    /// IRSA would work for a pod admitted now: provider, audience, trust policy, annotation.
    IrsaWorks {
        /// For whom.
        subject: Subject,
        /// The role of the annotation.
        role_arn: RoleArn,
        /// The cluster's issuer.
        issuer: Issuer,
        /// The audience of its tokens.
        audience: String,
    },
    /// New pods are admitted in this mode by every API server, as far as probes can tell.
    Effective {
        /// For whom.
        subject: Subject,
        /// The role: where the mode is IRSA, it must be this one's.
        role_arn: RoleArn,
        /// The mode.
        to: Target,
        /// The workload whose template the probe takes; none for the built-in pod.
        template: Option<WorkloadRef>,
    },
    /// The workload's roll-out is complete, and all its pods are Ready and in this mode.
    WorkloadMoved {
        /// Whose pods.
        subject: Subject,
        /// Which workload.
        workload: WorkloadRef,
        /// The role: where the mode is IRSA, it must be this one's.
        role_arn: RoleArn,
        /// The mode.
        to: Target,
    },
    /// All pods of the ServiceAccount are Ready and in this mode, those aside that no workload of
    /// the unit owns.
    SubjectMoved {
        /// For whom.
        subject: Subject,
        /// The role: where the mode is IRSA, it must be this one's.
        role_arn: RoleArn,
        /// The mode.
        to: Target,
        /// The workloads that count.
        workloads: Vec<WorkloadRef>,
    },
}
