//! A history in the making: a shape, who is late, what goes wrong, what others and a person do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::plan::{Plan, Work};
use irsa_migrate::sim::{Deed, Fault, JournalFault, Lag, Sim};

use crate::shapes::{SHAPES, Shape};

/// A seeded source of choices: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        all.get(at)
    }
}

/// Something that happens at a call, counted from the first one after the plan was made; or at an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Fault(u64, Fault),
    Entry(u64, JournalFault),
    Others(u64, Deed),
    /// Ctrl-C, once.
    Stop(u64),
}

/// What a person does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Applies the newest plan, or goes on with it.
    Apply,
    /// Rolls back the unit of this number, of the newest plan; or goes on with a rollback of it.
    UndoUnit(usize),
    /// Rolls back the wave of this number.
    UndoWave(usize),
    /// Rolls back the run.
    UndoRun,
    /// Scans and plans again.
    PlanAgain,
    /// Gets rights and credentials back.
    Heal,
    /// Does something else for so many seconds.
    Wait(u64),
}

#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) shape: &'static Shape,
    pub(crate) lag: Lag,
    /// How long each call takes, in milliseconds.
    pub(crate) latency: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) actions: Vec<Action>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lag { api, sts, eks_auth, webhook, webhooks } = &self.lag;
        writeln!(f, "seed {}: {}", self.seed, self.shape.name)?;
        writeln!(f, "  late: API {api:?}, STS {sts:?}, EKS Auth {eks_auth:?}, webhooks {webhook:?}")?;
        for ((cluster, server), lag) in webhooks {
            writeln!(f, "  late: webhook {server} of {} {lag:?}", cluster.name())?;
        }
        writeln!(f, "  each call takes {} ms", self.latency)?;
        for event in &self.events {
            match event {
                Event::Fault(call, fault) => writeln!(f, "  call {call}: {fault:?}")?,
                Event::Entry(entry, fault) => writeln!(f, "  entry {entry}: {fault:?}")?,
                Event::Others(call, deed) => writeln!(f, "  before call {call}: somebody: {deed}")?,
                Event::Stop(call) => writeln!(f, "  call {call}: Ctrl-C")?,
            }
        }
        write!(f, "  the person: {:?}", self.actions)
    }
}

/// What others can do something to.
struct Things {
    roles: Vec<(RoleArn, String)>,
    subjects: Vec<(Subject, RoleArn)>,
    workloads: Vec<(ClusterArn, WorkloadRef)>,
    clusters: Vec<(ClusterArn, irsa_migrate::model::Issuer)>,
}

impl Things {
    fn of(plan: &Plan) -> Self {
        let mut it = Self { roles: Vec::new(), subjects: Vec::new(), workloads: Vec::new(), clusters: Vec::new() };
        for unit in &plan.units {
            match &unit.work {
                Work::Role(work) => it.roles.push((work.role_arn.clone(), work.before.clone())),
                Work::ServiceAccount(work) => {
                    it.subjects.push((work.subject.clone(), work.role_arn.clone()));
                    let cluster = &work.subject.cluster;
                    it.workloads.extend(work.workloads.iter().map(|it| (cluster.clone(), it.workload.clone())));
                }
            }
        }
        it.clusters = plan.clusters.iter().map(|it| (it.arn.clone(), it.issuer.clone())).collect();
        it
    }
}

/// What a seed stands for. The plan is that of its shape, which `plans` keeps.
pub(crate) fn draw(seed: u64, plans: &BTreeMap<&'static str, (Sim, Plan)>) -> Schedule {
    let mut dice = Dice::new(seed);
    let shape = dice.of(&SHAPES).copied().unwrap_or(SHAPES[0]);
    let things = plans.get(shape.name).map(|(_, plan)| Things::of(plan));
    let lag = lag(&mut dice, things.as_ref());
    let latency = *dice.of(&[0, 0, 40, 300]).unwrap_or(&0);
    // Calls of a run are some hundred, and a rollback's come behind them.
    let reach = *dice.of(&[120, 300, 700]).unwrap_or(&300);
    let mut events = Vec::new();
    for _ in 0..dice.below(4) {
        events.push(Event::Fault(1 + dice.below(reach), *dice.of(&Fault::ALL).unwrap_or(&Fault::Lost)));
    }
    if dice.one_in(4) {
        events.push(Event::Entry(1 + dice.below(80), *dice.of(&JournalFault::ALL).unwrap_or(&JournalFault::After)));
    }
    if dice.one_in(6) {
        events.push(Event::Stop(1 + dice.below(reach)));
    }
    for _ in 0..dice.below(4) {
        let at = 1 + dice.below(reach);
        events.extend(things.iter().flat_map(|it| deeds(&mut dice, it, at)));
    }
    let mut actions = vec![Action::Apply];
    for _ in 0..dice.below(5) {
        actions.push(action(&mut dice));
    }
    Schedule { seed, shape, lag, latency, events, actions }
}

