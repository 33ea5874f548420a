//! What a test does in its own namespace of a plane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{EvictParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use super::plane::Plane;
use super::wait::{self, Object};
use super::webhook::AssociationView;

/// A namespace of one test. Nothing is removed at the end: the plane goes.
pub(crate) struct TestNamespace<'a> {
    pub(crate) name: String,
    pub(crate) client: Client,
    plane: &'a Plane,
}

impl<'a> TestNamespace<'a> {
    pub(super) async fn create(plane: &'a Plane, name: &str) -> TestNamespace<'a> {
        let client = plane.client();
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
        wait::create(&Api::all(client.clone()), &namespace).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
        wait::until_one(&accounts, "default", "the ServiceAccount of each namespace", |found| found.is_some()).await;
        TestNamespace { name: name.to_owned(), client, plane }
    }

    /// The objects of one kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates an object that the server must take.
    pub(crate) async fn create_object<K>(&self, object: &K) -> K
    where
        K: Object + Resource<Scope = NamespaceResourceScope>,
    {
        wait::create(&self.api(), object).await
    }

    /// What the server would make of a pod: created with `dryRun=All`.
    pub(crate) async fn dry_run(&self, pod: &Pod) -> Result<Pod, kube::Error> {
        self.api().create(&PostParams { dry_run: true, ..PostParams::default() }, pod).await
    }

    /// A table of associations that from now on feeds the webhook for this
    /// namespace.
    pub(crate) fn associations(&self) -> Arc<Associations> {
        let table = Arc::new(Associations::default());
        let feed = Arc::clone(&table);
        self.plane.feed(&self.name, Arc::new(move |replica, _, account| feed.view(replica, account)));
        table
    }

    /// The pods of `app` that are not being deleted, by name.
    pub(crate) async fn pods(&self, app: &str) -> BTreeMap<String, Pod> {
        self.until_pods(app, "a list", |_| true).await
    }

    /// Waits until `done` is true of the pods of `app` that are not being deleted.
    pub(crate) async fn until_pods(
        &self,
        app: &str,
        what: &str,
        done: impl Fn(&BTreeMap<String, Pod>) -> bool,
    ) -> BTreeMap<String, Pod> {
        let seen = wait::until(&self.api::<Pod>(), &format!("app={app}"), what, |pods| done(&living(pods))).await;
        living(&seen)
    }

    /// How the pods of `app` get their credentials, each way once.
    pub(crate) async fn modes(&self, app: &str) -> BTreeSet<Mode> {
        self.pods(app).await.values().map(Mode::of).collect()
    }

    /// Waits until the newest template of a workload runs everywhere, and only it.
    pub(crate) async fn rolled_out<K: Workload>(&self, name: &str) -> K {
        let rolled_out = |found: Option<&K>| found.is_some_and(K::is_rolled_out);
        let found = wait::until_one(&self.api::<K>(), name, &format!("{name} is rolled out"), rolled_out).await;
        found.expect("what was just seen")
    }

    /// Sets an annotation of a workload's pod template, or removes it: a restart,
    /// or the undo of one.
    pub(crate) async fn annotate_template<K: Workload>(&self, name: &str, key: &str, value: Option<&str>) {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {key: value}}}}});
        self.merge::<K>(name, &patch).await;
    }

    /// Applies a merge patch that the server must take.
    pub(crate) async fn merge<K>(&self, name: &str, patch: &Value) -> K
    where
        K: Object + Resource<Scope = NamespaceResourceScope>,
    {
        let patched = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.unwrap_or_else(|error| panic!("{name} is not patched: {error}"))
    }

    /// Asks for an eviction.
    pub(crate) async fn evict(&self, pod: &str) -> Result<(), kube::Error> {
        self.api::<Pod>().evict(pod, &EvictParams::default()).await.map(drop)
    }

    /// A token of a ServiceAccount for `audience`, as the kubelet would ask for it.
    pub(crate) async fn token(&self, service_account: &str, audience: &str) -> String {
        let request = TokenRequest {
            spec: TokenRequestSpec { audiences: vec![audience.to_owned()], ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = self.api();
        let answer = api.create_token_request(service_account, &PostParams::default(), &request).await;
        answer.expect("a token").status.expect("an answered request").token
    }
}

impl Drop for TestNamespace<'_> {
    fn drop(&mut self) {
        self.plane.print_tails_on_panic();
    }
}

