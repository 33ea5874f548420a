//! The way to an API server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderValue, Method, Request, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::middleware::AuthLayer;
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tower::filter::{AsyncFilterLayer, AsyncPredicate, FilterLayer};
use tower::{BoxError, Service, ServiceBuilder};

use super::error::{said, unusable};
use crate::inventory::ClusterFacts;
use crate::live::aws::TokenMaker;
use crate::ports::{Answer, PortError};

/// Both ways to talk to an API server. They share credentials, so that an exec plugin runs for
/// neither probe nor page.
pub(super) struct Clients {
    /// Keeps its connections.
    pub(super) pooled: Client,
    /// Opens a new connection for each request, to the next of the endpoint's addresses, and sends
    /// nothing but creates that are dry runs.
    pub(super) dry_runs: Client,
}

/// The configuration of a kubeconfig context: exec plugins, `proxy-url`, client certificates.
pub(super) async fn by_context(file: Option<&Path>, context: &str) -> Answer<Config> {
    let what = format!("kubeconfig context {context}");
    let kubeconfig = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.map_err(|it| unusable(&what, it))?;
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|it| unusable(&what, it))
}

/// The configuration that `DescribeCluster` gives, without credentials. Proxies of the environment
/// count as they do for a kubeconfig.
pub(super) async fn by_facts(cluster: &str, facts: &ClusterFacts) -> Answer<Config> {
    let server = json!({"server": facts.endpoint, "certificate-authority-data": facts.certificate_authority});
    let kubeconfig = json!({
        "clusters": [{"name": "eks", "cluster": server}],
        "users": [{"name": "eks", "user": {}}],
        "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
        "current-context": "eks",
    });
    let what = format!("the endpoint that EKS names for cluster {cluster}");
    let kubeconfig = serde_json::from_value(kubeconfig).map_err(|it| unusable(&what, it))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.map_err(|it| unusable(&what, it))
}

/// Makes the clients. This may run an exec plugin, which takes its time; nothing is sent.
pub(super) async fn clients(what: &str, config: Config, tokens: Option<Arc<TokenMaker>>) -> Answer<Clients> {
    let endpoint = config.cluster_url.to_string();
    let made = tokio::task::spawn_blocking(move || made(&config, tokens)).await;
    made.map_err(|it| unusable(what, it))?.map_err(|it| match it {
        Unmade::Kube(it) => said(what, &endpoint, &it),
        Unmade::Proxy(it) => unusable(what, it),
    })
}

enum Unmade {
    Kube(kube::Error),
    Proxy(String),
}

impl From<kube::Error> for Unmade {
    fn from(error: kube::Error) -> Self {
        Self::Kube(error)
    }
}

fn made(config: &Config, tokens: Option<Arc<TokenMaker>>) -> Result<Clients, Unmade> {
    let mut dial = HttpConnector::new_with_resolver(InTurn::default());
    dial.enforce_http(false);
    dial.set_connect_timeout(Some(super::CONNECT));
    let Some(proxy) = config.proxy_url.clone() else { return stacks(config, tokens, dial) };
    match proxy.scheme_str() {
        Some("socks5") => stacks(config, tokens, SocksV5::new(proxy, dial)),
        Some("http") => stacks(config, tokens, authorized(&proxy, Tunnel::new(proxy.clone(), dial))),
        Some("https") => {
            let dial = config.rustls_https_connector_with_connector(dial)?;
            stacks(config, tokens, authorized(&proxy, Tunnel::new(proxy.clone(), dial)))
        }
        _ => Err(Unmade::Proxy(format!("proxy {proxy} is none of http, https and socks5"))),
    }
}

/// User and password of a proxy's URL, if it names them.
fn authorized<C>(proxy: &Uri, tunnel: Tunnel<C>) -> Tunnel<C> {
    let user = proxy.authority().and_then(|it| it.as_str().rsplit_once('@')).map(|(user, _)| user);
    let Some(user) = user else { return tunnel };
    let plain: Vec<u8> = percent_decode_str(user).collect();
    match HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))) {
        Ok(value) => tunnel.with_auth(value),
        Err(_) => tunnel,
    }
}

