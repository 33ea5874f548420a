//! ServiceAccount units: associate, effective, restart, verify; and the way back.

use std::collections::BTreeMap;

use super::pinned::{Move, PinnedWorkload};
use super::settings::Settings;
use super::step::{Condition, Request, Step, SubjectWork, Target, Unit, UnitId, Work};
use super::times::{self, Times};
use super::{PLAN_TAG, UNIT_TAG};
use crate::findings::{Finding, audience_of};
use crate::inventory::{Inventory, Pod, Strategy, Workload, WorkloadKind, WorkloadRef};
use crate::model::{Digest, Issuer, RoleArn, Subject};

/// Stamps that one restart may use: the first, and two more for stragglers that were admitted
/// before every API server knew. More would hide a webhook that does not work.
const STAMPS: usize = 3;

/// How a workload moves. `None` for one that never moves: batch, and what the webhook skips.
fn moves(workload: &Workload) -> Option<Move> {
    if workload.skips_webhook {
        return None;
    }
    match workload.at.kind {
        WorkloadKind::Job | WorkloadKind::CronJob => return None,
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => {}
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {}
    }
    Some(match workload.strategy {
        _ if workload.controller.is_some() || workload.paused => Move::ByOwner,
        Strategy::RollingUpdate if workload.partition == 0 => Move::Roll,
        Strategy::Recreate => Move::Roll,
        Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None => Move::Evict,
    })
}

/// What one unit is made from.
pub(super) struct Maker<'a> {
    settings: &'a Settings,
    mark: &'a Digest,
    subject: &'a Subject,
    role_arn: &'a RoleArn,
    issuer: &'a Issuer,
    audience: String,
    uid: String,
    workloads: Vec<(&'a Workload, PinnedWorkload)>,
    left: Vec<String>,
    probes: u32,
}

impl<'a> Maker<'a> {
    /// Collects the facts of one ServiceAccount; `None` if it is not in the inventory.
    pub(super) fn new(
        inventory: &'a Inventory,
        settings: &'a Settings,
        mark: &'a Digest,
        subject: &'a Subject,
        role_arn: &'a RoleArn,
    ) -> Option<Self> {
        let cluster = inventory.cluster(&subject.cluster)?;
        let account = inventory.service_account(subject)?;
        let own: Vec<&Workload> = cluster
            .seen_workloads()
            .filter(|it| it.at.namespace == subject.namespace && it.service_account == subject.service_account)
            .collect();
        let moved = own.iter().filter_map(|it| moves(it).map(|how| (*it, PinnedWorkload::of(it, how)))).collect();
        let stays = own.iter().filter(|it| moves(it).is_none()).map(|it| it.at.to_string());
        let is_bare = |pod: &&Pod| {
            pod.namespace == subject.namespace
                && pod.service_account == subject.service_account
                && pod.controller.is_none()
        };
        let bare = cluster.pods.get().into_iter().flatten().filter(is_bare);
        let left = stays.chain(bare.map(|it| format!("Pod {}/{}", it.namespace, it.name))).collect();
        Some(Self {
            settings,
            mark,
            subject,
            role_arn,
            issuer: cluster.issuer()?,
            audience: audience_of(account).to_owned(),
            uid: account.uid.clone(),
            workloads: moved,
            left,
            probes: times::probes_in_a_row(cluster.api_servers.get().copied()),
        })
    }

    /// How many pods it has that will be replaced: the measure of what it risks.
    pub(super) fn replicas(&self) -> u32 {
        self.workloads.iter().map(|(_, it)| it.replicas).sum()
    }

    /// The unit.
    pub(super) fn unit(self, notices: Vec<Finding>) -> Unit {
        let id = UnitId::of_subject(self.subject);
        let steps = self.steps(&id);
        let undo = self.undo(&id);
        let (expected_seconds, worst_seconds) = times::sums(&steps);
        Unit {
            needs: vec![UnitId::of_role(self.role_arn)],
            work: Work::ServiceAccount(SubjectWork {
                subject: self.subject.clone(),
                uid: self.uid,
                role_arn: self.role_arn.clone(),
                audience: self.audience,
                workloads: self.workloads.into_iter().map(|(_, it)| it).collect(),
                left: self.left,
            }),
            id,
            steps,
            undo,
            expected_seconds,
            worst_seconds,
            notices,
        }
    }

    fn tags(&self, id: &UnitId) -> BTreeMap<String, String> {
        // A tag's value takes 256 characters, and a unit's name may be longer.
        let unit = Digest::of(id.0.as_bytes()).short(16).to_owned();
        BTreeMap::from([(PLAN_TAG.to_owned(), self.mark.short(16).to_owned()), (UNIT_TAG.to_owned(), unit)])
    }

    /// A name that no other unit, workload or plan has.
    fn stamp(&self, id: &UnitId, workload: &WorkloadRef, what: &str) -> String {
        Digest::of(format!("{}\n{id}\n{workload}\n{what}", self.mark).as_bytes()).short(12).to_owned()
    }

