//! Our statements as JSON text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::model::Digest;
use crate::trust::grants::Carried;
use crate::trust::group::{Block, Left, Test};
use crate::trust::layout::Layout;
use crate::trust::pattern::Pattern;
use crate::trust::request::PODS_SERVICE;

/// How the Sid of each statement of ours starts; a hash of the statement follows.
pub(crate) const SID_PREFIX: &str = "IrsaMigrate";

const CLUSTER_KEY: &str = "aws:RequestTag/eks-cluster-arn";
const NAMESPACE_KEY: &str = "aws:RequestTag/kubernetes-namespace";
const ACCOUNT_KEY: &str = "aws:RequestTag/kubernetes-service-account";

/// A set that no conditions of ours can say.
#[derive(Debug)]
pub(crate) struct NotExpressible;

/// The operators of a `Condition`, in the order in which they are written.
#[derive(Default)]
struct Conditions(Map<String, Value>);

impl Conditions {
    fn put(&mut self, operator: &str, key: &str, mut values: Vec<String>) -> Result<(), NotExpressible> {
        // `${` would open a variable, in a policy of version 2012-10-17.
        if values.iter().any(|value| value.contains("${")) {
            return Err(NotExpressible);
        }
        let value = if values.len() == 1 { json!(values.remove(0)) } else { json!(values) };
        let keys = self.0.entry(operator).or_insert_with(|| json!({}));
        let Value::Object(keys) = keys else { return Err(NotExpressible) };
        // One operator tests a key once.
        if keys.insert(key.to_owned(), value).is_some() { Err(NotExpressible) } else { Ok(()) }
    }

    /// Tests one name. Never a negation alone: the key is tested for being there as well,
    /// so that a request without session tags does not pass.
    fn name(&mut self, key: &str, test: &Test) -> Result<(), NotExpressible> {
        if !test.one_of.is_empty() {
            // `StringEquals` takes wildcards literally, as a literal has them.
            let literal = |it: &Pattern| it.as_literal().map(Cow::into_owned);
            let texts: Option<Vec<String>> = test.one_of.iter().map(literal).collect();
            match texts {
                Some(texts) => self.put("StringEquals", key, texts)?,
                None => self.put("StringLike", key, test.one_of.iter().map(|it| it.as_str().to_owned()).collect())?,
            }
        } else if !test.none_of.is_empty() {
            self.put("StringLike", key, vec!["*".to_owned()])?;
        }
        let (mut equals, mut like, mut ignoring) = (Vec::new(), Vec::new(), Vec::new());
        for Left { pattern, ignore_case } in &test.none_of {
            match (pattern.as_literal(), ignore_case) {
                (Some(text), false) => equals.push(text.into_owned()),
                (Some(text), true) => ignoring.push(text.into_owned()),
                (None, false) => like.push(pattern.as_str().to_owned()),
                (None, true) => return Err(NotExpressible),
            }
        }
        let negations = [("StringNotEquals", equals), ("StringNotLike", like), ("StringNotEqualsIgnoreCase", ignoring)];
        for (operator, values) in negations {
            if !values.is_empty() {
                self.put(operator, key, values)?;
            }
        }
        Ok(())
    }

    fn carry(&mut self, carried: &Carried) -> Result<(), NotExpressible> {
        let key = match carried.key.as_str() {
            "aws:currenttime" => "aws:CurrentTime",
            "aws:epochtime" => "aws:EpochTime",
            "aws:securetransport" => "aws:SecureTransport",
            other => other,
        };
        self.put(&carried.operator, key, carried.values.clone())
    }
}

/// The statement that grants a block, without its Sid.
pub(crate) fn of_block(block: &Block) -> Result<Value, NotExpressible> {
    let mut conditions = Conditions::default();
    conditions.put("StringEquals", CLUSTER_KEY, block.clusters.iter().map(ToString::to_string).collect())?;
    conditions.name(NAMESPACE_KEY, &block.namespace)?;
    conditions.name(ACCOUNT_KEY, &block.service_account)?;
    for carried in &block.carried {
        conditions.carry(carried)?;
    }
    let mut statement = open();
    if let Value::Object(members) = &mut statement {
        members.insert("Condition".to_owned(), Value::Object(conditions.0));
    }
    Ok(statement)
}

/// AWS's own unconditioned statement, without a Sid: open to every association of the account.
pub(crate) fn open() -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Service": PODS_SERVICE},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    })
}

/// Gives a statement its Sid: a hash of what it says, and of a number if the Sid is taken.
pub(crate) fn with_sid(statement: Value, taken: impl Fn(&str) -> bool) -> (String, Value) {
    let text = statement.to_string();
    let mut number = 0_u32;
    let sid = loop {
        let seed = if number == 0 { text.clone() } else { format!("{text}#{number}") };
        let sid = format!("{SID_PREFIX}{}", Digest::of(seed.as_bytes()).short(16));
        if !taken(&sid) {
            break sid;
        }
        number += 1;
    };
    let mut members = Map::new();
    members.insert("Sid".to_owned(), json!(sid));
    if let Value::Object(rest) = statement {
        members.extend(rest);
    }
    (sid, Value::Object(members))
}

/// The statement's text in the style of a document.
pub(crate) fn text(statement: &Value, layout: &Layout) -> String {
    let text = layout.render(statement);
    if text.chars().all(|c| c <= '\u{ff}') {
        return text;
    }
    // The API takes no character beyond U+00FF but as an escape.
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c <= '\u{ff}' {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}
