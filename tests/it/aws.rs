//! The AWS side of `live`: the real SDK clients against recorded answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_config::{Region, SdkConfig};
use irsa_migrate::inventory::{AddonUse, Seen};
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Eks as _, Iam as _, NewAssociation, PortError};

use crate::recorded::{CALLER, Wire, sdk};

const SHOP: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/shop";

fn iam_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
}

fn iam(action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}\
         </{action}Result></{action}Response>"
    )
}

fn role_xml(path: &str, name: &str, document: &str) -> String {
    format!(
        "<Path>{path}</Path><RoleName>{name}</RoleName><RoleId>AROA{name}</RoleId>\
         <Arn>arn:aws:iam::111122223333:role{path}{name}</Arn><CreateDate>2024-01-01T00:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>"
    )
}

fn eks_error(code: &str, message: &str) -> String {
    format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}")
}

async fn live(wire: &Wire) -> Live {
    connect(sdk(&wire.url).await).await
}

async fn connect(sdk: SdkConfig) -> Live {
    let shop = ClusterAt { cluster: ClusterName::Arn(shop()), context: None };
    Live::with_sdk(sdk, &config([shop])).await.expect("a world")
}

fn config<const N: usize>(clusters: [ClusterAt; N]) -> LiveConfig {
    LiveConfig { clusters: clusters.into(), ..LiveConfig::default() }
}

fn shop() -> ClusterArn {
    ClusterArn::parse(SHOP).expect("an ARN")
}

fn cart() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/team/cart").expect("an ARN")
}

fn subject() -> Subject {
    Subject { cluster: shop(), namespace: "web".into(), service_account: "cart".into() }
}

