//! The ways to an API server, and who may do what there.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irsa_migrate::inventory::WorkloadKind;
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::ports::{Cluster as _, PortError};
use serde_json::{Value, json};

use super::{ROLE, arn, by_file, no_aws};
use crate::harness::{Identity, Plane, User, objects};
use crate::recorded::{Wire, sdk};

/// `DescribeCluster` of a plane, and a world with these credentials and no kubeconfig.
async fn by_credentials(plane: &Plane, credentials: &Credentials) -> (Live, Wire) {
    let wire = Wire::start().await;
    let (arn, name) = (plane.config().arn(), &plane.config().name);
    let cluster = json!({
        "arn": arn, "name": name, "status": "ACTIVE", "endpoint": plane.endpoint(),
        "certificateAuthority": {"data": STANDARD.encode(plane.authority())},
        "identity": {"oidc": {"issuer": plane.config().issuer()}},
    });
    wire.on(&format!("GET /clusters/{name}"), 200, &json!({"cluster": cluster}).to_string());
    let sdk = sdk(&wire.url).await.into_builder();
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials.clone());
    let sdk = sdk.credentials_provider(provider).build();
    let at = ClusterAt { cluster: ClusterName::Arn(ClusterArn::parse(&arn).expect("an ARN")), context: None };
    let config = LiveConfig { clusters: vec![at], ..LiveConfig::default() };
    (Live::with_sdk(sdk, &config).await.expect("a world"), wire)
}

#[tokio::test]
async fn aws_credentials_alone_open_the_cluster() {
    let plane = Plane::shared();
    let admin = Credentials::new("AKIAADAPTER", "secret", Some("a+session/token=".to_owned()), None, "test");
    let masters = Identity { user: "ann".to_owned(), groups: vec!["system:masters".to_owned()] };
    plane.accept(admin.clone(), masters);
    let (live, wire) = by_credentials(plane, &admin).await;
    assert_eq!(live.own_issuer(&arn(plane)).await.unwrap().url(), plane.config().issuer());
    assert!(live.nodes(&arn(plane)).await.unwrap().len() >= 2);
    assert_eq!(wire.sent(&format!("GET /clusters/{}", plane.config().name)).len(), 1);

    let stranger = Credentials::new("AKIASTRANGE", "secret", None, None, "test");
    let (live, _wire) = by_credentials(plane, &stranger).await;
    let error = live.nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(error, PortError::Credentials(_)), "{error}");
}

#[tokio::test]
async fn whoever_may_do_nothing_is_told_so() {
    let plane = Plane::shared();
    let powerless = Credentials::new("AKIAPOWERLESS", "secret", None, None, "test");
    plane.accept(powerless.clone(), Identity { user: "nobody".to_owned(), groups: Vec::new() });
    let (live, _wire) = by_credentials(plane, &powerless).await;
    let cluster = arn(plane);
    // The endpoint and the CA are those that EKS names: no other cluster can have answered.
    assert_eq!(live.own_issuer(&cluster).await.unwrap().url(), plane.config().issuer());
    let subject = Subject { cluster: cluster.clone(), namespace: "default".into(), service_account: "default".into() };
    for error in [
        live.api_servers(&cluster).await.unwrap_err(),
        live.service_accounts(&cluster).await.unwrap_err(),
        live.pods_of(&subject).await.unwrap_err(),
        live.nodes(&cluster).await.unwrap_err(),
        live.workloads(&cluster, WorkloadKind::ReplicaSet, None).await.unwrap_err(),
        live.probe(&subject, None).await.unwrap_err(),
        live.evict(&cluster, "default", "pod", "uid").await.unwrap_err(),
        live.lease(&cluster, "kube-system", "irsa-migrate").await.unwrap_err(),
    ] {
        assert!(matches!(&error, PortError::Denied(it) if it.contains("nobody")), "{error}");
    }
}