fn stacks<C>(config: &Config, tokens: Option<Arc<TokenMaker>>, dial: C) -> Result<Clients, Unmade>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let auth = config.auth_layer()?;
    let bearer = tokens.map(|it| AsyncFilterLayer::new(Bearer(it)));
    let dial = config.rustls_https_connector_with_connector(dial)?;
    let pooled = HttpClient::builder(TokioExecutor::new()).build(dial.clone());
    let fresh = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(dial);
    let guard: Guard = only_dry_runs;
    Ok(Clients {
        pooled: client(config, auth.as_ref(), bearer.clone(), None, pooled)?,
        dry_runs: client(config, auth.as_ref(), bearer, Some(FilterLayer::new(guard)), fresh)?,
    })
}

/// kube's own stack, but for its retries: whether to send again is for each call to say.
fn client<C>(
    config: &Config,
    auth: Option<&AuthLayer>,
    bearer: Option<AsyncFilterLayer<Bearer>>,
    guard: Option<FilterLayer<Guard>>,
    http: HttpClient<C, Body>,
) -> kube::Result<Client>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .option_layer(bearer)
        .option_layer(guard)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

type Guard = fn(Request<Body>) -> Result<Request<Body>, BoxError>;

/// The last word before a probe is sent: nothing passes that could make anything.
fn only_dry_runs(mut request: Request<Body>) -> Result<Request<Body>, BoxError> {
    let query = request.uri().query().unwrap_or_default();
    if request.method() != Method::POST || !query.split('&').any(|it| it == "dryRun=All") {
        let refused = format!("{} {} is no dry run", request.method(), request.uri().path());
        return Err(PortError::Invalid(refused).into());
    }
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// Puts the token into each request.
#[derive(Clone)]
struct Bearer(Arc<TokenMaker>);

impl AsyncPredicate<Request<Body>> for Bearer {
    type Future = BoxFuture<'static, Result<Request<Body>, BoxError>>;
    type Request = Request<Body>;

    fn check(&mut self, mut request: Request<Body>) -> Self::Future {
        let tokens = self.0.clone();
        Box::pin(async move {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", tokens.token().await?))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(request)
        })
    }
}

/// Resolves names, and gives the addresses beginning with another one each time: the network's own
/// order would bring probe after probe to the same API server.
#[derive(Clone, Default)]
struct InTurn(Arc<AtomicUsize>);

impl Service<Name> for InTurn {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(in_turn(found.collect(), turn).into_iter())
        })
    }
}

fn in_turn(mut addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    // Name servers shuffle; sorted first, each address has its turn.
    addresses.sort_unstable();
    addresses.dedup();
    if !addresses.is_empty() {
        let first = turn % addresses.len();
        addresses.rotate_left(first);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str) -> Request<Body> {
        Request::builder().method(method).uri(format!("https://x{path}")).body(Body::empty()).unwrap()
    }

    #[test]
    fn nothing_but_a_dry_run_is_let_through() {
        let pods = "/api/v1/namespaces/web/pods";
        let sent = only_dry_runs(request(Method::POST, &format!("{pods}?fieldManager=x&dryRun=All"))).unwrap();
        assert_eq!(sent.headers()[CONNECTION], "close");
        for (method, path) in [
            (Method::POST, pods.to_owned()),
            (Method::POST, format!("{pods}?")),
            (Method::POST, format!("{pods}?dryRun=")),
            (Method::POST, format!("{pods}?xdryRun=All")),
            (Method::POST, format!("{pods}?fieldManager=dryRun=All")),
            (Method::DELETE, format!("{pods}?dryRun=All")),
        ] {
            assert!(only_dry_runs(request(method, &path)).is_err(), "{path}");
        }
    }

    #[test]
    fn each_address_has_its_turn() {
        let addresses: Vec<SocketAddr> =
            ["10.0.0.2:0", "10.0.0.1:0", "[fd00::1]:0", "10.0.0.1:0"].map(|it| it.parse().unwrap()).to_vec();
        let mut shuffled = addresses.clone();
        shuffled.reverse();
        let firsts: Vec<_> = (0..6).map(|turn| in_turn(addresses.clone(), turn)[0].ip().to_string()).collect();
        assert_eq!(firsts, ["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.0.1", "10.0.0.2", "fd00::1"]);
        assert_eq!(in_turn(addresses, 4), in_turn(shuffled, 4));
        assert!(in_turn(Vec::new(), 3).is_empty());
    }

    #[test]
    fn a_proxys_user_is_not_lost() {
        let proxy: Uri = "http://us%40er:p%3Aw@127.0.0.1:3128".parse().unwrap();
        let tunnel = format!("{:?}", authorized(&proxy, Tunnel::new(proxy.clone(), ())));
        assert!(tunnel.contains("Auth"), "{tunnel}");
    }
}
