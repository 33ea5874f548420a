//! Real tokens, and an STS that is somebody else's: whoever could assume a role before a migration
//! can at every moment of it and of its way back, and nobody else.
//!
//! IAM and STS are ministack's, EKS is the wire's. ministack keeps its documents for itself, so the
//! wire is shown them at each call to EKS, which looks at a role's trust policy when an association
//! is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use futures::FutureExt as _;
use serde_json::json;

use super::calls::{Call, Kind};
use super::stage::{Stage, role};
use super::tell;
use crate::harness::{Decide, Emulator, Fate, Mode, Plane, Relay};
use crate::wire::Wire;

const SPACE: &str = "tokens";
/// Each ServiceAccount and the role that it has; `web` shares one with `cart`.
const HAVE: [(&str, &str); 3] = [("cart", "shop"), ("web", "shop"), ("ledger", "ledger")];
/// Has none, and is tried all the same.
const STRANGER: &str = "stranger";
const ROLES: [&str; 2] = ["shop", "ledger"];

/// The ServiceAccounts and the roles that their tokens open.
type Open = BTreeSet<(&'static str, &'static str)>;

/// The doors to the roles, and who stands before them with a token.
struct Doors {
    plane: &'static Plane,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    tokens: Mutex<BTreeMap<&'static str, String>>,
    /// Which doors were open when a call was about to be sent.
    moments: Mutex<Vec<(String, Open)>>,
}

impl Doors {
    async fn new(plane: &'static Plane, ministack: &Emulator) -> Doors {
        let settings = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(ministack.endpoint())
            .region("eu-west-1")
            .credentials_provider(Credentials::new(&plane.config().account, "secret", None, None, "test"))
            .load()
            .await;
        let (iam, sts) = (aws_sdk_iam::Client::new(&settings), aws_sdk_sts::Client::new(&settings));
        let issuer = plane.config().issuer();
        let provider = iam.create_open_id_connect_provider().url(&issuer).client_id_list("sts.amazonaws.com");
        provider.send().await.expect("a provider");
        for name in ROLES {
            let document = trust(plane, &HAVE.iter().filter(|it| it.1 == name).map(|it| it.0).collect::<Vec<_>>());
            iam.create_role().role_name(name).assume_role_policy_document(document).send().await.expect("a role");
        }
        Doors { plane, iam, sts, tokens: Mutex::default(), moments: Mutex::default() }
    }

    /// Which tokens open which roles now.
    async fn open(&self) -> Open {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut open = Open::new();
        for (account, token) in tokens {
            for name in ROLES {
                let assume = self.sts.assume_role_with_web_identity().role_session_name("test");
                let arn = role(self.plane, name);
                match assume.role_arn(arn.as_str()).web_identity_token(&token).send().await {
                    Ok(_) => _ = open.insert((account, name)),
                    Err(error) => {
                        let error = error.into_service_error();
                        assert_eq!(error.meta().code(), Some("AccessDenied"), "{account} at {name}: {error:?}");
                    }
                }
            }
        }
        open
    }

    /// The text of a role's trust policy.
    async fn document(&self, name: &str) -> String {
        let found = self.iam.get_role().role_name(name).send().await.expect("a role").role.expect("a role");
        let text = found.assume_role_policy_document.expect("a trust policy");
        percent_encoding::percent_decode_str(&text).decode_utf8().expect("UTF-8").into_owned()
    }

    async fn documents(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::new();
        for name in ROLES {
            all.insert(name, self.document(name).await);
        }
        all
    }

    async fn set_document(&self, name: &str, text: &str) {
        let update = self.iam.update_assume_role_policy().role_name(name).policy_document(text);
        update.send().await.expect("a trust policy that is taken");
    }

    /// Shows the wire the trust policies of this moment.
    async fn show(&self, wire: &Wire) {
        for (name, text) in self.documents().await {
            let arn = role(self.plane, name);
            wire.world().edit_trust(&arn, Some(&text)).expect("the role");
        }
    }

