//! Who is on Pod Identity by now.

use super::doc::{Block, Doc, Line, bad, caution, faint, good, line, name};
use super::names::Names;
use super::words::count;
use crate::plan::Plan;
use crate::verify::{Checked, State};

/// What a look at a plan's ServiceAccounts found.
#[must_use]
pub fn verified(plan: &Plan, checked: &[Checked]) -> Doc {
    let names = Names::of(plan);
    let mut doc = Doc::default();
    let moved = checked.iter().filter(|it| it.state == State::Moved).count();
    let irsa: usize = checked.iter().map(|it| it.irsa).sum();
    doc.heading(1, format!("{moved} of {} moved and well", count(checked.len(), "ServiceAccount")));
    let row = |it: &Checked| {
        let (state, why) = match &it.state {
            State::Moved => (good("moved"), Line::default()),
            State::Unwell(wrong) => (bad("not well"), line![name(wrong.join("; "))]),
            State::NotMoved => (faint("not moved"), Line::default()),
            State::Unknown(why) => (caution("not known"), line![name(why)]),
        };
        let (ours, left) = (Line::from(it.pod_identity.to_string()), Line::from(it.irsa.to_string()));
        vec![line![name(names.subject(&it.subject))], line![state], ours, left, why]
    };
    let head = vec!["ServiceAccount", "state", "on Pod Identity", "on IRSA", "why"];
    doc.push(Block::Table { head, rows: checked.iter().map(row).collect() });
    if irsa > 0 {
        doc.para(format!(
            "{} still use IRSA: of what is not moved, of Jobs, and pods that nobody owns.",
            count(irsa, "pod")
        ));
    }
    doc
}
