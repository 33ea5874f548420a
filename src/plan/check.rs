//! A plan, read as a stranger would: written apart from the planner.
//!
//! A plan file is input. Whoever made it, nothing is sent before each of these
//! holds; what the planner promises is computed here once more from what the plan
//! itself says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::step::{Condition, Request, RoleWork, Step, SubjectWork, Target, Unit, UnitId, Work};
use super::{Move, PLAN_TAG, Plan, Purpose, UNIT_TAG};
use crate::model::{ClusterArn, RoleArn, Subject};
use crate::trust::{self, AddStatement, Document, Grants, Presence, Provider, Relation, Scope, ScopeCluster};

/// Something in a plan that must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The unit, if it is about one.
    pub unit: Option<UnitId>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Some(unit) => write!(f, "{unit}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Everything that is wrong with a plan; empty if it may be carried out.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Problem> {
    let mut checker = Checker { plan, problems: Vec::new() };
    checker.numbers();
    checker.waves();
    for unit in &plan.units {
        checker.unit(unit);
    }
    checker.problems
}

struct Checker<'a> {
    plan: &'a Plan,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn say(&mut self, unit: Option<&Unit>, what: impl Into<String>) {
        self.problems.push(Problem { unit: unit.map(|it| it.id.clone()), what: what.into() });
    }

    fn expect(&mut self, unit: &Unit, holds: bool, what: &str) {
        if !holds {
            self.say(Some(unit), what);
        }
    }

    fn numbers(&mut self) {
        let numbers = &self.plan.numbers;
        if numbers.has_zero_limit() {
            self.say(None, "a limit of 0");
        }
        if numbers.lease_duration <= numbers.lease_renewal + numbers.call_timeout {
            self.say(None, "a lease that runs out before it is renewed");
        }
        let windows: Vec<String> =
            self.plan.windows.iter().filter_map(|it| it.check().err()).map(|it| it.to_string()).collect();
        for what in windows {
            self.say(None, what);
        }
    }

    /// Each unit is in exactly one wave, and behind everything that it needs.
    fn waves(&mut self) {
        let mut place: BTreeMap<&UnitId, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (index, wave) in self.plan.waves.iter().enumerate() {
            if !names.insert(&wave.name) {
                self.say(None, format!("two waves named {:?}", wave.name));
            }
            for id in &wave.units {
                if self.plan.unit(id).is_none() {
                    self.say(None, format!("wave {:?} names a unit that is not there: {id}", wave.name));
                }
                if place.insert(id, index).is_some() {
                    self.say(None, format!("{id} is in two waves"));
                }
            }
        }
        let mut seen = BTreeSet::new();
        for unit in &self.plan.units {
            self.expect(unit, seen.insert(&unit.id), "there are two units of this name");
            let own = place.get(&unit.id).copied();
            self.expect(unit, own.is_some(), "it is in no wave");
            for need in &unit.needs {
                let before = place.get(need).zip(own.as_ref()).is_some_and(|(need, own)| need < own);
                self.expect(unit, before, "it needs a unit that is not in an earlier wave");
            }
        }
    }

    fn unit(&mut self, unit: &Unit) {
        let names: BTreeSet<&str> = unit.steps.iter().map(|it| it.name.as_str()).collect();
        self.expect(unit, names.len() == unit.steps.len(), "two steps have the same name");
        self.expect(unit, !unit.steps.is_empty(), "it has no steps");
        let steps = || unit.steps.iter().chain(&unit.undo);
        self.expect(unit, steps().all(|it| it.timeout_seconds >= it.expected_seconds), "a timeout before its time");
        match &unit.work {
            Work::Role(work) => self.role(unit, work),
            Work::ServiceAccount(work) => self.subject(unit, work),
        }
    }

    fn role(&mut self, unit: &Unit, work: &RoleWork) {
        self.expect(unit, unit.id == UnitId::of_role(&work.role_arn), "its name is not its role's");
        self.expect(unit, work.role_arn.account() == self.plan.account, "its role is of another account");
        self.expect(unit, work.characters <= work.quota, "its trust policy is longer than the account allows");
        let (before, after) = (Document::parse(&work.before), Document::parse(&work.after));
        let (Ok(before), Ok(after)) = (before, after) else {
            return self.say(Some(unit), "its trust policy cannot be read");
        };
        let absent = trust::presence(&before, &work.added) == Presence::None;
        let present = trust::presence(&after, &work.added) == Presence::All;
        self.expect(unit, work.added.is_empty() || (absent && present), "its statements are not what it adds");
        // Taking exactly the added statements out of `after` must give `before` back.
        let back = match trust::undo(&after, &before, &after, &work.added) {
            trust::Undo::Nothing => after.same_meaning(&before),
            trust::Undo::SendOriginal(text) | trust::Undo::SendEdited(text) => {
                Document::parse(&text).is_ok_and(|it| it.same_meaning(&before))
            }
            trust::Undo::Refuse(_) => false,
        };
        self.expect(unit, back, "its new trust policy differs from the old one in more than it says");
        let own = |it: &AddStatement| after.statement_text(it.position) == Some(it.text.as_str()) && has_sid(it);
        self.expect(unit, work.added.iter().all(own), "its new statements are not where it says, or not of that Sid");
        self.grants(unit, work, &before, &after);
        self.role_steps(unit, work);
    }

    /// What the plan says about access is read from its documents once more. Which providers exist
    /// only the world tells, so that before may be less than the document alone would give.
    fn grants(&mut self, unit: &Unit, work: &RoleWork, before: &Document, after: &Document) {
        let scope = self.scope(work);
        let issuers = work.grants_before.iter().chain(work.grants_after.iter()).all(|grant| {
            let stated = grant.issuer.as_ref();
            stated.is_none_or(|issuer| self.plan.clusters.iter().any(|it| it.issuer == *issuer))
        });
        self.expect(unit, issuers, "its grants name an issuer of no cluster of the plan");
        let relation = |a: &Grants, b: &Grants| trust::prove(a, b).map(|it| it.relation);
        let within = relation(&trust::read(before, &scope).all(), &work.grants_before);
        self.expect(
            unit,
            matches!(within, Ok(Relation::Equal | Relation::Narrower)),
            "its trust policy does not grant what it says",
        );
        let gives = relation(&trust::read(after, &scope).pod_identity, &work.grants_after);
        self.expect(unit, gives == Ok(Relation::Equal), "its new trust policy does not grant what it says");
        let proof = relation(&work.grants_before, &work.grants_after);
        self.expect(unit, proof == Ok(work.proof.relation), "its proof does not follow from its grants");
        self.expect(unit, work.proof.relation != Relation::Incomparable, "it would both give and take access");
    }

    fn scope(&self, work: &RoleWork) -> Scope {
        let mut audiences = vec!["sts.amazonaws.com".to_owned()];
        for unit in &self.plan.units {
            if let Work::ServiceAccount(it) = &unit.work {
                audiences.push(it.audience.clone());
            }
        }
        let cluster = |it: &super::PlanCluster| ScopeCluster {
            arn: it.arn.clone(),
            issuer: it.issuer.clone(),
            provider: Provider::Exists { client_ids: audiences.clone() },
        };
        Scope { role_account: work.role_arn.account(), clusters: self.plan.clusters.iter().map(cluster).collect() }
    }

    /// Before a role's statement is taken away, every cluster and every ServiceAccount that the plan
    /// gave the role to is looked at.
    fn is_unused(&self, condition: &Condition, work: &RoleWork) -> bool {
        let Condition::RoleUnused { role_arn, subjects, clusters } = condition else { return false };
        let given: BTreeSet<&Subject> = self
            .plan
            .units
            .iter()
            .filter_map(|unit| match &unit.work {
                Work::ServiceAccount(it) if it.role_arn == work.role_arn => Some(&it.subject),
                Work::ServiceAccount(_) | Work::Role(_) => None,
            })
            .collect();
        let named: BTreeSet<&Subject> = subjects.iter().collect();
        // An undo of a part names what the whole plan gave, and carries only some of its units.
        let all = match self.plan.purpose {
            Purpose::Migrate => given == named,
            Purpose::Undo { .. } => given.is_subset(&named),
        };
        let every: BTreeSet<&ClusterArn> = self.plan.clusters.iter().map(|it| &it.arn).collect();
        *role_arn == work.role_arn && all && clusters.iter().collect::<BTreeSet<_>>() == every
    }

    fn role_steps(&mut self, unit: &Unit, work: &RoleWork) {
        let own = |role: &RoleArn| *role == work.role_arn;
        for step in unit.steps.iter().chain(&unit.undo) {
            let right = match (&step.when, &step.write, &step.until) {
                (None, None, Condition::TrustSettled { role_arn }) => own(role_arn) && work.added.is_empty(),
                (None, Some(Request::AddTrust { role_arn }), Condition::TrustSettled { role_arn: until }) => {
                    own(role_arn) && own(until)
                }
                (
                    Some(unused),
                    Some(Request::RemoveTrust { role_arn }),
                    Condition::TrustRestored { role_arn: until },
                ) => self.is_unused(unused, work) && own(role_arn) && own(until),
                _ => false,
            };
            self.expect(unit, right, "a step that is no step of a role");
        }
    }

    fn subject(&mut self, unit: &Unit, work: &SubjectWork) {
        self.expect(unit, unit.id == UnitId::of_subject(&work.subject), "its name is not its ServiceAccount's");
        self.expect(unit, work.role_arn.account() == self.plan.account, "its role is of another account");
        self.expect(unit, self.plan.cluster(&work.subject.cluster).is_some(), "its cluster is not in the plan");
        if self.plan.purpose == Purpose::Migrate {
            let role = self.plan.unit(&UnitId::of_role(&work.role_arn));
            let granted = role.is_some_and(|it| match &it.work {
                Work::Role(role) => role.grants_before.allows(&work.subject) && role.grants_after.allows(&work.subject),
                Work::ServiceAccount(_) => false,
            });
            self.expect(unit, granted, "its role does not grant it before and after");
            self.expect(unit, unit.needs.contains(&UnitId::of_role(&work.role_arn)), "it does not need its role");
            self.order(unit, work, &unit.steps, Target::PodIdentity);
        } else {
            self.order(unit, work, &unit.steps, Target::Irsa);
        }
        if !unit.undo.is_empty() {
            self.order(unit, work, &unit.undo, Target::Irsa);
        }
    }

    /// The only order that loses nothing: the switch, its proof, each workload, and all pods.
    fn order(&mut self, unit: &Unit, work: &SubjectWork, steps: &[Step], to: Target) {
        let mut rest = steps.iter();
        let switch = rest.next().is_some_and(|it| self.is_switch(it, work, to));
        self.expect(unit, switch, "its first step is not the switch");
        let effective = rest.next().is_some_and(|it| {
            let until = matches!(&it.until, Condition::Effective { subject, role_arn, to: target, .. }
                if *subject == work.subject && *role_arn == work.role_arn && *target == to);
            it.write.is_none() && until
        });
        self.expect(unit, effective, "nothing proves its switch before the restart");
        for workload in &work.workloads {
            let moved = rest.next().is_some_and(|it| {
                let until = matches!(&it.until, Condition::WorkloadMoved { subject, workload: at, role_arn, to: target }
                    if *subject == work.subject && *at == workload.workload && *role_arn == work.role_arn && *target == to);
                until && is_restart(it, work, workload.moves, to)
            });
            self.expect(unit, moved, "a workload is not moved as the unit says");
        }
        let verified = rest.next().is_some_and(|it| {
            let until = matches!(&it.until, Condition::SubjectMoved { subject, role_arn, to: target, workloads }
                if *subject == work.subject && *role_arn == work.role_arn && *target == to
                    && workloads.iter().eq(work.workloads.iter().map(|it| &it.workload)));
            it.write.is_none() && until
        });
        self.expect(unit, verified && rest.next().is_none(), "its last step does not look at all pods");
    }

    fn is_switch(&self, step: &Step, work: &SubjectWork, to: Target) -> bool {
        let marked = |tags: &BTreeMap<String, String>| tags.contains_key(PLAN_TAG) && tags.contains_key(UNIT_TAG);
        let own = |subject: &Subject, role: &RoleArn| *subject == work.subject && *role == work.role_arn;
        match (to, &step.when, &step.write, &step.until) {
            (
                Target::PodIdentity,
                Some(Condition::TrustSeen { role_arn: trusted }),
                Some(Request::CreateAssociation { subject, role_arn, tags, .. }),
                Condition::AssociationSeen { subject: seen, role_arn: with },
            ) => *trusted == work.role_arn && own(subject, role_arn) && own(seen, with) && marked(tags),
            (
                Target::Irsa,
                Some(Condition::IrsaWorks { subject: works, role_arn, issuer, audience }),
                Some(Request::DeleteAssociation { subject, role_arn: named, tags }),
                Condition::AssociationGone { subject: gone },
            ) => {
                let cluster = self.plan.cluster(&work.subject.cluster);
                own(works, role_arn)
                    && own(subject, named)
                    && *gone == work.subject
                    && *audience == work.audience
                    && cluster.is_some_and(|it| it.issuer == *issuer)
                    && marked(tags)
            }
            _ => false,
        }
    }
}

