//! `demo`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::carry_out::holder;
use super::error::CommandError;
use super::exit::Exit;
use super::file::{self, OutFile, PlanFile, plan_of};
use super::out::{Printer, Shown};
use super::place::{self, Found};
use super::{plan, rollback, scan, wait};
use crate::apply::{self, Ending, Options, Progress, Stop};
use crate::inventory::Inventory;
use crate::journal::{Entry, NewEntry, Run, RunStatus};
use crate::live::SqliteJournal;
use crate::plan::Settings;
use crate::ports::{Clock as _, JournalStore as _};
use crate::rollback::Extent;
use crate::scan::Wanted;
use crate::sim::{MemoryJournal, Sim, State, fleet};
use crate::verify;
use crate::view;
use crate::view::doc::{Doc, Line, good, line, name};
use crate::view::progress::Teller;

/// See a whole migration and its rollback on a made-up fleet: no account, no cluster
///
/// Two simulated clusters with a dozen ServiceAccounts are scanned, planned, migrated, verified and rolled back, by
/// the same code that does it for real ones, in the simulated world's own time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder to keep the inventory, the plan and the journal in, for plan, show, rehearse and status
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let kept = args.out.as_deref().map(Kept::new).transpose()?;
    let demo = Demo { world: fleet(), printer };
    let journal = demo.world.journal();
    let before = demo.world.world().state();

    demo.chapter("1. Scan", "irsa-migrate scan --cluster ARN --cluster ARN --out inventory.json")?;
    let inventory = demo.scan()?;
    printer.show(Shown::Text, &view::inventory::inventory(&inventory, &inventory.digest()?), || Ok(().into()))?;

    demo.chapter("2. Plan: the dry run", "irsa-migrate plan --inventory inventory.json --out plan.json")?;
    let file = plan_of(plan::make(&inventory, &Settings::default())?.to_bytes()?)?;
    printer.show(Shown::Text, &view::plan::plan(&file.plan, &file.digest), || Ok(().into()))?;

    demo.chapter("3. Apply", &format!("irsa-migrate apply plan.json --digest {}", file.digest.short(12)))?;
    let applied = demo.carry_out(&journal, &file)?;

    let run = applied.run.as_str();
    demo.chapter("4. Verify", &format!("irsa-migrate verify {run}"))?;
    demo.verify(&journal, run)?;

    demo.chapter("5. Roll back", &format!("irsa-migrate rollback {run}"))?;
    let undo = rollback::plan(&demo.find(&journal, run)?, &Extent::Run)?;
    printer.show(Shown::Text, &view::plan::in_short(&undo.plan, &undo.digest), || Ok(().into()))?;
    printer.data("\n")?;
    demo.carry_out(&journal, &undo)?;

    demo.chapter("6. Compare the world with what it was", "")?;
    let exit = demo.compare(&before)?;
    if let Some(kept) = kept {
        let runs = demo.runs(&journal)?;
        wait(kept.write(&inventory, &file, runs, printer))?;
    }
    Ok(exit)
}

/// Where the demo's files are kept.
struct Kept {
    inventory: OutFile,
    plan: OutFile,
    journal: PathBuf,
}

impl Kept {
    /// A folder that is there or can be made, and holds no journal yet: a journal is never written over.
    fn new(folder: &Path) -> Result<Self, CommandError> {
        file::folder(folder)?;
        let journal = folder.join("journal.db");
        if journal.exists() {
            let message = format!("{} is there already", journal.display());
            return Err(CommandError::usage(message).hint("name a folder that is empty or is not there yet"));
        }
        let file = |name: &str| OutFile::at(&folder.join(name));
        Ok(Self { inventory: file("inventory.json")?, plan: file("plan.json")?, journal })
    }

    async fn write(
        self,
        inventory: &Inventory,
        plan: &PlanFile,
        runs: Vec<(Run, Vec<Entry>)>,
        printer: Printer,
    ) -> Result<Exit, CommandError> {
        self.inventory.write(&inventory.to_bytes()?)?;
        self.plan.write(&plan.bytes)?;
        let journal = SqliteJournal::open(&self.journal).await?;
        for (run, entries) in runs {
            journal.open_run(&run).await?;
            for Entry { seq, at, scope, event, detail } in entries {
                journal.append(&run.id, seq, &NewEntry { at, scope, event, detail }).await?;
            }
        }
        printer.say(&format!("Kept: {}, {} and {}", self.inventory, self.plan, self.journal.display()));
        Ok(Exit::Done)
    }
}

