//! One run of one plan, from wave to wave.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures::future::{Either, select};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::ending::{Ending, Why, ending, paused};
use super::lease::Leases;
use super::record::Recorder;
use super::wait::patiently;
use super::{ApplyError, Context, Halt, Options, Progress, Stop, UnitEnd, gate, unit};
use crate::journal::{Event, Run, RunId, RunStatus, Scope, UnitStatus};
use crate::model::Digest;
use crate::plan::check::{Problem, check, check_undo};
use crate::plan::window::next_longer_than;
use crate::plan::{Plan, Purpose, Unit, Wave, Work};
use crate::ports::{JournalStore, World};

/// Carries a plan out: opens its run, or goes on with it.
///
/// # Errors
/// The plan does not hold, the world is not the plan's, somebody else writes to it, the journal
/// cannot be used. Nothing was sent then. Everything later is in the [`Ending`].
pub async fn apply<W: World, J: JournalStore>(
    world: &W,
    journal: &J,
    bytes: &[u8],
    options: &Options,
    stop: &Stop,
    emit: &mut dyn FnMut(Progress),
) -> Result<Ending, ApplyError> {
    let plan = Plan::from_bytes(bytes).map_err(|error| ApplyError::Plan(error.to_string()))?;
    holds(&check(&plan))?;
    if let Some(wave) = &options.through
        && !plan.waves.iter().any(|it| it.name == *wave)
    {
        return Err(ApplyError::NoSuchWave(wave.clone()));
    }
    let digest = Digest::of(bytes);
    let id = RunId::of(&digest);
    if let Some(ending) = ended_already(journal, &plan, &id).await? {
        return Ok(ending);
    }
    let actor = recognise(world, &plan, stop, emit).await?;
    let leases = Leases::new(world, &plan, format!("{id} {}", options.holder));
    leases.take(stop, emit).await?;
    // From here on the leases are given back whatever happens.
    let ran = match open(journal, &plan, bytes, digest, actor, world.now()).await {
        // Whoever held the lease has finished the run while it was waited for.
        Ok((status, _)) if status.is_closed() => {
            leases.release().await;
            Ok(ending(&plan, &id, Why::Ended, false, |unit| status.unit(&unit.id.0, unit.steps.len())))
        }
        Ok((status, undone)) => {
            let context = Context {
                world,
                plan: &plan,
                recorder: Recorder::new(journal, id.clone(), status),
                undone: undone.map(|(run, status)| Recorder::new(journal, run, status)),
                leases,
                shared: RefCell::new(None),
                stop,
                emit: RefCell::new(emit),
                next_start: Cell::new(Duration::ZERO),
                denied: Cell::new(false),
            };
            let ending = carry_out(&context, &id, options).await;
            context.leases.release().await;
            ending
        }
        Err(error) => {
            leases.release().await;
            Err(error)
        }
    }?;
    Ok(ran)
}

/// A run that is closed is not opened again: what was undone stays undone.
async fn ended_already<J: JournalStore>(journal: &J, plan: &Plan, id: &RunId) -> Result<Option<Ending>, ApplyError> {
    let runs = journal.runs().await?;
    if let Some(undo) = runs.iter().find(|it| !it.closed && it.reverts.as_ref() == Some(id)) {
        return Err(ApplyError::Ended(format!("run {id} is being undone by run {}, which is not finished", undo.id)));
    }
    let Some(run) = runs.iter().find(|it| it.id == *id) else { return Ok(None) };
    let status = RunStatus::of(&journal.entries(id).await?)?;
    if !status.is_closed() && !run.closed {
        return Ok(None);
    }
    Ok(Some(ending(plan, id, Why::Ended, false, |unit| status.unit(&unit.id.0, unit.steps.len()))))
}

/// Whether the credentials and the clusters are those that the plan was made for.
async fn recognise<W: World>(
    world: &W,
    plan: &Plan,
    stop: &Stop,
    emit: &mut dyn FnMut(Progress),
) -> Result<String, ApplyError> {
    let caller = patiently(world, stop, emit, async || world.caller().await).await?;
    if caller.account != plan.account {
        return Err(ApplyError::WrongWorld(format!(
            "the plan is for account {}, and these credentials are of account {}",
            plan.account, caller.account
        )));
    }
    for cluster in &plan.clusters {
        let facts = patiently(world, stop, emit, async || world.cluster(&cluster.arn).await).await?;
        if facts.issuer.as_ref() != Some(&cluster.issuer) {
            let now = facts.issuer.map_or_else(|| "none".to_owned(), |it| it.to_string());
            return Err(ApplyError::WrongWorld(format!(
                "cluster {} had issuer {} and now has {now}: it was deleted and made again",
                cluster.arn, cluster.issuer
            )));
        }
        let own = patiently(world, stop, emit, async || world.own_issuer(&cluster.arn).await).await?;
        if own != cluster.issuer {
            return Err(ApplyError::WrongWorld(format!(
                "the API server reached for cluster {} has issuer {own}, and the cluster's is {}",
                cluster.arn, cluster.issuer
            )));
        }
    }
    Ok(caller.arn)
}

