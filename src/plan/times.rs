//! How long steps take: what is expected, and when they have failed.

use super::Numbers;
use super::pinned::{Move, PinnedWorkload};
use super::settings::{ApplyRules, Effective};
use super::step::{Step, Target};

/// A time that is expected, and the one after which the step has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) expected: u64,
    pub(super) timeout: u64,
}

/// A call and the look after it.
const CALL: u64 = 2;

/// How long a pod usually takes until it is Ready, where nothing better is known.
const POD_READY: u64 = 20;

/// Our statement has to be seen throughout the settle time; it may take as long again to be seen
/// at all, and older answers start the time anew.
pub(super) fn trust(numbers: &Numbers) -> Times {
    let most = numbers.trust_settle.saturating_mul(10).saturating_add(numbers.call_timeout);
    Times { expected: numbers.trust_settle.saturating_add(CALL), timeout: most.saturating_add(CALL) }
}

/// The association has to be seen by one read.
pub(super) fn association(numbers: &Numbers) -> Times {
    Times { expected: CALL, timeout: numbers.association_settle.saturating_mul(2).saturating_add(numbers.call_timeout) }
}

/// A look at facts that nobody is changing.
pub(super) fn look(numbers: &Numbers) -> Times {
    Times { expected: CALL, timeout: numbers.association_settle.saturating_add(numbers.call_timeout) }
}

/// The role must be out of use in every cluster; its pods are on their way out.
pub(super) fn unused(numbers: &Numbers) -> Times {
    Times { expected: CALL * 2, timeout: numbers.effective_timeout }
}

/// Enough probes in a row, after the time that an association usually takes; on the way back for no
/// shorter than that takes at most.
pub(super) fn effective(numbers: &Numbers, rules: &ApplyRules, probes: u32, to: Target) -> Times {
    let usual = numbers.association_settle.min(15);
    match rules.effective {
        Effective::Probe => {
            let probed = u64::from(probes).saturating_mul(numbers.probe_interval).saturating_add(usual);
            let least = if to == Target::Irsa { numbers.association_settle } else { 0 };
            Times { expected: probed.max(least), timeout: numbers.effective_timeout.saturating_add(least) }
        }
        Effective::Observe => Times {
            expected: numbers.association_settle,
            timeout: numbers.association_settle.saturating_add(numbers.call_timeout),
        },
    }
}

/// How a controller rolls a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Pods at a time.
    pub(super) at_a_time: u32,
    /// Seconds after which Kubernetes itself calls a roll-out failed.
    pub(super) deadline: Option<u32>,
}

impl Pace {
    /// The pace at which a roll-out takes these times, if there is one.
    pub(super) fn of(workload: &PinnedWorkload, times: Times) -> Self {
        let rounds = times.expected.saturating_sub(CALL) / POD_READY;
        let at_a_time = u64::from(workload.replicas).div_ceil(rounds.max(1));
        Self { at_a_time: u32::try_from(at_a_time).unwrap_or(u32::MAX), deadline: u32::try_from(times.timeout).ok() }
    }
}

/// All pods of a workload, some at a time.
pub(super) fn restart(numbers: &Numbers, workload: &PinnedWorkload, pace: Pace) -> Times {
    let replicas = u64::from(workload.replicas);
    let rounds = replicas.div_ceil(u64::from(pace.at_a_time.max(1))).max(1);
    match workload.moves {
        Move::Roll => {
            // Kubernetes' own deadline counts from the last progress, so that it is one for each round.
            let deadline = pace.deadline.map_or(0, u64::from).max(numbers.rollout_timeout);
            Times { expected: CALL + rounds * POD_READY, timeout: deadline.max(rounds * POD_READY * 3) }
        }
        Move::Evict => Times {
            expected: CALL + replicas * POD_READY,
            timeout: numbers.eviction_timeout.saturating_mul(replicas.max(1)),
        },
        Move::ByOwner => {
            Times { expected: numbers.rollout_timeout, timeout: numbers.rollout_timeout.saturating_mul(4) }
        }
    }
}

/// How many restarts' time it may take until all pods of a workload are back: a bounce is one roll-out to fresh
/// pods, and one from them.
const BACK: u64 = 3;

/// All pods of a workload back again.
pub(super) fn put_back(numbers: &Numbers, workload: &PinnedWorkload, pace: Pace) -> Times {
    let time = restart(numbers, workload, pace);
    Times { expected: time.expected, timeout: time.timeout.saturating_mul(BACK) }
}

