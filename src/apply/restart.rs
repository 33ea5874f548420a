//! Steps on a workload that rolls: stamps, and what its pods are.
//!
//! A stamp that is there proves nothing: these steps end when every pod of the
//! workload is Ready and in the right mode, and not before.

use super::step::Way;
use super::{Broken, End, Trouble};
use crate::inventory::{Pod, WorkloadRef};
use crate::model::{RoleArn, Subject};
use crate::plan::{Condition, Request, Target, Work};
use crate::ports::{JournalStore, PortError, Sight, Stamping, WorkloadNow, World};

/// Where a workload's pods are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pods {
    /// The roll-out is complete, and all are Ready and in the right mode.
    Moved,
    /// The roll-out goes on, or pods are not Ready yet.
    Rolling(String),
    /// The roll-out is complete, and so many are in the wrong mode.
    Stragglers(usize),
}

/// What one of these steps works on.
pub(super) struct Subjects<'a> {
    pub(super) subject: &'a Subject,
    pub(super) workload: &'a WorkloadRef,
    pub(super) role_arn: &'a RoleArn,
    pub(super) to: Target,
}

/// The workload as it stands. Forward, another of the same name, or none, is drift; `None` for it on the
/// way back: what we did to it is gone with it.
pub(super) async fn current<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    on: &Subjects<'_>,
    uid: &str,
) -> Result<Option<WorkloadNow>, Broken> {
    let cluster = &on.subject.cluster;
    let now = way.patience.ask(async || way.world().workload(cluster, on.workload).await).await?;
    let same = now.as_ref().is_some_and(|it| it.workload.uid == uid);
    let now = match (now.filter(|_| same), on.to) {
        (Some(now), _) => now,
        (None, Target::Irsa) => return Ok(None),
        (None, Target::PodIdentity) => {
            return Err(Trouble::new(format!("{} was deleted, or made again", on.workload)).into());
        }
    };
    // Forward, each pinned fact must still be so; back, nothing but the object itself matters.
    if let (Target::PodIdentity, Work::ServiceAccount(work)) = (on.to, &way.unit.work)
        && let Some(pinned) = work.workloads.iter().find(|it| it.workload == *on.workload)
    {
        let moved = pinned.moved(&now.workload);
        if !moved.is_empty() {
            return Err(Trouble::new(format!("{}: {}", on.workload, moved.join("; "))).into());
        }
    }
    Ok(Some(now))
}

/// The end of a step back whose workload is gone.
pub(super) fn gone_with_it(on: &Subjects<'_>) -> End {
    End::Succeeded(Some(format!("{} was deleted, or made again, by others since", on.workload)))
}

/// The ServiceAccount's pods.
pub(super) async fn pods_of<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
) -> Result<Vec<Pod>, Broken> {
    way.patience.ask(async || way.world().pods_of(subject).await).await
}

impl Subjects<'_> {
    /// The workload's pods that the webhook may touch, among those of its ServiceAccount.
    pub(super) fn own<'p>(&self, pods: &'p [Pod]) -> Vec<&'p Pod> {
        pods.iter().filter(|it| it.workload.as_ref() == Some(self.workload) && !it.skips_webhook).collect()
    }

    /// What somebody who waits for the workload has seen.
    pub(super) fn sight<'s>(&'s self, pods: &'s [Pod], workload: &'s WorkloadNow) -> Sight<'s> {
        Sight { subject: self.subject, pods, workload: Some(workload) }
    }
}

/// Where the workload's pods are now.
pub(super) fn judge(now: &WorkloadNow, pods: &[&Pod], on: &Subjects<'_>) -> Pods {
    let rollout = now.rollout;
    if !rollout.complete {
        return Pods::Rolling(format!(
            "{} of {} pods are new, {} Ready",
            rollout.updated, rollout.wanted, rollout.ready
        ));
    }
    let living = || pods.iter().filter(|it| !it.terminating);
    let wrong = living().filter(|it| !on.to.is_reached(&it.mode, on.role_arn)).count();
    if wrong > 0 {
        return Pods::Stragglers(wrong);
    }
    let waiting = living().filter(|it| !it.ready).count();
    if waiting > 0 { Pods::Rolling(format!("{waiting} pods are not Ready")) } else { Pods::Moved }
}

