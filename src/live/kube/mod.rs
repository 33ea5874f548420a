//! Kubernetes behind the port: the API servers of one cluster.

mod connect;
mod error;
mod kinds;
mod lease;
mod nodes;
mod owners;
mod pods;
mod probe;
mod restart;
mod service_accounts;
mod watch;
mod workloads;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Config, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::connect::{by_context, by_facts, clients};
use self::error::said;
use super::aws::{Aws, CALL, TokenMaker};
use crate::inventory::{ClusterFacts, OwnerRef};
use crate::model::{ClusterArn, Issuer};
use crate::ports::{Answer, Eks as _, PortError};

/// How long one address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Objects asked for at a time: what kubectl asks for.
const PAGE: u32 = 500;

/// Attempts of a read.
const ATTEMPTS: u32 = 4;

/// What our writes are known by in `managedFields`. Not kubectl's: Flux strips what that one wrote
/// (fluxcd/flux2#2526).
const MANAGER: &str = "irsa-migrate";

/// One cluster's API servers.
pub(super) struct Plane {
    endpoint: String,
    client: Client,
    dry_runs: Client,
    tokens: Option<Arc<TokenMaker>>,
    config: Config,
    /// Who owns a ReplicaSet or a Job, by its UID.
    owners: Mutex<BTreeMap<String, Option<OwnerRef>>>,
}

impl Plane {
    /// The API servers that a kubeconfig context leads to.
    pub(super) async fn by_context(cluster: &ClusterArn, file: Option<&Path>, context: &str) -> Answer<Self> {
        Self::open(cluster, by_context(file, context).await?, None).await
    }

    /// The API servers at the endpoint that EKS names, with tokens made from AWS credentials.
    pub(super) async fn by_credentials(cluster: &ClusterArn, aws: &Aws) -> Answer<Self> {
        let facts = aws.cluster(cluster).await?;
        if facts.endpoint.is_empty() {
            let (name, status) = (cluster.name(), &facts.status);
            return Err(PortError::Unreachable(format!("cluster {name} is {status} and has no endpoint")));
        }
        let config = by_facts(cluster.name(), &facts).await?;
        Self::open(cluster, config, Some(Arc::new(aws.token_maker(cluster)))).await
    }

    async fn open(cluster: &ClusterArn, config: Config, tokens: Option<Arc<TokenMaker>>) -> Answer<Self> {
        let what = format!("connect to cluster {}", cluster.name());
        let made = clients(&what, config.clone(), tokens.clone()).await?;
        let endpoint = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let (client, dry_runs) = (made.pooled, made.dry_runs);
        Ok(Self { endpoint, client, dry_runs, tokens, config, owners: Mutex::default() })
    }

    /// The issuer that the API server itself names.
    pub(super) async fn own_issuer(&self) -> Answer<Issuer> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
        }
        let what = "read /.well-known/openid-configuration";
        let read = || async {
            let request = http::Request::get("/.well-known/openid-configuration").body(Vec::new());
            self.client.request::<Discovery>(request.map_err(kube::Error::HttpError)?).await
        };
        let found = self.read(what, read).await?;
        Issuer::parse(&found.issuer).map_err(|it| PortError::Invalid(format!("{what}: {it}")))
    }

    /// Whether these are the server and the CA that EKS names: then no other cluster can answer.
    pub(super) async fn is_as_described(&self, cluster: &ClusterArn, facts: &ClusterFacts) -> Answer<bool> {
        let described = by_facts(cluster.name(), facts).await?;
        let same_server = self.config.cluster_url == described.cluster_url;
        let trusting = self.config.accept_invalid_certs || self.config.root_cert.is_none();
        Ok(same_server && !trusting && self.config.root_cert == described.root_cert)
    }

    /// How many API servers there are. Each keeps a lease; those of servers that are gone go after
    /// an hour, and until then a probe asks once too often.
    pub(super) async fn api_servers(&self) -> Answer<u32> {
        let what = "list the API servers' leases in kube-system";
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "kube-system");
        let params = ListParams::default().labels("apiserver.kubernetes.io/identity=kube-apiserver");
        let found = self.list_metadata(what, &leases, params, Some).await?;
        match u32::try_from(found.len()) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(PortError::NotFound(format!("{what}: there is none"))),
        }
    }

    /// Sends one request, bounded in time.
    async fn call<T>(&self, what: &str, request: impl Future<Output = kube::Result<T>>) -> Answer<T> {
        let Ok(answer) = tokio::time::timeout(CALL, request).await else {
            let seconds = CALL.as_secs();
            return Err(PortError::Unreachable(format!("{what}: {} gave no answer in {seconds} s", self.endpoint)));
        };
        match answer.map_err(|it| said(what, &self.endpoint, &it)) {
            Err(it @ PortError::Credentials(_)) => {
                if let Some(tokens) = &self.tokens {
                    tokens.forget().await;
                }
                Err(it)
            }
            other => other,
        }
    }

    /// Sends a request that changes nothing, again if it may be answered then.
    async fn read<T, F: Future<Output = kube::Result<T>>>(&self, what: &str, send: impl Fn() -> F) -> Answer<T> {
        let mut wait = Duration::from_millis(200);
        for _ in 1..ATTEMPTS {
            match self.call(what, send()).await {
                // A token may have been taken for too old: the next one is new.
                Err(PortError::Credentials(_)) if self.tokens.is_some() => {}
                Err(it) if it.is_passing() => {}
                other => return other,
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
        self.call(what, send()).await
    }

    /// All objects, page by page; of each, what `keep` makes of it.
    async fn list<K, T>(
        &self,
        what: &str,
        api: &Api<K>,
        params: ListParams,
        keep: impl Fn(K) -> Option<T>,
    ) -> Answer<Vec<T>>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        self.pages(what, params, keep, |params| async move { api.list(&params).await }).await
    }

    /// As [`Plane::list`], without spec and status.
    async fn list_metadata<K, T>(
        &self,
        what: &str,
        api: &Api<K>,
        params: ListParams,
        keep: impl Fn(PartialObjectMeta<K>) -> Option<T>,
    ) -> Answer<Vec<T>>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        self.pages(what, params, keep, |params| async move { api.list_metadata(&params).await }).await
    }

    async fn pages<K, T, F>(
        &self,
        what: &str,
        params: ListParams,
        keep: impl Fn(K) -> Option<T>,
        page: impl Fn(ListParams) -> F,
    ) -> Answer<Vec<T>>
    where
        K: Clone,
        F: Future<Output = kube::Result<kube::api::ObjectList<K>>>,
    {
        let mut params = params.limit(PAGE);
        let mut kept = Vec::new();
        let mut begun_again = false;
        loop {
            let found = match self.read(what, || page(params.clone())).await {
                // The server forgot where we were (410): a list that took too long.
                Err(PortError::Conflict(_)) if params.continue_token.is_some() && !begun_again => {
                    begun_again = true;
                    params.continue_token = None;
                    kept.clear();
                    continue;
                }
                other => other?,
            };
            params.continue_token = found.metadata.continue_.filter(|it| !it.is_empty());
            kept.extend(found.items.into_iter().filter_map(&keep));
            if params.continue_token.is_none() {
                return Ok(kept);
            }
        }
    }
}

/// Objects of a namespace, or of all.
fn within<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// `what` in a namespace, or in all, in words.
fn named(what: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{what} in {namespace}"),
        None => format!("{what} in all namespaces"),
    }
}

/// Kubernetes' times are of another version of the same crate.
fn timestamp(time: k8s_openapi::jiff::Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.as_second(), time.subsec_nanosecond()).ok()
}