    async fn note(&self, call: Call) {
        let open = self.open().await;
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).push((call.name, open));
    }

    fn take_moments(&self) -> Vec<(String, Open)> {
        std::mem::take(&mut *self.moments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A trust policy for these ServiceAccounts, by their names alone: ministack refuses a list as an
/// audience, and Kubernetes makes no other.
fn trust(plane: &Plane, accounts: &[&str]) -> String {
    let issuer = plane.config().issuer().replace("https://", "");
    let subjects: Vec<String> = accounts.iter().map(|it| format!("system:serviceaccount:{SPACE}:{it}")).collect();
    let principal = format!("arn:aws:iam::{}:oidc-provider/{issuer}", plane.config().account);
    let statement = json!({
        "Effect": "Allow",
        "Principal": {"Federated": principal},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {format!("{issuer}:sub"): subjects}},
    });
    serde_json::to_string_pretty(&json!({"Version": "2012-10-17", "Statement": [statement]})).expect("JSON")
}

/// Looks at all doors before each call to AWS.
fn before_aws(doors: &Arc<Doors>, wire: Option<Arc<Wire>>) -> Decide {
    let doors = Arc::clone(doors);
    Arc::new(move |asked| {
        let (doors, wire) = (Arc::clone(&doors), wire.clone());
        async move {
            if let Some(wire) = wire {
                doors.show(&wire).await;
            }
            doors.note(Call::of_aws(&asked)).await;
            Fate::Pass
        }
        .boxed()
    })
}

/// Looks at all doors before each write to the cluster.
fn before_cluster(doors: &Arc<Doors>) -> Decide {
    let doors = Arc::clone(doors);
    Arc::new(move |asked| {
        let doors = Arc::clone(&doors);
        async move {
            let call = Call::of_kubernetes(&asked);
            if call.kind == Kind::Write {
                doors.note(call).await;
            }
            Fate::Pass
        }
        .boxed()
    })
}

#[tokio::test]
async fn tokens_open_the_same_roles_at_every_moment() {
    let plane = Stage::shared_plane().await;
    let ministack = Emulator::ministack();
    let doors = Arc::new(Doors::new(plane, &ministack).await);
    let cluster = Relay::before_plane(plane, before_cluster(&doors)).await;
    let endpoint = format!("https://{}", cluster.address());
    let mut stage = Stage::behind(&endpoint, plane, SPACE, |world| {
        ROLES.iter().fold(world, |world, name| {
            let have = HAVE.iter().filter(|it| it.1 == *name);
            world.role(name, &have.map(|it| (SPACE, it.0)).collect::<Vec<_>>())
        })
    })
    .await;
    stage.hurry();
    for (account, role) in HAVE {
        stage.app(account, role, 2).await;
    }
    stage.space.create_object(&crate::harness::objects::service_account(STRANGER, None)).await;
    for account in HAVE.map(|it| it.0).into_iter().chain([STRANGER]) {
        let token = stage.space.token(account, "sts.amazonaws.com").await;
        doors.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(account, token);
    }
    // The account's number is its access key, for ministack; the cluster takes it as well.
    let key = plane.config().account.clone();
    stage.let_in(&key, &stage.user);
    let iam = Relay::before_aws(ministack.endpoint(), before_aws(&doors, None));
    let eks = Relay::before_aws(&stage.wire.url(), before_aws(&doors, Some(Arc::clone(&stage.wire))));
    let url = |relay: &Relay| format!("http://{}", relay.address());
    stage.variables = [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_ENDPOINT_URL_IAM", url(&iam)),
        ("AWS_ENDPOINT_URL_STS", url(&iam)),
        ("AWS_ENDPOINT_URL_EKS", url(&eks)),
        // Whatever else it asked for would be seen: nobody listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned()),
    ]
    .into();

    let expected: Open = HAVE.into();
    assert_eq!(doors.open().await, expected, "before");
    // That a door can close, and would be noticed: without the grant of one role, and with it again.
    let documents = doors.documents().await;
    doors.set_document("shop", &trust(plane, &["nobody"])).await;
    assert_eq!(doors.open().await, [("ledger", "ledger")].into(), "only the other role is left");
    doors.set_document("shop", &documents["shop"]).await;
    assert_eq!(doors.open().await, expected);

    doors.show(&stage.wire).await;
    let before = stage.state().await;
    let planned = stage.plan().await;
    assert_eq!(planned.plan.units.len(), 5, "two roles, three ServiceAccounts");
    let phases = [("planning", doors.take_moments())];
    stage.apply(&planned).await.ended(0);
    assert_eq!(stage.modes(&HAVE.map(|it| it.0)).await, [Mode::PodIdentity].into());
    assert_ne!(doors.documents().await, documents);
    assert_eq!(doors.open().await, expected, "after");
    let phases = phases.into_iter().chain([("applying", doors.take_moments())]).collect::<Vec<_>>();
    stage.roll_back(&planned).await.ended(0);
    assert_eq!(doors.open().await, expected, "after the way back");
    let phases = phases.into_iter().chain([("rolling back", doors.take_moments())]).collect::<Vec<_>>();
    doors.show(&stage.wire).await;
    assert_eq!(doors.documents().await, documents, "byte for byte");
    assert_eq!(stage.state().await, before);

    for (phase, moments) in &phases {
        for (call, open) in moments {
            assert_eq!(*open, expected, "{phase}, before {call}");
        }
        tell(&format!("{phase}: {} moments, {} tries each", moments.len(), (HAVE.len() + 1) * ROLES.len()));
    }
    let of = |phase: usize, name: &str| phases[phase].1.iter().filter(|it| it.0 == name).count();
    let (there, back) = (1, 2);
    assert_eq!([of(there, "UpdateAssumeRolePolicy"), of(back, "UpdateAssumeRolePolicy")], [2, 2]);
    assert_eq!(of(there, "POST pod-identity-associations"), 3);
    assert_eq!(of(back, "DELETE pod-identity-associations"), 3);
    assert_eq!([of(there, "PATCH deployments"), of(back, "PATCH deployments")], [3, 3]);
}
