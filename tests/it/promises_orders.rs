//! The fourth promise: nothing is sent that no plan says. Executors made by hand, each with one
//! thing wrong, and the right one.

use std::time::Duration;

use irsa_migrate::inventory::{Strategy, WorkloadKind, WorkloadRef};
use irsa_migrate::journal::{Event, NewEntry, Run, RunId, Scope};
use irsa_migrate::model::Digest;
use irsa_migrate::plan::{Plan, Purpose, Request, Unit, Work};
use irsa_migrate::ports::{
    Cluster as _, Eks as _, Iam as _, JournalStore as _, Lease, LeaseVersion, NewAssociation, Stamping,
};
use irsa_migrate::rehearse::out_of_order;
use irsa_migrate::rollback::{self, Extent};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{MemoryJournal, Sim};

use crate::cycle::plan_of;

const NONE: [String; 0] = [];

fn world(strategy: Strategy) -> Sim {
    Builder::new()
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .service_account("carts", "cart", Some("cart"))
        .workload_with(WorkloadKind::DaemonSet, "carts", "cart", "cart", 2, |it| it.strategy = strategy)
        .sim()
}

/// Somebody who sends calls and writes entries by hand.
struct Hand {
    sim: Sim,
    journal: MemoryJournal,
    plan: Plan,
    run: RunId,
    seq: u64,
}

impl Hand {
    fn new(sim: &Sim, journal: &MemoryJournal, plan: Plan) -> Self {
        let run = RunId::of(&Digest::of(&plan.to_bytes().unwrap()));
        Self { sim: sim.clone(), journal: journal.clone(), plan, run, seq: 0 }
    }

    /// A plan of a world, its run open, and its leases held.
    fn ready(strategy: Strategy, settings: &str) -> Self {
        let sim = world(strategy);
        let (plan, journal) = (plan_of(&sim, settings), sim.journal());
        let mut it = Self::new(&sim, &journal, plan);
        it.open();
        it.hold(it.run.as_str());
        it
    }

    fn open(&mut self) {
        let bytes = self.plan.to_bytes().unwrap();
        let run = Run {
            id: self.run.clone(),
            plan_digest: Digest::of(&bytes),
            plan: String::from_utf8(bytes).unwrap(),
            reverts: match &self.plan.purpose {
                Purpose::Migrate => None,
                Purpose::Undo { run, .. } => Some(run.clone()),
            },
            clusters: self.plan.clusters.iter().map(|it| it.arn.clone()).collect(),
            actor: "by hand".into(),
            tool: "0".into(),
            opened_at: self.sim.world().now(),
            closed: false,
        };
        self.sim.run(self.journal.open_run(&run)).unwrap().unwrap();
        self.entry(Scope::Run, Event::Started, None);
    }

    fn hold(&self, holder: &str) {
        for cluster in &self.plan.clusters {
            let renewed_at = self.sim.world().now();
            let version = LeaseVersion(String::new());
            let lease = Lease { holder: format!("{holder} hand"), duration_seconds: 60, renewed_at, version };
            let (namespace, name) = ("kube-system", irsa_migrate::apply::LEASE_NAME);
            let found = self.sim.run(self.sim.lease(&cluster.arn, namespace, name)).unwrap().unwrap();
            let found = found.map(|it| it.version);
            let write = self.sim.write_lease(&cluster.arn, namespace, name, &lease, found.as_ref());
            self.sim.run(write).unwrap().unwrap();
        }
    }

    fn entry(&mut self, scope: Scope, event: Event, detail: Option<String>) {
        self.seq += 1;
        let entry = NewEntry { at: self.sim.world().now(), scope, event, detail };
        self.sim.run(self.journal.append(&self.run, self.seq, &entry)).unwrap().unwrap();
    }

    fn step(&mut self, unit: &Unit, step: usize, event: Event, detail: Option<String>) {
        self.entry(Scope::Step { unit: unit.id.0.clone(), step }, event, detail);
    }

    /// Says that steps were done, and does nothing.
    fn claim(&mut self, unit: &Unit, steps: std::ops::Range<usize>) {
        for step in steps {
            self.step(unit, step, Event::Started, None);
            self.step(unit, step, Event::Succeeded, None);
        }
    }

    fn role_unit(&self) -> Unit {
        self.plan.units.iter().find(|it| matches!(it.work, Work::Role(_))).unwrap().clone()
    }

    fn subject_unit(&self) -> Unit {
        self.plan.units.iter().find(|it| matches!(it.work, Work::ServiceAccount(_))).unwrap().clone()
    }

