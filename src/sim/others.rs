//! What other people do: edits, deploys, deletions. Each is in the history, in words.

use std::time::Duration;

use jiff::Timestamp;

use super::aws::Trust;
use super::cluster::{Cluster, Workload};
use super::versioned::{Author, Versioned};
use super::world::World;
use crate::inventory::{AgentOnNode, Association, AssociationDetail, Provider, Seen, ServiceAccount, WorkloadRef};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};

use super::history::Happening;

/// There is no such thing to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0} in this world")]
pub struct Absent(String);

impl Absent {
    pub(crate) fn of(what: &impl ToString) -> Self {
        Self(what.to_string())
    }
}

impl World {
    fn foreign(&mut self, what: String) {
        self.changes += 1;
        let at = self.now;
        self.history.all.push(Happening::Foreign { at, what });
    }

    fn cluster_mut(&mut self, arn: &ClusterArn) -> Result<&mut Cluster, Absent> {
        let cluster = self.clusters.get_mut(arn).ok_or_else(|| Absent(arn.to_string()))?;
        cluster.touch();
        Ok(cluster)
    }

    /// Somebody writes another trust policy, or (`None`) deletes the role.
    ///
    /// # Errors
    /// There is no such role.
    pub fn edit_trust(&mut self, role: &RoleArn, document: Option<&str>) -> Result<(), Absent> {
        let now = self.now;
        let found = self.account(&role.account()).roles.get_mut(role).ok_or_else(|| Absent(role.to_string()))?;
        found.trust.set(now, Author::Other, document.map(Trust::new));
        self.foreign(format!("trust policy of {role}: {}", document.unwrap_or("deleted with its role")));
        Ok(())
    }

    /// Somebody sets the client ids of an OIDC provider, or (`None`) deletes it.
    pub fn edit_provider(&mut self, account: &crate::model::AccountId, issuer: &Issuer, client_ids: Option<&[&str]>) {
        let now = self.now;
        let client_ids = client_ids.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        let provider = client_ids.map(|client_ids| Provider { issuer: issuer.clone(), client_ids });
        self.foreign(format!("OIDC provider {issuer}: {provider:?}"));
        let versions =
            self.account(account).providers.entry(issuer.clone()).or_insert_with(|| Versioned::since_ever(None));
        versions.set(now, Author::Other, provider);
    }

