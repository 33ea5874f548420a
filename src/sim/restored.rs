//! What is not as it was before a migration, and whose it is: the third promise as a value.
//!
//! At rest after a rollback each field is as before, unless somebody else wrote it after us: then
//! what they wrote is there, and nothing of ours. A trust policy that nobody else wrote is there
//! again byte for byte; one that was written by others is theirs without our statements.
//!
//! IAM has no conditional write. An edit that our last look could not show was overwritten unseen,
//! and counts as never made.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::call::{Call, Reply};
use super::cluster::Workload;
use super::history::{Happening, Record};
use super::normal;
use super::state::{association_value, mode_name};
use super::versioned::{Author, Version, Versioned};
use super::world::World;
use crate::inventory::WorkloadKind;
use crate::model::{ClusterArn, RoleArn, Subject};

/// Seconds between a look and what is sent because of it: as long as a few calls take.
const LATELY: i64 = 10;

/// What a rollback must bring back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// A role's trust policy.
    Trust(RoleArn),
    /// A ServiceAccount's association.
    Association(Subject),
    /// A ServiceAccount's annotation.
    Annotation(Subject),
    /// A workload's stamp.
    Stamp(ClusterArn, crate::inventory::WorkloadRef),
    /// A workload's image.
    Image(ClusterArn, crate::inventory::WorkloadRef),
    /// The modes of a workload's pods.
    Modes(ClusterArn, crate::inventory::WorkloadRef),
}

impl Field {
    /// Whether a migration ever writes it. Reports are owed of these alone.
    #[must_use]
    pub fn is_written_by_us(&self) -> bool {
        match self {
            Self::Trust(_) | Self::Association(_) | Self::Stamp(..) => true,
            Self::Annotation(_) | Self::Image(..) | Self::Modes(..) => false,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(role) => write!(f, "trust of {role}"),
            Self::Association(subject) => write!(f, "association of {subject}"),
            Self::Annotation(subject) => write!(f, "annotation of {subject}"),
            Self::Stamp(cluster, at) => write!(f, "stamp of {} {at}", cluster.name()),
            Self::Image(cluster, at) => write!(f, "image of {} {at}", cluster.name()),
            Self::Modes(cluster, at) => write!(f, "modes of {} {at}", cluster.name()),
        }
    }
}

/// A field that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub of: Field,
    /// `what: before -> now`.
    pub line: String,
    /// When somebody else wrote what is there; `None` where it is ours, or nobody's.
    pub theirs: Option<Timestamp>,
}

impl World {
    /// What is not as it was in an earlier copy of this world.
    #[must_use]
    pub fn differences_since(&self, before: &Self) -> Vec<Difference> {
        let mut comparison = Comparison { before, now: self, found: Vec::new() };
        comparison.trusts();
        for cluster in before.clusters.keys() {
            comparison.cluster(cluster);
        }
        comparison.found
    }

    /// What a rollback should have brought back, and is neither as it was in an earlier copy of this
    /// world nor as somebody else left it.
    #[must_use]
    pub fn not_restored(&self, before: &Self) -> Vec<String> {
        let ours = self.differences_since(before).into_iter().filter(|it| it.theirs.is_none());
        ours.map(|it| it.line).collect()
    }

    /// When somebody else last did anything, counted from an earlier copy of this world.
    #[must_use]
    pub fn last_foreign_since(&self, before: &Self) -> Option<Timestamp> {
        let since = self.history.all.get(before.history.all.len()..).unwrap_or(&[]);
        since.iter().rev().find_map(|it| match it {
            Happening::Foreign { at, .. } => Some(*at),
            Happening::Called(_) | Happening::Opened { .. } | Happening::Journaled { .. } => None,
        })
    }
}

/// One comparison of two moments of a world.
struct Comparison<'a> {
    before: &'a World,
    now: &'a World,
    found: Vec<Difference>,
}

/// The versions of a thing that were not there yet.
pub(super) fn later<'v, T>(now: &'v Versioned<T>, at_first: Option<&Versioned<T>>) -> &'v [Version<T>] {
    // What did not exist then has one version that says so.
    now.log().get(at_first.map_or(1, |it| it.log().len())..).unwrap_or(&[])
}

fn last_by_others<T>(versions: &[Version<T>]) -> Option<Timestamp> {
    versions.iter().rev().find(|it| it.by == Author::Other).map(|it| it.at)
}

impl<'a> Comparison<'a> {
    fn differs(&mut self, of: Field, before: impl fmt::Debug, now: impl fmt::Debug, theirs: Option<Timestamp>) {
        let line = format!("{of}: {before:?} -> {now:?}");
        self.found.push(Difference { of, line, theirs });
    }

