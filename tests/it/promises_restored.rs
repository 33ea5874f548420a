//! The third promise: what is there after a rollback, with other people about; and what breaks it, caught.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::journal::{RunId, RunStatus};
use irsa_migrate::model::{ClusterArn, Digest, RoleArn, Subject};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::{Cluster as _, Eks as _, Iam as _, Stamping};
use irsa_migrate::rehearse::{Undone, not_restored};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Lag, MemoryJournal, Sim};

use crate::beside::carry_out_beside;
use crate::cycle::{carry_out, plan_of, status, undo_of};

const NONE: [String; 0] = [];

fn cluster() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").unwrap()
}

fn cart() -> Subject {
    Subject { cluster: cluster(), namespace: "carts".into(), service_account: "cart".into() }
}

fn at() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::Deployment, namespace: "carts".into(), name: "cart".into() }
}

fn role() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/cart").unwrap()
}

fn other_role() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/other").unwrap()
}

/// One Deployment that has moved, and the world before it did.
struct Moved {
    sim: Sim,
    before: Sim,
    journal: MemoryJournal,
    plan: Plan,
}

fn moved() -> Moved {
    let sim = Builder::new()
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .role("other", &[("carts", "other")])
        .service_account("carts", "cart", Some("cart"))
        .workload(WorkloadKind::Deployment, "carts", "cart", "cart", 2)
        .sim();
    let plan = plan_of(&sim, "");
    sim.world().watch();
    let (before, journal) = (sim.fork(), sim.journal());
    assert_eq!(carry_out(&sim, &journal, &plan).unwrap().why, Why::Ended);
    Moved { sim, before, journal, plan }
}

impl Moved {
    /// Rolls back as far as it goes: the rollback's plan and its status.
    fn undo(&self) -> (Plan, RunStatus) {
        let undo = undo_of(&self.sim, &self.journal, &self.plan);
        carry_out(&self.sim, &self.journal, &undo).unwrap();
        let status = status(&self.sim, &self.journal, &undo);
        (undo, status)
    }

    fn broken_after(&self, undo: &Plan, status: &RunStatus) -> Vec<String> {
        let run = RunId::of(&Digest::of(&undo.to_bytes().unwrap()));
        let undone = Undone { plan: undo, run: &run, status };
        not_restored(&self.before.world(), &self.sim.world(), Some(undone))
    }

    fn trust(&self) -> String {
        self.sim.world().trust_now(&role()).unwrap().to_owned()
    }

    fn trust_at_first(&self) -> String {
        self.before.world().trust_now(&role()).unwrap().to_owned()
    }

    fn edit_trust(&self, document: &str) {
        self.sim.world().edit_trust(&role(), Some(document)).unwrap();
        self.sim.world().pass(Duration::from_mins(1));
    }

    fn set_trust(&self, document: &str) {
        self.sim.run(self.sim.role(&role())).unwrap().unwrap();
        self.sim.run(self.sim.set_trust(&role(), document)).unwrap().unwrap();
    }

    /// A rollback without an executor: whatever it is, it is told that all is done.
    fn by_hand(&self) -> Vec<String> {
        self.sim.world().pass(Duration::from_mins(10));
        self.sim.world().not_restored(&self.before.world())
    }

    fn dissociate(&self) {
        let id = self.sim.world().association_now(&cart()).unwrap().id.clone();
        self.sim.run(self.sim.delete_association(&cluster(), &id)).unwrap().unwrap();
        self.sim.world().pass(Duration::from_mins(1));
    }

    fn unstamp(&self) {
        let now = self.sim.run(self.sim.workload(&cluster(), &at())).unwrap().unwrap().unwrap().workload;
        let change = Stamping { workload: at(), uid: now.uid, before: now.stamp, after: None };
        self.sim.run(self.sim.stamp(&cluster(), &change)).unwrap().unwrap();
        self.sim.world().pass(Duration::from_mins(5));
    }
}