    /// Another tool makes an association, whatever was there, or (`None`) deletes it.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn edit_association(&mut self, subject: &Subject, role: Option<&RoleArn>) -> Result<(), Absent> {
        let now = self.now;
        let id = format!("a-{}", self.ids.suffix(17));
        let association = role.map(|role| Association {
            id,
            namespace: subject.namespace.clone(),
            service_account: subject.service_account.clone(),
            owner: None,
            detail: Some(Seen::Seen(AssociationDetail {
                role_arn: role.clone(),
                target_role_arn: None,
                disable_session_tags: false,
                has_policy: false,
                tags: std::collections::BTreeMap::new(),
                created_at: Some(now),
            })),
        });
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let associations = &mut self.cluster_mut(&subject.cluster)?.env.associations;
        associations.entry(key).or_insert_with(|| Versioned::since_ever(None)).set(now, Author::Other, association);
        self.foreign(format!("association of {subject}: {role:?}"));
        Ok(())
    }

    /// Somebody edits, makes or (`None`) deletes a ServiceAccount.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn edit_service_account(
        &mut self,
        subject: &Subject,
        edit: impl FnOnce(Option<ServiceAccount>) -> Option<ServiceAccount>,
    ) -> Result<(), Absent> {
        let now = self.now;
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let accounts = &mut self.cluster_mut(&subject.cluster)?.env.service_accounts;
        let versions = accounts.entry(key).or_insert_with(|| Versioned::since_ever(None));
        let after = edit(versions.now().cloned());
        let words = format!("ServiceAccount {subject}: {after:?}");
        versions.set(now, Author::Other, after);
        self.foreign(words);
        Ok(())
    }

    /// Somebody sets or removes the annotation `eks.amazonaws.com/role-arn`.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn annotate(&mut self, subject: &Subject, role: Option<&str>) -> Result<(), Absent> {
        let role_arn = role.map(str::to_owned);
        self.edit_service_account(subject, |it| Some(ServiceAccount { role_arn, ..it? }))
    }

    /// Somebody edits a workload: a deploy, a scale, a pause, a restart of their own.
    ///
    /// # Errors
    /// There is no such workload.
    pub fn edit_workload(
        &mut self,
        cluster: &ClusterArn,
        at: &WorkloadRef,
        edit: impl FnOnce(&mut Workload),
    ) -> Result<(), Absent> {
        let now = self.now;
        let workload = self.cluster_mut(cluster)?.workloads.get_mut(at).ok_or_else(|| Absent(at.to_string()))?;
        let template = workload.template.clone();
        edit(workload);
        let after = std::mem::replace(&mut workload.template, template);
        workload.deploy(after, now, Author::Other);
        workload.edited_at = Some(now);
        let words = format!("{at}: {} pods of {:?}", workload.replicas, workload.template);
        self.foreign(words);
        self.settle();
        Ok(())
    }

    /// Somebody deletes a workload and its pods.
    ///
    /// # Errors
    /// There is no such workload.
    pub fn delete_workload(&mut self, cluster: &ClusterArn, at: &WorkloadRef) -> Result<(), Absent> {
        self.cluster_mut(cluster)?.workloads.remove(at).ok_or_else(|| Absent(at.to_string()))?;
        self.foreign(format!("{at} deleted"));
        self.settle();
        Ok(())
    }

    /// A pod is gone at once: a node failed, or somebody deleted it.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn lose_pod(&mut self, cluster: &ClusterArn, namespace: &str, name: &str) -> Result<(), Absent> {
        let found = self.cluster_mut(cluster)?;
        let here = |namespace_of: &str, name_of: &str| namespace_of == namespace && name_of == name;
        let before = found.pods().count();
        found.bare.retain(|it| !here(&it.namespace, &it.name));
        for workload in found.workloads.values_mut() {
            workload.pods.retain(|it| !here(&it.namespace, &it.name));
        }
        if found.pods().count() == before {
            return Err(Absent(format!("pod {namespace}/{name}")));
        }
        self.foreign(format!("pod {namespace}/{name} lost"));
        self.settle();
        Ok(())
    }

    /// A quota on the pods of a namespace, or none.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn set_pod_quota(&mut self, cluster: &ClusterArn, namespace: &str, pods: Option<u32>) -> Result<(), Absent> {
        let quotas = &mut self.cluster_mut(cluster)?.env.quotas;
        match pods {
            Some(pods) => quotas.insert(namespace.to_owned(), pods),
            None => quotas.remove(namespace),
        };
        self.foreign(format!("quota of {namespace}: {pods:?} pods"));
        Ok(())
    }

    /// How many associations the cluster may have.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn set_association_quota(&mut self, cluster: &ClusterArn, quota: usize) -> Result<(), Absent> {
        self.cluster_mut(cluster)?.env.association_quota = quota;
        self.foreign(format!("association quota of {cluster}: {quota}"));
        Ok(())
    }

    /// Pod Security or another webhook refuses every new pod of a namespace with these words, or no longer.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn reject_pods(&mut self, cluster: &ClusterArn, namespace: &str, why: Option<&str>) -> Result<(), Absent> {
        let rejections = &mut self.cluster_mut(cluster)?.env.rejections;
        match why {
            Some(why) => rejections.insert(namespace.to_owned(), why.to_owned()),
            None => rejections.remove(namespace),
        };
        self.foreign(format!("new pods of {namespace}: {why:?}"));
        Ok(())
    }

    /// The EKS webhook does not answer: pods are admitted as they are.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn set_webhook_down(&mut self, cluster: &ClusterArn, down: bool) -> Result<(), Absent> {
        let now = self.now;
        let env = &mut self.cluster_mut(cluster)?.env;
        env.webhook_down = down;
        if down {
            env.webhook_went_down = Some(now);
        }
        self.foreign(format!("the webhook of {cluster} is {}", if down { "down" } else { "up" }));
        Ok(())
    }

    /// The agent on a node comes or goes.
    ///
    /// # Errors
    /// There is no such node.
    pub fn set_agent(&mut self, cluster: &ClusterArn, node: &str, agent: AgentOnNode) -> Result<(), Absent> {
        let nodes = &mut self.cluster_mut(cluster)?.env.nodes;
        nodes.get_mut(node).ok_or_else(|| Absent(format!("node {node}")))?.agent = Seen::Seen(agent);
        self.foreign(format!("agent on {node}: {agent:?}"));
        Ok(())
    }

    /// The machine's wall clock is set: it now differs from the truth by this much.
    pub fn set_clock_error(&mut self, error: jiff::SignedDuration) {
        self.clock_error = error;
        self.foreign(format!("the wall clock is {error} off"));
    }

    /// Somebody else's Lease, or (`None`) its end.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn edit_lease(
        &mut self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        holder: Option<(&str, Duration, Timestamp)>,
    ) -> Result<(), Absent> {
        let found = self.cluster_mut(cluster)?;
        let key = (namespace.to_owned(), name.to_owned());
        found.env.lease_version += 1;
        let version = crate::ports::LeaseVersion(found.env.lease_version.to_string());
        match holder {
            Some((holder, duration, renewed_at)) => {
                let duration_seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
                let lease = crate::ports::Lease { holder: holder.into(), duration_seconds, renewed_at, version };
                found.env.leases.insert(key, lease);
            }
            None => {
                found.env.leases.remove(&key);
            }
        }
        self.foreign(format!("lease {namespace}/{name}: {holder:?}"));
        Ok(())
    }
}
