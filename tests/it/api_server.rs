//! The Kubernetes side of `live` against recorded answers: what a real API server does too rarely
//! to be waited for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irsa_migrate::inventory::WorkloadKind;
use irsa_migrate::inventory::WorkloadRef;
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig};
use irsa_migrate::model::ClusterArn;
use irsa_migrate::ports::{Answer, Cluster as _, PortError, Stamping};
use serde_json::{Value, json};

use crate::recorded::{Wire, sdk};

const NODES: &str = "GET /api/v1/nodes";
const AGENTS: &str = "GET /api/v1/pods";
const WEB: &str = "/apis/apps/v1/namespaces/web/deployments/cart";

fn shop() -> ClusterArn {
    ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").expect("an ARN")
}

/// A world whose API server is the wire, by a kubeconfig.
async fn live(wire: &Wire) -> (Live, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubeconfig.json");
    let kubeconfig = json!({
        "clusters": [{"name": "shop", "cluster": {"server": wire.url}}],
        "users": [{"name": "ann", "user": {"token": "t"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "shop", "user": "ann"}}],
    });
    std::fs::write(&file, kubeconfig.to_string()).expect("a file");
    let at = ClusterAt { cluster: ClusterName::Arn(shop()), context: Some("dev".into()) };
    let config = LiveConfig { kubeconfig: Some(file), clusters: vec![at], ..LiveConfig::default() };
    wire.on(AGENTS, 200, &list(&[], None));
    (Live::with_sdk(sdk(&wire.url).await, &config).await.expect("a world"), folder)
}

fn list(names: &[&str], more: Option<&str>) -> String {
    let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name}})).collect();
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": more}, "items": items}).to_string()
}

fn status(code: u16, message: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}).to_string()
}

async fn nodes(live: &Live) -> Answer<Vec<String>> {
    Ok(live.nodes(&shop()).await?.into_iter().map(|it| it.name).collect())
}

#[tokio::test]
async fn a_list_goes_on_page_by_page() {
    let wire = Wire::start().await;
    wire.on(NODES, 200, &list(&["n1"], Some("c1")));
    wire.on(NODES, 200, &list(&["n2"], Some("c2")));
    wire.on(NODES, 200, &list(&["n3"], Some("")));
    let (live, _folder) = live(&wire).await;
    assert_eq!(nodes(&live).await.unwrap(), ["n1", "n2", "n3"]);
    assert_eq!(wire.sent(NODES), ["&limit=500", "&limit=500&continue=c1", "&limit=500&continue=c2"]);
}

/// A list that takes too long is forgotten by the server.
#[tokio::test]
async fn a_list_that_was_forgotten_begins_again() {
    let wire = Wire::start().await;
    wire.on(NODES, 200, &list(&["n1", "old"], Some("c1")));
    wire.on(NODES, 410, &status(410, "The provided continue parameter is too old"));
    wire.on(NODES, 200, &list(&["n1"], Some("c2")));
    wire.on(NODES, 200, &list(&["n2"], None));
    let (live, _folder) = live(&wire).await;
    assert_eq!(nodes(&live).await.unwrap(), ["n1", "n2"]);

    let wire = Wire::start().await;
    wire.on(NODES, 200, &list(&["n1"], Some("c1")));
    wire.on(NODES, 410, &status(410, "The provided continue parameter is too old"));
    wire.on(NODES, 200, &list(&["n1"], Some("c1")));
    wire.on(NODES, 410, &status(410, "The provided continue parameter is too old"));
    let (live, _folder) = self::live(&wire).await;
    assert!(matches!(nodes(&live).await, Err(PortError::Conflict(_))), "not for ever");
}

#[tokio::test]
async fn a_read_is_sent_again_where_that_may_help() {
    let wire = Wire::start().await;
    wire.on(NODES, 429, &status(429, "too many requests"));
    wire.on(NODES, 200, &list(&["n1"], None));
    wire.on(NODES, 503, "upstream connect error");
    wire.on(NODES, 200, &list(&["n1"], None));
    wire.on(NODES, 403, &status(403, "nodes is forbidden: User \"ann\" cannot list resource \"nodes\""));
    let (live, _folder) = live(&wire).await;
    for sent in [2, 4] {
        assert_eq!(nodes(&live).await.unwrap(), ["n1"]);
        assert_eq!(wire.sent(NODES).len(), sent);
    }
    let denied = nodes(&live).await.unwrap_err();
    let expected = "denied: list nodes: nodes is forbidden: User \"ann\" cannot list resource \"nodes\"";
    assert_eq!((denied.to_string().as_str(), wire.sent(NODES).len()), (expected, 5));
}

fn deployment(version: &str, stamp: Option<&str>) -> String {
    let template = json!({"metadata": {"annotations": {"irsa-migrate/restart": stamp}}});
    let metadata = json!({"name": "cart", "namespace": "web", "uid": "u1", "resourceVersion": version});
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata, "spec": {"template": template}})
        .to_string()
}