/// The times of the restart that these put back.
pub(super) fn before_back(back: Times) -> Times {
    Times { expected: back.expected, timeout: back.timeout / BACK }
}

/// The sums over a unit's steps.
pub(super) fn sums(steps: &[Step]) -> (u64, u64) {
    let sum = |seconds: fn(&Step) -> u64| steps.iter().map(seconds).fold(0, u64::saturating_add);
    (sum(|it| it.expected_seconds), sum(|it| it.timeout_seconds))
}

/// How many probes in a row have to answer the same.
///
/// Of k API servers each probe reaches one; after N probes the chance that some server was never
/// asked is at most k(1-1/k)^N, and N is the least for which that is below one in a thousand.
/// With an unknown k it is that of three, the most that has been seen behind EKS.
#[must_use]
pub fn probes_in_a_row(api_servers: Option<u32>) -> u32 {
    let k = f64::from(api_servers.unwrap_or(3).clamp(1, 32));
    if k < 2.0 {
        // One server always answers; two probes in a row tell a webhook replica that lags behind.
        return 2;
    }
    let (mut missed, mut probes) = (k, 0);
    while missed >= 0.001 {
        missed *= 1.0 - 1.0 / k;
        probes += 1;
    }
    probes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::{Strategy, WorkloadKind, WorkloadRef};

    #[test]
    fn probes_for_each_number_of_api_servers() {
        assert_eq!(probes_in_a_row(Some(1)), 2);
        assert_eq!(probes_in_a_row(Some(2)), 11);
        assert_eq!(probes_in_a_row(Some(3)), 20);
        assert_eq!(probes_in_a_row(None), 20);
        assert!(probes_in_a_row(Some(5)) > 30);
    }

    fn pinned(moves: Move, replicas: u32) -> PinnedWorkload {
        PinnedWorkload {
            workload: WorkloadRef { kind: WorkloadKind::Deployment, namespace: "n".into(), name: "w".into() },
            uid: "u".into(),
            strategy: Strategy::RollingUpdate,
            paused: false,
            partition: 0,
            node_selector: BTreeMap::new(),
            aws_env: Vec::new(),
            moves,
            replicas,
        }
    }

    #[test]
    fn a_hundred_pods_are_given_the_time_of_a_hundred() {
        let numbers = Numbers::default();
        let times = |moves, replicas, at_a_time| {
            restart(&numbers, &pinned(moves, replicas), Pace { at_a_time, deadline: None })
        };
        // One after another, each takes its time to be Ready; ten at a time, a tenth of it.
        let one = times(Move::Roll, 100, 1);
        assert_eq!(one.expected, CALL + 100 * POD_READY);
        assert_eq!(times(Move::Roll, 100, 10).expected, CALL + 10 * POD_READY);
        // No roll-out has failed before three times what is expected has gone by.
        assert!(one.timeout >= 3 * 100 * POD_READY);
        let evicted = times(Move::Evict, 100, 1);
        assert_eq!((evicted.expected, evicted.timeout), (CALL + 100 * POD_READY, 100 * numbers.eviction_timeout));
        // An owner decides when, and is waited for some roll-outs long.
        assert!(times(Move::ByOwner, 1, 1).timeout >= 2 * numbers.rollout_timeout);
        // A workload's own deadline counts where it is longer.
        assert_eq!(
            restart(&numbers, &pinned(Move::Roll, 1), Pace { at_a_time: 1, deadline: Some(5000) }).timeout,
            5000
        );
    }

    #[test]
    fn an_association_takes_its_probes_or_where_it_is_observed_its_settle_time() {
        let numbers = Numbers { association_settle: 30, probe_interval: 7, call_timeout: 11, ..Numbers::default() };
        let times = |how, to| effective(&numbers, &ApplyRules { effective: how, ..ApplyRules::default() }, 10, to);
        let there = times(Effective::Probe, Target::PodIdentity);
        assert_eq!(there, Times { expected: 15 + 10 * 7, timeout: numbers.effective_timeout });
        // On the way back no shorter than an association takes at most.
        let back = times(Effective::Probe, Target::Irsa);
        assert_eq!((back.expected, back.timeout), (85, numbers.effective_timeout + 30));
        let observed = times(Effective::Observe, Target::PodIdentity);
        assert_eq!(observed, Times { expected: 30, timeout: 30 + 11 });
    }
}
