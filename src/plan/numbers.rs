//! Times and limits: each is a policy, and each is shown in the plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Times in seconds, and limits. Each is shown in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Numbers {
    /// IAM is eventually consistent without a documented bound; only time tells.
    pub trust_settle: u64,
    /// The API text says "several seconds", the field says 5 to 10. Once it is over, every webhook has
    /// seen an association come or go.
    pub association_settle: u64,
    /// Between two probes of one ServiceAccount, and between two looks at what nobody can watch.
    pub probe_interval: u64,
    /// No proof that an association is effective by then, and its unit has failed.
    pub effective_timeout: u64,
    /// Probes that are only rejected for so long tell nothing.
    pub observe_after: u64,
    /// For a roll-out without a `progressDeadlineSeconds` of its own.
    pub rollout_timeout: u64,
    /// For one eviction, its replacement's readiness included.
    pub eviction_timeout: u64,
    /// How long a lease counts after its last renewal.
    pub lease_duration: u64,
    /// How often it is renewed.
    pub lease_renewal: u64,
    /// How long one call may take.
    pub call_timeout: u64,
    /// ServiceAccounts side by side. EKS Auth throttles, and a fault then touches few.
    pub units_at_a_time: u64,
    /// Roles side by side. Preparing one replaces no pod, and nearly all of its time is waiting.
    pub roles_at_a_time: u64,
    /// Pods that may start each second, over all units. EKS Auth throttles.
    pub pod_starts_per_second: u64,
    /// After each wave, before its pods are looked at once more.
    pub bake: u64,
}

impl Numbers {
    /// Whether a limit of 0 would keep everything from going on.
    #[must_use]
    pub fn has_zero_limit(&self) -> bool {
        let limits = [self.units_at_a_time, self.roles_at_a_time, self.pod_starts_per_second, self.probe_interval];
        limits.contains(&0)
    }

    /// Whether a time is longer than a year, which nobody means and no clock has to reckon with.
    #[must_use]
    pub fn has_endless_time(&self) -> bool {
        let times = [
            self.trust_settle,
            self.association_settle,
            self.probe_interval,
            self.effective_timeout,
            self.observe_after,
            self.rollout_timeout,
            self.eviction_timeout,
            self.lease_duration,
            self.lease_renewal,
            self.call_timeout,
            self.bake,
        ];
        times.iter().any(|it| *it > 365 * 24 * 3600)
    }

    /// How many units of a wave go side by side: a wave of roles alone, or one with ServiceAccounts.
    #[must_use]
    pub fn side_by_side(&self, roles_alone: bool) -> usize {
        let limit = if roles_alone { self.roles_at_a_time } else { self.units_at_a_time };
        usize::try_from(limit).unwrap_or(usize::MAX).max(1)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            trust_settle: 60,
            association_settle: 30,
            probe_interval: 1,
            effective_timeout: 600,
            observe_after: 120,
            rollout_timeout: 900,
            eviction_timeout: 600,
            lease_duration: 60,
            lease_renewal: 20,
            call_timeout: 15,
            units_at_a_time: 4,
            roles_at_a_time: 16,
            pod_starts_per_second: 10,
            bake: 300,
        }
    }
}
