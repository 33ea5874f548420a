//! `plan`.

use std::path::PathBuf;

use super::access::Access;
use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use super::{file, scan};
use crate::inventory::Inventory;
use crate::model::Digest;
use crate::plan::settings::Waiver;
use crate::plan::{self, Plan, PlanError, Settings};
use crate::view;

/// Plan a migration: the dry run
///
/// Shows what would be done, in which order, what will not and why. Nothing is changed. The plan's file is what
/// `apply` takes; its digest is what a reviewer quotes.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("from").args(["inventory", "cluster"]).required(true)))]
pub(crate) struct Args {
    /// The inventory to plan from
    #[arg(long, value_name = "FILE")]
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
    for unused in unused_waivers(&settings, &inventory, &plan) {
        printer.say(&unused);
    }
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

/// The waivers that answer for nothing, each with the reason: a misspelt subject looks like an answer that was given.
fn unused_waivers(settings: &Settings, inventory: &Inventory, plan: &Plan) -> Vec<String> {
    let unused = settings.waivers.iter().filter(|it| !plan.waived.contains(it));
    let told = |it: &Waiver| {
        let why = if it.expires <= inventory.taken_at {
            "it had expired when the inventory was taken"
        } else if !it.code.explain().waivable {
            "no waiver counts for this finding"
        } else {
            "there is no such finding about it"
        };
        let place = it.cluster.as_ref().map(|it| format!(" in {}", it.name())).unwrap_or_default();
        format!("The waiver of {} for {}{place} is not used: {why}.", it.code, it.subject)
    };
    unused.map(told).collect()
}

/// A plan from an inventory.
pub(crate) fn make(inventory: &Inventory, settings: &Settings) -> Result<Plan, CommandError> {
    plan::plan(inventory, settings).map_err(|error| match error {
        PlanError::Window(error) => CommandError::usage(format!("the settings cannot be used: {error}")),
        PlanError::Json(error) => error.into(),
    })
}