/// Carries out `Restart` or `Unrestart`.
pub(super) async fn drive<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<End, Broken> {
    let (on, uid) = match (&way.step.write, &way.step.until) {
        (
            Some(Request::Restart { uid, .. } | Request::Unrestart { uid, .. }),
            Condition::WorkloadMoved { subject, workload, role_arn, to },
        ) => (Subjects { subject, workload, role_arn, to: *to }, uid),
        _ => return Err(Trouble::new("a restart that does not end when its workload has moved").into()),
    };
    let mut stamped = 0;
    loop {
        let Some(now) = current(way, &on, uid).await? else {
            way.start().await?;
            return Ok(gone_with_it(&on));
        };
        let pods = pods_of(way, on.subject).await?;
        let found = now.workload.stamp.as_deref();
        let where_ = judge(&now, &on.own(&pods), &on);
        let next = match &way.step.write {
            Some(Request::Restart { before, stamps, .. }) => next_stamp(found, before.as_deref(), stamps, &where_)?,
            Some(Request::Unrestart { before, stamps, bounces, .. }) => {
                next_unstamp(found, before.as_deref(), stamps, bounces, &where_, stamped)?
            }
            _ => Next::Wait,
        };
        match next {
            Next::Done => {
                way.start().await?;
                return Ok(End::Succeeded(None));
            }
            Next::Wait => {
                way.start().await?;
                if now.rollout.failed {
                    let text = format!("the roll-out of {} has made no progress within its deadline", on.workload);
                    return Err(Trouble::new(text).into());
                }
                let what = match where_ {
                    Pods::Rolling(how) => format!("{} to roll out ({how})", on.workload),
                    Pods::Moved | Pods::Stragglers(_) => format!("{} to roll out", on.workload),
                };
                way.patience.watch(&what, on.sight(&pods, &now)).await?;
            }
            Next::Stamp(after) => {
                if send(way, &on, uid, &now, after.clone()).await? && after.is_some() {
                    stamped += 1;
                }
            }
        }
    }
}

/// What to do next with a template.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Wait,
    Stamp(Option<String>),
}

/// Forward: the first stamp if none of ours is there, the next one if stragglers are left.
fn next_stamp(found: Option<&str>, before: Option<&str>, stamps: &[String], pods: &Pods) -> Result<Next, Trouble> {
    if *pods == Pods::Moved {
        return Ok(Next::Done);
    }
    let ours = stamps.iter().position(|it| Some(it.as_str()) == found);
    let next = match (ours, pods) {
        (None, _) if found != before => {
            let found = found.unwrap_or("nothing");
            return Err(Trouble::new(format!("the restart stamp is {found:?}, which neither was there nor is ours")));
        }
        (None, _) => stamps.first(),
        (Some(at), Pods::Stragglers(_)) => stamps.get(at + 1),
        (Some(_), Pods::Rolling(_) | Pods::Moved) => return Ok(Next::Wait),
    };
    match (next, pods) {
        (Some(stamp), _) => Ok(Next::Stamp(Some(stamp.clone()))),
        (None, Pods::Stragglers(pods)) => {
            Err(Trouble::new(format!("{pods} pods came up in the wrong mode after {} restarts", stamps.len())))
        }
        (None, Pods::Rolling(_) | Pods::Moved) => Ok(Next::Wait),
    }
}

/// Back: our stamp away, at once; then, for pods that stayed, a bounce: a stamp, its roll-out, and
/// the stamp away again.
fn next_unstamp(
    found: Option<&str>,
    before: Option<&str>,
    stamps: &[String],
    bounces: &[String],
    pods: &Pods,
    bounced: usize,
) -> Result<Next, Trouble> {
    if found == before {
        return match pods {
            Pods::Moved => Ok(Next::Done),
            Pods::Rolling(_) => Ok(Next::Wait),
            Pods::Stragglers(left) => match bounces.get(bounced) {
                Some(stamp) => Ok(Next::Stamp(Some(stamp.clone()))),
                None => Err(Trouble::new(format!("{left} pods stayed in the wrong mode after {bounced} bounces"))),
            },
        };
    }
    let is_in = |list: &[String]| list.iter().any(|it| Some(it.as_str()) == found);
    if is_in(stamps) {
        return Ok(Next::Stamp(before.map(str::to_owned)));
    }
    if is_in(bounces) {
        return Ok(match pods {
            Pods::Rolling(_) => Next::Wait,
            Pods::Moved | Pods::Stragglers(_) => Next::Stamp(before.map(str::to_owned)),
        });
    }
    let found = found.unwrap_or("nothing");
    Err(Trouble::new(format!("the restart stamp is {found:?}, which neither was there nor is ours; it was left alone")))
}