fn action(dice: &mut Dice) -> Action {
    let some = usize::try_from(dice.below(5)).unwrap_or(0);
    match dice.below(12) {
        0..=2 => Action::Apply,
        3 => Action::UndoUnit(some),
        4 => Action::UndoWave(some),
        5..=8 => Action::UndoRun,
        9 => Action::PlanAgain,
        10 => Action::Heal,
        _ => Action::Wait(1 + dice.below(400)),
    }
}

/// Nobody is late; everybody is, by less than is waited for; or by more.
fn lag(dice: &mut Dice, things: Option<&Things>) -> Lag {
    let most = *dice.of(&[0, 0, 20, 20, 110]).unwrap_or(&0);
    let mut late = || Duration::from_secs(dice.below(most + 1));
    let mut lag = Lag { api: late(), sts: late(), eks_auth: late(), webhook: late(), webhooks: BTreeMap::new() };
    for (cluster, _) in things.iter().flat_map(|it| &it.clusters) {
        lag.webhooks.insert((cluster.clone(), 0), late());
    }
    lag
}

/// Something that somebody else does at a call; what breaks for a while is whole again later.
fn deeds(dice: &mut Dice, on: &Things, at: u64) -> Vec<Event> {
    let later = at + 1 + dice.below(60);
    let one = |deed| vec![Event::Others(at, deed)];
    let both = |deed, undone| vec![Event::Others(at, deed), Event::Others(later, undone)];
    let Some((role, first)) = dice.of(&on.roles).cloned() else { return Vec::new() };
    let Some((subject, own)) = dice.of(&on.subjects).cloned() else { return Vec::new() };
    let Some((cluster, issuer)) = dice.of(&on.clusters).cloned() else { return Vec::new() };
    let workload = dice.of(&on.workloads).cloned();
    let namespace = subject.namespace.clone();
    let node = format!("ip-10-0-1-23.{}.compute.internal", cluster.region());
    let pods = u32::try_from(dice.below(6)).unwrap_or(1);
    match dice.below(24) {
        0 | 1 => one(Deed::AddStatement(role)),
        2 => both(Deed::AddStatement(role.clone()), Deed::DropStatement(role)),
        3 => one(Deed::Reformat(role)),
        4 => one(Deed::TouchOurs(role)),
        5 => one(Deed::Reapply(role, first)),
        6 if dice.one_in(3) => one(Deed::DeleteRole(role)),
        7 => one(Deed::Associate(subject, Some(own))),
        8 => one(Deed::Associate(subject, None)),
        9 => both(Deed::Annotate(subject.clone(), None), Deed::Annotate(subject, Some(own.to_string()))),
        10 => one(Deed::Annotate(subject, Some(format!("{own}-other")))),
        11 if dice.one_in(3) => one(Deed::DeleteServiceAccount(subject)),
        12 => both(Deed::Quota(cluster.clone(), namespace.clone(), Some(2)), Deed::Quota(cluster, namespace, None)),
        13 => both(Deed::Webhook(cluster.clone(), true), Deed::Webhook(cluster, false)),
        14 => both(Deed::Agent(cluster.clone(), node.clone(), false), Deed::Agent(cluster, node, true)),
        15 => both(Deed::Lease(cluster.clone(), Some("somebody else".into())), Deed::Lease(cluster, None)),
        16 => both(Deed::Clock([-3600, -30, 30, 3600][usize::try_from(pods % 4).unwrap_or(0)]), Deed::Clock(0)),
        17 if dice.one_in(3) => {
            both(Deed::Provider(cluster.clone(), issuer.clone(), false), Deed::Provider(cluster, issuer, true))
        }
        other => workload.map_or_else(Vec::new, |(cluster, it)| on_a_workload(other, at, later, cluster, it, pods)),
    }
}

fn on_a_workload(which: u64, at: u64, later: u64, cluster: ClusterArn, it: WorkloadRef, pods: u32) -> Vec<Event> {
    let one = |deed| vec![Event::Others(at, deed)];
    match which % 5 {
        0 | 1 => one(Deed::Deploy(cluster, it, format!("registry.example.com/app:{which}.{at}"))),
        2 if it.kind != WorkloadKind::DaemonSet => one(Deed::Scale(cluster, it, pods)),
        3 if it.kind == WorkloadKind::Deployment => vec![
            Event::Others(at, Deed::Pause(cluster.clone(), it.clone(), true)),
            Event::Others(later, Deed::Pause(cluster, it, false)),
        ],
        4 if pods == 0 => one(Deed::DeleteWorkload(cluster, it)),
        _ => one(Deed::LosePod(cluster, it, usize::try_from(pods).unwrap_or(0))),
    }
}
