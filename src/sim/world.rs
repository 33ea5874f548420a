//! The world: one state, and one function that every call goes through.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::access::View;
use super::aws::{Account, Accounts, Moment};
use super::call::{Call, Reply, Service};
use super::cluster::{Cluster, Context, Ids};
use super::deeds::Deed;
use super::history::{Fault, Faults, Happening, History, Record};
use super::versioned::{Author, Dice, Lag};
use super::watch::Watch;
use crate::inventory::Caller;
use crate::journal::{NewEntry, Run, RunId};
use crate::model::{AccountId, ClusterArn};
use crate::ports::{Answer, PortError};

/// A simulated world.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) now: Timestamp,
    /// What a machine's wall clock shows beside the truth.
    pub(crate) clock_error: jiff::SignedDuration,
    pub(crate) lag: Lag,
    pub(crate) dice: Dice,
    pub(crate) ids: Ids,
    pub(crate) accounts: Accounts,
    pub(crate) clusters: BTreeMap<ClusterArn, Cluster>,
    /// Reads that are refused, by operation and cluster (or account, or cluster and kind), with what is said.
    pub(crate) blind: BTreeMap<(&'static str, String), String>,
    pub(crate) limits: BTreeMap<Service, Bucket>,
    pub(crate) faults: Faults,
    /// What others will do, by the number of the call before which they do it.
    pub(crate) deeds: BTreeMap<u64, Vec<Deed>>,
    pub(crate) history: History,
    /// The program that calls has ended.
    pub(crate) crashed: bool,
    /// How often something changed: by a call, by somebody else, or by itself.
    pub(crate) changes: u64,
    /// Whoever watches the promises.
    pub(crate) watch: Option<Watch>,
}

/// A token bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    left: f64,
    since: Timestamp,
}

impl Bucket {
    fn take(&mut self, now: Timestamp) -> bool {
        let passed = now.duration_since(self.since).as_secs_f64().max(0.0);
        self.left = self.burst.min(self.left + passed * self.per_second);
        self.since = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

impl World {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            clock_error: jiff::SignedDuration::ZERO,
            lag: Lag::default(),
            dice: Dice::new(1),
            ids: Ids::default(),
            accounts: Accounts::new(),
            clusters: BTreeMap::new(),
            blind: BTreeMap::new(),
            limits: BTreeMap::new(),
            faults: Faults::default(),
            deeds: BTreeMap::new(),
            history: History::default(),
            crashed: false,
            changes: 0,
            watch: None,
        }
    }

    /// The true time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Its clusters, in the order of their ARNs.
    #[must_use]
    pub fn cluster_arns(&self) -> Vec<ClusterArn> {
        self.clusters.keys().cloned().collect()
    }

