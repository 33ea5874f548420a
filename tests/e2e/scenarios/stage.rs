//! Where a scenario plays, and how the binary is run there.

use std::collections::{BTreeMap, BTreeSet};
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
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::ran::{Ran, Started};
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
    /// Variables of the environment beside the usual ones, or in their place.
    pub(super) variables: BTreeMap<&'static str, String>,
}

impl Stage<'static> {
    /// On the plane that scenarios share; the caller may do everything there.
    pub(super) async fn shared(name: &str, roles: impl FnOnce(Builder) -> Builder) -> Stage<'static> {
        let plane = Stage::shared_plane().await;
        Stage::on(plane, name, roles).await
    }

    /// The plane of [`Stage::shared`].
    pub(super) async fn shared_plane() -> &'static Plane {
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
            PLANE.until_allowed("anybody", AUDITED, &json!({"verb": "*", "group": "*", "resource": "*"})).await;
        };
        READY.get_or_init(|| prepare).await;
        &PLANE
    }
}

impl<'a> Stage<'a> {
    /// On a plane. `roles` adds to an account that knows the cluster and its OIDC provider; it is
    /// given a world whose names are the plane's.
    pub(super) async fn on(plane: &'a Plane, name: &str, roles: impl FnOnce(Builder) -> Builder) -> Stage<'a> {
        Stage::behind(&plane.endpoint(), plane, name, roles).await
    }

    /// The same, where EKS says that the cluster is at this address.
    pub(super) async fn behind(
        endpoint: &str,
        plane: &'a Plane,
        name: &str,
        roles: impl FnOnce(Builder) -> Builder,
    ) -> Stage<'a> {
        let space = plane.namespace(name).await;
        let world = roles(account(plane, endpoint)).world();
        let wire = Arc::new(Wire::start(world).await.expect("a port"));
        let (user, key) = (format!("user-of-{name}"), format!("AKIA{}", name.to_uppercase().replace('-', "")));
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let stage = Stage { plane, space, wire, home, user, key, reach: Vec::new(), variables: BTreeMap::new() };
        stage.let_in(&stage.key, &stage.user);
        stage.webhook_hears();
        stage.settings("");
        stage
    }

    /// The webhook knows this account's associations.
    pub(super) fn webhook_hears(&self) {
        let (wire, cluster) = (Arc::clone(&self.wire), self.cluster());
        let sees = move |replica: usize, namespace: &str, service_account: &str| {
            let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
            let subject = Subject { cluster: cluster.clone(), namespace, service_account };
            wire.webhook_sees(u32::try_from(replica).unwrap_or_default(), &subject).map(|_| AssociationView::default())
        };
        self.plane.feed(&self.space.name, Arc::new(sees));
    }

    /// The webhook knows of no association until [`Stage::webhook_hears`]: no new pod gets Pod Identity, and a
    /// run stays before its first restart for as long as a test needs.
    pub(super) fn webhook_is_deaf(&self) {
        self.plane.feed(&self.space.name, Arc::new(|_, _, _| None));
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
        self.settings_with(more, "trust_settle = 2\nassociation_settle = 4\nbake = 2");
    }

    /// The least numbers, where nothing lags: a run takes as long as its pods do.
    pub(super) fn hurry(&self) {
        self.settings_with("", "trust_settle = 0\nassociation_settle = 0\nbake = 0");
    }

    /// The lease and a call have their usual numbers, for a busy machine is late with both. Whoever goes on after
    /// a kill need not wait so long: see [`Stage::lease_runs_out`].
    pub(super) fn settings_with(&self, more: &str, numbers: &str) {
        let namespace = &self.space.name;
        // The lease is the scenario's own, so that scenarios do not keep each other out.
        let text = format!(
            "{more}
            [scope]
            namespaces = [\"{namespace}\"]
            [apply]
            lease_namespace = \"{namespace}\"
            [numbers]
            {numbers}
            probe_interval = 1
            rollout_timeout = 60
            lease_renewal = 2
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
        command.env("IRSA_MIGRATE_JOURNAL", self.path("journal.db")).envs(&self.variables);
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
        Ran::of(args, command.output().await.expect("the program"))
    }

    /// Runs the binary to its end under a shell's `prelude`, which begins it with `exec "$@"`.
    pub(super) async fn run_under(&self, prelude: &str, args: &[&str]) -> Ran {
        let program = self.command(args);
        let program = program.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", prelude, "sh"]).arg(program.get_program()).args(args).env_clear();
        command.envs(program.get_envs().filter_map(|(name, it)| Some((name, it?))));
        command.current_dir(self.home.path()).stdin(Stdio::null()).kill_on_drop(true);
        Ran::of(args, command.output().await.expect("a shell"))
    }

    /// Starts the binary, to be watched by its JSON lines.
    pub(super) fn start(&self, args: &[&str]) -> Started {
        Started::of(&mut self.command(args))
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

    /// What the binary wrote to the cluster, its lease left out: verb, resource and name. A write that met a
    /// newer version changed nothing, and is sent again.
    pub(super) fn patches(&self) -> Vec<String> {
        let writes = self.plane.audit(&self.user).into_iter().filter(Audited::is_write);
        let mut all: Vec<String> = writes
            .filter(|it| it.resource != "leases" && it.status != 409)
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