fn write(folder: &Path, kubeconfig: &Value) -> PathBuf {
    let path = folder.join("kubeconfig.json");
    std::fs::write(&path, kubeconfig.to_string()).expect("a file");
    path
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

#[tokio::test]
async fn an_exec_plugin_runs_once_and_not_for_every_probe() {
    let plane = Plane::shared();
    let space = plane.namespace("adapter-exec").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    let caller = Credentials::new("AKIAEXEC", "secret", None, None, "test");
    plane.accept(caller.clone(), Identity { user: "eve".to_owned(), groups: vec!["system:masters".to_owned()] });
    let token = crate::harness::eks_token(&caller, &plane.config().region, &plane.config().name);
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}});
    let script = format!("echo run >> {}; echo '{credential}'", runs.display());
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Nobody));
    kubeconfig["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", script], "interactiveMode": "Never"}});
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: space.name.clone(), service_account: "app".into() };
    live.probe(&subject, None).await.unwrap();
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    let to_connect = count();
    for _ in 0..5 {
        live.probe(&subject, None).await.unwrap();
        live.pods_of(&subject).await.unwrap();
    }
    assert_eq!(count(), to_connect);

    kubeconfig["users"][0]["user"]["exec"]["args"][1] = json!("echo s3cret; echo no session >&2; exit 1");
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let error = live.nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(&error, PortError::Credentials(it) if it.contains("no session")), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// A proxy that counts the tunnels it opens.
async fn proxy() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let tunnels = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(char::from(client.read_u8().await.expect("a request")));
                }
                let target = head.split(' ').nth(1).expect("a target");
                let mut server = tokio::net::TcpStream::connect(target).await.expect("a server");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("an answer");
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, tunnels)
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    let plane = Plane::shared();
    let space = plane.namespace("adapter-proxy").await;
    space.create_object(&objects::service_account("app", Some(ROLE))).await;
    let (url, tunnels) = proxy().await;
    let folder = tempfile::tempdir().unwrap();
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Admin));
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = json!(url);
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: space.name.clone(), service_account: "app".into() };
    live.own_issuer(&arn(plane)).await.unwrap();
    let opened = || tunnels.load(std::sync::atomic::Ordering::SeqCst);
    let before = opened();
    assert!(before >= 1);
    for _ in 0..3 {
        live.probe(&subject, None).await.unwrap();
    }
    assert_eq!(opened(), before + 3, "each probe has a connection of its own");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named() {
    let plane = Plane::shared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let mut kubeconfig = read(&plane.kubeconfig("cluster", User::Admin));
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    let live = by_file(plane, write(folder.path(), &kubeconfig)).await;
    let subject = Subject { cluster: arn(plane), namespace: "default".into(), service_account: "default".into() };
    for error in [live.nodes(&arn(plane)).await.unwrap_err(), live.probe(&subject, None).await.unwrap_err()] {
        assert!(matches!(&error, PortError::Unreachable(it) if it.contains(&address)), "{error}");
    }

    let at = |context: &str| ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some(context.to_owned()) };
    let kubeconfig = Some(plane.kubeconfig("cluster", User::Admin));
    let config = LiveConfig { kubeconfig, clusters: vec![at("elsewhere")], ..LiveConfig::default() };
    let error = Live::with_sdk(no_aws().await, &config).await.unwrap().nodes(&arn(plane)).await.unwrap_err();
    assert!(matches!(&error, PortError::Invalid(it) if it.contains("elsewhere")), "{error}");
}

/// An issuer that was denied is only known where server and CA are those that EKS names.
#[tokio::test]
async fn a_denied_issuer_is_not_guessed() {
    let plane = Plane::shared();
    let wire = Wire::start().await;
    let name = &plane.config().name;
    let cluster = |endpoint: &str| {
        let facts = json!({"arn": plane.config().arn(), "name": name, "status": "ACTIVE", "endpoint": endpoint,
            "certificateAuthority": {"data": STANDARD.encode(plane.authority())},
            "identity": {"oidc": {"issuer": plane.config().issuer()}}});
        json!({"cluster": facts}).to_string()
    };
    wire.on(&format!("GET /clusters/{name}"), 200, &cluster("https://another.example.com"));
    wire.on(&format!("GET /clusters/{name}"), 200, &cluster(&plane.endpoint()));
    let kubeconfig = Some(plane.kubeconfig("cluster", User::Named { user: "anybody", group: None }));
    let at = ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some("cluster".to_owned()) };
    let config = LiveConfig { kubeconfig, clusters: vec![at], ..LiveConfig::default() };
    let live = Live::with_sdk(sdk(&wire.url).await, &config).await.unwrap();
    let denied = live.own_issuer(&arn(plane)).await;
    assert!(matches!(denied, Err(PortError::Denied(_))), "{denied:?}");
    assert_eq!(live.own_issuer(&arn(plane)).await.unwrap().url(), plane.config().issuer());
}
