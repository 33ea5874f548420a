//! The first promise: no new access.

use std::collections::BTreeSet;

use super::candidates::collect;
use super::look::{Look, by_others, known, role_of};
use crate::inventory::Association;
use crate::model::{RoleArn, Subject};
use crate::sim::aws::Trust;

impl<'a> Look<'a> {
    /// Known ServiceAccounts, and made-up ones: every namespace that a role's policies ever named
    /// with every name, patterns filled in, and near misses.
    pub(super) fn candidates(&self, role: &RoleArn, sent: Option<&Trust>) -> BTreeSet<Subject> {
        let texts = self.trust(role).into_iter().flat_map(|it| it.log()).filter_map(|it| it.value.as_ref());
        let (mut namespaces, mut names) = (BTreeSet::new(), BTreeSet::new());
        for trust in texts.chain(sent) {
            if let Ok(document) = serde_json::from_str(&trust.text) {
                collect(&document, "", &mut namespaces, &mut names);
            }
        }
        let mut all = known(self.world);
        for cluster in self.world.clusters.keys() {
            for namespace in &namespaces {
                for name in &names {
                    let (namespace, service_account) = (namespace.clone(), name.clone());
                    all.insert(Subject { cluster: cluster.clone(), namespace, service_account });
                }
            }
        }
        all
    }

    /// Whether a document lets a ServiceAccount in, in either way.
    fn lets_in(&self, trust: &Trust, subject: &Subject, role: &RoleArn) -> bool {
        self.takes_tokens(trust, subject, role) || self.grants_pod_identity(trust, subject)
    }

    /// Whether somebody else let this ServiceAccount in since the watch began.
    fn let_in_by_others(&self, subject: &Subject, role: &RoleArn) -> bool {
        let lets_in = |it: Option<&Trust>| it.is_some_and(|trust| self.lets_in(trust, subject, role));
        let names = |it: Option<&Association>| it.and_then(role_of) == Some(role);
        by_others(self.trusts_since(role)).any(lets_in)
            || by_others(self.associations_since(subject)).any(names)
            || by_others(self.providers_since(subject, role)).any(|it| it.is_some())
    }

    /// Who could assume a role now could do so at first, or was let in by others.
    pub(super) fn no_new_access(&mut self) {
        let since = known(self.world).into_iter().flat_map(|it| self.associations_since(&it));
        let associated: BTreeSet<&RoleArn> = since.filter_map(|it| role_of(it.value.as_ref()?)).collect();
        let roles = self.world.accounts.values().flat_map(|it| it.roles.keys());
        // What nobody wrote to since grants what it granted.
        let written = |it: &&RoleArn| associated.contains(it) || !self.trusts_since(it).is_empty();
        let roles: Vec<RoleArn> = roles.filter(written).cloned().collect();
        for role in roles {
            for subject in self.candidates(&role, None) {
                if self.world.could(&subject, &role)
                    && !self.baseline.could(&subject, &role)
                    && !self.let_in_by_others(&subject, &role)
                {
                    self.broken("P1", format!("{subject} can assume {role}"));
                }
            }
        }
    }

    /// A document that is sent grants nothing that neither the one there nor the first one grants.
    pub(super) fn sends_no_new_access(&mut self, role: &RoleArn, old: &Trust, sent: &Trust) {
        let first = self.baseline.accounts.get(&role.account()).and_then(|it| it.roles.get(role)?.trust.now());
        for subject in self.candidates(role, Some(sent)) {
            let granted = |trust: &Trust| self.lets_in(trust, &subject, role);
            // Whom the first one let in by a provider that others took away since could do so at first.
            let at_first = first.is_some_and(granted) || self.baseline.could(&subject, role);
            if granted(sent) && !granted(old) && !at_first {
                self.broken("P1", format!("a policy is sent that lets {subject} assume {role}"));
            }
        }
    }
}
