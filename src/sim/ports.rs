//! The ports, on the simulated world.

use std::time::Duration;

use super::call::{Call, Reply};
use super::handle::Sim;
use crate::inventory::{
    Addon, AddonUse, Association, AssociationDetail, Caller, ClusterFacts, Node, Pod, Provider, Role, Seen,
    ServiceAccount, Workload, WorkloadKind, WorkloadRef,
};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};
use crate::ports::{
    Answer, Clock as _, Cluster, Eks, Iam, Lease, LeaseVersion, NewAssociation, PortError, Probe, Sight, Stamping,
    WorkloadNow,
};

/// How often a wait looks, in the world's time.
const LOOK: Duration = Duration::from_secs(1);

/// Sends a call and takes the one kind of reply that there is to it.
macro_rules! ask {
    ($sim:expr, $call:expr, $reply:ident) => {{
        let reply = $sim.send($call).await?;
        if let Reply::$reply(it) = reply { Ok(it) } else { Err(unexpected(&reply)) }
    }};
}

fn unexpected(reply: &Reply) -> PortError {
    PortError::Invalid(format!("the simulated world answered {reply:?}"))
}

impl Iam for Sim {
    async fn caller(&self) -> Answer<Caller> {
        ask!(self, Call::Caller, Caller)
    }

    async fn trust_quota(&self) -> Answer<u32> {
        ask!(self, Call::TrustQuota, Number)
    }

    async fn providers(&self) -> Answer<Vec<Provider>> {
        ask!(self, Call::Providers, Providers)
    }

    async fn roles(&self) -> Answer<Vec<Role>> {
        ask!(self, Call::Roles, Roles)
    }

    async fn role(&self, role: &RoleArn) -> Answer<Role> {
        ask!(self, Call::Role(role.clone()), Role)
    }

    async fn set_trust(&self, role: &RoleArn, document: &str) -> Answer<()> {
        ask!(self, Call::SetTrust { role: role.clone(), document: document.to_owned() }, Done)
    }
}

impl Eks for Sim {
    async fn cluster(&self, cluster: &ClusterArn) -> Answer<ClusterFacts> {
        ask!(self, Call::ClusterFacts(cluster.clone()), ClusterFacts)
    }

    async fn agent_addon(&self, cluster: &ClusterArn) -> Answer<Option<Addon>> {
        ask!(self, Call::AgentAddon(cluster.clone()), AgentAddon)
    }

    async fn addons(&self, cluster: &ClusterArn) -> Answer<Vec<AddonUse>> {
        let all: Answer<Vec<AddonUse>> = ask!(self, Call::Addons(cluster.clone()), Addons);
        let uses_a_role = |it: &AddonUse| it.role_arn.is_some() || !it.association_arns.is_empty();
        Ok(all?.into_iter().filter(uses_a_role).collect())
    }

    async fn associations(&self, cluster: &ClusterArn) -> Answer<Vec<Association>> {
        ask!(self, Call::Associations(cluster.clone()), Associations)
    }

    async fn association(&self, cluster: &ClusterArn, id: &str) -> Answer<AssociationDetail> {
        let found: Answer<Association> =
            ask!(self, Call::Association { cluster: cluster.clone(), id: id.to_owned() }, Association);
        match found?.detail {
            Some(Seen::Seen(detail)) => Ok(detail),
            Some(Seen::Unseen(why)) => Err(PortError::Denied(why)),
            None => Err(PortError::Invalid(format!("association {id} has no detail"))),
        }
    }

    async fn association_of(&self, subject: &Subject) -> Answer<Option<Association>> {
        ask!(self, Call::AssociationOf(subject.clone()), AssociationOf)
    }

    async fn create_association(&self, new: &NewAssociation) -> Answer<()> {
        ask!(self, Call::CreateAssociation(new.clone()), Done)
    }

    async fn delete_association(&self, cluster: &ClusterArn, id: &str) -> Answer<()> {
        ask!(self, Call::DeleteAssociation { cluster: cluster.clone(), id: id.to_owned() }, Done)
    }
}

