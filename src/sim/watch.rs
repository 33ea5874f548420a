//! The first two promises as predicates, looked at before and after every call and at every moment
//! at which something happens by itself.
//!
//! - P1, no new access: who can assume a role now, by some version that may be seen, could do so
//!   when the watch began, or was let in by somebody else since; and no trust policy that is sent
//!   grants more than the one there and the one of the beginning.
//! - P2, no lost access: a running pod that worked still gets its credentials, by every version that
//!   may be seen, and so would a pod that is admitted now; and what is sent is sent only when it may.
//!
//! Whom somebody else changed since is left out of P2. While a cut-over is undone, Pod Identity
//! pods whose association we deleted may be without fresh credentials.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::access::View;
use super::aws::Trust;
use super::call::Call;
use super::cluster::{AUDIENCE, Cluster, Pod, Workload};
use super::evaluate::pod_identity_requests;
use super::history::History;
use super::restored::later;
use super::versioned::{Author, Observer, Version, Versioned};
use super::world::World;
use crate::inventory::{Association, Mode};
use crate::model::{ClusterArn, RoleArn, Subject};

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
}

/// What a watch remembers.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// The world as it was when the watch began.
    baseline: Box<World>,
    /// Who had which role by IRSA then, with which audience.
    at_first: BTreeMap<Subject, (RoleArn, String)>,
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
        let at_first = known(self).into_iter().filter_map(|it| Some((it.clone(), role_at_first(self, &it)?))).collect();
        let (changes, now) = (self.changes, self.now);
        let found = Vec::new();
        self.watch = Some(Watch { baseline, at_first, found, changes, changed_at: now, looked_at: Timestamp::MIN });
    }

    /// The promises that were broken since the watch began. A promise that stays broken is told once.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.watch.as_ref().map_or(&[], |it| &it.found)
    }

    /// Looks at a call that is about to be sent.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other call can take access away, or give it")]
    pub(crate) fn watch_call(&mut self, call: &Call) {
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

    /// Looks at the world as it stands.
    pub(crate) fn watch_state(&mut self) {
        let (changes, now, longest) = (self.changes, self.now, self.longest_lag());
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
        let mut it = Look { world: self, baseline: &watch.baseline, at_first: &watch.at_first, found: Vec::new() };
        look(&mut it);
        let told: BTreeSet<(&str, &str)> = watch.found.iter().map(|it| (it.promise, it.what.as_str())).collect();
        let new: Vec<_> = it.found.into_iter().filter(|(p, what)| !told.contains(&(*p, what.as_str()))).collect();
        let (at, after_call) = (self.now, self.history.calls);
        watch.found.extend(new.into_iter().map(|(promise, what)| Violation { promise, at, after_call, what }));
        self.watch = Some(watch);
    }
}

/// One look at a world.
struct Look<'a> {
    world: &'a World,
    baseline: &'a World,
    at_first: &'a BTreeMap<Subject, (RoleArn, String)>,
    found: Vec<(&'static str, String)>,
}

fn subject_of(cluster: &ClusterArn, it: &Association) -> Subject {
    Subject { cluster: cluster.clone(), namespace: it.namespace.clone(), service_account: it.service_account.clone() }
}

fn role_of(it: &Association) -> Option<&RoleArn> {
    it.detail.as_ref()?.get().map(|it| &it.role_arn)
}

/// ServiceAccounts that exist, and those that associations name.
fn known(world: &World) -> BTreeSet<Subject> {
    let subjects = |(arn, it): (&ClusterArn, &Cluster)| {
        let keys = it.env.service_accounts.keys().chain(it.env.associations.keys()).cloned();
        let subject = |(namespace, service_account)| Subject { cluster: arn.clone(), namespace, service_account };
        keys.map(subject).collect::<Vec<_>>()
    };
    world.clusters.iter().flat_map(subjects).collect()
}

/// The role that a ServiceAccount has by IRSA, and its audience, if that works.
fn role_at_first(world: &World, subject: &Subject) -> Option<(RoleArn, String)> {
    let account = world.service_account_now(subject)?;
    let audience = account.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let role = account.role_arn.as_ref()?;
    let works = world.irsa_ok(subject, role, &audience) && world.association_now(subject).is_none();
    works.then(|| Some((RoleArn::parse(role).ok()?, audience)))?
}

fn by_others<T>(versions: &[Version<T>]) -> impl Iterator<Item = Option<&T>> {
    versions.iter().filter(|it| it.by == Author::Other).map(|it| it.value.as_ref())
}

fn view(world: &World) -> View<'_> {
    View { accounts: &world.accounts, lag: &world.lag, now: world.now }
}

