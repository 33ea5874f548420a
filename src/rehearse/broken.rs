//! Which promises were broken, told in lines.

use std::time::Duration;

use crate::model::Subject;
use crate::plan::Plan;
use crate::sim::{Call, Sim, Violation};

/// The promises that were broken since the watch began; none is what is wanted.
///
/// Where somebody is later than a settle time, no look can tell that it is, and two things are sent too
/// early: an association, which EKS refuses, so that its unit fails and the run pauses; and the removal of
/// our statement while a webhook may yet inject Pod Identity, though no pod has it. Nor are probes sure
/// of a webhook that answers one way now and another way then: a unit may be called undone while one that
/// late may inject Pod Identity yet. More than that cannot be asked, and less is not let through: within
/// the settle times all of it counts.
#[must_use]
pub fn broken_promises(sim: &Sim, plan: &Plan) -> Vec<String> {
    let world = sim.world();
    let (lag, numbers) = (world.lag(), &plan.numbers);
    let trust_is_late = lag.sts > Duration::from_secs(numbers.trust_settle);
    let association_is_late = world.longest_lag() > Duration::from_secs(numbers.association_settle);
    let call_of = |it: &Violation| world.history().calls().find(|call| call.number == it.after_call);
    let is_excused = |it: &Violation| match call_of(it).map(|it| (&it.call, it.applied)) {
        Some((Call::CreateAssociation(_), false)) => trust_is_late && it.what.contains("associated before"),
        Some((Call::SetTrust { .. }, _)) => {
            let is_about = |subject: &Subject| it.what.contains(&format!("stops trusting {subject}, which uses"));
            association_is_late && it.what.contains("Pod Identity") && !world.on_pod_identity().iter().any(is_about)
        }
        _ => false,
    };
    let is_a_late_webhook = |it: &Violation| {
        association_is_late && it.what.contains("a pod that is admitted now gets no credentials (Pod Identity)")
    };
    world.violations().iter().filter(|it| !is_excused(it) && !is_a_late_webhook(it)).map(ToString::to_string).collect()
}
