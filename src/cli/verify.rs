//! `verify`.

use super::access::Access;
use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use super::place::{self, Place};
use super::scan;
use crate::journal::RunStatus;
use crate::{verify, view};

/// Look whether every ServiceAccount of a run is on Pod Identity, and who is still on IRSA
///
/// Ends with code 10 if something is not moved yet, or is not well.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its name
    run: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    access: Access,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let journal = args.place.open(printer).await?;
    let found = place::find(&journal, &args.run).await?;
    let (plan, status) = (&found.file.plan, RunStatus::of(&found.entries)?);
    let settings = args.access.settings()?;
    let clusters: Vec<String> = plan.clusters.iter().map(|it| it.arn.to_string()).collect();
    let world = args.access.connect(&clusters, &settings).await?;
    let inventory = scan::read(&world, &scan::wanted(&world), printer).await?;
    let checked = verify::verify(plan, &status, &inventory);
    printer.show(args.output, &view::verified(plan, &checked), || serde_json::to_value(&checked))?;
    Ok(if verify::is_complete(&checked) { Exit::Done } else { Exit::ChangesPending })
}
