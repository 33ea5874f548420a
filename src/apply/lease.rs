//! The lease in each cluster of the plan: who may write.
//!
//! It counts from its last renewal by two clocks, the monotonic one and the wall
//! clock, and by the earlier of the two: a machine that slept finds its lease gone
//! although one of its clocks stood still.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;

use super::wait::patiently;
use super::{ApplyError, Progress, Stop};
use crate::model::ClusterArn;
use crate::plan::{Plan, Purpose};
use crate::ports::{Answer, Lease, LeaseVersion, PortError, World};

/// The name of the lease object.
pub const LEASE_NAME: &str = "irsa-migrate";

/// How often a lease that may be dead is looked at.
const WATCH: Duration = Duration::from_secs(2);

/// How often a write that was throttled is tried again.
const THROTTLED: u32 = 20;

struct Mine {
    version: LeaseVersion,
    /// On the monotonic clock, taken before the renewal was sent.
    monotonic: Duration,
    /// On the wall clock, likewise.
    wall: Timestamp,
}

/// The leases of one run.
pub(super) struct Leases<'a, W> {
    world: &'a W,
    plan: &'a Plan,
    holder: String,
    mine: RefCell<BTreeMap<ClusterArn, Mine>>,
    lost: RefCell<Option<String>>,
}

