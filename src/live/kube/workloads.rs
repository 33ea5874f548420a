//! Workloads: the facts that decide how they move, and their roll-outs.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::owners::{controller, is_made_by, owner_ref};
use super::pods::SKIP;
use super::{Plane, named, within};
use crate::inventory::{Strategy, Workload, WorkloadKind, WorkloadRef};
use crate::ports::{Answer, PortError, Rollout, WorkloadNow};

/// The template annotation that holds our stamp.
pub(super) const STAMP: &str = "irsa-migrate/restart";

/// What each of the seven kinds tells of itself.
pub(super) trait Facts:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug
{
    const KIND: WorkloadKind;
    /// The template of its pods.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// What only this kind has.
    fn tell(&self, workload: &mut Workload);
    fn rollout(&self) -> Rollout;
}

/// Runs `$work` with `$kind` as a type name for the kind at hand.
macro_rules! by_kind {
    ($value:expr, $kind:ident => $work:expr) => {
        match $value {
            WorkloadKind::Deployment => {
                type $kind = Deployment;
                $work
            }
            WorkloadKind::StatefulSet => {
                type $kind = StatefulSet;
                $work
            }
            WorkloadKind::DaemonSet => {
                type $kind = DaemonSet;
                $work
            }
            WorkloadKind::ReplicaSet => {
                type $kind = ReplicaSet;
                $work
            }
            WorkloadKind::ReplicationController => {
                type $kind = ReplicationController;
                $work
            }
            WorkloadKind::Job => {
                type $kind = Job;
                $work
            }
            WorkloadKind::CronJob => {
                type $kind = CronJob;
                $work
            }
        }
    };
}

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
        by_kind!(at.kind, K => match self.object::<K>(at).await? {
            Some(it) => Ok(Some(WorkloadNow { workload: workload(&it)?, rollout: it.rollout() })),
            None => Ok(None),
        })
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