    /// Everything that happened.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many writes took effect; leases are not counted.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.history.writes().count()
    }

    /// Sets how late observers may be, from now on.
    pub fn set_lag(&mut self, lag: Lag) {
        self.lag = lag;
        self.changes += 1;
    }

    /// How late observers may be.
    #[must_use]
    pub fn lag(&self) -> &Lag {
        &self.lag
    }

    /// Sets what the choices between answers are drawn from.
    pub fn set_seed(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    /// Lets a service answer so many calls a second, and so many at once.
    pub fn set_limit(&mut self, service: Service, per_second: f64, burst: f64) {
        self.limits.insert(service, Bucket { per_second, burst, left: burst, since: self.now });
    }

    /// Lets the call with this number (from 1, counted over the whole history) fail.
    pub fn fault_at(&mut self, number: u64, fault: Fault) {
        self.faults.at.insert(number, fault);
    }

    /// Ends all faults: credentials are new, rights are back, no further call is hit.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
    }

    /// Denies an operation from now on, by the name that [`Call::operation`] gives it.
    pub fn deny(&mut self, operation: &'static str) {
        self.faults.denied.insert(operation);
    }

    /// Answers one call. `at` must not lie before the last call; what was due until then happens first.
    ///
    /// # Errors
    /// What the real services would say, or what a fault makes of it. The text begins with the
    /// code that AWS or Kubernetes gives the error.
    pub fn call(&mut self, who: &Caller, at: Timestamp, call: Call) -> Answer<Reply> {
        self.tick(at);
        self.history.calls += 1;
        let number = self.history.calls;
        self.do_what_is_due(number);
        let fault = self.faults.at.get(&number).copied();
        self.watch_call(&call);
        let (served, answer) = self.answer(who, &call, fault);
        self.changes += u64::from(served && call.is_write());
        let (error, reply) = match &answer {
            Ok(reply) => (None, call.decides_a_write().then(|| reply.clone())),
            Err(error) => (Some(error.clone()), None),
        };
        let at = self.now;
        let record = Record { number, at, by: who.arn.clone(), call, fault, error, reply, applied: served };
        self.history.all.push(Happening::Called(Box::new(record)));
        self.settle();
        self.watch_state();
        answer
    }

    /// Whether the call took effect, and what the caller is told.
    fn answer(&mut self, who: &Caller, call: &Call, fault: Option<Fault>) -> (bool, Answer<Reply>) {
        let operation = call.operation();
        match fault {
            Some(Fault::Deny) => {
                self.faults.denied.insert(operation);
            }
            Some(Fault::Expire) => self.faults.expired = true,
            Some(Fault::CrashBefore | Fault::CrashAfter) => self.crashed = true,
            Some(Fault::Before | Fault::After | Fault::Lost | Fault::Throttle) | None => {}
        }
        if self.faults.expired {
            let why = format!("ExpiredToken: {operation}: The security token included in the request is expired");
            return (false, Err(PortError::Credentials(why)));
        }
        if self.faults.denied.contains(operation) {
            let why = format!("AccessDenied: {} is not authorized to perform {operation}", who.arn);
            return (false, Err(PortError::Denied(why)));
        }
        let lost = || PortError::Unreachable(format!("{operation}: the connection was reset"));
        match fault {
            Some(Fault::Before | Fault::CrashBefore) => return (false, Err(lost())),
            Some(Fault::Throttle) => return (false, Err(throttled(operation))),
            Some(Fault::After | Fault::Lost | Fault::CrashAfter | Fault::Deny | Fault::Expire) | None => {}
        }
        let now = self.now;
        if self.limits.get_mut(&call.service()).is_some_and(|it| !it.take(now)) {
            return (false, Err(throttled(operation)));
        }
        let answer = self.serve(who, call);
        let served = answer.is_ok();
        match fault {
            Some(Fault::After) if served => (served, Err(PortError::Server(format!("{operation}: InternalError")))),
            Some(Fault::Lost | Fault::CrashAfter) => (served, Err(lost())),
            Some(Fault::After | Fault::Before | Fault::CrashBefore | Fault::Throttle | Fault::Deny | Fault::Expire)
            | None => (served, answer),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only lists of workloads are told apart by kind")]
    fn serve(&mut self, who: &Caller, call: &Call) -> Answer<Reply> {
        let scope = match call {
            Call::Workloads { cluster, kind, .. } => format!("{cluster} {kind}"),
            _ => call.cluster().map_or_else(|| who.account.to_string(), ToString::to_string),
        };
        if let Some(why) = self.blind.get(&(call.operation(), scope)) {
            return Err(PortError::Denied(why.clone()));
        }
        match call.service() {
            Service::Iam => self.serve_iam(who, call),
            Service::Eks => self.serve_eks(call),
            Service::Kubernetes => self.serve_kubernetes(call),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "calls to other services do not come here")]
    fn serve_iam(&mut self, who: &Caller, call: &Call) -> Answer<Reply> {
        let Self { accounts, lag, dice, now, .. } = self;
        if let Call::Caller = call {
            return Ok(Reply::Caller(who.clone()));
        }
        let account = accounts.get_mut(&who.account).ok_or_else(|| no_account(&who.account))?;
        let moment = &mut Moment { now: *now, lag, dice };
        let of_another = |role: &crate::model::RoleArn| {
            let why = || PortError::Invalid(format!("{role} is not in account {}", who.account));
            if role.account() == who.account { Ok(()) } else { Err(why()) }
        };
        match call {
            Call::TrustQuota => Ok(Reply::Number(account.trust_quota)),
            Call::Providers => Ok(Reply::Providers(account.providers(moment))),
            Call::Roles => Ok(Reply::Roles(account.roles(moment))),
            Call::Role(role) => {
                of_another(role)?;
                account.role(role, moment).map(Reply::Role)
            }
            Call::SetTrust { role, document } => {
                of_another(role)?;
                account.set_trust(role, document, *now, Author::Call).map(Reply::Done)
            }
            _ => Err(misrouted(call)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "calls to other services do not come here")]
    fn serve_eks(&mut self, call: &Call) -> Answer<Reply> {
        let Self { accounts, clusters, lag, dice, ids, now, .. } = self;
        let arn = call.cluster().ok_or_else(|| misrouted(call))?;
        let cluster = clusters.get_mut(arn).ok_or_else(|| no_cluster(arn))?;
        let moment = &mut Moment { now: *now, lag, dice };
        match call {
            Call::ClusterFacts(_) => Ok(Reply::ClusterFacts(cluster.env.facts.clone())),
            Call::AgentAddon(_) => Ok(Reply::AgentAddon(cluster.agent_addon())),
            Call::Addons(_) => Ok(Reply::Addons(cluster.env.addons.values().cloned().collect())),
            Call::Associations(_) => Ok(Reply::Associations(cluster.associations(moment))),
            Call::Association { id, .. } => cluster.association(id, moment).map(Reply::Association),
            Call::AssociationOf(subject) => Ok(Reply::AssociationOf(cluster.association_of(subject, moment))),
            Call::CreateAssociation(new) => {
                let view = View { accounts, lag, now: *now };
                let id = format!("a-{}", ids.suffix(17));
                cluster.create_association(new, &view, id, Author::Call).map(Reply::Done)
            }
            Call::DeleteAssociation { id, .. } => cluster.delete_association(id, *now, Author::Call).map(Reply::Done),
            _ => Err(misrouted(call)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "calls to other services do not come here")]
    fn serve_kubernetes(&mut self, call: &Call) -> Answer<Reply> {
        let Self { accounts, clusters, lag, dice, ids, now, .. } = self;
        let now = *now;
        let arn = call.cluster().ok_or_else(|| misrouted(call))?;
        let unreachable = || PortError::Unreachable(format!("{arn}: no such host"));
        let cluster = clusters.get_mut(arn).ok_or_else(unreachable)?;
        match call {
            Call::OwnIssuer(_) => Ok(Reply::Issuer(cluster.env.own_issuer.clone())),
            Call::ApiServers(_) if cluster.env.api_servers == 0 => {
                Err(PortError::NotFound("no lease of an API server in kube-system".into()))
            }
            Call::ApiServers(_) => Ok(Reply::Number(cluster.env.api_servers)),
            Call::ServiceAccounts(_) => Ok(Reply::ServiceAccounts(cluster.service_accounts())),
            Call::ServiceAccount(subject) => Ok(Reply::ServiceAccount(cluster.service_account(subject))),
            Call::Workloads { kind, namespace, .. } => Ok(Reply::Workloads(cluster.list(*kind, namespace.as_deref()))),
            Call::Workload { at, .. } => Ok(Reply::Workload(cluster.workload(at, now))),
            Call::Pods(_) => Ok(Reply::Pods(cluster.list_pods(None))),
            Call::PodsOf(subject) => Ok(Reply::Pods(cluster.list_pods(Some(subject)))),
            // That somebody waits for a change changes nothing; the waiting itself is the handle's.
            Call::Changed { .. } => Ok(Reply::Done(())),
            Call::Nodes(_) => Ok(Reply::Nodes(cluster.env.nodes.values().cloned().collect())),
            Call::Probe { subject, template } => {
                let mut context = Context::new(accounts, lag, dice, ids, now);
                cluster.probe(subject, template.as_ref(), &mut context).map(Reply::Probe)
            }
            Call::Stamp { change, .. } => cluster.stamp(change, now).map(Reply::Done),
            Call::Evict { namespace, pod, uid, .. } => cluster.evict(namespace, pod, uid, now).map(Reply::Done),
            Call::Lease { namespace, name, .. } => Ok(Reply::Lease(cluster.lease(namespace, name))),
            Call::WriteLease { namespace, name, lease, found, .. } => {
                cluster.write_lease(namespace, name, lease, found.as_ref()).map(Reply::WrittenLease)
            }
            Call::DeleteLease { namespace, name, found, .. } => {
                cluster.delete_lease(namespace, name, found).map(Reply::Done)
            }
            _ => Err(misrouted(call)),
        }
    }

    /// Lets time pass up to a moment. Whatever becomes due on the way happens at its own time.
    /// A moment that has passed already changes nothing.
    pub fn tick(&mut self, to: Timestamp) {
        self.settle();
        while let Some(next) = self.clusters.values().filter_map(|it| it.settled_until).min().filter(|it| *it <= to) {
            self.now = next.max(self.now);
            self.settle();
            self.watch_state();
        }
        if to > self.now {
            self.now = to;
            self.watch_state();
        }
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, time: Duration) {
        self.tick(self.now + time);
    }

    /// Lets every cluster do what is due.
    pub(crate) fn settle(&mut self) {
        let Self { accounts, clusters, lag, dice, ids, now, changes, .. } = self;
        for cluster in clusters.values_mut() {
            if cluster.settled_until.is_none_or(|it| it <= *now) {
                let changed = cluster.settle(&mut Context::new(accounts, lag, dice, ids, *now));
                *changes += u64::from(changed);
            }
        }
    }

    pub(crate) fn account(&mut self, id: &AccountId) -> &mut Account {
        let fresh = || Account { trust_quota: 2048, providers: BTreeMap::new(), roles: BTreeMap::new() };
        self.accounts.entry(id.clone()).or_insert_with(fresh)
    }

    pub(crate) fn opened(&mut self, run: &Run) {
        let (run, plan, reverts) = (run.id.clone(), run.plan_digest.clone(), run.reverts.clone());
        self.history.all.push(Happening::Opened { run, plan, reverts });
    }

    pub(crate) fn journaled(&mut self, run: &RunId, entry: &NewEntry) {
        self.history.all.push(Happening::Journaled { run: run.clone(), entry: entry.clone() });
        self.watch_entry(entry);
    }
}

fn throttled(operation: &str) -> PortError {
    PortError::Throttled(format!("ThrottlingException: {operation}: Rate exceeded"))
}

fn no_account(account: &AccountId) -> PortError {
    PortError::Credentials(format!("InvalidClientTokenId: account {account} is not in this world"))
}

fn no_cluster(arn: &ClusterArn) -> PortError {
    PortError::NotFound(format!("ResourceNotFoundException: No cluster found for name: {}.", arn.name()))
}

fn misrouted(call: &Call) -> PortError {
    PortError::Invalid(format!("{} is not a call to this service", call.operation()))
}
