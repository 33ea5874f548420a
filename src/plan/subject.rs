//! ServiceAccount units: the facts of one, taken from the inventory.

use super::pinned::{Move, PinnedWorkload};
use super::settings::Settings;
use super::step::{SubjectWork, Unit, UnitId, Work};
use super::steps::{Found, Maker as StepMaker, Steps};
use super::times::{self, Pace};
use crate::findings::{Finding, audience_of};
use crate::inventory::{Inventory, Pod, Workload};
use crate::model::{Digest, Issuer, RoleArn, Subject};

/// How a workload moves. `None` for one that never moves: batch, and what the webhook skips.
fn moves(workload: &Workload) -> Option<Move> {
    if workload.skips_webhook {
        return None;
    }
    let by_itself = Move::of(workload.at.kind, workload.strategy, workload.partition)?;
    Some(if workload.controller.is_some() || workload.paused { Move::ByOwner } else { by_itself })
}

/// What one unit is made from.
pub(super) struct Maker<'a> {
    settings: &'a Settings,
    mark: &'a Digest,
    issuer: &'a Issuer,
    api_servers: Option<u32>,
    work: SubjectWork,
    found: Vec<Found>,
}

impl<'a> Maker<'a> {
    /// Collects the facts of one ServiceAccount; `None` if it is not in the inventory.
    pub(super) fn new(
        inventory: &'a Inventory,
        settings: &'a Settings,
        mark: &'a Digest,
        subject: &Subject,
        role_arn: &RoleArn,
    ) -> Option<Self> {
        let cluster = inventory.cluster(&subject.cluster)?;
        let account = inventory.service_account(subject)?;
        let own: Vec<&Workload> = cluster
            .seen_workloads()
            .filter(|it| it.at.namespace == subject.namespace && it.service_account == subject.service_account)
            .collect();
        let (mut workloads, mut found) = (Vec::new(), Vec::new());
        for (workload, moves) in own.iter().filter_map(|it| moves(it).map(|how| (*it, how))) {
            workloads.push(PinnedWorkload::of(workload, moves));
            let pace = Pace { at_a_time: workload.at_a_time, deadline: workload.progress_deadline_seconds };
            found.push(Found { stamp: workload.stamp.clone(), pace });
        }
        let stays = own.iter().filter(|it| moves(it).is_none()).map(|it| it.at.to_string());
        let is_bare = |pod: &&Pod| {
            pod.namespace == subject.namespace
                && pod.service_account == subject.service_account
                && pod.controller.is_none()
        };
        let bare = cluster.pods.get().into_iter().flatten().filter(is_bare);
        let left = stays.chain(bare.map(|it| format!("Pod {}/{}", it.namespace, it.name))).collect();
        let work = SubjectWork {
            subject: subject.clone(),
            uid: account.uid.clone(),
            role_arn: role_arn.clone(),
            audience: audience_of(account).to_owned(),
            workloads,
            left,
        };
        let api_servers = cluster.api_servers.get().copied();
        Some(Self { settings, mark, issuer: cluster.issuer()?, api_servers, work, found })
    }

    /// How many pods it has that will be replaced: the measure of what it risks.
    pub(super) fn replicas(&self) -> u32 {
        self.work.workloads.iter().map(|it| it.replicas).sum()
    }

    /// The unit.
    pub(super) fn unit(self, notices: Vec<Finding>) -> Unit {
        let maker = StepMaker {
            numbers: &self.settings.numbers,
            rules: &self.settings.apply,
            mark: self.mark,
            issuer: self.issuer,
            api_servers: self.api_servers,
            work: &self.work,
            found: &self.found,
        };
        let Steps { forth, back } = maker.steps();
        let (expected_seconds, worst_seconds) = times::sums(&forth);
        Unit {
            id: UnitId::of_subject(&self.work.subject),
            needs: vec![UnitId::of_role(&self.work.role_arn)],
            work: Work::ServiceAccount(self.work),
            steps: forth,
            undo: back,
            expected_seconds,
            worst_seconds,
            notices,
        }
    }
}
