//! `pause`.

use super::error::CommandError;
use super::exit::Exit;
use super::out::Printer;
use super::place::{self, Place};
use crate::journal::{Event, NewEntry, Scope};
use crate::live::MachineClock;
use crate::ports::{Clock as _, JournalError, JournalStore as _};

/// Ask a live run to stop after the units in flight
///
/// The run stops with code 23, and goes on with `apply`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its name
    run: String,
    #[command(flatten)]
    place: Place,
}

/// The run writes entries too, and whoever takes a number first has it.
const ATTEMPTS: usize = 20;

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let journal = args.place.open(printer).await?;
    for _ in 0..ATTEMPTS {
        let found = place::find(&journal, &args.run).await?;
        if place::is_closed(&found)? {
            printer.say(&format!("Run {} is closed.", place::id(&found)));
            return Ok(Exit::Done);
        }
        let seq = found.entries.last().map_or(1, |it| it.seq + 1);
        let asked =
            NewEntry { at: MachineClock::new().now(), scope: Scope::Run, event: Event::PauseAsked, detail: None };
        match journal.append(&found.run.id, seq, &asked).await {
            Ok(()) => {
                printer.say(&format!("Run {} stops after the units in flight, if it is live.", found.run.id));
                return Ok(Exit::Done);
            }
            Err(JournalError::Locked(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::new(Exit::Locked, "the run writes to its journal all the time").hint("try again"))
}
