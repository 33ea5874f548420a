//! Who may assume a role.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ClusterArn, Issuer, Subject};
use crate::trust::pattern::Pattern;

/// The cluster of a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// One cluster that was looked at.
    Cluster(ClusterArn),
    /// Any cluster that was not looked at, written `*`: what an unconditioned
    /// Pod Identity statement is open to.
    Elsewhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(arn) => arn.fmt(f),
            Self::Elsewhere => f.write_str("*"),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = crate::model::NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" { Ok(Self::Elsewhere) } else { ClusterArn::parse(&text).map(Self::Cluster) }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

/// A part that a grant leaves out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Except {
    /// Namespaces.
    pub namespace: Pattern,
    /// ServiceAccounts.
    pub service_account: Pattern,
    /// Whether letters are compared without case.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_case: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Except {
    fn holds(&self, namespace: &str, service_account: &str) -> bool {
        if self.ignore_case {
            let fold = |pattern: &Pattern| Pattern::parse(&pattern.as_str().to_ascii_lowercase());
            let (Ok(ns), Ok(sa)) = (fold(&self.namespace), fold(&self.service_account)) else { return false };
            return ns.matches(&namespace.to_ascii_lowercase()) && sa.matches(&service_account.to_ascii_lowercase());
        }
        self.namespace.matches(namespace) && self.service_account.matches(service_account)
    }
}

/// A condition that means the same for IRSA and for Pod Identity, such as a date.
///
/// Compared by equality: its key in lower case, its values sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Carried {
    /// The operator, such as `DateLessThan`.
    pub operator: String,
    /// The condition key, such as `aws:currenttime`.
    pub key: String,
    /// The values, of which one has to match.
    pub values: Vec<String>,
}

/// A rectangle: every ServiceAccount of one cluster whose namespace matches one
/// pattern and whose name matches another, without the exceptions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The cluster's issuer; absent for clusters that were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    /// The cluster, or `*` for those that were not looked at.
    pub cluster_arn: Place,
    /// Namespaces, as an IAM pattern.
    pub namespace: Pattern,
    /// ServiceAccounts, as an IAM pattern.
    pub service_account: Pattern,
    /// What is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Except>,
    /// All of these have to be met as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<Carried>,
}

impl Grant {
    /// Whether the subject is inside, carried conditions aside.
    ///
    /// No name holds a colon, so that a subject with one is in no grant.
    #[must_use]
    pub fn holds(&self, subject: &Subject) -> bool {
        !subject.namespace.contains(':')
            && !subject.service_account.contains(':')
            && matches!(&self.cluster_arn, Place::Cluster(arn) if *arn == subject.cluster)
            && self.has(&subject.namespace, &subject.service_account)
    }

    /// Whether a pair of names is inside, wherever that is.
    pub(crate) fn has(&self, namespace: &str, service_account: &str) -> bool {
        self.namespace.matches(namespace)
            && self.service_account.matches(service_account)
            && !self.except.iter().any(|except| except.holds(namespace, service_account))
    }
}

/// Who may assume a role: a union of rectangles, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// The union of these rectangles.
    #[must_use]
    pub fn new(mut grants: Vec<Grant>) -> Self {
        for grant in &mut grants {
            grant.except.sort();
            grant.except.dedup();
            grant.carried.sort();
            grant.carried.dedup();
        }
        grants.sort();
        grants.dedup();
        Self(grants)
    }

    /// The union of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::new(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// The rectangles.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// How many rectangles there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is granted anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this subject may assume the role, at least while some carried conditions are met.
    #[must_use]
    pub fn allows(&self, subject: &Subject) -> bool {
        self.0.iter().any(|grant| grant.holds(subject))
    }

    /// Whether this subject is granted by its own name, rather than under a wildcard.
    #[must_use]
    pub fn names_literally(&self, subject: &Subject) -> bool {
        self.0.iter().any(|grant| {
            grant.holds(subject)
                && grant.namespace.as_literal().is_some()
                && grant.service_account.as_literal().is_some()
        })
    }

    /// The carried conditions under which this subject is granted, rectangle by rectangle.
    ///
    /// One that is empty means: at all times.
    #[must_use]
    pub fn carried_for(&self, subject: &Subject) -> Vec<&[Carried]> {
        self.0.iter().filter(|grant| grant.holds(subject)).map(|grant| grant.carried.as_slice()).collect()
    }
}

impl<'a> IntoIterator for &'a Grants {
    type Item = &'a Grant;
    type IntoIter = std::slice::Iter<'a, Grant>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Vec<Grant>> for Grants {
    fn from(grants: Vec<Grant>) -> Self {
        Self::new(grants)
    }
}

impl From<Grants> for Vec<Grant> {
    fn from(grants: Grants) -> Self {
        grants.0
    }
}
