//! What the checks share: the inventory, and each role's trust policy read once.

use std::collections::{BTreeMap, BTreeSet};

use super::about_cluster;
use super::about_trust::scope_of;
use super::{Code, Finding, Target};
use crate::inventory::{
    Association, Cluster, Inventory, Node, Pod, Role, Seen, ServiceAccount, Workload, WorkloadKind,
};
use crate::model::{AccountId, ClusterArn, RoleArn, Subject};
use crate::trust::{self, Document, GrantPlace, Invalid, Reading};

/// Everything that is to be found in one inventory: each trust policy is read once, each cluster is
/// judged and sorted by ServiceAccount once.
pub struct Checks<'a> {
    pub(super) inventory: &'a Inventory,
    readings: BTreeMap<&'a RoleArn, Result<Reading, Invalid>>,
    roles: BTreeMap<&'a RoleArn, &'a Role>,
    /// The roles whose policies name a ServiceAccount.
    named: BTreeMap<Subject, BTreeSet<&'a RoleArn>>,
    /// The roles whose policies have patterns, or were not read exactly.
    wide: BTreeSet<&'a RoleArn>,
    /// What annotations ask for.
    asked: BTreeSet<&'a str>,
    indexes: BTreeMap<&'a ClusterArn, Index<'a>>,
}

impl<'a> Checks<'a> {
    /// Reads every trust policy of the inventory.
    #[must_use]
    pub fn new(inventory: &'a Inventory) -> Self {
        let annotations = inventory.clusters.iter().filter_map(|it| it.service_accounts.get()).flatten();
        let roles = inventory.accounts.values().filter_map(|it| it.roles.get()).flatten();
        let mut checks = Self {
            inventory,
            readings: BTreeMap::new(),
            roles: roles.map(|it| (&it.arn, it)).collect(),
            named: BTreeMap::new(),
            wide: BTreeSet::new(),
            asked: annotations.filter_map(|it| it.role_arn.as_deref()).collect(),
            indexes: inventory.clusters.iter().map(|it| (&it.arn, Index::new(inventory, it))).collect(),
        };
        for (id, account) in &inventory.accounts {
            let Some(scope) = scope_of(inventory, id) else { continue };
            for role in account.roles.get().into_iter().flatten() {
                let read = Document::parse(&role.trust).map(|it| trust::read(&it, &scope));
                checks.note(&role.arn, read);
            }
        }
        checks
    }

    fn note(&mut self, role: &'a RoleArn, read: Result<Reading, Invalid>) {
        if let Ok(reading) = &read {
            for grant in &reading.grants {
                let GrantPlace::Cluster(cluster) = &grant.cluster_arn else { continue };
                match (grant.namespace.as_literal(), grant.service_account.as_literal()) {
                    (Some(namespace), Some(name)) => {
                        let (cluster, namespace) = (cluster.clone(), namespace.into_owned());
                        let subject = Subject { cluster, namespace, service_account: name.into_owned() };
                        if grant.holds(&subject) {
                            self.named.entry(subject).or_default().insert(role);
                        }
                    }
                    _ => drop(self.wide.insert(role)),
                }
            }
            if reading.held() {
                self.wide.insert(role);
            }
        }
        self.readings.insert(role, read);
    }

    /// What the role's trust policy grants, if roles and providers of its account were read.
    #[must_use]
    pub fn reading(&self, role: &RoleArn) -> Option<&Result<Reading, Invalid>> {
        self.readings.get(role)
    }

