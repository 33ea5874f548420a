//! ServiceAccounts, and who seems to own them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount as KubeServiceAccount};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::Plane;
use super::owners::controller;
use crate::inventory::ServiceAccount;
use crate::ports::{Answer, PortError};

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";

impl Plane {
    /// All ServiceAccounts, with the labels of their namespaces.
    pub(in crate::live) async fn service_accounts(&self) -> Answer<Vec<ServiceAccount>> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let keep = |it: kube::core::PartialObjectMeta<Namespace>| Some((it.name_any(), it.labels().clone()));
        let labels = self.list_metadata("list namespaces", &api, ListParams::default(), keep).await?;
        let labels: BTreeMap<_, _> = labels.into_iter().collect();
        let api: Api<KubeServiceAccount> = Api::all(self.client.clone());
        let found = self.list("list serviceaccounts", &api, ListParams::default(), Some).await?;
        let nothing = BTreeMap::new();
        let of = |it: &KubeServiceAccount| labels.get(&it.namespace().unwrap_or_default()).unwrap_or(&nothing);
        found.iter().map(|it| service_account(it, of(it))).collect()
    }

    /// One ServiceAccount.
    pub(in crate::live) async fn service_account(&self, namespace: &str, name: &str) -> Answer<Option<ServiceAccount>> {
        let api: Api<KubeServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let found = self.read(&format!("read serviceaccount {namespace}/{name}"), || api.get_opt(name)).await?;
        let Some(found) = found else { return Ok(None) };
        let api: Api<Namespace> = Api::all(self.client.clone());
        let around = self.read(&format!("read namespace {namespace}"), || api.get_metadata_opt(namespace)).await?;
        let labels = around.map(|it| it.labels().clone()).unwrap_or_default();
        service_account(&found, &labels).map(Some)
    }
}

fn service_account(it: &KubeServiceAccount, around: &BTreeMap<String, String>) -> Answer<ServiceAccount> {
    let namespace = it.namespace().unwrap_or_default();
    let uid = it.uid();
    let uid =
        uid.ok_or_else(|| PortError::Invalid(format!("serviceaccount {namespace}/{} has no UID", it.name_any())))?;
    let mut labels = around.clone();
    labels.extend(it.labels().clone());
    Ok(ServiceAccount {
        name: it.name_any(),
        uid,
        role_arn: it.annotations().get(ROLE_ARN).cloned(),
        audience: it.annotations().get(AUDIENCE).cloned(),
        owners: owners(it),
        labels,
        namespace,
    })
}

/// Who seems to own the object, in words. Each line is a mark that a tool leaves on what it keeps;
/// several may be there at once (Flux installs with Helm).
fn owners(it: &KubeServiceAccount) -> Vec<String> {
    let label = |key: &str| it.labels().get(key).map(String::as_str);
    let annotation = |key: &str| it.annotations().get(key).map(String::as_str);
    let mut owners = Vec::new();

    if let Some(release) = annotation("meta.helm.sh/release-name") {
        let namespace = annotation("meta.helm.sh/release-namespace").filter(|it| !it.is_empty());
        owners.push(match namespace {
            Some(namespace) => format!("Helm release {namespace}/{release}"),
            None => format!("Helm release {release}"),
        });
    } else if label("app.kubernetes.io/managed-by") == Some("Helm") {
        owners.push("Helm".to_owned());
    }
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        owners.push(format!("Argo CD application {}", id.split(':').next().unwrap_or(id)));
    } else if let Some(name) = label("argocd.argoproj.io/instance") {
        owners.push(format!("Argo CD application {name}"));
    }
    for (tool, prefix) in [("Kustomization", "kustomize"), ("HelmRelease", "helm")] {
        if let Some(name) = label(&format!("{prefix}.toolkit.fluxcd.io/name")) {
            let namespace = label(&format!("{prefix}.toolkit.fluxcd.io/namespace")).unwrap_or_default();
            owners.push(format!("Flux {tool} {namespace}/{name}"));
        }
    }
    if label("app.kubernetes.io/managed-by") == Some("eksctl") {
        owners.push("eksctl".to_owned());
    }
    if let Some(owner) = label("olm.owner") {
        owners.push(format!("OLM operator {owner}"));
    }
    if let Some(owner) = controller(&it.metadata) {
        owners.push(format!("{} {}", owner.kind, owner.name));
    }
    // Whoever wrote the role annotation will write it again.
    match writer(it) {
        Some("eks") => owners.push("EKS add-on".to_owned()),
        Some(manager) if manager.starts_with("pulumi-kubernetes") => owners.push("Pulumi".to_owned()),
        Some(manager) if owners.is_empty() => owners.push(format!("field manager {manager}")),
        _ => {}
    }
    owners
}