const THEIRS: &str = r#"{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/admin"},"Action":"sts:AssumeRole"}"#;

/// A policy with one more statement, and nothing else changed.
fn with_theirs(document: &str) -> String {
    let end = document.rfind(']').unwrap();
    format!("{},{THEIRS}{}", document[..end].trim_end(), &document[end..])
}

fn assert_holds(broken: &[String], words: &str) {
    assert!(broken.iter().any(|it| it.contains(words)), "{broken:#?}");
}

#[test]
fn a_statement_of_others_stays_and_is_told_of() {
    let it = moved();
    it.edit_trust(&with_theirs(&it.trust()));
    let (undo, status) = it.undo();
    assert_eq!(it.trust(), with_theirs(&it.trust_at_first()), "theirs without ours");
    assert_eq!(it.broken_after(&undo, &status), NONE);
    let told = undo.units.iter().any(|unit| status.detail(&unit.id.0).is_some_and(|it| it.contains("by others")));
    assert!(told);
    // Had it not been told of, that alone would break the promise.
    let silent = RunStatus::default();
    assert_holds(&it.broken_after(&undo, &silent), "the rollback said nothing of it");
}

#[test]
fn a_policy_that_others_wrote_anew_stays() {
    let it = moved();
    it.edit_trust(&with_theirs(&it.trust_at_first()));
    let (undo, status) = it.undo();
    assert_eq!(it.trust(), with_theirs(&it.trust_at_first()));
    assert_eq!(it.broken_after(&undo, &status), NONE);
}

#[test]
fn another_writing_of_ours_gives_the_original_back() {
    let it = moved();
    let value: serde_json::Value = serde_json::from_str(&it.trust()).unwrap();
    it.edit_trust(&value.to_string());
    let (undo, status) = it.undo();
    assert_eq!(it.trust(), it.trust_at_first());
    assert_eq!(it.broken_after(&undo, &status), NONE);
}

#[test]
fn an_edit_that_nobody_could_see_yet_counts_as_never_made() {
    let it = moved();
    it.sim.world().set_lag(Lag::of(Duration::from_secs(20)));
    it.dissociate();
    it.unstamp();
    it.sim.run(it.sim.role(&role())).unwrap().unwrap();
    let edited = with_theirs(&it.trust());
    it.sim.world().edit_trust(&role(), Some(&edited)).unwrap();
    it.sim.run(it.sim.set_trust(&role(), &it.trust_at_first())).unwrap().unwrap();
    assert_eq!(it.by_hand(), NONE);
}

#[test]
fn what_was_waited_for_does_not_make_a_look_stale() {
    // Others edit the policy while the rollback waits for the role to be unused.
    let it = moved();
    let other = Subject { service_account: "other".into(), ..cart() };
    it.sim.world().edit_association(&other, Some(&role())).unwrap();
    let undo = undo_of(&it.sim, &it.journal, &it.plan);
    let (sim, journal) = (it.sim.clone(), it.journal.clone());
    let edits = async {
        use irsa_migrate::ports::Clock as _;
        sim.sleep(Duration::from_mins(3)).await;
        let now = it.trust();
        sim.world().edit_trust(&role(), Some(&with_theirs(&now))).unwrap();
        sim.sleep(Duration::from_secs(30)).await;
        sim.world().edit_association(&other, None).unwrap();
    };
    assert_eq!(carry_out_beside(&sim, &journal, &undo, edits).why, Why::Ended);
    let status = status(&it.sim, &it.journal, &undo);
    assert_eq!(it.broken_after(&undo, &status), NONE);
    assert_eq!(it.trust(), with_theirs(&it.trust_at_first()));
}

#[test]
fn looking_again_does_not_keep_a_rollback_from_sending() {
    // To find out whether the role is unused takes many calls, and each of them a second.
    let it = moved();
    it.sim.set_latency(Duration::from_secs(1));
    let (undo, status) = it.undo();
    assert_eq!(it.broken_after(&undo, &status), NONE);
    assert_eq!(it.trust(), it.trust_at_first());
}