/// Whether an added statement is marked by the Sid that it is said to have.
fn has_sid(added: &AddStatement) -> bool {
    let statement: Result<serde_json::Value, _> = serde_json::from_str(&added.text);
    statement.is_ok_and(|it| it.get("Sid").and_then(serde_json::Value::as_str) == Some(added.sid.as_str()))
}

/// Whether a step restarts a workload in the way that the unit says, back or forth.
fn is_restart(step: &Step, work: &SubjectWork, moves: Move, to: Target) -> bool {
    let Condition::WorkloadMoved { workload: at, .. } = &step.until else { return false };
    let uid_is = |uid: &str| work.workloads.iter().any(|it| it.workload == *at && it.uid == uid);
    match (&step.write, moves, to) {
        (None, Move::ByOwner, _) => true,
        (Some(Request::Restart { subject, workload, uid, stamps, .. }), Move::Roll, Target::PodIdentity) => {
            *subject == work.subject && workload == at && uid_is(uid) && !stamps.is_empty()
        }
        (Some(Request::Unrestart { subject, workload, uid, stamps, bounces, .. }), Move::Roll, Target::Irsa) => {
            *subject == work.subject && workload == at && uid_is(uid) && !stamps.is_empty() && !bounces.is_empty()
        }
        (Some(Request::Evict { subject, workload, uid, to: target }), Move::Evict, _) => {
            *subject == work.subject && workload == at && uid_is(uid) && *target == to
        }
        _ => false,
    }
}