/// The field manager that wrote the role annotation.
fn writer(it: &KubeServiceAccount) -> Option<&str> {
    let owns = |fields: &Value| {
        let path = ["f:metadata", "f:annotations", "f:eks.amazonaws.com/role-arn"];
        path.iter().try_fold(fields, |it, key| it.get(*key)).is_some()
    };
    let entries = it.metadata.managed_fields.iter().flatten();
    let mut writers = entries.filter(|it| it.fields_v1.as_ref().is_some_and(|it| owns(&it.0)));
    writers.find_map(|it| it.manager.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(metadata: Value) -> ServiceAccount {
        let mut whole = json!({"name": "cart", "namespace": "web", "uid": "u1"});
        let (Some(whole_map), Value::Object(more)) = (whole.as_object_mut(), metadata) else { panic!("no objects") };
        whole_map.extend(more);
        let around = BTreeMap::from([("team".to_owned(), "web".to_owned()), ("wave".to_owned(), "1".to_owned())]);
        service_account(&serde_json::from_value(json!({"metadata": whole})).unwrap(), &around).unwrap()
    }

    fn owners_of(metadata: Value) -> Vec<String> {
        found(metadata).owners
    }

    #[test]
    fn facts() {
        let it = found(json!({
            "labels": {"wave": "2"},
            "annotations": {"eks.amazonaws.com/role-arn": "null\u{1b}[31m", "eks.amazonaws.com/audience": "x"},
        }));
        assert_eq!((it.namespace.as_str(), it.name.as_str(), it.uid.as_str()), ("web", "cart", "u1"));
        assert_eq!((it.role_arn.as_deref(), it.audience.as_deref()), (Some("null\u{1b}[31m"), Some("x")));
        let labels = it.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(labels.collect::<Vec<_>>(), [("team", "web"), ("wave", "2")]);
        assert_eq!(found(json!({})).role_arn, None);
    }

    #[test]
    fn marks_of_tools() {
        let helm = json!({
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "web"},
        });
        assert_eq!(owners_of(helm), ["Helm release web/shop"]);
        let argo = json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:/ServiceAccount:web/cart"}});
        assert_eq!(owners_of(argo), ["Argo CD application shop"]);
        let flux = json!({"labels": {
            "helm.toolkit.fluxcd.io/name": "cart", "helm.toolkit.fluxcd.io/namespace": "flux",
            "app.kubernetes.io/managed-by": "Helm",
        }});
        assert_eq!(owners_of(flux), ["Helm", "Flux HelmRelease flux/cart"]);
        assert_eq!(owners_of(json!({"labels": {"app.kubernetes.io/managed-by": "eksctl"}})), ["eksctl"]);
        // Helm charts set this label too: alone it says nothing.
        assert!(owners_of(json!({"labels": {"app.kubernetes.io/instance": "shop"}})).is_empty());
        let operator =
            json!([{"apiVersion": "x/v1", "kind": "ProviderRevision", "name": "p", "uid": "u", "controller": true}]);
        assert_eq!(owners_of(json!({"ownerReferences": operator})), ["ProviderRevision p"]);
    }

    #[test]
    fn whoever_wrote_the_annotation() {
        let written = |manager: &str, key: &str| {
            json!({"managedFields": [{"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:annotations": {key: {}}}}}]})
        };
        let role = "f:eks.amazonaws.com/role-arn";
        assert_eq!(owners_of(written("eks", role)), ["EKS add-on"]);
        assert_eq!(owners_of(written("pulumi-kubernetes-1a2b3c4d", role)), ["Pulumi"]);
        assert_eq!(owners_of(written("kubectl-annotate", role)), ["field manager kubectl-annotate"]);
        assert!(owners_of(written("kubectl-annotate", "f:other")).is_empty());
    }
}
