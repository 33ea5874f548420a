//! The promises, watched at every moment of whole cycles; and what breaks them, caught.

use std::time::Duration;

use irsa_migrate::apply::Why;
use irsa_migrate::inventory::{WorkloadKind, WorkloadRef};
use irsa_migrate::journal::{Event, NewEntry, Run, RunId, RunStatus, Scope};
use irsa_migrate::model::{ClusterArn, Digest, RoleArn, Subject};
use irsa_migrate::plan::Plan;
use irsa_migrate::ports::{Cluster as _, Eks as _, Iam as _, JournalStore as _, NewAssociation};
use irsa_migrate::rehearse::broken_promises;
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{Lag, Sim, fleet};

use crate::cycle::{carry_out, plan_of, status, undo_of};

const NONE: [String; 0] = [];

fn broken(sim: &Sim) -> Vec<String> {
    sim.world().violations().iter().map(ToString::to_string).collect()
}

/// There and back under a lag; nothing is broken on the way.
fn cycle(sim: &Sim, lag: Lag) {
    let plan = plan_of(sim, "");
    sim.world().set_lag(lag);
    sim.world().watch();
    let journal = sim.journal();
    let before = sim.world().state();
    assert_eq!(carry_out(sim, &journal, &plan).unwrap().why, Why::Ended);
    assert_eq!(broken(sim), NONE);
    let _status: RunStatus = status(sim, &journal, &plan);
    let undo = undo_of(sim, &journal, &plan);
    assert_eq!(carry_out(sim, &journal, &undo).unwrap().why, Why::Ended);
    assert_eq!(broken(sim), NONE);
    assert_eq!(before.differences(&sim.world().state()), NONE);
}

#[test]
fn the_fleet_there_and_back() {
    cycle(&fleet(), Lag::default());
}

#[test]
fn the_fleet_there_and_back_when_everybody_is_late() {
    cycle(&fleet(), Lag::of(Duration::from_secs(12)));
}

const OPEN: &str = r#"{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},
    "Action":["sts:AssumeRole","sts:TagSession"]}"#;

fn cart() -> Subject {
    let cluster = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").unwrap();
    Subject { cluster, namespace: "carts".into(), service_account: "cart".into() }
}

fn role() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/cart").unwrap()
}

/// One Deployment, watched.
fn shop() -> Sim {
    let sim = Builder::new()
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .service_account("carts", "cart", Some("cart"))
        .service_account("carts", "stranger", Some("cart"))
        .workload(WorkloadKind::Deployment, "carts", "cart", "cart", 2)
        .sim();
    sim.world().watch();
    sim
}

/// The trust policy with one more statement.
fn with(sim: &Sim, statement: &str) -> String {
    let trust = sim.world().trust_now(&role()).unwrap().to_owned();
    trust.replace("\n  ]\n}\n", &format!(",\n{statement}\n  ]\n}}\n"))
}

fn ours(actions: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Principal":{{"Service":"pods.eks.amazonaws.com"}},"Action":{actions},"Condition":{{
        "StringEquals":{{"aws:RequestTag/eks-cluster-name":"shop","aws:RequestTag/kubernetes-namespace":"carts",
        "aws:RequestTag/kubernetes-service-account":"cart"}}}}}}"#
    )
}

fn set_trust(sim: &Sim, document: &str) {
    sim.run(sim.set_trust(&role(), document)).unwrap().unwrap();
}

fn associate(sim: &Sim) {
    let new = NewAssociation { subject: cart(), role_arn: role(), tags: [].into(), token: "t".into() };
    // What it says does not matter: it is the sending that is looked at.
    let _answer = sim.run(sim.create_association(&new)).unwrap();
}

fn assert_broken(sim: &Sim, promise: &str, words: &str) {
    let found = broken(sim);
    assert!(found.iter().any(|it| it.starts_with(promise) && it.contains(words)), "{found:#?}");
}

#[test]
fn an_unconditioned_statement_is_new_access() {
    let sim = shop();
    let document = with(&sim, OPEN);
    set_trust(&sim, &document);
    assert_broken(&sim, "P1", "a policy is sent that lets");
}