/// Sends one change of the stamp. `false` where the template was changed meanwhile and has to be
/// looked at again.
async fn send<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    on: &Subjects<'_>,
    uid: &str,
    now: &WorkloadNow,
    after: Option<String>,
) -> Result<bool, Broken> {
    let change = Stamping {
        workload: on.workload.clone(),
        uid: uid.to_owned(),
        before: now.workload.stamp.clone(),
        after: after.clone(),
    };
    way.context().take_starts(now.workload.replicas).await;
    way.context().may_write()?;
    way.start().await?;
    way.sending(format!("stamp {} {}", on.workload, after.as_deref().unwrap_or("(none)"))).await?;
    match way.world().stamp(&on.subject.cluster, &change).await {
        Ok(()) => Ok(true),
        Err(PortError::Conflict(_)) => {
            way.patience.pause("the workload to be looked at again", way.interval()).await?;
            Ok(false)
        }
        Err(error) => {
            way.patience.endure(error).await?;
            Ok(false)
        }
    }
}

/// Waits until a workload that somebody else restarts has moved.
pub(super) async fn wait_moved<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    workload: &WorkloadRef,
    role_arn: &RoleArn,
    to: Target,
) -> Result<(), Broken> {
    let on = Subjects { subject, workload, role_arn, to };
    loop {
        let cluster = &subject.cluster;
        let now = way.patience.ask(async || way.world().workload(cluster, workload).await).await?;
        let Some(now) = now else { return Ok(()) };
        let pods = pods_of(way, subject).await?;
        let how = match judge(&now, &on.own(&pods), &on) {
            Pods::Moved => return Ok(()),
            Pods::Rolling(how) => how,
            Pods::Stragglers(pods) => format!("{pods} pods are not on {to} yet"),
        };
        way.patience.watch(&format!("the owner of {workload} to restart it ({how})"), on.sight(&pods, &now)).await?;
    }
}

/// Waits until all pods of these workloads are Ready and in the right mode.
pub(super) async fn wait_subject<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    to: Target,
    workloads: &[WorkloadRef],
) -> Result<(), Broken> {
    loop {
        let pods = pods_of(way, subject).await?;
        let Some(pod) = pods.iter().find(|pod| {
            let counts = pod.workload.as_ref().is_some_and(|it| workloads.contains(it));
            let there = pod.ready && to.is_reached(&pod.mode, role_arn);
            counts && !pod.terminating && !pod.skips_webhook && !there
        }) else {
            return Ok(());
        };
        let ready = if pod.ready { "Ready" } else { "not Ready" };
        let on = format!("pod {}/{} to be Ready and on {to} (it is {ready}, on {})", pod.namespace, pod.name, pod.mode);
        way.patience.watch(&on, Sight { subject, pods: &pods, workload: None }).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn rolling() -> Pods {
        Pods::Rolling(String::new())
    }

    #[test]
    fn forward() {
        let ours = stamps(&["s", "s-2"]);
        let next = |found, before, pods: Pods| next_stamp(found, before, &ours, &pods);
        assert_eq!(next(None, None, Pods::Stragglers(3)), Ok(Next::Stamp(Some("s".into()))));
        assert_eq!(next(Some("old"), Some("old"), Pods::Stragglers(3)), Ok(Next::Stamp(Some("s".into()))));
        // A roll-out of somebody else's goes on: ours is due all the same, for the pods are not there.
        assert_eq!(next(None, None, rolling()), Ok(Next::Stamp(Some("s".into()))));
        assert_eq!(next(Some("s"), None, rolling()), Ok(Next::Wait));
        assert_eq!(next(Some("s"), None, Pods::Stragglers(1)), Ok(Next::Stamp(Some("s-2".into()))));
        assert_eq!(next(Some("s-2"), None, Pods::Moved), Ok(Next::Done));
        assert!(next(Some("s-2"), None, Pods::Stragglers(1)).is_err());
        assert!(next(Some("theirs"), None, Pods::Stragglers(1)).is_err());
        // Nothing to do is nothing to send, whatever the stamp.
        assert_eq!(next(None, None, Pods::Moved), Ok(Next::Done));
    }

    #[test]
    fn back() {
        let (ours, bounces) = (stamps(&["s", "s-2"]), stamps(&["b", "b-2"]));
        let next = |found, pods: Pods, bounced| next_unstamp(found, None, &ours, &bounces, &pods, bounced);
        assert_eq!(next(Some("s-2"), rolling(), 0), Ok(Next::Stamp(None)));
        assert_eq!(next(None, rolling(), 0), Ok(Next::Wait));
        assert_eq!(next(None, Pods::Moved, 0), Ok(Next::Done));
        // Pods of the old revision that were admitted in between stay where the old revision is used again.
        assert_eq!(next(None, Pods::Stragglers(1), 0), Ok(Next::Stamp(Some("b".into()))));
        assert_eq!(next(Some("b"), rolling(), 1), Ok(Next::Wait));
        assert_eq!(next(Some("b"), Pods::Moved, 1), Ok(Next::Stamp(None)));
        assert!(next(None, Pods::Stragglers(1), 2).is_err());
        assert!(next(Some("theirs"), Pods::Stragglers(1), 0).is_err());
    }
}
