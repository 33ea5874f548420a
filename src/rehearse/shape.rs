//! What a unit looks like to whoever carries it out.
//!
//! Units of one shape take the same steps through the same code, so that every fault is tried on
//! one of them. It is tried on its own: the plan is reduced to that unit and its role's, and the
//! twin to what they touch. Likewise the promises are watched role by role: ServiceAccounts of
//! different roles share neither a trust policy nor an association.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use crate::inventory::{Account, Cluster, Inventory, Role, Seen, Strategy, Workload, WorkloadKind, WorkloadRef};
use crate::model::{ClusterArn, RoleArn};
use crate::plan::{Condition, Move, PinnedWorkload, Plan, PlanCluster, RoleWork, SubjectWork, Unit, UnitId, Work};

/// How a workload of a unit moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moved {
    kind: WorkloadKind,
    moves: How,
    pods: Size,
    budget: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Rolls,
    StopsAll,
    Evicted,
    ByOwner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    None,
    One,
    Several,
}

/// What matters of a ServiceAccount's unit to whoever carries it out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    workloads: BTreeSet<Moved>,
    /// Jobs, CronJobs, bare pods: they stay.
    left: bool,
    /// Other ServiceAccounts of the plan get the same role.
    shared: bool,
    /// The role's trust policy names several clusters of the plan.
    clusters: bool,
    /// The role lets Pod Identity in already.
    trusted: bool,
    /// Its tokens have an audience of their own.
    audience: bool,
    /// Nobody could count the API servers.
    unknown_servers: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.workloads.iter().map(ToString::to_string).collect();
        if parts.is_empty() {
            parts.push("no workload".to_owned());
        }
        let more = [
            (self.left, "Jobs or bare pods beside"),
            (self.shared, "shared role"),
            (self.clusters, "role of several clusters"),
            (self.trusted, "role that trusts Pod Identity already"),
            (self.audience, "audience of its own"),
            (self.unknown_servers, "unknown number of API servers"),
        ];
        parts.extend(more.into_iter().filter(|it| it.0).map(|it| it.1.to_owned()));
        f.write_str(&parts.join("; "))
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pods = match self.pods {
            Size::None => "without pods",
            Size::One => "of one pod",
            Size::Several => "of several pods",
        };
        let moves = match self.moves {
            How::Rolls => "rolls",
            How::StopsAll => "stops all, then starts all",
            How::Evicted => "evicted",
            How::ByOwner => "restarted by its owner",
        };
        write!(f, "{} {pods}, {moves}", self.kind)?;
        if self.budget { f.write_str(", under a budget") } else { Ok(()) }
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Moved {
    fn of(pinned: &PinnedWorkload, cluster: &Cluster) -> Self {
        let moves = match (pinned.moves, pinned.strategy) {
            (Move::Roll, Strategy::Recreate) => How::StopsAll,
            (Move::Roll, Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None) => How::Rolls,
            (Move::Evict, _) => How::Evicted,
            (Move::ByOwner, _) => How::ByOwner,
        };
        let pods = match pinned.replicas {
            0 => Size::None,
            1 => Size::One,
            _ => Size::Several,
        };
        let of_it = |at: &Option<WorkloadRef>| at.as_ref() == Some(&pinned.workload);
        let mut own = cluster.pods.get().into_iter().flatten().filter(|it| of_it(&it.workload));
        // A budget is in the way of evictions alone.
        let budget = moves == How::Evicted && own.any(|it| !it.budgets.is_empty());
        Self { kind: pinned.workload.kind, moves, pods, budget }
    }
}

/// A plan's units, by their shape: each with the role's that it needs, the smallest first.
pub(super) fn shapes<'a>(plan: &'a Plan, inventory: &Inventory) -> BTreeMap<Shape, Vec<Pair<'a>>> {
    let mut shapes: BTreeMap<Shape, Vec<Pair<'a>>> = BTreeMap::new();
    for pair in pairs(plan) {
        if let Some(cluster) = inventory.cluster(&pair.work.subject.cluster) {
            shapes.entry(shape(plan, &pair, cluster)).or_default().push(pair);
        }
    }
    for pairs in shapes.values_mut() {
        pairs.sort_by_key(|it| (it.work.workloads.iter().map(|it| it.replicas).sum::<u32>(), &it.unit.id));
    }
    shapes
}

