//! The harness itself: the emulators of AWS answer, and enforce what the scenarios
//! rely on.

use aws_credential_types::Credentials;
use serde_json::json;

use crate::harness::{Emulator, Plane, objects};

const ACCOUNT: &str = "111122223333";

async fn settings(emulator: &Emulator) -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(emulator.endpoint())
        .region("eu-west-1")
        .credentials_provider(Credentials::new(ACCOUNT, "secret", None, None, "test"))
        .load()
        .await
}

#[tokio::test]
async fn moto_keeps_roles_and_knows_the_grammar_of_trust_policies() {
    let moto = Emulator::moto();
    let iam = aws_sdk_iam::Client::new(&settings(&moto).await);
    let trust = |action| {
        let principal = json!({"Service": "pods.eks.amazonaws.com"});
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let good = trust("sts:AssumeRole");
    iam.create_role().role_name("app").assume_role_policy_document(good).send().await.expect("a role");
    let bad = trust("s3:GetObject");
    let refused = iam.update_assume_role_policy().role_name("app").policy_document(bad).send().await;
    let error = refused.expect_err("not an action of a trust policy").into_service_error();
    assert_eq!(error.meta().code(), Some("MalformedPolicyDocument"));
    let roles = iam.list_roles().send().await.expect("a list");
    assert_eq!(roles.roles().iter().map(|role| role.role_name()).collect::<Vec<_>>(), ["app"]);
}

#[tokio::test]
async fn a_token_of_the_plane_opens_a_role_on_ministack_as_its_trust_policy_says() {
    let plane = Plane::shared();
    let space = plane.namespace("web-identity").await;
    for name in ["app", "other"] {
        space.create_object(&objects::service_account(name, None)).await;
    }
    let issuer = plane.config().issuer();
    let provider = issuer.strip_prefix("https://").expect("an HTTPS issuer");
    let ministack = Emulator::ministack();
    let settings = settings(&ministack).await;
    let iam = aws_sdk_iam::Client::new(&settings);
    iam.create_open_id_connect_provider()
        .url(&issuer)
        .client_id_list("sts.amazonaws.com")
        .send()
        .await
        .expect("a provider");
    let condition = json!({"StringEquals": {format!("{provider}:sub"): "system:serviceaccount:web-identity:app"}});
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }]});
    iam.create_role().role_name("app").assume_role_policy_document(trust.to_string()).send().await.expect("a role");

    let sts = aws_sdk_sts::Client::new(&settings);
    let assume = async |service_account| {
        sts.assume_role_with_web_identity()
            .role_arn(format!("arn:aws:iam::{ACCOUNT}:role/app"))
            .role_session_name("test")
            .web_identity_token(space.token(service_account, "sts.amazonaws.com").await)
            .send()
            .await
    };
    assume("app").await.expect("the trust policy names it");
    let refused = assume("other").await.expect_err("the trust policy does not name it");
    assert_eq!(refused.into_service_error().meta().code(), Some("AccessDenied"));
}
