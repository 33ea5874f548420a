//! `explain`.

use std::collections::BTreeMap;

use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use crate::findings::Code;
use crate::view;
use crate::view::doc::{Block, Doc, line, name};

/// Say what a finding means, why it matters and what to do
///
/// Findings have codes that stay the same from version to version. Without a code, all of them are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code, such as TRUST_DOES_NOT_GRANT
    code: Option<String>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Shown,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<Exit, CommandError> {
    let Some(word) = &args.code else {
        let all = Code::ALL.iter().map(|it| (it.as_str(), it.explain()));
        let json = || serde_json::to_value(all.collect::<BTreeMap<_, _>>());
        return printer.show(args.output, &list(), json).map(|()| Exit::Done);
    };
    let code: Code = word.parse().map_err(|error: crate::findings::UnknownCode| {
        CommandError::usage(error.to_string()).hint("`irsa-migrate explain` lists the codes")
    })?;
    printer.show(args.output, &view::explanation(code), || serde_json::to_value(code.explain()))?;
    Ok(Exit::Done)
}

fn list() -> Doc {
    let mut doc = Doc::default();
    let rows = Code::ALL.iter().map(|code| {
        let entry = code.explain();
        vec![line![name(code)], line![entry.severity.to_string()], line![entry.title]]
    });
    doc.push(Block::Table { head: vec!["code", "severity", "what"], rows: rows.collect() });
    doc
}
