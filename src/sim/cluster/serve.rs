//! What the API server says to calls.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::admit::Context;
use super::control::{NOTICED_AFTER, doom};
use super::objects::{BudgetRule, Pod, Template, Workload};
use super::{Budget, Cluster};
use crate::inventory::{self, ServiceAccount, Strategy, WorkloadKind, WorkloadRef};
use crate::model::Subject;
use crate::ports::{Answer, Lease, LeaseVersion, PortError, Probe, Rollout, Stamping, WorkloadNow};
use crate::sim::state::mode_name;
use crate::sim::versioned::Author;

impl Cluster {
    pub(crate) fn service_accounts(&self) -> Vec<ServiceAccount> {
        self.env.service_accounts.values().filter_map(|it| it.now().cloned()).collect()
    }

    pub(crate) fn service_account(&self, subject: &Subject) -> Option<ServiceAccount> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        self.env.service_accounts.get(&key)?.now().cloned()
    }

    pub(crate) fn list(&self, kind: WorkloadKind, namespace: Option<&str>) -> Vec<inventory::Workload> {
        let wanted = |it: &&Workload| it.at.kind == kind && namespace.is_none_or(|ns| it.at.namespace == ns);
        self.workloads.values().filter(wanted).map(Workload::facts).collect()
    }

    pub(crate) fn workload(&self, at: &WorkloadRef, now: Timestamp) -> Option<WorkloadNow> {
        let it = self.workloads.get(at)?;
        Some(WorkloadNow { workload: it.facts(), rollout: it.rollout(now) })
    }

    /// Pods that have not ended; all, or those of one ServiceAccount.
    pub(crate) fn list_pods(&self, of: Option<&Subject>) -> Vec<inventory::Pod> {
        let wanted =
            |pod: &Pod| of.is_none_or(|it| pod.namespace == it.namespace && pod.service_account == it.service_account);
        let shown = |(workload, pod): (Option<&Workload>, &Pod)| inventory::Pod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            service_account: pod.service_account.clone(),
            node: pod.node.clone(),
            mode: pod.mode.clone(),
            ready: pod.ready,
            terminating: pod.gone_at.is_some(),
            restarts: pod.restarts,
            created_at: pod.created_at,
            workload: workload.map(|it| it.at.clone()),
            controller: pod.controller.clone().or_else(|| workload.map(|it| it.controller_of(pod))),
            budgets: self.budgets_of(workload).map(|it| (it.name.clone(), self.allowed(it))).collect(),
            skips_webhook: pod.skips_webhook,
        };
        let mut pods: Vec<_> = self.pods().filter(|(_, pod)| wanted(pod)).map(shown).collect();
        pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        pods
    }

    fn budgets_of(&self, workload: Option<&Workload>) -> impl Iterator<Item = &Budget> {
        let at = workload.map(|it| &it.at);
        self.env.budgets.iter().filter(move |it| at.is_some_and(|at| it.covers.contains(at)))
    }

    /// Healthy pods under a budget, and how many there have to be.
    fn health(&self, budget: &Budget) -> (u32, u32) {
        let covered = || budget.covers.iter().filter_map(|at| self.workloads.get(at));
        let healthy = covered().flat_map(Workload::living).filter(|it| it.ready).count();
        let expected: u32 = covered().map(|it| it.replicas).sum();
        let needed = match budget.rule {
            BudgetRule::MinAvailable(pods) => pods,
            BudgetRule::MaxUnavailable(pods) => expected.saturating_sub(pods),
        };
        (u32::try_from(healthy).unwrap_or(u32::MAX), needed)
    }

    fn allowed(&self, budget: &Budget) -> u32 {
        let (healthy, needed) = self.health(budget);
        healthy.saturating_sub(needed)
    }

    /// A Pod create with `dryRun`, on a connection of its own: any API server may answer.
    pub(crate) fn probe(
        &mut self,
        subject: &Subject,
        template: Option<&WorkloadRef>,
        context: &mut Context<'_>,
    ) -> Answer<Probe> {
        let template = match template {
            Some(at) => {
                let it = self.workloads.get(at).ok_or_else(|| PortError::NotFound(format!("no {at}")))?;
                let named = &it.template.service_account;
                if *named != subject.service_account || at.namespace != subject.namespace {
                    return Err(PortError::Invalid(format!("{at} is of serviceaccount {named}")));
                }
                it.template.clone()
            }
            None => Template { service_account: subject.service_account.clone(), ..Template::default() },
        };
        context.count_pods(self.pods().map(|(_, pod)| pod));
        Ok(match context.admit(&self.env, &subject.namespace, &template) {
            Ok((mode, _)) => Probe::Admitted(mode),
            Err(why) => Probe::Rejected(why),
        })
    }

    /// A patch of one template annotation, under a test of its old value and of the UID.
    pub(crate) fn stamp(&mut self, change: &Stamping, now: Timestamp) -> Answer<()> {
        let at = &change.workload;
        if !rolls(at.kind) {
            return Err(PortError::Invalid(format!("{at}: a change of its template replaces no pod")));
        }
        let it = self.workloads.get_mut(at).ok_or_else(|| PortError::NotFound(format!("no {at}")))?;
        if it.uid != change.uid {
            return Err(PortError::Conflict(format!("{at} is another object by now")));
        }
        if it.template.stamp != change.before {
            return Err(PortError::Conflict(format!("{at} has the stamp {:?}", it.template.stamp)));
        }
        let mut template = it.template.clone();
        template.stamp.clone_from(&change.after);
        it.deploy(template, now, Author::Call);
        self.touch();
        Ok(())
    }

    /// The Eviction API. A pod that is not Ready may go only while its budget is kept
    /// (`unhealthyPodEvictionPolicy: IfHealthyBudget`, the default).
    pub(crate) fn evict(&mut self, namespace: &str, name: &str, uid: &str, now: Timestamp) -> Answer<()> {
        let named = |pod: &Pod| pod.namespace == namespace && pod.name == name;
        let Some((workload, pod)) = self.pods().find(|(_, pod)| named(pod)) else {
            return Err(PortError::NotFound(format!("pods \"{name}\" not found")));
        };
        if pod.uid != uid {
            // Another pod has the name by now.
            return Err(PortError::NotFound(format!("the pod {namespace}/{name} has the UID {}", pod.uid)));
        }
        let budgets: Vec<&Budget> = self.budgets_of(workload).collect();
        if let [_, _, ..] = budgets[..] {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(PortError::Invalid(why.into()));
        }
        // Neither a pending pod nor one that is going counts against a budget.
        if let Some(budget) = budgets.first().filter(|_| pod.gone_at.is_none() && pod.node.is_some()) {
            let (healthy, needed) = self.health(budget);
            let forbidden = if pod.ready { healthy <= needed } else { healthy < needed };
            if forbidden {
                let budget = &budget.name;
                return Err(PortError::NotNow(format!(
                    "Cannot evict pod as it would violate the pod's disruption budget {budget}."
                )));
            }
        }
        let owned = self.workloads.values_mut().flat_map(|it| &mut it.pods);
        if let Some(pod) = owned.chain(&mut self.bare).find(|pod| named(pod) && pod.gone_at.is_none()) {
            doom(pod, now);
        }
        self.touch();
        Ok(())
    }

    pub(crate) fn lease(&self, namespace: &str, name: &str) -> Option<Lease> {
        self.env.leases.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn write_lease(
        &mut self,
        namespace: &str,
        name: &str,
        lease: &Lease,
        found: Option<&LeaseVersion>,
    ) -> Answer<Lease> {
        let key = (namespace.to_owned(), name.to_owned());
        match (self.env.leases.get(&key), found) {
            (Some(_), None) => return Err(PortError::Conflict(format!("lease {name} already exists"))),
            // What was found is gone: somebody was faster.
            (None, Some(_)) => return Err(PortError::Conflict(format!("no lease {name}"))),
            (Some(there), Some(found)) if there.version != *found => {
                return Err(PortError::Conflict(format!("lease {name} has been modified")));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.env.lease_version += 1;
        let lease = Lease { version: LeaseVersion(self.env.lease_version.to_string()), ..lease.clone() };
        self.env.leases.insert(key, lease.clone());
        Ok(lease)
    }

    pub(crate) fn delete_lease(&mut self, namespace: &str, name: &str, found: &LeaseVersion) -> Answer<()> {
        let key = (namespace.to_owned(), name.to_owned());
        match self.env.leases.get(&key) {
            None => return Err(PortError::NotFound(format!("no lease {name}"))),
            Some(there) if there.version != *found => {
                return Err(PortError::Conflict(format!("lease {name} has been modified")));
            }
            Some(_) => self.env.leases.remove(&key),
        };
        Ok(())
    }

    /// How many pods of a workload are in each mode; those on their way out do not count.
    pub(crate) fn modes(&self, at: &WorkloadRef) -> BTreeMap<String, usize> {
        let mut modes = BTreeMap::new();
        for pod in self.workloads.get(at).into_iter().flat_map(Workload::living) {
            *modes.entry(mode_name(&pod.mode)).or_default() += 1;
        }
        modes
    }
}

impl Workload {
    /// Puts a template in place of the one there. The controller notices a moment later.
    pub(crate) fn deploy(&mut self, template: Template, now: Timestamp, by: Author) {
        if self.template.stamp != template.stamp {
            self.stamps.set(now, by, template.stamp.clone());
        }
        if self.template != template {
            self.template = template;
            self.observed_at = now + NOTICED_AFTER;
            self.progress_at = now;
        }
    }

    /// How far it is, as `kubectl rollout status` judges it.
    fn rollout(&self, now: Timestamp) -> Rollout {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let alive = number(self.living().count());
        let ready = number(self.living().filter(|it| it.ready).count());
        let updated = match self.newest() {
            _ if !rolls(self.at.kind) => alive,
            Some(newest) => number(self.living_of(newest)),
            None => 0,
        };
        let observed = self.observed_at <= now;
        // Pods below a StatefulSet's partition stay as they are; the others make it complete.
        let below = if self.strategy == Strategy::RollingUpdate { self.partition } else { 0 };
        let rolled = updated >= self.replicas.saturating_sub(below);
        let complete = observed && rolled && alive == self.replicas && ready == self.replicas;
        let deadline = self.progress_deadline_seconds.map(|it| jiff::SignedDuration::from_secs(it.into()));
        let stuck = self.strategy != Strategy::None && !complete && !self.paused;
        let failed = stuck && deadline.is_some_and(|it| now.duration_since(self.progress_at) > it);
        Rollout { wanted: self.replicas, updated, ready, complete, failed }
    }
}

/// Whether a new template replaces pods: by the controller itself, or once they are deleted.
fn rolls(kind: WorkloadKind) -> bool {
    matches!(kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet)
}
