//! `rehearse`.

use std::path::{Path, PathBuf};

use super::apply::may_be_carried_out;
use super::error::CommandError;
use super::exit::Exit;
use super::file::{self, PlanFile};
use super::out::{Printer, Shown, Spinner};
use crate::inventory::Inventory;
use crate::plan::Purpose;
use crate::rehearse::{self, Faults, Report, Telling};
use crate::view;

/// The inventory that is looked for beside a plan.
const INVENTORY: &str = "inventory.json";

/// How many cases go by until the next is told of.
const CASES_BETWEEN: usize = 250;

/// Rehearse a plan on a simulated twin of its inventory: nothing real is touched
///
/// The twin has the clusters, roles, ServiceAccounts, workloads and pods of the inventory that the plan was made from.
/// On it the whole plan is carried out and undone, in the twin's own time, which waits for windows. Then each call, and
/// each entry of the journal, is made to fail in every way, on one unit of each shape; after each of these the run goes
/// on, is undone, or both. The report says how long each wave would take, how long pods would get no fresh
/// credentials during an undo, which units would not end, and whether a promise was broken.
///
/// No credentials are needed, and nothing is sent anywhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan's file
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// The inventory that it was made from; without it, inventory.json beside the plan
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Leave the faults out: carry the whole plan out and undo it, once
    #[arg(long)]
    without_faults: bool,
    /// How to show the report
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let file = file::plan(&args.plan)?;
    if file.plan.purpose != Purpose::Migrate {
        return Err(CommandError::usage("this plan undoes a run, and what that run did is in no inventory")
            .hint("rehearse the plan of the run: its undo is rehearsed with it"));
    }
    may_be_carried_out(&file)?;
    let inventory = inventory(args, &file)?;
    if file.plan.units.is_empty() {
        printer.say("There is nothing to do in this plan.");
        return Ok(Exit::Done);
    }
    let mut teller = Teller { spinner: printer.spinner(), printer, shape: 0 };
    let faults = if args.without_faults { Faults::None } else { Faults::Every };
    let report = rehearse::rehearse(&file.plan, &file.digest, &inventory, faults, &mut |it| teller.tell(&it))?;
    teller.spinner.end();
    let doc = view::rehearsal::report(&report, &file.plan);
    printer.show(args.output, &doc, || serde_json::to_value(&report))?;
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if report.number_of_broken() > 0 {
        Exit::BrokenPromise
    } else if report.is_complete() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}

/// The inventory that the plan was made from, and no other.
fn inventory(args: &Args, file: &PlanFile) -> Result<Inventory, CommandError> {
    let beside = args.plan.parent().unwrap_or(Path::new("")).join(INVENTORY);
    let path = match &args.inventory {
        Some(path) => path,
        None if beside.exists() => &beside,
        None => {
            let message = format!("there is no {INVENTORY} beside the plan");
            return Err(
                CommandError::usage(message).hint("--inventory names the inventory that the plan was made from")
            );
        }
    };
    let inventory = file::inventory(path)?;
    let digest = inventory.digest()?;
    if digest == file.plan.inventory {
        return Ok(inventory);
    }
    let (shown, wanted, found) = (path.display(), file.plan.inventory.short(12), digest.short(12));
    let message = format!("{shown} is inventory {found}, and the plan was made from inventory {wanted}");
    Err(CommandError::usage(message)
        .hint("--inventory names the one that the plan was made from; if it is lost, scan and plan again"))
}

/// Says how far it is: at the foot of a terminal, else a line now and then.
struct Teller {
    printer: Printer,
    spinner: Spinner,
    /// The shape that was told of last.
    shape: usize,
}

impl Teller {
    fn tell(&mut self, telling: &Telling<'_>) {
        match telling {
            Telling::Unit { done, of } => self.step(&format!("the whole plan: {done} of {of} units"), *done == 1),
            Telling::Undone { done, of } => self.step(&format!("its undo: {done} of {of} units"), *done == 1),
            Telling::Watched { done, of } => self.step(&format!("role by role, watched: {done} of {of}"), *done == 1),
            Telling::Cases { number, of, shape, tried } => {
                let first = *number != self.shape;
                self.shape = *number;
                if first || tried % CASES_BETWEEN == 0 {
                    self.step(&format!("faults on shape {number} of {of} ({shape}): {tried} cases"), first);
                }
            }
        }
    }

    /// Where nothing can be painted over, the beginnings alone are told.
    fn step(&self, what: &str, first: bool) {
        self.spinner.tell(what);
        if first && !self.printer.has_terminal() {
            let what = what.rsplit_once(": ").map_or(what, |it| it.0);
            self.printer.say(&format!("Rehearsing {what}"));
        }
    }
}