#[test]
fn a_stranger_with_an_association_is_new_access() {
    let sim = shop();
    let document = with(&sim, OPEN);
    set_trust(&sim, &document);
    let stranger = Subject { service_account: "stranger".into(), ..cart() };
    let new = NewAssociation { subject: stranger, role_arn: role(), tags: [].into(), token: "t".into() };
    sim.run(sim.create_association(&new)).unwrap().unwrap();
    assert_broken(&sim, "P1", "stranger can assume");
}

#[test]
fn what_others_grant_is_theirs() {
    let sim = shop();
    let document = with(&sim, OPEN);
    sim.world().pass(Duration::from_secs(1));
    sim.world().edit_trust(&role(), Some(&document)).unwrap();
    sim.world().pass(Duration::from_secs(1));
    assert_eq!(broken(&sim), NONE);
}

#[test]
fn an_association_without_a_settled_trust_policy_is_too_early() {
    let sim = shop();
    sim.world().set_lag(Lag { sts: Duration::from_secs(30), ..Lag::default() });
    let document = with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &document);
    associate(&sim);
    assert_broken(&sim, "P2", "associated before");
}

#[test]
fn the_right_order_breaks_nothing_and_the_wrong_undo_does() {
    let sim = shop();
    let before = sim.world().trust_now(&role()).unwrap().to_owned();
    let document = with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &document);
    associate(&sim);
    sim.world().edit_workload(&cart().cluster, &at(), |it| it.template.image.push('x')).unwrap();
    sim.world().pass(Duration::from_mins(5));
    assert_eq!(broken(&sim), NONE);
    // Our statement goes while pods still live by it.
    set_trust(&sim, &before);
    assert_broken(&sim, "P2", "stops trusting carts/cart".replace("carts/cart", "shop/carts/cart").as_str());
    assert_broken(&sim, "P2", "gets no credentials from Pod Identity");
}

#[test]
fn the_grant_of_running_irsa_pods_must_stay() {
    let sim = shop();
    set_trust(&sim, &format!(r#"{{"Version":"2012-10-17","Statement":[{OPEN}]}}"#));
    assert_broken(&sim, "P2", "stops trusting the tokens of");
    assert_broken(&sim, "P2", "has lost the role that IRSA gave it");
    assert_broken(&sim, "P2", "a pod that is admitted now gets no credentials");
}

#[test]
fn an_association_goes_only_when_irsa_works() {
    let sim = shop();
    let document = with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &document);
    associate(&sim);
    let pods_only =
        format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &pods_only);
    let id = sim.world().association_now(&cart()).unwrap().id.clone();
    sim.run(sim.delete_association(&cart().cluster, &id)).unwrap().unwrap();
    assert_broken(&sim, "P2", "its association is deleted before IRSA is proven to work");
}

/// A pod on Pod Identity whose association is gone, in a world where a cut-over is being undone.
fn stranded() -> Sim {
    let sim = shop();
    let document = with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &document);
    associate(&sim);
    sim.world().edit_workload(&cart().cluster, &at(), |it| it.template.image.push('x')).unwrap();
    sim.world().pass(Duration::from_mins(5));
    let id = sim.world().association_now(&cart()).unwrap().id.clone();
    sim.run(sim.delete_association(&cart().cluster, &id)).unwrap().unwrap();
    sim.world().pass(Duration::from_secs(30));
    assert_eq!(broken(&sim), NONE, "while its cut-over is undone");
    sim
}

fn at() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::Deployment, namespace: "carts".into(), name: "cart".into() }
}

/// An entry of some run about the unit of the ServiceAccount.
fn journal(sim: &Sim, event: Event, detail: &str) {
    let journal = sim.journal();
    let plan_digest = Digest::of(b"some plan");
    let id = RunId::of(&plan_digest);
    let opened_at = sim.world().now();
    let (plan, actor, tool) = (String::new(), String::new(), String::new());
    let run = Run {
        id: id.clone(),
        plan_digest,
        plan,
        reverts: None,
        clusters: vec![],
        actor,
        tool,
        opened_at,
        closed: false,
    };
    sim.run(journal.open_run(&run)).unwrap().unwrap();
    let unit = format!("sa:{}/carts/cart", cart().cluster);
    let scope = if event == Event::Undone { Scope::Unit(unit) } else { Scope::Step { unit, step: 2 } };
    let entry = NewEntry { at: opened_at, scope, event, detail: Some(detail.to_owned()) };
    sim.run(journal.append(&id, 1, &entry)).unwrap().unwrap();
}

