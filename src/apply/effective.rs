//! Whether new pods are admitted in a mode, on every API server.
//!
//! No API says when an association is effective. The webhook runs beside each API
//! server, each with its own copy of the list, and one connection reaches one of
//! them. So probes are taken on new connections until so many in a row agree that
//! hardly any server can have been missed.

use std::time::Duration;

use super::step::Way;
use super::{Broken, Halt};
use crate::inventory::WorkloadRef;
use crate::model::{RoleArn, Subject};
use crate::plan::settings::Effective;
use crate::plan::{Target, probes_in_a_row};
use crate::ports::{JournalStore, PortError, Probe, World};

/// Waits until it is so; gives a note where that could only be observed.
pub(super) async fn wait<W: World, J: JournalStore>(
    way: &Way<'_, '_, W, J>,
    subject: &Subject,
    role_arn: &RoleArn,
    to: Target,
    template: Option<&WorkloadRef>,
) -> Result<Option<String>, Broken> {
    let plan = way.context().plan;
    if plan.rules.effective == Effective::Observe {
        settle(way).await?;
        return Ok(Some("observed, not probed".to_owned()));
    }
    let servers = plan.cluster(&subject.cluster).and_then(|it| it.api_servers);
    let wanted = probes_in_a_row(servers);
    let observe_after = Duration::from_secs(plan.numbers.observe_after);
    let least = least(to, plan.numbers.association_settle);
    let mut template = template;
    let (mut in_a_row, mut answered) = (0, false);
    loop {
        let last = match way.world().probe(subject, template).await {
            Ok(Probe::Admitted(mode)) => {
                answered = true;
                let reached = to.is_reached(&mode, role_arn);
                in_a_row = if reached { in_a_row + 1 } else { 0 };
                format!("the last probe was admitted with {mode}")
            }
            // A rejection says nothing about the mode: neither yes nor no.
            Ok(Probe::Rejected(why)) => format!("the last probe was rejected: {why}"),
            Err(PortError::Credentials(why)) => return Err(Halt::Credentials(why).into()),
            // On the way back a workload that others deleted is no obstacle: a plain pod is asked about.
            Err(PortError::NotFound(why)) if to == Target::Irsa && template.take().is_some() => {
                format!("the workload to probe with is gone: {why}")
            }
            Err(error) if error.is_passing() => format!("the last probe had no answer: {error}"),
            Err(error) => return Err(Broken::Step(error.into())),
        };
        if in_a_row >= wanted && way.patience.spent() >= least {
            return Ok(None);
        }
        if !answered && plan.rules.observe_if_rejected && way.patience.spent() >= observe_after {
            settle(way).await?;
            return Ok(Some(format!("observed, not probed, for no probe was ever admitted; {last}")));
        }
        let on = format!("new pods to get {to} ({in_a_row} of {wanted} probes in a row; {last})");
        way.patience.pause(&on, way.interval()).await?;
    }
}

/// How long it is probed at least.
///
/// Forward none: a pod that a late webhook still gives IRSA is a straggler that works and is restarted
/// again. On the way back such a pod would get Pod Identity without an association, and no credentials,
/// and probes that happen to miss that webhook, or to find it in two minds, must not end it: only the
/// time in which each of them has seen the deletion does.
fn least(to: Target, settle: u64) -> Duration {
    match to {
        Target::PodIdentity => Duration::ZERO,
        Target::Irsa => Duration::from_secs(settle),
    }
}

/// Where nothing can be probed there is only time; the pods that come up are looked at afterwards.
async fn settle<W: World, J: JournalStore>(way: &Way<'_, '_, W, J>) -> Result<(), Broken> {
    let settle = Duration::from_secs(way.context().plan.numbers.association_settle);
    let from = way.world().monotonic();
    while way.world().monotonic().saturating_sub(from) < settle {
        let left = settle.saturating_sub(way.world().monotonic().saturating_sub(from));
        way.patience.pause("the association to settle", left.min(Duration::from_secs(5))).await?;
    }
    Ok(())
}
