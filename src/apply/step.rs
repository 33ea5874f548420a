//! One step: look, act, and wait until it is seen.

use std::time::Duration;

use super::wait::Patience;
use super::{Broken, Context, End, Halt, Progress, Trouble, association, effective, evict, restart, trust};
use crate::inventory::Pod;
use crate::journal::{Event, Scope, StepStatus};
use crate::plan::{Condition, Purpose, Request, Step, Target, Unit, Work};
use crate::ports::{Answer, JournalStore, PortError, World};

/// A step on its way.
pub(super) struct Way<'a, 'c, W, J> {
    pub(super) unit: &'a Unit,
    pub(super) step: &'a Step,
    pub(super) patience: Patience<'a, 'c, W, J>,
    index: usize,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// As before the step.
    Before,
    /// As after it.
    After,
    /// Neither.
    Drift(String),
}

/// Which answer counts only if it stays the same throughout the settle time: one that a lag could
/// have made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// None: nothing of ours can be under way.
    No,
    /// `Before`: a call of ours may have been sent, and may yet be seen.
    Before,
    /// `After`: something that we are about to undo may yet be seen.
    After,
}

/// Carries one step out and journals its outcome.
pub(super) async fn carry_out<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
    index: usize,
    step: &Step,
) -> Result<bool, Halt> {
    let way = Way { unit, step, patience: Patience::begin(context, &unit.id, step), index };
    context.emit(Progress::StepStarted {
        unit: unit.id.clone(),
        step: step.name.clone(),
        expected_seconds: step.expected_seconds,
    });
    let end = match way.drive().await {
        Ok(end) => end,
        Err(Broken::Run(halt)) => return Err(halt),
        Err(Broken::Step(trouble)) if way.status().may_be_ours() => End::Failed(way.naming_who_is_left(trouble).await),
        // A read that is denied or has no answer tells nothing of the unit: the run waits for it.
        Err(Broken::Step(trouble)) if trouble.denied || trouble.unanswered => {
            context.denied.set(context.denied.get() || trouble.denied);
            return Err(Halt::Blind(trouble.why));
        }
        Err(Broken::Step(trouble)) => End::Refused(trouble),
    };
    way.finish(end).await
}

