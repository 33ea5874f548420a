//! `explain`.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::CommandError;
use super::exit::Exit;
use super::out::{Printer, Shown};
use crate::findings::{Code, UnknownCode};
use crate::trust;
use crate::view;
use crate::view::doc::{Block, Doc, Line, line, name};

/// Say what a finding means, why it matters and what to do
///
/// Findings, and the reasons of `trust`, have codes that stay the same from version to version. Without a code, all of
/// them are listed.
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
    let code: Result<Code, UnknownCode> = word.parse();
    match (code, reason(word)) {
        (Ok(code), _) => {
            printer.show(args.output, &view::explanation(code), || serde_json::to_value(code.explain()))?;
        }
        (Err(_), Some(code)) => {
            let json = || Ok(json!({"meaning": code.meaning(), "holds": code.weight() >= trust::Weight::Holds}));
            printer.show(args.output, &view::reason_explanation(code), json)?;
        }
        (Err(error), None) => {
            return Err(CommandError::usage(error.to_string()).hint("`irsa-migrate explain` lists the codes"));
        }
    }
    Ok(Exit::Done)
}

/// A code of `trust`, in the spelling of codes or of options.
fn reason(word: &str) -> Option<trust::Code> {
    let word = word.to_ascii_uppercase().replace('-', "_");
    trust::Code::ALL.iter().copied().find(|it| it.as_str() == word)
}

fn list() -> Doc {
    let mut doc = Doc::default();
    let rows = Code::ALL.iter().map(|code| {
        let entry = code.explain();
        vec![line![name(code)], line![entry.severity.to_string()], line![entry.title]]
    });
    doc.push(Block::Table { head: vec!["code", "severity", "what"], rows: rows.collect() });
    doc.heading(2, "What `trust` says of a trust policy");
    let rows = trust::Code::ALL.iter().map(|code| vec![line![name(code.as_str())], Line::prose(code.meaning())]);
    doc.push(Block::Table { head: vec!["code", "what"], rows: rows.collect() });
    doc
}
