//! What stands above a pod.

use std::sync::PoisonError;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::{Plane, named, within};
use crate::inventory::{OwnerRef, WorkloadKind, WorkloadRef};
use crate::ports::{Answer, PortError};

/// The controller in an object's owner references.
pub(super) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|it| it.controller == Some(true))
}

pub(super) fn owner_ref(it: &OwnerReference) -> OwnerRef {
    OwnerRef { kind: it.kind.clone(), name: it.name.clone(), uid: it.uid.clone() }
}

/// Which of our kinds an owner is of. Other people's kinds may have the same names in another API.
pub(super) fn kind_of(it: &OwnerReference) -> Option<WorkloadKind> {
    let group = it.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let own = |kind: WorkloadKind| match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::ReplicaSet => {
            "apps"
        }
        WorkloadKind::ReplicationController => "",
        WorkloadKind::Job | WorkloadKind::CronJob => "batch",
    };
    WorkloadKind::ALL.into_iter().find(|kind| it.kind == kind.as_str() && group == own(*kind))
}

/// Whether an object is made by a workload that is listed itself: a ReplicaSet of a Deployment, a
/// Job of a CronJob.
pub(super) fn is_made_by(meta: &ObjectMeta, maker: WorkloadKind) -> bool {
    controller(meta).and_then(kind_of) == Some(maker)
}

impl Plane {
    /// The workload at the top: a Deployment rather than its ReplicaSet, a CronJob rather than its
    /// Job. What owns those is remembered, for it hardly ever changes and pods are looked at again
    /// and again.
    pub(super) async fn top(&self, namespace: &str, owner: &OwnerReference) -> Answer<Option<WorkloadRef>> {
        let Some(kind) = kind_of(owner) else { return Ok(None) };
        let maker = match kind {
            WorkloadKind::ReplicaSet => self.maker::<ReplicaSet>(namespace, owner, WorkloadKind::Deployment).await?,
            WorkloadKind::Job => self.maker::<Job>(namespace, owner, WorkloadKind::CronJob).await?,
            WorkloadKind::Deployment
            | WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::CronJob => None,
        };
        let at = |kind, name: &str| WorkloadRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        Ok(Some(match (maker, kind) {
            (Some(maker), WorkloadKind::ReplicaSet) => at(WorkloadKind::Deployment, &maker.name),
            (Some(maker), _) => at(WorkloadKind::CronJob, &maker.name),
            (None, kind) => at(kind, &owner.name),
        }))
    }

    /// The owner of that kind of a ReplicaSet or Job.
    async fn maker<K>(&self, namespace: &str, of: &OwnerReference, kind: WorkloadKind) -> Answer<Option<OwnerRef>>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        if let Some(known) = self.known_maker(&of.uid) {
            return Ok(known);
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("read {} {namespace}/{}", of.kind, of.name);
        match self.read(&what, || api.get_metadata(&of.name)).await {
            Ok(found) if found.metadata.uid.as_deref() == Some(&of.uid) => {
                let maker = made_by(&found.metadata, kind);
                self.remember_maker(of.uid.clone(), maker.clone());
                Ok(maker)
            }
            // Deleted meanwhile; its pods follow.
            Ok(_) | Err(PortError::NotFound(_)) => Ok(None),
            Err(it) => Err(it),
        }
    }

    /// Learns the owners of all ReplicaSets and Jobs at once.
    pub(super) async fn learn_makers(&self, namespace: Option<&str>) -> Answer<()> {
        self.learn::<ReplicaSet>("list replicasets", namespace, WorkloadKind::Deployment).await?;
        self.learn::<Job>("list jobs", namespace, WorkloadKind::CronJob).await
    }

    async fn learn<K>(&self, what: &str, namespace: Option<&str>, kind: WorkloadKind) -> Answer<()>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = within(&self.client, namespace);
        let keep = |it: kube::core::PartialObjectMeta<K>| Some((it.uid()?, made_by(&it.metadata, kind)));
        for (uid, maker) in self.list_metadata(&named(what, namespace), &api, ListParams::default(), keep).await? {
            self.remember_maker(uid, maker);
        }
        Ok(())
    }

    fn known_maker(&self, uid: &str) -> Option<Option<OwnerRef>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    fn remember_maker(&self, uid: String, maker: Option<OwnerRef>) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, maker);
    }
}

fn made_by(meta: &ObjectMeta, kind: WorkloadKind) -> Option<OwnerRef> {
    controller(meta).filter(|it| kind_of(it) == Some(kind)).map(owner_ref)
}
