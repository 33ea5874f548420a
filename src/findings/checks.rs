//! What the checks share: the inventory, and each role's trust policy read once.

use std::collections::BTreeMap;

use super::about_trust::scope_of;
use super::{Code, Finding, Target};
use crate::inventory::{Cluster, Inventory, Pod, Role, Seen, ServiceAccount, Workload, WorkloadKind};
use crate::model::{AccountId, RoleArn, Subject};
use crate::trust::{self, Document, Invalid, Reading};

/// Everything that is to be found in one inventory: each trust policy is read once.
pub struct Checks<'a> {
    pub(super) inventory: &'a Inventory,
    readings: BTreeMap<&'a RoleArn, (&'a Role, Result<Reading, Invalid>)>,
}

impl<'a> Checks<'a> {
    /// Reads every trust policy of the inventory.
    #[must_use]
    pub fn new(inventory: &'a Inventory) -> Self {
        let mut readings = BTreeMap::new();
        for (id, account) in &inventory.accounts {
            let Some(scope) = scope_of(inventory, id) else { continue };
            for role in account.roles.get().into_iter().flatten() {
                let read = Document::parse(&role.trust).map(|it| trust::read(&it, &scope));
                readings.insert(&role.arn, (role, read));
            }
        }
        Self { inventory, readings }
    }

    /// What the role's trust policy grants, if roles and providers of its account were read.
    #[must_use]
    pub fn reading(&self, role: &RoleArn) -> Option<&Result<Reading, Invalid>> {
        self.readings.get(role).map(|(_, read)| read)
    }

    /// All roles of an account, with what they grant.
    pub(super) fn readings(&self, account: &AccountId) -> impl Iterator<Item = (&'a Role, &Result<Reading, Invalid>)> {
        self.readings.values().filter(move |(role, _)| role.arn.account() == *account).map(|(role, read)| (*role, read))
    }
}

/// One ServiceAccount in its cluster: what its checks look at.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) cluster: &'a Cluster,
    pub(super) subject: &'a Subject,
}

impl<'a> Place<'a> {
    /// Whom a finding about this ServiceAccount is about.
    pub(super) fn target(&self) -> Target {
        Target::ServiceAccount(self.subject.clone())
    }

    /// A finding about this ServiceAccount.
    pub(super) fn finding(&self, code: Code, evidence: impl Into<String>) -> Finding {
        Finding::new(code, self.target(), evidence)
    }

    /// The ServiceAccount, if it is among those that were read.
    pub(super) fn service_account(&self) -> Option<&'a ServiceAccount> {
        self.inventory.service_account(self.subject)
    }

    /// Its workloads, of every kind that was read.
    pub(super) fn workloads(&self) -> impl Iterator<Item = &'a Workload> {
        let Self { cluster, subject, .. } = *self;
        let named =
            |it: &&Workload| it.at.namespace == subject.namespace && it.service_account == subject.service_account;
        cluster.seen_workloads().filter(named)
    }

    /// Its pods, those on their way out aside; none where pods were not read.
    pub(super) fn pods(&self) -> impl Iterator<Item = &'a Pod> {
        let Self { cluster, subject, .. } = *self;
        let named = |it: &&Pod| {
            it.namespace == subject.namespace && it.service_account == subject.service_account && !it.terminating
        };
        cluster.pods.get().into_iter().flatten().filter(named)
    }

    /// Says which reads of workloads and pods are missing.
    pub(super) fn need_workloads(&self, out: &mut Vec<Finding>) {
        need(&self.cluster.pods, &self.target(), "its pods", out);
        for kind in WorkloadKind::ALL {
            match self.cluster.workloads.get(&kind) {
                Some(seen) => {
                    need(seen, &self.target(), &format!("its workloads of kind {kind}"), out);
                }
                None => {
                    out.push(unread(self.target(), &format!("its workloads of kind {kind}"), "they were not listed"))
                }
            }
        }
    }
}

/// The answer of a read that a decision needs; where there is none, the decision is held back.
pub(super) fn need<'a, T>(seen: &'a Seen<T>, about: &Target, what: &str, out: &mut Vec<Finding>) -> Option<&'a T> {
    match seen.as_result() {
        Ok(it) => Some(it),
        Err(why) => {
            out.push(unread(about.clone(), what, why));
            None
        }
    }
}

/// The finding that something needed could not be read.
pub(super) fn unread(about: Target, what: &str, why: &str) -> Finding {
    Finding::new(Code::Unread, about, format!("{what} could not be read: {}", short(why)))
}

/// A text from outside as evidence: quoted, on one line, and not without end.
pub(super) fn quote(text: &str) -> String {
    let count = text.chars().count();
    if count <= LONGEST_QUOTE {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{start:?}... ({count} characters)")
}

/// An error's text as evidence: its first line, and not without end.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(LONGEST_ERROR).collect()
}

/// Names as evidence: the first few, and how many more there are.
pub(super) fn names<I>(items: I) -> String
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let all: Vec<String> = items.into_iter().map(Into::into).collect();
    let shown = all.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all.len() > MOST_NAMES { format!("{shown} and {} more", all.len() - MOST_NAMES) } else { shown }
}

/// An annotation may be as long as a whole object; nobody reads more of it than this.
const LONGEST_QUOTE: usize = 120;

/// Errors of SDKs carry request ids and chains of causes.
const LONGEST_ERROR: usize = 400;

/// Enough to know where to look; the inventory has them all.
const MOST_NAMES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_short_and_on_one_line() {
        assert_eq!(quote("a\n\u{1b}[31m"), r#""a\n\u{1b}[31m""#);
        assert!(quote(&"x".repeat(10_000_000)).ends_with("... (10000000 characters)"));
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }
}
