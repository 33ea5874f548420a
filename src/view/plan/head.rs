//! The head of a plan: which one it is, what it does in short, and by which numbers.

use super::super::doc::{Block, Doc, Line, bad, caution, faint, line, name, strong};
use super::super::names::Names;
use super::super::words::{count, seconds};
use crate::journal::RunId;
use crate::model::Digest;
use crate::plan::settings::{Effective, OnFailure, RestartRule};
use crate::plan::window::{Day, Window};
use crate::plan::{Move, Numbers, Plan, Purpose, RoleWork, Work};
use crate::trust::Relation;

pub(super) fn title(plan: &Plan) -> Line {
    match &plan.purpose {
        Purpose::Migrate if plan.units.is_empty() => Line::from("Migration plan: nothing to do"),
        Purpose::Migrate => Line::from("Migration plan: from IRSA to EKS Pod Identity"),
        Purpose::Undo { run, whole: true, .. } => line!["Rollback plan: undo of run ", name(run)],
        Purpose::Undo { run, whole: false, .. } => line!["Rollback plan: undo of a part of run ", name(run)],
    }
}

pub(super) fn facts(plan: &Plan, digest: &Digest, names: &Names) -> Block {
    let mut facts = vec![
        ("digest", line![name(digest)]),
        ("run", line![name(RunId::of(digest)), faint(" (the digest's first twelve digits)")]),
        ("account", line![name(&plan.account)]),
    ];
    for (index, cluster) in plan.clusters.iter().enumerate() {
        let servers = cluster.api_servers.map_or_else(
            || "an unknown number of API servers".to_owned(),
            |it| count(usize::try_from(it).unwrap_or(usize::MAX), "API server"),
        );
        let called = names.cluster(&cluster.arn);
        let mut line = line![strong(&called)];
        if called != cluster.arn.as_str() {
            line = line.and(line![": ", name(&cluster.arn)]);
        }
        facts.push((if index == 0 { "clusters" } else { "" }, line.and(format!(", {servers}"))));
    }
    facts.push(("does", does(plan)));
    let wider = roles(plan, RoleWork::is_new_access);
    if wider > 0 && plan.purpose == Purpose::Migrate {
        facts.push((
            "access",
            line![bad("NEW ACCESS"), format!(" to {}, as the settings ask for", count(wider, "role"))],
        ));
    }
    if plan.purpose == Purpose::Migrate {
        facts.push(("holds", holds(plan)));
    }
    let time = seconds(plan.waves.iter().map(|it| super::wave_seconds(plan, it)).sum());
    if !plan.units.is_empty() {
        let windows = if plan.windows.is_empty() || plan.purpose != Purpose::Migrate {
            ""
        } else {
            ", waiting for windows aside"
        };
        facts.push(("takes", Line::from(format!("about {time} if all goes as usual{windows}"))));
    }
    if plan.purpose == Purpose::Migrate {
        facts.extend(windows(&plan.windows));
    }
    facts.push(("numbers", changed(&plan.numbers)));
    facts.push(("seen at", line![name(plan.taken_at)]));
    let made = format!(
        "irsa-migrate {}, from inventory {} and settings {}",
        plan.tool,
        plan.inventory.short(12),
        plan.settings.short(12)
    );
    facts.push(("made by", line![name(made)]));
    Block::Facts(facts)
}

/// How many pods of how many workloads are replaced.
fn restarts(plan: &Plan) -> (usize, usize) {
    let subjects = plan.units.iter().filter_map(|it| match &it.work {
        Work::ServiceAccount(work) => Some(work),
        Work::Role(_) => None,
    });
    let ours: Vec<u32> =
        subjects.flat_map(|it| &it.workloads).filter(|it| it.moves != Move::ByOwner).map(|it| it.replicas).collect();
    (ours.iter().map(|it| usize::try_from(*it).unwrap_or(usize::MAX)).sum(), ours.len())
}

