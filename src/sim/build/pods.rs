//! Workloads, their pods, and the budgets over them.

use super::Builder;
use crate::inventory::{WorkloadKind, WorkloadRef};
use crate::sim::cluster::{Budget, BudgetRule, Template, Workload};

impl Builder {
    /// A workload of so many pods.
    #[must_use]
    pub fn workload(self, kind: WorkloadKind, namespace: &str, name: &str, service_account: &str, pods: u32) -> Self {
        self.workload_with(kind, namespace, name, service_account, pods, |_| {})
    }

    /// A workload of so many pods, as `edit` leaves it.
    #[must_use]
    pub fn workload_with(
        mut self,
        kind: WorkloadKind,
        namespace: &str,
        name: &str,
        service_account: &str,
        pods: u32,
        edit: impl FnOnce(&mut Workload),
    ) -> Self {
        let at = WorkloadRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        let template = Template {
            service_account: service_account.to_owned(),
            image: format!("registry.example.com/{name}:1.0.0"),
            ..Template::default()
        };
        let mut it = Workload::new(at.clone(), self.world.ids.uid(), template, pods, self.world.now);
        edit(&mut it);
        self.here().workloads.insert(at, it);
        self
    }

    /// A Deployment.
    #[must_use]
    pub fn deployment(self, namespace: &str, name: &str, service_account: &str, pods: u32) -> Self {
        self.workload(WorkloadKind::Deployment, namespace, name, service_account, pods)
    }

    /// A pod that nobody owns.
    #[must_use]
    pub fn bare_pod(mut self, namespace: &str, name: &str, service_account: &str) -> Self {
        let at = WorkloadRef { kind: WorkloadKind::ReplicaSet, namespace: namespace.into(), name: name.into() };
        self = self.workload(WorkloadKind::ReplicaSet, namespace, name, service_account, 1);
        self.world.settle();
        // It came to be like any pod; then its owner is taken away.
        let cluster = self.here();
        for mut pod in cluster.workloads.remove(&at).into_iter().flat_map(|it| it.pods) {
            name.clone_into(&mut pod.name);
            cluster.bare.push(pod);
        }
        self
    }

    /// A PodDisruptionBudget over some workloads of a namespace.
    #[must_use]
    pub fn budget(mut self, namespace: &str, name: &str, rule: BudgetRule, covers: &[(WorkloadKind, &str)]) -> Self {
        let at = |(kind, name): &(WorkloadKind, &str)| WorkloadRef {
            kind: *kind,
            namespace: namespace.to_owned(),
            name: (*name).to_owned(),
        };
        let covers = covers.iter().map(at).collect();
        self.here().env.budgets.push(Budget { namespace: namespace.to_owned(), name: name.to_owned(), covers, rule });
        self
    }
}
