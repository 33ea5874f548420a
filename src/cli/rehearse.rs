//! `rehearse`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::apply::may_be_carried_out;
use super::error::CommandError;
use super::exit::Exit;
use super::file::{self, PlanFile};
use super::out::{Printer, Shown, Spinner};
use crate::inventory::Inventory;
use crate::plan::Purpose;
use crate::rehearse::{self, Faults, Report, Telling};
use crate::view;
use crate::view::words::{count, seconds};

/// The inventory that is looked for beside a plan.
const INVENTORY: &str = "inventory.json";

/// How long cases are tried until their speed is worth a word.
const SPEED_KNOWN: Duration = Duration::from_secs(5);

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
    let mut teller = Teller::new(printer);
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

/// Says how far it is: at the foot of a terminal, else a line for each part that begins or ends.
struct Teller {
    printer: Printer,
    spinner: Spinner,
    /// The part that was told of last: a run goes on in the same part after a window was waited for.
    part: &'static str,
    /// Since when faults are tried.
    since: Instant,
    shapes: usize,
    shapes_done: usize,
    cases: usize,
}

impl Teller {
    fn new(printer: Printer) -> Self {
        let (spinner, since) = (printer.spinner(), Instant::now());
        Self { printer, spinner, part: "", since, shapes: 0, shapes_done: 0, cases: 0 }
    }

    fn tell(&mut self, telling: &Telling<'_>) {
        match telling {
            Telling::Unit { done, of } => self.part("the whole plan", *done, *of, "units"),
            Telling::Undone { done, of } => self.part("its undo", *done, *of, "units"),
            Telling::Watched { done, of } => self.part("role by role, watched", *done, *of, "roles"),
            Telling::Counted { shapes, cases } => {
                (self.since, self.shapes, self.cases) = (Instant::now(), *shapes, *cases);
                let what = format!("{} on {}", count(*cases, "case"), count(*shapes, "shape"));
                self.spinner.say(&format!("Rehearsing faults: {what}; --without-faults leaves them out"));
            }
            Telling::Begun { number, shape, cases } => {
                self.line(&format!(
                    "Rehearsing shape {number} of {} ({shape}): {}",
                    self.shapes,
                    count(*cases, "case")
                ));
            }
            Telling::Tried { cases } => self.spinner.tell(&self.so_far(*cases)),
            Telling::Ended { number, trial } => {
                self.shapes_done += 1;
                let found = match (&trial.skipped, trial.failed) {
                    (Some(why), _) => format!("not tried: {why}"),
                    (None, 0) => "all well".to_owned(),
                    (None, failed) => format!("a promise was broken in {}", count(failed, "case")),
                };
                let tried = count(trial.cases(), "case");
                self.line(&format!("Rehearsed shape {number} of {}: {tried}, {found}", self.shapes));
            }
        }
    }

    fn part(&mut self, part: &'static str, done: usize, of: usize, what: &str) {
        self.spinner.tell(&format!("{part}: {done} of {of} {what}"));
        if part != self.part {
            self.part = part;
            self.line(&format!("Rehearsing {part}"));
        }
    }

    /// How many cases were tried, since when, and how long the others would take at that speed.
    fn so_far(&self, tried: usize) -> String {
        let (cases, shapes_done, shapes) = (self.cases, self.shapes_done, self.shapes);
        let took = self.since.elapsed();
        let left = if took < SPEED_KNOWN {
            String::new()
        } else {
            let left = took.as_secs().saturating_mul(cases.saturating_sub(tried) as u64) / tried.max(1) as u64;
            format!(", about {} left", seconds(left))
        };
        let took = seconds(took.as_secs());
        format!("faults: {tried} of {cases} cases, {shapes_done} of {shapes} shapes; {took}{left}")
    }

    /// A line where nothing can be painted over.
    fn line(&self, line: &str) {
        if !self.printer.has_terminal() {
            self.printer.say(line);
        }
    }
}