impl<'a> Look<'a> {
    fn broken(&mut self, promise: &'static str, what: String) {
        self.found.push((promise, what));
    }

    fn cluster(&self, subject: &Subject) -> Option<&'a Cluster> {
        self.world.clusters.get(&subject.cluster)
    }

    fn associations(&self, subject: &Subject) -> Option<&'a Versioned<Association>> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        self.cluster(subject)?.env.associations.get(&key)
    }

    /// Known ServiceAccounts, and made-up ones: every namespace that a role's policies ever named
    /// with every name, patterns filled in, and near misses.
    fn candidates(&self, role: &RoleArn, sent: Option<&Trust>) -> BTreeSet<Subject> {
        let versions = self.world.accounts.get(&role.account()).and_then(|it| it.roles.get(role));
        let texts = versions.into_iter().flat_map(|it| it.trust.log()).filter_map(|it| it.value.as_ref());
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
        let by_token =
            self.cluster(subject).is_some_and(|it| view(self.world).some_token(&it.env, subject, role, trust));
        by_token || trust.allows_all(&pod_identity_requests(subject, true, self.world.now))
    }

    fn trust_at_first(&self, role: &RoleArn) -> Option<&'a Trust> {
        self.baseline.accounts.get(&role.account())?.roles.get(role)?.trust.now()
    }

    fn trust(&self, role: &RoleArn) -> Option<&'a Versioned<Trust>> {
        Some(&self.world.accounts.get(&role.account())?.roles.get(role)?.trust)
    }

    /// Versions of a role's trust policy since the watch began.
    fn trusts_since(&self, role: &RoleArn) -> &'a [Version<Trust>] {
        let at_first =
            self.baseline.accounts.get(&role.account()).and_then(|it| it.roles.get(role)).map(|it| &it.trust);
        self.trust(role).map_or(&[], |it| later(it, at_first))
    }

    /// Versions of an association since the watch began.
    fn associations_since(&self, subject: &Subject) -> &'a [Version<Association>] {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let cluster = self.baseline.clusters.get(&subject.cluster);
        let at_first = cluster.and_then(|it| it.env.associations.get(&key));
        self.associations(subject).map_or(&[], |it| later(it, at_first))
    }

    /// Whether somebody else let this ServiceAccount in since the watch began.
    fn let_in_by_others(&self, subject: &Subject, role: &RoleArn) -> bool {
        let lets_in = |it: Option<&Trust>| it.is_some_and(|trust| self.lets_in(trust, subject, role));
        let names = |it: Option<&Association>| it.and_then(role_of) == Some(role);
        by_others(self.trusts_since(role)).any(lets_in) || by_others(self.associations_since(subject)).any(names)
    }

    fn no_new_access(&mut self) {
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

    /// P1 of a document that is sent, and P2 of what it takes away.
    fn set_trust(&mut self, role: &RoleArn, sent: &Trust) {
        let Some(old) = self.trust(role).and_then(Versioned::now) else { return };
        for subject in self.candidates(role, Some(sent)) {
            let granted = |trust: &Trust| self.lets_in(trust, &subject, role);
            if granted(sent) && !granted(old) && !self.trust_at_first(role).is_some_and(granted) {
                self.broken("P1", format!("a policy is sent that lets {subject} assume {role}"));
            }
        }
        for subject in known(self.world) {
            let requests = pod_identity_requests(&subject, true, self.world.now);
            let loses = old.allows_all(&requests) && !sent.allows_all(&requests);
            if loses && self.uses_pod_identity(&subject, role) {
                self.broken("P2", format!("{role} stops trusting {subject}, which uses Pod Identity"));
            }
            let Some(cluster) = self.cluster(&subject) else { continue };
            let token = |trust| view(self.world).some_token(&cluster.env, &subject, role, trust);
            if token(old) && !token(sent) && self.uses_irsa(&subject, role) {
                self.broken("P2", format!("{role} stops trusting the tokens of {subject}, which uses IRSA"));
            }
        }
    }

    fn pods(&self, subject: &Subject) -> impl Iterator<Item = &'a Pod> {
        let (namespace, name) = (subject.namespace.clone(), subject.service_account.clone());
        let cluster = self.cluster(subject);
        let owned = cluster.into_iter().flat_map(|it| it.workloads.values()).flat_map(Workload::living);
        let bare = cluster.into_iter().flat_map(|it| &it.bare).filter(|it| it.gone_at.is_none());
        owned.chain(bare).filter(move |it| it.namespace == namespace && it.service_account == name)
    }

    /// A pod of it is, or one that is admitted now may be, on Pod Identity with this role.
    fn uses_pod_identity(&self, subject: &Subject, role: &RoleArn) -> bool {
        let Some(versions) = self.associations(subject) else { return false };
        let names = |it: Option<&Association>| it.and_then(role_of) == Some(role);
        let ever = versions.log().iter().any(|it| names(it.value.as_ref()));
        let pods = ever && self.pods(subject).any(|it| it.mode == Mode::PodIdentity);
        pods || self.webhooks(subject).any(|it| names_in(versions, self.world, &it, &names))
    }

    fn uses_irsa(&self, subject: &Subject, role: &RoleArn) -> bool {
        let irsa = |mode: &Mode| matches!(mode, Mode::Irsa(it) if it == role.as_str());
        self.pods(subject).any(|it| irsa(&it.mode))
            || self.modes(subject).iter().any(|it| it.as_ref().is_some_and(irsa))
    }

    fn webhooks(&self, subject: &Subject) -> impl Iterator<Item = Observer> + use<> {
        let servers = self.cluster(subject).map_or(0, |it| it.env.api_servers);
        let cluster = subject.cluster.clone();
        (0..servers).map(move |server| Observer::Webhook(cluster.clone(), server))
    }

    /// The modes that a pod of this ServiceAccount may be admitted in now; `None` for a ServiceAccount
    /// that is not there.
    fn modes(&self, subject: &Subject) -> Vec<Option<Mode>> {
        let mut modes = Vec::new();
        let Some(cluster) = self.cluster(subject) else { return modes };
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let (now, lag) = (self.world.now, &self.world.lag);
        for webhook in self.webhooks(subject) {
            let lag = lag.for_observer(&webhook);
            let associated = cluster.env.associations.get(&key).map_or(&[][..], |it| it.may_see(now, lag));
            modes.extend(associated.iter().filter(|it| it.value.is_some()).map(|_| Some(Mode::PodIdentity)));
            if associated.iter().any(|it| it.value.is_none()) || associated.is_empty() {
                let accounts = cluster.env.service_accounts.get(&key).map_or(&[][..], |it| it.may_see(now, lag));
                let mode = |role: &Option<String>| role.clone().map_or(Mode::None, Mode::Irsa);
                modes.extend(accounts.iter().map(|it| it.value.as_ref().map(|it| mode(&it.role_arn))));
            }
        }
        modes
    }

    /// The association was made so lately that somebody may not know of it.
    fn is_fresh(&self, subject: &Subject) -> bool {
        let newest = self.associations(subject).and_then(|it| it.log().last());
        newest.is_some_and(|it| it.value.is_some() && self.world.now < it.at + self.world.longest_lag())
    }

    /// We deleted the association: its cut-over is being undone.
    fn is_being_undone(&self, subject: &Subject) -> bool {
        let newest = self.associations(subject).and_then(|it| it.log().last());
        newest.is_some_and(|it| it.value.is_none() && it.by == Author::Call)
    }

    /// Somebody else changed what this ServiceAccount lives by.
    fn is_changed_by_others(&self, subject: &Subject, role: &RoleArn) -> bool {
        let Some(cluster) = self.cluster(subject) else { return true };
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let account = |world: &'a World| world.clusters.get(&subject.cluster)?.env.service_accounts.get(&key);
        let issuer = cluster.env.facts.issuer.as_ref();
        let provider = |world: &'a World| world.accounts.get(&role.account())?.providers.get(issuer?);
        let edited =
            account(self.world).is_some_and(|it| by_others(later(it, account(self.baseline))).next().is_some());
        let replaced =
            provider(self.world).is_some_and(|it| by_others(later(it, provider(self.baseline))).next().is_some());
        edited
            || replaced
            || by_others(self.associations_since(subject)).next().is_some()
            || by_others(self.trusts_since(role)).next().is_some()
    }

    fn no_lost_access(&mut self) {
        for subject in known(self.world) {
            let Some((role, audience)) = self.at_first.get(&subject).cloned() else { continue };
            if self.is_changed_by_others(&subject, &role) {
                continue;
            }
            let (irsa, pi) = (self.world.irsa_ok(&subject, role.as_str(), &audience), self.world.pi_ok(&subject));
            let (fresh, undone) = (self.is_fresh(&subject), self.is_being_undone(&subject));
            for pod in self.pods(&subject).collect::<Vec<_>>() {
                let name = &pod.name;
                match &pod.mode {
                    Mode::Irsa(_) if pod.worked && !irsa => {
                        self.broken("P2", format!("{subject}: pod {name} has lost the role that IRSA gave it"));
                    }
                    Mode::PodIdentity if !(pi || undone || fresh && !pod.worked) => {
                        self.broken("P2", format!("{subject}: pod {name} gets no credentials from Pod Identity"));
                    }
                    Mode::Irsa(_) | Mode::PodIdentity | Mode::Both | Mode::None => {}
                }
            }
            let right = |mode: &Option<Mode>| match mode {
                Some(Mode::Irsa(it)) => it == role.as_str() && irsa,
                Some(Mode::PodIdentity) => undone || (pi || fresh) && self.associated_with(&subject, &role),
                Some(Mode::Both | Mode::None) | None => false,
            };
            if let Some(wrong) = self.modes(&subject).iter().find(|it| !right(it)) {
                let wrong = wrong.as_ref().map_or_else(|| "not at all".to_owned(), ToString::to_string);
                self.broken("P2", format!("{subject}: a pod that is admitted now gets no credentials ({wrong})"));
            }
        }
    }

    fn associated_with(&self, subject: &Subject, role: &RoleArn) -> bool {
        self.associations(subject).and_then(Versioned::now).and_then(role_of) == Some(role)
    }

    /// At the send of a create: STS lets EKS Auth in, whatever version it sees.
    fn create(&mut self, subject: &Subject, role: &RoleArn) {
        if !view(self.world).trust_grants_pod_identity(subject, role) {
            self.broken("P2", format!("{subject}: associated before {role} surely trusts Pod Identity"));
        }
    }

    /// At the send of a delete: IRSA works, and every webhook sees the annotation.
    fn delete(&mut self, subject: &Subject) {
        let Some((role, audience)) = self.at_first.get(subject).cloned() else { return };
        if self.is_changed_by_others(subject, &role) {
            return;
        }
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let accounts = self.cluster(subject).and_then(|it| it.env.service_accounts.get(&key));
        let (now, lag) = (self.world.now, &self.world.lag);
        let seen = self.webhooks(subject).all(|webhook| {
            let versions = accounts.map_or(&[][..], |it| it.may_see(now, lag.for_observer(&webhook)));
            let annotated = |it: &crate::inventory::ServiceAccount| it.role_arn.as_deref() == Some(role.as_str());
            !versions.is_empty() && versions.iter().all(|it| it.value.as_ref().is_some_and(annotated))
        });
        if !seen || !self.world.irsa_ok(subject, role.as_str(), &audience) {
            self.broken("P2", format!("{subject}: its association is deleted before IRSA is proven to work"));
        }
    }
}

