//! One look at a world: what is there, who may see it, and whose it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::Had;
use crate::inventory::{Association, Mode, ServiceAccount};
use crate::model::{ClusterArn, RoleArn, Subject};
use crate::sim::access::View;
use crate::sim::aws::Trust;
use crate::sim::cluster::{AUDIENCE, Cluster, Key, Pod, Workload};
use crate::sim::evaluate::pod_identity_requests;
use crate::sim::restored::later;
use crate::sim::versioned::{Author, Observer, Version, Versioned};
use crate::sim::world::World;

/// Between a look and what is sent because of it: as long as a few calls take. What others did
/// later than that, on top of what a lag hides, whoever sends could not know of.
const LATELY: SignedDuration = SignedDuration::from_secs(10);

/// One look at a world.
pub(super) struct Look<'a> {
    pub(super) world: &'a World,
    pub(super) baseline: &'a World,
    pub(super) at_first: &'a BTreeMap<Subject, Had>,
    undone: &'a BTreeMap<Subject, usize>,
    pub(super) found: Vec<(&'static str, String)>,
}

pub(super) fn subject_of(cluster: &ClusterArn, it: &Association) -> Subject {
    Subject { cluster: cluster.clone(), namespace: it.namespace.clone(), service_account: it.service_account.clone() }
}

pub(super) fn role_of(it: &Association) -> Option<&RoleArn> {
    it.detail.as_ref()?.get().map(|it| &it.role_arn)
}

/// The name that runs give to the unit of a ServiceAccount.
pub(super) fn unit_of(it: &Subject) -> String {
    format!("sa:{}/{}/{}", it.cluster, it.namespace, it.service_account)
}

fn key_of(it: &Subject) -> Key {
    (it.namespace.clone(), it.service_account.clone())
}

/// ServiceAccounts that exist, and those that associations name.
pub(super) fn known(world: &World) -> BTreeSet<Subject> {
    let subjects = |(arn, it): (&ClusterArn, &Cluster)| {
        let keys = it.env.service_accounts.keys().chain(it.env.associations.keys()).cloned();
        let subject = |(namespace, service_account)| Subject { cluster: arn.clone(), namespace, service_account };
        keys.map(subject).collect::<Vec<_>>()
    };
    world.clusters.iter().flat_map(subjects).collect()
}

/// The role that a ServiceAccount's new pods have, if that works: by its association, else by IRSA.
pub(super) fn had(world: &World, subject: &Subject) -> Option<Had> {
    if let Some(association) = world.association_now(subject) {
        let role = role_of(association)?.clone();
        return world.pi_ok(subject).then_some(Had { role, audience: None });
    }
    let account = world.service_account_now(subject)?;
    let audience = account.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let role = RoleArn::parse(account.role_arn.as_ref()?).ok()?;
    world.irsa_ok(subject, role.as_str(), &audience).then_some(Had { role, audience: Some(audience) })
}

/// How many versions the association of a ServiceAccount has had.
pub(super) fn versions_of_association(world: &World, subject: &Subject) -> usize {
    let associations = world.clusters.get(&subject.cluster).map(|it| &it.env.associations);
    associations.and_then(|it| it.get(&key_of(subject))).map_or(0, |it| it.log().len())
}

/// The versions that somebody else wrote.
pub(super) fn by_others<T>(versions: &[Version<T>]) -> impl Iterator<Item = Option<&T>> {
    versions.iter().filter(|it| it.by == Author::Other).map(|it| it.value.as_ref())
}

impl<'a> Look<'a> {
    pub(super) fn new(
        world: &'a World,
        baseline: &'a World,
        at_first: &'a BTreeMap<Subject, Had>,
        undone: &'a BTreeMap<Subject, usize>,
    ) -> Self {
        Self { world, baseline, at_first, undone, found: Vec::new() }
    }

    pub(super) fn broken(&mut self, promise: &'static str, what: String) {
        self.found.push((promise, what));
    }

