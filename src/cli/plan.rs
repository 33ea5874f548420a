//! `plan`.

use std::path::PathBuf;

use super::access::Access;
use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use super::{file, scan};
use crate::model::Digest;
use crate::plan::{self, PlanError, Settings};
use crate::view;

/// Plan a migration: the dry run
///
/// Shows what would be done, in which order, what will not and why. Nothing is changed. The plan's file is what
/// `apply` takes; its digest is what a reviewer quotes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The inventory to plan from
    #[arg(long, value_name = "FILE", conflicts_with = "cluster", required_unless_present = "cluster")]
    inventory: Option<PathBuf>,
    /// A cluster to scan now, by its ARN, or by its name with --region; may be repeated
    #[arg(long, value_name = "ARN|NAME")]
    cluster: Vec<String>,
    #[command(flatten)]
    access: Access,
    /// Where to write the plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
    /// End with code 10 if there is something to do, and with 11 if not and something is held
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let (settings, found) = file::settings(args.access.settings_file())?;
    if let Some(path) = found.filter(|_| args.access.settings_file().is_none()) {
        printer.say(&format!("Settings: {}", path.display()));
    }
    let inventory = match &args.inventory {
        Some(path) => file::inventory(path)?,
        None => {
            let world = args.access.connect(&args.cluster, &settings).await?;
            scan::read(&world, &scan::wanted(&world), printer).await?
        }
    };
    let plan = make(&inventory, &settings)?;
    let bytes = plan.to_bytes()?;
    let digest = Digest::of(&bytes);
    if let Some(path) = &args.out {
        file::write(path, &bytes)?;
        printer.say(&format!("Plan: {}", path.display()));
    }
    printer.show(args.output, &view::plan::plan(&plan, &digest), || view::plan::json(&plan, &digest))?;
    Ok(match (args.exit_code, plan.units.is_empty(), plan.held.is_empty()) {
        (false, ..) | (true, true, true) => Exit::Done,
        (true, false, _) => Exit::ChangesPending,
        (true, true, false) => Exit::Held,
    })
}

/// A plan from an inventory.
pub(crate) fn make(
    inventory: &crate::inventory::Inventory,
    settings: &Settings,
) -> Result<crate::plan::Plan, CommandError> {
    plan::plan(inventory, settings).map_err(|error| match error {
        PlanError::Window(error) => CommandError::usage(format!("the settings cannot be used: {error}")),
        PlanError::Json(error) => error.into(),
    })
}
