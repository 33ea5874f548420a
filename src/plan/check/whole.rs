//! What holds of a plan as a whole.

use std::collections::BTreeSet;

use super::Checker;
use crate::findings::Target as About;
use crate::journal::RunId;
use crate::model::Kind;
use crate::plan::Purpose;
use crate::plan::step::{Unit, UnitId, Work};

impl Checker<'_> {
    pub(super) fn whole(&mut self) {
        self.origin();
        self.numbers();
        self.clusters();
        self.waves();
        self.held();
        self.waivers();
    }

    fn origin(&mut self) {
        let plan = self.plan;
        // A newer one is refused where it is read.
        if plan.format.major != Kind::Plan.current().major {
            self.say(format!("there is no format {} of plans", plan.format.major));
        }
        if !(plan.inventory.is_well_formed() && plan.settings.is_well_formed()) {
            self.say("its inventory or its settings are named by what is no digest");
        }
        if let Purpose::Undo { run, plan: undone, .. } = &plan.purpose
            && !(undone.is_well_formed() && *run == RunId::of(undone))
        {
            self.say("the run that it undoes is not named by the digest of that run's plan");
        }
    }

    fn numbers(&mut self) {
        let numbers = &self.plan.numbers;
        if numbers.has_zero_limit() {
            self.say("a limit of 0");
        }
        if numbers.has_endless_time() {
            self.say("a time of more than a year");
        }
        if numbers.lease_duration <= numbers.lease_renewal.saturating_add(numbers.call_timeout) {
            self.say("a lease that runs out before it is renewed");
        }
        for window in &self.plan.windows {
            if let Err(error) = window.check() {
                self.say(error.to_string());
            }
        }
    }

    fn clusters(&mut self) {
        let (mut arns, mut issuers) = (BTreeSet::new(), BTreeSet::new());
        for cluster in &self.plan.clusters {
            if !arns.insert(&cluster.arn) {
                self.say(format!("cluster {} is listed twice", cluster.arn));
            } else if !issuers.insert(&cluster.issuer) {
                self.say(format!("cluster {} has the issuer of another one", cluster.arn));
            }
        }
    }

    /// The waves list each unit once, in the order that the units stand in, and each unit is behind everything
    /// that it needs.
    fn waves(&mut self) {
        let plan = self.plan;
        let mut names = BTreeSet::new();
        for wave in &plan.waves {
            if !names.insert(&wave.name) {
                self.say(format!("two waves named {:?}", wave.name));
            }
            if wave.units.is_empty() {
                self.say(format!("wave {:?} has no units", wave.name));
            }
        }
        let mut seen = BTreeSet::new();
        for unit in &plan.units {
            self.expect(unit, seen.insert(&unit.id), "there are two units of this name");
            let roles = if self.is_undo() { "undo-prepare" } else { "prepare" };
            let is_role = matches!(unit.work, Work::Role(_));
            let right = plan.wave_of(&unit.id).is_some_and(|it| (it.name == roles) == is_role);
            self.expect(unit, right, &format!("it is in no wave of its kind: roles, and they alone, are in {roles:?}"));
            self.expect(unit, unit.needs == self.needs(unit), "it needs other units than its work does");
        }
        let listed: Vec<&UnitId> = plan.waves.iter().flat_map(|it| &it.units).collect();
        if !listed.iter().copied().eq(plan.units.iter().map(|it| &it.id)) {
            self.say("the waves do not list the units, each once and in their order");
        }
        let place = |id: &UnitId| plan.waves.iter().position(|it| it.units.contains(id));
        for unit in &plan.units {
            let own = place(&unit.id);
            let behind = unit.needs.iter().all(|it| place(it).is_some_and(|it| own.is_some_and(|own| it < own)));
            self.expect(unit, behind, "it needs a unit that is not in an earlier wave");
        }
    }

    /// A ServiceAccount needs its role, and on the way back a role needs that all of its are back.
    fn needs(&self, unit: &Unit) -> Vec<UnitId> {
        let plan = self.plan;
        match &unit.work {
            Work::ServiceAccount(_) if self.is_undo() => Vec::new(),
            Work::ServiceAccount(work) => vec![UnitId::of_role(&work.role_arn)],
            Work::Role(_) if !self.is_undo() => Vec::new(),
            Work::Role(role) => {
                // In the order of the plan that is undone, of which the waves come in reverse.
                let units = plan.waves.iter().rev().flat_map(|it| &it.units).filter_map(|it| plan.unit(it));
                let uses =
                    |it: &&Unit| matches!(&it.work, Work::ServiceAccount(work) if work.role_arn == role.role_arn);
                units.filter(uses).map(|it| it.id.clone()).collect()
            }
        }
    }

    fn held(&mut self) {
        let mut seen = BTreeSet::new();
        for held in &self.plan.held {
            if !seen.insert(&held.what) {
                self.say(format!("{} is held twice", held.what));
            }
            if held.findings.is_empty() {
                self.say(format!("{} is held, and nothing says why", held.what));
            }
        }
        for unit in &self.plan.units {
            let about = match &unit.work {
                Work::Role(work) => About::Role(work.role_arn.clone()),
                Work::ServiceAccount(work) => About::ServiceAccount(work.subject.clone()),
            };
            self.expect(unit, !seen.contains(&about), "it is held as well");
        }
    }

    fn waivers(&mut self) {
        for waiver in &self.plan.waived {
            if waiver.reason.trim().is_empty() {
                self.say(format!("the waiver of {} for {:?} gives no reason", waiver.code, waiver.subject));
            }
            if !waiver.code.explain().waivable {
                self.say(format!("{} cannot be waived", waiver.code));
            }
        }
    }
}