    fn trusts(&mut self) {
        for (account, roles) in self.before.accounts.iter().map(|(id, it)| (id, &it.roles)) {
            for (arn, role) in roles {
                let now = self.now.accounts.get(account).and_then(|it| it.roles.get(arn));
                if let Some(now) = now {
                    self.trust(arn, &role.trust, &now.trust);
                }
            }
        }
    }

    fn trust(&mut self, arn: &RoleArn, before: &Versioned<super::aws::Trust>, now: &Versioned<super::aws::Trust>) {
        fn text(it: Option<&super::aws::Trust>) -> Option<&str> {
            it.map(|it| it.text.as_str())
        }
        let (was, is) = (text(before.now()), text(now.now()));
        let since = later(now, Some(before));
        if since.is_empty() {
            return;
        }
        let theirs = last_by_others(since);
        let writes = self.writes_of(arn);
        let read = |at: usize| writes.get(at).and_then(|it| self.trust_read_before(arn, it));
        let (mut ours, mut written) = (BTreeSet::new(), 0);
        // What would be there without us, after each version.
        let at_first = normal::statements(was);
        let mut expected: Vec<(Option<&str>, Option<BTreeSet<String>>)> = vec![(was, at_first.clone())];
        for version in since {
            let text = text(version.value.as_ref());
            let next = match version.by {
                Author::Other => normal::statements(text).map(|it| it.difference(&ours).cloned().collect()),
                Author::Call => {
                    let base = read(written);
                    written += 1;
                    let known = expected.iter().rev().find(|(it, _)| base.is_some() && *it == base);
                    let known = known.or(expected.last());
                    let (base, without) = known.cloned().unwrap_or_default();
                    let had = normal::statements(base).unwrap_or_default();
                    let first = at_first.clone().unwrap_or_default();
                    let added = normal::statements(text).unwrap_or_default();
                    ours.extend(added.into_iter().filter(|it| !had.contains(it) && !first.contains(it)));
                    without
                }
            };
            expected.push((text, next));
        }
        let wanted = expected.pop().and_then(|(_, it)| it);
        let found = normal::statements(is);
        let by_us = since.last().is_some_and(|it| it.by == Author::Call);
        let as_wanted = if wanted == at_first && by_us { was == is } else { wanted == found };
        // In another writing it means the same, and it was not us who wrote it so.
        if as_wanted && found == at_first {
            return;
        }
        self.differs(Field::Trust(arn.clone()), was, is, theirs.filter(|_| as_wanted));
    }

