//! How long pods could get no fresh credentials while they were put back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::nominal::whole_seconds;
use super::report::Gap;
use crate::model::Subject;
use crate::plan::{Plan, Unit, UnitId, Work};
use crate::sim::{Call, Sim};

/// One ServiceAccount on its way back.
struct Watched {
    subject: Subject,
    association: String,
    pods: usize,
    replaced_at: Option<Timestamp>,
}

/// When the pods of each ServiceAccount were replaced, looked at whenever its unit tells of something.
pub(super) struct Gaps(BTreeMap<UnitId, Watched>);

impl Gaps {
    pub(super) fn of(sim: &Sim, undo: &Plan) -> Self {
        let world = sim.world();
        let watched = |unit: &Unit| {
            let Work::ServiceAccount(work) = &unit.work else { return None };
            let subject = work.subject.clone();
            let association = world.association_now(&subject)?.id.clone();
            let pods = world.pods_on_pod_identity(&subject);
            Some((unit.id.clone(), Watched { subject, association, pods, replaced_at: None }))
        };
        Self(undo.units.iter().filter_map(watched).filter(|(_, it)| it.pods > 0).collect())
    }

    pub(super) fn look(&mut self, sim: &Sim, unit: &UnitId) {
        let Some(watched) = self.0.get_mut(unit).filter(|it| it.replaced_at.is_none()) else { return };
        let world = sim.world();
        if world.association_now(&watched.subject).is_none() && world.pods_on_pod_identity(&watched.subject) == 0 {
            watched.replaced_at = Some(world.now());
        }
    }

    pub(super) fn found(self, sim: &Sim) -> Vec<Gap> {
        let world = sim.world();
        let mut deleted: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for it in world.history().writes() {
            if let Call::DeleteAssociation { id, .. } = &it.call {
                deleted.insert(id, it.at);
            }
        }
        let gap = |it: Watched| {
            let from = *deleted.get(it.association.as_str())?;
            let until = it.replaced_at.unwrap_or_else(|| world.now());
            Some(Gap { subject: it.subject, pods: it.pods, seconds: whole_seconds(from, until) })
        };
        let mut gaps: Vec<Gap> = self.0.into_values().filter_map(gap).collect();
        gaps.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.subject.cmp(&b.subject)));
        gaps
    }
}