    fn look(&self) {
        for unit in &self.plan.units {
            match &unit.work {
                Work::Role(work) => drop(self.sim.run(self.sim.role(&work.role_arn)).unwrap()),
                Work::ServiceAccount(work) => {
                    let subject = &work.subject;
                    self.sim.run(self.sim.service_account(subject)).unwrap().unwrap();
                    self.sim.run(self.sim.association_of(subject)).unwrap().unwrap();
                    self.sim.run(self.sim.pods_of(subject)).unwrap().unwrap();
                    self.sim.run(self.sim.workload(&subject.cluster, &at())).unwrap().unwrap();
                }
            }
        }
    }

    fn set_trust(&self, document: Option<&str>) {
        let Work::Role(work) = self.role_unit().work else { panic!("a role") };
        let document = document.unwrap_or(&work.after);
        self.sim.run(self.sim.set_trust(&work.role_arn, document)).unwrap().unwrap();
    }

    fn associate(&self, change: impl FnOnce(&mut NewAssociation)) {
        let unit = self.subject_unit();
        let Some(Request::CreateAssociation { subject, role_arn, tags, token }) = unit.steps[0].write.clone() else {
            panic!("an association")
        };
        let mut new = NewAssociation { subject, role_arn, tags, token };
        change(&mut new);
        // What it says does not matter: it is the sending that is judged.
        let _answer = self.sim.run(self.sim.create_association(&new)).unwrap();
    }

    fn stamping(&self) -> Stamping {
        match self.subject_unit().steps[2].write.clone() {
            Some(Request::Restart { workload, uid, before, stamps, .. }) => {
                Stamping { workload, uid, before, after: stamps.first().cloned() }
            }
            other => panic!("{other:?} is no restart"),
        }
    }

    fn stamp(&self, change: &Stamping) {
        let cluster = self.plan.clusters[0].arn.clone();
        self.sim.run(self.sim.stamp(&cluster, change)).unwrap().unwrap();
    }

    fn announce(&mut self, unit: &Unit, change: &Stamping) {
        let after = change.after.clone().unwrap_or_else(|| "(none)".into());
        self.step(unit, 2, Event::Sending, Some(format!("stamp {} {after}", change.workload)));
    }

    /// The role prepared, as it should be.
    fn prepare(&mut self) {
        let unit = self.role_unit();
        self.look();
        self.step(&unit, 0, Event::Started, None);
        self.set_trust(None);
        self.step(&unit, 0, Event::Succeeded, None);
        self.look();
    }

    fn broken(&self) -> Vec<String> {
        out_of_order(self.sim.world().history(), &[(&self.run, &self.plan)])
    }

    fn assert_broken(&self, words: &str) {
        let broken = self.broken();
        assert!(broken.iter().any(|it| it.contains(words)), "{broken:#?}");
        assert!(broken[0].contains("\n    "), "the history that led there: {}", broken[0]);
    }
}

fn at() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::DaemonSet, namespace: "carts".into(), name: "cart".into() }
}

#[test]
fn the_right_order_breaks_nothing() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    hand.prepare();
    let unit = hand.subject_unit();
    hand.step(&unit, 0, Event::Started, None);
    hand.associate(|_| {});
    hand.step(&unit, 0, Event::Succeeded, None);
    hand.claim(&unit, 1..2);
    hand.step(&unit, 2, Event::Started, None);
    hand.look();
    let change = hand.stamping();
    hand.announce(&unit, &change);
    hand.stamp(&change);
    assert_eq!(hand.broken(), NONE);
    // The same again, neither announced nor as it was seen.
    hand.stamp(&Stamping { before: change.after.clone(), ..change });
    hand.assert_broken("at the last look");
}

#[test]
fn a_write_without_an_open_run() {
    let sim = world(Strategy::RollingUpdate);
    let hand = Hand::new(&sim, &sim.journal(), plan_of(&sim, ""));
    hand.look();
    hand.hold(hand.run.as_str());
    hand.set_trust(None);
    hand.assert_broken("no step of a journaled plan says this");
}

#[test]
fn a_write_that_was_not_written_ahead() {
    let hand = Hand::ready(Strategy::RollingUpdate, "");
    hand.look();
    hand.set_trust(None);
    hand.assert_broken("was not begun in the journal");
}

#[test]
fn one_of_several_calls_that_was_not_written_ahead() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    hand.prepare();
    let unit = hand.subject_unit();
    hand.claim(&unit, 0..2);
    hand.step(&unit, 2, Event::Started, None);
    hand.stamp(&hand.stamping());
    hand.assert_broken("was not written ahead");
}

