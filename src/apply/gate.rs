//! What must hold before the next wave: the pods of this one are still well after a while.

use std::collections::BTreeMap;
use std::time::Duration;

use super::wait::answer;
use super::{Broken, Context, Halt, Progress};
use crate::inventory::Pod;
use crate::journal::UnitStatus;
use crate::model::Subject;
use crate::plan::{Purpose, SubjectWork, Target, UnitId, Wave, Work};
use crate::ports::{JournalStore, World};

/// How often a bake is interrupted to see whether somebody asked to stop.
const SLICE: Duration = Duration::from_secs(5);

/// Why a gate does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    /// In words.
    pub(super) why: String,
    /// The unit whose pods are not well; none where the pods could not be read.
    pub(super) unit: Option<UnitId>,
}

impl Shut {
    fn unread(why: String) -> Option<Self> {
        Some(Self { why, unit: None })
    }
}

/// Watches a wave's pods for the bake time; gives what is wrong with them, if anything.
pub(super) async fn pass<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    wave: &Wave,
) -> Result<Option<Shut>, Halt> {
    let moved = moved_units(context, wave);
    if moved.is_empty() || context.plan.purpose != Purpose::Migrate {
        return Ok(None);
    }
    let bake = Duration::from_secs(context.plan.numbers.bake);
    context.emit(Progress::GateWaiting { wave: wave.name.clone(), seconds: bake.as_secs() });
    let before = match restarts(context, &moved).await? {
        Ok(it) => it,
        Err(why) => return Ok(Shut::unread(why)),
    };
    let from = context.world.monotonic();
    loop {
        let left = bake.saturating_sub(context.world.monotonic().saturating_sub(from));
        if left.is_zero() {
            break;
        }
        context.may_write()?;
        context.world.sleep(left.min(SLICE)).await;
    }
    for (unit, work) in &moved {
        let pods = match pods(context, &work.subject).await? {
            Ok(it) => it,
            Err(why) => return Ok(Shut::unread(why)),
        };
        let sick = match unwell(work, &pods, &before) {
            Some(why) => Ok(Some(why)),
            None => unfinished(context, work).await?,
        };
        match sick {
            Ok(None) => {}
            Ok(Some(why)) => return Ok(Some(Shut { why, unit: Some((*unit).clone()) })),
            Err(why) => return Ok(Shut::unread(why)),
        }
    }
    Ok(None)
}

/// A roll-out of a unit's that is not complete, and does not become so within a roll-out's time: an
/// autoscaler or a deploy may be at work just now, and that is no failure.
async fn unfinished<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    work: &SubjectWork,
) -> Result<Result<Option<String>, String>, Halt> {
    let cluster = &work.subject.cluster;
    let from = context.world.monotonic();
    let at_most = Duration::from_secs(context.plan.numbers.rollout_timeout);
    for at in work.workloads.iter().map(|it| &it.workload) {
        loop {
            let now = match answer(context, async || context.world.workload(cluster, at).await).await {
                Ok(now) => now,
                Err(Broken::Run(halt)) => return Err(halt),
                Err(Broken::Step(trouble)) => return Ok(Err(format!("{at} could not be read: {}", trouble.why))),
            };
            // One that was deleted has no pods that could be unwell.
            let Some(rollout) = now.map(|it| it.rollout).filter(|it| !it.complete) else { break };
            if rollout.failed || context.world.monotonic().saturating_sub(from) >= at_most {
                let (ready, wanted) = (rollout.ready, rollout.wanted);
                return Ok(Ok(Some(format!("{at} has not rolled out: {ready} of {wanted} pods are Ready"))));
            }
            context.may_write()?;
            context.world.sleep(SLICE).await;
        }
    }
    Ok(Ok(None))
}

type Moved<'p> = (&'p UnitId, &'p SubjectWork);

fn moved_units<'p, W: World, J: JournalStore>(context: &Context<'p, W, J>, wave: &Wave) -> Vec<Moved<'p>> {
    let plan = context.plan;
    let units = wave.units.iter().filter_map(|id| plan.unit(id));
    let done = units.filter(|unit| context.recorder.unit(&unit.id.0, unit.steps.len()) == UnitStatus::Done);
    done.filter_map(|unit| match &unit.work {
        Work::ServiceAccount(work) => Some((&unit.id, work)),
        Work::Role(_) => None,
    })
    .collect()
}

type Restarts = BTreeMap<String, u32>;

/// Restarts of each pod, by UID. An answer that does not come is inconclusive, and that pauses.
async fn restarts<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    moved: &[Moved<'_>],
) -> Result<Result<Restarts, String>, Halt> {
    let mut restarts = Restarts::new();
    for (_, work) in moved {
        match pods(context, &work.subject).await? {
            Ok(pods) => restarts.extend(pods.into_iter().map(|it| (it.uid, it.restarts))),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(restarts))
}

async fn pods<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    subject: &Subject,
) -> Result<Result<Vec<Pod>, String>, Halt> {
    match answer(context, async || context.world.pods_of(subject).await).await {
        Ok(pods) => Ok(Ok(pods)),
        Err(Broken::Run(halt)) => Err(halt),
        Err(Broken::Step(trouble)) => Ok(Err(format!("the pods of {subject} could not be read: {}", trouble.why))),
    }
}

/// What is wrong with the pods of a unit's workloads.
fn unwell(work: &SubjectWork, pods: &[Pod], before: &Restarts) -> Option<String> {
    let ours = |pod: &&Pod| {
        let owned = pod.workload.as_ref().is_some_and(|it| work.workloads.iter().any(|ours| ours.workload == *it));
        owned && !pod.terminating && !pod.skips_webhook
    };
    pods.iter().filter(ours).find_map(|pod| {
        let name = format!("pod {}/{}", pod.namespace, pod.name);
        let known = before.get(&pod.uid).copied();
        let restarts = known.unwrap_or(0);
        if !Target::PodIdentity.is_reached(&pod.mode, &work.role_arn) {
            Some(format!("{name} came up on {}", pod.mode))
        // One that came up meanwhile may be starting just now: its roll-out is waited for.
        } else if !pod.ready && known.is_some() {
            Some(format!("{name} is not Ready"))
        } else if pod.restarts > restarts {
            Some(format!("{name} restarted {} times", pod.restarts - restarts))
        } else {
            None
        }
    })
}
