//! `status`.

use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use super::place::{self, Place};
use crate::view;
use crate::view::run::Seen;

/// Show the runs of a journal, or one run with its waves, units and steps
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its name
    run: Option<String>,
    #[command(flatten)]
    place: Place,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let journal = args.place.open(printer).await?;
    match &args.run {
        Some(name) => {
            let seen = place::find(&journal, name).await?.seen()?;
            printer.show(args.output, &view::run::run(&seen), || Ok(view::run::json(&seen)))?;
        }
        None => {
            let all = place::all(&journal).await?.into_iter().map(place::Found::seen);
            let all: Vec<Seen> = all.collect::<Result<_, _>>()?;
            printer.show(args.output, &view::run::list(&all), || Ok(all.iter().map(view::run::json).collect()))?;
        }
    }
    Ok(Exit::Done)
}