#[test]
fn a_write_without_a_look() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.role_unit();
    hand.step(&unit, 0, Event::Started, None);
    hand.set_trust(None);
    hand.assert_broken("was not looked at before");
}

#[test]
fn a_write_over_what_is_not_as_pinned() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.role_unit();
    let Work::Role(work) = &unit.work else { panic!("a role") };
    let theirs = work.before.replace("carts:cart", "carts:other");
    hand.sim.world().edit_trust(&work.role_arn, Some(&theirs)).unwrap();
    hand.look();
    hand.step(&unit, 0, Event::Started, None);
    hand.set_trust(None);
    hand.assert_broken("was not as pinned");
}

#[test]
fn a_write_that_is_not_what_the_step_says() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.role_unit();
    let Work::Role(work) = &unit.work else { panic!("a role") };
    let value: serde_json::Value = serde_json::from_str(&work.after).unwrap();
    hand.look();
    hand.step(&unit, 0, Event::Started, None);
    hand.set_trust(Some(&value.to_string()));
    hand.assert_broken("no step of a journaled plan says this");
}

#[test]
fn an_association_without_our_mark() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    hand.prepare();
    let unit = hand.subject_unit();
    hand.step(&unit, 0, Event::Started, None);
    hand.associate(|it| it.tags.clear());
    hand.assert_broken("no step of a journaled plan says this");
}

#[test]
fn a_unit_before_what_it_needs() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.subject_unit();
    hand.look();
    hand.step(&unit, 0, Event::Started, None);
    hand.associate(|_| {});
    hand.assert_broken("which is not done");
}

#[test]
fn a_step_before_its_predecessors() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    hand.prepare();
    let unit = hand.subject_unit();
    hand.step(&unit, 2, Event::Started, None);
    let change = hand.stamping();
    hand.announce(&unit, &change);
    hand.stamp(&change);
    hand.assert_broken("its step 0 is not done");
}

#[test]
fn a_write_under_a_lease_that_may_run_out() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.role_unit();
    hand.step(&unit, 0, Event::Started, None);
    hand.sim.world().pass(Duration::from_secs(45));
    hand.look();
    hand.set_trust(None);
    hand.assert_broken("was last renewed at");
}

#[test]
fn a_write_under_the_lease_of_another() {
    let mut hand = Hand::ready(Strategy::RollingUpdate, "");
    let unit = hand.role_unit();
    hand.step(&unit, 0, Event::Started, None);
    hand.look();
    hand.hold("000000000000");
    hand.set_trust(None);
    hand.assert_broken("is held by 000000000000");
}

#[test]
fn a_write_outside_the_window() {
    // Worlds begin on a Monday.
    let windows =
        |day: &str| format!("[[window]]\ndays = [\"{day}\"]\nstart = \"08:00\"\nminutes = 600\ntime_zone = \"UTC\"\n");
    let attempt = |settings: &str| {
        let mut hand = Hand::ready(Strategy::RollingUpdate, settings);
        let unit = hand.role_unit();
        hand.look();
        hand.step(&unit, 0, Event::Started, None);
        hand.set_trust(None);
        hand
    };
    assert_eq!(attempt(&windows("mon")).broken(), NONE);
    attempt(&windows("tue")).assert_broken("no window is open");
}

#[test]
fn an_eviction_of_a_pod_in_the_right_mode() {
    let mut forward = Hand::ready(Strategy::OnDelete, "");
    for unit in forward.plan.units.clone() {
        forward.claim(&unit, 0..unit.steps.len());
    }
    let digest = Digest::of(&forward.plan.to_bytes().unwrap());
    let entries = forward.sim.run(forward.journal.entries(&forward.run)).unwrap().unwrap();
    let undo = rollback::plan(&forward.run, &digest, &forward.plan, &entries, &Extent::Run).unwrap();
    let mut hand = Hand::new(&forward.sim, &forward.journal, undo);
    hand.open();
    hand.hold(hand.run.as_str());
    let unit = hand.subject_unit();
    hand.claim(&unit, 0..2);
    hand.look();
    hand.step(&unit, 2, Event::Started, None);
    let Work::ServiceAccount(work) = &unit.work else { panic!("a ServiceAccount") };
    let pod = hand.sim.run(hand.sim.pods_of(&work.subject)).unwrap().unwrap().swap_remove(0);
    hand.step(&unit, 2, Event::Sending, Some(format!("evict {}/{} {}", pod.namespace, pod.name, pod.uid)));
    hand.sim.run(hand.sim.evict(&work.subject.cluster, &pod.namespace, &pod.name, &pod.uid)).unwrap().unwrap();
    hand.assert_broken("is on IRSA already");
}
