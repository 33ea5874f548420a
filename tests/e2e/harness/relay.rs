//! A relay before one of the program's servers: a test decides over each call.

use std::future::{Ready, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::AddExtension;
use axum::response::{IntoResponse as _, Response};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::Layer as _;

use super::kubeconfig::User;
use super::plane::Plane;

/// A call that has come in and was not passed on yet.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What becomes of a call.
pub(crate) enum Fate {
    /// It is passed on, and so is its answer.
    Pass,
    /// It is answered so; its server never hears of it.
    Answer(Response),
    /// Its connection is reset; its server never hears of it.
    Reset,
    /// It is passed on; then its connection is reset, and nobody hears the answer.
    Lost,
}

/// Decides over each call. While it thinks, the call waits.
pub(crate) type Decide = Arc<dyn Fn(Asked) -> BoxFuture<'static, Fate> + Send + Sync>;

/// A running relay, on the runtime that it was started on. It ends when it is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Relay {
    /// Before a server of AWS, at this URL without a path.
    pub(crate) fn before_aws(url: &str, decide: Decide) -> Relay {
        let client = Box::new(Client::builder(TokioExecutor::new()).build(HttpConnector::new()));
        let front = Front { decide, upstream: Upstream::Plain { url: url.to_owned(), client } };
        let (listener, address) = listen();
        let server = axum_server::from_tcp(listener).expect("a listening server").acceptor(Lines);
        let router = axum::Router::new().fallback(relay).with_state(Arc::new(front));
        let server = tokio::spawn(async move { server.serve(router.into_make_service()).await });
        Relay { address, server }
    }

    /// Before the API servers of a plane. Whoever calls brings their own token; a client
    /// certificate would end here.
    pub(crate) async fn before_plane(plane: &Plane, decide: Decide) -> Relay {
        let file = plane.kubeconfig("relay", User::Nobody);
        let text = Kubeconfig::read_from(file).expect("a kubeconfig");
        let mut config =
            kube::Config::from_custom_kubeconfig(text, &KubeConfigOptions::default()).await.expect("settings");
        config.default_retry = false;
        let client = kube::Client::try_from(config).expect("a client");
        let identity = plane.authority.server();
        let tls = RustlsConfig::from_pem(identity.certificate.clone().into(), identity.key.clone().into());
        let tls = tls.await.expect("a certificate and its key");
        let front = Front { decide, upstream: Upstream::Kubernetes(client) };
        let (listener, address) = listen();
        let acceptor = RustlsAcceptor::new(tls).acceptor(Lines);
        let server = axum_server::from_tcp(listener).expect("a listening server").acceptor(acceptor);
        let router = axum::Router::new().fallback(relay).with_state(Arc::new(front));
        let server = tokio::spawn(async move { server.serve(router.into_make_service()).await });
        Relay { address, server }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
    listener.set_nonblocking(true).expect("a listener for async use");
    let address = listener.local_addr().expect("a bound listener has an address");
    (listener, address)
}

struct Front {
    decide: Decide,
    upstream: Upstream,
}

enum Upstream {
    Plain { url: String, client: Box<Client<HttpConnector, Body>> },
    Kubernetes(kube::Client),
}

impl Upstream {
    async fn ask(&self, asked: Asked) -> Response {
        let mut request = Request::builder().method(asked.method);
        let path = asked.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        for (name, value) in &asked.headers {
            // The clients here say these themselves.
            if ![header::HOST, header::CONNECTION, header::CONTENT_LENGTH].contains(name) {
                request = request.header(name, value);
            }
        }
        let answer = match self {
            Upstream::Plain { url, client } => {
                let request = request.uri(format!("{url}{path}")).body(Body::from(asked.body)).expect("a request");
                client.request(request).await.map(|it| it.map(Body::new)).map_err(|it| it.to_string())
            }
            Upstream::Kubernetes(client) => {
                let request = request.uri(path).body(asked.body.into()).expect("a request");
                client.send(request).await.map(|it| it.map(Body::new)).map_err(|it| it.to_string())
            }
        };
        answer.unwrap_or_else(|error| (axum::http::StatusCode::BAD_GATEWAY, error).into_response())
    }
}

async fn relay(State(front): State<Arc<Front>>, Extension(cut): Extension<Cut>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 22).await.unwrap_or_default();
    let asked = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    match (front.decide)(asked.clone()).await {
        Fate::Pass => front.upstream.ask(asked).await,
        Fate::Answer(answer) => answer,
        Fate::Reset => cut.cut(),
        Fate::Lost => {
            // It has taken effect once the answer begins.
            drop(front.upstream.ask(asked).await);
            cut.cut()
        }
    }
}

/// The end of a connection, to come with the next byte that is written to it.
#[derive(Debug, Clone, Default)]
struct Cut(Arc<AtomicBool>);

impl Cut {
    /// The answer whose first byte never leaves.
    fn cut(&self) -> Response {
        self.0.store(true, Ordering::SeqCst);
        Response::default()
    }
}

/// Makes each connection one that can be cut, and lets its calls do so.
#[derive(Debug, Clone, Copy)]
struct Lines;

impl<S> Accept<TcpStream, S> for Lines {
    type Stream = Line;
    type Service = AddExtension<S, Cut>;
    type Future = Ready<io::Result<(Line, AddExtension<S, Cut>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let cut = Cut::default();
        ready(Ok((Line { stream, cut: cut.clone() }, Extension(cut).layer(service))))
    }
}

/// A connection that can be cut.
struct Line {
    stream: TcpStream,
    cut: Cut,
}

impl Line {
    fn is_whole(&self) -> io::Result<()> {
        if !self.cut.0.load(Ordering::SeqCst) {
            return Ok(());
        }
        // Closed with this, a connection is reset and not ended politely.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_whole()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
