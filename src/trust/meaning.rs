//! What a policy means, in a form in which equal meanings are equal values.

use std::collections::{BTreeMap, BTreeSet};

use crate::trust::policy::{Effect, Policy, Principal, Statement, Version};

/// The normal form of a policy.
///
/// IAM may hand a policy back in another order, with a single value for a list of one,
/// with `{"AWS": "*"}` for `"*"`, or with an account's root ARN for its number. None of
/// these is a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    version: Option<Version2012>,
    id: Option<String>,
    statements: Vec<StatementMeaning>,
}

/// Marks version 2012-10-17; no version at all means 2008-10-17.
#[derive(Debug, PartialEq, Eq)]
struct Version2012;

/// The normal form of a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StatementMeaning {
    sid: Option<String>,
    deny: bool,
    not_principal: bool,
    principals: BTreeSet<(&'static str, String)>,
    not_action: bool,
    actions: BTreeSet<String>,
    conditions: BTreeMap<(String, String), Vec<BTreeSet<String>>>,
}

impl Meaning {
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut statements: Vec<_> = policy.statements.iter().map(StatementMeaning::of).collect();
        statements.sort();
        let version = (policy.version == Version::V2012).then_some(Version2012);
        Self { version, id: policy.id.clone(), statements }
    }
}

impl StatementMeaning {
    pub(crate) fn of(statement: &Statement) -> Self {
        let mut conditions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for condition in &statement.conditions {
            let key = (condition.operator.to_string(), condition.key.clone());
            let values = condition.values.iter().map(|word| word.text.clone()).collect();
            conditions.entry(key).or_default().push(values);
        }
        Self {
            sid: statement.sid.clone(),
            deny: statement.effect == Effect::Deny,
            not_principal: statement.principal.negated,
            principals: principals(&statement.principal),
            not_action: statement.actions.negated,
            actions: statement.actions.globs.iter().map(|word| word.text.to_ascii_lowercase()).collect(),
            conditions,
        }
    }
}

fn principals(principal: &Principal) -> BTreeSet<(&'static str, String)> {
    let mut set = BTreeSet::new();
    if principal.everyone {
        set.insert(("AWS", "*".to_owned()));
    }
    set.extend(principal.aws.iter().map(|word| ("AWS", account(&word.text))));
    set.extend(principal.federated.iter().map(|word| ("Federated", word.text.clone())));
    set.extend(principal.service.iter().map(|word| ("Service", word.text.clone())));
    set.extend(principal.canonical.iter().map(|word| ("CanonicalUser", word.text.clone())));
    set
}

/// An account's number for its root ARN, as IAM takes one for the other.
fn account(principal: &str) -> String {
    let root = principal
        .strip_prefix("arn:")
        .and_then(|rest| rest.split_once(":iam::"))
        .and_then(|(_, rest)| rest.strip_suffix(":root"));
    root.unwrap_or(principal).to_owned()
}
