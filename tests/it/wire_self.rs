//! The wire front itself: the real SDK clients, through the live adapters, against it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig};
use irsa_migrate::model::{AccountId, ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Eks as _, Iam as _, NewAssociation, PortError};
use irsa_migrate::sim::Lag;
use irsa_migrate::sim::build::Builder;

use crate::recorded::sdk;
use crate::wire::{Wire, WireFault, wall_clock};

const ROLE: &str = "arn:aws:iam::111122223333:role/cart";
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;

fn shop() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").unwrap()
}

fn role() -> RoleArn {
    RoleArn::parse(ROLE).unwrap()
}

fn cart() -> Subject {
    Subject { cluster: shop(), namespace: "carts".into(), service_account: "cart".into() }
}

fn world() -> Builder {
    Builder::new()
        .begins(wall_clock())
        .cluster("shop")
        .role("cart", &[("carts", "cart")])
        .role_tags("cart", &[("ManagedBy", "terraform & friends")])
        .service_account("carts", "cart", Some("cart"))
}

async fn start(world: Builder) -> (Wire, Live) {
    let wire = Wire::start(world.world()).await.unwrap();
    wire.key_of("AKIDEXAMPLE", AccountId::parse("111122223333").unwrap());
    let at = ClusterAt { cluster: ClusterName::Arn(shop()), context: None };
    let config = LiveConfig { clusters: vec![at], ..LiveConfig::default() };
    let live = Live::with_sdk(sdk(&wire.url()).await, &config).await.unwrap();
    (wire, live)
}

fn association(token: &str) -> NewAssociation {
    let tags = BTreeMap::from([("irsa-migrate:plan".to_owned(), "0123".to_owned())]);
    NewAssociation { subject: cart(), role_arn: role(), tags, token: token.into() }
}

#[tokio::test]
async fn reads_tell_what_the_world_holds() {
    let (wire, live) = start(world().addon("vpc-cni", "v1.20.4-eksbuild.1", Some("cart"))).await;
    assert_eq!(live.caller().await.unwrap().account.as_str(), "111122223333");
    assert_eq!(live.trust_quota().await.unwrap(), 2048);
    let facts = live.cluster(&shop()).await.unwrap();
    assert_eq!((facts.version.as_str(), facts.status.as_str()), ("1.34", "ACTIVE"));
    let providers = live.providers().await.unwrap();
    assert_eq!(Some(&providers[0].issuer), facts.issuer.as_ref());
    assert_eq!(providers[0].client_ids, ["sts.amazonaws.com"]);
    let found = live.role(&role()).await.unwrap();
    assert_eq!(found.trust, wire.world().trust_now(&role()).unwrap(), "byte for byte");
    assert_eq!(found.detail.unwrap().get().unwrap().tags["ManagedBy"], "terraform & friends");
    assert_eq!(live.agent_addon(&shop()).await.unwrap().unwrap().status, "ACTIVE");
    let addons = live.addons(&shop()).await.unwrap();
    assert_eq!((addons.len(), addons[0].role_arn.as_deref()), (1, Some(ROLE)));
    assert_eq!(wire.writes(), []);
    assert_eq!(wire.counts()["GetRole"], 1);
}

#[tokio::test]
async fn an_association_is_made_found_and_deleted() {
    let (wire, live) = start(world()).await;
    let refused = live.create_association(&association("t")).await;
    assert!(matches!(&refused, Err(PortError::Invalid(it)) if it.contains("Trust policy")), "{refused:?}");
    live.set_trust(&role(), OPEN).await.unwrap();
    live.create_association(&association("t")).await.unwrap();
    live.create_association(&association("t")).await.unwrap();
    let again = live.create_association(&association("u")).await;
    assert!(matches!(again, Err(PortError::Conflict(_))), "{again:?}");
    let found = live.association_of(&cart()).await.unwrap().unwrap();
    let detail = found.detail.unwrap().get().unwrap().clone();
    assert_eq!((detail.role_arn, detail.tags.len(), found.owner), (role(), 1, None));
    assert!(detail.created_at.is_some());
    assert!(wire.webhook_sees(0, &cart()).is_some());
    live.delete_association(&shop(), &found.id).await.unwrap();
    assert!(matches!(live.delete_association(&shop(), &found.id).await, Err(PortError::NotFound(_))));
    assert_eq!(live.association_of(&cart()).await.unwrap(), None);
    assert_eq!(wire.writes().len(), 7);
    wire.forget();
    assert_eq!(wire.seen(), []);
}

#[tokio::test]
async fn lists_come_in_pages_and_lose_nothing() {
    let mut fleet = world();
    for number in 0..250 {
        let name = format!("role-{number:03}");
        fleet = fleet.role_with(&name, OPEN).association("many", &format!("sa-{number:03}"), &name);
    }
    let (wire, live) = start(fleet).await;
    assert_eq!(live.associations(&shop()).await.unwrap().len(), 250);
    assert_eq!(wire.counts()["ListPodIdentityAssociations"], 3, "a hundred at a time");
    assert_eq!(live.roles().await.unwrap().len(), 251);
    assert_eq!(wire.counts()["ListRoles"], 1, "a thousand at a time");
    // IAM may give fewer than it is asked for.
    wire.set_page(40);
    assert_eq!(live.roles().await.unwrap().len(), 251);
    assert_eq!(wire.counts()["ListRoles"], 1 + 7);
}

