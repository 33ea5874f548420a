//! `rollback`.

use super::access::Access;
use super::apply::{agreed, may_be_carried_out};
use super::carry_out::{carry_out, holder};
use super::error::CommandError;
use super::exit::Exit;
use super::file::{PlanFile, plan_of};
use super::out::{Printer, Shown, Told};
use super::place::{self, Found, Place};
use crate::apply::Options;
use crate::plan::{Plan, Purpose, Unit, UnitId, Work};
use crate::rollback::{self, Extent};
use crate::view;
use crate::view::Names;

/// Undo a run, a wave or a unit of it: shows the undo and asks, then carries it out
///
/// The undo is a plan of its own, of steps that the original plan already holds. Trust policies come back byte for
/// byte, pods go back to IRSA; what others changed since is left alone and reported. An undo that was interrupted
/// goes on with the same command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its name
    run: String,
    /// Undo this wave alone
    #[arg(long, conflicts_with = "unit")]
    wave: Option<String>,
    /// Undo this unit alone: a ServiceAccount as NAMESPACE/NAME or CLUSTER/NAMESPACE/NAME, or a role's name or ARN
    #[arg(long)]
    unit: Option<String>,
    /// Show the undo, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The digest of the undo's plan, as --dry-run prints it, or at least its first twelve digits
    #[arg(long, conflicts_with = "yes")]
    digest: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    access: Access,
    /// How to show the undo, and how to tell of it; with json, one object a line to stdout
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let journal = args.place.open(printer).await?;
    let found = place::find(&journal, &args.run).await?;
    let file = undo(&found, args, printer)?;
    may_be_carried_out(&file)?;
    if args.dry_run {
        let doc = view::plan::plan(&file.plan, &file.digest);
        printer.show(args.output, &doc, || view::plan::json(&file.plan, &file.digest))?;
        let digest = file.digest.short(12);
        printer.say(&format!(
            "This was the dry run: with --digest {digest} in place of --dry-run the same command carries it out."
        ));
        return Ok(Exit::Done);
    }
    if !args.yes {
        if args.digest.is_none() && printer.is_interactive() {
            printer.tell(&view::plan::plan(&file.plan, &file.digest));
        }
        let shown = "`rollback --dry-run` shows the undo and its digest; --yes asks no more";
        agreed(&file, args.digest.as_deref(), "Undo this?", shown, printer)?;
    }
    let settings = args.access.settings()?;
    let clusters: Vec<String> = file.plan.clusters.iter().map(|it| it.arn.to_string()).collect();
    let world = args.access.connect(&clusters, &settings).await?;
    printer.say(&format!("Journal: {}", journal.path().display()));
    let told = if args.output == Shown::Json { Told::Json } else { Told::Text };
    let options = Options { through: None, holder: holder() };
    let ended = carry_out(&world, &journal, &file, &options, told, printer).await;
    printer.say(&format!("Journal: {}", journal.path().display()));
    ended.map(|(_, exit)| exit)
}

/// The plan of the undo: of the one that is open already, or a new one.
fn undo(found: &Found, args: &Args, printer: Printer) -> Result<PlanFile, CommandError> {
    let original = &found.file.plan;
    let extent = match (&args.wave, &args.unit) {
        (Some(wave), _) => Extent::Wave(wave.clone()),
        (None, Some(word)) => Extent::Unit(unit(original, word)?),
        (None, None) => Extent::Run,
    };
    let Some(open) = &found.undone_by else { return plan(found, &extent) };
    let undo = plan_of(open.plan.clone().into_bytes())?;
    let name = &open.id;
    let is_whole = matches!(undo.plan.purpose, Purpose::Undo { whole: true, .. });
    // No more is undone than is asked for.
    if !undo.plan.units.iter().all(|it| extent.holds(original, &it.id)) {
        let first = format!("`irsa-migrate rollback {}` goes on with that one", found.run.id);
        let error = format!("run {name} undoes something else of it, and has not ended");
        return Err(CommandError::new(Exit::Locked, error).hint(first));
    }
    printer.say(&if extent == Extent::Run && !is_whole {
        format!("Run {name} undoes a part of it, and goes on; the same command undoes the rest then.")
    } else {
        format!("Run {name} undoes it already, and goes on.")
    });
    Ok(undo)
}

/// A new plan of an undo.
pub(crate) fn plan(found: &Found, extent: &Extent) -> Result<PlanFile, CommandError> {
    let plan = rollback::plan(&found.run.id, &found.file.digest, &found.file.plan, &found.entries, extent)?;
    plan_of(plan.to_bytes()?)
}

/// The unit that a person means.
fn unit(plan: &Plan, word: &str) -> Result<UnitId, CommandError> {
    let names = Names::of(plan);
    let is_meant = |unit: &&Unit| {
        unit.id.0 == word
            || match &unit.work {
                Work::Role(work) => work.role_arn.as_str() == word || names.role(&work.role_arn) == word,
                Work::ServiceAccount(work) => {
                    let subject = &work.subject;
                    names.subject(subject) == word
                        || subject.to_string() == word
                        || format!("{}/{}", subject.namespace, subject.service_account) == word
                }
            }
    };
    let meant: Vec<&Unit> = plan.units.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [unit] => Ok(unit.id.clone()),
        [] => Err(CommandError::usage(format!("the run has no unit {word:?}"))
            .hint("`irsa-migrate status RUN` lists its units")),
        several => {
            let called: Vec<String> = several.iter().map(|it| names.unit(it)).collect();
            Err(CommandError::usage(format!("{word:?} may mean several units"))
                .hint(format!("give one of {}", called.join(", "))))
        }
    }
}