impl Cluster for Sim {
    async fn own_issuer(&self, cluster: &ClusterArn) -> Answer<Issuer> {
        ask!(self, Call::OwnIssuer(cluster.clone()), Issuer)
    }

    async fn api_servers(&self, cluster: &ClusterArn) -> Answer<u32> {
        ask!(self, Call::ApiServers(cluster.clone()), Number)
    }

    async fn service_accounts(&self, cluster: &ClusterArn) -> Answer<Vec<ServiceAccount>> {
        ask!(self, Call::ServiceAccounts(cluster.clone()), ServiceAccounts)
    }

    async fn service_account(&self, subject: &Subject) -> Answer<Option<ServiceAccount>> {
        ask!(self, Call::ServiceAccount(subject.clone()), ServiceAccount)
    }

    async fn workloads(
        &self,
        cluster: &ClusterArn,
        kind: WorkloadKind,
        namespace: Option<&str>,
    ) -> Answer<Vec<Workload>> {
        let namespace = namespace.map(str::to_owned);
        ask!(self, Call::Workloads { cluster: cluster.clone(), kind, namespace }, Workloads)
    }

    async fn workload(&self, cluster: &ClusterArn, at: &WorkloadRef) -> Answer<Option<WorkloadNow>> {
        ask!(self, Call::Workload { cluster: cluster.clone(), at: at.clone() }, Workload)
    }

    async fn pods(&self, cluster: &ClusterArn) -> Answer<Vec<Pod>> {
        ask!(self, Call::Pods(cluster.clone()), Pods)
    }

    async fn pods_of(&self, subject: &Subject) -> Answer<Vec<Pod>> {
        ask!(self, Call::PodsOf(subject.clone()), Pods)
    }

    async fn changed(&self, seen: Sight<'_>, at_most: Duration) -> Answer<()> {
        let (subject, workload) = (seen.subject.clone(), seen.workload.map(|it| it.workload.at.clone()));
        let asked: Answer<()> = ask!(self, Call::Changed { subject, workload }, Done);
        asked?;
        let until = self.monotonic() + at_most;
        loop {
            let left = until.saturating_sub(self.monotonic());
            if left.is_zero() || self.world().is_changed(seen) {
                return Ok(());
            }
            self.sleep(left.min(LOOK)).await;
        }
    }

    async fn nodes(&self, cluster: &ClusterArn) -> Answer<Vec<Node>> {
        ask!(self, Call::Nodes(cluster.clone()), Nodes)
    }

    async fn probe(&self, subject: &Subject, template: Option<&WorkloadRef>) -> Answer<Probe> {
        ask!(self, Call::Probe { subject: subject.clone(), template: template.cloned() }, Probe)
    }

    async fn stamp(&self, cluster: &ClusterArn, change: &Stamping) -> Answer<()> {
        ask!(self, Call::Stamp { cluster: cluster.clone(), change: change.clone() }, Done)
    }

    async fn evict(&self, cluster: &ClusterArn, namespace: &str, pod: &str, uid: &str) -> Answer<()> {
        let (namespace, pod, uid) = (namespace.to_owned(), pod.to_owned(), uid.to_owned());
        ask!(self, Call::Evict { cluster: cluster.clone(), namespace, pod, uid }, Done)
    }

    async fn lease(&self, cluster: &ClusterArn, namespace: &str, name: &str) -> Answer<Option<Lease>> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        ask!(self, Call::Lease { cluster: cluster.clone(), namespace, name }, Lease)
    }

    async fn write_lease(
        &self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        lease: &Lease,
        found: Option<&LeaseVersion>,
    ) -> Answer<Lease> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let (lease, found) = (lease.clone(), found.cloned());
        ask!(self, Call::WriteLease { cluster: cluster.clone(), namespace, name, lease, found }, WrittenLease)
    }

    async fn delete_lease(
        &self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        found: &LeaseVersion,
    ) -> Answer<()> {
        let (namespace, name, found) = (namespace.to_owned(), name.to_owned(), found.clone());
        ask!(self, Call::DeleteLease { cluster: cluster.clone(), namespace, name, found }, Done)
    }
}
