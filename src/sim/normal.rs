//! Policies compared by what they say, and not by how it is written. Written apart from whoever
//! reads policies for a plan.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The statements of a policy in one form of writing: a list of one is its only value, lists are
/// sorted, and so are keys. `None` for no policy, and for one that is no JSON.
#[must_use]
pub fn statements(document: Option<&str>) -> Option<BTreeSet<String>> {
    let document: Value = serde_json::from_str(document?).ok()?;
    let found = document.get("Statement")?;
    let list = found.as_array().map(|all| all.iter().map(statement).collect());
    Some(list.unwrap_or_else(|| BTreeSet::from([statement(found)])))
}

/// One statement in that form of writing.
fn statement(it: &Value) -> String {
    normal("", it).to_string()
}

/// A statement's text in that form of writing; `None` if it is no JSON.
#[must_use]
pub fn one_statement(text: &str) -> Option<String> {
    serde_json::from_str(text).ok().map(|it: Value| statement(&it))
}

fn normal(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut all: Vec<(&String, Value)> = fields.iter().map(|(key, it)| (key, normal(key, it))).collect();
            all.sort_by_key(|(key, _)| *key);
            Value::Object(all.into_iter().map(|(key, it)| (key.clone(), it)).collect::<Map<_, _>>())
        }
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(|it| normal(key, it)).collect();
            all.sort_by_key(ToString::to_string);
            all.dedup();
            if all.len() == 1 { all.swap_remove(0) } else { Value::Array(all) }
        }
        // Actions are the one thing whose case does not matter.
        Value::String(text) if key == "Action" || key == "NotAction" => Value::String(text.to_ascii_lowercase()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_does_not_matter_and_meaning_does() {
        let said = |text: &str| statements(Some(&format!("{{\"Statement\":{text}}}"))).unwrap();
        let one = said(r#"{"Effect":"Allow","Action":["sts:B","STS:a"],"Principal":{"AWS":["x"]}}"#);
        let two = said(r#"[{"Principal":{"AWS":"x"},"Action":["sts:a","sts:b"],"Effect":"Allow"}]"#);
        assert_eq!(one, two);
        assert_ne!(one, said(r#"[{"Principal":{"AWS":"X"},"Action":["sts:a","sts:b"],"Effect":"Allow"}]"#));
        assert_eq!(statements(Some("not JSON")), None);
        assert_eq!(statements(None), None);
    }
}