#[test]
fn an_association_of_others_stays_and_the_unit_says_why() {
    let it = moved();
    it.sim.world().edit_association(&cart(), Some(&other_role())).unwrap();
    it.sim.world().pass(Duration::from_mins(1));
    let (undo, status) = it.undo();
    assert_eq!(it.broken_after(&undo, &status), NONE);
    assert!(it.sim.world().association_now(&cart()).is_some());
    assert_holds(&it.broken_after(&undo, &RunStatus::default()), "association of");
}

#[test]
fn a_stamp_of_others_stays_and_the_unit_says_why() {
    let it = moved();
    it.sim.world().edit_workload(&cluster(), &at(), |it| it.template.stamp = Some("theirs".into())).unwrap();
    it.sim.world().pass(Duration::from_mins(5));
    let (undo, status) = it.undo();
    assert_eq!(it.broken_after(&undo, &status), NONE);
    assert_holds(&it.broken_after(&undo, &RunStatus::default()), "stamp of");
}

#[test]
fn deploys_scales_and_lost_pods_are_nobodys_fault() {
    let it = moved();
    it.sim.world().edit_workload(&cluster(), &at(), |it| (it.template.image, it.replicas) = ("new".into(), 3)).unwrap();
    let (undo, status) = it.undo();
    assert_eq!(it.broken_after(&undo, &status), NONE);
    assert!(undo.units.iter().all(|unit| status.detail(&unit.id.0).is_none_or(str::is_empty)));
}

#[test]
fn a_policy_that_is_parsed_and_printed_again_is_not_the_original() {
    let it = moved();
    it.dissociate();
    it.unstamp();
    let value: serde_json::Value = serde_json::from_str(&it.trust_at_first()).unwrap();
    it.set_trust(&serde_json::to_string_pretty(&value).unwrap());
    assert_holds(&it.by_hand(), "trust of");
    it.set_trust(&it.trust_at_first());
    assert_eq!(it.by_hand(), NONE);
}

#[test]
fn a_later_edit_must_not_be_overwritten() {
    let it = moved();
    it.dissociate();
    it.unstamp();
    it.edit_trust(&with_theirs(&it.trust()));
    it.set_trust(&it.trust_at_first());
    assert_holds(&it.by_hand(), "trust of");
}

#[test]
fn neither_must_one_that_a_stale_look_missed() {
    let it = moved();
    it.dissociate();
    it.unstamp();
    it.sim.run(it.sim.role(&role())).unwrap().unwrap();
    it.edit_trust(&with_theirs(&it.trust()));
    it.sim.run(it.sim.set_trust(&role(), &it.trust_at_first())).unwrap().unwrap();
    assert_holds(&it.by_hand(), "trust of");
}

#[test]
fn what_others_associated_is_not_ours_because_it_names_our_role() {
    let it = moved();
    it.sim.world().edit_association(&cart(), Some(&role())).unwrap();
    it.sim.world().pass(Duration::from_mins(1));
    it.dissociate();
    it.unstamp();
    it.set_trust(&it.trust_at_first());
    assert_holds(&it.by_hand(), "association of");
}

#[test]
fn what_is_left_of_ours_is_named() {
    let it = moved();
    assert_holds(&it.by_hand(), "trust of");
    assert_holds(&it.by_hand(), "association of");
    assert_holds(&it.by_hand(), "stamp of");
    it.dissociate();
    it.set_trust(&it.trust_at_first());
    // Somebody's unrelated deploy does not explain why pods are on Pod Identity.
    it.sim.world().set_pod_quota(&cluster(), "elsewhere", Some(3)).unwrap();
    assert_holds(&it.by_hand(), "modes of");
    it.unstamp();
    assert_eq!(it.by_hand(), NONE);
}