#[test]
fn nobody_is_said_to_be_undone_whose_pods_are_left_behind() {
    let sim = stranded();
    journal(&sim, Event::Undone, "undone by run 0");
    assert_broken(&sim, "P2", "is said to be undone, and pod");
    sim.world().pass(Duration::from_secs(30));
    assert_broken(&sim, "P2", "gets no credentials from Pod Identity");
}

#[test]
fn a_rollback_that_is_stuck_names_who_is_left() {
    let sim = stranded();
    let pods = sim.run(sim.pods_of(&cart())).unwrap().unwrap();
    let names: Vec<&str> = pods.iter().map(|it| it.name.as_str()).collect();
    journal(&sim, Event::Failed, &format!("no success; not on IRSA: {}", names.join(", ")));
    assert_eq!(broken(&sim), NONE);
    journal(&sim, Event::Failed, &format!("no success; not on IRSA: {}", names[0]));
    assert_broken(&sim, "P2", &format!("is stuck, and its pod {} without credentials is not named", names[1]));
}

#[test]
fn a_delete_after_others_took_the_annotation_away_is_ours_to_answer_for() {
    let sim = shop();
    let document = with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#));
    set_trust(&sim, &document);
    associate(&sim);
    sim.world().annotate(&cart(), None).unwrap();
    sim.world().pass(Duration::from_mins(1));
    assert_eq!(broken(&sim), NONE);
    let id = sim.world().association_now(&cart()).unwrap().id.clone();
    sim.run(sim.delete_association(&cart().cluster, &id)).unwrap().unwrap();
    assert_broken(&sim, "P2", "its association is deleted before IRSA is proven to work");
}

#[test]
fn a_harmless_edit_of_others_excuses_nothing() {
    let sim = shop();
    let theirs = r#"{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/admin"},
        "Action":"sts:AssumeRole"}"#;
    let document = with(&sim, theirs);
    sim.world().edit_trust(&role(), Some(&document)).unwrap();
    sim.world().pass(Duration::from_mins(1));
    assert_eq!(broken(&sim), NONE);
    set_trust(&sim, &format!(r#"{{"Version":"2012-10-17","Statement":[{theirs}]}}"#));
    assert_broken(&sim, "P2", "has lost the role that IRSA gave it");
}

/// Deletes the association under a webhook that is so late, and says so many seconds later that it is undone.
fn undone(late: u64, seconds: u64) -> (Sim, Plan) {
    let sim = shop();
    let plan = plan_of(&sim, "");
    set_trust(&sim, &with(&sim, &ours(r#"["sts:AssumeRole","sts:TagSession"]"#)));
    associate(&sim);
    // Of pods that live by it other predicates tell.
    sim.world().delete_workload(&cart().cluster, &at()).unwrap();
    sim.world().pass(Duration::from_mins(5));
    sim.world().set_lag(Lag { webhook: Duration::from_secs(late), ..Lag::default() });
    let id = sim.world().association_now(&cart()).unwrap().id.clone();
    sim.run(sim.delete_association(&cart().cluster, &id)).unwrap().unwrap();
    sim.world().pass(Duration::from_secs(seconds));
    journal(&sim, Event::Undone, "undone by run 0");
    // Where nothing happens nobody looks but at the end.
    for _ in 0..120 {
        sim.world().pass(Duration::from_secs(1));
    }
    (sim, plan)
}

#[test]
fn a_late_webhook_excuses_what_it_does_after_the_settle_time_and_nothing_else() {
    let words = "a pod that is admitted now gets no credentials (Pod Identity)";
    // A webhook in time; one that is late, and a run that did not wait for what a run waits for.
    for (late, seconds) in [(20, 0), (60, 0), (60, 28)] {
        let (sim, plan) = undone(late, seconds);
        let counted = broken_promises(&sim, &plan);
        assert!(counted.iter().any(|it| it.contains(words)), "{late} s late, undone after {seconds} s: {counted:#?}");
    }
    let (sim, plan) = undone(60, 31);
    assert_broken(&sim, "P2", words);
    assert_eq!(broken_promises(&sim, &plan), NONE);
    // That others are late is no excuse for a webhook.
    let (sim, plan) = undone(20, 0);
    sim.world().set_lag(Lag { sts: Duration::from_mins(5), webhook: Duration::from_secs(20), ..Lag::default() });
    assert!(!broken_promises(&sim, &plan).is_empty());
}
