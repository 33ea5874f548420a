//! The policy document: its grammar, and which statements are about a request.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::condition::Condition;
use super::pattern::glob_ignoring_case;
use super::{Decision, Principal, Request};

/// IAM would answer `MalformedPolicyDocument`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed policy document: {0}")]
pub struct Malformed(pub(super) String);

/// A parsed trust policy.
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allow: bool,
    /// Whether it is `NotPrincipal`.
    all_but: bool,
    principals: Vec<Named>,
    /// Whether it is `NotAction`.
    not_action: bool,
    actions: Vec<String>,
    conditions: Vec<Condition>,
}

/// A principal that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Everyone,
    Aws(String),
    Service(String),
    Federated(String),
    Other,
}

impl Policy {
    /// Reads a trust policy.
    ///
    /// # Errors
    /// IAM would not store it: not JSON, a key twice in one object, an element that trust
    /// policies do not have, an unknown operator, a value of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let Strict(document) = serde_json::from_str(text).map_err(|error| Malformed(error.to_string()))?;
        let document = object(&document, "the document")?;
        known_keys(document, &["Version", "Id", "Statement"])?;
        // Without a version a document is of 2008, where `${..}` is plain text.
        let variables = match document.get("Version").map(|it| it.as_str()) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            Some(_) => return Err(Malformed("unknown Version".into())),
        };
        let statements = match document.get("Statement") {
            Some(Value::Array(all)) => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            Some(_) | None => return Err(Malformed("no Statement".into())),
        };
        let mut sids = BTreeSet::new();
        for sid in statements.iter().filter_map(|it| it.get("Sid")?.as_str()) {
            // Empty ones may repeat; they are as good as none.
            if !sid.is_empty() && !sids.insert(sid) {
                return Err(Malformed(format!("the Sid {sid:?} is there twice")));
            }
        }
        let statements = statements.into_iter().map(|it| Statement::parse(it, variables)).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }

    /// Whether it allows every one of some requests.
    #[must_use]
    pub fn allows_all(&self, requests: &[Request]) -> bool {
        requests.iter().all(|it| self.decide(it) == Decision::Allow)
    }

    /// What it says to a request: a Deny that is about it counts above every Allow.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in self.statements.iter().filter(|it| it.is_about(request)) {
            if !statement.allow {
                return Decision::ExplicitDeny;
            }
            decision = Decision::Allow;
        }
        decision
    }
}

impl Statement {
    fn parse(statement: &Value, variables: bool) -> Result<Self, Malformed> {
        let statement = object(statement, "a statement")?;
        let known = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition"];
        known_keys(statement, &known)?;
        let allow = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            Some(_) | None => return Err(Malformed("no Effect".into())),
        };
        let (all_but, principals) = one_of(statement, "Principal", "NotPrincipal")?;
        let (not_action, actions) = one_of(statement, "Action", "NotAction")?;
        let conditions = match statement.get("Condition") {
            Some(block) => Condition::parse_block(object(block, "Condition")?, variables)?,
            None => Vec::new(),
        };
        let (principals, actions) = (named(principals)?, texts(actions)?);
        Ok(Self { allow, all_but, principals, not_action, actions, conditions })
    }

    fn is_about(&self, request: &Request) -> bool {
        let principal = self.principals.iter().any(|it| it.is(&request.principal)) != self.all_but;
        let action = || self.actions.iter().any(|it| glob_ignoring_case(it, &request.action)) != self.not_action;
        principal && action() && self.conditions.iter().all(|it| it.holds(&request.context))
    }
}

impl Named {
    /// A principal is named exactly; `*` alone is everyone, and no other wildcard exists.
    fn is(&self, who: &Principal) -> bool {
        match (self, who) {
            (Self::Everyone, _) => true,
            (Self::Service(named), Principal::Service(service)) => named == service,
            (Self::Federated(named), Principal::Federated(provider)) => named == provider,
            (Self::Aws(named), Principal::Aws { arn, account }) => {
                // An account stands for everyone in it, in either spelling.
                named == arn || named == account || is_root_of(named, account) || role_of_session(arn, named)
            }
            (Self::Service(_) | Self::Federated(_) | Self::Aws(_) | Self::Other, _) => false,
        }
    }
}

fn is_root_of(named: &str, account: &str) -> bool {
    named.strip_suffix(":root").and_then(|it| it.rsplit(':').next()) == Some(account)
}

/// A role's ARN also names the sessions of that role.
fn role_of_session(session: &str, role: &str) -> bool {
    let parts: Vec<&str> = session.splitn(6, ':').collect();
    let [arn, partition, "sts", region, account, resource] = parts[..] else { return false };
    let Some(name) = resource.strip_prefix("assumed-role/").and_then(|it| it.split('/').next()) else { return false };
    let home = [arn, partition, "iam", region, account, "role/"].join(":");
    role.strip_prefix(&home).is_some_and(|path| path.rsplit('/').next() == Some(name))
}

