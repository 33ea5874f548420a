//! What a rehearsal found.

use super::doc::{Block, Doc, Line, bad, caution, good, line, name, strong};
use super::names::Names;
use super::words::{count, seconds};
use crate::plan::{Numbers, Plan, Unit, UnitId, Work};
use crate::rehearse::{Faults, Gap, Report, Trial};

/// How many ServiceAccounts are listed by their gaps: the longest are what a person plans for.
const MOST_GAPS: usize = 10;

/// A rehearsal's report.
#[must_use]
pub fn report(report: &Report, plan: &Plan) -> Doc {
    let names = Names::of(plan);
    let mut doc = Doc::default();
    doc.heading(1, title(report));
    doc.push(facts(report, plan, &names));
    broken(&mut doc, report, plan, &names);
    left(&mut doc, report, plan, &names);
    times(&mut doc, report);
    gaps(&mut doc, report, &names);
    trials(&mut doc, report, plan, &names);
    twin(&mut doc, report);
    doc
}

fn title(report: &Report) -> Line {
    match (report.number_of_broken(), report.is_complete()) {
        (0, true) if report.is_too_quick() => {
            Line::from("Rehearsal: no promise was broken, on a twin that is quicker than AWS")
        }
        (0, true) => Line::from("Rehearsal: the plan does what it says, and no promise was broken"),
        (0, false) => Line::from("Rehearsal: no promise was broken, and not every unit ends"),
        (broken, _) => line![format!("Rehearsal: a promise was broken, {}", times_of(broken))],
    }
}