impl<'a, W: World> Leases<'a, W> {
    pub(super) fn new(world: &'a W, plan: &'a Plan, holder: String) -> Self {
        Self { world, plan, holder, mine: RefCell::default(), lost: RefCell::default() }
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.plan.numbers.lease_duration)
    }

    fn namespace(&self) -> &str {
        &self.plan.rules.lease_namespace
    }

    /// Takes the lease of each cluster of the plan, or none of them.
    pub(super) async fn take(&self, stop: &Stop, emit: &mut dyn FnMut(Progress)) -> Result<(), ApplyError> {
        let versions = self.free(stop, emit).await?;
        for (cluster, version) in self.plan.clusters.iter().zip(versions) {
            if let Err(error) = self.take_one(&cluster.arn, version.as_ref()).await {
                self.release().await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits until no lease is anybody's any more; gives the version of each that is there. Dead ones are
    /// waited for side by side: the first that was taken would run out while the next is waited for.
    async fn free(&self, stop: &Stop, emit: &mut dyn FnMut(Progress)) -> Result<Vec<Option<LeaseVersion>>, ApplyError> {
        let mut waits = Vec::new();
        for cluster in &self.plan.clusters {
            let cluster = &cluster.arn;
            let found = patiently(self.world, stop, emit, async || self.look(cluster).await).await?;
            if let Some(lease) = found.as_ref().filter(|it| !it.holder.is_empty()) {
                let seconds = self.seconds_to_outlive(cluster, lease)?;
                let (cluster, holder) = (cluster.to_string(), lease.holder.clone());
                emit(Progress::LeaseWaiting { cluster, holder, seconds });
            }
            waits.push(self.outlive(cluster, found));
        }
        try_join_all(waits).await
    }

    async fn look(&self, cluster: &ClusterArn) -> Answer<Option<Lease>> {
        self.world.lease(cluster, self.namespace(), LEASE_NAME).await
    }

    async fn take_one(&self, cluster: &ClusterArn, version: Option<&LeaseVersion>) -> Result<(), ApplyError> {
        let mut tries = 0;
        loop {
            return match self.write(cluster, version).await {
                Ok(()) => Ok(()),
                Err(PortError::Conflict(_)) => Err(locked(cluster, "another process, which was faster")),
                // Nothing was written. Any other error leaves that open, and the next call of the program finds out.
                Err(PortError::Throttled(_)) if tries < THROTTLED => {
                    tries += 1;
                    self.world.sleep(WATCH).await;
                    continue;
                }
                Err(error) => Err(error.into()),
            };
        }
    }

    /// How long a lease must show no sign of life. One that is plainly alive is not waited for.
    fn seconds_to_outlive(&self, cluster: &ClusterArn, lease: &Lease) -> Result<u64, ApplyError> {
        let seconds = u64::from(lease.duration_seconds);
        let age = self.world.now().duration_since(lease.renewed_at).as_secs();
        if !self.is_kin(&lease.holder) && u64::try_from(age).unwrap_or(0) < seconds {
            return Err(locked(cluster, &lease.holder));
        }
        Ok(seconds)
    }

    /// Waits until somebody's lease has shown no sign of life for its whole duration by our own
    /// clock: their clock and ours may differ. Gives the version that is there then.
    async fn outlive(&self, cluster: &ClusterArn, found: Option<Lease>) -> Result<Option<LeaseVersion>, ApplyError> {
        let Some(lease) = found else { return Ok(None) };
        if lease.holder.is_empty() {
            return Ok(Some(lease.version));
        }
        let duration = Duration::from_secs(u64::from(lease.duration_seconds));
        let from = self.world.monotonic();
        while self.world.monotonic().saturating_sub(from) < duration {
            self.world.sleep(WATCH).await;
            match self.look(cluster).await {
                Ok(Some(now)) if now.version == lease.version => {}
                Ok(None) => return Ok(None),
                Ok(Some(now)) => return Err(locked(cluster, &now.holder)),
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(lease.version))
    }

    /// Whether a holder is this run, or the run that it undoes: whoever rolls back after a crash waits
    /// for the dead lease rather than being sent away.
    fn is_kin(&self, holder: &str) -> bool {
        let reverts = match &self.plan.purpose {
            Purpose::Migrate => None,
            Purpose::Undo { run, .. } => Some(run.as_str()),
        };
        run_in(holder) == run_in(&self.holder) || Some(run_in(holder)) == reverts
    }

    /// Writes the lease and notes from when it counts.
    async fn write(&self, cluster: &ClusterArn, found: Option<&LeaseVersion>) -> Result<(), PortError> {
        // The clocks are read before the call: the lease counts from no later than now.
        let (monotonic, wall) = (self.world.monotonic(), self.world.now());
        let lease = Lease {
            holder: self.holder.clone(),
            duration_seconds: u32::try_from(self.plan.numbers.lease_duration).unwrap_or(u32::MAX),
            renewed_at: wall,
            version: LeaseVersion(String::new()),
        };
        let now = self.world.write_lease(cluster, self.namespace(), LEASE_NAME, &lease, found).await?;
        self.mine.borrow_mut().insert(cluster.clone(), Mine { version: now.version, monotonic, wall });
        Ok(())
    }

    /// Renews all leases, for ever; returns only when one is lost.
    pub(super) async fn keep(&self) -> String {
        loop {
            self.world.sleep(Duration::from_secs(self.plan.numbers.lease_renewal.max(1))).await;
            for cluster in &self.plan.clusters {
                if let Err(why) = self.renew(&cluster.arn).await {
                    *self.lost.borrow_mut() = Some(why.clone());
                    return why;
                }
            }
        }
    }

    async fn renew(&self, cluster: &ClusterArn) -> Result<(), String> {
        let version = self.mine.borrow().get(cluster).map(|it| it.version.clone());
        let Some(version) = version else { return Ok(()) };
        match self.write(cluster, Some(&version)).await {
            Ok(()) => Ok(()),
            Err(PortError::Conflict(_)) => self.renew_if_ours(cluster).await,
            Err(PortError::NotFound(_)) => Err(format!("the lease in cluster {} was deleted", cluster.name())),
            // Any other error: it still counts for a while, and the next renewal may succeed.
            Err(_) => Ok(()),
        }
    }

    /// Our own renewal whose answer was lost looks like somebody else's, and the holder tells. For us the lease
    /// counts from the last renewal that was answered, which is long ago: so it is renewed again at once.
    async fn renew_if_ours(&self, cluster: &ClusterArn) -> Result<(), String> {
        let taken = || Err(format!("the lease in cluster {} was taken by another process", cluster.name()));
        match self.look(cluster).await {
            Ok(Some(now)) if now.holder == self.holder => match self.write(cluster, Some(&now.version)).await {
                Err(PortError::Conflict(_)) => taken(),
                // Without an answer it counts as long as before.
                Ok(()) | Err(_) => Ok(()),
            },
            Ok(_) => taken(),
            Err(_) => Ok(()),
        }
    }

    /// Whether a call that is sent now would end while all leases still count.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(why) = self.lost.borrow().as_ref() {
            return Err(why.clone());
        }
        let call = Duration::from_secs(self.plan.numbers.call_timeout);
        let counts = self.duration().saturating_sub(call);
        let (monotonic, wall) = (self.world.monotonic(), self.world.now());
        for (cluster, mine) in self.mine.borrow().iter() {
            let by_monotonic = monotonic.saturating_sub(mine.monotonic);
            let by_wall = wall.duration_since(mine.wall);
            // A wall clock that went back tells nothing about how long it was: then the other decides.
            let by_wall = Duration::try_from(by_wall).unwrap_or_default();
            if by_monotonic.max(by_wall) >= counts {
                return Err(format!("the lease in cluster {} was not renewed in time", cluster.name()));
            }
        }
        Ok(())
    }

    /// Gives all leases back. One that cannot be deleted runs out by itself.
    pub(super) async fn release(&self) {
        let mine = std::mem::take(&mut *self.mine.borrow_mut());
        for (cluster, mine) in mine {
            // Ignored on purpose: nothing depends on it, and the run has ended.
            let _ = self.world.delete_lease(&cluster, self.namespace(), LEASE_NAME, &mine.version).await;
        }
    }
}

fn locked(cluster: &ClusterArn, holder: &str) -> ApplyError {
    ApplyError::Locked(format!("cluster {} is being worked on by {holder}", cluster.name()))
}

/// The run in a holder's name, which is `RUN PROCESS`.
fn run_in(holder: &str) -> &str {
    holder.split(' ').next().unwrap_or_default()
}
