//! How a plane is started: files, servers in order, and the wait until it is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::json;

use super::hooks::{self, Hooks};
use super::kubeconfig::{self, User};
use super::pki::{self, Authority};
use super::plane::{Config, Plane};
use super::process::{Guardian, Server, free_port, new_folder};
use super::tools::Tools;
use super::{audit, balance, objects, wait};

/// Starts everything on the current runtime and returns when pods can be created.
pub(super) async fn boot(config: Config) -> Plane {
    let tools = Tools::get();
    let folder = new_folder(&config.name);
    let data = folder.join("data");
    let mut guardian = Guardian::start(&data);
    let authority = Authority::new();
    let hooks = Hooks::new(&config.name, &config.region, config.webhook_replicas);
    let webhooks = hooks.serve(&authority.server()).await;
    let files = Files::write(&folder, &authority, webhooks);

    let etcd = free_port();
    let mut servers = vec![start_etcd(&mut guardian, tools, &folder, &data, etcd)];
    let mut backends = Vec::new();
    for replica in 0..config.api_servers {
        let name = format!("kube-apiserver-{replica}");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let beside = (config.api_servers > 1).then_some(replica);
        let settings = files.admission_settings(&name, beside, webhooks);
        let mut command = Command::new(tools.server("kube-apiserver"));
        command.args(api_server_flags(&config, &files, address, etcd, &settings));
        servers.push(Server::start(&mut guardian, &folder, &name, &mut command));
        backends.push(address);
    }
    let endpoint = if let [only] = backends[..] { only } else { balance::serve(backends.clone()).await };

    let admin_kubeconfig =
        kubeconfig::kubeconfig(&format!("https://{}", backends[0]), &authority, "admin", User::Admin);
    let admin_file = files.path("admin.json");
    std::fs::write(&admin_file, admin_kubeconfig.to_string()).expect("a file in the plane's folder");
    let parsed = Kubeconfig::from_yaml(&admin_kubeconfig.to_string()).expect("a kubeconfig");
    let mut admin =
        kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.expect("a client setting");
    // An eviction that a budget forbids is a 429, which the client would try
    // again for five minutes.
    admin.default_retry = false;
    let client = Client::try_from(admin.clone()).expect("a client");
    hooks.use_client(client.clone());

    for backend in &backends {
        api_server_ready(&mut servers, &client_of(&admin, *backend)).await;
    }
    let registration = hooks::registration(webhooks, authority.certificate());
    wait::create(&Api::all(client.clone()), &registration).await;
    servers.extend(start_controllers(&mut guardian, tools, &folder, &files, &admin_file));

    let mut plane = Plane {
        guardian,
        servers: Mutex::new(servers),
        runtime: None,
        config,
        folder,
        authority,
        endpoint,
        backends,
        hooks,
        admin,
        files: AtomicUsize::new(0),
    };
    settle(&mut plane, &client).await;
    plane
}

/// A client of the API server that listens there.
pub(super) fn client_of(admin: &kube::Config, backend: SocketAddr) -> Client {
    let mut direct = admin.clone();
    direct.cluster_url = format!("https://{backend}").parse().expect("a URL");
    Client::try_from(direct).expect("a client")
}

/// Waits for what the controllers do on their own: the ServiceAccount that every
/// pod needs, nodes that are Ready, and a webhook that the API server has noticed.
async fn settle(plane: &mut Plane, client: &Client) {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    wait::until_one(&accounts, "default", "the controller manager works", |found| found.is_some()).await;
    for number in 0..plane.config.nodes {
        let node = objects::node(&format!("node-{number}"), &plane.config.region);
        plane.add_node(node).await;
    }
    // An API server makes a lease for its host in its own time, and several on one host share it.
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
    let count = plane.config.api_servers.max(plane.config.webhook_replicas).max(1);
    for number in 1..count {
        wait::create(&leases, &objects::api_server_lease(&format!("apiserver-{number}"))).await;
    }
    let identity = "apiserver.kubernetes.io/identity=kube-apiserver";
    wait::until(&leases, identity, "the API server has its lease", |found| found.len() == count).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let started = Instant::now();
    while plane.admissions() == 0 {
        assert!(started.elapsed() < wait::PATIENCE, "the API server does not ask the webhook\n{}", plane.tails());
        pods.create(&dry_run, &objects::pod("first", "default")).await.expect("a pod that may be created");
    }
}