fn workload<K: Facts>(it: &K) -> Answer<Workload> {
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

fn count(it: Option<i32>) -> u32 {
    it.and_then(|it| u32::try_from(it).ok()).unwrap_or(0)
}

/// A number of pods, or a share of `of`; shares are rounded up or down as the controller does.
fn share(it: Option<&IntOrString>, default: &IntOrString, of: u32, up: bool) -> u32 {
    match it.unwrap_or(default) {
        IntOrString::Int(it) => u32::try_from(*it).unwrap_or(0),
        IntOrString::String(it) => {
            let percent: u64 = it.trim_end_matches('%').parse().unwrap_or(0);
            let product = u64::from(of) * percent;
            let share = if up { product.div_ceil(100) } else { product / 100 };
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    }
}

impl Facts for Deployment {
    const KIND: WorkloadKind = WorkloadKind::Deployment;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|it| &it.template)
    }

    fn tell(&self, workload: &mut Workload) {
        let Some(spec) = &self.spec else { return };
        workload.replicas = spec.replicas.map_or(1, |it| count(Some(it)));
        workload.paused = spec.paused.unwrap_or(false);
        workload.progress_deadline_seconds = spec.progress_deadline_seconds.map(|it| count(Some(it)));
        let strategy = spec.strategy.as_ref();
        if strategy.and_then(|it| it.type_.as_deref()) == Some("Recreate") {
            workload.strategy = Strategy::Recreate;
            workload.at_a_time = workload.replicas.max(1);
            return;
        }
        workload.strategy = Strategy::RollingUpdate;
        let rolling = strategy.and_then(|it| it.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let away = share(rolling.and_then(|it| it.max_unavailable.as_ref()), &quarter, workload.replicas, false);
        let more = share(rolling.and_then(|it| it.max_surge.as_ref()), &quarter, workload.replicas, true);
        workload.at_a_time = away.saturating_add(more).max(1);
    }

    /// As `kubectl rollout status` judges it.
    fn rollout(&self) -> Rollout {
        let wanted = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
        let status = self.status.as_ref();
        let seen = status.and_then(|it| it.observed_generation) >= self.metadata.generation;
        let updated = count(status.and_then(|it| it.updated_replicas));
        let all = count(status.and_then(|it| it.replicas));
        let available = count(status.and_then(|it| it.available_replicas));
        let conditions = status.and_then(|it| it.conditions.as_ref()).into_iter().flatten();
        let gave_up = conditions
            .filter(|it| it.type_ == "Progressing")
            .any(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        Rollout {
            wanted,
            updated,
            ready: count(status.and_then(|it| it.ready_replicas)),
            complete: seen && !gave_up && updated >= wanted && all <= updated && available >= updated,
            failed: seen && gave_up,
        }
    }
}

impl Facts for StatefulSet {
    const KIND: WorkloadKind = WorkloadKind::StatefulSet;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|it| &it.template)
    }

    fn tell(&self, workload: &mut Workload) {
        let Some(spec) = &self.spec else { return };
        workload.replicas = spec.replicas.map_or(1, |it| count(Some(it)));
        let update = spec.update_strategy.as_ref();
        if update.and_then(|it| it.type_.as_deref()) == Some("OnDelete") {
            workload.strategy = Strategy::OnDelete;
            return;
        }
        workload.strategy = Strategy::RollingUpdate;
        let rolling = update.and_then(|it| it.rolling_update.as_ref());
        workload.partition = count(rolling.and_then(|it| it.partition));
        let one = IntOrString::Int(1);
        let away = share(rolling.and_then(|it| it.max_unavailable.as_ref()), &one, workload.replicas, true);
        workload.at_a_time = away.max(1);
    }

    /// As `kubectl rollout status` judges it, and none of an older revision is left. With a partition,
    /// or with pods that only deletion replaces, the revision never becomes the current one.
    fn rollout(&self) -> Rollout {
        let wanted = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
        let update = self.spec.as_ref().and_then(|it| it.update_strategy.as_ref());
        let on_delete = update.and_then(|it| it.type_.as_deref()) == Some("OnDelete");
        let partition = count(update.and_then(|it| it.rolling_update.as_ref()?.partition));
        let status = self.status.as_ref();
        let seen = status.is_some_and(|it| it.observed_generation >= self.metadata.generation);
        let all = status.map_or(0, |it| count(Some(it.replicas)));
        let updated = count(status.and_then(|it| it.updated_replicas));
        let ready = count(status.and_then(|it| it.ready_replicas));
        let available = count(status.and_then(|it| it.available_replicas));
        let rolled = if on_delete || partition > 0 {
            updated >= wanted.saturating_sub(partition)
        } else {
            updated >= wanted && status.is_some_and(|it| it.current_revision == it.update_revision)
        };
        let there = all == wanted && ready >= wanted && available >= wanted;
        Rollout { wanted, updated, ready, complete: seen && rolled && there, failed: false }
    }
}

impl Facts for DaemonSet {
    const KIND: WorkloadKind = WorkloadKind::DaemonSet;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|it| &it.template)
    }

    fn tell(&self, workload: &mut Workload) {
        workload.replicas = self.status.as_ref().map_or(0, |it| count(Some(it.desired_number_scheduled)));
        let update = self.spec.as_ref().and_then(|it| it.update_strategy.as_ref());
        if update.and_then(|it| it.type_.as_deref()) == Some("OnDelete") {
            workload.strategy = Strategy::OnDelete;
            return;
        }
        workload.strategy = Strategy::RollingUpdate;
        let rolling = update.and_then(|it| it.rolling_update.as_ref());
        let (one, none) = (IntOrString::Int(1), IntOrString::Int(0));
        let away = share(rolling.and_then(|it| it.max_unavailable.as_ref()), &one, workload.replicas, true);
        let more = share(rolling.and_then(|it| it.max_surge.as_ref()), &none, workload.replicas, true);
        workload.at_a_time = away.saturating_add(more).max(1);
    }

    /// As `kubectl rollout status` judges it.
    fn rollout(&self) -> Rollout {
        let status = self.status.as_ref();
        let seen = status.is_some_and(|it| it.observed_generation >= self.metadata.generation);
        let wanted = status.map_or(0, |it| count(Some(it.desired_number_scheduled)));
        let updated = count(status.and_then(|it| it.updated_number_scheduled));
        let available = count(status.and_then(|it| it.number_available));
        Rollout {
            wanted,
            updated,
            ready: status.map_or(0, |it| count(Some(it.number_ready))),
            complete: seen && updated >= wanted && available >= wanted,
            failed: false,
        }
    }
}