/// How many roles are so.
fn roles(plan: &Plan, are: impl Fn(&RoleWork) -> bool) -> usize {
    plan.units.iter().filter(|it| matches!(&it.work, Work::Role(role) if are(role))).count()
}

/// Whether our statements let in fewer than IRSA does today.
fn is_narrower(role: &RoleWork) -> bool {
    role.proof.relation == Relation::Narrower && !role.added.is_empty()
}

fn does(plan: &Plan) -> Line {
    let roles = plan.units.iter().filter(|it| matches!(it.work, Work::Role(_))).count();
    let subjects = plan.units.len() - roles;
    if plan.units.is_empty() {
        return line![strong("nothing")];
    }
    let (pods, workloads) = restarts(plan);
    let (pods, workloads) = (count(pods, "pod"), count(workloads, "workload"));
    let (roles, subjects) = (count(roles, "role"), count(subjects, "ServiceAccount"));
    match &plan.purpose {
        Purpose::Migrate => {
            Line::from(format!("prepares {roles}, moves {subjects}, and for that replaces {pods} of {workloads}"))
        }
        Purpose::Undo { .. } => {
            Line::from(format!("puts {subjects} back on IRSA, up to {pods} of {workloads}, and then {roles}"))
        }
    }
}

fn holds(plan: &Plan) -> Line {
    let (idle, held): (Vec<_>, Vec<_>) =
        plan.held.iter().partition(|it| it.findings.iter().any(|it| it.code.leaves_nothing_to_do()));
    match (held.len(), idle.len()) {
        (0, 0) => Line::from("nothing"),
        (0, idle) => Line::from(format!("nothing; {idle} need nothing done")),
        (held, 0) => line![caution(format!("{held}, which stay as they are"))],
        (held, idle) => {
            line![caution(format!("{held}, which stay as they are")), format!("; {idle} need nothing done")]
        }
    }
}

fn windows(windows: &[Window]) -> Vec<(&'static str, Line)> {
    if windows.is_empty() {
        return vec![("windows", Line::from("none: units may start at any time"))];
    }
    let line = |window: &Window| {
        let days: Vec<&str> = window.days.iter().map(|it| day(*it)).collect();
        let length = seconds(u64::from(window.minutes) * 60);
        line![
            format!("{} at ", days.join(", ")),
            name(&window.start),
            " ",
            name(&window.time_zone),
            format!(", open for {length}")
        ]
    };
    windows.iter().enumerate().map(|(index, it)| (if index == 0 { "windows" } else { "" }, line(it))).collect()
}

fn day(day: Day) -> &'static str {
    match day {
        Day::Mon => "Mon",
        Day::Tue => "Tue",
        Day::Wed => "Wed",
        Day::Thu => "Thu",
        Day::Fri => "Fri",
        Day::Sat => "Sat",
        Day::Sun => "Sun",
    }
}

pub(super) fn what_happens(doc: &mut Doc, plan: &Plan) {
    if plan.units.is_empty() {
        return;
    }
    doc.heading(2, "What will happen");
    let said: Vec<Line> = match &plan.purpose {
        Purpose::Migrate => forward(plan),
        Purpose::Undo { .. } => vec![
            Line::from(
                "Unit by unit, the last wave first: once IRSA is proven to work for a ServiceAccount, its \
                 association is deleted; when no API server gives it to new pods any more, every pod that is still on \
                 Pod Identity is replaced.",
            ),
            Line::from(
                "When no association and no pod uses a role any more, our statement leaves its trust policy: \
                 the original text is sent where nobody has changed the policy since, else ours alone is taken out.",
            ),
            Line::from("What others changed since is left as it is, and reported."),
        ],
    };
    doc.list(said);
}

