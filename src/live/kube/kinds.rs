//! What each kind of workload tells of itself.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use serde::de::DeserializeOwned;

use crate::inventory::{Strategy, Workload, WorkloadKind};
use crate::ports::Rollout;

/// What each of the seven kinds tells of itself.
pub(super) trait Facts:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug
{
    /// Which of the seven it is.
    const KIND: WorkloadKind;
    /// The template of its pods.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// What only this kind has.
    fn tell(&self, workload: &mut Workload);
    /// How far its roll-out is.
    fn rollout(&self) -> Rollout;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::workloads::workload;
    use super::*;

    fn read<K: Facts>(spec: &Value, status: &Value) -> K {
        let metadata = json!({"name": "w", "namespace": "web", "uid": "u", "generation": 3});
        let template = json!({"spec": {"containers": []}});
        let mut whole = json!({"metadata": metadata, "spec": {"template": template, "selector": {}, "schedule": "",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}, "serviceName": "", "disruptionsAllowed": 0}});
        for (part, more) in [("spec", spec), ("status", status)] {
            for (key, value) in more.as_object().unwrap() {
                whole[part][key] = value.clone();
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn told<K: Facts>(spec: &Value) -> Workload {
        workload(&read::<K>(spec, &json!({}))).unwrap()
    }

    /// Whether it is complete, and whether it has failed.
    fn rolled<K: Facts>(spec: &Value, status: &Value) -> (bool, bool) {
        let rollout = read::<K>(spec, status).rollout();
        (rollout.complete, rollout.failed)
    }

    fn with(status: &Value, key: &str, value: impl Into<Value>) -> Value {
        let mut status = status.clone();
        status[key] = value.into();
        status
    }

    #[test]
    fn how_many_a_deployment_takes_at_a_time() {
        let at_a_time = |replicas: u32, strategy: Value| {
            told::<Deployment>(&json!({"replicas": replicas, "strategy": strategy})).at_a_time
        };
        let rolling = |away: Value, more: Value| json!({"rollingUpdate": {"maxUnavailable": away, "maxSurge": more}});
        assert_eq!(at_a_time(10, json!({})), 2 + 3, "a quarter, rounded down and up");
        assert_eq!(at_a_time(1, json!({})), 1);
        assert_eq!(at_a_time(10, rolling(json!(0), json!(1))), 1);
        assert_eq!(at_a_time(10, rolling(json!("50%"), json!("100%"))), 15);
        assert_eq!(at_a_time(10, rolling(json!("1%"), json!(0))), 1, "never none");
        assert_eq!(at_a_time(10, json!({"type": "Recreate"})), 10);
        assert_eq!(told::<Deployment>(&json!({"strategy": {"type": "Recreate"}})).strategy, Strategy::Recreate);
        assert_eq!(told::<Deployment>(&json!({"replicas": 0})).replicas, 0);
        assert_eq!(told::<Deployment>(&json!({})).replicas, 1);
    }

    #[test]
    fn a_deployments_rollout() {
        let spec = json!({"replicas": 3});
        let done = json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "readyReplicas": 3});
        let rolled = |status: &Value| rolled::<Deployment>(&spec, status);
        assert_eq!(rolled(&done), (true, false));
        assert_eq!(rolled(&json!({})), (false, false));
        assert_eq!(rolled(&with(&done, "observedGeneration", 2)), (false, false), "not seen yet");
        assert_eq!(rolled(&with(&done, "updatedReplicas", 2)), (false, false));
        assert_eq!(rolled(&with(&done, "replicas", 4)), (false, false), "an old pod is left");
        assert_eq!(rolled(&with(&done, "availableReplicas", 2)), (false, false));
        let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        assert_eq!(rolled(&with(&done, "conditions", late.clone())), (false, true));
        let earlier = with(&with(&done, "conditions", late), "observedGeneration", 2);
        assert_eq!(rolled(&earlier), (false, false), "of the template before");
    }

    #[test]
    fn a_stateful_sets_rollout() {
        let spec = json!({"replicas": 3});
        let done = json!({"observedGeneration": 3, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "updatedReplicas": 3, "currentRevision": "b", "updateRevision": "b"});
        assert_eq!(rolled::<StatefulSet>(&spec, &done), (true, false));
        for (key, value) in [
            ("observedGeneration", json!(2)),
            ("readyReplicas", json!(2)),
            ("availableReplicas", json!(2)),
            ("updatedReplicas", json!(2)),
            ("replicas", json!(2)),
            ("currentRevision", json!("a")),
        ] {
            assert_eq!(rolled::<StatefulSet>(&spec, &with(&done, key, value)), (false, false), "{key}");
        }
        // With a partition the revision stays, and only the pods above it move.
        let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
        let above = with(&with(&done, "updatedReplicas", 1), "currentRevision", "a");
        assert_eq!(rolled::<StatefulSet>(&partition, &above), (true, false));
        assert_eq!(rolled::<StatefulSet>(&partition, &with(&above, "updatedReplicas", 0)), (false, false));
        let by_hand = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
        assert_eq!(rolled::<StatefulSet>(&by_hand, &with(&done, "currentRevision", "a")), (true, false));
        assert_eq!(rolled::<StatefulSet>(&by_hand, &above), (false, false));
    }

    #[test]
    fn a_daemon_sets_rollout() {
        let done = json!({"observedGeneration": 3, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
            "numberMisscheduled": 0, "numberReady": 2, "updatedNumberScheduled": 2, "numberAvailable": 2});
        let spec = json!({});
        assert_eq!(rolled::<DaemonSet>(&spec, &done), (true, false));
        for (key, value) in [("observedGeneration", 2), ("updatedNumberScheduled", 1), ("numberAvailable", 1)] {
            assert_eq!(rolled::<DaemonSet>(&spec, &with(&done, key, value)), (false, false), "{key}");
        }
        let facts = workload(&read::<DaemonSet>(&spec, &done)).unwrap();
        assert_eq!((facts.replicas, facts.at_a_time, facts.strategy), (2, 1, Strategy::RollingUpdate));
        let surge = json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "50%"}}});
        assert_eq!(workload(&read::<DaemonSet>(&surge, &done)).unwrap().at_a_time, 1);
    }

    #[test]
    fn kinds_that_never_roll() {
        let status = json!({"observedGeneration": 3, "replicas": 2, "readyReplicas": 2, "availableReplicas": 2});
        let two = json!({"replicas": 2});
        assert_eq!(rolled::<ReplicaSet>(&two, &status), (true, false));
        assert_eq!(rolled::<ReplicaSet>(&two, &with(&status, "availableReplicas", 1)), (false, false));
        assert_eq!(rolled::<ReplicaSet>(&two, &with(&status, "replicas", 3)), (false, false));
        assert_eq!(rolled::<ReplicationController>(&two, &status), (true, false));
        assert_eq!(told::<ReplicationController>(&two).strategy, Strategy::None);

        let job = json!({"parallelism": 4, "suspend": true});
        assert_eq!((told::<Job>(&job).replicas, told::<Job>(&job).paused), (4, true));
        let ended = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        assert_eq!(workload(&read::<Job>(&job, &ended)).unwrap().replicas, 0, "it wants no pods any more");
        let cron = json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": {"parallelism": 2, "template": {
            "spec": {"serviceAccountName": "app", "containers": []}}}}});
        let cron = told::<CronJob>(&cron);
        assert_eq!((cron.schedule.as_deref(), cron.replicas), (Some("0 3 * * *"), 2));
        assert_eq!(cron.service_account, "app");
    }
}
