//! Steps on a workload that does not roll: one pod at a time, through the Eviction API.

use std::time::Duration;

use super::restart::{Subjects, current, gone_with_it, pods_of};
use super::step::Way;
use super::{Broken, End, Trouble};
use crate::inventory::Pod;
use crate::plan::{Condition, Request};
use crate::ports::{JournalStore, PortError, World};

/// Evicts the workload's pods that are in the wrong mode, each once its predecessor's replacement is Ready.
pub(super) async fn drive<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<End, Broken> {
    let (on, uid) = match (&way.step.write, &way.step.until) {
        (Some(Request::Evict { uid, .. }), Condition::WorkloadMoved { subject, workload, role_arn, to }) => {
            (Subjects { subject, workload, role_arn, to: *to }, uid)
        }
        _ => return Err(Trouble::new("an eviction that does not end when its workload has moved").into()),
    };
    loop {
        // Its own facts first: what is not the planned workload is not touched.
        let Some(now) = current(way, &on, uid).await? else {
            way.start().await?;
            return Ok(gone_with_it(&on));
        };
        let all = pods_of(way, on.subject).await?;
        let pods = on.own(&all);
        let wrong: Vec<&Pod> =
            pods.iter().copied().filter(|it| !it.terminating && !on.to.is_reached(&it.mode, on.role_arn)).collect();
        let unready = pods.iter().filter(|it| !it.terminating && !it.ready).count();
        let leaving = pods.iter().filter(|it| it.terminating).count();
        let living = pods.len() - leaving;
        let short = (now.workload.replicas as usize).saturating_sub(living);
        way.start().await?;
        match wrong.first() {
            None if unready == 0 && short == 0 => return Ok(End::Succeeded(None)),
            // A pod in the wrong mode that never became Ready serves nobody: it may go at once.
            Some(pod) if leaving == 0 && short == 0 && (unready == 0 || !pod.ready) => evict(way, &on, pod).await?,
            _ => {
                let what = format!("a Ready replacement in {} ({unready} not Ready, {short} missing)", on.workload);
                way.patience.watch(&what, on.sight(&all, &now)).await?;
            }
        }
    }
}

async fn evict<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>, on: &Subjects<'_>, pod: &Pod) -> Result<(), Broken> {
    way.context().take_starts(1).await;
    way.context().may_write()?;
    way.sending(format!("evict {}/{} {}", pod.namespace, pod.name, pod.uid)).await?;
    match way.world().evict(&on.subject.cluster, &pod.namespace, &pod.name, &pod.uid).await {
        Ok(()) | Err(PortError::NotFound(_)) => Ok(()),
        // Another pod of that name by now: look again.
        Err(PortError::Conflict(_)) => way.patience.pause("the pods to be looked at again", way.interval()).await,
        Err(PortError::NotNow(why)) => {
            let on = format!("a budget to allow the eviction of {}/{} ({why})", pod.namespace, pod.name);
            way.patience.pause(&on, Duration::from_secs(5)).await
        }
        Err(error) => way.patience.endure(error).await,
    }
}
