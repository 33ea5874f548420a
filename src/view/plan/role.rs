//! A role's unit: what its trust policy becomes, and the proof that access stays the same.

use similar::{ChangeTag, TextDiff};

use super::super::doc::{Block, Doc, Line, Sign, bad, caution, good, line, name};
use super::super::finding::listed;
use super::super::names::Names;
use crate::model::RoleArn;
use crate::plan::{Plan, Purpose, RoleWork, Unit, Work};
use crate::trust::{Grant, GrantPlace, Grants, OverBudget, Proof, Relation, is_inside};

pub(super) fn unit(doc: &mut Doc, plan: &Plan, unit: &Unit, work: &RoleWork, names: &Names) {
    super::unit_heading(doc, "Role ", &names.role(&work.role_arn));
    let undo = plan.purpose != Purpose::Migrate;
    let mut facts = vec![("role", line![name(&work.role_arn)])];
    let users = users(plan, &work.role_arn, names);
    facts.push(("for", if users.is_empty() { Line::from("nobody of this plan") } else { listed(users) }));
    if work.added.is_empty() {
        facts.push(("change", Line::from("none: it lets Pod Identity in already, which is watched for a while")));
    } else {
        let sids = listed(work.added.iter().map(|it| it.sid.clone()));
        facts.push((if undo { "removes" } else { "adds" }, Line::from("statement ").and(sids)));
        if !undo {
            facts.push(("size", size(work)));
        }
    }
    if !undo {
        facts.push(("access", relation(&work.proof, names)));
    }
    facts.extend(super::undone_by(unit).map(|it| ("undone by", it)));
    facts.extend(super::notices(unit).map(|it| ("to know", it)));
    doc.push(Block::Facts(facts));
    if !undo {
        doc.push(grants(&work.grants_before, &work.grants_after, names));
    }
    if !work.added.is_empty() {
        let (old, new) = if undo { (&work.after, &work.before) } else { (&work.before, &work.after) };
        doc.push(Block::Diff(diff(old, new)));
    }
}

/// Which ServiceAccounts of the plan get this role.
fn users(plan: &Plan, role: &RoleArn, names: &Names) -> Vec<String> {
    let subjects = plan.units.iter().filter_map(|it| match &it.work {
        Work::ServiceAccount(work) if work.role_arn == *role => Some(names.subject(&work.subject)),
        Work::ServiceAccount(_) | Work::Role(_) => None,
    });
    subjects.collect()
}

fn size(work: &RoleWork) -> Line {
    let said = format!("{} of {} characters that the account allows", work.characters, work.quota);
    // Little room left: whoever adds a statement next should know.
    if u64::from(work.characters) * 10 > u64::from(work.quota) * 9 { line![caution(said)] } else { Line::from(said) }
}

/// How access by Pod Identity compares to access by IRSA, decided for all names.
fn relation(proof: &Proof, names: &Names) -> Line {
    let witness = proof.witness.as_ref().map(|it| {
        let cluster = match &it.cluster_arn {
            GrantPlace::Cluster(arn) => names.cluster(arn),
            GrantPlace::Elsewhere => "any other cluster".to_owned(),
        };
        format!("{}/{} in {cluster}", it.namespace, it.service_account)
    });
    let example = |line: Line| match witness {
        Some(witness) => line.and(line![", for example ", name(witness)]),
        None => line,
    };
    match proof.relation {
        Relation::Equal => {
            line![good("equal"), ": exactly those who may assume it today may afterwards, proven for all names"]
        }
        Relation::Narrower => example(line![caution("narrower"), ": nobody new, and not everybody who may today"]),
        Relation::Wider => example(line![bad("WIDER: new access"), ", as the settings ask for"]),
        Relation::Incomparable => example(line![bad("DIFFERENT: both new and lost access")]),
    }
}

/// Who is let in, before and after.
fn grants(before: &Grants, after: &Grants, names: &Names) -> Block {
    let row = |grant: &Grant| {
        let cluster = match &grant.cluster_arn {
            GrantPlace::Cluster(arn) => names.cluster(arn),
            GrantPlace::Elsewhere => "any other".to_owned(),
        };
        let account = line![name(grant.service_account.as_str())].and(conditions(grant));
        let (was, is) = (Line::from(within(grant, before)), Line::from(within(grant, after)));
        vec![line![name(cluster)], line![name(grant.namespace.as_str())], account, was, is]
    };
    let head = vec!["cluster", "namespace", "ServiceAccount", "before", "after"];
    Block::Table { head, rows: before.union(after).iter().map(row).collect() }
}

/// Whether all whom a grant lets in are let in: by itself, or by others of the set that cover it.
fn within(grant: &Grant, set: &Grants) -> &'static str {
    match is_inside(grant, set) {
        Ok(true) => "yes",
        Ok(false) if is_one(grant) || !set.iter().any(|it| it.cluster_arn == grant.cluster_arn) => "no",
        Ok(false) => "not all",
        Err(OverBudget) => "not known",
    }
}

/// Whether it is about one ServiceAccount, by its name.
fn is_one(grant: &Grant) -> bool {
    grant.namespace.as_literal().is_some() && grant.service_account.as_literal().is_some()
}

/// What narrows a grant.
fn conditions(grant: &Grant) -> Line {
    let mut line = Line::default();
    for it in &grant.except {
        line = line.and(line![" except ", name(format!("{}/{}", it.namespace.as_str(), it.service_account.as_str()))]);
    }
    for it in &grant.carried {
        line = line.and(line![" if ", name(format!("{} {} {}", it.operator, it.key, it.values.join(" or ")))]);
    }
    line
}

/// Lines around a change that show where it is.
const CONTEXT: usize = 3;

/// A unified diff.
fn diff(old: &str, new: &str) -> Vec<(Sign, String)> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push((Sign::Place, hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => Sign::Same,
                ChangeTag::Delete => Sign::Removed,
                ChangeTag::Insert => Sign::Added,
            };
            lines.push((sign, change.value().trim_end_matches(['\n', '\r']).to_owned()));
        }
    }
    lines
}
