//! A trust policy and its translation.

use similar::{ChangeTag, TextDiff};

use super::doc::{Block, Doc, Line, Sign, bad, caution, faint, good, line, name, strong};
use crate::trust::{
    Carried, Document, Grant, GrantPlace, Grants, Proof, Reason, Relation, Translation, Verdict, Weight,
};

/// Lines around a change that show where it is.
const CONTEXT: usize = 3;

/// The most grants that are listed one by one.
const MOST_GRANTS: usize = 200;

/// Who has access, what is added, and why nothing else changes.
#[must_use]
pub fn translation(before: &Document, it: &Translation) -> Doc {
    let mut doc = Doc::default();
    doc.heading(1, head(it.verdict));
    doc.para(summary(it));
    reasons(&mut doc, &it.reasons, Weight::Holds, "In the way");
    doc.heading(2, "Who may assume the role by IRSA");
    let nobody = match it.verdict {
        Verdict::Held => "This is not known for certain, for the reasons above.",
        Verdict::Translated | Verdict::Already | Verdict::Nothing | Verdict::Invalid => {
            "Nobody of the clusters that were named."
        }
    };
    grants(&mut doc, &it.grants, nobody);
    reasons(&mut doc, &it.reasons, Weight::NotAGrant, "What grants nothing, though it may look as if");
    if it.verdict == Verdict::Translated {
        added(&mut doc, before, it);
        unchanged(&mut doc, it);
    }
    reasons(&mut doc, &it.reasons, Weight::Notice, "Good to know");
    doc
}

/// Why a policy was not looked into.
#[must_use]
pub fn trust_stopped(reason: &Reason) -> Doc {
    let mut doc = Doc::default();
    doc.heading(1, line!["Trust policy: ", bad(if reason.holds() { "held" } else { "invalid" })]);
    doc.list([said(reason)]);
    doc
}

fn head(verdict: Verdict) -> Line {
    let word = match verdict {
        Verdict::Translated => good("translated"),
        Verdict::Already => good("nothing to add"),
        Verdict::Nothing => strong("nothing to translate"),
        Verdict::Held => caution("held"),
        Verdict::Invalid => bad("invalid"),
    };
    line!["Trust policy: ", word]
}

fn summary(it: &Translation) -> Line {
    match it.verdict {
        Verdict::Translated => {
            let statements =
                if it.added.len() == 1 { "one statement".to_owned() } else { format!("{} statements", it.added.len()) };
            let granted = match it.proof.as_ref().map(|proof| proof.relation) {
                Some(Relation::Equal) => "Pod Identity can be granted what IRSA grants by adding ",
                Some(Relation::Narrower) => "Pod Identity can be granted a part of what IRSA grants by adding ",
                Some(Relation::Wider | Relation::Incomparable) | None => {
                    "Pod Identity can be granted more than IRSA grants by adding "
                }
            };
            line![granted, strong(statements), ". Nothing in the policy has to be changed or removed."]
        }
        Verdict::Already => "Pod Identity is granted all of this already.".into(),
        Verdict::Nothing if !it.grants.is_empty() => {
            "IRSA grants nothing to the ServiceAccounts that were named, so that there is nothing to add.".into()
        }
        Verdict::Nothing => {
            "IRSA grants nobody of the named clusters anything, so that Pod Identity gets nothing.".into()
        }
        Verdict::Held if it.reasons.iter().filter(|it| it.holds()).all(|it| it.code.blocks_saving()) => {
            "No Pod Identity statements were made: IAM would not save the policy as it is. The role can stay on IRSA."
                .into()
        }
        Verdict::Held => {
            "No Pod Identity statements were made: they would not grant exactly the same. The role can stay on IRSA."
                .into()
        }
        Verdict::Invalid => "IAM would not take this as a trust policy.".into(),
    }
}

fn reasons(doc: &mut Doc, all: &[Reason], weight: Weight, title: &str) {
    let some: Vec<Line> = all.iter().filter(|it| it.code.weight() == weight).map(said).collect();
    if !some.is_empty() {
        doc.heading(2, title);
        doc.list(some);
    }
}

fn said(reason: &Reason) -> Line {
    let code = match reason.code.weight() {
        Weight::Refuses => bad(reason.code.as_str()),
        Weight::Holds => caution(reason.code.as_str()),
        Weight::NotAGrant | Weight::Notice => strong(reason.code.as_str()),
    };
    let place = reason.place.map(|it| format!(" (line {}, column {})", it.line, it.column));
    line![code, faint(place.unwrap_or_default()), ": ", reason.message.as_str()]
}

