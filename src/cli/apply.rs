//! `apply`.

use std::path::PathBuf;

use super::access::Access;
use super::carry_out::{carry_out, holder};
use super::error::CommandError;
use super::exit::Exit;
use super::file::{self, PlanFile, plan_of};
use super::out::{Printer, Told};
use super::place::{self, Place};
use crate::apply::{Ending, Options, Why};
use crate::plan::Plan;
use crate::plan::check::check;
use crate::plan::settings::OnFailure;
use crate::ports::{JournalStore, World};
use crate::rollback::{self, Extent, RollbackError};
use crate::view;

/// Carry out a plan, or go on with its run
///
/// The plan is carried out as it was reviewed: nothing here changes it. Where there is no terminal to ask, --digest
/// says which plan is meant. Ctrl-C stops after the call in flight; a second one stops at once. Either way the run
/// goes on with the same command, or is undone with `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan's file, or a run of the journal to go on with
    #[arg(value_name = "PLAN|RUN")]
    plan: PathBuf,
    /// The plan's digest, or at least its first twelve digits, as the reviewer quotes it
    #[arg(long)]
    digest: Option<String>,
    /// Stop after this wave; `prepare` is the first
    #[arg(long, value_name = "WAVE")]
    through: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    access: Access,
    /// How to tell of it: text to stderr, or one JSON object a line to stdout
    #[arg(short, long, value_enum, default_value_t)]
    output: Told,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let (file, digest) = if place::may_be_run(&args.plan) {
        let name = args.plan.to_string_lossy().into_owned();
        let journal = args.place.open(printer).await?;
        // A run's whole name is the beginning of its plan's digest.
        (place::find(&journal, &name).await?.file, args.digest.clone().or(Some(name).filter(|it| it.len() >= 12)))
    } else {
        (file::plan(&args.plan)?, args.digest.clone())
    };
    may_be_carried_out(&file)?;
    known_wave(args.through.as_deref(), &file.plan)?;
    if file.plan.units.is_empty() {
        printer.say("There is nothing to do in this plan.");
        return Ok(Exit::Done);
    }
    let shown = "`irsa-migrate show PLAN` prints the plan and its digest";
    agreed(&file, digest.as_deref(), "Carry this plan out?", shown, printer)?;
    let settings = args.access.settings()?;
    let clusters: Vec<String> = file.plan.clusters.iter().map(|it| it.arn.to_string()).collect();
    let world = args.access.connect(&clusters, &settings).await?;
    let journal = args.place.make(printer).await?;
    let options = Options { through: args.through.clone(), holder: holder() };
    let run = Run { world, journal, told: args.output, printer };
    let exit = run.to_its_end(&file, &options).await;
    printer.say(&format!("Journal: {}", run.journal.path().display()));
    exit
}

/// A run on its way.
struct Run<W, J> {
    world: W,
    journal: J,
    told: Told,
    printer: Printer,
}

impl<W: World, J: JournalStore> Run<W, J> {
    /// Carries the plan out, and undoes what failed where the plan says so.
    async fn to_its_end(&self, file: &PlanFile, options: &Options) -> Result<Exit, CommandError> {
        let (ending, mut exit) = self.carry_out(file, options).await?;
        if file.plan.rules.on_failure != OnFailure::UndoUnit || !matches!(ending.why, Why::Failed | Why::Gate(..)) {
            return Ok(exit);
        }
        for unit in &ending.unwell {
            self.printer.say(&format!("Unit {unit} is undone, for the plan says so (on_failure = \"undo-unit\")."));
            let found = place::find(&self.journal, ending.run.as_str()).await?;
            let extent = Extent::Unit(unit.clone());
            let undo =
                match rollback::plan(&found.run.id, &found.file.digest, &found.file.plan, &found.entries, &extent) {
                    Ok(undo) => plan_of(undo.to_bytes()?)?,
                    // What failed was only looked at: another's association, adopted.
                    Err(RollbackError::Nothing) => continue,
                    Err(error) => return Err(error.into()),
                };
            let options = Options { through: None, ..options.clone() };
            let (_, undone) = self.carry_out(&undo, &options).await?;
            exit = exit.or(undone);
            // Stopped, or stuck: whoever runs `rollback` again goes on with this one, and nothing else begins.
            if undone != Exit::Done {
                break;
            }
        }
        Ok(exit)
    }

    async fn carry_out(&self, file: &PlanFile, options: &Options) -> Result<(Ending, Exit), CommandError> {
        carry_out(&self.world, &self.journal, file, options, self.told, self.printer).await
    }
}

