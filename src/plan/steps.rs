//! The steps of a unit, and its undo: what its work and the plan's numbers make of them, and nothing else.
//!
//! The planner makes a unit's steps here, and [`check`](super::check) makes them once more of any plan that
//! somebody hands over. A plan that was made by another version of the program passes there only if these
//! make the same steps: whoever changes them gives the format a new version.

use std::collections::BTreeMap;

use super::pinned::{Move, PinnedWorkload};
use super::settings::ApplyRules;
use super::step::{Condition, Request, RoleWork, Step, SubjectWork, Target, UnitId};
use super::times::{self, Pace, Times};
use super::{Numbers, PLAN_TAG, UNIT_TAG};
use crate::inventory::WorkloadRef;
use crate::model::{ClusterArn, Digest, Issuer, Subject};

/// Stamps that one restart may use: the first, and two more for stragglers that were admitted
/// before every API server knew. More would hide a webhook that does not work.
const STAMPS: usize = 3;

/// What is done, and what undoes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) forth: Vec<Step>,
    pub(super) back: Vec<Step>,
}

/// The digest by which a plan's stamps, tokens and tags are told from any other plan's. It cannot be the plan's
/// own, which they are a part of.
pub(super) fn mark(inventory: &Digest, settings: &Digest) -> Digest {
    Digest::of(format!("{inventory}\n{settings}").as_bytes())
}

/// The one step of a role's unit.
pub(super) fn prepare(numbers: &Numbers, work: &RoleWork) -> Step {
    let adds = !work.added.is_empty();
    let settle = times::trust(numbers);
    let role_arn = &work.role_arn;
    Step {
        name: "prepare".to_owned(),
        when: None,
        write: adds.then(|| Request::AddTrust { role_arn: role_arn.clone() }),
        until: Condition::TrustSettled { role_arn: role_arn.clone() },
        expected_seconds: if adds { settle.expected } else { times::look(numbers).expected },
        timeout_seconds: settle.timeout,
    }
}

/// The steps of a role's unit, and its undo.
///
/// `subjects` are all that the plan gives the role to, and `clusters` all that are looked into before it is
/// taken from them.
pub(super) fn of_role(numbers: &Numbers, work: &RoleWork, subjects: Vec<Subject>, clusters: Vec<ClusterArn>) -> Steps {
    let role_arn = || work.role_arn.clone();
    let restore = (!work.added.is_empty()).then(|| {
        let (unused, settle) = (times::unused(numbers), times::trust(numbers));
        Step {
            name: "restore trust".to_owned(),
            when: Some(Condition::RoleUnused { role_arn: role_arn(), subjects, clusters }),
            write: Some(Request::RemoveTrust { role_arn: role_arn() }),
            until: Condition::TrustRestored { role_arn: role_arn() },
            expected_seconds: unused.expected,
            timeout_seconds: unused.timeout.saturating_add(settle.timeout),
        }
    });
    Steps { forth: vec![prepare(numbers, work)], back: restore.into_iter().collect() }
}

/// What was found of a workload, that decides how it is restarted and is no fact to be held to: it stands in
/// the restart's step alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The stamp that was there.
    pub(super) stamp: Option<String>,
    /// How its controller rolls it.
    pub(super) pace: Pace,
}

/// What the steps of a ServiceAccount's unit are made from.
pub(super) struct Maker<'a> {
    pub(super) numbers: &'a Numbers,
    pub(super) rules: &'a ApplyRules,
    /// The plan's [`mark`].
    pub(super) mark: &'a Digest,
    /// Of its cluster.
    pub(super) issuer: &'a Issuer,
    /// How many API servers its cluster has.
    pub(super) api_servers: Option<u32>,
    pub(super) work: &'a SubjectWork,
    /// Of each of the work's workloads.
    pub(super) found: &'a [Found],
}