fn grants(doc: &mut Doc, all: &Grants, nobody: &str) {
    if all.is_empty() {
        doc.para(nobody);
        return;
    }
    let some = |of: fn(&Grant) -> bool| all.iter().any(of);
    let (except, carried) = (some(|it| !it.except.is_empty()), some(|it| !it.carried.is_empty()));
    let mut head = vec!["cluster", "namespace", "ServiceAccount"];
    head.extend(except.then_some("except"));
    head.extend(carried.then_some("only while"));
    let row = |grant: &Grant| {
        let mut row = vec![
            line![name(place(&grant.cluster_arn))],
            line![name(&grant.namespace)],
            line![name(&grant.service_account)],
        ];
        let left: Vec<String> =
            grant.except.iter().map(|it| format!("{}/{}", it.namespace, it.service_account)).collect();
        row.extend(except.then(|| line![name(left.join(", "))]));
        let met: Vec<String> = grant.carried.iter().map(condition).collect();
        row.extend(carried.then(|| line![name(met.join(" and "))]));
        row
    };
    doc.push(Block::Table { head, rows: all.iter().take(MOST_GRANTS).map(row).collect() });
    if let Some(more) = all.len().checked_sub(MOST_GRANTS).filter(|it| *it > 0) {
        doc.para(line![faint(format!("and {more} more, which -o json lists"))]);
    }
}

fn place(place: &GrantPlace) -> String {
    match place {
        GrantPlace::Cluster(arn) => format!("{} ({}, {})", arn.name(), arn.region(), arn.account()),
        GrantPlace::Elsewhere => "any other".to_owned(),
    }
}

fn condition(carried: &Carried) -> String {
    format!("{} {} {}", carried.key, carried.operator, carried.values.join(" or "))
}

fn added(doc: &mut Doc, before: &Document, it: &Translation) {
    doc.heading(2, "What is added");
    let (old, new) = (before.text(), it.document.text());
    if old.trim_end().contains('\n') {
        doc.push(Block::Diff(diff(old, new)));
    } else {
        doc.para("The policy is one line; here it is laid out, so that the change can be seen.");
        doc.push(Block::Diff(diff(&laid_out(old), &laid_out(new))));
    }
}

fn laid_out(text: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok();
    value.and_then(|it| serde_json::to_string_pretty(&it).ok()).unwrap_or_else(|| text.to_owned())
}

fn diff(old: &str, new: &str) -> Vec<(Sign, String)> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push((Sign::Place, hunk.header().to_string().trim_end().to_owned()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => Sign::Same,
                ChangeTag::Insert => Sign::Added,
                ChangeTag::Delete => Sign::Removed,
            };
            lines.push((sign, change.value().trim_end_matches(['\r', '\n']).to_owned()));
        }
    }
    lines
}

fn unchanged(doc: &mut Doc, it: &Translation) {
    let is_proven = it.proof.as_ref().is_some_and(|it| matches!(it.relation, Relation::Equal | Relation::Narrower));
    doc.heading(2, if is_proven { "Why nothing else changes" } else { "What else changes" });
    let proof = match &it.proof {
        Some(Proof { relation: Relation::Equal, .. }) => line![
            good("Equal"),
            ": read again, the new policy grants Pod Identity exactly what was granted before. This was decided for \
             every possible name, not tried out on some.",
        ],
        Some(Proof { relation: Relation::Narrower, witness }) => {
            let such =
                witness.as_ref().map(|it| format!("{}/{}", it.namespace, it.service_account)).unwrap_or_default();
            line![
                good("Narrower"),
                ": read again, the new policy grants Pod Identity nothing that was not granted before, and less; not, for \
                 one, ",
                name(such),
                ". What is left out stays on IRSA.",
            ]
        }
        Some(Proof { relation: Relation::Wider | Relation::Incomparable, witness }) => {
            let who = witness.as_ref().map(|it| {
                let cluster = match &it.cluster_arn {
                    GrantPlace::Cluster(arn) => arn.to_string(),
                    GrantPlace::Elsewhere => "any other cluster".to_owned(),
                };
                format!("{}/{} of {cluster}", it.namespace, it.service_account)
            });
            line![
                bad("Wider"),
                ": the new policy grants more than was granted before; for one, ",
                name(who.unwrap_or_default()),
                ".",
            ]
        }
        None => line![bad("Not decided.")],
    };
    let who = line![
        "Nobody uses the new statements by them alone: a pod needs an association too, which takes rights on the \
         cluster and iam:PassRole on the role.",
    ];
    let rest = line!["Every other statement stays as it is, character for character: IRSA works on."];
    let size = line![
        strong(it.characters),
        " characters as IAM counts them, without white space; the account's AssumeRolePolicySizeQuota has to allow as many.",
    ];
    doc.list([proof, rest, who, size]);
}
