//! State that is seen late: versions, observers, lags.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::ClusterArn;

/// Who wrote a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A call through the ports: us.
    Call,
    /// Somebody else, or the world's beginning.
    Other,
}

/// A value from one moment on; `None` where there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<T> {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: Author,
    /// What.
    pub value: Option<T>,
}

/// All versions that a thing ever had, oldest first. Never overwritten, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    log: Vec<Version<T>>,
}

impl<T> Versioned<T> {
    /// What was there when the world began: `None` for what is only made later.
    pub fn since_ever(value: Option<T>) -> Self {
        Self { log: vec![Version { at: Timestamp::MIN, by: Author::Other, value }] }
    }

    /// Adds a version.
    pub fn set(&mut self, at: Timestamp, by: Author, value: Option<T>) {
        self.log.push(Version { at, by, value });
    }

    /// The newest version's value: the truth, whoever may see it yet.
    pub fn now(&self) -> Option<&T> {
        self.log.last()?.value.as_ref()
    }

    /// All versions, oldest first.
    pub fn log(&self) -> &[Version<T>] {
        &self.log
    }

    /// What an observer with this lag may be told at this moment: the newest version that has
    /// reached it for certain, and every later one. Any of them may be the answer, and the next
    /// answer may be an older one again.
    pub fn may_see(&self, now: Timestamp, lag: Duration) -> &[Version<T>] {
        let settled = |it: &Version<T>| {
            now.duration_since(it.at) >= jiff::SignedDuration::try_from(lag).unwrap_or(jiff::SignedDuration::MAX)
        };
        let newest = self.log.iter().rposition(settled).unwrap_or(0);
        &self.log[newest..]
    }
}

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observer {
    /// Reads of IAM and EKS.
    Api,
    /// STS, of trust policies.
    Sts,
    /// EKS Auth, of associations.
    EksAuth,
    /// The webhook beside one API server, of associations and annotations.
    Webhook(ClusterArn, u32),
}

/// How late each observer may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lag {
    /// Reads of IAM and EKS.
    pub api: Duration,
    /// STS.
    pub sts: Duration,
    /// EKS Auth.
    pub eks_auth: Duration,
    /// Webhooks that are not named below.
    pub webhook: Duration,
    /// Single webhooks, by their API server.
    pub webhooks: BTreeMap<(ClusterArn, u32), Duration>,
}

impl Lag {
    /// The same for all.
    #[must_use]
    pub fn of(lag: Duration) -> Self {
        Self { api: lag, sts: lag, eks_auth: lag, webhook: lag, webhooks: BTreeMap::new() }
    }

    /// The lag of the latest webhook.
    #[must_use]
    pub fn longest_webhook(&self) -> Duration {
        self.webhooks.values().copied().fold(self.webhook, Duration::max)
    }

    /// The lag of whoever is latest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest_webhook().max(self.api).max(self.sts).max(self.eks_auth)
    }

    /// The lag of one observer.
    #[must_use]
    pub fn for_observer(&self, observer: &Observer) -> Duration {
        match observer {
            Observer::Api => self.api,
            Observer::Sts => self.sts,
            Observer::EksAuth => self.eks_auth,
            Observer::Webhook(cluster, server) => {
                self.webhooks.get(&(cluster.clone(), *server)).copied().unwrap_or(self.webhook)
            }
        }
    }
}

/// A seeded source of choices: the same seed, the same world.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`. Where there is no choice nothing is drawn.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound < 2 {
            return 0;
        }
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % (bound as u64)).unwrap_or(0)
    }

    /// What an observer with this lag is told now: one of the versions that it may see.
    pub(crate) fn see<'a, T>(&mut self, of: &'a Versioned<T>, now: Timestamp, lag: Duration) -> Option<&'a T> {
        let versions = of.may_see(now, lag);
        versions.get(self.below(versions.len()))?.value.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_version_still_in_lag_may_be_seen() {
        let mut it = Versioned::since_ever(Some('a'));
        it.set(at(10), Author::Call, Some('b'));
        it.set(at(12), Author::Other, None);
        let lag = Duration::from_secs(5);
        let seen = |now| it.may_see(at(now), lag).iter().map(|it| it.value).collect::<Vec<_>>();
        assert_eq!(seen(12), [Some('a'), Some('b'), None]);
        assert_eq!(seen(15), [Some('b'), None]);
        assert_eq!(seen(17), [None]);
        assert_eq!(it.may_see(at(12), Duration::ZERO).len(), 1, "without a lag there is no choice");
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (0..20).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..6).all(|side| draw(1).contains(&side)));
    }
}
