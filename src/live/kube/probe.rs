//! Asking the API servers how they would admit a pod: a create that is a dry run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, PersistentVolumeClaimVolumeSource, Pod, PodSecurityContext, PodSpec, PodTemplateSpec,
    ResourceRequirements, SeccompProfile, SecurityContext, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use kube::core::Status;

use super::pods::mode;
use super::{MANAGER, Plane};
use crate::inventory::WorkloadRef;
use crate::live::text::one_line;
use crate::ports::{Answer, PortError, Probe};

impl Plane {
    /// How one API server would admit a pod of this ServiceAccount now.
    pub(in crate::live) async fn probe(
        &self,
        namespace: &str,
        service_account: &str,
        template: Option<&WorkloadRef>,
    ) -> Answer<Probe> {
        let what = format!("dry-run create of a pod of serviceaccount {namespace}/{service_account}");
        let pod = match template {
            None => plain(service_account),
            Some(at) => {
                let found = self.template(at).await?;
                let found = found.ok_or_else(|| PortError::NotFound(format!("{what}: there is no {at}")))?;
                let pod = of_template(at, found.0, &found.1);
                let named = pod.spec.as_ref().and_then(|it| it.service_account_name.as_deref()).unwrap_or("default");
                if named != service_account || at.namespace != namespace {
                    return Err(PortError::Invalid(format!("{what}: {at} is of serviceaccount {named}")));
                }
                pod
            }
        };
        self.dry_run_create(&what, namespace, &pod).await
    }

    /// The only create of a pod there is. That it is a dry run is said here, and looked at once
    /// more by the client that sends it.
    async fn dry_run_create(&self, what: &str, namespace: &str, pod: &Pod) -> Answer<Probe> {
        let api: Api<Pod> = Api::namespaced(self.dry_runs.clone(), namespace);
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
        let create = async {
            match api.create(&params, pod).await {
                Ok(admitted) => Ok(Probe::Admitted(mode(&admitted.spec.unwrap_or_default()))),
                Err(kube::Error::Api(it)) if is_rejection(&it) => Ok(Probe::Rejected(one_line(&it.message))),
                Err(it) => Err(it),
            }
        };
        self.call(what, create).await
    }
}

/// Whether it is the pod that was refused: by a quota, a LimitRange, Pod Security, validation, a
/// policy, another webhook. Then nothing is known of its mode. What is no rejection: that we may not
/// create pods at all (the API server says so before it looks at the pod), that the namespace is
/// not there, or that the server itself is in trouble.
fn is_rejection(status: &Status) -> bool {
    let by_webhook = ["admission webhook \"", "failed calling webhook \""].iter().any(|it| status.message.contains(it));
    let not_ours = status.message.starts_with("pods is forbidden: User ");
    match status.code {
        401 | 429 => false,
        403 => !not_ours,
        400 | 409 | 422 => true,
        _ => by_webhook,
    }
}

/// A pod as the workload's controller would make it.
fn of_template(at: &WorkloadRef, template: PodTemplateSpec, claims: &[String]) -> Pod {
    let metadata = template.metadata.unwrap_or_default();
    let mut spec = template.spec.unwrap_or_default();
    if !claims.is_empty() {
        // The controller puts its claims in the place of volumes of the same names.
        let mut volumes = spec.volumes.unwrap_or_default();
        volumes.retain(|it| !claims.contains(&it.name));
        volumes.extend(claims.iter().map(|claim| Volume {
            name: claim.clone(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: format!("{claim}-{}-0", at.name),
                read_only: None,
            }),
            ..Volume::default()
        }));
        spec.volumes = Some(volumes);
    }
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(PREFIX.to_owned()),
            labels: metadata.labels,
            annotations: metadata.annotations,
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

/// A pod that conforms to Pod Security `restricted` and names its resources, as many quotas want it.
fn plain(service_account: &str) -> Pod {
    let few = [("cpu", "10m"), ("memory", "16Mi")];
    let few = few.map(|(name, much)| (name.to_owned(), Quantity(much.to_owned())));
    let container = Container {
        name: "probe".to_owned(),
        image: Some("registry.k8s.io/pause:3.10".to_owned()),
        resources: Some(ResourceRequirements {
            requests: Some(BTreeMap::from(few.clone())),
            limits: Some(BTreeMap::from(few)),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    };
    let spec = PodSpec {
        service_account_name: Some(service_account.to_owned()),
        containers: vec![container],
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65_532),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    };
    let metadata = ObjectMeta { generate_name: Some(PREFIX.to_owned()), ..ObjectMeta::default() };
    Pod { metadata, spec: Some(spec), status: None }
}

/// What the pods that are never made are called in other people's admission logs.
const PREFIX: &str = "irsa-migrate-probe-";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inventory::WorkloadKind;

    #[test]
    fn what_is_a_rejection() {
        let is = |code: u16, message: &str| is_rejection(&Status::failure(message, "").with_code(code));
        for (code, message) in [
            (403, "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
            (403, "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\""),
            (
                403,
                "pods \"p\" is forbidden: error looking up service account web/cart: serviceaccount \"cart\" not found",
            ),
            (422, "Pod \"p\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"data\""),
            (400, "admission webhook \"x\" denied the request: pods is forbidden: User"),
            (500, "Internal error occurred: failed calling webhook \"x\": connection refused"),
            (503, "admission webhook \"x\" denied the request"),
        ] {
            assert!(is(code, message), "{message}");
        }
        for (code, message) in [
            (
                403,
                "pods is forbidden: User \"ann\" cannot create resource \"pods\" in API group \"\" in the namespace \"web\"",
            ),
            (404, "namespaces \"web\" not found"),
            (401, "Unauthorized"),
            (429, "too many requests"),
            (500, "etcdserver: request timed out"),
        ] {
            assert!(!is(code, message), "{message}");
        }
    }

    #[test]
    fn a_stateful_sets_claims_are_added() {
        let template = json!({
            "metadata": {"labels": {"app": "db"}, "annotations": {"a": "b"}},
            "spec": {"containers": [], "volumes": [{"name": "data", "emptyDir": {}}, {"name": "conf", "emptyDir": {}}]},
        });
        let at = WorkloadRef { kind: WorkloadKind::StatefulSet, namespace: "web".into(), name: "db".into() };
        let pod = of_template(&at, serde_json::from_value(template).unwrap(), &["data".to_owned()]);
        let pod = serde_json::to_value(pod).unwrap();
        let volumes = json!([
            {"name": "conf", "emptyDir": {}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}},
        ]);
        assert_eq!(pod["spec"]["volumes"], volumes);
        assert_eq!(pod["metadata"]["labels"], json!({"app": "db"}));
        assert_eq!(pod["metadata"]["annotations"], json!({"a": "b"}));
        assert_eq!(pod["metadata"]["name"], json!(null));
    }
}
