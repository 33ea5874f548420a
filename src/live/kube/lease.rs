//! Leases: who may write to a cluster.

use k8s_openapi::api::coordination::v1::{Lease as KubeLease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};

use super::{MANAGER, Plane, timestamp};
use crate::ports::{Answer, Lease, LeaseVersion, PortError};

impl Plane {
    /// The lease of this name.
    pub(in crate::live) async fn lease(&self, namespace: &str, name: &str) -> Answer<Option<Lease>> {
        let what = format!("read lease {namespace}/{name}");
        let api: Api<KubeLease> = Api::namespaced(self.client.clone(), namespace);
        let found = self.read(&what, || api.get_opt(name)).await?;
        found.map(|it| lease(&what, it)).transpose()
    }

    /// Makes a lease, or replaces the one of that version.
    pub(in crate::live) async fn write_lease(
        &self,
        namespace: &str,
        name: &str,
        wanted: &Lease,
        found: Option<&LeaseVersion>,
    ) -> Answer<Lease> {
        let what = format!("write lease {namespace}/{name}");
        let api: Api<KubeLease> = Api::namespaced(self.client.clone(), namespace);
        let time = wanted.renewed_at;
        let time = k8s_openapi::jiff::Timestamp::new(time.as_second(), time.subsec_nanosecond());
        let (uid, resource_version) = found.map(|it| parts(&what, it)).transpose()?.unzip();
        let object = KubeLease {
            metadata: ObjectMeta { name: Some(name.to_owned()), uid, resource_version, ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                // Kubernetes refuses an empty holder; nobody is no holder.
                holder_identity: Some(wanted.holder.clone()).filter(|it| !it.is_empty()),
                lease_duration_seconds: i32::try_from(wanted.duration_seconds).ok(),
                renew_time: Some(MicroTime(time.map_err(|it| PortError::Invalid(format!("{what}: {it}")))?)),
                ..LeaseSpec::default()
            }),
        };
        let params = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
        let written = match found {
            None => self.call(&what, api.create(&params, &object)).await,
            Some(_) => match self.call(&what, api.replace(name, &params, &object)).await {
                // What we found is gone: somebody was faster.
                Err(PortError::NotFound(it)) => Err(PortError::Conflict(it)),
                other => other,
            },
        };
        lease(&what, written?)
    }

    /// Deletes the lease of this version.
    pub(in crate::live) async fn delete_lease(&self, namespace: &str, name: &str, found: &LeaseVersion) -> Answer<()> {
        let api: Api<KubeLease> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("delete lease {namespace}/{name}");
        let (uid, version) = parts(&what, found)?;
        let only = Preconditions { resource_version: Some(version), uid: Some(uid) };
        let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
        self.call(&what, api.delete(name, &params)).await?;
        Ok(())
    }
}

/// A lease's UID and resource version. The UID is part of it because an update of a lease that was
/// deleted would make it again, whatever its resource version says.
fn parts(what: &str, version: &LeaseVersion) -> Answer<(String, String)> {
    let parts = version.0.split_once('/').map(|(uid, version)| (uid.to_owned(), version.to_owned()));
    parts.ok_or_else(|| PortError::Invalid(format!("{what}: {:?} is no version of a lease", version.0)))
}

fn lease(what: &str, it: KubeLease) -> Answer<Lease> {
    let odd = |lacks: &str| PortError::Invalid(format!("{what}: it has no {lacks}"));
    let uid = it.metadata.uid.ok_or_else(|| odd("UID"))?;
    let version = it.metadata.resource_version.ok_or_else(|| odd("version"))?;
    let spec = it.spec.unwrap_or_default();
    Ok(Lease {
        holder: spec.holder_identity.unwrap_or_default(),
        duration_seconds: spec.lease_duration_seconds.and_then(|it| it.try_into().ok()).unwrap_or(0),
        // One that was never renewed ran out long ago.
        renewed_at: spec.renew_time.and_then(|it| timestamp(it.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        version: LeaseVersion(format!("{uid}/{version}")),
    })
}
