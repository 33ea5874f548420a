//! Where a scenario plays, and how the binary is run there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, LazyLock};

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irsa_migrate::journal::RunId;
use irsa_migrate::model::{AccountId, ClusterArn, Digest, RoleArn, Subject};
use irsa_migrate::plan::Plan;
use irsa_migrate::sim::build::Builder;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;

use crate::harness::wait::Object;
use crate::harness::{AUDITED, AssociationView, Audited, Config, Identity, Mode, Plane, TestNamespace, objects, wait};
use crate::wire::{Wire, wall_clock};

/// The restart stamp's annotation key.
const STAMP: &str = "irsa-migrate/restart";

/// A namespace of a plane, an AWS account, and somebody's home.
pub(super) struct Stage<'a> {
    pub(super) plane: &'a Plane,
    pub(super) space: TestNamespace<'a>,
    pub(super) wire: Arc<Wire>,
    home: TempDir,
    /// The Kubernetes user that the credentials stand for, who is in the group [`AUDITED`].
    pub(super) user: String,
    key: String,
    /// Arguments that say how the cluster is reached; none for a token made from the credentials.
    pub(super) reach: Vec<String>,
}

impl Stage<'static> {
    /// On the plane that scenarios share; the caller may do everything there.
    pub(super) async fn shared(name: &str, roles: impl FnOnce(Builder) -> Builder) -> Stage<'static> {
        static PLANE: LazyLock<Plane> = LazyLock::new(|| Plane::start(Config::named("scenarios")));
        static READY: OnceCell<()> = OnceCell::const_new();
        let prepare = async {
            PLANE.install_agent().await;
            let everything: ClusterRoleBinding = serde_json::from_value(json!({
                "metadata": {"name": "scenarios"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": AUDITED}],
            }))
            .expect("a binding");
            wait::create(&Api::all(PLANE.client()), &everything).await;
        };
        READY.get_or_init(|| prepare).await;
        Stage::on(&PLANE, name, roles).await
    }
}

