//! Runs: how far they are, what is in doubt, and what can be done next.

use serde_json::{Value, json};

use super::doc::{Block, Doc, Line, Span, bad, caution, faint, good, line, name, strong};
use super::names::Names;
use super::words::count;
use crate::apply::{Ending, Why};
use crate::journal::{Run, RunStatus, StepStatus, UnitStatus};
use crate::plan::{Plan, Purpose, Unit};

/// A run with its plan, as read from the journal.
#[derive(Debug)]
pub struct Seen {
    /// The run.
    pub run: Run,
    /// Its plan.
    pub plan: Plan,
    /// Its entries, folded.
    pub status: RunStatus,
    /// The open run that undoes it, if there is one.
    pub undone_by: Option<String>,
}

impl Seen {
    fn unit(&self, unit: &Unit) -> UnitStatus {
        self.status.unit(&unit.id.0, unit.steps.len())
    }

    fn count(&self, wanted: UnitStatus) -> usize {
        self.plan.units.iter().filter(|it| self.unit(it) == wanted).count()
    }

    /// One word for the whole.
    fn state(&self) -> Span {
        if self.run.closed || self.status.is_closed() {
            return good("closed");
        }
        if self.undone_by.is_some() {
            return caution("being undone");
        }
        match self.status.paused() {
            Some(_) => caution("paused"),
            None => caution("open"),
        }
    }

    fn what(&self) -> String {
        match &self.plan.purpose {
            Purpose::Migrate => "migration".to_owned(),
            Purpose::Undo { run, whole: true, .. } => format!("rollback of {run}"),
            Purpose::Undo { run, whole: false, .. } => format!("rollback of a part of {run}"),
        }
    }
}

/// All runs of a journal.
#[must_use]
pub fn list(runs: &[Seen]) -> Doc {
    let mut doc = Doc::default();
    if runs.is_empty() {
        doc.para("There is no run in this journal yet.");
        return doc;
    }
    let row = |it: &Seen| {
        let units = it.plan.units.len();
        let done = it.count(UnitStatus::Done);
        let undone = it.count(UnitStatus::Undone);
        let undone = if undone > 0 { format!(", {undone} undone") } else { String::new() };
        let progress = format!("{done} of {units} done{undone}");
        let (run, opened) = (line![name(&it.run.id)], line![name(it.run.opened_at.strftime("%Y-%m-%d %H:%M UTC"))]);
        vec![run, opened, Line::from(it.what()), line![it.state()], Line::from(progress), line![name(&it.run.actor)]]
    };
    let head = vec!["run", "opened", "what", "state", "units", "by"];
    doc.push(Block::Table { head, rows: runs.iter().map(row).collect() });
    doc
}

/// One run: its waves and units, and their steps.
#[must_use]
pub fn run(it: &Seen) -> Doc {
    let names = Names::of(&it.plan);
    let mut doc = Doc::default();
    doc.heading(1, line!["Run ", name(&it.run.id), format!(": {}", it.what())]);
    doc.push(facts(it));
    for wave in &it.plan.waves {
        let passed =
            if it.status.wave_passed(&wave.name) { line![good("passed")] } else { line![faint("not passed yet")] };
        doc.heading(2, line!["Wave ", name(&wave.name), ": "].and(passed));
        let units = wave.units.iter().filter_map(|id| it.plan.unit(id));
        let row = |unit: &Unit| {
            let done = (0..unit.steps.len()).filter(|step| it.status.step(&unit.id.0, *step).is_done()).count();
            let steps = format!("{done} of {}", unit.steps.len());
            let said = it.status.detail(&unit.id.0).map_or_else(Line::default, |it| line![name(it)]);
            vec![line![name(names.unit(unit))], line![unit_word(it.unit(unit))], Line::from(steps), said]
        };
        doc.push(Block::Table { head: vec!["unit", "status", "steps", "last said"], rows: units.map(row).collect() });
    }
    unfinished(&mut doc, it, &names);
    next(&mut doc, it);
    doc
}