fn forward(plan: &Plan) -> Vec<Line> {
    let bake = seconds(plan.numbers.bake);
    let proof = match plan.rules.effective {
        Effective::Probe => "Once dry runs show that every API server gives new pods Pod Identity",
        Effective::Observe => "After a while, without a proof (`effective = \"observe\"`)",
    };
    let unlike = |number, how: &str| match number {
        0 => String::new(),
        roles => format!("; for {} {how}", count(roles, "role")),
    };
    let fewer = unlike(roles(plan, is_narrower), "fewer than that");
    let more = unlike(roles(plan, RoleWork::is_new_access), "MORE than that, which is new access");
    let undone = match plan.rules.on_failure {
        OnFailure::Pause => "",
        OnFailure::UndoUnit => "; then what failed is undone",
    };
    vec![
        Line::from(format!(
            "Wave prepare: each role's trust policy gets statements that let in by Pod Identity whom it lets in \
             by IRSA today{fewer}{more}. Nobody uses them yet, and nothing else in the policy changes."
        )),
        Line::from(
            "Then, wave by wave, each ServiceAccount gets a Pod Identity association. That is the switch: pods that \
             start from then on use Pod Identity. Pods that run keep IRSA until they are replaced.",
        ),
        Line::from(format!(
            "{proof}, the ServiceAccount's workloads are restarted as listed, and every pod is looked at."
        )),
        Line::from(format!(
            "After each wave its pods are watched for {bake}. If a unit fails, the others of its wave go on, and \
             the next wave does not start{undone}."
        )),
        Line::from(
            "Nothing of IRSA is taken away: annotations and the policies' own statements stay, so that every \
             step can be undone.",
        ),
    ]
}

/// Numbers that somebody changed.
fn changed(numbers: &Numbers) -> Line {
    let changed: Vec<String> = all(numbers)
        .into_iter()
        .zip(all(&Numbers::default()))
        .filter(|(now, default)| now.1 != default.1)
        .map(|((name, value), (_, default))| format!("{name} {value} (default {default})"))
        .collect();
    if changed.is_empty() { Line::from("the defaults") } else { line![caution(changed.join(", "))] }
}

fn all(numbers: &Numbers) -> Vec<(&'static str, String)> {
    let time = |it: u64| seconds(it);
    vec![
        ("trust_settle", time(numbers.trust_settle)),
        ("association_settle", time(numbers.association_settle)),
        ("probe_interval", time(numbers.probe_interval)),
        ("effective_timeout", time(numbers.effective_timeout)),
        ("observe_after", time(numbers.observe_after)),
        ("rollout_timeout", time(numbers.rollout_timeout)),
        ("eviction_timeout", time(numbers.eviction_timeout)),
        ("lease_duration", time(numbers.lease_duration)),
        ("lease_renewal", time(numbers.lease_renewal)),
        ("call_timeout", time(numbers.call_timeout)),
        ("units_at_a_time", numbers.units_at_a_time.to_string()),
        ("roles_at_a_time", numbers.roles_at_a_time.to_string()),
        ("pod_starts_per_second", numbers.pod_starts_per_second.to_string()),
        ("bake", time(numbers.bake)),
    ]
}

/// Every number and rule, for the record.
pub(super) fn numbers(doc: &mut Doc, plan: &Plan) {
    let mut facts: Vec<(&'static str, Line)> =
        all(&plan.numbers).into_iter().map(|(what, value)| (what, Line::from(value))).collect();
    facts.push((
        "effective",
        Line::from(match plan.rules.effective {
            Effective::Probe => "probe",
            Effective::Observe => "observe",
        }),
    ));
    facts.push(("observe_if_rejected", Line::from(plan.rules.observe_if_rejected.to_string())));
    if plan.rules.on_failure == OnFailure::UndoUnit {
        facts.push(("on_failure", Line::from("undo-unit: a unit that fails is undone at once, and the run pauses")));
    }
    facts.push((
        "restart",
        Line::from(match plan.rules.restart {
            RestartRule::Hold => "hold",
            RestartRule::ByOwner => "by-owner",
        }),
    ));
    facts.push(("lease_namespace", line![name(&plan.rules.lease_namespace)]));
    doc.heading(2, "Numbers and rules");
    doc.push(Block::Fold(Line::from("As they were in the settings, or by default:"), vec![Block::Facts(facts)]));
}