fn names_in(
    versions: &Versioned<Association>,
    world: &World,
    webhook: &Observer,
    names: &impl Fn(Option<&Association>) -> bool,
) -> bool {
    versions.may_see(world.now, world.lag.for_observer(webhook)).iter().any(|it| names(it.value.as_ref()))
}

/// Namespaces and names that a policy speaks of: from subjects of tokens and from session tags.
fn collect(value: &Value, key: &str, namespaces: &mut BTreeSet<String>, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, key, namespaces, names);
            }
        }
        Value::Array(all) => all.iter().for_each(|it| collect(it, key, namespaces, names)),
        Value::String(text) => {
            if let Some((_, rest)) = text.split_once("system:serviceaccount:") {
                let (namespace, name) = rest.split_once(':').unwrap_or((rest, "*"));
                namespaces.extend(examples(namespace));
                names.extend(examples(name));
            } else if key.ends_with("kubernetes-namespace") {
                namespaces.extend(examples(text));
            } else if key.ends_with("kubernetes-service-account") {
                names.extend(examples(text));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Names that match a pattern, and one that just does not match a literal.
fn examples(pattern: &str) -> [String; 3] {
    let filled = |star: &str| pattern.replace('*', star).replace('?', "q");
    [filled(""), filled("zz"), format!("{}-other", filled("zz"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_match_and_miss() {
        assert_eq!(examples("a*?"), ["aq", "azzq", "azzq-other"]);
        let mut found = (BTreeSet::new(), BTreeSet::new());
        let policy = serde_json::json!({
            "a": { "x:sub": ["system:serviceaccount:n1:s1"] },
            "aws:RequestTag/kubernetes-namespace": "n2",
            "aws:RequestTag/kubernetes-service-account": ["s2"],
        });
        collect(&policy, "", &mut found.0, &mut found.1);
        assert!(["n1", "n2"].iter().all(|it| found.0.contains(*it)));
        assert!(["s1", "s2", "s1-other"].iter().all(|it| found.1.contains(*it)));
    }
}
