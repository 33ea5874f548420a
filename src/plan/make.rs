//! From an inventory to a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answered, answer};
use super::settings::{Effective, Settings, Waiver};
use super::step::{Unit, UnitId};
use super::subject::Maker;
use super::waves::{self, Goer};
use super::window::{WindowError, longest};
use super::{Held, Plan, PlanCluster, Purpose, Wave, role, steps};
use crate::findings::{Checks, Code, Finding, Target, candidates};
use crate::inventory::Inventory;
use crate::model::{Digest, Kind, RoleArn, Subject};

/// An inventory that no plan can be made from.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A window that means nothing.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// None that is known; the JSON writer's own.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Makes a plan. Pure: the same inventory and settings give the same plan.
///
/// # Errors
/// A window that means nothing. Everything else that stands in the way is *held*, in the plan.
pub fn plan(inventory: &Inventory, settings: &Settings) -> Result<Plan, PlanError> {
    for window in &settings.windows {
        window.check()?;
    }
    let (inventory_digest, settings_digest) = (inventory.digest()?, settings.digest()?);
    let mark = steps::mark(&inventory_digest, &settings_digest);
    let mut planner = Planner::new(inventory, settings, &mark);
    planner.sort_candidates();
    // What holds one thing may hold another: a role without its ServiceAccounts need not be
    // prepared, and a ServiceAccount without its role cannot go. Each round only takes away.
    while planner.settle() {}
    planner.hold_unneeded_roles();
    let (waves, units) = planner.units();
    Ok(Plan {
        format: Kind::Plan.current(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        purpose: Purpose::Migrate,
        inventory: inventory_digest,
        settings: settings_digest,
        taken_at: inventory.taken_at,
        account: inventory.caller.account.clone(),
        clusters: planner.clusters(&units),
        rules: settings.apply.clone(),
        numbers: settings.numbers,
        windows: settings.windows.clone(),
        not_promised: planner.not_promised(&units),
        waves,
        units,
        held: planner.held.into_iter().map(|(what, findings)| Held { what, findings }).collect(),
        waived: planner.waived,
    })
}

/// What is known of a ServiceAccount that nothing holds.
struct Eligible {
    role: RoleArn,
    notices: Vec<Finding>,
}

struct Planner<'a> {
    inventory: &'a Inventory,
    settings: &'a Settings,
    mark: &'a Digest,
    checks: Checks<'a>,
    candidates: BTreeSet<Target>,
    eligible: BTreeMap<Subject, Eligible>,
    prepared: BTreeMap<RoleArn, role::Prepared>,
    waves: Vec<waves::Wave>,
    held: BTreeMap<Target, Vec<Finding>>,
    waived: Vec<Waiver>,
}

impl<'a> Planner<'a> {
    fn new(inventory: &'a Inventory, settings: &'a Settings, mark: &'a Digest) -> Self {
        Self {
            inventory,
            settings,
            mark,
            checks: Checks::new(inventory),
            candidates: candidates(inventory),
            eligible: BTreeMap::new(),
            prepared: BTreeMap::new(),
            waves: Vec::new(),
            held: BTreeMap::new(),
            waived: Vec::new(),
        }
    }

    fn hold(&mut self, what: Target, finding: Finding) {
        self.held.entry(what).or_default().push(finding);
    }

    /// Takes the settings' answers, and remembers the waivers that were used.
    fn answer(&mut self, findings: Vec<Finding>) -> Answered {
        let answered = answer(findings, self.settings, self.inventory.taken_at);
        for waiver in &answered.waived {
            if !self.waived.contains(waiver) {
                self.waived.push(waiver.clone());
            }
        }
        answered
    }

    /// Each candidate but roles is eligible or held; roles follow from their ServiceAccounts.
    fn sort_candidates(&mut self) {
        for candidate in self.candidates.clone() {
            match &candidate {
                Target::ServiceAccount(subject) => self.sort_subject(&candidate, subject),
                Target::Role(_) => {}
                // A list that is missing, or an add-on: never a unit of this plan.
                Target::Account(_) | Target::Cluster(_) | Target::Addon { .. } => {
                    let findings = self.checks.of_candidate(&candidate);
                    self.held.insert(candidate, findings);
                }
            }
        }
    }