    /// Our writes of a role's trust policy that took effect.
    fn writes_of(&self, role: &RoleArn) -> Vec<&'a Record> {
        let before = self.before.history.number_of_calls();
        let of_role = |it: &&Record| matches!(&it.call, Call::SetTrust { role: of, .. } if of == role);
        self.now.history.writes().filter(|it| it.number > before).filter(of_role).collect()
    }

    /// The text that whoever wrote was told of right before.
    fn trust_read_before(&self, role: &RoleArn, write: &Record) -> Option<&'a str> {
        let earlier = self.now.history.calls().rev().filter(|it| it.number < write.number && it.by == write.by);
        let lately = |it: &&Record| write.at.duration_since(it.at) <= SignedDuration::from_secs(LATELY);
        let told = |it: &'a Record| match (&it.call, &it.reply) {
            (Call::Role(of), Some(Reply::Role(told))) if of == role => Some(told.trust.as_str()),
            _ => None,
        };
        earlier.take_while(lately).find_map(told)
    }

    fn cluster(&mut self, arn: &ClusterArn) {
        let (Some(before), Some(now)) = (self.before.clusters.get(arn), self.now.clusters.get(arn)) else { return };
        let subject = |key: &super::cluster::Key| Subject {
            cluster: arn.clone(),
            namespace: key.0.clone(),
            service_account: key.1.clone(),
        };
        for (key, versions) in &now.env.associations {
            self.association(subject(key), before.env.associations.get(key), versions);
        }
        for (key, versions) in &now.env.service_accounts {
            let at_first = before.env.service_accounts.get(key);
            let annotation = |it: Option<&crate::inventory::ServiceAccount>| it.and_then(|it| it.role_arn.clone());
            let (was, is) = (annotation(at_first.and_then(Versioned::now)), annotation(versions.now()));
            if was != is {
                let theirs = last_by_others(later(versions, at_first));
                self.differs(Field::Annotation(subject(key)), was, is, theirs);
            }
        }
        for (at, was) in &before.workloads {
            match now.workloads.get(at) {
                Some(is) => self.workload(arn, was, is),
                // Nothing of ours ever deletes a workload.
                None => {
                    let theirs = self.now.last_foreign_since(self.before);
                    self.differs(Field::Image(arn.clone(), at.clone()), &was.template.image, "gone", theirs);
                }
            }
        }
    }

    fn association(
        &mut self,
        subject: Subject,
        before: Option<&Versioned<crate::inventory::Association>>,
        now: &Versioned<crate::inventory::Association>,
    ) {
        let was = before.and_then(Versioned::now).and_then(association_value);
        let is = now.now().and_then(association_value);
        let since = later(now, before);
        let theirs = since.iter().rev().find(|it| it.by == Author::Other);
        let wanted = theirs.map_or_else(|| was.clone(), |it| it.value.as_ref().and_then(association_value));
        if was != is || wanted != is {
            let theirs = theirs.filter(|_| wanted == is).map(|it| it.at);
            self.differs(Field::Association(subject), was, is, theirs);
        }
    }

    fn workload(&mut self, cluster: &ClusterArn, before: &Workload, now: &Workload) {
        let at = || (cluster.clone(), now.at.clone());
        let theirs = now.edited_at.filter(|_| now.edited_at != before.edited_at);
        self.stamp(cluster, before, now);
        let (was, is) = (&before.template.image, &now.template.image);
        if was != is {
            let (cluster, at) = at();
            self.differs(Field::Image(cluster, at), was, is, theirs);
        }
        if matches!(now.at.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
            return;
        }
        let modes = |world: &World| world.clusters.get(cluster).map(|it| it.modes(&now.at)).unwrap_or_default();
        let (was, is) = (modes(self.before), modes(self.now));
        if was != is {
            let theirs = self.why_modes_differ(cluster, before, now);
            let (cluster, at) = at();
            self.differs(Field::Modes(cluster, at), was, is, theirs);
        }
    }

    fn stamp(&mut self, cluster: &ClusterArn, before: &Workload, now: &Workload) {
        let (was, is) = (before.template.stamp.as_deref(), now.template.stamp.as_deref());
        let since = later(&now.stamps, Some(&before.stamps));
        let is_ours = |value: &Option<String>| {
            let ours = since.iter().any(|it| it.by == Author::Call && it.value == *value);
            ours && value.as_deref() != was
        };
        // Going back to an old template brings a stamp of ours back: that is no wish of theirs.
        let theirs = since.iter().rev().find(|it| it.by == Author::Other && !is_ours(&it.value));
        let wanted = theirs.map_or(was, |it| it.value.as_deref());
        if was != is || wanted != is {
            let theirs = theirs.filter(|_| wanted == is).map(|it| it.at);
            self.differs(Field::Stamp(cluster.clone(), now.at.clone()), was, is, theirs);
        }
    }

    /// When somebody else did what explains that a workload has other pods than before. How many
    /// there are, anybody may change; in which mode they are follows from what was there when they
    /// were admitted.
    fn why_modes_differ(&self, arn: &ClusterArn, before: &Workload, now: &Workload) -> Option<Timestamp> {
        let last = self.now.last_foreign_since(self.before)?;
        let right: BTreeSet<String> = before.living().map(|it| mode_name(&it.mode)).collect();
        let mut wrong = now.living().filter(|it| !right.contains(&mode_name(&it.mode))).peekable();
        if right.is_empty() || wrong.peek().is_none() {
            return Some(last);
        }
        let (first, cluster) = (self.before.clusters.get(arn)?, self.now.clusters.get(arn)?);
        let key = (now.at.namespace.clone(), now.template.service_account.clone());
        let associated = cluster.env.associations.get(&key);
        let associated = associated.and_then(|it| last_by_others(later(it, first.env.associations.get(&key))));
        let annotated = cluster.env.service_accounts.get(&key);
        let annotated = annotated.and_then(|it| last_by_others(later(it, first.env.service_accounts.get(&key))));
        let by_hand = {
            let decides = |it: &Workload| {
                let it = &it.template;
                (it.service_account.clone(), it.aws_env.clone(), it.role_by_hand.clone(), it.skips_webhook)
            };
            (decides(before) != decides(now)).then_some(last)
        };
        let unseen = cluster.env.webhook_went_down.filter(|_| {
            cluster.env.webhook_went_down != first.env.webhook_went_down
                && wrong.all(|it| it.mode == crate::inventory::Mode::None)
        });
        associated.or(annotated).or(by_hand).or(unseen)
    }
}
