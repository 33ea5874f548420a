//! Looks at the truth, and at what a webhook may see: no calls, and in no history.

use jiff::Timestamp;

use super::cluster::{Cluster, Pod};
use super::versioned::Observer;
use super::world::World;
use crate::inventory::{Association, Mode, Provider, ServiceAccount};
use crate::model::{AccountId, ClusterArn, Issuer, RoleArn, Subject};
use crate::ports::{Sight, WorkloadNow};

impl World {
    /// The cluster of this name.
    #[must_use]
    pub fn cluster_named(&self, account: &AccountId, region: &str, name: &str) -> Option<ClusterArn> {
        let same = |it: &&ClusterArn| it.account() == *account && it.region() == region && it.name() == name;
        self.clusters.keys().find(same).cloned()
    }

    /// Whether anything of what somebody waits for is no longer as it was seen.
    pub(crate) fn is_changed(&self, seen: Sight<'_>) -> bool {
        let Some(cluster) = self.clusters.get(&seen.subject.cluster) else { return true };
        let pods = cluster.list_pods(Some(seen.subject));
        let now = Sight { pods: &pods, ..seen };
        let same = |it: &WorkloadNow| cluster.workload(&it.workload.at, self.now).as_ref() == Some(it);
        now.pods() != seen.pods() || !seen.workload.is_none_or(same)
    }

    /// The role of this name, wherever its path; also one that is deleted.
    #[must_use]
    pub fn role_named(&self, account: &AccountId, name: &str) -> Option<RoleArn> {
        let roles = &self.accounts.get(account)?.roles;
        roles.keys().find(|it| it.name().eq_ignore_ascii_case(name)).cloned()
    }

    /// A role's trust policy, as it truly stands.
    #[must_use]
    pub fn trust_now(&self, role: &RoleArn) -> Option<&str> {
        self.accounts.get(&role.account())?.roles.get(role)?.trust.now().map(|it| it.text.as_str())
    }

    /// The OIDC provider of an issuer, as it truly stands.
    #[must_use]
    pub fn provider_now(&self, account: &AccountId, issuer: &Issuer) -> Option<&Provider> {
        self.accounts.get(account)?.providers.get(issuer)?.now()
    }

    /// The association of a ServiceAccount, as it truly stands.
    #[must_use]
    pub fn association_now(&self, subject: &Subject) -> Option<&Association> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        self.clusters.get(&subject.cluster)?.env.associations.get(&key)?.now()
    }

    /// The association of this id, as it truly stands.
    #[must_use]
    pub fn association_by_id(&self, cluster: &ClusterArn, id: &str) -> Option<&Association> {
        let all = &self.clusters.get(cluster)?.env.associations;
        all.values().filter_map(|it| it.now()).find(|it| it.id == id)
    }

    /// A ServiceAccount, as it truly stands.
    #[must_use]
    pub fn service_account_now(&self, subject: &Subject) -> Option<&ServiceAccount> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        self.clusters.get(&subject.cluster)?.env.service_accounts.get(&key)?.now()
    }

    /// How many pods of a ServiceAccount are on Pod Identity; those on their way out do not count.
    #[must_use]
    pub fn pods_on_pod_identity(&self, subject: &Subject) -> usize {
        let of_it = |it: &Pod| {
            it.namespace == subject.namespace
                && it.service_account == subject.service_account
                && it.mode == Mode::PodIdentity
                && it.gone_at.is_none()
        };
        let pods = self.clusters.get(&subject.cluster).into_iter().flat_map(Cluster::pods);
        pods.filter(|(_, it)| of_it(it)).count()
    }

    /// Since when a ServiceAccount had no association any more, at some moment; `None` if it had one, or never had.
    pub(crate) fn unassociated_since(&self, subject: &Subject, at: Timestamp) -> Option<Timestamp> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let versions = self.clusters.get(&subject.cluster)?.env.associations.get(&key)?;
        let newest = versions.log().iter().rfind(|it| it.at <= at)?;
        newest.value.is_none().then_some(newest.at)
    }

    /// What the webhook beside one API server (counted from 0) is told of a ServiceAccount's
    /// association just now: one of the versions that it may see.
    pub fn webhook_sees(&mut self, server: u32, subject: &Subject) -> Option<Association> {
        let Self { clusters, lag, dice, now, .. } = self;
        let observer = Observer::Webhook(subject.cluster.clone(), server);
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let versions = clusters.get(&subject.cluster)?.env.associations.get(&key)?;
        dice.see(versions, *now, lag.for_observer(&observer)).cloned()
    }
}
