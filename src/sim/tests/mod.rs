//! Each rule of AWS and Kubernetes that the world models, shown once.
#![expect(clippy::wildcard_enum_match_arm, reason = "a reply of another kind fails the test")]

mod admission;
mod aws;
mod budgets;
mod clock;
mod faults;
mod fleet;
mod rollouts;

use std::collections::BTreeMap;
use std::time::Duration;

use super::build::Builder;
use super::{Call, Reply, Sim};
use crate::inventory::{Mode, Pod, WorkloadKind, WorkloadRef};
use crate::model::{ClusterArn, RoleArn, Subject};
use crate::ports::{Answer, Probe, Rollout, Stamping};

const ROLE: &str = "arn:aws:iam::111122223333:role/cart";

/// A cluster with the role `cart` for the ServiceAccount `carts/cart`, and the ServiceAccount.
fn shop() -> Builder {
    Builder::new().cluster("shop").role("cart", &[("carts", "cart")]).service_account("carts", "cart", Some("cart"))
}

fn cluster() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").unwrap()
}

fn role() -> RoleArn {
    RoleArn::parse(ROLE).unwrap()
}

fn irsa() -> Mode {
    Mode::Irsa(ROLE.into())
}

fn cart() -> Subject {
    Subject { cluster: cluster(), namespace: "carts".into(), service_account: "cart".into() }
}

fn at(kind: WorkloadKind) -> WorkloadRef {
    WorkloadRef { kind, namespace: "carts".into(), name: "cart".into() }
}

fn call(sim: &Sim, call: Call) -> Answer<Reply> {
    let now = sim.world().now();
    sim.world().call(sim.who(), now, call)
}

fn pass(sim: &Sim, seconds: u64) {
    sim.world().pass(Duration::from_secs(seconds));
}

fn pods(sim: &Sim) -> Vec<Pod> {
    match call(sim, Call::Pods(cluster())).unwrap() {
        Reply::Pods(pods) => pods.into_iter().filter(|it| !it.terminating).collect(),
        other => panic!("{other:?}"),
    }
}

/// How many pods are in which mode.
fn modes(sim: &Sim) -> BTreeMap<String, usize> {
    let mut modes = BTreeMap::new();
    for pod in pods(sim) {
        *modes.entry(pod.mode.to_string()).or_default() += 1;
    }
    modes
}

fn count(mode: &str, pods: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(mode.to_owned(), pods)])
}

fn rollout(sim: &Sim, kind: WorkloadKind) -> Rollout {
    match call(sim, Call::Workload { cluster: cluster(), at: at(kind) }).unwrap() {
        Reply::Workload(Some(it)) => it.rollout,
        other => panic!("{other:?}"),
    }
}

fn stamp(sim: &Sim, kind: WorkloadKind, after: Option<&str>) {
    let now = match call(sim, Call::Workload { cluster: cluster(), at: at(kind) }).unwrap() {
        Reply::Workload(Some(it)) => it.workload,
        other => panic!("{other:?}"),
    };
    let change = Stamping { workload: at(kind), uid: now.uid, before: now.stamp, after: after.map(str::to_owned) };
    call(sim, Call::Stamp { cluster: cluster(), change }).unwrap();
}

fn associate(sim: &Sim) {
    sim.world().edit_association(&cart(), Some(&role())).unwrap();
}

fn probe(sim: &Sim) -> Probe {
    match call(sim, Call::Probe { subject: cart(), template: None }).unwrap() {
        Reply::Probe(probe) => probe,
        other => panic!("{other:?}"),
    }
}

fn evict(sim: &Sim, pod: &Pod) -> Answer<()> {
    let (namespace, name, uid) = (pod.namespace.clone(), pod.name.clone(), pod.uid.clone());
    call(sim, Call::Evict { cluster: cluster(), namespace, pod: name, uid }).map(|_| ())
}