impl Maker<'_> {
    /// The steps.
    pub(super) fn steps(&self) -> Steps {
        Steps { forth: self.forth(), back: self.back() }
    }

    fn id(&self) -> UnitId {
        UnitId::of_subject(&self.work.subject)
    }

    fn tags(&self) -> BTreeMap<String, String> {
        // A tag's value takes 256 characters, and a unit's name may be longer.
        let unit = Digest::of(self.id().0.as_bytes()).short(16).to_owned();
        BTreeMap::from([(PLAN_TAG.to_owned(), self.mark.short(16).to_owned()), (UNIT_TAG.to_owned(), unit)])
    }

    /// Names that no other unit, workload or plan has.
    fn stamps(&self, workload: &WorkloadRef, what: &str) -> Vec<String> {
        let digest = Digest::of(format!("{}\n{}\n{workload}\n{what}", self.mark, self.id()).as_bytes());
        let first = digest.short(12);
        let name = |at: usize| if at == 1 { first.to_owned() } else { format!("{first}-{at}") };
        (1..=STAMPS).map(name).collect()
    }

    fn workloads(&self) -> impl Iterator<Item = (&PinnedWorkload, &Found)> {
        self.work.workloads.iter().zip(self.found)
    }

    fn effective(&self, to: Target) -> Step {
        let probes = times::probes_in_a_row(self.api_servers);
        let time = times::effective(self.numbers, self.rules, probes, to);
        let until = Condition::Effective {
            subject: self.work.subject.clone(),
            role_arn: self.work.role_arn.clone(),
            to,
            template: self.work.workloads.first().map(|it| it.workload.clone()),
        };
        step("effective", None, None, until, time)
    }

    fn moved(&self, workload: &WorkloadRef, to: Target) -> Condition {
        Condition::WorkloadMoved {
            subject: self.work.subject.clone(),
            workload: workload.clone(),
            role_arn: self.work.role_arn.clone(),
            to,
        }
    }

    /// The step that moves one workload in its own way: by `roll`, pod by pod, or by its owner, who is waited for.
    fn one_moved(&self, pinned: &PinnedWorkload, to: Target, verb: &str, roll: Request, time: Times) -> Step {
        let (verb, write) = match pinned.moves {
            Move::Roll => (verb, Some(roll)),
            Move::Evict => {
                let (subject, uid) = (self.work.subject.clone(), pinned.uid.clone());
                (verb, Some(Request::Evict { subject, workload: pinned.workload.clone(), uid, to }))
            }
            Move::ByOwner => ("await", None),
        };
        step(&format!("{verb} {}", pinned.workload), None, write, self.moved(&pinned.workload, to), time)
    }

    fn verify(&self, to: Target) -> Step {
        let until = Condition::SubjectMoved {
            subject: self.work.subject.clone(),
            role_arn: self.work.role_arn.clone(),
            to,
            workloads: self.work.workloads.iter().map(|it| it.workload.clone()).collect(),
        };
        step("verify", None, None, until, times::look(self.numbers))
    }

    /// The only order that loses nothing: the switch, its proof, each workload, and all pods.
    fn forth(&self) -> Vec<Step> {
        let (subject, role_arn) = (&self.work.subject, &self.work.role_arn);
        let create = Request::CreateAssociation {
            subject: subject.clone(),
            role_arn: role_arn.clone(),
            tags: self.tags(),
            token: Digest::of(format!("{}\n{}", self.mark, self.id()).as_bytes()).short(32).to_owned(),
        };
        let trusted = Condition::TrustSeen { role_arn: role_arn.clone() };
        let seen = Condition::AssociationSeen { subject: subject.clone(), role_arn: role_arn.clone() };
        let time = times::association(self.numbers);
        let mut steps =
            vec![step("associate", Some(trusted), Some(create), seen, time), self.effective(Target::PodIdentity)];
        for (pinned, found) in self.workloads() {
            let roll = Request::Restart {
                subject: subject.clone(),
                workload: pinned.workload.clone(),
                uid: pinned.uid.clone(),
                before: found.stamp.clone(),
                stamps: self.stamps(&pinned.workload, "restart"),
            };
            let time = times::restart(self.numbers, pinned, found.pace);
            steps.push(self.one_moved(pinned, Target::PodIdentity, "restart", roll, time));
        }
        steps.push(self.verify(Target::PodIdentity));
        steps
    }

    fn back(&self) -> Vec<Step> {
        let (subject, role_arn) = (&self.work.subject, &self.work.role_arn);
        let delete =
            Request::DeleteAssociation { subject: subject.clone(), role_arn: role_arn.clone(), tags: self.tags() };
        let works = Condition::IrsaWorks {
            subject: subject.clone(),
            role_arn: role_arn.clone(),
            issuer: self.issuer.clone(),
            audience: self.work.audience.clone(),
        };
        let gone = Condition::AssociationGone { subject: subject.clone() };
        let time = times::association(self.numbers);
        let mut steps = vec![step("dissociate", Some(works), Some(delete), gone, time), self.effective(Target::Irsa)];
        for (pinned, found) in self.workloads() {
            let roll = Request::Unrestart {
                subject: subject.clone(),
                workload: pinned.workload.clone(),
                uid: pinned.uid.clone(),
                before: found.stamp.clone(),
                stamps: self.stamps(&pinned.workload, "restart"),
                bounces: self.stamps(&pinned.workload, "bounce"),
            };
            let time = times::put_back(self.numbers, pinned, found.pace);
            steps.push(self.one_moved(pinned, Target::Irsa, "put back", roll, time));
        }
        steps.push(self.verify(Target::Irsa));
        steps
    }
}

fn step(name: &str, when: Option<Condition>, write: Option<Request>, until: Condition, time: Times) -> Step {
    Step { name: name.to_owned(), when, write, until, expected_seconds: time.expected, timeout_seconds: time.timeout }
}