#[tokio::test]
async fn roles_come_in_pages_and_decoded() {
    let wire = Wire::start().await;
    let page = |roles: &str, more: &str| iam("ListRoles", &format!("<Roles>{roles}</Roles>{more}"));
    let encoded = format!("<member>{}</member>", role_xml("/", "one", "%7B%22a%22%3A%22b+c%22%7D"));
    wire.on("ListRoles", 200, &page(&encoded, "<IsTruncated>true</IsTruncated><Marker>m1</Marker>"));
    let plain = format!("<member>{}</member>", role_xml("/team/", "two", "{\"a\":\"%7B\"}"));
    // IAM may answer with fewer than there are, or none, and more to come.
    wire.on("ListRoles", 200, &page("", "<IsTruncated>true</IsTruncated><Marker>m2</Marker>"));
    wire.on("ListRoles", 200, &page(&plain, "<IsTruncated>false</IsTruncated>"));

    let roles = live(&wire).await.roles().await.unwrap();
    let found: Vec<_> = roles.iter().map(|it| (it.arn.as_str(), it.role_id.as_str(), it.trust.as_str())).collect();
    assert_eq!(
        found,
        [
            ("arn:aws:iam::111122223333:role/one", "AROAone", r#"{"a":"b+c"}"#),
            ("arn:aws:iam::111122223333:role/team/two", "AROAtwo", r#"{"a":"%7B"}"#),
        ]
    );
    let sent = wire.sent("ListRoles");
    assert_eq!(sent.len(), 3);
    assert!(sent[0].contains("MaxItems=1000") && !sent[0].contains("Marker"), "{}", sent[0]);
    assert!(sent[1].contains("Marker=m1") && sent[2].contains("Marker=m2"), "{sent:?}");
}

#[tokio::test]
async fn a_role_with_its_detail() {
    let wire = Wire::start().await;
    let detail = "<Description></Description><Tags><member><Key>Team</Key><Value>web</Value></member></Tags>\
                  <RoleLastUsed><LastUsedDate>2026-11-01T12:00:00Z</LastUsedDate><Region>eu-west-1</Region></RoleLastUsed>";
    wire.on("GetRole", 200, &iam("GetRole", &format!("<Role>{}{detail}</Role>", role_xml("/team/", "cart", "%7B%7D"))));
    let role = live(&wire).await.role(&cart()).await.unwrap();
    assert_eq!((role.arn, role.role_id.as_str(), role.trust.as_str()), (cart(), "AROAcart", "{}"));
    let Some(Seen::Seen(detail)) = role.detail else { panic!("no detail") };
    assert_eq!(detail.tags, BTreeMap::from([("Team".into(), "web".into())]));
    assert_eq!(detail.description, None);
    assert_eq!(detail.last_used.unwrap().to_string(), "2026-11-01T12:00:00Z");
}

/// IAM finds a role by its name alone.
#[tokio::test]
async fn a_role_of_another_account_or_path_is_never_asked_for_by_its_name() {
    let wire = Wire::start().await;
    wire.on("GetRole", 200, &iam("GetRole", &format!("<Role>{}</Role>", role_xml("/other/", "cart", "%7B%7D"))));
    let live = live(&wire).await;
    let error = live.role(&cart()).await.unwrap_err();
    assert!(matches!(&error, PortError::Invalid(it) if it.contains("role/other/cart")), "{error}");

    let foreign = RoleArn::parse("arn:aws:iam::999988887777:role/team/cart").unwrap();
    for error in [live.role(&foreign).await.unwrap_err(), live.set_trust(&foreign, "{}").await.unwrap_err()] {
        assert!(matches!(&error, PortError::Invalid(it) if it.contains("999988887777")), "{error}");
    }
    assert_eq!((wire.sent("GetRole").len(), wire.sent("UpdateAssumeRolePolicy").len()), (1, 0));
}

#[tokio::test]
async fn a_cluster_of_another_account_is_never_asked_for_by_its_name() {
    let wire = Wire::start().await;
    let live = live(&wire).await;
    let foreign = ClusterArn::parse("arn:aws:eks:eu-west-1:999988887777:cluster/shop").unwrap();
    let new = NewAssociation {
        subject: Subject { cluster: foreign.clone(), ..subject() },
        role_arn: cart(),
        tags: BTreeMap::new(),
        token: "t".into(),
    };
    for error in [
        live.cluster(&foreign).await.unwrap_err(),
        live.create_association(&new).await.unwrap_err(),
        live.delete_association(&foreign, "a-1").await.unwrap_err(),
    ] {
        assert!(matches!(&error, PortError::Invalid(it) if it.contains("999988887777")), "{error}");
    }
    assert_eq!(wire.recorded.requests.lock().unwrap().len(), 1, "only sts:GetCallerIdentity");
}

#[tokio::test]
async fn providers_are_named_as_in_their_arns() {
    let wire = Wire::start().await;
    let list = "<OpenIDConnectProviderList><member><Arn>arn:aws:iam::111122223333:oidc-provider/\
                oidc.eks.eu-west-1.amazonaws.com/id/AB</Arn></member></OpenIDConnectProviderList>";
    wire.on("ListOpenIDConnectProviders", 200, &iam("ListOpenIDConnectProviders", list));
    let one = "<Url>OIDC.eks.eu-west-1.amazonaws.com/id/AB</Url><ClientIDList><member>sts.amazonaws.com</member></ClientIDList>";
    wire.on("GetOpenIDConnectProvider", 200, &iam("GetOpenIDConnectProvider", one));
    wire.on("GetOpenIDConnectProvider", 404, &iam_error("NoSuchEntity", "gone"));
    let live = live(&wire).await;
    let providers = live.providers().await.unwrap();
    assert_eq!(providers.len(), 1);
    assert_eq!(providers[0].issuer.as_str(), "oidc.eks.eu-west-1.amazonaws.com/id/AB");
    assert_eq!(providers[0].client_ids, ["sts.amazonaws.com"]);
    assert_eq!(live.providers().await, Ok(Vec::new()), "deleted between list and get");
}

#[tokio::test]
async fn the_quota_is_the_accounts_own() {
    let wire = Wire::start().await;
    let entry = |key: &str, value: u32| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    let map = [entry("RolesQuota", 1000), entry("AssumeRolePolicySizeQuota", 4096)].concat();
    wire.on("GetAccountSummary", 200, &iam("GetAccountSummary", &format!("<SummaryMap>{map}</SummaryMap>")));
    wire.on("GetAccountSummary", 200, &iam("GetAccountSummary", "<SummaryMap></SummaryMap>"));
    let live = live(&wire).await;
    assert_eq!(live.trust_quota().await, Ok(4096));
    assert!(matches!(live.trust_quota().await, Err(PortError::Invalid(_))), "never a constant");
}

/// What is sent for the trust policy is the text, byte for byte.
#[tokio::test]
async fn the_trust_policy_is_sent_as_it_is() {
    let wire = Wire::start().await;
    wire.on("UpdateAssumeRolePolicy", 200, "<UpdateAssumeRolePolicyResponse/>");
    let document = "{ \"a+b\" : \"ü%7B&=\"\n}\r\n";
    live(&wire).await.set_trust(&cart(), document).await.unwrap();
    let sent = wire.sent("UpdateAssumeRolePolicy");
    let field = sent[0].split('&').find_map(|it| it.strip_prefix("PolicyDocument=")).unwrap();
    assert_eq!(percent_encoding::percent_decode_str(field).decode_utf8().unwrap(), document);
    assert!(sent[0].contains("RoleName=cart"), "{}", sent[0]);
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_write_only_if_nothing_happened() {
    let wire = Wire::start().await;
    let role = iam("GetRole", &format!("<Role>{}</Role>", role_xml("/team/", "cart", "%7B%7D")));
    wire.on("GetRole", 500, &iam_error("ServiceFailure", "sorry"));
    wire.on("GetRole", 400, &iam_error("Throttling", "Rate exceeded"));
    wire.on("GetRole", 200, &role);
    let live = live(&wire).await;
    live.role(&cart()).await.unwrap();
    assert_eq!(wire.sent("GetRole").len(), 3);

    wire.on("UpdateAssumeRolePolicy", 400, &iam_error("Throttling", "Rate exceeded"));
    wire.on("UpdateAssumeRolePolicy", 400, &iam_error("Throttling", "Rate exceeded"));
    wire.on("UpdateAssumeRolePolicy", 500, &iam_error("ServiceFailure", "sorry"));
    wire.on("UpdateAssumeRolePolicy", 200, "<UpdateAssumeRolePolicyResponse/>");
    let error = live.set_trust(&cart(), "{}").await.unwrap_err();
    assert!(matches!(error, PortError::Server(_)), "{error}");
    assert_eq!(wire.sent("UpdateAssumeRolePolicy").len(), 3);

    let create = "POST /clusters/shop/pod-identity-associations";
    wire.on(create, 429, &eks_error("ThrottlingException", "slow down"));
    wire.on(create, 503, &eks_error("ServiceUnavailableException", "sorry"));
    wire.on(create, 200, "{}");
    let new = NewAssociation { subject: subject(), role_arn: cart(), tags: BTreeMap::new(), token: "t".into() };
    let error = live.create_association(&new).await.unwrap_err();
    assert!(matches!(error, PortError::Server(_)), "{error}");
    assert_eq!(wire.sent(create).len(), 2);
}

#[tokio::test]
async fn throttled_for_good() {
    let wire = Wire::start().await;
    wire.on("ListRoles", 400, &iam_error("Throttling", "Rate exceeded"));
    let error = live(&wire).await.roles().await.unwrap_err();
    assert_eq!(error, PortError::Throttled("iam:ListRoles: Throttling: Rate exceeded".into()));
    assert_eq!(wire.sent("ListRoles").len(), 4);
}

#[tokio::test]
async fn refusals_are_one_line_that_names_the_call() {
    let wire = Wire::start().await;
    let message = "User: arn:aws:sts::111122223333:assumed-role/x\n is not authorized to perform: iam:GetRole";
    wire.on("GetRole", 403, &iam_error("AccessDenied", message));
    wire.on("GetRole", 404, &iam_error("NoSuchEntity", "The role with name cart cannot be found."));
    let live = live(&wire).await;
    let denied = live.role(&cart()).await.unwrap_err();
    let expected = "denied: iam:GetRole cart: AccessDenied: User: arn:aws:sts::111122223333:assumed-role/x is not \
                    authorized to perform: iam:GetRole";
    assert_eq!(denied.to_string(), expected);
    assert!(matches!(live.role(&cart()).await, Err(PortError::NotFound(_))));
}

#[tokio::test]
async fn credentials_that_do_not_count() {
    let wire = Wire::start().await;
    wire.on("ListRoles", 403, &iam_error("ExpiredToken", "The security token included in the request is expired"));
    wire.on("ListRoles", 403, &iam_error("InvalidClientTokenId", "The security token is invalid."));
    let list = "GET /clusters/shop/pod-identity-associations";
    wire.on(list, 403, &eks_error("UnrecognizedClientException", "The security token is invalid."));
    let live = live(&wire).await;
    for error in [
        live.roles().await.unwrap_err(),
        live.roles().await.unwrap_err(),
        live.associations(&shop()).await.unwrap_err(),
    ] {
        assert!(matches!(error, PortError::Credentials(_)), "{error}");
    }
}

/// The SDK reports this as a request that was not dispatched.
#[tokio::test]
async fn no_credentials_at_all() {
    #[derive(Debug)]
    struct Nobody;
    impl aws_credential_types::provider::ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let error =
                aws_credential_types::provider::error::CredentialsError::not_loaded("the SSO session has expired");
            aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
        }
    }
    let sdk = sdk_config()
        .endpoint_url("http://127.0.0.1:9")
        .region(Region::new("eu-west-1"))
        .credentials_provider(Nobody)
        .load()
        .await;
    let error = connect(sdk).await.caller().await.unwrap_err();
    assert!(matches!(&error, PortError::Credentials(it) if it.contains("SSO session has expired")), "{error}");
}

#[tokio::test]
async fn whom_we_could_not_reach() {
    // A port that nobody listens at: it was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = connect(sdk(&format!("http://{address}")).await).await.caller().await.unwrap_err();
    assert!(matches!(&error, PortError::Unreachable(it) if it.contains(&address)), "{error}");
    assert!(error.to_string().starts_with("unreachable: sts:GetCallerIdentity: "), "{error}");
}

/// The server takes the request and hangs up: it may have happened, and is not sent again.
#[tokio::test]
async fn an_answer_that_was_lost() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let writes = Arc::new(Mutex::new(0));
    let counted = writes.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            while !request.contains("Action=") {
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).await.expect("a request");
                request.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
            if request.contains("Action=GetCallerIdentity") {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", CALLER.len());
                stream.write_all((head + CALLER).as_bytes()).await.expect("an answer");
            } else {
                *counted.lock().expect("a count") += 1;
            }
        }
    });
    let error = connect(sdk(&url).await).await.set_trust(&cart(), "{}").await.unwrap_err();
    assert!(matches!(error, PortError::Unreachable(_)), "{error}");
    assert!(error.may_have_happened());
    assert_eq!(*writes.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_eks_says_of_a_cluster() {
    let wire = Wire::start().await;
    let body = format!(
        r#"{{"cluster":{{"name":"shop","arn":"{SHOP}","endpoint":"https://ABC.gr7.eu-west-1.eks.amazonaws.com",
        "certificateAuthority":{{"data":"Q0E="}},"version":"1.34","platformVersion":"eks.9","status":"ACTIVE",
        "identity":{{"oidc":{{"issuer":"https://oidc.eks.eu-west-1.amazonaws.com/id/AB"}}}},
        "computeConfig":{{"enabled":true}}}}}}"#
    );
    wire.on("GET /clusters/shop", 200, &body);
    wire.on("GET /clusters/shop", 200, &body.replace("cluster/shop", "cluster/Shop"));
    let live = live(&wire).await;
    let facts = live.cluster(&shop()).await.unwrap();
    assert_eq!(facts.issuer.unwrap().as_str(), "oidc.eks.eu-west-1.amazonaws.com/id/AB");
    assert_eq!((facts.version.as_str(), facts.platform_version.as_str()), ("1.34", "eks.9"));
    assert_eq!((facts.status.as_str(), facts.auto_mode), ("ACTIVE", true));
    assert_eq!(facts.certificate_authority, "Q0E=");
    assert!(matches!(live.cluster(&shop()).await, Err(PortError::Invalid(_))), "another cluster answered");
}

