//! What is not done and why, what somebody answers for, and what to know of what is done.

use super::super::doc::{Block, Doc, line, name};
use super::super::finding::{Told, by_code};
use super::super::names::Names;
use crate::findings::{Code, Finding};
use crate::plan::{Held, Plan};

pub(super) fn sections(doc: &mut Doc, plan: &Plan, names: &Names) {
    let (idle, held): (Vec<&Held>, Vec<&Held>) =
        plan.held.iter().partition(|it| it.findings.iter().any(|it| it.code.leaves_nothing_to_do()));
    if !held.is_empty() {
        doc.heading(2, format!("Held: {}", held.len()));
        doc.para("These stay as they are.");
        doc.0.extend(by_code(&told(&held, false), names));
    }
    if !idle.is_empty() {
        doc.heading(2, format!("Nothing to do: {}", idle.len()));
        doc.0.extend(by_code(&told(&idle, true), names));
    }
    if !plan.waived.is_empty() {
        doc.heading(2, "Waivers: somebody answers for these");
        let row = |it: &crate::plan::settings::Waiver| {
            let subject = match &it.cluster {
                Some(cluster) => line![name(&it.subject), " in ", name(cluster.name())],
                None => line![name(&it.subject)],
            };
            vec![line![name(it.code)], subject, line![name(&it.reason)], line![name(it.expires)]]
        };
        let head = vec!["finding", "about", "reason", "until"];
        doc.push(Block::Table { head, rows: plan.waived.iter().map(row).collect() });
    }
    let mut notices: Vec<Told<'_>> = Vec::new();
    for finding in plan.units.iter().flat_map(|it| &it.notices) {
        // A role's notice is in the unit of each of its ServiceAccounts too.
        if !notices.iter().any(|it| it.finding == finding) {
            notices.push(Told { who: &finding.subject, finding, also: Vec::new() });
        }
    }
    if !notices.is_empty() {
        doc.heading(2, "To know");
        doc.para("These hold nothing back.");
        doc.0.extend(by_code(&notices, names));
    }
}

/// Each under the finding that says most: that nothing is to be done where that is so, and what was
/// seen rather than what was not looked at any more.
fn told<'a>(held: &[&'a Held], idle: bool) -> Vec<Told<'a>> {
    let one = |it: &&'a Held| {
        let says = |it: &&Finding| if idle { it.code.leaves_nothing_to_do() } else { it.code != Code::Unread };
        let first = it.findings.iter().find(says).or(it.findings.first())?;
        let mut also: Vec<_> = it.findings.iter().map(|it| it.code).filter(|it| *it != first.code).collect();
        also.dedup();
        Some(Told { who: &it.what, finding: first, also })
    };
    held.iter().filter_map(one).collect()
}