/// A ServiceAccount's unit and its role's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) unit: &'a Unit,
    work: &'a SubjectWork,
    role_unit: &'a Unit,
    role: &'a RoleWork,
}

fn pairs(plan: &Plan) -> impl Iterator<Item = Pair<'_>> {
    plan.units.iter().filter_map(|unit| {
        let Work::ServiceAccount(work) = &unit.work else { return None };
        let role_unit = plan.unit(&UnitId::of_role(&work.role_arn))?;
        let Work::Role(role) = &role_unit.work else { return None };
        Some(Pair { unit, work, role_unit, role })
    })
}

fn shape(plan: &Plan, pair: &Pair<'_>, cluster: &Cluster) -> Shape {
    let work = pair.work;
    let sharers = pairs(plan).filter(|it| it.work.role_arn == work.role_arn).count();
    Shape {
        workloads: work.workloads.iter().map(|it| Moved::of(it, cluster)).collect(),
        left: !work.left.is_empty(),
        shared: sharers > 1,
        clusters: clusters_of(plan, std::slice::from_ref(pair)).len() > 1,
        trusted: pair.role.added.is_empty(),
        audience: work.audience != "sts.amazonaws.com",
        unknown_servers: cluster.api_servers.get().is_none(),
    }
}

/// The clusters that a role's ServiceAccounts have to do with: their own, and those that the role's
/// policy names.
fn clusters_of<'a>(plan: &'a Plan, pairs: &[Pair<'_>]) -> Vec<&'a PlanCluster> {
    let named = |text: &str, it: &PlanCluster| text.contains(it.issuer.as_str()) || text.contains(it.arn.as_str());
    let concerns = |pair: &Pair<'_>, it: &PlanCluster| {
        it.arn == pair.work.subject.cluster || named(&pair.role.before, it) || named(&pair.role.after, it)
    };
    plan.clusters.iter().filter(|it| pairs.iter().any(|pair| concerns(pair, it))).collect()
}

/// The plan of these ServiceAccounts of one role alone, as the planner would have made it had nobody
/// else wanted to move. It knows no windows: waiting for one is no fault.
pub(super) fn reduced_plan(plan: &Plan, pairs: &[Pair<'_>]) -> Option<Plan> {
    let first = pairs.first()?;
    let clusters: Vec<PlanCluster> = clusters_of(plan, pairs).into_iter().cloned().collect();
    let mut role_unit = first.role_unit.clone();
    for step in &mut role_unit.undo {
        if let Some(Condition::RoleUnused { subjects, clusters: looked_into, .. }) = &mut step.when {
            let given: BTreeSet<_> = pairs.iter().map(|it| &it.work.subject).collect();
            *subjects = given.into_iter().cloned().collect();
            *looked_into = clusters.iter().map(|it| it.arn.clone()).collect();
        }
    }
    let units: Vec<Unit> = std::iter::once(role_unit).chain(pairs.iter().map(|it| it.unit.clone())).collect();
    let mut waves = plan.waves.clone();
    for wave in &mut waves {
        wave.units.retain(|id| units.iter().any(|it| it.id == *id));
    }
    waves.retain(|it| !it.units.is_empty());
    Some(Plan { clusters, windows: Vec::new(), waves, units, held: Vec::new(), ..plan.clone() })
}

/// A plan's ServiceAccounts by their roles.
pub(super) fn roles(plan: &Plan) -> Vec<Vec<Pair<'_>>> {
    let mut roles: BTreeMap<&RoleArn, Vec<Pair<'_>>> = BTreeMap::new();
    for pair in pairs(plan) {
        roles.entry(&pair.work.role_arn).or_default().push(pair);
    }
    roles.into_values().collect()
}