async fn api_server_ready(servers: &mut [Server], client: &Client) {
    let started = Instant::now();
    loop {
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a request");
        if client.request_text(request).await.is_ok() {
            return;
        }
        servers.iter_mut().for_each(Server::assert_running);
        let tails = || servers.iter().map(|server| server.tail(15)).collect::<String>();
        assert!(started.elapsed() < wait::PATIENCE, "the API server is not ready\n{}", tails());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The files that the servers read.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn write(folder: &Path, authority: &Authority, webhooks: SocketAddr) -> Files {
        let files = Files { folder: folder.to_owned() };
        let server = authority.server();
        let (private, public) = pki::service_account_keys();
        files.put("ca.pem", authority.certificate());
        files.put("server.pem", &server.certificate);
        files.put("server.key", &server.key);
        files.put("sa.key", &private);
        files.put("sa.pub", &public);
        let reviewer = kubeconfig::kubeconfig(
            &format!("https://{webhooks}/token-review"),
            authority,
            "token-review",
            User::Nobody,
        );
        files.put("token-review.json", &reviewer.to_string());
        files.put("stages.yaml", &objects::stages(&Tools::get().stages()));
        files.put("audit-policy.json", &audit::policy().to_string());
        files
    }

    /// How an API server presents itself to the admission webhook: as the one
    /// beside replica number `replica`, or as nobody in particular.
    fn admission_settings(&self, name: &str, replica: Option<usize>, webhooks: SocketAddr) -> PathBuf {
        let user = replica.map(|number| json!({"token": format!("replica-{number}")})).unwrap_or(json!({}));
        let users = json!([{"name": webhooks.to_string(), "user": user}]);
        let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "users": users});
        let path = self.put(&format!("{name}-webhooks.json"), &kubeconfig.to_string());
        let settings = json!({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
            "plugins": [{
                "name": "MutatingAdmissionWebhook",
                "configuration": {
                    "apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
                    "kubeConfigFile": path,
                },
            }],
        });
        self.put(&format!("{name}-admission.json"), &settings.to_string())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file in the plane's folder");
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `--flag=PATH`.
    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }
}

fn start_etcd(guardian: &mut Guardian, tools: &Tools, folder: &Path, data: &Path, port: u16) -> Server {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port());
    let mut command = Command::new(tools.server("etcd"));
    command.args([
        format!("--data-dir={}", data.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // Nothing has to survive a power cut.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]);
    Server::start(guardian, folder, "etcd", &mut command)
}

fn api_server_flags(config: &Config, files: &Files, address: SocketAddr, etcd: u16, admission: &Path) -> Vec<String> {
    let issuer = config.issuer();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", address.port()),
        files.flag("tls-cert-file", "server.pem"),
        files.flag("tls-private-key-file", "server.key"),
        files.flag("client-ca-file", "ca.pem"),
        files.flag("service-account-key-file", "sa.pub"),
        files.flag("service-account-signing-key-file", "sa.key"),
        format!("--service-account-issuer={issuer}"),
        format!("--api-audiences={issuer},sts.amazonaws.com"),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        files.flag("authentication-token-webhook-config-file", "token-review.json"),
        "--authentication-token-webhook-version=v1".to_owned(),
        // A test that changes who a caller is should not have to wait.
        "--authentication-token-webhook-cache-ttl=0s".to_owned(),
        format!("--admission-control-config-file={}", admission.display()),
        files.flag("audit-policy-file", "audit-policy.json"),
        files.flag("audit-log-path", &format!("audit-{}.log", address.port())),
        // The controller that would take the taint off again does not run.
        "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
    ]
}

fn start_controllers(
    guardian: &mut Guardian,
    tools: &Tools,
    folder: &Path,
    files: &Files,
    admin: &Path,
) -> [Server; 3] {
    let kubeconfig = format!("--kubeconfig={}", admin.display());
    let mut manager = Command::new(tools.server("kube-controller-manager"));
    manager.args([
        kubeconfig.clone(),
        files.flag("service-account-private-key-file", "sa.key"),
        files.flag("root-ca-file", "ca.pem"),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // On a loaded machine the node lifecycle controller takes nodes for dead.
        "--controllers=*,-node-ipam-controller,-node-route-controller,-node-lifecycle-controller".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    let mut scheduler = Command::new(tools.server("kube-scheduler"));
    scheduler.args([kubeconfig.clone(), "--leader-elect=false".to_owned(), "--secure-port=0".to_owned()]);
    let mut kwok = Command::new(tools.server("kwok"));
    kwok.args([
        kubeconfig,
        files.flag("config", "stages.yaml"),
        "--manage-all-nodes".to_owned(),
        // Without a lease nodes flap, and pods that were Ready never are again.
        "--node-lease-duration-seconds=40".to_owned(),
        "--server-address=127.0.0.1:0".to_owned(),
    ]);
    [
        Server::start(guardian, folder, "kube-controller-manager", &mut manager),
        Server::start(guardian, folder, "kube-scheduler", &mut scheduler),
        Server::start(guardian, folder, "kwok", &mut kwok),
    ]
}
