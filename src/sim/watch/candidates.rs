//! Made-up ServiceAccounts that policies may be about.

use std::collections::BTreeSet;

use serde_json::Value;

/// Namespaces and names that a policy speaks of: from subjects of tokens and from session tags.
pub(super) fn collect(value: &Value, key: &str, namespaces: &mut BTreeSet<String>, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, key, namespaces, names);
            }
        }
        Value::Array(all) => all.iter().for_each(|it| collect(it, key, namespaces, names)),
        Value::String(text) => {
            if let Some((_, rest)) = text.split_once("system:serviceaccount:") {
                let (namespace, name) = rest.split_once(':').unwrap_or((rest, "*"));
                namespaces.extend(examples(namespace));
                names.extend(examples(name));
            } else if key.ends_with("kubernetes-namespace") {
                namespaces.extend(examples(text));
            } else if key.ends_with("kubernetes-service-account") {
                names.extend(examples(text));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Names that match a pattern, and one that just does not match a literal.
fn examples(pattern: &str) -> [String; 3] {
    let filled = |star: &str| pattern.replace('*', star).replace('?', "q");
    [filled(""), filled("zz"), format!("{}-other", filled("zz"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_match_and_miss() {
        assert_eq!(examples("a*?"), ["aq", "azzq", "azzq-other"]);
        let mut found = (BTreeSet::new(), BTreeSet::new());
        let policy = serde_json::json!({
            "a": { "x:sub": ["system:serviceaccount:n1:s1"] },
            "aws:RequestTag/kubernetes-namespace": "n2",
            "aws:RequestTag/kubernetes-service-account": ["s2"],
        });
        collect(&policy, "", &mut found.0, &mut found.1);
        assert!(["n1", "n2"].iter().all(|it| found.0.contains(*it)));
        assert!(["s1", "s2", "s1-other"].iter().all(|it| found.1.contains(*it)));
    }
}