#[tokio::test]
async fn faults_come_as_the_services_say_them() {
    let (wire, live) = start(world()).await;
    live.set_trust(&role(), OPEN).await.unwrap();
    // A read is tried again by the client itself; what is refused is not.
    wire.fail("GetRole", [WireFault::Throttled, WireFault::Failing, WireFault::CutBefore]);
    assert!(live.role(&role()).await.is_ok());
    assert_eq!(wire.counts()["GetRole"], 4);
    wire.fail("GetRole", [WireFault::Denied]);
    assert!(matches!(live.role(&role()).await, Err(PortError::Denied(_))));
    wire.fail("GetRole", [WireFault::Expired]);
    assert!(matches!(live.role(&role()).await, Err(PortError::Credentials(_))));
    wire.fail("DescribeCluster", [WireFault::Denied]);
    assert!(matches!(live.cluster(&shop()).await, Err(PortError::Denied(_))));
    // A write whose answer is lost took effect all the same.
    wire.fail("CreatePodIdentityAssociation", [WireFault::CutBefore]);
    assert!(matches!(live.create_association(&association("t")).await, Err(PortError::Unreachable(_))));
    assert_eq!(wire.world().association_now(&cart()), None);
    wire.fail("CreatePodIdentityAssociation", [WireFault::CutAfter]);
    assert!(matches!(live.create_association(&association("t")).await, Err(PortError::Unreachable(_))));
    assert!(wire.world().association_now(&cart()).is_some());
}

#[tokio::test]
async fn what_iam_refuses_has_iams_codes() {
    let (wire, live) = start(world()).await;
    let malformed = live.set_trust(&role(), "{}").await.unwrap_err();
    assert!(matches!(&malformed, PortError::Invalid(it) if it.contains("MalformedPolicyDocument")), "{malformed}");
    let long = OPEN.replace("pods.eks", &"p".repeat(3000));
    let long = live.set_trust(&role(), &long).await.unwrap_err();
    assert!(matches!(&long, PortError::Invalid(it) if it.contains("LimitExceeded")), "{long}");
    wire.world().edit_trust(&role(), None).unwrap();
    assert!(matches!(live.role(&role()).await, Err(PortError::NotFound(_))));
}

#[tokio::test]
async fn answers_may_lag() {
    let (wire, live) = start(world()).await;
    wire.world().set_lag(Lag { api: Duration::from_hours(1), ..Lag::default() });
    let old = wire.world().trust_now(&role()).unwrap().to_owned();
    live.set_trust(&role(), OPEN).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        seen.insert(live.role(&role()).await.unwrap().trust);
    }
    assert_eq!(seen, [old, OPEN.to_owned()].into());
}

#[tokio::test]
async fn a_token_opens_the_roles_that_trust_its_subject() {
    let (wire, live) = start(world()).await;
    let issuer = live.cluster(&shop()).await.unwrap().issuer.unwrap();
    let sts = aws_sdk_sts::Client::new(&sdk(&wire.url()).await);
    let opens = async |sub: &str, aud: &str| {
        let claims = serde_json::json!({ "iss": issuer.url(), "sub": sub, "aud": [aud] }).to_string();
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let call = sts.assume_role_with_web_identity().role_arn(ROLE).role_session_name("s").web_identity_token(token);
        call.send().await.is_ok()
    };
    assert!(opens("system:serviceaccount:carts:cart", "sts.amazonaws.com").await);
    assert!(!opens("system:serviceaccount:carts:other", "sts.amazonaws.com").await);
    assert!(!opens("system:serviceaccount:carts:cart", "vault").await, "the provider does not know this audience");
}

/// Calls that no adapter makes.
#[tokio::test]
async fn tags_and_add_on_configurations() {
    let (wire, live) = start(world()).await;
    live.set_trust(&role(), OPEN).await.unwrap();
    let eks = aws_sdk_eks::Client::new(&sdk(&wire.url()).await);
    let create = eks.create_pod_identity_association().cluster_name("shop").namespace("carts").service_account("cart");
    let made = create.role_arn(ROLE).tags("a", "b").send().await.unwrap().association.unwrap();
    let tags = eks.list_tags_for_resource().resource_arn(made.association_arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tags().unwrap()["a"], "b");
    let config = eks.describe_addon_configuration().addon_name("vpc-cni").addon_version("v1").send().await.unwrap();
    assert_eq!(config.pod_identity_configuration()[0].service_account(), Some("aws-node"));
    let id = made.association_id().unwrap();
    let gone = eks.delete_pod_identity_association().cluster_name("shop").association_id(id).send().await.unwrap();
    assert_eq!(gone.association().unwrap().role_arn(), Some(ROLE), "what was deleted is told");
}
