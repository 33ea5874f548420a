//! A plan, read as a stranger would.
//!
//! A plan file is input. Whoever made it, nothing is sent before each of these holds. What follows from the
//! rest of the plan is made once more and has to be the same: every step and its undo from the unit's own work
//! ([`steps`]), the new document from the old one and what a plan says about access from both ([`role`]),
//! the places of its units ([`whole`]). What only the world can tell is compared with the world before
//! anything is sent, and the reviewer answers for the settings.

mod role;
mod steps;
mod subject;
mod undo;
mod whole;

use std::fmt;

pub use undo::check_undo;

use super::settings::RestartRule;
use super::step::{Unit, UnitId, Work};
use super::times;
use super::{Plan, Purpose};
use crate::findings::{Code, Finding, Severity};

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
    checker.whole();
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
    fn say(&mut self, what: impl Into<String>) {
        self.problems.push(Problem { unit: None, what: what.into() });
    }

    fn say_of(&mut self, unit: &Unit, what: impl Into<String>) {
        self.problems.push(Problem { unit: Some(unit.id.clone()), what: what.into() });
    }

    fn expect(&mut self, unit: &Unit, holds: bool, what: &str) {
        if !holds {
            self.say_of(unit, what);
        }
    }

    fn is_undo(&self) -> bool {
        self.plan.purpose != Purpose::Migrate
    }

    fn unit(&mut self, unit: &Unit) {
        match &unit.work {
            Work::Role(work) => self.role(unit, work),
            Work::ServiceAccount(work) => self.subject(unit, work),
        }
        self.steps(unit);
        let all = || unit.steps.iter().chain(&unit.undo);
        if let Some(step) = all().find(|it| it.timeout_seconds < it.expected_seconds) {
            let (least, most) = (step.expected_seconds, step.timeout_seconds);
            self.say_of(unit, format!("its step {:?} would fail after {most} s, and takes {least} s", step.name));
        }
        let told = (unit.expected_seconds, unit.worst_seconds);
        let sums = times::sums(&unit.steps);
        if told != sums {
            let ((told, most_told), (sum, most)) = (told, sums);
            self.say_of(
                unit,
                format!("it says that it takes {told} s, {most_told} s at most, and its steps take {sum} s, {most} s at most"),
            );
        }
        for notice in &unit.notices {
            self.notice(unit, notice);
        }
    }

    /// What is told with a unit does not hold it, and what its owner knows of does not hold it later: so a
    /// blocker has to be answered for.
    fn notice(&mut self, unit: &Unit, notice: &Finding) {
        let known = Finding::new(notice.code, notice.subject.clone(), "");
        if (notice.severity, notice.waivable) != (known.severity, known.waivable) {
            self.say_of(unit, format!("its notice {} is not as grave as the catalogue says", notice.code));
        }
        // By whom an owned role may be edited stands in the settings alone.
        let by_settings = if known.code == Code::RestartByOwner {
            self.plan.rules.restart == RestartRule::ByOwner
        } else {
            known.code.is_settled_by_settings()
        };
        let is_answered = by_settings || self.plan.waived.iter().any(|it| it.answers(&known));
        if known.severity == Severity::Blocker && !is_answered {
            self.say_of(unit, format!("{} holds it, and no waiver of the plan answers for that", notice.code));
        }
    }
}
