//! The two writes that replace pods: our stamp in a template, and the eviction of one pod.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, Status};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::workloads::STAMP;
use super::{CALL, MANAGER, Plane};
use crate::inventory::WorkloadKind;
use crate::live::text::one_line;
use crate::ports::{Answer, PortError, Stamping};

/// Looks and writes of one stamping: somebody else's write to the same object (a status that counts
/// a roll-out on, above all) may come between the two.
const LOOKS: u32 = 8;

impl Plane {
    /// Changes our annotation in a workload's template.
    ///
    /// A merge patch of that one key, bound to the object that was just looked at by its UID and
    /// resource version: whatever happened in between is a conflict, which is looked at again.
    pub(in crate::live) async fn stamp(&self, change: &Stamping) -> Answer<()> {
        let at = &change.workload;
        let what = format!("stamp {at}");
        let kind = match at.kind {
            WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
            WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
            WorkloadKind::ReplicaSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::Job
            | WorkloadKind::CronJob => {
                return Err(PortError::Invalid(format!("{what}: a change of its template replaces no pod")));
            }
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &at.namespace, &kind);
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let mut last = PortError::Conflict(format!("{what}: it changes all the time"));
        for _ in 0..LOOKS {
            let found = self.read(&what, || api.get(&at.name)).await?;
            if found.uid().as_deref() != Some(&change.uid) {
                return Err(PortError::Conflict(format!("{what}: it was deleted and made again")));
            }
            let stamp = stamp_of(&found.data);
            if stamp != change.before.as_deref() {
                let (found, before) = (stamp.unwrap_or("none"), change.before.as_deref().unwrap_or("none"));
                return Err(PortError::Conflict(one_line(&format!("{what}: the stamp is {found}, not {before}"))));
            }
            let patch = json!({
                "metadata": {"uid": change.uid, "resourceVersion": found.resource_version()},
                "spec": {"template": {"metadata": {"annotations": {STAMP: change.after}}}},
            });
            match self.call(&what, api.patch(&at.name, &params, &Patch::Merge(&patch))).await {
                Err(it @ PortError::Conflict(_)) => last = it,
                other => return other.map(|_| ()),
            }
        }
        Err(last)
    }

    /// Evicts one pod, by its UID.
    ///
    /// Looks first: an eviction that only its precondition stops has used up the budget nevertheless,
    /// and blocks others for two minutes.
    pub(in crate::live) async fn evict(&self, namespace: &str, pod: &str, uid: &str) -> Answer<()> {
        let what = format!("evict pod {namespace}/{pod}");
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let this = ListParams::default().fields(&format!("metadata.name={pod}"));
        let found = self.list_metadata(&what, &api, this, |it| it.metadata.uid).await?;
        if !found.iter().any(|it| it == uid) {
            return Err(PortError::NotFound(format!("{what}: the pod of this UID is gone")));
        }
        // kube's own `evict` sends its delete options under a name that the API server ignores, and
        // would evict whatever pod has the name by now.
        let eviction = Eviction {
            metadata: ObjectMeta { name: Some(pod.to_owned()), ..ObjectMeta::default() },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions { resource_version: None, uid: Some(uid.to_owned()) }),
                ..DeleteOptions::default()
            }),
        };
        let params = PostParams::default();
        let send = api.create_subresource::<_, Status>("eviction", pod, &params, &eviction);
        let Ok(answer) = tokio::time::timeout(CALL, send).await else {
            return Err(PortError::Unreachable(format!("{what}: {} gave no answer in time", self.endpoint)));
        };
        match answer {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 429 && status.message.contains("disruption budget") => {
                Err(PortError::NotNow(one_line(&format!("{what}: {}", status.message))))
            }
            // Two budgets over one pod: Kubernetes evicts it never.
            Err(kube::Error::Api(status)) if status.message.contains("more than one PodDisruptionBudget") => {
                Err(PortError::Invalid(one_line(&format!("{what}: {}", status.message))))
            }
            // Another pod has the name by now.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(PortError::NotFound(one_line(&format!("{what}: {}", status.message))))
            }
            Err(it) => self.call(&what, async { Err(it) }).await,
        }
    }
}

fn stamp_of(object: &Value) -> Option<&str> {
    object.pointer("/spec/template/metadata/annotations")?.get(STAMP)?.as_str()
}
