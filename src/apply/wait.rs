//! Waiting for what cannot be hurried: look, tell, watch or sleep, and look again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::{Broken, Context, Halt, Progress, Stop, Trouble};
use crate::plan::{Step, UnitId};
use crate::ports::{Answer, JournalStore, PortError, Sight, World};

/// How long one watch lasts at most: as late as somebody who asks to stop may be heard, a lost lease
/// be noticed and the time that it takes be told.
const WATCH: Duration = Duration::from_secs(5);

/// One step's time: how long it has taken, and how long it may.
pub(super) struct Patience<'a, 'c, W, J> {
    pub(super) context: &'a Context<'c, W, J>,
    unit: &'a UnitId,
    step: &'a Step,
    began: Duration,
    /// The last error that may pass, to be told when time is up.
    last_error: RefCell<Option<String>>,
    /// How many writes ended with one of those. The reads between them say nothing about the writes: where
    /// each look takes what a rate leaves, only a longer wait lets a write through.
    refused: Cell<u32>,
}

impl<'a, 'c, W: World, J: JournalStore> Patience<'a, 'c, W, J> {
    pub(super) fn begin(context: &'a Context<'c, W, J>, unit: &'a UnitId, step: &'a Step) -> Self {
        let began = context.world.monotonic();
        Self { context, unit, step, began, last_error: RefCell::new(None), refused: Cell::new(0) }
    }

    /// How long it has taken.
    pub(super) fn spent(&self) -> Duration {
        self.context.world.monotonic().saturating_sub(self.began)
    }

    /// Sleeps until the next look, unless time is up. `on` says what is being waited for.
    pub(super) async fn pause(&self, on: &str, interval: Duration) -> Result<(), Broken> {
        self.may_wait(on)?;
        self.context.world.sleep(interval).await;
        Ok(())
    }

    /// Waits until something is no longer as it was seen, unless time is up. Where that cannot be
    /// watched, it sleeps.
    pub(super) async fn watch(&self, on: &str, seen: Sight<'_>) -> Result<(), Broken> {
        self.may_wait(on)?;
        match self.context.world.changed(seen, WATCH).await {
            Ok(()) => Ok(()),
            Err(PortError::Credentials(why)) => Err(Halt::Credentials(why).into()),
            Err(_) => {
                self.context.world.sleep(Duration::from_secs(self.context.plan.numbers.probe_interval)).await;
                Ok(())
            }
        }
    }

    fn may_wait(&self, on: &str) -> Result<(), Broken> {
        if self.context.stop.is_asked() {
            return Err(Halt::Asked.into());
        }
        self.context.leases.check().map_err(Halt::Locked)?;
        let spent = self.spent();
        if spent.as_secs() >= self.step.timeout_seconds {
            let error = self.last_error.borrow().clone();
            let because = error.map(|it| format!("; the last error was: {it}")).unwrap_or_default();
            let seconds = spent.as_secs();
            return Err(Trouble::new(format!("no success in {seconds} s while waiting for {on}{because}")).into());
        }
        self.context.emit(Progress::Waiting {
            unit: self.unit.clone(),
            step: self.step.name.clone(),
            on: on.to_owned(),
            seconds: spent.as_secs(),
            at_most_seconds: self.step.timeout_seconds,
        });
        Ok(())
    }

    /// Bears with an error of a write, longer each time.
    pub(super) async fn endure(&self, error: PortError) -> Result<(), Broken> {
        let before = self.refused.get();
        self.refused.set(before + 1);
        self.bear(error, before).await
    }

    /// Sleeps over an error that may pass, twice as long after each one before up to half a minute, so that a
    /// throttled API recovers; ends the step on any other, and the run where credentials ran out.
    async fn bear(&self, error: PortError, before: u32) -> Result<(), Broken> {
        if let PortError::Credentials(why) = error {
            return Err(Halt::Credentials(why).into());
        }
        if !error.is_passing() {
            return Err(Trouble::from(error).into());
        }
        *self.last_error.borrow_mut() = Some(error.to_string());
        let seconds = (1_u64 << before.min(5)).min(30);
        self.pause("an answer", Duration::from_secs(seconds)).await.map_err(|broken| match broken {
            Broken::Step(trouble) => Broken::Step(Trouble { unanswered: true, ..trouble }),
            Broken::Run(halt) => Broken::Run(halt),
        })
    }

    /// Asks until there is an answer.
    pub(super) async fn ask<T>(&self, call: impl AsyncFn() -> Answer<T>) -> Result<T, Broken> {
        let mut before = 0;
        loop {
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.bear(error, before).await?,
            }
            before += 1;
        }
    }
}

/// How often a read outside any step is tried: some two minutes, the pauses included.
const TRIES: u32 = 8;

/// Asks for what is read outside any step, and bears with errors that may pass.
pub(super) async fn answer<T, W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    call: impl AsyncFn() -> Answer<T>,
) -> Result<T, Broken> {
    match patiently(context.world, context.stop, &mut |it| context.emit(it), call).await {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_passing() && context.stop.is_asked() => Err(Halt::Asked.into()),
        Err(PortError::Credentials(why)) => Err(Halt::Credentials(why).into()),
        Err(error) => Err(Trouble::from(error).into()),
    }
}

/// The same, before there is a run. Each time that there is no answer is told, and may be the last if
/// somebody asks to stop.
pub(super) async fn patiently<T, W: World>(
    world: &W,
    stop: &Stop,
    emit: &mut dyn FnMut(Progress),
    call: impl AsyncFn() -> Answer<T>,
) -> Answer<T> {
    let mut tries = 0;
    loop {
        match call().await {
            Err(error) if error.is_passing() && tries < TRIES && !stop.is_asked() => {
                tries += 1;
                let seconds = (1 << tries.min(5)).min(30);
                emit(Progress::Unanswered { error: error.to_string(), seconds });
                world.sleep(Duration::from_secs(seconds)).await;
            }
            answer => return answer,
        }
    }
}