    fn sort_subject(&mut self, candidate: &Target, subject: &Subject) {
        if !waves::in_scope(self.settings, subject) {
            let evidence = format!("namespace {}", subject.namespace);
            return self.hold(candidate.clone(), Finding::new(Code::OutOfScope, candidate.clone(), evidence));
        }
        let answered = self.answer(self.checks.of_subject(subject));
        let annotation = self.inventory.service_account(subject).and_then(|it| it.role_arn.as_deref());
        let role = annotation.and_then(|it| RoleArn::parse(it).ok());
        match role {
            Some(role) if answered.holding.is_empty() => {
                self.eligible.insert(subject.clone(), Eligible { role, notices: answered.notices });
            }
            _ => {
                self.held.insert(candidate.clone(), answered.holding);
            }
        }
    }

    /// The eligible ServiceAccounts of each role.
    fn by_role(&self) -> BTreeMap<RoleArn, Vec<Subject>> {
        let mut roles: BTreeMap<RoleArn, Vec<Subject>> = BTreeMap::new();
        for (subject, eligible) in &self.eligible {
            roles.entry(eligible.role.clone()).or_default().push(subject.clone());
        }
        roles
    }

    /// Prepares the roles and fills the waves; `true` if somebody had to be held on the way.
    fn settle(&mut self) -> bool {
        let before = self.eligible.len();
        let roles = self.by_role();
        self.prepared.clear();
        for (arn, subjects) in &roles {
            match role::prepare(self.inventory, self.settings, arn, subjects) {
                Ok(prepared) => {
                    self.prepared.insert(arn.clone(), prepared);
                }
                Err(findings) => self.hold_role(arn, subjects, findings),
            }
        }
        let goers = self.eligible.iter().filter_map(|(subject, eligible)| {
            let maker = Maker::new(self.inventory, self.settings, self.mark, subject, &eligible.role)?;
            let sharers = roles.get(&eligible.role).map_or(1, Vec::len);
            Some(Goer { subject: subject.clone(), sharers, replicas: maker.replicas() })
        });
        let (waves, left) = waves::fill(self.inventory, self.settings, goers.collect());
        self.waves = waves;
        for subject in left {
            self.hold_subject(&subject, Code::InNoWave, "no wave of the settings selects it");
        }
        self.hold_what_never_fits();
        self.eligible.len() < before
    }

    fn hold_role(&mut self, arn: &RoleArn, subjects: &[Subject], findings: Vec<Finding>) {
        let why: Vec<String> = findings.iter().map(|it| format!("{}: {}", it.code, it.evidence)).collect();
        self.held.insert(Target::Role(arn.clone()), findings);
        for subject in subjects {
            self.hold_subject(subject, Code::RoleHeld, &format!("{arn} is held: {}", why.join("; ")));
        }
    }

    fn hold_subject(&mut self, subject: &Subject, code: Code, evidence: &str) {
        self.eligible.remove(subject);
        let target = Target::ServiceAccount(subject.clone());
        self.hold(target.clone(), Finding::new(code, target, evidence));
    }

    /// Roles and ServiceAccounts that no window is long enough for. What takes all of a window is one of
    /// them: it could only start in the moment in which the window opens.
    fn hold_what_never_fits(&mut self) {
        let Some(longest) = longest(&self.settings.windows) else { return };
        let too_long = |expected: u64| (expected >= longest).then(|| never_fits(expected, longest));
        let subjects: Vec<(Subject, String)> = self
            .eligible
            .keys()
            .filter_map(|subject| Some((subject.clone(), too_long(self.unit(subject)?.expected_seconds)?)))
            .collect();
        for (arn, needed_by) in self.by_role() {
            let Some(prepared) = self.prepared.get(&arn) else { continue };
            if let Some(evidence) = too_long(role::step(self.settings, prepared).expected_seconds) {
                let finding = Finding::new(Code::NeverFitsWindow, Target::Role(arn.clone()), evidence);
                self.hold_role(&arn, &needed_by, vec![finding]);
            }
        }
        for (subject, evidence) in subjects {
            self.hold_subject(&subject, Code::NeverFitsWindow, &evidence);
        }
    }

