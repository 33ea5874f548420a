//! Workloads: the facts that decide how they move, and their roll-outs.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::kinds::Facts;
use super::owners::{controller, is_made_by, owner_ref};
use super::pods::SKIP;
use super::{Plane, named, within};
use crate::inventory::{Strategy, Workload, WorkloadKind, WorkloadRef};
use crate::ports::{Answer, PortError, WorkloadNow};

/// The template annotation that holds our stamp.
pub(super) const STAMP: &str = "irsa-migrate/restart";

/// Runs `$work` with `$kind` as a type name for the kind at hand.
macro_rules! by_kind {
    ($value:expr, $kind:ident => $work:expr) => {
        match $value {
            WorkloadKind::Deployment => {
                type $kind = ::k8s_openapi::api::apps::v1::Deployment;
                $work
            }
            WorkloadKind::StatefulSet => {
                type $kind = ::k8s_openapi::api::apps::v1::StatefulSet;
                $work
            }
            WorkloadKind::DaemonSet => {
                type $kind = ::k8s_openapi::api::apps::v1::DaemonSet;
                $work
            }
            WorkloadKind::ReplicaSet => {
                type $kind = ::k8s_openapi::api::apps::v1::ReplicaSet;
                $work
            }
            WorkloadKind::ReplicationController => {
                type $kind = ::k8s_openapi::api::core::v1::ReplicationController;
                $work
            }
            WorkloadKind::Job => {
                type $kind = ::k8s_openapi::api::batch::v1::Job;
                $work
            }
            WorkloadKind::CronJob => {
                type $kind = ::k8s_openapi::api::batch::v1::CronJob;
                $work
            }
        }
    };
}

pub(super) use by_kind;

impl Plane {
    /// All workloads of one kind. ReplicaSets of a Deployment and Jobs of a CronJob are left out,
    /// and so are ReplicaSets that another controller keeps at zero as its history.
    pub(in crate::live) async fn workloads(
        &self,
        kind: WorkloadKind,
        namespace: Option<&str>,
    ) -> Answer<Vec<Workload>> {
        match kind {
            WorkloadKind::ReplicaSet => self.replica_sets(namespace).await,
            WorkloadKind::Deployment
            | WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::Job
            | WorkloadKind::CronJob => by_kind!(kind, K => self.listed::<K>(namespace).await),
        }
    }

    async fn listed<K: Facts>(&self, namespace: Option<&str>) -> Answer<Vec<Workload>> {
        let api: Api<K> = within(&self.client, namespace);
        let what = named(&format!("list {}", K::plural(&())), namespace);
        let keep = |it: K| (!is_made_by(it.meta(), WorkloadKind::CronJob)).then(|| workload(&it));
        let found = self.list(&what, &api, ListParams::default(), keep).await?;
        found.into_iter().collect()
    }

    /// A Deployment keeps some ten ReplicaSets, each with a whole template: only their metadata is
    /// read, and templates only where a namespace has one that no Deployment made.
    async fn replica_sets(&self, namespace: Option<&str>) -> Answer<Vec<Workload>> {
        let api: Api<ReplicaSet> = within(&self.client, namespace);
        let what = named("list replicasets", namespace);
        let keep = |it: kube::core::PartialObjectMeta<ReplicaSet>| {
            if is_made_by(&it.metadata, WorkloadKind::Deployment) { None } else { it.namespace() }
        };
        let with_own: BTreeSet<_> =
            self.list_metadata(&what, &api, ListParams::default(), keep).await?.into_iter().collect();
        let mut all = Vec::new();
        for namespace in with_own {
            let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &namespace);
            let what = named("list replicasets", Some(&namespace));
            let keep = |it: ReplicaSet| {
                let history =
                    controller(&it.metadata).is_some() && it.spec.as_ref().and_then(|it| it.replicas) == Some(0);
                (!history && !is_made_by(&it.metadata, WorkloadKind::Deployment)).then(|| workload(&it))
            };
            for it in self.list(&what, &api, ListParams::default(), keep).await? {
                all.push(it?);
            }
        }
        Ok(all)
    }

    /// One workload, with its roll-out.
    pub(in crate::live) async fn workload(&self, at: &WorkloadRef) -> Answer<Option<WorkloadNow>> {
        by_kind!(at.kind, K => self.object::<K>(at).await?.as_ref().map(now).transpose())
    }

    /// The template of one workload's pods, and the claims that a StatefulSet adds to it.
    pub(super) async fn template(&self, at: &WorkloadRef) -> Answer<Option<(PodTemplateSpec, Vec<String>)>> {
        if at.kind == WorkloadKind::StatefulSet {
            let Some(it) = self.object::<StatefulSet>(at).await? else { return Ok(None) };
            let claims = it.spec.iter().filter_map(|it| it.volume_claim_templates.as_ref()).flatten();
            let claims = claims.map(|it| it.name_any()).collect();
            return Ok(it.template().cloned().map(|it| (it, claims)));
        }
        by_kind!(at.kind, K => {
            let found = self.object::<K>(at).await?;
            Ok(found.and_then(|it| it.template().cloned()).map(|it| (it, Vec::new())))
        })
    }

    async fn object<K: Facts>(&self, at: &WorkloadRef) -> Answer<Option<K>> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &at.namespace);
        self.read(&format!("read {at}"), || api.get_opt(&at.name)).await
    }
}

pub(super) fn now<K: Facts>(it: &K) -> Answer<WorkloadNow> {
    Ok(WorkloadNow { workload: workload(it)?, rollout: it.rollout() })
}

pub(super) fn workload<K: Facts>(it: &K) -> Answer<Workload> {
    let meta: &ObjectMeta = it.meta();
    let at = WorkloadRef { kind: K::KIND, namespace: it.namespace().unwrap_or_default(), name: it.name_any() };
    let template = it.template();
    let annotation = |key: &str| template?.metadata.as_ref()?.annotations.as_ref()?.get(key).cloned();
    let spec = template.and_then(|it| it.spec.as_ref());
    let inits = spec.and_then(|it| it.init_containers.as_ref()).into_iter().flatten();
    let containers = inits.chain(spec.into_iter().flat_map(|it| &it.containers));
    let variables = containers.flat_map(|it| it.env.iter().flatten()).map(|it| it.name.clone());
    let aws_env: BTreeSet<String> = variables.filter(|it| it.starts_with("AWS_")).collect();
    let skipped = annotation("eks.amazonaws.com/skip-containers").unwrap_or_default();
    let labels = template.and_then(|it| it.metadata.as_ref()?.labels.as_ref());
    let mut workload = Workload {
        uid: meta.uid.clone().ok_or_else(|| PortError::Invalid(format!("{at} has no UID")))?,
        service_account: spec
            .and_then(|it| it.service_account_name.clone())
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        replicas: 1,
        strategy: Strategy::None,
        at_a_time: 1,
        paused: false,
        partition: 0,
        progress_deadline_seconds: None,
        controller: controller(meta).map(owner_ref),
        node_selector: spec.and_then(|it| it.node_selector.clone()).unwrap_or_default(),
        aws_env: aws_env.into_iter().collect(),
        skip_containers: skipped.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        skips_webhook: labels.is_some_and(|it| it.contains_key(SKIP)),
        stamp: annotation(STAMP),
        schedule: None,
        at,
    };
    it.tell(&mut workload);
    Ok(workload)
}