    /// The role, if it is among those that were read.
    pub(super) fn role_of(&self, role: &RoleArn) -> Option<&'a Role> {
        self.roles.get(role).copied()
    }

    /// Whether some ServiceAccount in sight asks for the role.
    pub(super) fn is_asked_for(&self, role: &RoleArn) -> bool {
        self.asked.contains(role.as_str())
    }

    /// The roles of an account whose policies name the ServiceAccount.
    pub(super) fn naming(&self, subject: &Subject, account: &AccountId) -> BTreeSet<&'a RoleArn> {
        let all = self.named.get(subject).into_iter().flatten();
        all.filter(|it| it.account() == *account).copied().collect()
    }

    /// The roles of an account whose policies have patterns or were not read exactly.
    pub(super) fn wide(&self, account: &AccountId) -> impl Iterator<Item = (&'a Role, &Reading)> {
        let of_account = self.wide.iter().filter(move |it| it.account() == *account);
        of_account.filter_map(|it| Some((self.role_of(it)?, self.reading(it)?.as_ref().ok()?)))
    }

    /// A ServiceAccount in its cluster, if the cluster is in the inventory.
    pub(super) fn place<'c>(&'c self, subject: &'c Subject) -> Option<Place<'c>> {
        let index = self.indexes.get(&subject.cluster)?;
        Some(Place { inventory: self.inventory, cluster: index.cluster, subject, index })
    }
}

/// What is in a cluster, by ServiceAccount.
struct Index<'a> {
    cluster: &'a Cluster,
    /// What holds back everything in the cluster.
    blockers: Vec<Finding>,
    service_accounts: BTreeMap<Key<'a>, &'a ServiceAccount>,
    associations: BTreeMap<Key<'a>, &'a Association>,
    workloads: BTreeMap<Key<'a>, Vec<&'a Workload>>,
    pods: BTreeMap<Key<'a>, Vec<&'a Pod>>,
    nodes: BTreeMap<&'a str, &'a Node>,
}

/// Namespace and name of a ServiceAccount.
type Key<'a> = (&'a str, &'a str);

impl<'a> Index<'a> {
    fn new(inventory: &'a Inventory, cluster: &'a Cluster) -> Self {
        let accounts = cluster.service_accounts.get().into_iter().flatten();
        let associations = cluster.associations.get().into_iter().flatten();
        let mut workloads: BTreeMap<Key<'a>, Vec<&'a Workload>> = BTreeMap::new();
        for it in cluster.seen_workloads() {
            workloads.entry((&it.at.namespace, &it.service_account)).or_default().push(it);
        }
        let mut pods: BTreeMap<Key<'a>, Vec<&'a Pod>> = BTreeMap::new();
        for it in cluster.pods.get().into_iter().flatten().filter(|it| !it.terminating) {
            pods.entry((&it.namespace, &it.service_account)).or_default().push(it);
        }
        Self {
            cluster,
            blockers: about_cluster::blockers(inventory, cluster),
            service_accounts: accounts.map(|it| ((it.namespace.as_str(), it.name.as_str()), it)).collect(),
            associations: associations.map(|it| ((it.namespace.as_str(), it.service_account.as_str()), it)).collect(),
            workloads,
            pods,
            nodes: cluster.nodes.get().into_iter().flatten().map(|it| (it.name.as_str(), it)).collect(),
        }
    }
}

/// One ServiceAccount in its cluster: what its checks look at.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) cluster: &'a Cluster,
    pub(super) subject: &'a Subject,
    index: &'a Index<'a>,
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

    fn key(&self) -> Key<'a> {
        (&self.subject.namespace, &self.subject.service_account)
    }

    /// What holds back everything in its cluster.
    pub(super) fn of_cluster(&self) -> &'a [Finding] {
        &self.index.blockers
    }

    /// The ServiceAccount, if it is among those that were read.
    pub(super) fn service_account(&self) -> Option<&'a ServiceAccount> {
        self.index.service_accounts.get(&self.key()).copied()
    }

    /// Its association, if it is among those that were read.
    pub(super) fn association(&self) -> Option<&'a Association> {
        self.index.associations.get(&self.key()).copied()
    }

    /// Its workloads, of every kind that was read.
    pub(super) fn workloads(&self) -> impl Iterator<Item = &'a Workload> + use<'a> {
        self.index.workloads.get(&self.key()).into_iter().flatten().copied()
    }

    /// Its pods, those on their way out aside; none where pods were not read.
    pub(super) fn pods(&self) -> impl Iterator<Item = &'a Pod> + use<'a> {
        self.index.pods.get(&self.key()).into_iter().flatten().copied()
    }

    /// The nodes of its cluster, by name.
    pub(super) fn nodes(&self) -> &'a BTreeMap<&'a str, &'a Node> {
        &self.index.nodes
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
