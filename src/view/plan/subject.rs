//! A ServiceAccount's unit: its association, what restarts and how, and what stays on IRSA.

use super::super::doc::{Block, Doc, Line, caution, line, name};
use super::super::names::Names;
use super::super::words::{count, seconds};
use crate::inventory::Strategy;
use crate::plan::{Move, PinnedWorkload, Plan, Purpose, SubjectWork, Unit};

pub(super) fn unit(doc: &mut Doc, plan: &Plan, unit: &Unit, work: &SubjectWork, names: &Names) {
    super::unit_heading(doc, "ServiceAccount ", &names.subject(&work.subject));
    let undo = plan.purpose != Purpose::Migrate;
    let role = names.role(&work.role_arn);
    let mut facts = vec![if undo {
        ("association", line!["deleted: new pods get role ", name(role), " by IRSA again"])
    } else {
        ("association", line!["created, with role ", name(role), ", which its annotation names"])
    }];
    for (index, workload) in work.workloads.iter().enumerate() {
        facts.push((if index > 0 { "" } else { "restarts" }, restart(workload, undo)));
    }
    if work.workloads.is_empty() {
        facts.push(("restarts", Line::from("nothing: no workload of it is to be restarted")));
    }
    for (index, left) in work.left.iter().enumerate() {
        let what = if index > 0 { "" } else { "left on IRSA" };
        facts.push((what, line![name(left), ", until its next pod is admitted"]));
    }
    let (expected, worst) = (seconds(unit.expected_seconds), seconds(unit.worst_seconds));
    facts.push(("takes", Line::from(format!("about {expected}; done or failed after {worst} at most"))));
    facts.extend(super::undone_by(unit).map(|it| ("undone by", it)));
    facts.extend(super::notices(unit).map(|it| ("to know", it)));
    doc.push(Block::Facts(facts));
}

fn restart(workload: &PinnedWorkload, undo: bool) -> Line {
    let pods = count(usize::try_from(workload.replicas).unwrap_or(usize::MAX), "pod");
    let named = line![name(&workload.workload), format!(", {pods}: ")];
    named.and(match (workload.moves, workload.strategy) {
        (Move::Roll, Strategy::Recreate) => line![caution("all stop, then all start (Recreate)")],
        (Move::Roll, Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None) if undo => {
            line!["rolls back as its own strategy says, twice if need be"]
        }
        (Move::Roll, Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None) => {
            line!["rolls, as its own strategy says"]
        }
        (Move::Evict, _) => line!["evicted one at a time, each waiting for its replacement; budgets are obeyed"],
        (Move::ByOwner, _) => line![caution("restarted by its owner"), ", and waited for"],
    })
}
