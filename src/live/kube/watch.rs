//! Waiting until something is no longer as it was seen.

use std::time::{Duration, Instant};

use futures::future::{Either, select};
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};

use super::Plane;
use super::error::said;
use super::kinds::Facts;
use super::pods::{fields_of, sight};
use super::workloads::{by_kind, now};
use crate::inventory::WorkloadKind;
use crate::ports::{Answer, PodSight, Sight, WorkloadNow};

/// The shortest wait. A roll-out of many pods changes something all the time, and each look costs the
/// API server some lists.
const SHORTEST: Duration = Duration::from_millis(250);

impl Plane {
    /// Returns once something is no longer as it was seen, or the time is up.
    pub(in crate::live) async fn changed(&self, seen: Sight<'_>, at_most: Duration) -> Answer<()> {
        let began = Instant::now();
        let waiting = async {
            let pods = self.pods_changed(seen, at_most);
            let Some(workload) = seen.workload else { return pods.await };
            let workload =
                async { by_kind!(workload.workload.at.kind, K => self.workload_changed::<K>(workload, at_most).await) };
            pin_mut!(pods, workload);
            match select(pods, workload).await {
                Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
            }
        };
        let answer = tokio::time::timeout(at_most, waiting).await.unwrap_or(Ok(()));
        tokio::time::sleep(SHORTEST.min(at_most).saturating_sub(began.elapsed())).await;
        answer
    }

    async fn pods_changed(&self, seen: Sight<'_>, at_most: Duration) -> Answer<()> {
        let subject = seen.subject;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &subject.namespace);
        let fields = fields_of(&subject.service_account);
        let known = seen.pods();
        let there = |pods: &[Pod]| pods.iter().map(sight).collect::<std::collections::BTreeSet<PodSight>>() == known;
        let same = |event: &WatchEvent<Pod>| match event {
            WatchEvent::Added(it) | WatchEvent::Modified(it) => known.contains(&sight(it)),
            WatchEvent::Bookmark(_) => true,
            WatchEvent::Deleted(_) | WatchEvent::Error(_) => false,
        };
        let what = format!("watch pods in {}", subject.namespace);
        self.until_changed(&what, &api, &fields, at_most, there, same).await
    }

    async fn workload_changed<K: Facts>(&self, seen: &WorkloadNow, at_most: Duration) -> Answer<()> {
        let at = &seen.workload.at;
        let api: Api<K> = Api::namespaced(self.client.clone(), &at.namespace);
        let is_seen = |it: &K| now(it).is_ok_and(|it| it == *seen);
        let there = |found: &[K]| matches!(found, [it] if is_seen(it));
        let same = |event: &WatchEvent<K>| match event {
            WatchEvent::Added(it) | WatchEvent::Modified(it) => is_seen(it),
            WatchEvent::Bookmark(_) => true,
            WatchEvent::Deleted(_) | WatchEvent::Error(_) => false,
        };
        let fields = format!("metadata.name={}", at.name);
        self.until_changed(&format!("watch {at}"), &api, &fields, at_most, there, same).await
    }

    /// Lists, and watches from there on, so that no change falls in between.
    async fn until_changed<K>(
        &self,
        what: &str,
        api: &Api<K>,
        fields: &str,
        at_most: Duration,
        is_there: impl Fn(&[K]) -> bool,
        is_same: impl Fn(&WatchEvent<K>) -> bool,
    ) -> Answer<()>
    where
        K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let params = ListParams::default().fields(fields);
        let found = self.call(what, api.list(&params)).await?;
        if !is_there(&found.items) {
            return Ok(());
        }
        let version = found.metadata.resource_version.unwrap_or_default();
        let seconds = u32::try_from(at_most.as_secs()).unwrap_or(u32::MAX).clamp(1, LONGEST);
        let params = WatchParams::default().fields(fields).timeout(seconds);
        let events = self.call(what, api.watch(&params, &version)).await?;
        pin_mut!(events);
        while let Some(event) = events.next().await {
            if !is_same(&event.map_err(|it| said(what, &self.endpoint, &it))?) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The API server ends a watch at some time between five and ten minutes; the client refuses to ask for more.
const LONGEST: u32 = 290;