impl<'c, W: World, J: JournalStore> Way<'_, 'c, W, J> {
    pub(super) fn context(&self) -> &Context<'c, W, J> {
        self.patience.context
    }

    pub(super) fn world(&self) -> &W {
        self.context().world
    }

    fn scope(&self) -> Scope {
        Scope::Step { unit: self.unit.id.0.clone(), step: self.index }
    }

    pub(super) fn status(&self) -> StepStatus {
        self.context().recorder.step(&self.unit.id.0, self.index)
    }

    /// Writes ahead that something may be sent from now on. Once is enough.
    pub(super) async fn start(&self) -> Result<(), Broken> {
        if self.status() != StepStatus::InDoubt {
            self.context().record(self.scope(), Event::Started, None).await?;
        }
        Ok(())
    }

    /// Writes ahead one of several calls of this step, by its key.
    pub(super) async fn sending(&self, key: String) -> Result<(), Broken> {
        self.context().record(self.scope(), Event::Sending, Some(key)).await?;
        Ok(())
    }

    /// How often a look is taken while something settles or rolls.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.context().plan.numbers.probe_interval)
    }

    async fn drive(&self) -> Result<End, Broken> {
        // Taken up again: from here on no trouble may be called a refusal, for something was sent.
        if self.status().may_be_ours() {
            self.start().await?;
        }
        match &self.step.write {
            None => self.start().await?,
            Some(Request::AddTrust { .. }) => {
                if let Some(end) = trust::add(self).await? {
                    return Ok(end);
                }
            }
            Some(Request::RemoveTrust { .. }) => trust::remove(self).await?,
            Some(Request::CreateAssociation { subject, role_arn, tags, token }) => {
                association::create(self, subject, role_arn, tags, token).await?;
            }
            Some(Request::DeleteAssociation { subject, role_arn, tags }) => {
                association::delete(self, subject, role_arn, tags).await?;
            }
            Some(Request::Restart { .. } | Request::Unrestart { .. }) => return restart::drive(self).await,
            Some(Request::Evict { .. }) => return evict::drive(self).await,
        }
        self.until(&self.step.until).await
    }

    /// Waits until a condition is seen.
    async fn until(&self, condition: &Condition) -> Result<End, Broken> {
        let detail = match condition {
            Condition::TrustSeen { .. } => trust::seen(self).await.map(|()| None),
            Condition::TrustSettled { .. } => trust::settled(self).await.map(|()| None),
            Condition::TrustRestored { .. } => trust::restored(self).await,
            Condition::RoleUnused { role_arn, subjects, clusters } => {
                association::role_unused(self, role_arn, subjects, clusters).await.map(|()| None)
            }
            Condition::AssociationSeen { subject, role_arn } => {
                association::seen(self, subject, role_arn).await.map(|()| None)
            }
            Condition::AssociationGone { subject } => association::gone(self, subject).await.map(|()| None),
            Condition::IrsaWorks { subject, role_arn, issuer, audience } => {
                trust::irsa_works(self, subject, role_arn, issuer, audience).await.map(|()| None)
            }
            Condition::Effective { subject, role_arn, to, template } => {
                effective::wait(self, subject, role_arn, *to, template.as_ref()).await
            }
            Condition::WorkloadMoved { subject, workload, role_arn, to } => {
                restart::wait_moved(self, subject, workload, role_arn, *to).await.map(|()| None)
            }
            Condition::SubjectMoved { subject, role_arn, to, workloads } => {
                restart::wait_subject(self, subject, role_arn, *to, workloads).await.map(|()| None)
            }
        }?;
        Ok(End::Succeeded(detail))
    }

    /// Looks, and sends until the call was answered or a look finds `After`; the step's patience ends
    /// it. `false` if it was `After` before anything was sent.
    pub(super) async fn write(
        &self,
        first_doubt: Doubt,
        settle: u64,
        look: impl AsyncFn() -> Result<Look, Broken>,
        send: impl AsyncFn() -> Answer<()>,
    ) -> Result<bool, Broken> {
        let (mut doubt, mut sent) = (first_doubt, false);
        loop {
            match self.settled_look(doubt, settle, &look).await? {
                Look::After => return Ok(sent),
                Look::Drift(why) => return Err(Trouble::new(why).into()),
                Look::Before => {}
            }
            // What is sent is decided by a look right before: others may have written while this was waited for.
            if let Some(condition) = &self.step.when {
                self.until(condition).await?;
                if look().await? != Look::Before {
                    continue;
                }
            }
            self.context().may_write()?;
            self.start().await?;
            sent = true;
            match send().await {
                Ok(()) => return Ok(true),
                // Another was faster, or an earlier answer of ours was lost: look again.
                Err(PortError::Conflict(_) | PortError::NotFound(_)) => {
                    doubt = Doubt::Before;
                    self.patience.pause("the world to be looked at again", self.interval()).await?;
                }
                Err(error) => {
                    if error.may_have_happened() {
                        doubt = Doubt::Before;
                    }
                    self.patience.endure(error).await?;
                }
            }
        }
    }

    /// One look; where its answer is in doubt, looks until it has stayed the same for so long.
    async fn settled_look(
        &self,
        doubt: Doubt,
        settle: u64,
        look: &impl AsyncFn() -> Result<Look, Broken>,
    ) -> Result<Look, Broken> {
        let mut first = look().await?;
        let mut since = self.world().monotonic();
        loop {
            let doubtful = match (&first, doubt) {
                (Look::Before, Doubt::Before) | (Look::After, Doubt::After) | (Look::Drift(_), Doubt::Before) => true,
                (Look::Before | Look::After | Look::Drift(_), _) => false,
            };
            let stood = self.world().monotonic().saturating_sub(since).as_secs();
            if !doubtful || stood >= settle {
                return Ok(first);
            }
            self.patience
                .pause("one unchanged answer", Duration::from_secs(2).min(Duration::from_secs(settle)))
                .await?;
            let next = look().await?;
            if next != first {
                first = next;
                since = self.world().monotonic();
            }
        }
    }

    async fn finish(&self, end: End) -> Result<bool, Halt> {
        let (event, detail, done) = match end {
            End::Succeeded(detail) => (Event::Succeeded, detail, true),
            End::Unneeded(why) => (Event::Unneeded, Some(why), true),
            End::Refused(trouble) => (Event::Refused, Some(self.note(trouble)), false),
            End::Failed(trouble) => (Event::Failed, Some(self.note(trouble)), false),
        };
        self.context().record(self.scope(), event, detail.clone()).await?;
        self.context().emit(Progress::StepEnded {
            unit: self.unit.id.clone(),
            step: self.step.name.clone(),
            outcome: event,
            detail,
        });
        Ok(done)
    }

    /// A rollback that is stuck names each pod that it has not brought back: it may be without credentials.
    async fn naming_who_is_left(&self, trouble: Trouble) -> Trouble {
        let (Purpose::Undo { .. }, Work::ServiceAccount(work)) = (&self.context().plan.purpose, &self.unit.work) else {
            return trouble;
        };
        let is_left = |it: &Pod| !it.terminating && !Target::Irsa.is_reached(&it.mode, &work.role_arn);
        let left = match self.world().pods_of(&work.subject).await {
            Ok(pods) => pods.into_iter().filter(is_left).map(|it| format!("{} ({})", it.name, it.mode)).collect(),
            Err(error) => vec![format!("its pods could not be listed ({error})")],
        };
        let left = if left.is_empty() { String::new() } else { format!("; not on IRSA: {}", left.join(", ")) };
        Trouble { why: format!("{}{left}", trouble.why), ..trouble }
    }

    fn note(&self, trouble: Trouble) -> String {
        if trouble.denied {
            self.context().denied.set(true);
        }
        trouble.why
    }
}
