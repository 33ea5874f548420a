//! `plan`.

use std::path::PathBuf;

use super::access::Access;
use super::error::CommandError;
use super::exit::Exit;
use super::file::OutFile;
use super::out::{Printer, Shown};
use super::{file, scan};
use crate::inventory::Inventory;
use crate::model::{Digest, RoleArn};
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
    let out = args.out.as_deref().map(OutFile::at).transpose()?;
    if let (Some(out), Some(inventory)) = (&out, &args.inventory)
        && out.is(inventory)
    {
        let message = format!("--out {out} is the inventory, and would be overwritten");
        return Err(CommandError::usage(message).hint("give the plan a name of its own"));
    }
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
    for unused in unused(&settings, &inventory, &plan) {
        printer.say(&unused);
    }
    let bytes = plan.to_bytes()?;
    let digest = Digest::of(&bytes);
    if let Some(out) = out {
        out.write(&bytes)?;
        printer.say(&format!("Plan: {out}"));
        if args.inventory.is_none() {
            printer.say("Its inventory is not kept, and `rehearse` needs it: `scan --out` keeps one to plan from.");
        }
    }
    printer.show(args.output, &view::plan::plan(&plan, &digest), || view::plan::json(&plan, &digest))?;
    Ok(match (args.exit_code, plan.units.is_empty(), plan.held.is_empty()) {
        (false, ..) | (true, true, true) => Exit::Done,
        (true, false, _) => Exit::ChangesPending,
        (true, true, false) => Exit::Held,
    })
}

/// What the settings say of nothing that is there: a misspelt name looks like an answer that was given.
fn unused(settings: &Settings, inventory: &Inventory, plan: &Plan) -> Vec<String> {
    let mut unused = unused_waivers(settings, inventory, plan);
    let roles = [
        ("trust.roles", settings.trust.roles.keys().collect::<Vec<_>>()),
        ("owners.roles", settings.owners.roles.keys().collect()),
    ];
    for (table, roles) in roles {
        let absent = roles.into_iter().filter(|it| is_absent(it, inventory));
        unused.extend(
            absent.map(|it| format!("[{table}] is about {it}, which is no role that a web identity might assume.")),
        );
    }
    let of_nobody = settings.waves.iter().filter(|rule| plan.waves.iter().all(|wave| wave.name != rule.name));
    unused.extend(of_nobody.map(|it| format!("Wave {:?} of the settings selects nobody who is moved.", it.name)));
    unused
}

/// Whether the account's roles were read and this is none of them.
fn is_absent(role: &RoleArn, inventory: &Inventory) -> bool {
    let roles = inventory.accounts.get(&role.account()).and_then(|it| it.roles.get());
    roles.is_some_and(|roles| roles.iter().all(|it| it.arn != *role))
}

/// The waivers that answer for nothing, each with the reason.
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
