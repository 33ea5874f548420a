//! The IAM policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::calls::{Need, On, calls};
use super::{File, Scope, Stage};
use crate::model::{ClusterArn, RoleArn};
use crate::plan::PLAN_TAG;

/// Most characters of a managed policy, white space not counted (IAM quotas).
const LONGEST_POLICY: usize = 6_144;

/// One policy, or several where a managed policy cannot hold all the roles.
pub(super) fn policies(stage: Stage, scope: &Scope, home: &ClusterArn) -> Vec<File> {
    let policy = |wanted: &dyn Fn(On) -> bool, roles: &[&str]| policy(stage, scope, home, wanted, roles);
    let whole = policy(&|_| true, &scope.roles.iter().map(RoleArn::as_str).collect::<Vec<_>>());
    let name = format!("iam-{}", stage.as_str());
    if length(&whole) <= LONGEST_POLICY {
        return vec![file(&format!("{name}.json"), &whole)];
    }
    let for_roles = |on: On| matches!(on, On::Roles | On::PassedRoles);
    let mut files = vec![file(&format!("{name}.json"), &policy(&|on| !for_roles(on), &[]))];
    for (index, chunk) in chunks(scope).into_iter().enumerate() {
        let part = policy(&for_roles, &chunk);
        files.push(file(&format!("{name}-roles-{}.json", index + 1), &part));
    }
    files
}

/// Roles in portions of which each fits a policy: each ARN stands twice in it.
fn chunks(scope: &Scope) -> Vec<Vec<&str>> {
    let mut chunks: Vec<Vec<&str>> = vec![vec![]];
    let mut room = LONGEST_POLICY - 600;
    for role in &scope.roles {
        let cost = (role.as_str().len() + 3) * 2;
        if cost > room
            && let Some(last) = chunks.last()
            && !last.is_empty()
        {
            chunks.push(vec![]);
            room = LONGEST_POLICY - 600;
        }
        room = room.saturating_sub(cost);
        if let Some(last) = chunks.last_mut() {
            last.push(role.as_str());
        }
    }
    chunks
}

/// The actions of a stage, by what they are on.
fn actions(stage: Stage) -> BTreeMap<On, BTreeSet<&'static str>> {
    let mut all: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
    for need in calls(stage).flat_map(|it| it.needs) {
        if let Need::Aws(action, on) = *need {
            all.entry(on).or_default().insert(action);
        }
    }
    all
}

fn policy(stage: Stage, scope: &Scope, home: &ClusterArn, wanted: &dyn Fn(On) -> bool, roles: &[&str]) -> Value {
    let chosen = actions(stage).into_iter().filter(|(on, _)| wanted(*on));
    let statements = chosen.map(|(on, actions)| {
        let mut statement = Map::new();
        statement.insert("Sid".to_owned(), sid(on).into());
        statement.insert("Effect".to_owned(), "Allow".into());
        statement.insert("Action".to_owned(), actions.into_iter().collect());
        statement.insert("Resource".to_owned(), resources(on, scope, home, roles).into());
        if let Some(condition) = condition(on) {
            statement.insert("Condition".to_owned(), condition);
        }
        Value::Object(statement)
    });
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

fn sid(on: On) -> &'static str {
    match on {
        On::Everything => "Account",
        On::Providers => "Providers",
        On::AnyRole => "AnyRole",
        On::Roles => "Roles",
        On::PassedRoles => "PassedRoles",
        On::Clusters => "Clusters",
        On::Addons => "Addons",
        On::Associations => "Associations",
        On::OurAssociations => "OurAssociations",
        On::NewAssociations => "NewAssociations",
    }
}

fn resources(on: On, scope: &Scope, home: &ClusterArn, roles: &[&str]) -> Vec<String> {
    let iam = |what: &str| vec![format!("arn:{}:iam::{}:{what}", home.partition(), home.account())];
    let eks = |kind: &str, rest: &str| {
        let of = |it: &ClusterArn| {
            format!("arn:{}:eks:{}:{}:{kind}/{}{rest}", it.partition(), it.region(), it.account(), it.name())
        };
        scope.clusters.iter().map(of).collect()
    };
    match on {
        On::Everything => vec!["*".to_owned()],
        On::Providers => iam("oidc-provider/*"),
        On::AnyRole => iam("role/*"),
        On::Roles | On::PassedRoles if roles.is_empty() => iam("role/*"),
        On::Roles | On::PassedRoles => roles.iter().map(|it| (*it).to_owned()).collect(),
        On::Clusters => eks("cluster", ""),
        On::Addons => eks("addon", "/*"),
        On::Associations | On::OurAssociations | On::NewAssociations => eks("podidentityassociation", "/*"),
    }
}

/// A role is passed to Pod Identity and to nothing else; only what carries our mark is deleted.
fn condition(on: On) -> Option<Value> {
    match on {
        On::PassedRoles => Some(json!({"StringEquals": {"iam:PassedToService": "pods.eks.amazonaws.com"}})),
        On::OurAssociations => Some(json!({"Null": {format!("aws:ResourceTag/{PLAN_TAG}"): "false"}})),
        On::NewAssociations => Some(json!({"Null": {format!("aws:RequestTag/{PLAN_TAG}"): "false"}})),
        On::Everything | On::Providers | On::AnyRole | On::Roles | On::Clusters | On::Addons | On::Associations => None,
    }
}

fn length(policy: &Value) -> usize {
    policy.to_string().chars().filter(|it| !it.is_whitespace()).count()
}

fn file(name: &str, policy: &Value) -> File {
    File { name: name.to_owned(), text: format!("{policy:#}\n") }
}
