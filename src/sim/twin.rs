//! The twin of an inventory: a world in which everything is as it was seen.
//!
//! A read that failed when the inventory was taken fails in the twin as well, with the same
//! words. What an inventory does not tell is made up so that nothing hides: a roll-out's surge and
//! unavailability are halves of `at_a_time`, old pods of a Deployment belong to older templates,
//! a pod that was not Ready stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::access::has_credentials;
use super::aws::{AGENT_ADDON, Account, RoleState, Trust};
use super::cluster::{Budget, BudgetRule, Cluster, Environment, Pod, Template, Workload};
use super::handle::Sim;
use super::versioned::Versioned;
use super::world::World;
use crate::inventory::{
    self, AddonUse, ClusterFacts, Compute, Inventory, OwnerRef, RoleDetail, Seen, Strategy, WorkloadKind, WorkloadRef,
};
use crate::model::{ClusterArn, Issuer};

/// How long a pod that was on its way out still takes.
const LEAVING: Duration = Duration::from_secs(30);

/// How long a Job's pod still runs.
const RUNNING: Duration = Duration::from_mins(10);

impl Sim {
    /// The twin of an inventory, at the moment that it was taken.
    #[must_use]
    pub fn from_inventory(inventory: &Inventory) -> Self {
        let mut world = World::new(inventory.taken_at);
        for (id, account) in &inventory.accounts {
            let twin = twin_account(account);
            world.accounts.insert(id.clone(), twin);
            let scope = || id.to_string();
            blind(&mut world, "trust_quota", scope(), &account.trust_quota);
            blind(&mut world, "providers", scope(), &account.providers);
            blind(&mut world, "roles", scope(), &account.roles);
        }
        for cluster in &inventory.clusters {
            world.clusters.insert(cluster.arn.clone(), twin_cluster(cluster, inventory.taken_at));
            blind_cluster(&mut world, cluster);
        }
        note_what_works(&mut world);
        world.settle();
        Self::of(world, inventory.caller.clone())
    }
}

/// A read that failed fails again.
fn blind<T>(world: &mut World, operation: &'static str, scope: String, read: &Seen<T>) {
    if let Seen::Unseen(why) = read {
        world.blind.insert((operation, scope), why.clone());
    }
}

fn blind_cluster(world: &mut World, it: &inventory::Cluster) {
    let scope = || it.arn.to_string();
    blind(world, "cluster", scope(), &it.facts);
    blind(world, "own_issuer", scope(), &it.own_issuer);
    blind(world, "api_servers", scope(), &it.api_servers);
    blind(world, "agent_addon", scope(), &it.agent_addon);
    blind(world, "addons", scope(), &it.addons);
    for operation in ["associations", "association_of"] {
        blind(world, operation, scope(), &it.associations);
    }
    for operation in ["service_accounts", "service_account"] {
        blind(world, operation, scope(), &it.service_accounts);
    }
    for (kind, seen) in &it.workloads {
        blind(world, "workloads", format!("{} {kind}", it.arn), seen);
    }
    for operation in ["pods", "pods_of"] {
        blind(world, operation, scope(), &it.pods);
    }
    blind(world, "nodes", scope(), &it.nodes);
}

fn twin_account(account: &inventory::Account) -> Account {
    let providers = account.providers.get().into_iter().flatten();
    let untold = || Seen::Seen(RoleDetail { tags: BTreeMap::new(), description: None, last_used: None });
    let role = |it: &inventory::Role| RoleState {
        role_id: it.role_id.clone(),
        trust: Versioned::since_ever(Some(Trust::new(&it.trust))),
        detail: it.detail.clone().unwrap_or_else(untold),
    };
    Account {
        trust_quota: account.trust_quota.get().copied().unwrap_or_default(),
        providers: providers.map(|it| (it.issuer.clone(), Versioned::since_ever(Some(it.clone())))).collect(),
        roles: account.roles.get().into_iter().flatten().map(|it| (it.arn.clone(), role(it))).collect(),
    }
}