fn holds(problems: &[Problem]) -> Result<(), ApplyError> {
    problems.first().map_or(Ok(()), |first| Err(ApplyError::Plan(first.to_string())))
}

/// An undo is one that was reviewed with the plan of the run that it undoes, whoever made it.
async fn is_reviewed<J: JournalStore>(journal: &J, plan: &Plan) -> Result<(), ApplyError> {
    let Purpose::Undo { run, plan: digest, .. } = &plan.purpose else { return Ok(()) };
    let undone = journal.run(run).await?;
    let unlike = || ApplyError::Plan(format!("run {run}, which it undoes, is not of the plan that it names"));
    if undone.plan_digest != *digest {
        return Err(unlike());
    }
    let original = Plan::from_bytes(undone.plan.as_bytes()).map_err(|_| unlike())?;
    holds(&check_undo(plan, &original))
}

/// Opens the run in the journal, or finds it there.
async fn open<J: JournalStore>(
    journal: &J,
    plan: &Plan,
    bytes: &[u8],
    digest: Digest,
    actor: String,
    now: Timestamp,
) -> Result<(RunStatus, Option<(RunId, RunStatus)>), ApplyError> {
    let id = RunId::of(&digest);
    let text = std::str::from_utf8(bytes).map_err(|error| ApplyError::Plan(error.to_string()))?;
    let run = Run {
        id: id.clone(),
        plan_digest: digest,
        plan: text.to_owned(),
        reverts: match &plan.purpose {
            Purpose::Migrate => None,
            Purpose::Undo { run, .. } => Some(run.clone()),
        },
        clusters: plan.clusters.iter().map(|it| it.arn.clone()).collect(),
        actor,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        opened_at: now,
        closed: false,
    };
    is_reviewed(journal, plan).await?;
    journal.open_run(&run).await?;
    let status = RunStatus::of(&journal.entries(&id).await?)?;
    let undone = match run.reverts {
        Some(other) => Some((other.clone(), RunStatus::of(&journal.entries(&other).await?)?)),
        None => None,
    };
    Ok((status, undone))
}

async fn carry_out<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    id: &RunId,
    options: &Options,
) -> Result<Ending, ApplyError> {
    let work = std::pin::pin!(waves(context, id, options));
    let keep = std::pin::pin!(context.leases.keep());
    let why = match select(work, keep).await {
        Either::Left((why, _)) => why,
        // The lease is lost. Work sees that before its next write; the call in flight finishes.
        Either::Right((_, work)) => work.await,
    };
    let why = match why {
        Ok(why) => why,
        Err(Halt::Asked) => Why::Asked,
        Err(Halt::Credentials(why)) => Why::Credentials(why),
        Err(Halt::Locked(why)) => Why::Locked(why),
        Err(Halt::Blind(why)) => Why::Blind(why),
        Err(Halt::Journal(error)) => Why::Journal(error),
        Err(Halt::Illegal(error)) => return Err(error.into()),
    };
    // A pause is worth an entry where the journal still takes one.
    if let Some(text) = paused(&why) {
        let _ = context.record(Scope::Run, Event::Paused, Some(text.clone())).await;
        context.emit(Progress::Paused { why: text });
    }
    let unit = |unit: &Unit| context.recorder.unit(&unit.id.0, unit.steps.len());
    Ok(ending(context.plan, id, why, context.denied.get(), unit))
}

async fn waves<W: World, J: JournalStore>(
    context: &Context<'_, W, J>,
    id: &RunId,
    options: &Options,
) -> Result<Why, Halt> {
    let resumed = context.recorder.has_started();
    context.record(Scope::Run, Event::Started, None).await?;
    context.emit(Progress::RunStarted { run: id.clone(), resumed });
    for wave in &context.plan.waves {
        if !context.recorder.wave_passed(&wave.name)
            && let Some(why) = one_wave(context, wave).await?
        {
            return Ok(why);
        }
        if options.through.as_ref() == Some(&wave.name) && !is_last(context.plan, wave) {
            return Ok(Why::Through(wave.name.clone()));
        }
    }
    // A rollback that could not undo all of it stays open, so that it can be run again.
    let status = |unit: &Unit| context.recorder.unit(&unit.id.0, unit.steps.len());
    if !context.plan.units.iter().all(|unit| has_ended(context.plan, status(unit))) {
        return Ok(Why::Failed);
    }
    finish(context).await?;
    Ok(Why::Ended)
}

/// Whether the run has nothing more to do with a unit. What a rollback was refused is left to undo,
/// and is tried again.
pub(super) fn has_ended(plan: &Plan, status: UnitStatus) -> bool {
    status.is_ended() && (plan.purpose == Purpose::Migrate || status != UnitStatus::Refused)
}

