//! Whether a call is what a step says, to a world that was last seen as the step wants it.
//!
//! Trust policies are compared by `sim::normal`, which shares nothing with whoever planned them.

use std::collections::BTreeSet;

use super::looks::{Looks, Since};
use crate::inventory::{Seen, WorkloadRef};
use crate::model::ClusterArn;
use crate::plan::{Request, RoleWork, Step, SubjectWork, Unit, Work};
use crate::ports::{NewAssociation, Stamping};
use crate::sim::{Call, normal};

/// Whether a call is one of those that a step may send, whatever the world is like.
pub(super) fn says(step: &Step, unit: &Unit, call: &Call, looks: &Looks<'_>) -> bool {
    match (&step.write, call) {
        (Some(Request::AddTrust { role_arn }), Call::SetTrust { role, document }) => {
            let after = match &unit.work {
                Work::Role(work) => &work.after,
                Work::ServiceAccount(_) => return false,
            };
            role_arn == role && after == document
        }
        (Some(Request::RemoveTrust { role_arn }), Call::SetTrust { role, .. }) => role_arn == role,
        (Some(Request::CreateAssociation { subject, role_arn, tags, token }), Call::CreateAssociation(new)) => {
            let (subject, role_arn) = (subject.clone(), role_arn.clone());
            *new == NewAssociation { subject, role_arn, tags: tags.clone(), token: token.clone() }
        }
        (Some(Request::DeleteAssociation { subject, .. }), Call::DeleteAssociation { cluster, id }) => {
            let seen = looks.association(subject);
            subject.cluster == *cluster && seen.is_some_and(|it| it.id == *id)
        }
        (Some(Request::Restart { subject, workload, uid, stamps, .. }), Call::Stamp { cluster, change }) => {
            is_at(change, cluster, &subject.cluster, workload, uid)
                && change.after.as_ref().is_some_and(|it| stamps.contains(it))
        }
        (Some(Request::Unrestart { subject, workload, uid, before, bounces, .. }), Call::Stamp { cluster, change }) => {
            let bounce = change.after.as_ref().is_some_and(|it| bounces.contains(it));
            is_at(change, cluster, &subject.cluster, workload, uid) && (bounce || change.after == *before)
        }
        (Some(Request::Evict { subject, workload, .. }), Call::Evict { cluster, uid, .. }) => {
            let pod = looks.pod(cluster, uid);
            let is_its = |it: &crate::inventory::Pod| {
                it.workload.as_ref() == Some(workload)
                    && it.namespace == subject.namespace
                    && it.service_account == subject.service_account
            };
            subject.cluster == *cluster && pod.is_some_and(is_its)
        }
        _ => false,
    }
}

fn is_at(change: &Stamping, cluster: &ClusterArn, of: &ClusterArn, workload: &WorkloadRef, uid: &str) -> bool {
    cluster == of && change.workload == *workload && change.uid == uid
}

/// What is written ahead of a call that is one of several of its step.
pub(super) fn announcement(call: &Call) -> Option<String> {
    if let Call::Stamp { change, .. } = call {
        return Some(format!("stamp {} {}", change.workload, change.after.as_deref().unwrap_or("(none)")));
    }
    if let Call::Evict { namespace, pod, uid, .. } = call {
        return Some(format!("evict {namespace}/{pod} {uid}"));
    }
    None
}