fn twin_cluster(it: &inventory::Cluster, now: Timestamp) -> Cluster {
    let mut workloads: BTreeMap<WorkloadRef, Workload> =
        it.seen_workloads().map(|it| (it.at.clone(), twin_workload(it, now))).collect();
    let mut bare = Vec::new();
    let pods = it.pods.get().into_iter().flatten();
    for pod in pods.clone() {
        match pod.workload.as_ref().and_then(|at| workloads.get_mut(at)) {
            Some(workload) => adopt(workload, pod, now),
            None => bare.push(Pod { controller: pod.controller.clone(), ..twin_pod(pod, now) }),
        }
    }
    workloads.values_mut().for_each(settle_revisions);
    let fargate: BTreeSet<&str> = it
        .nodes
        .get()
        .into_iter()
        .flatten()
        .filter(|it| it.compute == Compute::Fargate)
        .map(|it| it.name.as_str())
        .collect();
    let on_fargate = pods.clone().filter(|it| it.node.as_deref().is_some_and(|it| fargate.contains(it)));
    let mut env = environment(it);
    env.fargate = on_fargate.map(|it| it.namespace.clone()).collect();
    env.budgets = budgets(pods, &workloads);
    Cluster { env, workloads, bare, settled_until: None }
}

fn environment(it: &inventory::Cluster) -> Environment {
    let unknown = || ClusterFacts {
        endpoint: String::new(),
        certificate_authority: String::new(),
        issuer: None,
        version: String::new(),
        platform_version: String::new(),
        auto_mode: false,
        status: String::new(),
    };
    let facts = it.facts.get().cloned().unwrap_or_else(unknown);
    let own_issuer = it.own_issuer.get().or(facts.issuer.as_ref()).cloned().unwrap_or_else(|| no_issuer(&it.arn));
    let agent = it.agent_addon.get().and_then(Option::as_ref).map(|it| AddonUse {
        name: AGENT_ADDON.to_owned(),
        version: it.version.clone(),
        status: it.status.clone(),
        role_arn: None,
        association_arns: Vec::new(),
    });
    let addons = it.addons.get().into_iter().flatten().cloned().chain(agent);
    let associations = it.associations.get().into_iter().flatten();
    let accounts = it.service_accounts.get().into_iter().flatten();
    let since_ever = |it: &inventory::Association| Versioned::since_ever(Some(it.clone()));
    Environment {
        arn: it.arn.clone(),
        own_issuer,
        // An API server answers, even where nobody may count them.
        api_servers: it.api_servers.get().copied().unwrap_or(1),
        addons: addons.map(|it| (it.name.clone(), it)).collect(),
        associations: associations
            .map(|it| ((it.namespace.clone(), it.service_account.clone()), since_ever(it)))
            .collect(),
        tokens: BTreeMap::new(),
        association_quota: 5000,
        service_accounts: accounts
            .map(|it| ((it.namespace.clone(), it.name.clone()), Versioned::since_ever(Some(it.clone()))))
            .collect(),
        nodes: it.nodes.get().into_iter().flatten().map(|it| (it.name.clone(), it.clone())).collect(),
        fargate: BTreeSet::new(),
        budgets: Vec::new(),
        quotas: BTreeMap::new(),
        rejections: BTreeMap::new(),
        webhook_down: false,
        webhook_went_down: None,
        leases: BTreeMap::new(),
        lease_version: 0,
        facts,
    }
}

/// Stands for an issuer that nobody could read: no provider is of it.
#[expect(clippy::expect_used, reason = "an ARN is printable text, which is all that an issuer has to be")]
fn no_issuer(arn: &ClusterArn) -> Issuer {
    Issuer::parse(arn.as_str()).expect("printable text")
}

fn twin_workload(it: &inventory::Workload, now: Timestamp) -> Workload {
    let template = Template {
        service_account: it.service_account.clone(),
        image: "as scanned".to_owned(),
        stamp: it.stamp.clone(),
        node_selector: it.node_selector.clone(),
        aws_env: it.aws_env.clone(),
        role_by_hand: None,
        skip_containers: it.skip_containers.clone(),
        skips_webhook: it.skips_webhook,
    };
    let mut twin = Workload::new(it.at.clone(), it.uid.clone(), template, it.replicas, now);
    twin.strategy = it.strategy;
    twin.surge = if it.at.kind == WorkloadKind::Deployment { it.at_a_time.div_ceil(2) } else { 0 };
    twin.unavailable = it.at_a_time - twin.surge.min(it.at_a_time);
    if it.strategy == Strategy::Recreate {
        (twin.surge, twin.unavailable) = (0, it.replicas);
    }
    twin.paused = it.paused;
    twin.partition = it.partition;
    twin.progress_deadline_seconds = it.progress_deadline_seconds;
    twin.controller.clone_from(&it.controller);
    twin.schedule.clone_from(&it.schedule);
    twin.every = it.schedule.as_deref().map_or(twin.every, period);
    // What was there when it was looked at stays: only what we do is to be seen.
    twin.retry_at = None;
    twin
}

