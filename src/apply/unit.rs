//! One unit: may it start, then its steps one after another.

use jiff::SignedDuration;

use super::run::has_ended;
use super::{Context, Halt, Progress, UnitEnd, precheck, step};
use crate::journal::{Event, Scope, UnitStatus};
use crate::plan::window::{Opening, opening};
use crate::plan::{Purpose, Unit, UnitId};
use crate::ports::{JournalStore, World};

/// Carries a unit out as far as it goes. `Err` stops the run.
pub(super) async fn carry_out<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
) -> Result<UnitEnd, Halt> {
    let before = context.recorder.unit(&unit.id.0, unit.steps.len());
    if has_ended(context.plan, before) {
        return Ok(UnitEnd::of(before));
    }
    if context.stop.is_asked() {
        return Err(Halt::Asked);
    }
    if let Some(why) = unmet_need(context, unit) {
        return refuse(context, unit, why).await;
    }
    if !fits(context, unit) {
        return Ok(end(context, unit, UnitEnd::NotNow, None));
    }
    context.emit(Progress::UnitStarted { unit: unit.id.clone() });
    if before == UnitStatus::Refused {
        // It is tried again: what was said of it no longer counts.
        context.record(Scope::Unit(unit.id.0.clone()), Event::Started, None).await?;
    }
    let fresh = matches!(before, UnitStatus::Pending | UnitStatus::Refused);
    if fresh
        && context.plan.purpose == Purpose::Migrate
        && let Some(trouble) = precheck::refusal(context, unit).await?
    {
        if trouble.denied {
            context.denied.set(true);
        }
        return refuse(context, unit, trouble.why).await;
    }
    // Looking may have taken long, and the window is judged at the moment of the start.
    if fresh && !fits(context, unit) {
        return Ok(end(context, unit, UnitEnd::NotNow, None));
    }
    for (index, step) in unit.steps.iter().enumerate() {
        let done = context.recorder.step(&unit.id.0, index).is_done();
        if !done && !step::carry_out(context, unit, index, step).await? {
            break;
        }
    }
    let after = context.recorder.unit(&unit.id.0, unit.steps.len());
    let detail = (after != UnitStatus::Done).then(|| context.recorder.detail(&unit.id.0)).flatten();
    Ok(end(context, unit, UnitEnd::of(after), detail))
}

fn end<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
    end: UnitEnd,
    detail: Option<String>,
) -> UnitEnd {
    context.emit(Progress::UnitEnded { unit: unit.id.clone(), end, detail });
    end
}

async fn refuse<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    unit: &Unit,
    why: String,
) -> Result<UnitEnd, Halt> {
    context.record(Scope::Unit(unit.id.0.clone()), Event::Refused, Some(why.clone())).await?;
    Ok(end(context, unit, UnitEnd::Refused, Some(why)))
}

/// A unit that this one needs and that is not done.
fn unmet_need<W: World, J: JournalStore>(context: &Context<'_, W, J>, unit: &Unit) -> Option<String> {
    let is_done = |need: &UnitId| {
        let steps = context.plan.unit(need).map_or(0, |it| it.steps.len());
        context.recorder.unit(&need.0, steps) == UnitStatus::Done
    };
    unit.needs.iter().find(|need| !is_done(need)).map(|need| format!("it needs {need}, which is not done"))
}

/// Whether it may start now: a window is open, and what it usually takes fits into what is left.
fn fits<W: World, J: JournalStore>(context: &Context<'_, W, J>, unit: &Unit) -> bool {
    if context.plan.purpose != Purpose::Migrate {
        return true;
    }
    let now = context.world.now();
    match opening(&context.plan.windows, now) {
        Ok(Opening::Always) => true,
        Ok(Opening::Until(until)) => {
            let expected = i64::try_from(unit.expected_seconds).unwrap_or(i64::MAX);
            now.checked_add(SignedDuration::from_secs(expected)).is_ok_and(|end| end <= until)
        }
        Ok(Opening::NotBefore(_)) | Err(_) => false,
    }
}
