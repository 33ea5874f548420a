//! Kubernetes RBAC, and the admission policy that RBAC cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::calls::{Need, calls};
use super::{File, Identity, Scope, Stage};

/// The lease that keeps a second writer out.
const LEASE: &str = "irsa-migrate";

/// What RBAC grants: verbs by group and resource, and paths.
#[derive(Default)]
struct Rights {
    everywhere: BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>,
    system: BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>,
    our_lease: BTreeSet<&'static str>,
    new_lease: bool,
    paths: BTreeSet<&'static str>,
}

fn rights(stage: Stage, scope: &Scope) -> Rights {
    let mut rights = Rights::default();
    for call in calls(stage) {
        // Without probes nothing of theirs is asked for.
        if call.needs.contains(&Need::DryRunPod) && !scope.probe {
            continue;
        }
        for need in call.needs {
            match *need {
                Need::Aws(..) => {}
                Need::Everywhere(group, resource, verb) => {
                    rights.everywhere.entry((group, resource)).or_default().insert(verb);
                }
                Need::System(group, resource, verb) => {
                    rights.system.entry((group, resource)).or_default().insert(verb);
                }
                Need::OurLease(verb) => {
                    rights.our_lease.insert(verb);
                }
                Need::NewLease => rights.new_lease = true,
                Need::DryRunPod => {
                    rights.everywhere.entry(("", "pods")).or_default().insert("create");
                }
                Need::Path(path) => {
                    rights.paths.insert(path);
                }
            }
        }
    }
    rights
}

/// All objects of a stage in one file.
pub(super) fn manifest(stage: Stage, scope: &Scope) -> File {
    let rights = rights(stage, scope);
    let name = format!("irsa-migrate-{}", stage.as_str());
    let mut objects = Vec::new();
    if stage == Stage::Apply && scope.probe {
        // First, so that the right to create pods never stands alone.
        objects.push(dry_run_only(&name, scope));
    }
    objects.extend([cluster_role(&name, &rights), binding("ClusterRole", &name, None, scope)]);
    let mut in_namespaces: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in &rights.system {
        in_namespaces.entry(SYSTEM).or_default().push(rule(group, resource, verbs, None));
    }
    let leases = in_namespaces.entry(&scope.lease_namespace).or_default();
    if rights.new_lease {
        leases.push(rule("coordination.k8s.io", "leases", &BTreeSet::from(["create"]), None));
    }
    if !rights.our_lease.is_empty() {
        leases.push(rule("coordination.k8s.io", "leases", &rights.our_lease, Some(LEASE)));
    }
    for (namespace, rules) in in_namespaces.iter().filter(|(_, rules)| !rules.is_empty()) {
        objects.push(role(&name, namespace, rules));
        objects.push(binding("Role", &name, Some(namespace), scope));
    }
    let text = format!("{}{}", header(stage, scope), objects.join("---\n"));
    File { name: format!("rbac-{}.yaml", stage.as_str()), text }
}

/// Where API servers keep the leases by which they make themselves known.
const SYSTEM: &str = "kube-system";

fn header(stage: Stage, scope: &Scope) -> String {
    let who = match &scope.identity {
        Identity::Group(group) => format!("the group {group}, such as an EKS access entry gives"),
        Identity::User(user) => format!("the user {user}"),
    };
    format!("# The least rights of irsa-migrate {} in a cluster, for {who}.\n", stage.as_str())
}

fn cluster_role(name: &str, rights: &Rights) -> String {
    let mut rules: Vec<String> =
        rights.everywhere.iter().map(|((group, resource), verbs)| rule(group, resource, verbs, None)).collect();
    for path in &rights.paths {
        rules.push(format!("  - nonResourceURLs: [{}]\n    verbs: [\"get\"]\n", quoted(path)));
    }
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n{}",
        rules.concat()
    )
}

fn role(name: &str, namespace: &str, rules: &[String]) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: {name}\n  namespace: {}\nrules:\n{}",
        quoted(namespace),
        rules.concat()
    )
}

fn rule(group: &str, resource: &str, verbs: &BTreeSet<&str>, name: Option<&str>) -> String {
    let verbs: Vec<String> = verbs.iter().map(|it| quoted(it)).collect();
    let mut text = format!("  - apiGroups: [{}]\n    resources: [{}]\n", quoted(group), quoted(resource));
    if let Some(name) = name {
        let _ = writeln!(text, "    resourceNames: [{}]", quoted(name));
    }
    let _ = writeln!(text, "    verbs: [{}]", verbs.join(", "));
    text
}

fn binding(kind: &str, name: &str, namespace: Option<&str>, scope: &Scope) -> String {
    let (subject, who) = match &scope.identity {
        Identity::Group(group) => ("Group", group),
        Identity::User(user) => ("User", user),
    };
    let place = namespace.map_or_else(String::new, |it| format!("  namespace: {}\n", quoted(it)));
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: {name}
{place}roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: {name}
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: {subject}
    name: {}
",
        quoted(who)
    )
}

/// RBAC cannot say "create, but only as a dry run": this denies the identity every other creation
/// of a pod. It fails closed, and looks at no one else's requests.
fn dry_run_only(name: &str, scope: &Scope) -> String {
    let ours = match &scope.identity {
        Identity::Group(group) => format!("has(request.userInfo.groups) && '{group}' in request.userInfo.groups"),
        Identity::User(user) => format!("has(request.userInfo.username) && request.userInfo.username == '{user}'"),
    };
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {name}-dry-run-only
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [\"\"]
        apiVersions: [\"v1\"]
        operations: [\"CREATE\"]
        resources: [\"pods\"]
  matchConditions:
    - name: asked-by-irsa-migrate
      expression: {}
  validations:
    - expression: \"has(request.dryRun) && request.dryRun\"
      message: irsa-migrate may create pods as a dry run only
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {name}-dry-run-only
spec:
  policyName: {name}-dry-run-only
  validationActions: [\"Deny\"]
",
        quoted(&ours)
    )
}

/// A string of YAML. Names are checked: none has a quote or a backslash in it.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