fn living(pods: &BTreeMap<String, Pod>) -> BTreeMap<String, Pod> {
    let living = pods.iter().filter(|(_, pod)| pod.metadata.deletion_timestamp.is_none());
    living.map(|(name, pod)| (name.clone(), pod.clone())).collect()
}

/// Which ServiceAccounts of one namespace have an association, as each replica of
/// the webhook knows it.
#[derive(Debug, Default)]
pub(crate) struct Associations {
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug)]
enum Known {
    ToAll,
    ToOne(usize),
}

impl Associations {
    /// Every replica knows of it.
    pub(crate) fn add(&self, service_account: &str) {
        self.set(service_account, Known::ToAll);
    }

    /// Only one replica knows of it yet.
    pub(crate) fn add_to_replica(&self, replica: usize, service_account: &str) {
        self.set(service_account, Known::ToOne(replica));
    }

    /// No replica knows of it any more.
    pub(crate) fn remove(&self, service_account: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(service_account);
    }

    fn set(&self, service_account: &str, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(service_account.to_owned(), known);
    }

    fn view(&self, replica: usize, service_account: &str) -> Option<AssociationView> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match known.get(service_account)? {
            Known::ToAll => true,
            Known::ToOne(only) => *only == replica,
        };
        seen.then(AssociationView::default)
    }
}

/// How a pod gets AWS credentials, read from the variables of its first container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// A web identity token, for this role.
    Irsa(String),
    PodIdentity,
    /// Both, of which somebody set one by hand.
    Both,
    Neither,
}

impl Mode {
    pub(crate) fn of(pod: &Pod) -> Mode {
        let variables =
            pod.spec.iter().flat_map(|spec| spec.containers.iter().take(1)).flat_map(|c| c.env.iter().flatten());
        let (mut role, mut pod_identity) = (None, false);
        for variable in variables {
            match variable.name.as_str() {
                "AWS_ROLE_ARN" => role = variable.value.clone(),
                "AWS_CONTAINER_CREDENTIALS_FULL_URI" => pod_identity = true,
                _ => {}
            }
        }
        match (role, pod_identity) {
            (Some(_), true) => Mode::Both,
            (Some(role), false) => Mode::Irsa(role),
            (None, true) => Mode::PodIdentity,
            (None, false) => Mode::Neither,
        }
    }
}

/// A kind that rolls its pods out.
pub(crate) trait Workload: Object + Resource<Scope = NamespaceResourceScope> {
    /// The newest template is seen by the controller and runs everywhere, Ready.
    fn is_rolled_out(&self) -> bool;
}

impl Workload for Deployment {
    fn is_rolled_out(&self) -> bool {
        let (Some(spec), Some(status)) = (&self.spec, &self.status) else { return false };
        let wanted = spec.replicas.unwrap_or(1);
        status.observed_generation >= self.metadata.generation
            && [status.replicas, status.updated_replicas, status.available_replicas]
                .iter()
                .all(|count| count.unwrap_or(0) == wanted)
    }
}

impl Workload for StatefulSet {
    fn is_rolled_out(&self) -> bool {
        let (Some(spec), Some(status)) = (&self.spec, &self.status) else { return false };
        let wanted = spec.replicas.unwrap_or(1);
        status.observed_generation >= self.metadata.generation
            && status.current_revision == status.update_revision
            && status.replicas == wanted
            && status.available_replicas.unwrap_or(0) == wanted
    }
}

impl Workload for DaemonSet {
    fn is_rolled_out(&self) -> bool {
        let Some(status) = &self.status else { return false };
        let wanted = status.desired_number_scheduled;
        status.observed_generation >= self.metadata.generation
            && [status.updated_number_scheduled, status.number_available]
                .iter()
                .all(|count| count.unwrap_or(0) == wanted)
    }
}
