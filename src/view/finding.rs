//! Findings, and what their codes mean.

use std::collections::BTreeMap;

use super::doc::{Block, Doc, Line, Span, bad, caution, faint, line, name, strong};
use super::names::Names;
use crate::findings::{Code, Finding, Severity, Target};
use crate::trust::{self, Weight};

/// What a code means, why it matters and what to do.
#[must_use]
pub fn explanation(code: Code) -> Doc {
    let entry = code.explain();
    let mut doc = Doc::default();
    doc.heading(1, line![strong(code), ": ", entry.title]);
    doc.para(Line::prose(entry.meaning));
    doc.push(Block::Facts(vec![
        ("why it matters", Line::prose(entry.why)),
        ("what to do", Line::prose(entry.remedy)),
        ("severity", line![severity(entry.severity), weight(code)]),
    ]));
    if !entry.sources.is_empty() {
        doc.para("Where the rule is from:");
        doc.list(entry.sources.iter().map(|it| line![name(it)]));
    }
    doc
}

/// What a reason in a trust policy means, and what it does.
#[must_use]
pub fn reason_explanation(code: trust::Code) -> Doc {
    let mut doc = Doc::default();
    doc.heading(1, line![strong(code.as_str()), ": ", Span::from(code.meaning())]);
    let does = match code.weight() {
        Weight::Refuses => "IAM would not take the text as a trust policy, so that nothing is made of it",
        Weight::Holds => "the role is held, and stays on IRSA until somebody has dealt with this",
        Weight::NotAGrant => "a statement lets nobody in by this, though its author may believe so; nothing is held",
        Weight::Notice => "good to know; nothing is held",
    };
    let mut facts = vec![("what it does", Line::from(does))];
    // A code that needs a policy's own words to be explained has none here.
    if code.explanation() != code.as_str() {
        facts.push(("what to do", Line::prose(code.explanation())));
    }
    if let Some(finding) = crate::findings::of_reason(code) {
        facts.push(("in scan and plan", line!["a detail of ", name(finding)]));
    }
    doc.push(Block::Facts(facts));
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

/// So many subjects of one code are told with their evidence; of the others the names are.
const WITH_EVIDENCE: usize = 12;

/// Who a finding is about, or who is held because of it, and what was found.
pub(super) struct Told<'a> {
    /// Who.
    pub(super) who: &'a Target,
    /// What was found; there may be more about the same.
    pub(super) finding: &'a Finding,
    /// Other codes about the same.
    pub(super) also: Vec<Code>,
}

/// Findings by code, so that hundreds stay readable: what it is and what to do once, then who.
pub(super) fn by_code(told: &[Told<'_>], names: &Names) -> Vec<Block> {
    let mut codes: BTreeMap<(Severity, Code), Vec<&Told<'_>>> = BTreeMap::new();
    for it in told {
        codes.entry((it.finding.severity, it.finding.code)).or_default().push(it);
    }
    let mut blocks = Vec::new();
    for ((_, code), told) in codes {
        let entry = code.explain();
        let number = told.len();
        let head =
            line![strong(code), " (", severity(told[0].finding.severity), format!(", {number}): {}", entry.title)];
        let mut beneath = who(&told, names);
        beneath.push(Block::Para(Line::prose(&format!("What to do: {}", entry.remedy))));
        blocks.push(Block::List(vec![(head, beneath)]));
    }
    blocks
}

/// Those with the same evidence together.
fn who(told: &[&Told<'_>], names: &Names) -> Vec<Block> {
    let mut by_evidence: BTreeMap<(&str, &[Code]), Vec<String>> = BTreeMap::new();
    for it in told {
        let key = (it.finding.evidence.as_str(), it.also.as_slice());
        by_evidence.entry(key).or_default().push(names.target(it.who));
    }
    let mut groups: Vec<_> = by_evidence.into_iter().collect();
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    let rest = groups.split_off(groups.len().min(WITH_EVIDENCE));
    let shown = groups.into_iter().map(|((evidence, also), who)| {
        let mut line = listed(who).and(line![": ", name(evidence)]);
        if !also.is_empty() {
            let codes: Vec<&str> = also.iter().map(|it| it.as_str()).collect();
            line = line.and(format!(" (also {})", codes.join(", ")));
        }
        (line, Vec::new())
    });
    let mut items: Vec<(Line, Vec<Block>)> = shown.collect();
    if !rest.is_empty() {
        let who: Vec<String> = rest.into_iter().flat_map(|(_, who)| who).collect();
        let head = format!("and {} more (the JSON has the evidence of each): ", who.len());
        items.push((Line::from(head).and(listed(who)), Vec::new()));
    }
    vec![Block::List(items)]
}

/// Names, one behind the other.
pub(super) fn listed(who: impl IntoIterator<Item = String>) -> Line {
    Line::joined(who.into_iter().map(|it| line![name(it)]), ", ")
}
