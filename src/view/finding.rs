//! Findings, and what their codes mean.

use super::doc::{Block, Doc, Line, Span, bad, caution, faint, line, name, strong};
use crate::findings::{Code, Severity};

/// What a code means, why it matters and what to do.
#[must_use]
pub fn explanation(code: Code) -> Doc {
    let entry = code.explain();
    let mut doc = Doc::default();
    doc.heading(1, line![strong(code), ": ", entry.title]);
    doc.para(entry.meaning);
    doc.push(Block::Facts(vec![
        ("why it matters", Line::from(entry.why)),
        ("what to do", Line::from(entry.remedy)),
        ("severity", line![severity(entry.severity), weight(code)]),
    ]));
    if !entry.sources.is_empty() {
        doc.para("Where the rule is from:");
        doc.list(entry.sources.iter().map(|it| line![name(it)]));
    }
    doc
}

/// A severity, in its colour.
pub(super) fn severity(severity: Severity) -> Span {
    match severity {
        Severity::Blocker => bad(severity),
        Severity::Warning => caution(severity),
        Severity::Notice => faint(severity),
    }
}

fn weight(code: Code) -> String {
    let entry = code.explain();
    let said = match entry.severity {
        Severity::Blocker if code.leaves_nothing_to_do() => ": there is nothing to do",
        Severity::Blocker if code.is_settled_by_settings() => ": held, unless irsa-migrate.toml answers for it",
        Severity::Blocker if entry.waivable => {
            ": held, unless a [[waiver]] in irsa-migrate.toml answers for it, with a reason and a date"
        }
        Severity::Blocker => ": held; no waiver counts",
        Severity::Warning | Severity::Notice => ": told, and holds nothing back",
    };
    said.to_owned()
}