struct Demo {
    world: Sim,
    printer: Printer,
}

impl Demo {
    fn chapter(&self, title: &'static str, command: &str) -> Result<(), CommandError> {
        let mut doc = Doc::default();
        doc.heading(1, title);
        if !command.is_empty() {
            doc.para(line!["$ ", name(command)]);
        }
        self.printer.data("\n")?;
        self.show(&doc)?;
        self.printer.data("\n")
    }

    fn show(&self, doc: &Doc) -> Result<(), CommandError> {
        self.printer.show(Shown::Text, doc, || Ok(().into()))
    }

    /// Waits for something in the simulated world, whose time passes meanwhile.
    fn wait<T>(&self, work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
        self.world.run(work).map_err(|error| CommandError::new(Exit::Unexpected, error.to_string()))?
    }

    fn scan(&self) -> Result<Inventory, CommandError> {
        let arns = self.world.world().cluster_arns();
        let wanted: Vec<Wanted> = arns.into_iter().map(|arn| Wanted { arn, context: None }).collect();
        self.wait(scan::read(&self.world, &wanted, self.printer))
    }

    /// The runs of the journal, each with its entries.
    fn runs(&self, journal: &MemoryJournal) -> Result<Vec<(Run, Vec<Entry>)>, CommandError> {
        self.wait(async {
            let mut all = Vec::new();
            for run in journal.runs().await? {
                let entries = journal.entries(&run.id).await?;
                all.push((run, entries));
            }
            Ok(all)
        })
    }

    fn find(&self, journal: &MemoryJournal, run: &str) -> Result<Found, CommandError> {
        self.wait(place::find(journal, run))
    }

    /// Carries a plan out, each event with the simulated time.
    fn carry_out(&self, journal: &MemoryJournal, file: &PlanFile) -> Result<Ending, CommandError> {
        let teller = RefCell::new(Teller::new(&file.plan, self.printer.stdout_look(), false));
        let mut emit = |progress: Progress| {
            if let Some(line) = teller.borrow_mut().tell(&progress)
                && is_worth_a_line(&progress)
            {
                let time = self.world.now().strftime("%H:%M:%S");
                // Whoever watches may have gone; the demo ends all the same.
                let _ = self.printer.data(&format!("{time} {line}\n"));
            }
        };
        let options = Options { through: None, holder: holder() };
        let stop = Stop::default();
        let ending = self
            .wait(async { Ok(apply::apply(&self.world, journal, &file.bytes, &options, &stop, &mut emit).await?) })?;
        self.printer.data("\n")?;
        self.show(&view::run::ending(&ending))?;
        let exit = Exit::of_ending(&ending);
        if exit == Exit::Done {
            return Ok(ending);
        }
        Err(CommandError::new(exit, "the demo did not go as it should"))
    }

    fn verify(&self, journal: &MemoryJournal, run: &str) -> Result<(), CommandError> {
        let inventory = self.scan()?;
        let found = self.find(journal, run)?;
        let checked = verify::verify(&found.file.plan, &RunStatus::of(&found.entries)?, &inventory);
        self.show(&view::verified(&found.file.plan, &checked))?;
        if verify::is_complete(&checked) {
            return Ok(());
        }
        Err(CommandError::new(Exit::Incomplete, "the demo did not move every ServiceAccount of its plan"))
    }

    fn compare(&self, before: &State) -> Result<Exit, CommandError> {
        let after = self.world.world().state();
        let differences = before.differences(&after);
        let mut doc = Doc::default();
        if differences.is_empty() {
            let pods: usize = after.modes.values().flat_map(|it| it.values()).sum();
            let (trusts, associations) = (after.trusts.len(), after.associations.len());
            doc.para(line![
                good("Everything is as before: "),
                format!(
                    "{trusts} trust policies byte for byte, the associations that others had made ({associations}), no \
                 stamp of ours, and {pods} pods on the credentials that they had."
                )
            ]);
            self.show(&doc)?;
            return Ok(Exit::Done);
        }
        doc.list(differences.into_iter().map(|it| Line::from(name(it))));
        self.show(&doc)?;
        Err(CommandError::new(Exit::Stuck, "the world is not as before"))
    }
}

/// Starts are told for those who wait; here nobody does.
fn is_worth_a_line(progress: &Progress) -> bool {
    !matches!(progress, Progress::UnitStarted { .. } | Progress::StepStarted { .. } | Progress::Waiting { .. })
}
