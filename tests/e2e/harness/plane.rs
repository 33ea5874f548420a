//! One Kubernetes control plane, started and ended by the tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_credential_types::Credentials;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::audit::{self, Audited};
use super::boot;
use super::hooks::{Feed, Hooks};
use super::kubeconfig::{self, User};
use super::namespace::{TestNamespace, Workload};
use super::pki::Authority;
use super::process::{Guardian, Server};
use super::tokens::Identity;
use super::{objects, wait};

/// What a plane is told before it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The name of the EKS cluster that it plays.
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) account: String,
    /// How many API servers run. With more than one, connections are dealt to
    /// them in turn, and number i asks replica i of the admission webhook: a
    /// kept-alive connection sees one replica only, as on EKS. Each takes some
    /// 250 MiB.
    pub(crate) api_servers: usize,
    /// How many replicas of the admission webhook take turns behind one API
    /// server: cheaper, and every request may meet another one.
    pub(crate) webhook_replicas: usize,
    /// Nodes that are there from the start, named `node-0`, `node-1`, ...
    pub(crate) nodes: usize,
}

impl Config {
    /// One API server, one webhook, two nodes.
    pub(crate) fn named(name: &str) -> Config {
        Config {
            name: name.to_owned(),
            region: "eu-west-1".to_owned(),
            account: "111122223333".to_owned(),
            api_servers: 1,
            webhook_replicas: 1,
            nodes: 2,
        }
    }

    /// `arn:aws:eks:REGION:ACCOUNT:cluster/NAME`.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:eks:{}:{}:cluster/{}", self.region, self.account, self.name)
    }

    /// The issuer of its ServiceAccount tokens, of the form that EKS uses, made
    /// from the name: two planes have two issuers.
    pub(crate) fn issuer(&self) -> String {
        let id: String = Sha256::digest(&self.name).iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        format!("https://oidc.eks.{}.amazonaws.com/id/{id}", self.region)
    }
}

/// A running control plane: etcd, API servers, controller manager, scheduler,
/// kwok, and the webhooks inside this process. Everything ends when it is dropped.
pub(crate) struct Plane {
    // Dropped before the servers, or it would end them a second time.
    #[expect(dead_code, reason = "held for its Drop")]
    pub(super) guardian: Guardian,
    pub(super) servers: Mutex<Vec<Server>>,
    pub(super) runtime: Option<Runtime>,
    pub(super) config: Config,
    pub(super) folder: PathBuf,
    pub(super) authority: Authority,
    pub(super) endpoint: SocketAddr,
    /// Where each API server listens.
    pub(super) backends: Vec<SocketAddr>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) admin: kube::Config,
    pub(super) files: AtomicUsize,
}

