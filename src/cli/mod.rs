//! The command line: one file a command, each with its help, its arguments and one function.
//!
//! A command reads, calls the core, shows, and gives an exit code. Only here are
//! stages put together, and only here and in [`crate::view`] is anything printed.

mod access;
mod apply;
mod carry_out;
mod close;
mod completions;
mod demo;
mod error;
pub mod exit;
mod explain;
mod file;
mod interrupt;
mod out;
mod pause;
mod permissions;
mod place;
mod plan;
mod rehearse;
mod rollback;
mod scan;
mod show;
mod status;
mod trust;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use error::CommandError;
use exit::Exit;
use out::Printer;

/// Move Amazon EKS workloads from IRSA to EKS Pod Identity, and back at any moment
///
/// The way: scan the clusters, plan, have the plan reviewed, apply it, watch its status; roll it back if need be.
/// Nothing but apply and rollback ever changes anything, and both carry out a plan that was shown before.
#[derive(Debug, Parser)]
#[command(name = "irsa-migrate", version, after_help = EXIT_CODES, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 unexpected; 2 usage or bad input; 10 changes pending and 11 something held \
(plan --exit-code); 12 a rehearsal broke a promise; 20 refused, the world moved; 21 incomplete; 22 an undo is stuck; \
23 paused; 24 locked; 30 denied.";

#[derive(Debug, Subcommand)]
enum Command {
    Scan(scan::Args),
    Plan(plan::Args),
    Show(show::Args),
    Rehearse(rehearse::Args),
    Apply(apply::Args),
    Status(status::Args),
    Pause(pause::Args),
    Close(close::Args),
    Rollback(rollback::Args),
    Verify(verify::Args),
    Permissions(permissions::Args),
    Trust(trust::Args),
    Explain(explain::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

/// Runs the program.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = Cli::command();
    if is_kubectl_plugin(args.first()) {
        command = command.bin_name("kubectl irsa-migrate");
    }
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        // Help and version end here too, with code 0; a usage error with 2.
        Err(error) => error.exit(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let printer = Printer::new();
    match run(&cli.command, printer) {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            error.exit.into()
        }
    }
}

fn run(command: &Command, printer: Printer) -> Result<Exit, CommandError> {
    match command {
        Command::Scan(args) => wait(scan::run(args, printer)),
        Command::Plan(args) => wait(plan::run(args, printer)),
        Command::Show(args) => wait(show::run(args, printer)),
        Command::Rehearse(args) => rehearse::run(args, printer),
        Command::Apply(args) => wait(apply::run(args, printer)),
        Command::Status(args) => wait(status::run(args, printer)),
        Command::Pause(args) => wait(pause::run(args, printer)),
        Command::Close(args) => wait(close::run(args, printer)),
        Command::Rollback(args) => wait(rollback::run(args, printer)),
        Command::Verify(args) => wait(verify::run(args, printer)),
        Command::Permissions(args) => permissions::run(args, printer),
        Command::Trust(args) => trust::run(args, printer),
        Command::Explain(args) => explain::run(args, printer),
        Command::Demo(args) => demo::run(args, printer),
        Command::Completions(args) => completions::run(args, printer),
    }
}

/// Carries out a command that waits for the world. Its work stays on one thread.
fn wait(work: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::new(Exit::Unexpected, format!("no runtime: {error}")))?;
    runtime.block_on(work)
}

/// kubectl finds its plugins by name: `kubectl-irsa_migrate` is `kubectl irsa-migrate`.
fn is_kubectl_plugin(program: Option<&OsString>) -> bool {
    program.and_then(|it| Path::new(it).file_stem()).is_some_and(|it| it == "kubectl-irsa_migrate")
}