fn times_of(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

fn facts(report: &Report, plan: &Plan, names: &Names) -> Block {
    let nominal = &report.nominal;
    let mut facts = vec![
        ("plan", line![name(&report.plan)]),
        ("inventory", line![name(report.inventory.short(12)), ", taken at ", name(report.taken_at)]),
        (
            "promises",
            match report.number_of_broken() {
                0 => line![good("none was broken")],
                broken => line![bad(format!("broken {}", times_of(broken)))],
            },
        ),
    ];
    if report.is_too_quick() {
        facts.push(("settle", too_quick(report, plan)));
    }
    let asked_for: Vec<String> = plan.units.iter().filter_map(|it| new_access(it, names)).collect();
    if !asked_for.is_empty() {
        facts
            .push(("new access", line![bad(asked_for.join(", ")), ": the settings ask for it, and it is not counted"]));
    }
    let working: u64 = nominal.waves.iter().map(|it| it.seconds).sum();
    let mut takes = Line::from(format!("about {}", seconds(working)));
    if nominal.window_seconds > 0 {
        takes = takes.and(format!(", and {} of waiting for windows", seconds(nominal.window_seconds)));
    }
    facts.push(("takes", takes));
    if let Some(undo) = nominal.undo_seconds {
        facts.push(("undo", Line::from(format!("of all of it: about {}", seconds(undo)))));
    }
    if let Some(worst) = nominal.gaps.first() {
        let said = format!(": no fresh credentials for {} while it is undone", seconds(worst.seconds));
        facts.push(("worst gap", line![name(names.subject(&worst.subject)), said]));
    }
    facts.push(("tried", tried(report)));
    Block::Facts(facts)
}

/// That the twin proves nothing of settle times that are shorter than what AWS usually takes.
fn too_quick(report: &Report, plan: &Plan) -> Line {
    let (numbers, usual) = (&plan.numbers, Numbers::default());
    let said = format!(
        ": trust_settle is {} and association_settle {}, and AWS usually takes up to {} until everybody sees a change, \
         IAM with no known bound. The twin never takes longer than the plan waits, {} here, so this is no proof that it \
         waits for long enough. The defaults are {} and {}",
        seconds(numbers.trust_settle),
        seconds(numbers.association_settle),
        seconds(report.usual_lag_seconds),
        seconds(report.lag_seconds),
        seconds(usual.trust_settle),
        seconds(usual.association_settle),
    );
    line![caution("times too short to rely on"), said]
}

/// The role that a unit opens, as the settings ask for.
fn new_access(unit: &Unit, names: &Names) -> Option<String> {
    match &unit.work {
        Work::Role(work) if work.is_new_access() => Some(format!("role {}", names.role(&work.role_arn))),
        Work::Role(_) | Work::ServiceAccount(_) => None,
    }
}

fn tried(report: &Report) -> Line {
    let calls = count(usize::try_from(report.nominal.calls).unwrap_or(usize::MAX), "call");
    let nominal = format!("{calls} of the whole plan and its undo with nothing going wrong");
    if report.faults == Faults::None {
        return Line::from(format!("{nominal}; faults were left out, as asked for"));
    }
    let sum = |of: fn(&Trial) -> usize| report.trials.iter().map(of).sum::<usize>();
    let (calls, entries, undo) = (sum(|it| it.calls), sum(|it| it.entries), sum(|it| it.undo_calls));
    Line::from(format!(
        "{nominal}; {} in which one of {}, {} of the journal or {} of an undo failed, on {}",
        count(report.number_of_cases(), "case"),
        count(calls, "call"),
        if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") },
        count(undo, "call"),
        count(report.trials.len(), "shape"),
    ))
}

/// What was broken, and what to do with it.
fn broken(doc: &mut Doc, report: &Report, plan: &Plan, names: &Names) {
    let number = report.number_of_broken();
    if number == 0 {
        return;
    }
    doc.heading(2, "Broken promises");
    doc.para(line![
        strong("Do not apply this plan. "),
        "A plan whose rehearsal breaks a promise is a bug of irsa-migrate. Please send it to whoever you have \
         irsa-migrate from: this report (",
        name("-o json"),
        " has all of it), and, if you may, the plan and the inventory, from which the same comes out anywhere. They hold \
         names and trust policies, and no secrets."
    ]);
    let of_plan = report.nominal.broken.iter().map(|it| {
        let of = it.unit.as_ref().map(|it| format!("{}: ", unit(it, plan, names))).unwrap_or_default();
        line![bad(it.promise), ": ", name(format!("{of}{}", it.what))]
    });
    let of_cases = report.trials.iter().flat_map(|it| &it.failures).map(|it| line![name(it)]);
    let all: Vec<Line> = of_plan.chain(of_cases).collect();
    let told = all.len();
    doc.list(all);
    if told < number {
        doc.para(format!("And {} more.", number - told));
    }
}

fn left(doc: &mut Doc, report: &Report, plan: &Plan, names: &Names) {
    let nominal = &report.nominal;
    if report.is_complete() {
        return;
    }
    doc.heading(2, "What does not end");
    if let Some(why) = &nominal.stopped {
        doc.para(line![caution("The run stops before its end: "), name(why)]);
    }
    let row = |it: &crate::rehearse::Left| {
        let why = it.why.as_ref().map_or_else(Line::default, |it| line![name(it)]);
        vec![line![name(unit(&it.unit, plan, names))], line![caution(&it.status)], why]
    };
    if !nominal.left.is_empty() {
        let rows = nominal.left.iter().map(row).collect();
        doc.push(Block::Table { head: vec!["unit", "is", "why"], rows });
    }
    doc.para("It would go so with the real ones too, as far as the inventory tells: look at these before the plan is applied.");
}

fn unit(id: &UnitId, plan: &Plan, names: &Names) -> String {
    plan.unit(id).map_or_else(|| id.to_string(), |it| names.unit(it))
}

fn times(doc: &mut Doc, report: &Report) {
    let nominal = &report.nominal;
    if nominal.waves.is_empty() {
        return;
    }
    doc.heading(2, "How long each wave takes");
    let windows = nominal.window_seconds > 0;
    let mut head = vec!["wave", "units", "takes"];
    if windows {
        head.extend(["from", "until"]);
    }
    head.push("gate");
    let row = |it: &crate::rehearse::WaveTime| {
        let mut row = vec![line![name(&it.wave)], Line::from(it.units.to_string()), Line::from(seconds(it.seconds))];
        if windows {
            row.extend([line![name(whole(it.from))], line![name(whole(it.until))]]);
        }
        row.push(if it.passed { line![good("passed")] } else { line![caution("not passed")] });
        row
    };
    doc.push(Block::Table { head, rows: nominal.waves.iter().map(row).collect() });
    if windows {
        doc.para(format!(
            "As if the plan had been applied at {}, and again whenever a window opened.",
            whole(report.taken_at)
        ));
    }
}

/// A moment, to the second.
fn whole(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn gaps(doc: &mut Doc, report: &Report, names: &Names) {
    let gaps = &report.nominal.gaps;
    if gaps.is_empty() {
        return;
    }
    doc.heading(2, "The gap while it is undone");
    doc.para(
        "From the deletion of an association until the last pod that lived by it is replaced, such a pod gets no fresh \
         credentials. What it fetched before stays good until it expires.",
    );
    let row = |it: &Gap| {
        vec![line![name(names.subject(&it.subject))], Line::from(it.pods.to_string()), Line::from(seconds(it.seconds))]
    };
    let rows = gaps.iter().take(MOST_GAPS).map(row).collect();
    doc.push(Block::Table { head: vec!["ServiceAccount", "pods", "no fresh credentials for"], rows });
    if gaps.len() > MOST_GAPS {
        let more = count(gaps.len() - MOST_GAPS, "ServiceAccount");
        doc.para(format!("{more} more, none of them for longer."));
    }
}

fn trials(doc: &mut Doc, report: &Report, plan: &Plan, names: &Names) {
    if report.trials.is_empty() {
        return;
    }
    doc.heading(2, "Faults");
    doc.para(
        "Units of one shape are carried out by the same steps, so that the smallest of each is tried: with its role alone, \
         on a twin of what both touch. Each call is lost before or after it took effect, fails after it took effect, is \
         throttled or denied, finds the credentials expired, or is the last one before a crash; then the run goes on, is \
         undone, or both.",
    );
    let row = |it: &Trial| {
        let found = match (&it.skipped, it.failed) {
            (Some(_), _) => line![caution("not tried")],
            (None, 0) => line![good("all well")],
            (None, failed) => line![bad(format!("broken {}", times_of(failed)))],
        };
        vec![
            Line::from(it.shape.to_string()),
            Line::from(it.units.to_string()),
            line![name(unit(&it.tried_on, plan, names))],
            Line::from(it.cases().to_string()),
            found,
        ]
    };
    let head = vec!["shape", "units", "tried on", "cases", "found"];
    doc.push(Block::Table { head, rows: report.trials.iter().map(row).collect() });
    let skipped = |it: &Trial| {
        let why = it.skipped.as_ref()?;
        Some(line![name(unit(&it.tried_on, plan, names)), " was not tried: ", name(why)])
    };
    doc.list(report.trials.iter().filter_map(skipped));
}

fn twin(doc: &mut Doc, report: &Report) {
    doc.heading(2, "What a rehearsal cannot tell");
    doc.list([
        Line::from("The twin is not the real world: it is a simulation of IAM, EKS and Kubernetes, and as it was when the inventory was taken."),
        Line::from("What could not be read then cannot be read in the twin either, and what the plan holds stays as it is."),
        Line::from(
            "What an inventory does not tell is made up: how long pods take to start, how a roll-out shares its room \
             between surge and unavailability, that nobody else changes anything.",
        ),
        Line::from(format!(
            "Whether the settle times are long enough: everybody sees a change after {} at most in the twin, which is always \
             less than the plan waits.",
            seconds(report.lag_seconds)
        )),
    ]);
}
