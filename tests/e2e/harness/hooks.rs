//! The two webhooks of a plane, served over HTTPS from inside the test process:
//! pod admission (what EKS runs beside each API server) and token review (the
//! EKS authenticator).

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::pki::Identified;
use super::tokens::{self, Identity};
use super::webhook::{self, AssociationView};

/// What replica number `.0` of the admission webhook knows of the namespace `.1`
/// and the ServiceAccount `.2` at this moment. Lag, and replicas that disagree,
/// are this function's to make up.
pub(crate) type Feed = Arc<dyn Fn(usize, &str, &str) -> Option<AssociationView> + Send + Sync>;

/// What the webhooks answer from. One plane is shared by many tests, so what a
/// test says holds for its own namespace.
pub(crate) struct Hooks {
    cluster: String,
    region: String,
    replicas: usize,
    next: AtomicUsize,
    admissions: AtomicU64,
    /// By namespace; the empty name is every other namespace.
    feeds: RwLock<HashMap<String, Feed>>,
    callers: RwLock<BTreeMap<String, (Credentials, Identity)>>,
    client: OnceLock<Client>,
}

impl Hooks {
    pub(crate) fn new(cluster: &str, region: &str, replicas: usize) -> Arc<Hooks> {
        Arc::new(Hooks {
            cluster: cluster.to_owned(),
            region: region.to_owned(),
            replicas,
            next: AtomicUsize::new(0),
            admissions: AtomicU64::new(0),
            feeds: RwLock::default(),
            callers: RwLock::default(),
            client: OnceLock::new(),
        })
    }

    /// Serves both webhooks on a free port; ends with the runtime it is called on.
    pub(crate) async fn serve(self: &Arc<Hooks>, identity: &Identified) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
        listener.set_nonblocking(true).expect("a listener for async use");
        let address = listener.local_addr().expect("a bound listener has an address");
        let tls = RustlsConfig::from_pem(identity.certificate.clone().into(), identity.key.clone().into())
            .await
            .expect("a certificate and its key");
        let router = Router::new()
            .route("/mutate", post(mutate))
            .route("/token-review", post(token_review))
            .with_state(Arc::clone(self));
        let server = axum_server::from_tcp_rustls(listener, tls).expect("a listening server");
        tokio::spawn(async move { server.serve(router.into_make_service()).await });
        address
    }

    /// The client that looks ServiceAccounts up, once there is an API server.
    pub(crate) fn use_client(&self, client: Client) {
        assert!(self.client.set(client).is_ok(), "one API for the whole life of a plane");
    }

    /// From now on `feed` answers for every ServiceAccount of `namespace`, or of
    /// the namespaces that nobody else answers for if that is empty.
    pub(crate) fn feed(&self, namespace: &str, feed: Feed) {
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned(), feed);
    }

    /// From now on EKS tokens made with `credentials` are `identity`.
    pub(crate) fn accept(&self, credentials: Credentials, identity: Identity) {
        let key = credentials.access_key_id().to_owned();
        self.callers.write().unwrap_or_else(PoisonError::into_inner).insert(key, (credentials, identity));
    }

    /// How many pods have come by.
    pub(crate) fn admissions(&self) -> u64 {
        self.admissions.load(Ordering::SeqCst)
    }

    /// With several API servers each one names its replica in its credentials;
    /// with one, the replicas take turns.
    fn replica(&self, headers: &HeaderMap) -> usize {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let named = bearer.and_then(|text| text.strip_prefix("Bearer replica-")).and_then(|text| text.parse().ok());
        named.unwrap_or_else(|| self.next.fetch_add(1, Ordering::SeqCst) % self.replicas)
    }

    fn association(&self, replica: usize, namespace: &str, service_account: &str) -> Option<AssociationView> {
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds.get(namespace).or_else(|| feeds.get(""))?;
        feed(replica, namespace, service_account)
    }

    async fn annotations(&self, namespace: &str, service_account: &str) -> Option<BTreeMap<String, String>> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.get()?.clone(), namespace);
        let found = api.get_opt(service_account).await.ok()??;
        Some(found.metadata.annotations.unwrap_or_default())
    }
}

async fn mutate(State(hooks): State<Arc<Hooks>>, headers: HeaderMap, Json(review): Json<Value>) -> Json<Value> {
    let request = &review["request"];
    let pod = &request["object"];
    let namespace = request["namespace"].as_str().unwrap_or_default();
    let service_account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let uid = request["uid"].as_str().unwrap_or_default();

    let association = hooks.association(hooks.replica(&headers), namespace, service_account);
    let annotations = hooks.annotations(namespace, service_account).await;
    let seed = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let after = webhook::inject(pod, association.as_ref(), annotations.as_ref(), &hooks.region, seed);
    hooks.admissions.fetch_add(1, Ordering::SeqCst);

    let mut response = json!({"uid": uid, "allowed": true});
    if after != *pod {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(webhook::patch(pod, &after).to_string()));
    }
    Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

#[expect(clippy::disallowed_methods, reason = "the clock of a server that stands outside the product")]
async fn token_review(State(hooks): State<Arc<Hooks>>, Json(review): Json<Value>) -> Json<Value> {
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let callers = hooks.callers.read().unwrap_or_else(PoisonError::into_inner);
    Json(tokens::review(tokens::authenticate(token, &hooks.cluster, &callers, SystemTime::now())))
}

/// The registration of the admission webhook, as EKS makes it.
pub(crate) fn registration(address: SocketAddr, authority: &str) -> MutatingWebhookConfiguration {
    serde_json::from_value(json!({
        "metadata": {"name": "pod-identity-webhook"},
        "webhooks": [{
            "name": "iam-for-pods.amazonaws.com",
            "clientConfig": {"url": format!("https://{address}/mutate"), "caBundle": STANDARD.encode(authority)},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "objectSelector": {"matchExpressions": [{"key": webhook::SKIP_LABEL, "operator": "DoesNotExist"}]},
            "failurePolicy": "Ignore",
            // The longest that Kubernetes takes: on a loaded machine a late answer
            // would be no answer, and the pod admitted without credentials.
            "timeoutSeconds": 30,
            "sideEffects": "None",
            "reinvocationPolicy": "IfNeeded",
            "admissionReviewVersions": ["v1"],
        }],
    }))
    .expect("a registration")
}
