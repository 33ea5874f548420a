//! A plan carried out, and told: what `apply`, `rollback` and `demo` share.

use super::error::CommandError;
use super::exit::Exit;
use super::file::PlanFile;
use super::interrupt;
use super::out::{Printer, Told};
use crate::apply::{self, Ending, Options, Progress, Stop};
use crate::ports::{JournalStore, World};
use crate::view;
use crate::view::progress::Teller;

/// Carries a plan out and tells of it as it goes on; gives how it ended, and the exit code of that.
pub(crate) async fn carry_out<W: World, J: JournalStore>(
    world: &W,
    journal: &J,
    file: &PlanFile,
    options: &Options,
    told: Told,
    printer: Printer,
) -> Result<(Ending, Exit), CommandError> {
    let stop = Stop::default();
    let mut teller = Teller::new(&file.plan, printer.stderr_look(), printer.has_terminal());
    let mut emit = |progress: Progress| match told {
        Told::Text => {
            if let Some(line) = teller.tell(&progress) {
                printer.line(&line);
            }
        }
        Told::Json => {
            // Whoever reads the events may be gone; the run goes on.
            let _ = serde_json::to_string(&progress).map(|it| printer.data(&format!("{it}\n")));
        }
    };
    let work = apply::apply(world, journal, &file.bytes, options, &stop, &mut emit);
    let Some(ended) = interrupt::carry_out(work, &stop, printer).await else {
        let hint =
            "`irsa-migrate status` tells what is in doubt; the run goes on with `apply`, or is undone with `rollback`";
        return Err(CommandError::new(Exit::Paused, "stopped at once").hint(hint));
    };
    let ending = ended?;
    let exit = Exit::of_ending(&ending);
    tell(&ending, exit, told, printer)?;
    Ok((ending, exit))
}

fn tell(ending: &Ending, exit: Exit, told: Told, printer: Printer) -> Result<(), CommandError> {
    match told {
        Told::Text => printer.tell(&view::run::ending(ending)),
        Told::Json => printer.data(&format!("{}\n", view::run::ending_json(ending, exit as u8)))?,
    }
    Ok(())
}

/// Names this process among others that may want the same lease.
pub(crate) fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    // A lease is read by people, and by programs that know what a name may hold.
    let host: String =
        host.trim().chars().filter(|it| it.is_ascii_alphanumeric() || "-.".contains(*it)).take(60).collect();
    let host = if host.is_empty() { "unknown-host".to_owned() } else { host };
    format!("{host}/{}", std::process::id())
}
