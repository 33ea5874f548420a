//! The AWS side of `live` against emulators that others wrote, each in what it can be trusted with.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use irsa_migrate::inventory::Seen;
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Eks as _, Iam as _, NewAssociation, PortError};
use serde_json::json;

use crate::harness::Emulator;

/// Credentials of this account; ministack takes the access key id for it.
async fn settings(emulator: &Emulator, account: &str) -> SdkConfig {
    sdk_config()
        .endpoint_url(emulator.endpoint())
        .region("eu-west-1")
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .load()
        .await
}

async fn live(sdk: SdkConfig, clusters: &[&ClusterArn]) -> Live {
    let at = |arn: &&ClusterArn| ClusterAt { cluster: ClusterName::Arn((*arn).clone()), context: None };
    let config = LiveConfig { clusters: clusters.iter().map(at).collect(), ..LiveConfig::default() };
    Live::with_sdk(sdk, &config).await.expect("a world")
}

fn trust(principal: &str) -> String {
    let statement =
        json!({"Effect": "Allow", "Principal": {"Service": principal}, "Action": ["sts:AssumeRole", "sts:TagSession"]});
    // Spaces, line ends and letters that have to be encoded on their way.
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Id\": \"ü+ %7B\",\n  \"Statement\": [{statement}]\n}}")
}

#[tokio::test]
async fn roles_and_their_trust_policies_on_moto() {
    let moto = Emulator::moto();
    let sdk = settings(&moto, "AKIDEXAMPLE").await;
    let iam = aws_sdk_iam::Client::new(&sdk);
    let first = trust("ec2.amazonaws.com");
    for number in 0..120 {
        let create = iam.create_role().role_name(format!("role-{number}")).assume_role_policy_document(&first);
        create.send().await.expect("a role");
    }
    let tag = aws_sdk_iam::types::Tag::builder().key("Team").value("web").build().expect("a tag");
    let named = iam.create_role().role_name("cart").path("/team/").description("of the shop").tags(tag);
    named.assume_role_policy_document(&first).send().await.expect("a role");

    let live = live(sdk, &[]).await;
    let caller = live.caller().await.unwrap();
    let roles = live.roles().await.unwrap();
    assert_eq!(roles.len(), 121);
    assert!(roles.iter().all(|it| it.trust == first && it.arn.account() == caller.account));

    let arn = RoleArn::parse(&format!("arn:aws:iam::{}:role/team/cart", caller.account)).unwrap();
    let role = live.role(&arn).await.unwrap();
    assert_eq!(role.trust, first);
    let Some(Seen::Seen(detail)) = role.detail else { panic!("no detail") };
    assert_eq!(detail.tags, BTreeMap::from([("Team".to_owned(), "web".to_owned())]));
    assert_eq!(detail.description.as_deref(), Some("of the shop"));

    let second = trust("pods.eks.amazonaws.com");
    live.set_trust(&arn, &second).await.unwrap();
    let after = live.role(&arn).await.unwrap();
    assert_eq!((after.trust, after.role_id), (second.clone(), role.role_id));

    let refused = live.set_trust(&arn, &second.replace("sts:TagSession", "s3:GetObject")).await.unwrap_err();
    assert!(matches!(&refused, PortError::Invalid(it) if it.contains("MalformedPolicyDocument")), "{refused}");
    assert_eq!(live.role(&arn).await.unwrap().trust, second);

    let absent = RoleArn::parse(&format!("arn:aws:iam::{}:role/absent", caller.account)).unwrap();
    assert!(matches!(live.role(&absent).await, Err(PortError::NotFound(_))));
    assert!(matches!(live.set_trust(&absent, &second).await, Err(PortError::NotFound(_))));
}

#[tokio::test]
async fn providers_on_moto() {
    let moto = Emulator::moto();
    let sdk = settings(&moto, "AKIDEXAMPLE").await;
    let iam = aws_sdk_iam::Client::new(&sdk);
    let live = live(sdk, &[]).await;
    assert_eq!(live.providers().await, Ok(Vec::new()));
    for (name, audiences) in [("AA", vec!["sts.amazonaws.com"]), ("BB", vec!["one", "two"])] {
        let create = iam
            .create_open_id_connect_provider()
            .url(format!("https://oidc.eks.eu-west-1.amazonaws.com/id/{name}"))
            .thumbprint_list("0123456789012345678901234567890123456789")
            .set_client_id_list(Some(audiences.into_iter().map(str::to_owned).collect()));
        create.send().await.expect("a provider");
    }
    let found = live.providers().await.unwrap();
    let mut found: Vec<_> = found.iter().map(|it| (it.issuer.as_str(), it.client_ids.join(" "))).collect();
    found.sort();
    let expected = [
        ("oidc.eks.eu-west-1.amazonaws.com/id/AA", "sts.amazonaws.com".to_owned()),
        ("oidc.eks.eu-west-1.amazonaws.com/id/BB", "one two".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn associations_on_ministack() {
    let account = "111122223333";
    let ministack = Emulator::ministack();
    let sdk = settings(&ministack, account).await;
    let iam = aws_sdk_iam::Client::new(&sdk);
    let document = trust("pods.eks.amazonaws.com");
    let role = iam.create_role().role_name("cart").assume_role_policy_document(&document).send().await;
    let role = role.expect("a role").role.expect("a role");
    let eks = aws_sdk_eks::Client::new(&sdk);
    let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().subnet_ids("subnet-1").build();
    let create = eks.create_cluster().name("shop").role_arn(role.arn()).resources_vpc_config(vpc);
    create.send().await.expect("a cluster");

    let shop = ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{account}:cluster/shop")).unwrap();
    let live = live(sdk, &[&shop]).await;
    assert_eq!(live.caller().await.unwrap().account.as_str(), account);
    assert_eq!(live.associations(&shop).await, Ok(Vec::new()));

    let subject = Subject { cluster: shop.clone(), namespace: "web".into(), service_account: "cart".into() };
    let tags = BTreeMap::from([("irsa-migrate:plan".to_owned(), "0123".to_owned())]);
    let role_arn = RoleArn::parse(role.arn()).unwrap();
    let new =
        NewAssociation { subject: subject.clone(), role_arn: role_arn.clone(), tags: tags.clone(), token: "t".into() };
    assert_eq!(live.association_of(&subject).await, Ok(None));
    live.create_association(&new).await.unwrap();
    let found = live.association_of(&subject).await.unwrap().unwrap();
    assert_eq!((found.namespace.as_str(), found.service_account.as_str(), &found.owner), ("web", "cart", &None));
    let Some(Seen::Seen(detail)) = found.detail else { panic!("no detail") };
    assert_eq!((detail.role_arn, detail.tags), (role_arn, tags));
    assert_eq!((detail.target_role_arn, detail.disable_session_tags, detail.has_policy), (None, false, false));

    let again = NewAssociation { token: "another".into(), ..new };
    assert!(matches!(live.create_association(&again).await, Err(PortError::Conflict(_))));
    let other = Subject { service_account: "other".into(), ..subject.clone() };
    assert_eq!(live.association_of(&other).await, Ok(None));

    live.delete_association(&shop, &found.id).await.unwrap();
    assert!(matches!(live.delete_association(&shop, &found.id).await, Err(PortError::NotFound(_))));
    assert_eq!(live.association_of(&subject).await, Ok(None));
}