fn facts(it: &Seen) -> Block {
    let mut facts = vec![
        ("state", line![it.state()]),
        ("plan", line![name(&it.run.plan_digest)]),
        ("opened", line![name(it.run.opened_at), " by ", name(&it.run.actor)]),
    ];
    for (index, cluster) in it.run.clusters.iter().enumerate() {
        facts.push((if index == 0 { "clusters" } else { "" }, line![name(cluster)]));
    }
    if let Some(why) = it.status.paused() {
        facts.push(("paused", line![name(why)]));
    }
    if it.status.is_pause_asked() && it.status.paused().is_none() {
        facts.push(("pause", Line::from("asked for; it stops once the units in flight are done")));
    }
    if let Some(by) = &it.undone_by {
        facts.push(("undone by", line!["run ", name(by), ", which is not finished"]));
    }
    let all = it.plan.units.len();
    let each = [
        (UnitStatus::Done, "done"),
        (UnitStatus::Undone, "undone"),
        (UnitStatus::Refused, "refused"),
        (UnitStatus::Failed, "failed"),
        (UnitStatus::InDoubt, "in doubt"),
        (UnitStatus::Partial, "in the middle"),
        (UnitStatus::Pending, "not started"),
    ];
    let counts: Vec<String> = each
        .into_iter()
        .map(|(status, word)| (it.count(status), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    facts.push(("units", Line::from(format!("{all}: {}", counts.join(", ")))));
    if !it.plan.held.is_empty() {
        facts.push((
            "held",
            line![
                format!("{}, told by ", count(it.plan.held.len(), "thing")),
                name(format!("irsa-migrate show {}", it.run.id))
            ],
        ));
    }
    Block::Facts(facts)
}

/// Steps that are neither done nor untouched: what a person looks at first.
fn unfinished(doc: &mut Doc, it: &Seen, names: &Names) {
    let mut rows = Vec::new();
    for unit in &it.plan.units {
        for (index, step) in unit.steps.iter().enumerate() {
            let word = match it.status.step(&unit.id.0, index) {
                StepStatus::InDoubt => bad("in doubt: it was started, and its outcome is not known"),
                StepStatus::Failed => bad("failed, and may have taken effect"),
                StepStatus::Refused => caution("refused: nothing was sent"),
                StepStatus::Pending | StepStatus::Succeeded | StepStatus::Unneeded => continue,
            };
            rows.push(vec![line![name(names.unit(unit))], line![name(&step.name)], line![word]]);
        }
    }
    if !rows.is_empty() {
        doc.heading(2, "Unfinished steps");
        doc.push(Block::Table { head: vec!["unit", "step", "status"], rows });
    }
}

fn next(doc: &mut Doc, it: &Seen) {
    if it.run.closed || it.status.is_closed() {
        return;
    }
    let id = &it.run.id;
    doc.heading(2, "What can be done");
    let on = line!["go on: ", name(format!("irsa-migrate apply {id}"))];
    match (&it.plan.purpose, &it.undone_by) {
        (_, Some(_)) => doc.list([line!["finish the undo: ", name(format!("irsa-migrate rollback {id}"))]]),
        (Purpose::Undo { .. }, None) => doc.list([on]),
        (Purpose::Migrate, None) => {
            let mut can = vec![on, line!["undo it: ", name(format!("irsa-migrate rollback {id}"))]];
            if !it.plan.units.iter().any(|unit| it.unit(unit).blocks_next_wave()) {
                can.push(line!["give up what never started: ", name(format!("irsa-migrate close {id}"))]);
            }
            doc.list(can);
        }
    }
}

fn unit_word(status: UnitStatus) -> Span {
    match status {
        UnitStatus::Pending => faint("not started"),
        UnitStatus::Partial => caution("in the middle"),
        UnitStatus::InDoubt => bad("in doubt"),
        UnitStatus::Done => good("done"),
        UnitStatus::Failed => bad("failed"),
        UnitStatus::Refused => caution("refused"),
        UnitStatus::Undone => good("undone"),
    }
}

fn unit_key(status: UnitStatus) -> &'static str {
    match status {
        UnitStatus::Pending => "pending",
        UnitStatus::Partial => "partial",
        UnitStatus::InDoubt => "inDoubt",
        UnitStatus::Done => "done",
        UnitStatus::Failed => "failed",
        UnitStatus::Refused => "refused",
        UnitStatus::Undone => "undone",
    }
}

fn step_key(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "pending",
        StepStatus::InDoubt => "inDoubt",
        StepStatus::Succeeded => "succeeded",
        StepStatus::Unneeded => "unneeded",
        StepStatus::Failed => "failed",
        StepStatus::Refused => "refused",
    }
}

/// A run for programs.
#[must_use]
pub fn json(it: &Seen) -> Value {
    let unit = |unit: &Unit| {
        let steps =
            unit.steps.iter().enumerate().map(
                |(index, step)| json!({ "name": step.name, "status": step_key(it.status.step(&unit.id.0, index)) }),
            );
        json!({
            "unit": unit.id,
            "status": unit_key(it.unit(unit)),
            "detail": it.status.detail(&unit.id.0),
            "steps": steps.collect::<Vec<_>>(),
        })
    };
    let waves = it.plan.waves.iter().map(|wave| {
        let units = wave.units.iter().filter_map(|id| it.plan.unit(id)).map(unit);
        json!({ "wave": wave.name, "passed": it.status.wave_passed(&wave.name), "units": units.collect::<Vec<_>>() })
    });
    json!({
        "run": it.run.id,
        "planDigest": it.run.plan_digest,
        "reverts": it.run.reverts,
        "undoneBy": it.undone_by,
        "clusters": it.run.clusters,
        "actor": it.run.actor,
        "openedAt": it.run.opened_at,
        "closed": it.run.closed || it.status.is_closed(),
        "paused": it.status.paused(),
        "pauseAsked": it.status.is_pause_asked(),
        "waves": waves.collect::<Vec<_>>(),
        "held": it.plan.held.len(),
    })
}