#[tokio::test]
async fn a_cluster_by_its_name() {
    let wire = Wire::start().await;
    wire.on("GET /clusters/shop", 200, &format!(r#"{{"cluster":{{"name":"shop","arn":"{SHOP}"}}}}"#));
    let named = |name: &str| ClusterAt { cluster: ClusterName::Name(name.into()), context: Some("dev".into()) };
    let live = Live::with_sdk(sdk(&wire.url).await, &config([named("shop")])).await.unwrap();
    assert_eq!(live.clusters().collect::<Vec<_>>(), [(&shop(), Some("dev"))]);
    let twice = Live::with_sdk(sdk(&wire.url).await, &config([named("shop"), named("shop")])).await;
    assert!(matches!(twice.err(), Some(PortError::Invalid(it)) if it.contains("twice")));
}

#[tokio::test]
async fn associations_come_in_pages_and_without_their_detail() {
    let wire = Wire::start().await;
    let list = "GET /clusters/shop/pod-identity-associations";
    let one = |id: &str, owner: &str| {
        format!(r#"{{"associationId":"{id}","namespace":"web","serviceAccount":"{id}","ownerArn":{owner}}}"#)
    };
    wire.on(list, 200, &format!(r#"{{"associations":[{}],"nextToken":"t1"}}"#, one("a-1", "\"\"")));
    wire.on(list, 200, r#"{"associations":[],"nextToken":"t2"}"#);
    wire.on(list, 200, &format!(r#"{{"associations":[{}]}}"#, one("a-2", "\"arn:aws:eks:x\"")));
    let found = live(&wire).await.associations(&shop()).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.owner.as_deref(), it.detail.is_none())).collect();
    assert_eq!(found, [("a-1", None, true), ("a-2", Some("arn:aws:eks:x"), true)]);
    assert_eq!(wire.sent(list), ["maxResults=100", "maxResults=100&nextToken=t1", "maxResults=100&nextToken=t2"]);
}

#[tokio::test]
async fn the_association_of_one_service_account() {
    let wire = Wire::start().await;
    let list = "GET /clusters/shop/pod-identity-associations";
    let one = r#"{"associationId":"a-1","namespace":"web","serviceAccount":"cart"}"#;
    wire.on(list, 200, r#"{"associations":[]}"#);
    wire.on(list, 200, &format!(r#"{{"associations":[{one}]}}"#));
    let describe = "GET /clusters/shop/pod-identity-associations/a-1";
    let detail = r#"{"association":{"associationId":"a-1","namespace":"web","serviceAccount":"cart",
        "roleArn":"arn:aws:iam::111122223333:role/team/cart","targetRoleArn":"","policy":"{}","disableSessionTags":true,
        "tags":{"irsa-migrate:plan":"ab"},"createdAt":1764000000.5}}"#;
    wire.on(describe, 200, detail);
    wire.on(describe, 404, &eks_error("ResourceNotFoundException", "gone"));
    let live = live(&wire).await;
    assert_eq!(live.association_of(&subject()).await, Ok(None));
    let found = live.association_of(&subject()).await.unwrap().unwrap();
    let Some(Seen::Seen(detail)) = found.detail else { panic!("no detail") };
    assert_eq!((detail.role_arn, detail.target_role_arn), (cart(), None));
    assert_eq!((detail.disable_session_tags, detail.has_policy), (true, true));
    assert_eq!(detail.tags, BTreeMap::from([("irsa-migrate:plan".into(), "ab".into())]));
    assert_eq!(detail.created_at.unwrap().to_string(), "2025-11-24T16:00:00.5Z");
    assert_eq!(live.association_of(&subject()).await, Ok(None), "deleted between list and describe");
    assert!(wire.sent(list)[0].contains("namespace=web") && wire.sent(list)[0].contains("serviceAccount=cart"));
}

#[tokio::test]
async fn an_association_is_made_with_our_marks_and_token() {
    let wire = Wire::start().await;
    let create = "POST /clusters/shop/pod-identity-associations";
    wire.on(create, 200, r#"{"association":{}}"#);
    wire.on(create, 409, &eks_error("ResourceInUseException", "Association already exists: a-1"));
    wire.on(create, 400, &eks_error("InvalidRequestException", "Trust policy of the role provided is invalid"));
    let tags = BTreeMap::from([("irsa-migrate:plan".to_owned(), "ab".to_owned())]);
    let new = NewAssociation { subject: subject(), role_arn: cart(), tags, token: "token-1".into() };
    let live = live(&wire).await;
    live.create_association(&new).await.unwrap();
    assert!(matches!(live.create_association(&new).await, Err(PortError::Conflict(_))));
    assert!(matches!(live.create_association(&new).await, Err(PortError::Invalid(it)) if it.contains("Trust policy")));
    let sent: serde_json::Value = serde_json::from_str(&wire.sent(create)[0]).unwrap();
    let expected = serde_json::json!({
        "namespace": "web", "serviceAccount": "cart", "roleArn": "arn:aws:iam::111122223333:role/team/cart",
        "clientRequestToken": "token-1", "tags": {"irsa-migrate:plan": "ab"},
    });
    assert_eq!(sent, expected, "neither target role nor policy, and session tags on");
}

#[tokio::test]
async fn an_association_is_deleted_by_its_id() {
    let wire = Wire::start().await;
    let delete = "DELETE /clusters/shop/pod-identity-associations/a-1";
    wire.on(delete, 200, r#"{"association":{}}"#);
    wire.on(delete, 404, &eks_error("ResourceNotFoundException", "gone"));
    let live = live(&wire).await;
    live.delete_association(&shop(), "a-1").await.unwrap();
    assert!(matches!(live.delete_association(&shop(), "a-1").await, Err(PortError::NotFound(_))));
}

#[tokio::test]
async fn addons_that_use_a_role() {
    let wire = Wire::start().await;
    wire.on("GET /clusters/shop/addons", 200, r#"{"addons":["coredns"],"nextToken":"t"}"#);
    wire.on("GET /clusters/shop/addons", 200, r#"{"addons":["vpc-cni","ebs","gone"]}"#);
    let addon = |name: &str, more: &str| {
        let head = format!(r#""addonName":"{name}","addonVersion":"v1","status":"ACTIVE""#);
        wire.on(&format!("GET /clusters/shop/addons/{name}"), 200, &format!(r#"{{"addon":{{{head}{more}}}}}"#));
    };
    addon("coredns", "");
    addon("vpc-cni", r#","serviceAccountRoleArn":"arn:aws:iam::111122223333:role/cni""#);
    addon(
        "ebs",
        r#","podIdentityAssociations":["arn:aws:eks:eu-west-1:111122223333:podidentityassociation/shop/a-1"]"#,
    );
    let absent = eks_error("ResourceNotFoundException", "No addon: gone found in cluster: shop");
    wire.on("GET /clusters/shop/addons/gone", 404, &absent);
    let found = live(&wire).await.addons(&shop()).await.unwrap();
    let use_of = |name: &str, role: Option<&str>, associations: &[&str]| AddonUse {
        name: name.into(),
        version: "v1".into(),
        status: "ACTIVE".into(),
        role_arn: role.map(str::to_owned),
        association_arns: associations.iter().map(|it| (*it).to_owned()).collect(),
    };
    let association = "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/shop/a-1";
    assert_eq!(
        found,
        [use_of("vpc-cni", Some("arn:aws:iam::111122223333:role/cni"), &[]), use_of("ebs", None, &[association])]
    );
}

#[tokio::test]
async fn no_agent_is_not_no_cluster() {
    let wire = Wire::start().await;
    let call = "GET /clusters/shop/addons/eks-pod-identity-agent";
    wire.on(
        call,
        404,
        &eks_error("ResourceNotFoundException", "No addon: eks-pod-identity-agent found in cluster: shop"),
    );
    wire.on(call, 404, &eks_error("ResourceNotFoundException", "No cluster found for name: shop."));
    let live = live(&wire).await;
    assert_eq!(live.agent_addon(&shop()).await, Ok(None));
    assert!(matches!(live.agent_addon(&shop()).await, Err(PortError::NotFound(_))));
}

/// Where every cluster is given by its ARN, no other region is asked for.
#[tokio::test]
async fn the_region_is_that_of_the_clusters() {
    let arn = ClusterArn::parse("arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop").unwrap();
    let at = ClusterAt { cluster: ClusterName::Arn(arn.clone()), context: None };
    let live = Live::connect(&LiveConfig { profile: Some("nobody".into()), ..config([at]) }).await.unwrap();
    assert_eq!(live.clusters().collect::<Vec<_>>(), [(&arn, None)]);
    // A profile that is not there is told at the first call.
    let error = live.caller().await.unwrap_err();
    assert!(matches!(&error, PortError::Credentials(it) if it.contains("nobody")), "{error}");
}