/// Kinds that replace no pod: complete once as many as wanted are there and Ready.
fn steady(seen: bool, wanted: u32, all: u32, ready: u32, available: u32) -> Rollout {
    Rollout { wanted, updated: all, ready, complete: seen && all == wanted && available >= wanted, failed: false }
}

impl Facts for ReplicaSet {
    const KIND: WorkloadKind = WorkloadKind::ReplicaSet;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn tell(&self, workload: &mut Workload) {
        workload.replicas = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
    }

    fn rollout(&self) -> Rollout {
        let wanted = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
        let Some(it) = &self.status else { return steady(false, wanted, 0, 0, 0) };
        let seen = it.observed_generation >= self.metadata.generation;
        steady(seen, wanted, count(Some(it.replicas)), count(it.ready_replicas), count(it.available_replicas))
    }
}

impl Facts for ReplicationController {
    const KIND: WorkloadKind = WorkloadKind::ReplicationController;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn tell(&self, workload: &mut Workload) {
        workload.replicas = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
    }

    fn rollout(&self) -> Rollout {
        let wanted = self.spec.as_ref().and_then(|it| it.replicas).map_or(1, |it| count(Some(it)));
        let Some(it) = &self.status else { return steady(false, wanted, 0, 0, 0) };
        let seen = it.observed_generation >= self.metadata.generation;
        steady(seen, wanted, count(Some(it.replicas)), count(it.ready_replicas), count(it.available_replicas))
    }
}

impl Facts for Job {
    const KIND: WorkloadKind = WorkloadKind::Job;

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|it| &it.template)
    }

    /// A Job that has ended wants no pods any more.
    fn tell(&self, workload: &mut Workload) {
        let conditions = self.status.as_ref().and_then(|it| it.conditions.as_ref()).into_iter().flatten();
        let mut ends = conditions.filter(|it| it.type_ == "Complete" || it.type_ == "Failed");
        let ended = ends.any(|it| it.status == "True");
        let Some(spec) = &self.spec else { return };
        workload.paused = spec.suspend.unwrap_or(false);
        workload.replicas = if ended { 0 } else { spec.parallelism.map_or(1, |it| count(Some(it))) };
    }

    /// Nothing of a Job is ever rolled.
    fn rollout(&self) -> Rollout {
        let active = self.status.as_ref().map_or(0, |it| count(it.active));
        let ready = self.status.as_ref().map_or(0, |it| count(it.ready));
        Rollout { wanted: active, updated: active, ready, complete: true, failed: false }
    }
}

impl Facts for CronJob {
    const KIND: WorkloadKind = WorkloadKind::CronJob;

    fn template(&self) -> Option<&PodTemplateSpec> {
        Some(&self.spec.as_ref()?.job_template.spec.as_ref()?.template)
    }

    fn tell(&self, workload: &mut Workload) {
        let Some(spec) = &self.spec else { return };
        workload.paused = spec.suspend.unwrap_or(false);
        workload.schedule = Some(spec.schedule.clone());
        let parallelism = spec.job_template.spec.as_ref().and_then(|it| it.parallelism);
        workload.replicas = parallelism.map_or(1, |it| count(Some(it)));
    }

    /// Nothing of a CronJob is ever rolled: its next Job moves.
    fn rollout(&self) -> Rollout {
        Rollout { wanted: 0, updated: 0, ready: 0, complete: true, failed: false }
    }
}
