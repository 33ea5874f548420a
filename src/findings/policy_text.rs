//! What a trust policy's text mentions. Coarser than reading it: what a policy does not mention it
//! cannot grant, and what it mentions somebody must look at.

use serde_json::Value;

/// Whether a role may have to do with a migration: its policy mentions one of these issuers, or Pod
/// Identity, or is open to principals under a wildcard. Others are of no use in an inventory.
#[must_use]
pub fn concerns(policy: &str, issuers: &[&str]) -> bool {
    let mut wild = false;
    each_principal(policy, &mut |principal| wild |= principal.contains('*'));
    wild || mentions(policy, "pods.eks") || issuers.iter().any(|it| mentions(policy, it))
}

/// Whether any text in a policy has this in it, whatever its case.
pub(super) fn mentions(policy: &str, needle: &str) -> bool {
    let needle = needle.to_ascii_lowercase();
    let mut found = false;
    each_text(policy, &mut |text| found |= text.to_ascii_lowercase().contains(&needle));
    found
}

/// Every key and every string in a policy, decoded; the text itself where it is no JSON.
pub(super) fn each_text(policy: &str, see: &mut dyn FnMut(&str)) {
    match serde_json::from_str::<Value>(policy) {
        Ok(value) => walk(&value, see),
        Err(_) => see(policy),
    }
}

/// Every text under a `Principal` or `NotPrincipal`.
fn each_principal(policy: &str, see: &mut dyn FnMut(&str)) {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return };
    let statements = match policy.get("Statement") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for statement in statements {
        for key in ["Principal", "NotPrincipal"] {
            if let Some(principal) = statement.get(key) {
                walk(principal, see);
            }
        }
    }
}

fn walk(value: &Value, see: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|it| walk(it, see)),
        Value::Object(fields) => {
            for (key, value) in fields {
                see(key);
                walk(value, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_may_concern() {
        let issuer = "oidc.eks.eu-west-1.amazonaws.com/id/A";
        let concerned = |policy: &str| concerns(policy, &[issuer]);
        assert!(concerned(
            r#"{"Statement":[{"Principal":{"Federated":"x:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/A"}}]}"#
        ));
        assert!(concerned(
            r#"{"Statement":{"Principal":{"Federated":"x:oidc-provider\/oidc.eks.eu-west-1.amazonaws.com\/id\/A"}}}"#
        ));
        assert!(concerned(
            r#"{"Statement":[{"Condition":{"StringLike":{"OIDC.eks.eu-west-1.amazonaws.com/id/A:sub":"x"}}}]}"#
        ));
        assert!(concerned(r#"{"Statement":[{"Principal":{"Service":["pods.eks.amazonaws.com"]}}]}"#));
        assert!(concerned(r#"{"Statement":[{"Principal":"*"}]}"#));
        assert!(!concerned(r#"{"Statement":[{"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:*"}]}"#));
        assert!(!concerned("{"));
    }
}
