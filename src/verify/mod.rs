//! Whether what was migrated is on Pod Identity, and who still uses IRSA.
//!
//! A run's journal says what was done; this looks at the world as it is now.

use serde::Serialize;

use crate::inventory::{Association, Cluster, Inventory, Mode, Pod, Seen};
use crate::journal::{RunStatus, UnitStatus};
use crate::model::Subject;
use crate::plan::{Plan, SubjectWork, Work};

/// What became of one ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Every pod that counts is on Pod Identity and Ready, and the association is as planned.
    Moved,
    /// It was moved, and something is not as it should be.
    Unwell(Vec<String>),
    /// The run has not moved it, or has undone it.
    NotMoved,
    /// What would tell could not be read.
    Unknown(String),
}

/// One ServiceAccount, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Which one.
    pub subject: Subject,
    /// What became of it.
    pub state: State,
    /// Pods on Pod Identity.
    pub pod_identity: usize,
    /// Pods on IRSA: of Jobs, bare pods, and what came up wrong.
    pub irsa: usize,
}

/// Looks at every ServiceAccount of a plan.
#[must_use]
pub fn verify(plan: &Plan, status: &RunStatus, inventory: &Inventory) -> Vec<Checked> {
    let works = plan.units.iter().filter_map(|unit| match &unit.work {
        Work::ServiceAccount(work) => Some((work, status.unit(&unit.id.0, unit.steps.len()))),
        Work::Role(_) => None,
    });
    works.map(|(work, status)| check(work, status, inventory)).collect()
}

/// Whether everything that was moved is well; what was not moved does not count.
#[must_use]
pub fn is_well(checked: &[Checked]) -> bool {
    checked.iter().all(|it| matches!(it.state, State::Moved | State::NotMoved))
}

/// Whether everything in the plan is moved and well.
#[must_use]
pub fn is_complete(checked: &[Checked]) -> bool {
    checked.iter().all(|it| it.state == State::Moved)
}

fn check(work: &SubjectWork, status: UnitStatus, inventory: &Inventory) -> Checked {
    let subject = work.subject.clone();
    let unknown = |why: &str| Checked {
        subject: work.subject.clone(),
        state: State::Unknown(why.to_owned()),
        pod_identity: 0,
        irsa: 0,
    };
    let Some(cluster) = inventory.cluster(&subject.cluster) else { return unknown("its cluster was not read") };
    let pods = match cluster.pods.as_result() {
        Ok(pods) => pods,
        Err(why) => return unknown(why),
    };
    let own: Vec<&Pod> = pods
        .iter()
        .filter(|it| it.namespace == subject.namespace && it.service_account == subject.service_account)
        .collect();
    let count = |wanted: fn(&Mode) -> bool| own.iter().filter(|it| wanted(&it.mode)).count();
    let state = match status {
        UnitStatus::Done => moved(work, cluster, &own),
        UnitStatus::Pending
        | UnitStatus::Partial
        | UnitStatus::InDoubt
        | UnitStatus::Failed
        | UnitStatus::Refused
        | UnitStatus::Undone => State::NotMoved,
    };
    Checked { subject, state, pod_identity: count(|it| *it == Mode::PodIdentity), irsa: count(Mode::is_irsa) }
}

fn moved(work: &SubjectWork, cluster: &Cluster, pods: &[&Pod]) -> State {
    let mut wrong = Vec::new();
    match cluster.association(&work.subject.namespace, &work.subject.service_account) {
        Err(why) => return State::Unknown(why.to_owned()),
        Ok(None) => wrong.push("its association is gone".to_owned()),
        Ok(Some(association)) => wrong.extend(other_role(work, association)),
    }
    for pod in pods {
        let counts = pod.workload.as_ref().is_some_and(|it| work.workloads.iter().any(|ours| ours.workload == *it));
        if !counts || pod.terminating || pod.skips_webhook {
            continue;
        }
        let name = format!("pod {}/{}", pod.namespace, pod.name);
        if pod.mode != Mode::PodIdentity {
            wrong.push(format!("{name} is on {}", pod.mode));
        } else if !pod.ready {
            wrong.push(format!("{name} is not Ready"));
        }
    }
    if wrong.is_empty() { State::Moved } else { State::Unwell(wrong) }
}

/// What its association says against the plan, where it was described.
fn other_role(work: &SubjectWork, association: &Association) -> Option<String> {
    match association.detail.as_ref().map(Seen::as_result)? {
        Ok(detail) if detail.role_arn == work.role_arn => None,
        Ok(detail) => Some(format!("its association names {}", detail.role_arn)),
        Err(why) => Some(format!("its association could not be described: {why}")),
    }
}