/// A plan file is input like any other: what does not hold is said before anybody is asked.
pub(crate) fn may_be_carried_out(file: &PlanFile) -> Result<(), CommandError> {
    let problems = check(&file.plan);
    let Some(first) = problems.first() else { return Ok(()) };
    let more = if problems.len() > 1 { format!(" (and {} more)", problems.len() - 1) } else { String::new() };
    Err(CommandError::usage(format!("the plan does not hold: {first}{more}"))
        .hint("it was changed since it was made, or made by hand: plan again"))
}

fn known_wave(wave: Option<&str>, plan: &Plan) -> Result<(), CommandError> {
    let Some(wave) = wave else { return Ok(()) };
    if plan.waves.iter().any(|it| it.name == wave) {
        return Ok(());
    }
    let names: Vec<&str> = plan.waves.iter().map(|it| it.name.as_str()).collect();
    Err(CommandError::usage(format!("the plan has no wave {wave:?}")).hint(format!("its waves: {}", names.join(", "))))
}

/// Whether a person has said yes to exactly this plan: by its digest, or by answering. `shown` says how to see it
/// where nobody can be asked.
pub(crate) fn agreed(
    file: &PlanFile,
    digest: Option<&str>,
    question: &str,
    shown: &str,
    printer: Printer,
) -> Result<(), CommandError> {
    if let Some(quote) = digest {
        if file.digest.is_quoted_by(quote) {
            return Ok(());
        }
        let short = quote.trim_start_matches("sha256:").len() < 12;
        let error = CommandError::usage(format!("the plan's digest is {}, and not {quote}", file.digest));
        return Err(error.hint(if short {
            "at least its first twelve digits are wanted"
        } else {
            "this is not the plan that was reviewed"
        }));
    }
    if !printer.is_interactive() {
        let message = "there is no terminal to ask, so --digest must say which plan was reviewed";
        return Err(CommandError::usage(message).hint(shown));
    }
    printer.tell(&view::plan::in_short(&file.plan, &file.digest));
    if printer.ask(question) {
        return Ok(());
    }
    Err(CommandError::usage("not agreed to: nothing was done"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::WorkloadKind;
    use crate::plan::{Settings, Work, plan};
    use crate::scan::{Wanted, scan};
    use crate::sim::NeverReady;
    use crate::sim::build::Builder;

    /// Two Deployments whose pods are never Ready on Pod Identity, side by side.
    fn two_that_fail() -> (crate::sim::Sim, PlanFile) {
        let mut builder = Builder::new().cluster("blue");
        for name in ["cart", "stock"] {
            builder = builder.role(name, &[("shop", name)]).service_account("shop", name, Some(name)).workload_with(
                WorkloadKind::Deployment,
                "shop",
                name,
                name,
                1,
                |it| it.never_ready = Some(NeverReady::OnPodIdentity),
            );
        }
        let sim = builder.sim();
        let wanted =
            sim.world().cluster_arns().into_iter().map(|arn| Wanted { arn, context: None }).collect::<Vec<_>>();
        let inventory = sim.run(async { scan(&sim, &wanted, &mut |_| {}).await }).unwrap().unwrap();
        let settings = Settings::parse("[[wave]]\nname = \"all\"\n[apply]\non_failure = \"undo-unit\"").unwrap();
        let file = plan_of(plan(&inventory, &settings).unwrap().to_bytes().unwrap()).unwrap();
        (sim, file)
    }

    /// How many runs there are once the plan was carried out, and the exit code.
    fn runs(sim: &crate::sim::Sim, file: &PlanFile) -> (usize, Exit) {
        // Signals are listened to.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _here = runtime.enter();
        let run = Run { world: sim.clone(), journal: sim.journal(), told: Told::Text, printer: Printer::new() };
        let options = Options { through: None, holder: "test".to_owned() };
        let exit = sim.run(run.to_its_end(file, &options)).unwrap().unwrap();
        (sim.run(run.journal.runs()).unwrap().unwrap().len(), exit)
    }

    #[test]
    fn each_unit_that_failed_is_undone_and_after_an_undo_that_did_not_end_none() {
        let (sim, file) = two_that_fail();
        assert_eq!(runs(&sim, &file), (3, Exit::Incomplete));
        for unit in &file.plan.units {
            if let Work::ServiceAccount(work) = &unit.work {
                assert!(sim.world().association_now(&work.subject).is_none(), "{} is undone", work.subject);
                assert_eq!(sim.world().pods_on_pod_identity(&work.subject), 0, "{} is undone", work.subject);
            }
        }

        let (sim, file) = two_that_fail();
        sim.world().deny("delete_association");
        let (runs, exit) = runs(&sim, &file);
        assert_eq!((runs, exit), (2, Exit::Stuck), "nothing begins beside an undo that is stuck");
    }
}
