//! The rights that `permissions` writes, given to the caller and held against what it did.

use std::collections::BTreeSet;

use http::Request;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::harness::AUDITED;

impl Stage<'_> {
    /// Applies a file of Kubernetes objects, as `kubectl apply --server-side -f` would, and waits until every API
    /// server knows of the rights in it.
    pub(super) async fn apply_manifest(&self, name: &str) {
        let mut rights = Vec::new();
        let text = std::fs::read_to_string(self.path(name)).expect("the manifest");
        for document in text.split("---\n") {
            let path = format!("{}?fieldManager=tests&force=true", path_of(document));
            let request = Request::patch(&path).header("content-type", "application/apply-patch+yaml");
            let request = request.body(document.as_bytes().to_vec()).expect("a request");
            let answer = self.plane.client().request_text(request).await;
            let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}\n{document}"));
            rights.extend(a_right_of(&serde_json::from_str(&answer).expect("JSON")));
        }
        for right in rights {
            self.plane.until_allowed(&self.user, AUDITED, &right).await;
        }
    }

    /// The IAM actions that these files allow.
    pub(super) fn allowed(&self, names: &[&str]) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        for name in names {
            let text = std::fs::read_to_string(self.path(name)).expect("the policy");
            let policy: Value = serde_json::from_str(&text).expect("JSON");
            for statement in policy["Statement"].as_array().expect("statements") {
                let action = &statement["Action"];
                let actions = action.as_array().cloned().unwrap_or_else(|| vec![action.clone()]);
                allowed.extend(actions.iter().filter_map(Value::as_str).map(str::to_owned));
            }
        }
        allowed
    }

    /// What was called on the wire that none of these actions allows. Asking who one is needs no right.
    pub(super) fn not_allowed(&self, allowed: &BTreeSet<String>) -> Vec<String> {
        let seen: BTreeSet<String> = self.wire.seen().into_iter().map(|it| it.operation).collect();
        let covered = |it: &String| {
            it == "GetCallerIdentity"
                || ["iam", "eks"].iter().any(|service| allowed.contains(&format!("{service}:{it}")))
        };
        seen.into_iter().filter(|it| !covered(it)).collect()
    }
}

/// The first thing that a role allows, as the attributes of a `SubjectAccessReview`; none of another object.
fn a_right_of(object: &Value) -> Option<Value> {
    let rule = object["rules"].get(0)?;
    let first = |what: &str| rule[what][0].as_str().unwrap_or_default();
    let (resource, subresource) = first("resources").split_once('/').unwrap_or((first("resources"), ""));
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    Some(json!({
        "verb": first("verbs"), "group": first("apiGroups"), "resource": resource, "subresource": subresource,
        "name": first("resourceNames"), "namespace": namespace,
    }))
}

/// Where an object of the manifest lives; of the kinds that `permissions` writes.
fn path_of(document: &str) -> String {
    let field = |name: &str| {
        let line = document.lines().find_map(|line| line.strip_prefix(name));
        line.map(|it| it.trim().trim_matches('"').to_owned())
    };
    let kind = field("kind: ").expect("a kind");
    let name = field("  name: ").expect("a name");
    let resource = match kind.as_str() {
        "ClusterRole" => "rbac.authorization.k8s.io/v1/clusterroles",
        "ClusterRoleBinding" => "rbac.authorization.k8s.io/v1/clusterrolebindings",
        "ValidatingAdmissionPolicy" => "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding" => "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        "Role" | "RoleBinding" => {
            let namespace = field("  namespace: ").expect("a namespace");
            let plural = if kind == "Role" { "roles" } else { "rolebindings" };
            return format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}/{name}");
        }
        other => panic!("a {other} is not expected here"),
    };
    format!("/apis/{resource}/{name}")
}