    fn stamps(&self, id: &UnitId, workload: &WorkloadRef, what: &str) -> Vec<String> {
        let first = self.stamp(id, workload, what);
        let name = |at: usize| if at == 1 { first.clone() } else { format!("{first}-{at}") };
        (1..=STAMPS).map(name).collect()
    }

    fn template(&self) -> Option<WorkloadRef> {
        self.workloads.first().map(|(it, _)| it.at.clone())
    }

    fn effective(&self, to: Target) -> Step {
        let time = times::effective(&self.settings.numbers, &self.settings.apply, self.probes, to);
        let until = Condition::Effective {
            subject: self.subject.clone(),
            role_arn: self.role_arn.clone(),
            to,
            template: self.template(),
        };
        step("effective", None, None, until, time)
    }

    fn moved(&self, workload: &WorkloadRef, to: Target) -> Condition {
        Condition::WorkloadMoved {
            subject: self.subject.clone(),
            workload: workload.clone(),
            role_arn: self.role_arn.clone(),
            to,
        }
    }

    fn verify(&self, to: Target) -> Step {
        let until = Condition::SubjectMoved {
            subject: self.subject.clone(),
            role_arn: self.role_arn.clone(),
            to,
            workloads: self.workloads.iter().map(|(it, _)| it.at.clone()).collect(),
        };
        step("verify", None, None, until, times::look(&self.settings.numbers))
    }

    fn steps(&self, id: &UnitId) -> Vec<Step> {
        let numbers = &self.settings.numbers;
        let create = Request::CreateAssociation {
            subject: self.subject.clone(),
            role_arn: self.role_arn.clone(),
            tags: self.tags(id),
            token: Digest::of(format!("{}\n{id}", self.mark).as_bytes()).short(32).to_owned(),
        };
        let trusted = Condition::TrustSeen { role_arn: self.role_arn.clone() };
        let seen = Condition::AssociationSeen { subject: self.subject.clone(), role_arn: self.role_arn.clone() };
        let mut steps = vec![
            step("associate", Some(trusted), Some(create), seen, times::association(numbers)),
            self.effective(Target::PodIdentity),
        ];
        for (found, pinned) in &self.workloads {
            let (subject, workload, uid) = (self.subject.clone(), pinned.workload.clone(), pinned.uid.clone());
            let write = match pinned.moves {
                Move::Roll => Some(Request::Restart {
                    stamps: self.stamps(id, &workload, "restart"),
                    before: found.stamp.clone(),
                    subject,
                    workload,
                    uid,
                }),
                Move::Evict => Some(Request::Evict { subject, workload, uid, to: Target::PodIdentity }),
                Move::ByOwner => None,
            };
            let verb = if write.is_some() { "restart" } else { "await" };
            let time = times::restart(numbers, pinned, found.at_a_time, found.progress_deadline_seconds);
            let until = self.moved(&pinned.workload, Target::PodIdentity);
            steps.push(step(&format!("{verb} {}", pinned.workload), None, write, until, time));
        }
        steps.push(self.verify(Target::PodIdentity));
        steps
    }

    fn undo(&self, id: &UnitId) -> Vec<Step> {
        let numbers = &self.settings.numbers;
        let delete = Request::DeleteAssociation {
            subject: self.subject.clone(),
            role_arn: self.role_arn.clone(),
            tags: self.tags(id),
        };
        let works = Condition::IrsaWorks {
            subject: self.subject.clone(),
            role_arn: self.role_arn.clone(),
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
        };
        let gone = Condition::AssociationGone { subject: self.subject.clone() };
        let mut steps = vec![
            step("dissociate", Some(works), Some(delete), gone, times::association(numbers)),
            self.effective(Target::Irsa),
        ];
        for (found, pinned) in &self.workloads {
            let (subject, workload, uid) = (self.subject.clone(), pinned.workload.clone(), pinned.uid.clone());
            let write = match pinned.moves {
                Move::Roll => Some(Request::Unrestart {
                    before: found.stamp.clone(),
                    stamps: self.stamps(id, &workload, "restart"),
                    bounces: self.stamps(id, &workload, "bounce"),
                    subject,
                    workload,
                    uid,
                }),
                Move::Evict => Some(Request::Evict { subject, workload, uid, to: Target::Irsa }),
                Move::ByOwner => None,
            };
            let verb = if write.is_some() { "put back" } else { "await" };
            // Back takes up to two roll-outs more: a bounce is one to fresh pods, and one from them.
            let time = times::restart(numbers, pinned, found.at_a_time, found.progress_deadline_seconds);
            let time = Times { expected: time.expected, timeout: time.timeout * 3 };
            steps.push(step(
                &format!("{verb} {}", pinned.workload),
                None,
                write,
                self.moved(&pinned.workload, Target::Irsa),
                time,
            ));
        }
        steps.push(self.verify(Target::Irsa));
        steps
    }
}

fn step(name: &str, when: Option<Condition>, write: Option<Request>, until: Condition, time: Times) -> Step {
    Step { name: name.to_owned(), when, write, until, expected_seconds: time.expected, timeout_seconds: time.timeout }
}
