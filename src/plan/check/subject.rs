//! What holds of a ServiceAccount's work.

use std::collections::BTreeSet;

use super::Checker;
use crate::plan::pinned::{Move, PinnedWorkload};
use crate::plan::step::{SubjectWork, Unit, UnitId, Work};

impl Checker<'_> {
    pub(super) fn subject(&mut self, unit: &Unit, work: &SubjectWork) {
        let subject = &work.subject;
        self.expect(unit, unit.id == UnitId::of_subject(subject), "its name is not its ServiceAccount's");
        self.expect(unit, work.role_arn.account() == self.plan.account, "its role is of another account");
        self.expect(unit, subject.cluster.account() == self.plan.account, "its cluster is of another account");
        if !self.is_undo() {
            let role = self.plan.unit(&UnitId::of_role(&work.role_arn));
            let granted = role.is_some_and(|it| match &it.work {
                Work::Role(role) => role.grants_before.allows(subject) && role.grants_after.allows(subject),
                Work::ServiceAccount(_) => false,
            });
            self.expect(unit, granted, "its role does not grant it before and after");
        }
        let mut seen = BTreeSet::new();
        for pinned in &work.workloads {
            let at = &pinned.workload;
            if !seen.insert(at) {
                self.say_of(unit, format!("it would move {at} twice"));
            }
            if at.namespace != subject.namespace {
                self.say_of(unit, format!("it would move {at}, which is in another namespace"));
            }
            if !may_move_so(pinned) {
                self.say_of(unit, format!("{at} cannot be moved as it says"));
            }
        }
    }
}

/// Whether the pinned facts let a workload be moved as it is planned. Whether somebody else owns and restarts it only
/// the world tells; we leave it alone then.
fn may_move_so(pinned: &PinnedWorkload) -> bool {
    let by_itself = Move::of(pinned.workload.kind, pinned.strategy, pinned.partition);
    by_itself.is_some_and(|it| pinned.moves == Move::ByOwner || (pinned.moves == it && !pinned.paused))
}