fn stamping() -> Stamping {
    let workload = WorkloadRef { kind: WorkloadKind::Deployment, namespace: "web".into(), name: "cart".into() };
    Stamping { workload, uid: "u1".into(), before: None, after: Some("plan-1".into()) }
}

/// The status of a workload changes all the time, which is no change of the stamp.
#[tokio::test]
async fn a_stamp_is_one_patch_of_the_object_that_was_seen() {
    let (get, patch) = (format!("GET {WEB}"), format!("PATCH {WEB}"));
    let wire = Wire::start().await;
    wire.on(&get, 200, &deployment("7", None));
    wire.on(&get, 200, &deployment("8", None));
    wire.on(&patch, 409, &status(409, "the object has been modified"));
    wire.on(&patch, 200, &deployment("9", Some("plan-1")));
    let (live, _folder) = live(&wire).await;
    live.stamp(&shop(), &stamping()).await.unwrap();
    let sent: Vec<Value> = wire.sent(&patch).iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    let body = |version: &str| {
        json!({"metadata": {"uid": "u1", "resourceVersion": version},
            "spec": {"template": {"metadata": {"annotations": {"irsa-migrate/restart": "plan-1"}}}}})
    };
    assert_eq!(sent, [body("7"), body("8")], "the key, and what binds it to the object; nothing else");
}

#[tokio::test]
async fn a_stamp_that_somebody_set_meanwhile_stays() {
    let (get, patch) = (format!("GET {WEB}"), format!("PATCH {WEB}"));
    let wire = Wire::start().await;
    wire.on(&get, 200, &deployment("7", None));
    wire.on(&get, 200, &deployment("8", Some("theirs")));
    wire.on(&patch, 409, &status(409, "the object has been modified"));
    let (live, _folder) = live(&wire).await;
    let error = live.stamp(&shop(), &stamping()).await.unwrap_err();
    assert!(matches!(&error, PortError::Conflict(it) if it.contains("theirs")), "{error}");
    assert_eq!(wire.sent(&patch).len(), 1);
}

#[tokio::test]
async fn a_write_is_never_sent_again_blindly() {
    let (get, patch) = (format!("GET {WEB}"), format!("PATCH {WEB}"));
    let wire = Wire::start().await;
    wire.on(&get, 200, &deployment("7", None));
    wire.on(&patch, 504, &status(504, "Timeout: request did not complete within the allotted timeout"));
    let (live, _folder) = live(&wire).await;
    let error = live.stamp(&shop(), &stamping()).await.unwrap_err();
    assert!(matches!(error, PortError::Server(_)) && error.may_have_happened(), "{error}");
    assert_eq!(wire.sent(&patch).len(), 1);
}

#[tokio::test]
async fn a_servers_words_are_one_line() {
    let wire = Wire::start().await;
    let long = format!("no\n\u{1b}[31m{}", "x".repeat(100_000));
    wire.on(NODES, 403, &status(403, &long));
    let (live, _folder) = live(&wire).await;
    let error = nodes(&live).await.unwrap_err().to_string();
    assert!(error.chars().count() < 650 && !error.contains(['\n', '\u{1b}']), "{error}");
}

/// A token that was not taken is made again; one that is still not taken is told.
#[tokio::test]
async fn a_token_is_made_again_when_it_is_not_taken() {
    let wire = Wire::start().await;
    let authority = rcgen::generate_simple_self_signed(["shop".to_owned()]).unwrap().cert.pem();
    let facts = json!({"cluster": {"name": "shop", "arn": shop().as_str(), "status": "ACTIVE", "endpoint": wire.url,
        "certificateAuthority": {"data": STANDARD.encode(authority)}}});
    wire.on("GET /clusters/shop", 200, &facts.to_string());
    wire.on(AGENTS, 200, &list(&[], None));
    wire.on(NODES, 401, &status(401, "Unauthorized"));
    wire.on(NODES, 200, &list(&["n1"], None));
    let at = ClusterAt { cluster: ClusterName::Arn(shop()), context: None };
    let config = LiveConfig { clusters: vec![at], ..LiveConfig::default() };
    let live = Live::with_sdk(sdk(&wire.url).await, &config).await.unwrap();
    assert_eq!(nodes(&live).await.unwrap(), ["n1"]);
    assert_eq!(wire.sent(NODES).len(), 2);
}

#[tokio::test]
async fn a_cluster_that_is_being_made_has_no_endpoint() {
    let wire = Wire::start().await;
    let facts = json!({"cluster": {"name": "shop", "arn": shop().as_str(), "status": "CREATING"}});
    wire.on("GET /clusters/shop", 200, &facts.to_string());
    let at = ClusterAt { cluster: ClusterName::Arn(shop()), context: None };
    let config = LiveConfig { clusters: vec![at], ..LiveConfig::default() };
    let error = nodes(&Live::with_sdk(sdk(&wire.url).await, &config).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, PortError::Unreachable(it) if it.contains("CREATING")), "{error}");
}
