//! `close`.

use super::error::CommandError;
use super::exit::Exit;
use super::out::Printer;
use super::place::{self, Place};
use crate::journal::{Event, NewEntry, RunStatus, Scope, UnitStatus};
use crate::live::MachineClock;
use crate::ports::{Clock as _, JournalStore as _};
use crate::rollback::{self, Extent, RollbackError};

/// Give up what a run never started, and free its clusters for other plans
///
/// What the run did stays, and can still be undone with `rollback`. Nothing is sent to any cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its name
    run: String,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let journal = args.place.open(printer).await?;
    let found = place::find(&journal, &args.run).await?;
    let id = found.run.id.clone();
    if place::is_closed(&found)? {
        printer.say(&format!("Run {id} is closed already."));
        return Ok(Exit::Done);
    }
    if let Some(undo) = &found.undone_by {
        let message = format!("run {id} is being undone by run {}, which is not finished", undo.id);
        return Err(
            CommandError::new(Exit::Refused, message).hint(format!("`irsa-migrate rollback {id}` goes on with it"))
        );
    }
    let status = RunStatus::of(&found.entries)?;
    let in_the_middle = |it: &&crate::plan::Unit| {
        matches!(status.unit(&it.id.0, it.steps.len()), UnitStatus::Partial | UnitStatus::InDoubt | UnitStatus::Failed)
    };
    // A unit that failed before it sent anything has nothing to undo, and may go no further.
    let undo = rollback::plan(&id, &found.file.digest, &found.file.plan, &found.entries, &Extent::Run);
    // What a rollback has not undone can be rolled back again by another one.
    let is_untouched = matches!(undo, Err(RollbackError::Nothing | RollbackError::IsRollback(_)));
    if let Some(unit) = found.file.plan.units.iter().find(in_the_middle).filter(|_| !is_untouched) {
        let message = format!("{} is neither done nor untouched, so the run cannot be closed", unit.id);
        return Err(CommandError::new(Exit::Incomplete, message)
            .hint(format!("go on with `irsa-migrate apply {id}`, or undo it with `irsa-migrate rollback {id}`")));
    }
    let seq = found.entries.last().map_or(1, |it| it.seq + 1);
    let detail = Some("closed by hand".to_owned());
    let closed = NewEntry { at: MachineClock::new().now(), scope: Scope::Run, event: Event::Closed, detail };
    journal.append(&id, seq, &closed).await?;
    printer.say(&format!("Run {id} is closed; its clusters are free for other plans."));
    Ok(Exit::Done)
}