/// How often a schedule fires, roughly: every some minutes, every hour, or every day.
fn period(schedule: &str) -> Duration {
    let mut fields = schedule.split_whitespace();
    let (minute, hour) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let step = minute.strip_prefix("*/").and_then(|it| it.parse().ok());
    match (step, minute, hour) {
        (Some(minutes), _, _) => Duration::from_mins(u64::max(minutes, 1)),
        (None, "*", _) => Duration::from_mins(1),
        (None, _, "*") => Duration::from_hours(1),
        (None, _, _) => Duration::from_hours(24),
    }
}

fn twin_pod(it: &inventory::Pod, now: Timestamp) -> Pod {
    Pod {
        namespace: it.namespace.clone(),
        name: it.name.clone(),
        uid: it.uid.clone(),
        service_account: it.service_account.clone(),
        audience: String::new(),
        node: it.node.clone(),
        mode: it.mode.clone(),
        skips_webhook: it.skips_webhook,
        created_at: it.created_at,
        ready: it.ready,
        ready_at: None,
        ends_at: None,
        gone_at: it.terminating.then(|| now + LEAVING),
        restarts: it.restarts,
        revision: 0,
        ordinal: it.name.rsplit('-').next().and_then(|it| it.parse().ok()).unwrap_or(0),
        controller: None,
        worked: false,
    }
}

/// Puts a pod under its workload. A ReplicaSet's UID tells which template a Deployment's pod is of.
fn adopt(workload: &mut Workload, pod: &inventory::Pod, now: Timestamp) {
    let mut twin = twin_pod(pod, now);
    if matches!(workload.at.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
        twin.ends_at = Some(now + RUNNING);
        twin.controller = pod.controller.clone().filter(|it| it.uid != workload.uid);
    }
    let own = OwnerRef { kind: String::new(), name: workload.at.name.clone(), uid: workload.uid.clone() };
    let owner = pod.controller.clone().unwrap_or(own);
    let known = workload.revisions.iter().position(|it| it.uid == owner.uid);
    twin.revision = known.unwrap_or_else(|| {
        workload.add_revision(owner.name, owner.uid);
        workload.revisions.len() - 1
    });
    workload.pods.push(twin);
}

/// The youngest pod's template is the one that stands; each older ReplicaSet has one of its own.
fn settle_revisions(workload: &mut Workload) {
    let youngest = workload.pods.iter().max_by_key(|it| it.created_at).map_or(0, |it| it.revision);
    let template = workload.template.clone();
    for at in 0..workload.revisions.len() {
        let alive = u32::try_from(workload.living_of(at)).unwrap_or(u32::MAX);
        let revision = &mut workload.revisions[at];
        revision.template = template.clone();
        revision.want = alive;
        if at != youngest {
            revision.template.image = format!("before {at}");
        }
    }
    workload.current = youngest;
}

/// Budgets, from what their pods tell of them: whom they cover, and how many may go now.
fn budgets<'a>(
    pods: impl Iterator<Item = &'a inventory::Pod> + Clone,
    workloads: &BTreeMap<WorkloadRef, Workload>,
) -> Vec<Budget> {
    let mut found: BTreeMap<(&str, &str), (BTreeSet<WorkloadRef>, u32)> = BTreeMap::new();
    for pod in pods {
        for (name, allowed) in &pod.budgets {
            let entry = found.entry((&pod.namespace, name)).or_insert_with(|| (BTreeSet::new(), *allowed));
            entry.0.extend(pod.workload.clone());
        }
    }
    let budget = |((namespace, name), (covers, allowed)): ((&str, &str), (BTreeSet<WorkloadRef>, u32))| {
        let covered = covers.iter().filter_map(|at| workloads.get(at)).flat_map(Workload::living);
        let healthy = u32::try_from(covered.filter(|it| it.ready).count()).unwrap_or(u32::MAX);
        let rule = BudgetRule::MinAvailable(healthy.saturating_sub(allowed));
        Budget { namespace: namespace.to_owned(), name: name.to_owned(), covers, rule }
    };
    found.into_iter().map(budget).collect()
}

/// Each pod's audience, and whether it works now.
fn note_what_works(world: &mut World) {
    let World { accounts, clusters, lag, now, .. } = world;
    for Cluster { env, workloads, bare, .. } in clusters.values_mut() {
        for pod in workloads.values_mut().flat_map(|it| &mut it.pods).chain(bare) {
            let key = (pod.namespace.clone(), pod.service_account.clone());
            let audience = env.service_accounts.get(&key).and_then(|it| it.now()?.audience.clone());
            pod.audience = audience.unwrap_or_else(|| super::cluster::AUDIENCE.to_owned());
            pod.worked = has_credentials(pod, env, accounts, lag, *now);
        }
    }
}