fn named(principals: &Value) -> Result<Vec<Named>, Malformed> {
    if let Value::String(text) = principals {
        return if text == "*" { Ok(vec![Named::Everyone]) } else { Err(Malformed("invalid principal".into())) };
    }
    let mut all = Vec::new();
    for (kind, values) in object(principals, "Principal")? {
        for value in texts(values)? {
            all.push(match kind.as_str() {
                "AWS" if value == "*" => Named::Everyone,
                "AWS" => Named::Aws(value),
                "Service" => Named::Service(value),
                "Federated" => Named::Federated(value),
                "CanonicalUser" => Named::Other,
                _ => return Err(Malformed(format!("unknown kind of principal {kind:?}"))),
            });
        }
    }
    Ok(all)
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| Malformed(format!("{what} is no object")))
}

fn known_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Malformed(format!("{key:?} does not belong in a trust policy"))),
        None => Ok(()),
    }
}

/// The element under one of two names, and whether it was the second, negated one.
fn one_of<'a>(statement: &'a Map<String, Value>, plain: &str, negated: &str) -> Result<(bool, &'a Value), Malformed> {
    match (statement.get(plain), statement.get(negated)) {
        (Some(it), None) => Ok((false, it)),
        (None, Some(it)) => Ok((true, it)),
        (None, None) | (Some(_), Some(_)) => Err(Malformed(format!("one of {plain} and {negated} is needed"))),
    }
}

/// One text or a list of them. JSON's `true`, `false` and numbers are taken for their text.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(it) => Ok(it.to_string()),
        Value::Number(it) => Ok(it.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Malformed("a text was expected".into())),
    };
    match value {
        Value::Array(all) => all.iter().map(text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Ok(vec![text(value)?]),
    }
}

/// A JSON value in which no object has a key twice: IAM refuses such a document, and
/// a reader that keeps one of the two would evaluate another policy.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }
    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }
    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }
    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Number::from_f64(it).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::String(it.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if all.insert(key.clone(), value).is_some() {
                return Err(de::Error::custom(format!("the key {key:?} is there twice")));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::evaluate::Context;

    #[test]
    fn documents_that_iam_refuses() {
        let statement = r#""Effect":"Allow","Principal":"*","Action":"sts:AssumeRole""#;
        for (what, text) in [
            ("no JSON", "{".to_owned()),
            ("a key twice", format!(r#"{{"Statement":{{{statement},"Effect":"Deny"}}}}"#)),
            ("no statement", r#"{"Version":"2012-10-17"}"#.to_owned()),
            ("another version", format!(r#"{{"Version":"2020-01-01","Statement":{{{statement}}}}}"#)),
            ("a resource", format!(r#"{{"Statement":{{{statement},"Resource":"*"}}}}"#)),
            ("both actions", format!(r#"{{"Statement":{{{statement},"NotAction":"x"}}}}"#)),
            ("a Sid twice", format!(r#"{{"Statement":[{{"Sid":"a",{statement}}},{{"Sid":"a",{statement}}}]}}"#)),
            ("no effect", r#"{"Statement":{"Principal":"*","Action":"*"}}"#.to_owned()),
            ("a bare principal", r#"{"Statement":{"Effect":"Allow","Principal":"me","Action":"*"}}"#.to_owned()),
        ] {
            assert!(Policy::parse(&text).is_err(), "{what}");
        }
        assert!(
            Policy::parse(&format!(r#"{{"Statement":[{{"Sid":"",{statement}}},{{"Sid":"",{statement}}}]}}"#)).is_ok()
        );
    }

    #[test]
    fn aws_principals() {
        let session = "arn:aws:sts::111122223333:assumed-role/ci/run-1";
        for (named, want) in [
            ("*", true),
            ("111122223333", true),
            ("arn:aws:iam::111122223333:root", true),
            ("arn:aws:iam::444455556666:root", false),
            ("arn:aws:iam::111122223333:role/team/ci", true),
            ("arn:aws:iam::111122223333:role/c*", false),
            (session, true),
        ] {
            let text =
                format!(r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{named}"}},"Action":"sts:*"}}}}"#);
            let request = Request {
                principal: Principal::Aws { arn: session.into(), account: "111122223333".into() },
                action: "sts:AssumeRole".into(),
                context: Context::default(),
            };
            let decision = Policy::parse(&text).unwrap().decide(&request);
            assert_eq!(decision == Decision::Allow, want, "{named}");
        }
    }
}