impl Plane {
    /// Starts a plane of one's own and waits until it is ready: pods are admitted
    /// through the webhook, ServiceAccounts are made, nodes are Ready. Panics with
    /// the ends of the logs if that does not happen.
    pub(crate) fn start(config: Config) -> Plane {
        // The servers inside this process outlive the runtime of a single test,
        // and a runtime cannot be started from within another one.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            let mut plane = runtime.block_on(boot::boot(config));
            plane.runtime = Some(runtime);
            plane
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The plane that tests share, started by the first one that asks. Tests keep
    /// to namespaces of their own on it.
    pub(crate) fn shared() -> &'static Plane {
        static SHARED: LazyLock<Plane> =
            LazyLock::new(|| Plane::start(Config { webhook_replicas: 2, ..Config::named("shared") }));
        &SHARED
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The address that clients dial, as `DescribeCluster` would say it.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.endpoint)
    }

    /// The certificate of the cluster's authority, PEM; `DescribeCluster` says it
    /// in base64.
    pub(crate) fn authority(&self) -> &str {
        self.authority.certificate()
    }

    /// A client with every right, for the runtime of the caller.
    pub(crate) fn client(&self) -> Client {
        Client::try_from(self.admin.clone()).expect("a client")
    }

    /// Waits until every API server lets a user in this group do so: each notices new rights with a
    /// delay of its own. `attributes` are those of a `SubjectAccessReview`.
    pub(crate) async fn until_allowed(&self, user: &str, group: &str, attributes: &Value) {
        let review: SubjectAccessReview = serde_json::from_value(json!({
            "metadata": {},
            "spec": {"user": user, "groups": [group, "system:authenticated"], "resourceAttributes": attributes},
        }))
        .expect("a review");
        for backend in &self.backends {
            let api: Api<SubjectAccessReview> = Api::all(boot::client_of(&self.admin, *backend));
            let asking = async {
                while !api
                    .create(&PostParams::default(), &review)
                    .await
                    .expect("an answer")
                    .status
                    .expect("one")
                    .allowed
                {
                    wait::a_moment().await;
                }
            };
            let allowed = tokio::time::timeout(wait::PATIENCE, asking).await;
            assert!(allowed.is_ok(), "{user} in {group} is never allowed: {attributes}");
        }
    }

    /// The same, by way of the load balancer if there is one: its connection goes
    /// to one API server, the next client's to the next.
    pub(crate) fn dialling_client(&self) -> Client {
        let mut config = self.admin.clone();
        config.cluster_url = self.endpoint().parse().expect("a URL");
        Client::try_from(config).expect("a client")
    }

    /// A new namespace, of a name that no other test uses. While it is in scope, a
    /// failing test prints the ends of the servers' logs.
    pub(crate) async fn namespace(&self, name: &str) -> TestNamespace<'_> {
        TestNamespace::create(self, name).await
    }

    /// From now on `feed` says which ServiceAccounts of `namespace` have an
    /// association, to each replica of the webhook.
    pub(crate) fn feed(&self, namespace: &str, feed: Feed) {
        self.hooks.feed(namespace, feed);
    }

    /// The same for every namespace of a plane of one's own.
    pub(crate) fn feed_all(&self, feed: Feed) {
        self.hooks.feed("", feed);
    }

    /// From now on the API server takes EKS tokens made with `credentials` for
    /// `identity`.
    pub(crate) fn accept(&self, credentials: Credentials, identity: Identity) {
        self.hooks.accept(credentials, identity);
    }

    /// How many pods the admission webhook has seen, real ones and dry runs.
    pub(crate) fn admissions(&self) -> u64 {
        self.hooks.admissions()
    }

    /// The requests of one user, who is in the group [`super::AUDITED`].
    pub(crate) fn audit(&self, user: &str) -> Vec<Audited> {
        audit::read(&self.folder, user)
    }

    /// A kubeconfig file whose context `context` is this plane, for `user`.
    pub(crate) fn kubeconfig(&self, context: &str, user: User<'_>) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::SeqCst);
        let path = self.folder.join(format!("kubeconfig-{number}.json"));
        let config: Value = kubeconfig::kubeconfig(&self.endpoint(), &self.authority, context, user);
        std::fs::write(&path, config.to_string()).expect("a file in the plane's folder");
        path
    }

    /// Adds a node and waits until it is Ready.
    pub(crate) async fn add_node(&self, node: Node) {
        let api = Api::all(self.client());
        wait::create(&api, &node).await;
        let name = node.metadata.name.unwrap_or_default();
        wait::until_one(&api, &name, "the node is Ready", |node| node.is_some_and(objects::node_is_ready)).await;
    }

    /// Installs the Pod Identity agent, if it is not there, and waits until it runs.
    pub(crate) async fn install_agent(&self) {
        let api: Api<DaemonSet> = Api::namespaced(self.client(), "kube-system");
        let agent = objects::agent();
        let applied =
            api.patch("eks-pod-identity-agent", &PatchParams::apply("tests").force(), &Patch::Apply(&agent)).await;
        applied.expect("a DaemonSet that the server takes");
        let runs = |found: Option<&DaemonSet>| found.is_some_and(DaemonSet::is_rolled_out);
        wait::until_one(&api, "eks-pod-identity-agent", "the agent runs", runs).await;
    }

    /// Resident memory of all servers together, in KiB, as `ps` counts it.
    pub(crate) fn memory(&self) -> u64 {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let pids: Vec<String> = servers.iter().map(|server| server.pid().to_string()).collect();
        let output = Command::new("ps").args(["-o", "rss=", "-p", &pids.join(",")]).output().expect("ps runs");
        String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|text| text.parse::<u64>().ok()).sum()
    }

    /// The ends of the servers' logs.
    pub(crate) fn tails(&self) -> String {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().map(|server| server.tail(15)).collect()
    }

    /// Prints the ends of the logs if the test that runs here is failing.
    #[expect(clippy::print_stderr, reason = "the test harness captures it and shows it with the failure")]
    pub(super) fn print_tails_on_panic(&self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tails());
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.print_tails_on_panic();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // The folder is left for its logs; the next run of the suite removes it.
        let _already_gone = std::fs::remove_dir_all(self.folder.join("data"));
    }
}