/// What the twin needs of an inventory to carry out these: their role, they themselves and in each of
/// their clusters one other ServiceAccount of the role, with their pods and the nodes of those.
pub(super) fn reduced_inventory(inventory: &Inventory, plan: &Plan, pairs: &[Pair<'_>]) -> Inventory {
    let clusters: BTreeSet<&ClusterArn> = clusters_of(plan, pairs).into_iter().map(|it| &it.arn).collect();
    let role = pairs.first().map(|it| &it.work.role_arn);
    let kept = inventory.clusters.iter().filter(|it| clusters.contains(&it.arn)).map(|it| reduced(it, pairs));
    let mut reduced = Inventory {
        format: inventory.format,
        taken_at: inventory.taken_at,
        caller: inventory.caller.clone(),
        accounts: BTreeMap::new(),
        clusters: kept.collect(),
    };
    let associated: BTreeSet<RoleArn> = reduced.clusters.iter().flat_map(roles_of_associations).collect();
    let is_kept = |it: &&Role| Some(&it.arn) == role || associated.contains(&it.arn);
    for (id, account) in &inventory.accounts {
        let (trust_quota, providers) = (account.trust_quota.clone(), account.providers.clone());
        let account = Account { trust_quota, providers, roles: some_of(&account.roles, is_kept) };
        reduced.accounts.insert(id.clone(), account);
    }
    reduced
}

fn roles_of_associations(cluster: &Cluster) -> impl Iterator<Item = RoleArn> {
    let details = cluster.associations.get().into_iter().flatten().filter_map(|it| it.detail.as_ref()?.get());
    details.map(|it| it.role_arn.clone())
}

fn some_of<T: Clone>(read: &Seen<Vec<T>>, wanted: impl FnMut(&&T) -> bool) -> Seen<Vec<T>> {
    match read {
        Seen::Seen(all) => Seen::Seen(all.iter().filter(wanted).cloned().collect()),
        Seen::Unseen(why) => Seen::Unseen(why.clone()),
    }
}

fn reduced(cluster: &Cluster, pairs: &[Pair<'_>]) -> Cluster {
    let kept = kept_subjects(cluster, pairs);
    let is_kept = |namespace: &str, name: &str| kept.contains(&(namespace, name));
    let pods = some_of(&cluster.pods, |it| is_kept(&it.namespace, &it.service_account));
    let used: BTreeSet<&str> = pods.get().into_iter().flatten().filter_map(|it| it.node.as_deref()).collect();
    let nodes = some_of(&cluster.nodes, |it| used.is_empty() || used.contains(it.name.as_str()));
    let workloads = |(kind, all): (&WorkloadKind, &Seen<Vec<Workload>>)| {
        (*kind, some_of(all, |it| is_kept(&it.at.namespace, &it.service_account)))
    };
    Cluster {
        arn: cluster.arn.clone(),
        context: cluster.context.clone(),
        facts: cluster.facts.clone(),
        own_issuer: cluster.own_issuer.clone(),
        api_servers: cluster.api_servers.clone(),
        agent_addon: cluster.agent_addon.clone(),
        addons: cluster.addons.clone(),
        associations: some_of(&cluster.associations, |it| is_kept(&it.namespace, &it.service_account)),
        service_accounts: some_of(&cluster.service_accounts, |it| is_kept(&it.namespace, &it.name)),
        workloads: cluster.workloads.iter().map(workloads).collect(),
        nodes,
        pods,
    }
}

/// Namespaces and names of the ServiceAccounts that are kept of a cluster.
fn kept_subjects<'a>(cluster: &'a Cluster, pairs: &'a [Pair<'_>]) -> BTreeSet<(&'a str, &'a str)> {
    let own = pairs.iter().map(|it| &it.work.subject).filter(|it| it.cluster == cluster.arn);
    let mut kept: BTreeSet<(&str, &str)> = own.map(|it| (it.namespace.as_str(), it.service_account.as_str())).collect();
    let role = pairs.first().map(|it| it.work.role_arn.as_str());
    let accounts = cluster.service_accounts.get().into_iter().flatten();
    let same_role =
        accounts.filter(|it| it.role_arn.as_deref() == role).map(|it| (it.namespace.as_str(), it.name.as_str()));
    let other = same_role.filter(|it| !kept.contains(it)).take(1).next();
    kept.extend(other);
    kept
}