impl<'a> Stage<'a> {
    /// On a plane. `roles` adds to an account that knows the cluster and its OIDC provider; it is
    /// given a world whose names are the plane's.
    pub(super) async fn on(plane: &'a Plane, name: &str, roles: impl FnOnce(Builder) -> Builder) -> Stage<'a> {
        let space = plane.namespace(name).await;
        let world = roles(account(plane, &plane.endpoint())).world();
        let wire = Arc::new(Wire::start(world).await.expect("a port"));
        let (user, key) = (format!("user-of-{name}"), format!("AKIA{}", name.to_uppercase().replace('-', "")));
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let stage = Stage { plane, space, wire, home, user, key, reach: Vec::new() };
        stage.let_in(&stage.key, &stage.user);
        let (wire, cluster) = (Arc::clone(&stage.wire), stage.cluster());
        let sees = move |replica: usize, namespace: &str, service_account: &str| {
            let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
            let subject = Subject { cluster: cluster.clone(), namespace, service_account };
            wire.webhook_sees(u32::try_from(replica).unwrap_or_default(), &subject).map(|_| AssociationView::default())
        };
        plane.feed(name, Arc::new(sees));
        stage.settings("");
        stage
    }

    /// Lets an access key be this account's, and a user of the cluster.
    pub(super) fn let_in(&self, key: &str, user: &str) {
        self.wire.key_of(key, AccountId::parse(&self.plane.config().account).expect("an account"));
        let identity = Identity { user: user.to_owned(), groups: vec![AUDITED.to_owned()] };
        self.plane.accept(Credentials::new(key, "secret", None, None, "test"), identity);
    }

    pub(super) fn cluster(&self) -> ClusterArn {
        ClusterArn::parse(&self.plane.config().arn()).expect("an ARN")
    }

    pub(super) fn role(&self, name: &str) -> RoleArn {
        role(self.plane, name)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes the settings: this namespace, and numbers that fit a test. `more` is added.
    pub(super) fn settings(&self, more: &str) {
        let namespace = &self.space.name;
        // The lease is the scenario's own, so that scenarios do not keep each other out.
        let text = format!(
            "{more}
            [scope]
            namespaces = [\"{namespace}\"]
            [apply]
            lease_namespace = \"{namespace}\"
            [numbers]
            trust_settle = 2
            association_settle = 4
            probe_interval = 1
            rollout_timeout = 60
            lease_duration = 12
            lease_renewal = 2
            call_timeout = 5
            bake = 2
            "
        );
        std::fs::write(self.path("irsa-migrate.toml"), text).expect("a file in the home");
    }

    /// An annotated ServiceAccount for a role of the account.
    pub(super) async fn service_account(&self, name: &str, role: &str) {
        let role = self.role(role);
        self.space.create_object(&objects::service_account(name, Some(role.as_str()))).await;
    }

    /// A ServiceAccount with a Deployment of the same name that is rolled out, on IRSA.
    pub(super) async fn app(&self, name: &str, role: &str, replicas: i32) {
        self.service_account(name, role).await;
        self.space.create_object(&objects::deployment(name, name, replicas)).await;
        self.space.rolled_out::<Deployment>(name).await;
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irsa-migrate"));
        command.args(args).env_clear().current_dir(self.home.path()).kill_on_drop(true);
        // Nothing of this machine: no profile, no instance that would lend its credentials.
        command.env("HOME", self.home.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ENDPOINT_URL", self.wire.url()).env("AWS_REGION", &self.plane.config().region);
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("IRSA_MIGRATE_JOURNAL", self.path("journal.db"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(super) async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[]).await
    }

    /// The same with other variables; an empty value takes one away.
    pub(super) async fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        for (name, value) in variables {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        let output = command.output().await.expect("the program");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Ran {
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            code: output.status.code(),
        }
    }

    /// Starts the binary, to be watched by its JSON lines.
    pub(super) fn start(&self, args: &[&str]) -> Started {
        let mut child = self.command(args).spawn().expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Started { child, lines, said: Vec::new() }
    }

    /// The arguments with those that say how the cluster is reached.
    pub(super) fn reaching<'s>(&'s self, args: &[&'s str]) -> Vec<&'s str> {
        args.iter().copied().chain(self.reach.iter().map(String::as_str)).collect()
    }

    /// A scan and a plan of it, in `plan.json`.
    pub(super) async fn plan(&self) -> Planned {
        let arn = self.plane.config().arn();
        let args = self.reaching(&["plan", "--cluster", &arn, "--out", "plan.json"]);
        self.run(&args).await.ended(0);
        self.planned("plan.json")
    }

    /// A plan that was written.
    pub(super) fn planned(&self, name: &str) -> Planned {
        let bytes = std::fs::read(self.path(name)).expect("the plan");
        let digest = Digest::of(&bytes);
        let plan = Plan::from_bytes(&bytes).expect("a plan");
        Planned { run: RunId::of(&digest).to_string(), digest: digest.to_string(), plan }
    }

    /// `apply` of a plan in `plan.json`.
    pub(super) async fn apply(&self, planned: &Planned) -> Ran {
        self.run(&self.reaching(&["apply", "plan.json", "--digest", &planned.digest])).await
    }

    /// `rollback` of its run.
    pub(super) async fn roll_back(&self, planned: &Planned) -> Ran {
        self.run(&self.reaching(&["rollback", &planned.run, "--yes"])).await
    }

    /// What the binary wrote to the cluster, its lease left out: verb, resource and name.
    pub(super) fn patches(&self) -> Vec<String> {
        let writes = self.plane.audit(&self.user).into_iter().filter(Audited::is_write);
        let mut all: Vec<String> = writes
            .filter(|it| it.resource != "leases")
            .map(|it| format!("{} {} {}: {}", it.verb, it.resource, it.name, it.status))
            .collect();
        all.sort();
        all
    }

    /// All that a rollback must bring back, here and in AWS.
    pub(super) async fn state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        let aws = self.wire.world().state();
        state.extend(aws.trusts.into_iter().map(|(role, text)| (format!("trust of {role}"), text)));
        let associations = aws.associations.into_iter();
        state.extend(associations.map(|(of, it)| (format!("association of {of}"), format!("{it:?}"))));
        for account in list::<ServiceAccount>(&self.space).await {
            let annotations = account.annotations();
            state.insert(format!("ServiceAccount {}", account.name_any()), format!("{annotations:?}"));
        }
        self.templates::<Deployment>("Deployment", &mut state).await;
        self.templates::<StatefulSet>("StatefulSet", &mut state).await;
        self.templates::<DaemonSet>("DaemonSet", &mut state).await;
        let mut pods: BTreeMap<String, BTreeMap<Mode, u32>> = BTreeMap::new();
        for pod in list::<Pod>(&self.space).await.iter().filter(|it| it.metadata.deletion_timestamp.is_none()) {
            let app = pod.labels().get("app").cloned().unwrap_or_default();
            *pods.entry(app).or_default().entry(Mode::of(pod)).or_default() += 1;
        }
        state.extend(pods.into_iter().map(|(app, modes)| (format!("pods of {app}"), format!("{modes:?}"))));
        state
    }

    async fn templates<K>(&self, kind: &str, state: &mut BTreeMap<String, String>)
    where
        K: Object + Resource<Scope = NamespaceResourceScope>,
    {
        for it in list::<K>(&self.space).await {
            let whole = serde_json::to_value(&it).expect("an object");
            let template = &whole["spec"]["template"];
            state.insert(format!("template of {kind} {}", it.name_any()), template.to_string());
        }
    }

    /// The restart stamp of a Deployment.
    pub(super) async fn stamp(&self, name: &str) -> Option<String> {
        let found = self.space.api::<Deployment>().get(name).await.expect("a Deployment");
        let annotations = found.spec?.template.metadata?.annotations?;
        annotations.get(STAMP).cloned()
    }

    /// The modes of the pods of some apps, each once.
    pub(super) async fn modes(&self, apps: &[&str]) -> BTreeSet<Mode> {
        let mut modes = BTreeSet::new();
        for app in apps {
            modes.extend(self.space.modes(app).await);
        }
        modes
    }
}

/// The account of a plane: the cluster at this address, and its OIDC provider.
pub(super) fn account(plane: &Plane, endpoint: &str) -> Builder {
    let config = plane.config();
    Builder::new()
        .begins(wall_clock())
        .account(&config.account)
        .region(&config.region)
        .cluster(&config.name)
        .endpoint(endpoint, &STANDARD.encode(plane.authority()))
        .issuer(&config.issuer())
}

/// A role of a plane's account.
pub(super) fn role(plane: &Plane, name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::{}:role/{name}", plane.config().account)).expect("an ARN")
}

async fn list<K>(space: &TestNamespace<'_>) -> Vec<K>
where
    K: Object + Resource<Scope = NamespaceResourceScope>,
{
    space.api::<K>().list(&ListParams::default()).await.expect("a list").items
}

/// A plan that was made.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) digest: String,
    pub(super) run: String,
}

/// What a person saw.
pub(super) struct Ran {
    args: Vec<String>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: Option<i32>,
}

impl Ran {
    /// All of it.
    pub(super) fn whole(&self) -> String {
        let mut out = format!("$ irsa-migrate {}\n", self.args.join(" "));
        let _ = write!(out, "--- stdout\n{}--- stderr\n{}--- exit status: {:?}", self.stdout, self.stderr, self.code);
        out
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(super) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.whole());
        self
    }

    /// It must have ended with this code, one sentence that says this, and a hint.
    #[track_caller]
    pub(super) fn refused(self, code: i32, says: &[&str]) -> Self {
        let ran = self.ended(code);
        let errors: Vec<&str> = ran.stderr.lines().filter(|it| it.starts_with("Error: ")).collect();
        assert_eq!(errors.len(), 1, "one sentence\n{}", ran.whole());
        assert!(ran.stderr.lines().any(|it| it.starts_with("Hint: ")), "a hint\n{}", ran.whole());
        for words in says {
            assert!(errors[0].contains(words), "{words:?}\n{}", ran.whole());
        }
        ran
    }
}

/// The binary, running.
pub(super) struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Started {
    /// Reads events until one fits.
    pub(super) async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said.push(line.clone());
                if let Some(event) = serde_json::from_str(&line).ok().filter(&fits) {
                    return Some(event);
                }
            }
            None
        };
        match tokio::time::timeout(wait::PATIENCE, reading).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let mut stderr = String::new();
                let _whatever_came = self.child.stderr.take().expect("a pipe").read_to_string(&mut stderr).await;
                panic!("it ended before {what}\n{}\n{stderr}", self.said.join("\n"))
            }
            Err(_) => panic!("not in time: {what}\n{}", self.said.join("\n")),
        }
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.expect("a process to kill");
    }

    /// Ctrl-C.
    pub(super) async fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs");
        assert!(sent.success());
    }

    /// Reads on to its end; the exit code.
    pub(super) async fn end(mut self) -> Option<i32> {
        let ending = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said.push(line);
            }
            self.child.wait().await.expect("it ends").code()
        };
        tokio::time::timeout(wait::PATIENCE, ending).await.expect("it ends in time")
    }
}

/// Whether an event is of this kind, about a step whose name begins so.
pub(super) fn step<'e>(event: &'e str, step: &'e str) -> impl Fn(&Value) -> bool + use<'e> {
    move |it| it["event"] == event && it["step"].as_str().is_some_and(|name| name.starts_with(step))
}
