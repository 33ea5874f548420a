//! One small inventory an idea: an inventory in which nothing is wrong, and one thing changed.

mod about_objects;
mod about_roles;
mod about_whole;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::inventory::{
    Account, AddonUse, AgentOnNode, Association, AssociationDetail, Caller, Cluster, ClusterFacts, Compute, Inventory,
    Mode, Node, OwnerRef, Pod, Provider, Role, RoleDetail, Seen, ServiceAccount, Strategy, Workload, WorkloadKind,
    WorkloadRef,
};
use crate::model::{Issuer, Kind};

const ACCOUNT: &str = "111122223333";
const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/A";
const CART: &str = "arn:aws:iam::111122223333:role/cart";

fn account_id() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

fn arn(role: &str) -> RoleArn {
    RoleArn::parse(role).unwrap()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A policy that trusts these subjects of an issuer by name.
fn trust(issuer: &str, subjects: &[&str]) -> String {
    let subjects: Vec<String> = subjects.iter().map(|it| format!("system:serviceaccount:{it}")).collect();
    policy(issuer, &json!({"StringEquals": {format!("{issuer}:sub"): subjects}}))
}

fn policy(issuer: &str, condition: &serde_json::Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }]})
    .to_string()
}

fn role(arn_text: &str, trust: String) -> Role {
    let detail = RoleDetail { tags: BTreeMap::new(), description: None, last_used: None };
    Role { arn: arn(arn_text), role_id: format!("AROA{arn_text}"), trust, detail: Some(Seen::Seen(detail)) }
}

fn service_account(name: &str, role: Option<&str>) -> ServiceAccount {
    ServiceAccount {
        namespace: "shop".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        role_arn: role.map(Into::into),
        audience: None,
        owners: vec![],
        labels: BTreeMap::new(),
    }
}

fn workload(kind: WorkloadKind, name: &str, account: &str) -> Workload {
    let strategy = match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => Strategy::RollingUpdate,
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController | WorkloadKind::Job | WorkloadKind::CronJob => {
            Strategy::None
        }
    };
    Workload {
        at: WorkloadRef { kind, namespace: "shop".into(), name: name.into() },
        uid: format!("uid-{name}"),
        service_account: account.into(),
        replicas: 2,
        strategy,
        at_a_time: 1,
        paused: false,
        partition: 0,
        progress_deadline_seconds: None,
        controller: None,
        node_selector: BTreeMap::new(),
        aws_env: vec![],
        skip_containers: vec![],
        skips_webhook: false,
        stamp: None,
        schedule: None,
    }
}

fn pod(name: &str, of: Option<&Workload>) -> Pod {
    Pod {
        namespace: "shop".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        service_account: "cart".into(),
        node: Some("n1".into()),
        mode: Mode::Irsa(CART.into()),
        ready: true,
        terminating: false,
        restarts: 0,
        created_at: Timestamp::UNIX_EPOCH,
        workload: of.map(|it| it.at.clone()),
        controller: of.map(|it| OwnerRef { kind: "ReplicaSet".into(), name: it.at.name.clone(), uid: "r".into() }),
        budgets: BTreeMap::new(),
        skips_webhook: false,
    }
}

fn node(name: &str, compute: Compute, agent: AgentOnNode) -> Node {
    Node { name: name.into(), compute, ready: true, labels: map(&[("pool", name)]), agent: Seen::Seen(agent) }
}

fn association(name: &str, role: &str) -> Association {
    let detail = AssociationDetail {
        role_arn: arn(role),
        target_role_arn: None,
        disable_session_tags: false,
        has_policy: false,
        tags: BTreeMap::new(),
        created_at: None,
    };
    Association {
        id: "a-1".into(),
        namespace: "shop".into(),
        service_account: name.into(),
        owner: None,
        detail: Some(Seen::Seen(detail)),
    }
}

