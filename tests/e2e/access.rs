//! The harness itself: who may come in, with which tokens, and what they may do.

use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::{Identity, Plane, User, eks_token, objects, wait};

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object of its kind")
}

fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// A client from a kubeconfig file, with a token in place of what is missing.
async fn client(plane: &Plane, user: User<'_>, token: Option<&str>) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(plane.kubeconfig("cluster", user)).expect("a kubeconfig");
    if let Some(token) = token {
        let auth = kubeconfig.auth_infos[0].auth_info.get_or_insert_default();
        auth.token = Some(token.to_owned().into());
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a setting");
    Client::try_from(config).expect("a client")
}

async fn grant_reading_of_namespaces(plane: &Plane, name: &str, subject: Value) {
    let client = plane.client();
    let role: ClusterRole = typed(json!({
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}],
    }));
    let binding: ClusterRoleBinding = typed(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [subject],
    }));
    wait::create(&Api::all(client.clone()), &role).await;
    wait::create(&Api::all(client), &binding).await;
}

/// Lists namespaces until it is allowed: an API server notices a new role with a
/// delay.
async fn may_list_namespaces(client: &Client) {
    let trying = async {
        loop {
            match Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await {
                Ok(_) => return,
                Err(error) => assert_eq!(code(&error), Some(403), "{error}"),
            }
            wait::a_moment().await;
        }
    };
    tokio::time::timeout(wait::PATIENCE, trying).await.expect("the role is seen");
}

#[tokio::test]
async fn an_eks_token_lets_its_caller_in() {
    let plane = Plane::shared();
    let cluster = &plane.config().name;
    let engineer = Credentials::new("AKIAENGINEER", "secret", Some("session".to_owned()), None, "test");
    let identity = Identity { user: "engineer".to_owned(), groups: vec!["platform".to_owned()] };
    plane.accept(engineer.clone(), identity);
    grant_reading_of_namespaces(plane, "platform", json!({"kind": "Group", "name": "platform"})).await;

    let token = eks_token(&engineer, &plane.config().region, cluster);
    may_list_namespaces(&client(plane, User::Nobody, Some(&token)).await).await;

    let stranger = Credentials::new("AKIASTRANGER", "secret", None, None, "test");
    let forged = Credentials::new("AKIAENGINEER", "guessed", Some("session".to_owned()), None, "test");
    let refused = [
        ("an unknown caller", eks_token(&stranger, "eu-west-1", cluster)),
        ("another secret", eks_token(&forged, "eu-west-1", cluster)),
        ("made for another cluster", eks_token(&engineer, "eu-west-1", "other")),
        ("cut off", token[..token.len() - 8].to_owned()),
    ];
    for (case, token) in refused {
        let client = client(plane, User::Nobody, Some(&token)).await;
        let error = Api::<Namespace>::all(client).list(&ListParams::default()).await.expect_err(case);
        assert_eq!(code(&error), Some(401), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_named_user_may_do_what_rbac_says() {
    let plane = Plane::shared();
    let client = client(plane, User::Named { user: "auditor", group: Some("audit") }, None).await;
    let error = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await.expect_err("no role yet");
    assert_eq!(code(&error), Some(403));
    grant_reading_of_namespaces(plane, "auditor", json!({"kind": "User", "name": "auditor"})).await;
    may_list_namespaces(&client).await;
}

#[tokio::test]
async fn a_web_identity_token_names_issuer_subject_and_audience() {
    let plane = Plane::shared();
    let space = plane.namespace("tokens").await;
    space.create_object(&objects::service_account("app", None)).await;
    let token = space.token("app", "sts.amazonaws.com").await;
    let claims = token.split('.').nth(1).expect("three parts");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    assert_eq!(claims["iss"], plane.config().issuer());
    assert_eq!(claims["sub"], "system:serviceaccount:tokens:app");
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
}

#[tokio::test]
async fn an_admission_policy_can_allow_dry_runs_alone() {
    let space = Plane::shared().namespace("dry-runs-alone").await;
    space.create_object(&objects::service_account("app", None)).await;
    let policy: ValidatingAdmissionPolicy = typed(json!({
        "metadata": {"name": "dry-runs-alone"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "resourceRules": [
                    {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]},
                ],
            },
            "validations": [{"expression": "request.dryRun == true", "message": "dry runs alone"}],
        },
    }));
    let binding: ValidatingAdmissionPolicyBinding = typed(json!({
        "metadata": {"name": "dry-runs-alone"},
        "spec": {"policyName": "dry-runs-alone", "validationActions": ["Deny"]},
    }));
    wait::create(&Api::all(space.client.clone()), &policy).await;
    wait::create(&Api::all(space.client.clone()), &binding).await;

    let pods: Api<Pod> = space.api();
    let trying = async {
        for number in 0.. {
            let pod = objects::pod(&format!("real-{number}"), "app");
            if let Err(error) = pods.create(&PostParams::default(), &pod).await {
                return error;
            }
            wait::a_moment().await;
        }
        unreachable!("the numbers do not end")
    };
    let error = tokio::time::timeout(wait::PATIENCE, trying).await.expect("the policy is seen");
    assert!(error.to_string().contains("dry runs alone"), "{error}");
    space.dry_run(&objects::pod("probe", "app")).await.expect("a dry run is allowed");
}
