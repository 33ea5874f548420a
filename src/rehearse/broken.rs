//! Which promises were broken, told in lines.

use std::time::Duration;

use super::promise::Promise;
use crate::model::Subject;
use crate::plan::{Numbers, Plan, Work};
use crate::sim::{Call, Lag, Sim, Violation, World};

/// The promises that were broken since the watch began; none is what is wanted.
///
/// Within the settle times all of it counts, but for new access that the plan says is asked for. Where
/// somebody is later than a settle time, no look can tell that it is, and two things cannot be asked. An
/// association may be sent too early: EKS refuses it, so that its unit fails and the run pauses. And a
/// webhook that still injects Pod Identity longer than `association_settle` after an association was
/// deleted, and by chance never into a probe, may do so into a pod that comes up then, while our statement
/// is being removed or is gone.
#[must_use]
pub fn broken_promises(sim: &Sim, plan: &Plan) -> Vec<String> {
    let world = sim.world();
    let is_excused = |it: &Violation| {
        is_asked_for(plan, it) || is_refused(&world, &plan.numbers, it) || is_of_a_late_webhook(&world, plan, it)
    };
    let line = |it: &Violation| {
        let led = it.led_by.iter().map(|it| format!("\n    {it}")).collect::<String>();
        format!("{}: after call {}: {}{led}", Promise::of(it), it.after_call, it.what)
    };
    world.violations().iter().filter(|it| !is_excused(it)).map(line).collect()
}

/// New access to a role for which the settings ask for it, and the plan says so.
pub(super) fn is_asked_for(plan: &Plan, violation: &Violation) -> bool {
    let is_meant = |work: &Work| {
        matches!(work, Work::Role(it) if it.is_new_access()
            && violation.what.ends_with(&format!(" assume {}", it.role_arn)))
    };
    violation.promise == "P1" && plan.units.iter().any(|it| is_meant(&it.work))
}

/// An association that is sent before IAM has told EKS of a trust policy, and is refused.
fn is_refused(world: &World, numbers: &Numbers, violation: &Violation) -> bool {
    let is_late = world.lag().sts > Duration::from_secs(numbers.trust_settle);
    let call = world.history().calls().find(|it| it.number == violation.after_call);
    let is_refused = call.is_some_and(|it| matches!(it.call, Call::CreateAssociation(_)) && !it.applied);
    is_late && is_refused && violation.what.contains("associated before")
}

/// A pod, or one that would be admitted, that a webhook gives Pod Identity longer after the deletion of
/// its association than is waited for.
fn is_of_a_late_webhook(world: &World, plan: &Plan, violation: &Violation) -> bool {
    let settle = Duration::from_secs(plan.numbers.association_settle);
    let is_late = |subject: &Subject| {
        let deleted = world.unassociated_since(subject, violation.at);
        deleted.is_some_and(|it| violation.at.duration_since(it).unsigned_abs() >= settle)
    };
    let is_what = |subject: &Subject| {
        let (pod, what) = (format!("{subject}: pod "), &violation.what);
        what.starts_with(&pod) && what.ends_with("gets no credentials from Pod Identity")
            || *what == format!("{subject}: a pod that is admitted now gets no credentials (Pod Identity)")
            || what.ends_with(&format!("stops trusting {subject}, which uses Pod Identity"))
    };
    let mut subjects = plan.units.iter().filter_map(|it| match &it.work {
        Work::ServiceAccount(work) => Some(&work.subject),
        Work::Role(_) => None,
    });
    is_late_webhook(world.lag(), &plan.numbers) && subjects.any(|it| is_what(it) && is_late(it))
}

/// Whether a webhook is told of an association later than a run waits for.
#[must_use]
pub fn is_late_webhook(lag: &Lag, numbers: &Numbers) -> bool {
    lag.longest_webhook() > Duration::from_secs(numbers.association_settle)
}
