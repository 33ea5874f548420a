//! `completions`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::error::CommandError;
use super::exit::Exit;
use super::out::Printer;

/// Write completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let mut bytes = Vec::new();
    generate(args.shell, &mut super::Cli::command(), "irsa-migrate", &mut bytes);
    printer.data(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::Done)
}
