//! `scan`.

use std::path::PathBuf;

use super::access::Access;
use super::error::CommandError;
use super::exit::Exit;
use super::file::OutFile;
use super::out::{Printer, Shown};
use crate::inventory::Inventory;
use crate::live::Live;
use crate::model::ClusterArn;
use crate::ports::World;
use crate::scan::{self, Progress, State, Wanted};
use crate::view;

/// Read clusters and their account into an inventory; nothing is ever written to them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A cluster, by its ARN, or by its name with --region; may be repeated
    #[arg(long, required = true, value_name = "ARN|NAME")]
    cluster: Vec<String>,
    #[command(flatten)]
    access: Access,
    /// Where to write the inventory
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to show what was seen; json is the inventory itself
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) async fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let out = args.out.as_deref().map(OutFile::at).transpose()?;
    let settings = args.access.settings()?;
    let world = args.access.connect(&args.cluster, &settings).await?;
    let inventory = read(&world, &wanted(&world), printer).await?;
    if let Some(out) = out {
        out.write(&inventory.to_bytes()?)?;
        printer.say(&format!("Inventory: {out}"));
    }
    let digest = inventory.digest()?;
    printer.show(args.output, &view::inventory::inventory(&inventory, &digest), || serde_json::to_value(&inventory))?;
    Ok(Exit::Done)
}

/// Every cluster that the world reaches.
pub(crate) fn wanted(world: &Live) -> Vec<Wanted> {
    let wanted =
        |(arn, context): (&ClusterArn, Option<&str>)| Wanted { arn: arn.clone(), context: context.map(str::to_owned) };
    world.clusters().map(wanted).collect()
}

/// Scans these clusters, and tells of it.
pub(crate) async fn read<W: World>(world: &W, wanted: &[Wanted], printer: Printer) -> Result<Inventory, CommandError> {
    let bar = printer.spinner();
    let mut tell = |progress: Progress| {
        let place = progress.cluster.map_or_else(|| "the account".to_owned(), |it| it.name().to_owned());
        match progress.state {
            State::Started => bar.tell(&format!("Reading {} of {place}", progress.what)),
            State::Done => {}
            // Without the caller there is no inventory, and the error says it.
            State::Failed(_) if progress.what == "the caller" => {}
            State::Failed(why) => bar.say(&format!("Not read: {} of {place}: {why}", progress.what)),
        }
    };
    let inventory = scan::scan(world, wanted, &mut tell).await;
    bar.end();
    Ok(inventory?)
}