    fn unit(&self, subject: &Subject) -> Option<Unit> {
        let (subject, eligible) = self.eligible.get_key_value(subject)?;
        let maker = Maker::new(self.inventory, self.settings, self.mark, subject, &eligible.role)?;
        Some(maker.unit(eligible.notices.clone()))
    }

    /// Every role that trusts a scanned issuer and is no unit is listed, with its own findings or
    /// because nobody needs it.
    fn hold_unneeded_roles(&mut self) {
        for candidate in self.candidates.clone() {
            let Target::Role(arn) = &candidate else { continue };
            if self.prepared.contains_key(arn) || self.held.contains_key(&candidate) {
                continue;
            }
            let own: Vec<Finding> = self.checks.of_role(arn).into_iter().filter(|it| it.subject == candidate).collect();
            let answered = self.answer(own);
            let mut findings = answered.holding;
            if findings.is_empty() {
                let evidence = "no ServiceAccount of this plan needs it";
                findings.push(Finding::new(Code::RoleNotNeeded, candidate.clone(), evidence));
            }
            self.held.insert(candidate, findings);
        }
    }

    /// The waves, and the units in their order.
    fn units(&mut self) -> (Vec<Wave>, Vec<Unit>) {
        let by_role = self.by_role();
        // Our statement names no cluster whose issuer is unknown, so that nobody there can use it.
        let known = self.inventory.clusters.iter().filter(|it| it.issuer().is_some());
        let clusters: Vec<_> = known.map(|it| it.arn.clone()).collect();
        let mut units = Vec::new();
        for (arn, prepared) in std::mem::take(&mut self.prepared) {
            let subjects = by_role.get(&arn).cloned().unwrap_or_default();
            units.push(role::unit(self.settings, prepared, subjects, clusters.clone()));
        }
        let mut waves = Vec::new();
        if !units.is_empty() {
            waves.push(Wave { name: "prepare".to_owned(), units: units.iter().map(|it| it.id.clone()).collect() });
        }
        for wave in &self.waves {
            let made: Vec<Unit> = wave.subjects.iter().filter_map(|it| self.unit(it)).collect();
            if !made.is_empty() {
                let ids: Vec<UnitId> = made.iter().map(|it| it.id.clone()).collect();
                waves.push(Wave { name: wave.name.clone(), units: ids });
                units.extend(made);
            }
        }
        (waves, units)
    }

    /// Every cluster of the inventory whose issuer is known: an undo has to look into all of them
    /// before it takes a role's statement away.
    fn clusters(&self, units: &[Unit]) -> Vec<PlanCluster> {
        if units.is_empty() {
            return Vec::new();
        }
        let known = self.inventory.clusters.iter().filter_map(|cluster| {
            let issuer = cluster.issuer()?.clone();
            Some(PlanCluster { arn: cluster.arn.clone(), issuer, api_servers: cluster.api_servers.get().copied() })
        });
        known.collect()
    }

    fn not_promised(&self, units: &[Unit]) -> Vec<String> {
        let mut said = vec![
            "While EKS' webhook cannot be reached, Kubernetes admits pods with no credentials at all.".to_owned(),
            "What others edit while the run goes on is noticed and left alone, and may keep a unit from ending."
                .to_owned(),
            "In the seconds after an association is made, a new pod's first fetch of credentials may need a retry: AWS \
             gives no signal that it is ready."
                .to_owned(),
            "Undoing a unit that was cut over has a gap: from the deletion of its association until a pod is \
             replaced, that pod may get no fresh credentials. Each such pod is named and replaced at once."
                .to_owned(),
            "EKS add-ons are not part of this plan.".to_owned(),
        ];
        if self.settings.apply.effective == Effective::Observe {
            said.push(
                "New pods are not probed before the restart: pods may come up on IRSA and be restarted twice.".into(),
            );
        }
        if waves::are_default(self.settings) && !units.is_empty() {
            said.push("The waves are the default ones: one ServiceAccount first, then all others.".to_owned());
        }
        if !self.waived.is_empty() {
            said.push("What the waivers of this plan are about may go wrong all the same.".to_owned());
        }
        said
    }
}

fn never_fits(expected: u64, longest: u64) -> String {
    format!("it is expected to take {expected} s, and the longest window is {longest} s")
}
