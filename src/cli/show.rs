//! `show`.

use std::path::PathBuf;

use serde::Deserialize;

use super::apply::may_be_carried_out;
use super::error::CommandError;
use super::exit::Exit;
use super::file;
use super::out::{Printer, Shown};
use super::place::{self, Place};
use crate::model::{Format, Kind};
use crate::view;

/// Show a plan, an inventory, or the plan of a run
///
/// Of a plan the digest comes first: what a reviewer quotes, and what `apply --digest` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or a run of the journal
    #[arg(value_name = "FILE|RUN")]
    what: PathBuf,
    #[command(flatten)]
    place: Place,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    if place::may_be_run(&args.what) {
        let journal = args.place.open(printer).await?;
        let found = place::find(&journal, &args.what.to_string_lossy()).await?;
        return plan(&found.file, args.output, printer);
    }
    let bytes = file::read(&args.what, "the file", file::MOST_OF_AN_INVENTORY)?;
    if kind(&bytes) == Some(Kind::Inventory) {
        let inventory = file::inventory(&args.what)?;
        let digest = inventory.digest()?;
        let doc = view::inventory::inventory(&inventory, &digest);
        printer.show(args.output, &doc, || serde_json::to_value(&inventory))?;
        return Ok(Exit::Done);
    }
    plan(&file::plan(&args.what)?, args.output, printer)
}

fn plan(it: &file::PlanFile, output: Shown, printer: Printer) -> Result<Exit, CommandError> {
    printer.show(output, &view::plan::plan(&it.plan, &it.digest), || view::plan::json(&it.plan, &it.digest))?;
    // Whoever reviews a plan that nobody may carry out should not have to apply it to be told so.
    may_be_carried_out(it).map(|()| Exit::Done)
}

/// What a file says that it is.
fn kind(bytes: &[u8]) -> Option<Kind> {
    #[derive(Deserialize)]
    struct Head {
        format: Format,
    }
    serde_json::from_slice::<Head>(bytes).ok().map(|it| it.format.kind)
}
