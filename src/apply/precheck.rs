//! What is looked at before a unit's first write: the pinned facts, and its findings once more.

use jiff::Timestamp;

use super::wait::answer;
use super::{Broken, Context, Halt, Trouble};
use crate::findings::{self, Finding};
use crate::inventory::{Workload, WorkloadKind};
use crate::plan::settings::Waiver;
use crate::plan::{Plan, SubjectWork, Unit, Work};
use crate::ports::{JournalStore, World};
use crate::scan;

/// Why the unit must not start; `None` if it may.
pub(super) async fn refusal<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
) -> Result<Option<Trouble>, Halt> {
    match &unit.work {
        // A role's only pinned facts are its id and its document, and its step looks at both.
        Work::Role(_) => Ok(None),
        Work::ServiceAccount(work) => match moved(context, work).await {
            Ok(moved) if moved.is_empty() => Ok(findings(context, unit, work).await),
            Ok(moved) => Ok(Some(Trouble::new(format!("moved since the plan was made: {}", moved.join("; "))))),
            Err(Broken::Step(trouble)) => Ok(Some(trouble)),
            Err(Broken::Run(halt)) => Err(halt),
        },
    }
}

/// Which of the pinned facts are no longer so.
async fn moved<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    work: &SubjectWork,
) -> Result<Vec<String>, Broken> {
    let (world, subject) = (context.world, &work.subject);
    let mut moved = Vec::new();
    match answer(context, async || world.service_account(subject).await).await? {
        None => moved.push(format!("ServiceAccount {subject} is gone")),
        Some(now) => {
            if now.uid != work.uid {
                moved.push(format!("ServiceAccount {subject} was deleted and made again"));
            }
            if now.role_arn.as_deref() != Some(work.role_arn.as_str()) {
                let now = now.role_arn.unwrap_or_else(|| "nothing".to_owned());
                moved.push(format!("its annotation was {} and is {now}", work.role_arn));
            }
            let audience = now.audience.as_deref().unwrap_or("sts.amazonaws.com");
            if audience != work.audience {
                moved.push(format!("its audience was {} and is {audience}", work.audience));
            }
        }
    }
    let now = workloads(context, work).await?;
    for pinned in &work.workloads {
        match now.iter().find(|it| it.at == pinned.workload) {
            None => moved.push(format!("{} is gone", pinned.workload)),
            Some(it) => moved.extend(pinned.moved(it).into_iter().map(|what| format!("{}: {what}", pinned.workload))),
        }
    }
    for new in now.iter().filter(|it| is_moved_by_us(it.at.kind)) {
        if !work.workloads.iter().any(|it| it.workload == new.at) {
            moved.push(format!("{} is new", new.at));
        }
    }
    Ok(moved)
}

/// Jobs and CronJobs are never restarted: new ones come and go.
fn is_moved_by_us(kind: WorkloadKind) -> bool {
    !matches!(kind, WorkloadKind::Job | WorkloadKind::CronJob)
}

/// All workloads of the ServiceAccount as they stand.
async fn workloads<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    work: &SubjectWork,
) -> Result<Vec<Workload>, Broken> {
    let subject = &work.subject;
    let mut found = Vec::new();
    for kind in WorkloadKind::ALL.into_iter().filter(|it| is_moved_by_us(*it)) {
        let (cluster, namespace) = (&subject.cluster, Some(subject.namespace.as_str()));
        let all = answer(context, async || context.world.workloads(cluster, kind, namespace).await).await?;
        found.extend(all.into_iter().filter(|it| it.service_account == subject.service_account));
    }
    Ok(found)
}

/// The findings of the ServiceAccount, computed again: a blocker that the plan does not know was not
/// there when it was made, or the ServiceAccount would have been held.
async fn findings<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
    work: &SubjectWork,
) -> Option<Trouble> {
    let now = context.world.now();
    if let Some(waiver) = expired(context.plan, unit, now) {
        let (code, until) = (waiver.code, waiver.expires);
        return Some(Trouble::new(format!("the waiver of {code} ran out at {until}")));
    }
    let inventory = scan::subject(context.world, context.shared.as_ref()?, &work.subject).await;
    let is_known = |new: &Finding| unit.notices.iter().any(|it| it.code == new.code && it.subject == new.subject);
    let new = findings::of_subject(&inventory, &work.subject);
    let new: Vec<String> = new
        .into_iter()
        .filter(|it| it.blocks() && !is_known(it))
        .map(|it| format!("{}: {}", it.code, it.evidence))
        .collect();
    (!new.is_empty()).then(|| Trouble::new(format!("found since the plan was made: {}", new.join("; "))))
}

/// A waiver that the unit was planned on and that no longer counts.
fn expired<'p>(plan: &'p Plan, unit: &Unit, now: Timestamp) -> Option<&'p Waiver> {
    plan.waived.iter().find(|it| it.expires <= now && unit.notices.iter().any(|finding| it.answers(finding)))
}