/// How a run ended for now, and what to do about it.
#[must_use]
pub fn ending(ending: &Ending) -> Doc {
    let run = &ending.run;
    let go_on = || name(format!("irsa-migrate apply {run}"));
    // An undo is not undone: to move forward again there is a new plan.
    let or_undo = || match ending.undo {
        true => Line::default(),
        false => line![", to undo: ", name(format!("irsa-migrate rollback {run}"))],
    };
    let said = match &ending.why {
        Why::Ended if ending.refused > 0 => line![
            caution("Ended, and not everything was done. "),
            name(format!("irsa-migrate status {run}")),
            " tells what was refused and why; plan again for it"
        ],
        Why::Ended if ending.undo => line![strong("Undone. "), "The run is closed."],
        Why::Ended => line![
            strong("Done. "),
            "The run is closed; it can still be undone: ",
            name(format!("irsa-migrate rollback {run}"))
        ],
        Why::Through(wave) => line![strong("Done through wave "), name(wave), ". To go on: ", go_on()],
        Why::Window(Some(at)) => line![
            strong("Paused: "),
            "no window is open that what is left fits into. The next opens at ",
            name(at),
            ". To go on then: ",
            go_on()
        ],
        Why::Window(None) => {
            line![strong("Paused: "), "what is left fits into no window; plan again with a longer one"].and(or_undo())
        }
        Why::Asked => line![strong("Stopped, as asked. "), "To go on: ", go_on()].and(or_undo()),
        Why::Failed => line![
            bad("Not whole. "),
            "The next wave does not start. ",
            name(format!("irsa-migrate status {run}")),
            " tells what failed; to try again: ",
            go_on()
        ]
        .and(or_undo()),
        Why::Blind(what) => line![
            strong("Paused: "),
            "something could not be read, and nothing is guessed: ",
            name(what),
            ". To go on once it can: ",
            go_on()
        ],
        Why::Gate(what, _) => line![
            strong("Paused: "),
            "the pods of a wave are not well: ",
            name(what),
            ". To look again and go on: ",
            go_on()
        ],
        Why::Credentials(what) => {
            line![strong("Paused: "), "the credentials ran out (", name(what), "). With new ones, to go on: ", go_on()]
        }
        Why::Locked(what) => line![bad("Stopped: "), "the run or a cluster is another's now: ", name(what)],
        Why::Journal(error) => {
            line![bad("Stopped: "), name(error), ". Nothing more was sent. To go on once it can be written: ", go_on()]
        }
    };
    let mut doc = Doc::default();
    doc.para(said);
    let counts = [
        (ending.done, "done"),
        (ending.undone, "undone"),
        (ending.refused, "refused, nothing was sent for them"),
        (ending.failed, "not whole"),
        (ending.pending, "not started"),
    ];
    let counts = counts.into_iter().filter(|(number, _)| *number > 0);
    doc.para(Line::from(format!(
        "Units: {}.",
        counts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
    )));
    doc
}

/// How a run ended for now, as the last event of a stream.
#[must_use]
pub fn ending_json(ending: &Ending, exit: u8) -> Value {
    let (why, detail) = match &ending.why {
        Why::Ended => ("ended", None),
        Why::Through(wave) => ("through", Some(wave.clone())),
        Why::Window(at) => ("window", at.map(|it| it.to_string())),
        Why::Asked => ("asked", None),
        Why::Failed => ("failed", None),
        Why::Blind(what) => ("blind", Some(what.clone())),
        Why::Gate(what, _) => ("gate", Some(what.clone())),
        Why::Credentials(what) => ("credentials", Some(what.clone())),
        Why::Locked(what) => ("locked", Some(what.clone())),
        Why::Journal(error) => ("journal", Some(error.to_string())),
    };
    json!({
        "event": "ending", "run": ending.run, "undo": ending.undo, "why": why, "detail": detail, "exit": exit,
        "done": ending.done, "undone": ending.undone, "refused": ending.refused, "failed": ending.failed,
        "pending": ending.pending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::RunId;

    #[test]
    fn nobody_is_told_to_undo_an_undo() {
        for why in [Why::Failed, Why::Asked] {
            for undo in [false, true] {
                let run = RunId::parse("0123456789ab").unwrap();
                let (done, refused, failed, pending, undone, unwell) = (0, 0, 1, 0, 0, Vec::new());
                let it = Ending {
                    run,
                    undo,
                    why: why.clone(),
                    denied: false,
                    done,
                    refused,
                    failed,
                    unwell,
                    pending,
                    undone,
                };
                let text = format!("{:?}", ending(&it));
                assert!(text.contains("irsa-migrate apply 0123456789ab"), "{text}");
                assert_eq!(text.contains("irsa-migrate rollback"), !undo, "{text}");
            }
        }
    }
}