/// Whether the world was last seen as the step wants it, and what is sent follows from what was seen.
pub(super) fn check(call: &Call, unit: &Unit, step: &Step, looks: &Since<'_, '_>) -> Result<(), String> {
    match (&unit.work, &step.write, call) {
        (Work::Role(work), Some(Request::AddTrust { .. }), _) => add_trust(work, looks),
        (Work::Role(work), Some(Request::RemoveTrust { .. }), Call::SetTrust { document, .. }) => {
            remove_trust(work, document, looks)
        }
        (Work::ServiceAccount(work), Some(Request::CreateAssociation { .. }), _) => associate(work, looks),
        (Work::ServiceAccount(work), Some(Request::DeleteAssociation { tags, .. }), _) => {
            let seen = looks.association(&work.subject)?;
            let detail = seen.and_then(|it| it.detail.as_ref()).and_then(Seen::get);
            let is_ours = detail.is_some_and(|it| {
                it.role_arn == work.role_arn && tags.iter().all(|(key, value)| it.tags.get(key) == Some(value))
            });
            require(is_ours, || format!("the association of {} does not carry our mark", work.subject))
        }
        (Work::ServiceAccount(work), Some(write), Call::Stamp { change, .. }) => stamp(work, write, change, looks),
        (Work::ServiceAccount(work), Some(Request::Evict { to, .. }), Call::Evict { cluster, uid, .. }) => {
            let pod = looks.looks.pod(cluster, uid).ok_or("the pod was not looked at before")?;
            let wrong = !to.is_reached(&pod.mode, &work.role_arn);
            require(wrong, || format!("pod {}/{} is on {to} already", pod.namespace, pod.name))
        }
        _ => Err("the step is of another kind than its unit".to_owned()),
    }
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn add_trust(work: &RoleWork, looks: &Since<'_, '_>) -> Result<(), String> {
    let seen = looks.role(&work.role_arn)?;
    require(seen.role_id == work.role_id, || format!("{} is another role by now", work.role_arn))?;
    let same = normal::statements(Some(&seen.trust)) == normal::statements(Some(&work.before));
    require(same, || format!("the trust policy of {} was not as pinned at the last look", work.role_arn))
}

/// The original text where the document means what we left, else what was seen without our statements.
fn remove_trust(work: &RoleWork, sent: &str, looks: &Since<'_, '_>) -> Result<(), String> {
    let seen = looks.role(&work.role_arn)?;
    require(seen.role_id == work.role_id, || format!("{} is another role by now", work.role_arn))?;
    let statements = |text: &str| normal::statements(Some(text));
    let there = statements(&seen.trust);
    if there == statements(&work.after) {
        return require(sent == work.before, || "what is sent is not the original text".to_owned());
    }
    let ours: BTreeSet<String> = work.added.iter().filter_map(|it| normal::one_statement(&it.text)).collect();
    let theirs = there.map(|it| it.difference(&ours).cloned().collect::<BTreeSet<_>>());
    let is_left = theirs.is_some() && theirs == statements(sent);
    require(is_left, || "what is sent is not what was seen without our statements".to_owned())
}

fn associate(work: &SubjectWork, looks: &Since<'_, '_>) -> Result<(), String> {
    let subject = &work.subject;
    if let Some(there) = looks.association(subject)? {
        return Err(format!("{subject} had association {} at the last look", there.id));
    }
    let account = looks.account(subject)?;
    let audience = account.audience.as_deref().unwrap_or("sts.amazonaws.com");
    let annotated = account.role_arn.as_deref() == Some(work.role_arn.as_str());
    let pinned = account.uid == work.uid && annotated && audience == work.audience;
    require(pinned, || format!("{subject} was not as pinned at the last look"))
}

fn stamp(work: &SubjectWork, write: &Request, change: &Stamping, looks: &Since<'_, '_>) -> Result<(), String> {
    let seen = &looks.workload(&work.subject.cluster, &change.workload)?.workload;
    let at = &change.workload;
    require(seen.uid == change.uid, || format!("{at} is another object by now"))?;
    require(seen.stamp == change.before, || format!("{at} had the stamp {:?} at the last look", seen.stamp))?;
    let is_in = |list: &[String]| change.before.as_ref().is_some_and(|it| list.contains(it));
    match write {
        Request::Restart { before, stamps, .. } => {
            let pinned = work.workloads.iter().find(|it| it.workload == *at);
            let moved = pinned.map_or_else(|| vec!["it is not the unit's".to_owned()], |it| it.moved(seen));
            require(moved.is_empty(), || format!("{at} was not as pinned at the last look: {}", moved.join("; ")))?;
            let expected = change.before == *before || is_in(stamps);
            require(expected, || format!("{at} has a stamp that is neither pinned nor ours"))
        }
        Request::Unrestart { before, stamps, bounces, .. } => {
            let bounce = change.before == *before && change.after.as_ref().is_some_and(|it| bounces.contains(it));
            let away = change.after == *before && (is_in(stamps) || is_in(bounces));
            require(bounce || away, || format!("{at} has a stamp that is not ours to take away"))
        }
        Request::AddTrust { .. }
        | Request::RemoveTrust { .. }
        | Request::CreateAssociation { .. }
        | Request::DeleteAssociation { .. }
        | Request::Evict { .. } => Err("this step stamps nothing".to_owned()),
    }
}