    pub(super) fn view(&self) -> View<'a> {
        View { accounts: &self.world.accounts, lag: &self.world.lag, now: self.world.now }
    }

    pub(super) fn cluster(&self, subject: &Subject) -> Option<&'a Cluster> {
        self.world.clusters.get(&subject.cluster)
    }

    pub(super) fn associations(&self, subject: &Subject) -> Option<&'a Versioned<Association>> {
        self.cluster(subject)?.env.associations.get(&key_of(subject))
    }

    pub(super) fn trust(&self, role: &RoleArn) -> Option<&'a Versioned<Trust>> {
        Some(&self.world.accounts.get(&role.account())?.roles.get(role)?.trust)
    }

    /// Versions of a role's trust policy since the watch began.
    pub(super) fn trusts_since(&self, role: &RoleArn) -> &'a [Version<Trust>] {
        let at_first = self.baseline.accounts.get(&role.account()).and_then(|it| it.roles.get(role));
        self.trust(role).map_or(&[], |it| later(it, at_first.map(|it| &it.trust)))
    }

    /// Versions of an association since the watch began.
    pub(super) fn associations_since(&self, subject: &Subject) -> &'a [Version<Association>] {
        let cluster = self.baseline.clusters.get(&subject.cluster);
        let at_first = cluster.and_then(|it| it.env.associations.get(&key_of(subject)));
        self.associations(subject).map_or(&[], |it| later(it, at_first))
    }

    /// Versions of a ServiceAccount since the watch began.
    pub(super) fn accounts_since(&self, subject: &Subject) -> &'a [Version<ServiceAccount>] {
        let of = |world: &'a World| world.clusters.get(&subject.cluster)?.env.service_accounts.get(&key_of(subject));
        of(self.world).map_or(&[], |it| later(it, of(self.baseline)))
    }

    /// Versions of the OIDC provider of a ServiceAccount's cluster since the watch began, in a role's account.
    pub(super) fn providers_since(
        &self,
        subject: &Subject,
        role: &RoleArn,
    ) -> &'a [Version<crate::inventory::Provider>] {
        let issuer = self.cluster(subject).and_then(|it| it.env.facts.issuer.as_ref());
        let of = |world: &'a World| world.accounts.get(&role.account())?.providers.get(issuer?);
        of(self.world).map_or(&[], |it| later(it, of(self.baseline)))
    }

    /// Whether others wrote one of these so lately that whoever sends something could not know of it.
    pub(super) fn is_news<T>(&self, versions: &[Version<T>]) -> bool {
        let lag = SignedDuration::try_from(self.world.lag.longest()).unwrap_or(SignedDuration::MAX);
        let news = |it: &Version<T>| {
            it.by == Author::Other && self.world.now.duration_since(it.at) <= lag.saturating_add(LATELY)
        };
        versions.iter().any(news)
    }

    /// Whether a trust policy lets EKS Auth in for a ServiceAccount.
    pub(super) fn grants_pod_identity(&self, trust: &Trust, subject: &Subject) -> bool {
        trust.allows_all(&pod_identity_requests(subject, true, self.world.now))
    }

    /// Whether a trust policy takes tokens of a ServiceAccount, with some audience.
    pub(super) fn takes_tokens(&self, trust: &Trust, subject: &Subject, role: &RoleArn) -> bool {
        self.cluster(subject).is_some_and(|it| self.view().some_token(&it.env, subject, role, trust))
    }

    /// Its pods that are not on their way out.
    pub(super) fn pods(&self, subject: &Subject) -> impl Iterator<Item = &'a Pod> {
        self.all_pods(subject).filter(|it| it.gone_at.is_none())
    }

    /// Its pods; one that is on its way out may still fetch credentials.
    pub(super) fn all_pods(&self, subject: &Subject) -> impl Iterator<Item = &'a Pod> {
        let (namespace, name) = key_of(subject);
        let cluster = self.cluster(subject);
        let owned = cluster.into_iter().flat_map(|it| it.workloads.values()).flat_map(|it: &Workload| &it.pods);
        let bare = cluster.into_iter().flat_map(|it| &it.bare);
        owned.chain(bare).filter(move |it| it.namespace == namespace && it.service_account == name)
    }

    pub(super) fn webhooks(&self, subject: &Subject) -> impl Iterator<Item = Observer> + use<> {
        let servers = self.cluster(subject).map_or(0, |it| it.env.api_servers);
        let cluster = subject.cluster.clone();
        (0..servers).map(move |server| Observer::Webhook(cluster.clone(), server))
    }

    /// The versions of a ServiceAccount that the webhook beside one API server may see.
    pub(super) fn accounts_seen(&self, subject: &Subject, webhook: &Observer) -> &'a [Version<ServiceAccount>] {
        let accounts = self.cluster(subject).and_then(|it| it.env.service_accounts.get(&key_of(subject)));
        accounts.map_or(&[], |it| it.may_see(self.world.now, self.world.lag.for_observer(webhook)))
    }

    /// The modes that a pod of this ServiceAccount may be admitted in now; `None` for a ServiceAccount
    /// that is not there.
    pub(super) fn modes(&self, subject: &Subject) -> Vec<Option<Mode>> {
        let mut modes = Vec::new();
        for webhook in self.webhooks(subject) {
            let lag = self.world.lag.for_observer(&webhook);
            let associated = self.associations(subject).map_or(&[][..], |it| it.may_see(self.world.now, lag));
            modes.extend(associated.iter().filter(|it| it.value.is_some()).map(|_| Some(Mode::PodIdentity)));
            if associated.iter().any(|it| it.value.is_none()) || associated.is_empty() {
                let mode = |role: &Option<String>| role.clone().map_or(Mode::None, Mode::Irsa);
                let accounts = self.accounts_seen(subject, &webhook);
                modes.extend(accounts.iter().map(|it| it.value.as_ref().map(|it| mode(&it.role_arn))));
            }
        }
        modes
    }

    /// The association was made so lately that somebody may not know of it.
    pub(super) fn is_fresh(&self, subject: &Subject) -> bool {
        let newest = self.associations(subject).and_then(|it| it.log().last());
        newest.is_some_and(|it| it.value.is_some() && self.world.now < it.at + self.world.lag.longest())
    }

    /// We deleted the association, and its unit is not said to be undone yet.
    pub(super) fn is_being_undone(&self, subject: &Subject) -> bool {
        let newest = self.associations(subject).and_then(|it| it.log().last());
        let deleted = newest.is_some_and(|it| it.value.is_none() && it.by == Author::Call);
        deleted && self.undone.get(subject) != Some(&versions_of_association(self.world, subject))
    }

    /// Somebody else took away what pods of a role by IRSA live by.
    pub(super) fn irsa_taken_by_others(&self, subject: &Subject, role: &RoleArn, audience: &str) -> bool {
        let Some(cluster) = self.cluster(subject) else { return true };
        let works = |it: &Trust| self.view().irsa(&cluster.env, subject, role, audience, it);
        let provides = |it: &crate::inventory::Provider| it.client_ids.iter().any(|id| id == audience);
        by_others(self.providers_since(subject, role)).any(|it| !it.is_some_and(provides))
            || by_others(self.trusts_since(role)).any(|it| !it.is_some_and(works))
    }

    /// Somebody else took away what pods of a role by Pod Identity live by.
    pub(super) fn pod_identity_taken_by_others(&self, subject: &Subject, role: &RoleArn) -> bool {
        by_others(self.associations_since(subject)).next().is_some()
            || by_others(self.trusts_since(role)).any(|it| !it.is_some_and(|it| self.grants_pod_identity(it, subject)))
    }

    /// Somebody else decides in which mode its pods are admitted.
    pub(super) fn is_steered_by_others(&self, subject: &Subject, had: &Had) -> bool {
        let same = |it: &ServiceAccount| {
            let audience = it.audience.as_deref().unwrap_or(AUDIENCE);
            it.role_arn.as_deref() == Some(had.role.as_str()) && had.audience.as_deref().is_none_or(|it| it == audience)
        };
        by_others(self.accounts_since(subject)).any(|it| !it.is_some_and(same))
            || by_others(self.associations_since(subject)).next().is_some()
    }
}
