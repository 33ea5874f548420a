//! What is looked at before a unit's first write: the pinned facts, and its findings once more.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::wait::answer;
use super::{Broken, Context, Halt, Trouble};
use crate::findings::{self, Code, Finding};
use crate::inventory::{Inventory, Workload, WorkloadKind};
use crate::plan::settings::Waiver;
use crate::plan::{Plan, PlanCluster, SubjectWork, Unit, Work};
use crate::ports::{JournalStore, PortError, World};
use crate::scan::{self, ScanError, Wanted};

/// Why the unit must not start; `None` if it may.
pub(super) async fn refusal<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
) -> Result<Option<Trouble>, Halt> {
    match &unit.work {
        // A role's only pinned facts are its id and its document, and its step looks at both.
        Work::Role(_) => Ok(None),
        Work::ServiceAccount(work) => match moved(context, work).await {
            Ok(moved) if moved.is_empty() => findings(context, unit, work).await,
            Ok(moved) => Ok(Some(Trouble::new(format!("moved since the plan was made: {}", moved.join("; "))))),
            // What could not be read says nothing about the unit: the run waits, and the unit is not refused.
            Err(Broken::Step(trouble)) => {
                context.denied.set(context.denied.get() || trouble.denied);
                Err(Halt::Blind(trouble.why))
            }
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

/// How often the findings are computed again while something could not be read, or may pass by itself.
const LOOKS: u64 = 5;

/// The findings of the ServiceAccount, computed again: a blocker that the plan does not know was not
/// there when it was made, or the ServiceAccount would have been held.
async fn findings<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
    work: &SubjectWork,
) -> Result<Option<Trouble>, Halt> {
    let now = context.world.now();
    if let Some(waiver) = expired(context.plan, unit, now) {
        let (code, until) = (waiver.code, waiver.expires);
        return Ok(Some(Trouble::new(format!("the waiver of {code} ran out at {until}"))));
    }
    let is_known = |new: &Finding| unit.notices.iter().any(|it| it.code == new.code && it.subject == new.subject);
    let words = |it: &Finding| format!("{}: {}", it.code, it.evidence);
    let mut look = 1;
    loop {
        let shared = shared(context).await?;
        let inventory = scan::subject(context.world, &shared, &work.subject).await;
        let mut new = findings::of_subject(&inventory, &work.subject);
        new.retain(|it| it.blocks() && !is_known(it));
        if new.is_empty() {
            return Ok(None);
        }
        if let Some(unread) = new.iter().find(|it| it.code == Code::Unread) {
            if look == LOOKS {
                return Err(Halt::Blind(words(unread)));
            }
            // It may have been what all units share that could not be read: the next look reads it anew.
            *context.shared.borrow_mut() = None;
        } else if look == LOOKS || !new.iter().all(|it| it.code.may_pass()) {
            let all: Vec<String> = new.iter().map(words).collect();
            return Ok(Some(Trouble::new(format!("found since the plan was made: {}", all.join("; ")))));
        }
        context.world.sleep(Duration::from_secs(1 << look)).await;
        look += 1;
    }
}

/// What the findings of all units share, read once for all of them.
async fn shared<W: World, J: JournalStore>(context: &Context<'_, W, J>) -> Result<Rc<Inventory>, Halt> {
    if let Some(shared) = context.shared.borrow().as_ref() {
        return Ok(shared.clone());
    }
    let cluster = |it: &PlanCluster| Wanted { arn: it.arn.clone(), context: None };
    let wanted: Vec<Wanted> = context.plan.clusters.iter().map(cluster).collect();
    let mut look = 1;
    let shared = loop {
        match scan::shared(context.world, &wanted, &mut |_| {}).await {
            Ok(shared) => break Rc::new(shared),
            Err(ScanError::Caller(PortError::Credentials(why))) => return Err(Halt::Credentials(why)),
            Err(error) if look == LOOKS => return Err(Halt::Blind(error.to_string())),
            Err(_) => context.world.sleep(Duration::from_secs(1 << look)).await,
        }
        look += 1;
    };
    *context.shared.borrow_mut() = Some(shared.clone());
    Ok(shared)
}

/// A waiver that the unit was planned on and that no longer counts.
fn expired<'p>(plan: &'p Plan, unit: &Unit, now: Timestamp) -> Option<&'p Waiver> {
    plan.waived.iter().find(|it| it.expires <= now && unit.notices.iter().any(|finding| it.answers(finding)))
}
