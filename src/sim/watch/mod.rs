//! The first two promises as predicates, looked at before and after every call, at every entry, and
//! at every moment at which something happens by itself.
//!
//! - P1, no new access: who can assume a role now, by some version that may be seen, could do so
//!   when the watch began, or was let in by somebody else since; and no trust policy that is sent
//!   grants more than the one there and the one of the beginning.
//! - P2, no lost access: a running pod that worked still gets its credentials, by every version that
//!   may be seen, and so would a pod that is admitted now; and what is sent is sent only when it may.
//!
//! What somebody else took away is theirs: a policy of theirs without the grant, an annotation or an
//! association of theirs. While a cut-over is undone, Pod Identity pods whose association we deleted
//! may be without fresh credentials; once its unit is said to be undone there are none, and a unit
//! that cannot be undone names them.

mod candidates;
mod gained;
mod kept;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::aws::Trust;
use super::call::Call;
use super::history::History;
use super::world::World;
use crate::journal::{Event, NewEntry, Scope};
use crate::model::{RoleArn, Subject};

use look::{Look, known, subject_of};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `P1`, `P2`.
    pub promise: &'static str,
    /// When.
    pub at: Timestamp,
    /// The number of the last call before it.
    pub after_call: u64,
    /// What is wrong, in words.
    pub what: String,
    /// What happened last before it, in words, oldest first.
    pub led_by: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} after call {}: {}", self.promise, self.after_call, self.what)?;
        self.led_by.iter().try_for_each(|it| write!(f, "\n    {it}"))
    }
}

/// The role of a ServiceAccount's pods, and the audience of their tokens where they have them by IRSA.
#[derive(Debug, Clone)]
struct Had {
    role: RoleArn,
    audience: Option<String>,
}

/// What a watch remembers.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// The world as it was when the watch began.
    baseline: Box<World>,
    /// Who had which role then.
    at_first: BTreeMap<Subject, Had>,
    /// Units that are said to be undone, with the number of versions that their association had then.
    undone: BTreeMap<Subject, usize>,
    found: Vec<Violation>,
    /// The world's count of changes at the last look, and when a new one was first seen.
    changes: u64,
    changed_at: Timestamp,
    looked_at: Timestamp,
}

impl World {
    /// Watches the promises from now on; what is now is the baseline.
    pub fn watch(&mut self) {
        self.watch = None;
        let mut baseline = Box::new(self.clone());
        baseline.history = History::default();
        let had = |it: Subject| look::had(self, &it).map(|had| (it, had));
        let at_first = known(self).into_iter().filter_map(had).collect();
        let (changes, changed_at) = (self.changes, self.now);
        let (undone, found, looked_at) = (BTreeMap::new(), Vec::new(), Timestamp::MIN);
        self.watch = Some(Watch { baseline, at_first, undone, found, changes, changed_at, looked_at });
    }

    /// The promises that were broken since the watch began. A promise that stays broken is told once.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.watch.as_ref().map_or(&[], |it| &it.found)
    }

    /// Looks at a call that is about to be sent.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other call can take access away, or give it")]
    pub(crate) fn watch_call(&mut self, call: &Call) {
        if !call.is_write() {
            return;
        }
        self.watching(|look| match call {
            Call::CreateAssociation(new) => look.create(&new.subject, &new.role_arn),
            Call::DeleteAssociation { cluster, id } => {
                if let Some(association) = look.world.association_by_id(cluster, id) {
                    look.delete(&subject_of(cluster, association));
                }
            }
            Call::SetTrust { role, document } => look.set_trust(role, &Trust::new(document)),
            _ => {}
        });
    }

    /// Looks at what a run says of a ServiceAccount whose cut-over is being undone.
    pub(crate) fn watch_entry(&mut self, entry: &NewEntry) {
        let (unit, ends) = match (&entry.scope, entry.event) {
            (Scope::Unit(unit), Event::Undone) => (unit, true),
            (Scope::Step { unit, .. }, Event::Failed) => (unit, false),
            _ => return,
        };
        if self.watch.is_none() {
            return;
        }
        let Some(subject) = known(self).into_iter().find(|it| look::unit_of(it) == *unit) else { return };
        if ends {
            let versions = look::versions_of_association(self, &subject);
            if let Some(watch) = &mut self.watch {
                watch.undone.insert(subject.clone(), versions);
            }
            // From now on more is asked of what is there.
            self.changes += 1;
        }
        let said = entry.detail.clone().unwrap_or_default();
        self.watching(|look| if ends { look.is_undone(&subject) } else { look.is_named(&subject, &said) });
    }

    /// Looks at the world as it stands.
    pub(crate) fn watch_state(&mut self) {
        let (changes, now, longest) = (self.changes, self.now, self.lag.longest());
        let Some(watch) = &mut self.watch else { return };
        let changed = watch.changes != changes;
        // Once everybody has seen the last change, time alone changes nothing.
        if !changed && watch.looked_at >= watch.changed_at + longest {
            return;
        }
        if changed {
            (watch.changes, watch.changed_at) = (changes, now);
        }
        watch.looked_at = now;
        self.watching(|look| {
            // Fewer and fewer versions may be seen as time passes, so that access is gained by changes alone.
            if changed {
                look.no_new_access();
            }
            look.no_lost_access();
        });
    }

    fn watching(&mut self, look: impl FnOnce(&mut Look<'_>)) {
        let Some(mut watch) = self.watch.take() else { return };
        let mut it = Look::new(self, &watch.baseline, &watch.at_first, &watch.undone);
        look(&mut it);
        let told: BTreeSet<(&str, &str)> = watch.found.iter().map(|it| (it.promise, it.what.as_str())).collect();
        let new: Vec<_> = it.found.into_iter().filter(|(p, what)| !told.contains(&(*p, what.as_str()))).collect();
        let (at, after_call) = (self.now, self.history.calls);
        let led_by = || self.history.led_to(self.history.all.len());
        let violation = |(promise, what)| Violation { promise, at, after_call, what, led_by: led_by() };
        watch.found.extend(new.into_iter().map(violation));
        self.watch = Some(watch);
    }
}