/// One cluster with one ServiceAccount, `shop/cart`, whose role trusts it and whose Deployment runs
/// on a node with an agent.
fn nothing_wrong() -> Inventory {
    let cart = workload(WorkloadKind::Deployment, "cart", "cart");
    let mut workloads: BTreeMap<_, _> = WorkloadKind::ALL.into_iter().map(|it| (it, Seen::Seen(vec![]))).collect();
    let pods = vec![pod("cart-1", Some(&cart))];
    workloads.insert(WorkloadKind::Deployment, Seen::Seen(vec![cart]));
    let cluster = Cluster {
        arn: ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/a")).unwrap(),
        context: Some("a".into()),
        facts: Seen::Seen(ClusterFacts {
            endpoint: "https://a.example".into(),
            certificate_authority: String::new(),
            issuer: Some(Issuer::parse(ISSUER).unwrap()),
            version: "1.34".into(),
            platform_version: "eks.9".into(),
            auto_mode: false,
            status: "ACTIVE".into(),
        }),
        own_issuer: Seen::Seen(Issuer::parse(ISSUER).unwrap()),
        api_servers: Seen::Seen(2),
        agent_addon: Seen::Seen(None),
        addons: Seen::Seen(vec![]),
        associations: Seen::Seen(vec![]),
        service_accounts: Seen::Seen(vec![service_account("default", None), service_account("cart", Some(CART))]),
        workloads,
        pods: Seen::Seen(pods),
        nodes: Seen::Seen(vec![node("n1", Compute::Ec2, AgentOnNode::Ready)]),
    };
    let account = Account {
        trust_quota: Seen::Seen(2048),
        providers: Seen::Seen(vec![Provider {
            issuer: Issuer::parse(ISSUER).unwrap(),
            client_ids: vec!["sts.amazonaws.com".into()],
        }]),
        roles: Seen::Seen(vec![role(CART, trust(ISSUER, &["shop:cart"]))]),
    };
    Inventory {
        format: Kind::Inventory.current(),
        taken_at: Timestamp::UNIX_EPOCH,
        caller: Caller { account: account_id(), arn: "arn:aws:iam::111122223333:user/me".into() },
        accounts: BTreeMap::from([(account_id(), account)]),
        clusters: vec![cluster],
    }
}

fn cart(inventory: &Inventory) -> Subject {
    inventory.clusters[0].subject("shop", "cart")
}

/// What a read saw, to be changed.
fn seen<T>(it: &mut Seen<T>) -> &mut T {
    match it {
        Seen::Seen(it) => it,
        Seen::Unseen(why) => panic!("not seen: {why}"),
    }
}

fn cluster(inventory: &mut Inventory) -> &mut Cluster {
    &mut inventory.clusters[0]
}

fn account(inventory: &mut Inventory) -> &mut Account {
    inventory.accounts.get_mut(&account_id()).unwrap()
}

fn roles(inventory: &mut Inventory) -> &mut Vec<Role> {
    seen(&mut account(inventory).roles)
}

/// The ServiceAccount `shop/cart`.
fn annotated(inventory: &mut Inventory) -> &mut ServiceAccount {
    &mut seen(&mut cluster(inventory).service_accounts)[1]
}

fn deployment(inventory: &mut Inventory) -> &mut Workload {
    &mut seen(cluster(inventory).workloads.get_mut(&WorkloadKind::Deployment).unwrap())[0]
}

fn pods(inventory: &mut Inventory) -> &mut Vec<Pod> {
    seen(&mut cluster(inventory).pods)
}

fn nodes(inventory: &mut Inventory) -> &mut Vec<Node> {
    seen(&mut cluster(inventory).nodes)
}

fn associations(inventory: &mut Inventory) -> &mut Vec<Association> {
    seen(&mut cluster(inventory).associations)
}

fn codes(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|it| it.code.as_str()).collect()
}

/// Changes the inventory in which nothing is wrong, and compares what is found about `shop/cart`,
/// beside the notice that its role has no owner's mark.
#[track_caller]
fn check(change: impl FnOnce(&mut Inventory), wanted: &[&str]) -> Vec<Finding> {
    let mut inventory = nothing_wrong();
    change(&mut inventory);
    let mut findings = of_subject(&inventory, &cart(&inventory));
    findings.retain(|it| it.code != Code::RoleOwnerUnknown);
    assert_eq!(codes(&findings), wanted.iter().copied().collect(), "{findings:#?}");
    findings
}

/// As [`check`], and about the whole inventory.
#[track_caller]
fn check_all(change: impl FnOnce(&mut Inventory), wanted: &[&str]) -> Vec<Finding> {
    let mut inventory = nothing_wrong();
    change(&mut inventory);
    let mut findings = of_inventory(&inventory);
    findings.retain(|it| it.code != Code::RoleOwnerUnknown);
    assert_eq!(codes(&findings), wanted.iter().copied().collect(), "{findings:#?}");
    findings
}

#[test]
fn nothing_wrong_is_nothing_found() {
    check(|_| {}, &[]);
    check_all(|_| {}, &[]);
}
