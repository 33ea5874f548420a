//! A plan, so that a person who never saw one can say what will happen.

mod head;
mod held;
mod role;
mod subject;
mod undo;

use super::doc::{Block, Doc, Line, caution, line, name, strong};
use super::names::Names;
use super::words::{count, seconds};
use crate::model::Digest;
use crate::plan::{Plan, Purpose, Unit, Wave, Work};

/// A plan, with the digest of its file.
#[must_use]
pub fn plan(plan: &Plan, digest: &Digest) -> Doc {
    let names = Names::of(plan);
    let mut doc = Doc::default();
    doc.heading(1, head::title(plan));
    doc.push(head::facts(plan, digest, &names));
    head::what_happens(&mut doc, plan);
    let waves = plan.waves.len();
    for (index, wave) in plan.waves.iter().enumerate() {
        let units: Vec<&Unit> = wave.units.iter().filter_map(|id| plan.unit(id)).collect();
        doc.heading(2, line![format!("Wave {} of {waves}: ", index + 1), name(&wave.name)]);
        doc.para(wave_in_short(plan, wave, &units));
        for unit in units {
            match &unit.work {
                Work::Role(work) => role::unit(&mut doc, plan, unit, work, &names),
                Work::ServiceAccount(work) => subject::unit(&mut doc, plan, unit, work, &names),
            }
        }
    }
    held::sections(&mut doc, plan, &names);
    if !plan.not_promised.is_empty() {
        doc.heading(2, "What this plan does not promise");
        doc.list(plan.not_promised.iter().map(|it| Line::from(it.as_str())));
    }
    undo::section(&mut doc, plan, digest);
    head::numbers(&mut doc, plan);
    doc
}

/// The head of a plan alone: what a person is asked about.
#[must_use]
pub fn in_short(plan: &Plan, digest: &Digest) -> Doc {
    let mut doc = Doc::default();
    doc.heading(1, head::title(plan));
    doc.push(head::facts(plan, digest, &Names::of(plan)));
    doc
}

/// A plan for programs: the file itself, and its digest.
///
/// # Errors
/// None that is known; the JSON writer's own.
pub fn json(plan: &Plan, digest: &Digest) -> serde_json::Result<serde_json::Value> {
    Ok(serde_json::json!({ "digest": digest, "plan": serde_json::to_value(plan)? }))
}

fn wave_in_short(plan: &Plan, wave: &Wave, units: &[&Unit]) -> Line {
    let roles = units.iter().filter(|it| matches!(it.work, Work::Role(_))).count();
    let subjects = units.len() - roles;
    let mut what = Vec::new();
    if roles > 0 {
        what.push(count(roles, "role"));
    }
    if subjects > 0 {
        what.push(count(subjects, "ServiceAccount"));
    }
    let time = wave_seconds(plan, wave);
    let mut line = Line::from(format!("{}; about {}", what.join(" and "), seconds(time)));
    if subjects > 0 && plan.purpose == Purpose::Migrate {
        line = line.and(format!(", of which {} are to see that its pods stay well", seconds(plan.numbers.bake)));
    }
    line.and(".")
}

/// How long a wave takes if all goes as usual: units side by side, and then its gate.
fn wave_seconds(plan: &Plan, wave: &Wave) -> u64 {
    let units: Vec<&Unit> = wave.units.iter().filter_map(|id| plan.unit(id)).collect();
    let roles_alone = units.iter().all(|it| matches!(it.work, Work::Role(_)));
    let places = plan.numbers.side_by_side(roles_alone).min(units.len().max(1));
    let mut busy_until = vec![0_u64; places];
    for unit in &units {
        if let Some(first) = busy_until.iter_mut().min() {
            *first += unit.expected_seconds;
        }
    }
    let moves = units.iter().any(|it| matches!(it.work, Work::ServiceAccount(_)));
    let gate = if moves && plan.purpose == Purpose::Migrate { plan.numbers.bake } else { 0 };
    busy_until.into_iter().max().unwrap_or(0) + gate
}

/// The steps that undo a unit, by the names that `status` has for them; an undo itself has none.
fn undone_by(unit: &Unit) -> Option<Line> {
    let names = unit.undo.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    let expected = unit.undo.iter().fold(0_u64, |sum, it| sum.saturating_add(it.expected_seconds));
    (!unit.undo.is_empty()).then(|| line![format!("about {}: ", seconds(expected)), name(names)])
}

/// The codes of a unit's notices; what they are about is told once, below.
fn notices(unit: &Unit) -> Option<Line> {
    let mut codes: Vec<&str> = unit.notices.iter().map(|it| it.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    (!codes.is_empty()).then(|| line![caution(codes.join(", ")), " (see \"To know\")"])
}

/// A heading for a unit.
fn unit_heading(doc: &mut Doc, what: &'static str, called: &str) {
    doc.push(Block::Heading(3, line![what, strong(called)]));
}