fn is_last(plan: &Plan, wave: &Wave) -> bool {
    plan.waves.last().is_some_and(|it| it.name == wave.name)
}

/// One wave: its units side by side, then its gate. Gives why the run stops here, if it does.
async fn one_wave<W: World, J: JournalStore>(context: &Context<'_, W, J>, wave: &Wave) -> Result<Option<Why>, Halt> {
    let status = |unit: &Unit| context.recorder.unit(&unit.id.0, unit.steps.len());
    let units: Vec<&Unit> = wave.units.iter().filter_map(|id| context.plan.unit(id)).collect();
    let todo: Vec<&Unit> = units.iter().copied().filter(|unit| !has_ended(context.plan, status(unit))).collect();
    context.record(Scope::Wave(wave.name.clone()), Event::Started, None).await?;
    context.emit(Progress::WaveStarted { wave: wave.name.clone(), units: todo.len() });
    let roles_alone = units.iter().all(|it| matches!(it.work, Work::Role(_)));
    let limit = context.plan.numbers.side_by_side(roles_alone);
    // Units that run already are carried on to a clean stop, so that all ends are collected first.
    let asked = Cell::new(false);
    // The shortest that a unit takes of those that no window is open for.
    let waits = Cell::new(None);
    let ends: Vec<Result<UnitEnd, Halt>> = stream::iter(todo)
        .map(async |unit| {
            if asked.get() || context.recorder.pause_asked().await? {
                asked.set(true);
                return Ok(UnitEnd::Stopped);
            }
            let end = unit::carry_out(context, unit).await?;
            match end {
                UnitEnd::Done => note_undone(context, unit).await?,
                UnitEnd::NotNow => waits.set(Some(waits.get().unwrap_or(u64::MAX).min(unit.expected_seconds))),
                UnitEnd::Refused | UnitEnd::Failed | UnitEnd::Stopped => {}
            }
            Ok(end)
        })
        .buffer_unordered(limit)
        .collect()
        .await;
    ends.into_iter().collect::<Result<Vec<_>, _>>()?;
    if units.iter().any(|unit| status(unit).blocks_next_wave()) {
        return Ok(Some(Why::Failed));
    }
    if asked.get() {
        return Ok(Some(Why::Asked));
    }
    if let Some(seconds) = waits.get() {
        let at = next_longer_than(&context.plan.windows, context.world.now(), seconds);
        return Ok(Some(Why::Window(at)));
    }
    if let Some(unit) = units.iter().find(|unit| !has_ended(context.plan, status(unit))) {
        // Later waves may hold what does not depend on it, and that is undone all the same.
        let why = format!("{} is not undone", unit.id);
        context.record(Scope::Wave(wave.name.clone()), Event::Failed, Some(why.clone())).await?;
        context.emit(Progress::WaveEnded { wave: wave.name.clone(), passed: false, detail: Some(why) });
        return Ok(None);
    }
    let trouble = gate::pass(context, wave).await?;
    let event = if trouble.is_none() { Event::Succeeded } else { Event::Failed };
    let detail = trouble.as_ref().map(|it| it.why.clone());
    context.record(Scope::Wave(wave.name.clone()), event, detail.clone()).await?;
    context.emit(Progress::WaveEnded { wave: wave.name.clone(), passed: trouble.is_none(), detail });
    Ok(trouble.map(|it| Why::Gate(it.why, it.unit)))
}

/// Tells the run that is being undone that a unit of it is.
async fn note_undone<W: World, J: JournalStore>(context: &Context<'_, W, J>, unit: &Unit) -> Result<(), Halt> {
    let Some(undone) = &context.undone else { return Ok(()) };
    if undone.unit(&unit.id.0, unit.steps.len()) == UnitStatus::Undone {
        return Ok(());
    }
    let by = Some(format!("undone by run {}", context.recorder.run()));
    undone.add(context.world.now(), Scope::Unit(unit.id.0.clone()), Event::Undone, by).await
}

/// Closes the run, and the one that it undid as a whole.
async fn finish<W: World, J: JournalStore>(context: &Context<'_, W, J>) -> Result<(), Halt> {
    let is_done = |unit: &&Unit| context.recorder.unit(&unit.id.0, unit.steps.len()) == UnitStatus::Done;
    // Once more, for a process that died between the two journals' entries.
    for unit in context.plan.units.iter().filter(is_done) {
        note_undone(context, unit).await?;
    }
    let all_done = context.plan.units.iter().all(|unit| is_done(&unit));
    let whole = matches!(&context.plan.purpose, Purpose::Undo { whole: true, .. });
    if let Some(undone) = &context.undone
        && whole
        && all_done
        && !undone.is_closed()
    {
        undone.add(context.world.now(), Scope::Run, Event::Closed, Some("undone".to_owned())).await?;
    }
    context.record(Scope::Run, Event::Closed, None).await?;
    context.emit(Progress::Closed);
    Ok(())
}
