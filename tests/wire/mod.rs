//! AWS on the wire: the simulated world behind HTTP, as the real SDK clients speak it.
//!
//! EKS in REST and JSON, IAM and STS in query and XML, on one address that `AWS_ENDPOINT_URL` can
//! name. The account is told by the access key: one of twelve digits is the account of that
//! number. Time is the wall clock's. There is no Kubernetes here.

mod eks;
mod iam;
mod reply;
mod sts;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use irsa_migrate::inventory::{Association, Caller};
use irsa_migrate::model::{AccountId, Subject};
use irsa_migrate::ports::{Answer, PortError};
use irsa_migrate::sim::{Call, Reply, World};
use jiff::Timestamp;

pub(crate) use reply::Said;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireFault {
    /// Throttled, with the code of the service; nothing happens.
    Throttled,
    /// HTTP 500; nothing happens.
    Failing,
    /// The caller has no right to it; nothing happens.
    Denied,
    /// The credentials have run out; nothing happens.
    Expired,
    /// The connection is cut before anything happens.
    CutBefore,
    /// It takes effect, and then the connection is cut in the middle of the answer.
    CutAfter,
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The operation, such as `GetRole`.
    pub(crate) operation: String,
    /// The access key that signed it; empty if it was not signed.
    pub(crate) access_key: String,
    /// The HTTP status of the answer; 0 where the connection was cut.
    pub(crate) status: u16,
}

impl Seen {
    /// Whether the operation changes anything.
    pub(crate) fn is_write(&self) -> bool {
        const READS: [&str; 5] = ["Get", "List", "Describe", "Assume", "Simulate"];
        !READS.iter().any(|it| self.operation.starts_with(it))
    }
}

/// A running wire front. It ends when it is dropped.
pub(crate) struct Wire {
    front: Arc<Front>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What the handlers share.
struct Front {
    world: Mutex<World>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<BTreeMap<String, VecDeque<WireFault>>>,
    /// Accounts of access keys that are no account themselves.
    keys: Mutex<BTreeMap<String, AccountId>>,
    /// No page is longer, whatever the client asks for.
    page: Mutex<usize>,
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock: behind the wire there is no other.
#[expect(clippy::disallowed_methods, reason = "the world behind the wire lives in real time")]
pub(crate) fn wall_clock() -> Timestamp {
    Timestamp::now()
}

impl Wire {
    /// Puts a world on a free port of 127.0.0.1. It should begin at [`wall_clock`].
    pub(crate) async fn start(world: World) -> std::io::Result<Self> {
        let front = Arc::new(Front {
            world: Mutex::new(world),
            seen: Mutex::default(),
            faults: Mutex::default(),
            keys: Mutex::default(),
            page: Mutex::new(usize::MAX),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(handle).with_state(front.clone());
        let server = tokio::spawn(async move {
            // It ends only with the task.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { front, address, server })
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The world behind it: to look at, to change, to let answers lag. Its time is brought up to now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.front.world);
        world.tick(wall_clock());
        world
    }

    /// Lets an access key that is no account belong to one.
    pub(crate) fn key_of(&self, access_key: &str, account: AccountId) {
        lock(&self.front.keys).insert(access_key.to_owned(), account);
    }

    /// Lets the next requests of an operation fail, one after the other.
    pub(crate) fn fail(&self, operation: &str, faults: impl IntoIterator<Item = WireFault>) {
        lock(&self.front.faults).entry(operation.to_owned()).or_default().extend(faults);
    }

    /// Makes pages no longer than this, whatever is asked for.
    pub(crate) fn set_page(&self, longest: usize) {
        *lock(&self.front.page) = longest.max(1);
    }

    /// All requests so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.front.seen).clone()
    }

    /// How many requests of each operation there were.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for it in self.seen() {
            *counts.entry(it.operation).or_default() += 1;
        }
        counts
    }

    /// The requests that may have changed something, in order.
    pub(crate) fn writes(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_write).collect()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        lock(&self.front.seen).clear();
    }

    /// What the webhook beside one API server is told of a ServiceAccount's association now.
    pub(crate) fn webhook_sees(&self, server: u32, subject: &Subject) -> Option<Association> {
        self.world().webhook_sees(server, subject)
    }
}

/// The credential scope of a signature: `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Debug, Clone, Default)]
struct Scope {
    key: String,
    region: String,
}

impl Scope {
    fn of(headers: &HeaderMap) -> Self {
        let header = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let credential = header.split_once("Credential=").map_or("", |(_, it)| it);
        let mut parts = credential.split([',', '/']).map(|it| it.trim().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        let key = next();
        next();
        Self { key, region: next() }
    }
}

/// One request, taken apart.
struct Asked<'a> {
    front: &'a Front,
    scope: Scope,
    /// Who asks; nobody where the key is unknown.
    who: Option<Caller>,
    /// Of the query, or of the form.
    parameters: BTreeMap<String, String>,
    body: Bytes,
}

impl Asked<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    fn who(&self) -> Answer<&Caller> {
        let unknown = || PortError::Credentials("InvalidClientTokenId: The security token included is invalid.".into());
        self.who.as_ref().ok_or_else(unknown)
    }

    /// Asks the world.
    fn call(&self, call: Call) -> Answer<Reply> {
        let who = self.who()?;
        lock(&self.front.world).call(who, wall_clock(), call)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.front.world)
    }

    /// One page of a list: what is on it, and where the next one begins.
    fn page<T>(&self, all: Vec<T>, asked: Option<&str>, from: Option<&str>) -> (Vec<T>, Option<String>) {
        let asked = asked.and_then(|it| it.parse().ok()).unwrap_or(100);
        let size = usize::min(asked, *lock(&self.front.page)).max(1);
        let from: usize = from.and_then(|it| it.strip_prefix("from-")?.parse().ok()).unwrap_or(0);
        let next = (from + size < all.len()).then(|| format!("from-{}", from + size));
        (all.into_iter().skip(from).take(size).collect(), next)
    }
}

async fn handle(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 22).await.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let form = parts.method == Method::POST && parts.uri.path() == "/";
    let parameters = if form { pairs(&String::from_utf8_lossy(&body)) } else { pairs(query) };
    let scope = Scope::of(&parts.headers);
    let account = AccountId::parse(&scope.key).ok().or_else(|| lock(&front.keys).get(&scope.key).cloned());
    let who = account
        .map(|account| Caller { arn: format!("arn:aws:sts::{account}:assumed-role/platform-admin/operator"), account });
    let access_key = scope.key.clone();
    let asked = Asked { front: &front, scope, who, parameters, body };
    let (operation, answer) = route(&asked, &parts.method, parts.uri.path());
    let status = answer.as_ref().map_or(0, |it| it.status().as_u16());
    lock(&front.seen).push(Seen { operation, access_key, status });
    answer.unwrap_or_else(cut)
}

/// Which operation it is, and the answer; none where the connection is to be cut.
fn route(asked: &Asked<'_>, method: &Method, path: &str) -> (String, Option<Response>) {
    if method == Method::POST && path == "/" {
        let operation = asked.parameter("Action").unwrap_or_default().to_owned();
        let sts = ["GetCallerIdentity", "AssumeRoleWithWebIdentity"].contains(&operation.as_str());
        let answer = faulty(asked, &operation, || {
            if sts { sts::answer(asked, &operation) } else { iam::answer(asked, &operation) }
        });
        return (operation, answer.map(Said::xml));
    }
    let Some(operation) = eks::operation(method, path) else {
        return (format!("{method} {path}"), Some(StatusCode::NOT_FOUND.into_response()));
    };
    let answer = faulty(asked, operation.name(), || eks::answer(asked, &operation));
    (operation.name().to_owned(), answer.map(Said::json))
}

/// The answer under the fault that is due, if one is.
fn faulty(asked: &Asked<'_>, operation: &str, answer: impl FnOnce() -> Said) -> Option<Said> {
    let fault = lock(&asked.front.faults).get_mut(operation).and_then(VecDeque::pop_front);
    let refused = |error: PortError| Some(Said::error(&error));
    match fault {
        None => Some(answer()),
        Some(WireFault::Throttled) => refused(PortError::Throttled("ThrottlingException: Rate exceeded".into())),
        Some(WireFault::Failing) => refused(PortError::Server("ServiceFailure: Internal error".into())),
        Some(WireFault::Denied) => {
            let who = asked.who.as_ref().map_or("nobody", |it| it.arn.as_str());
            refused(PortError::Denied(format!("AccessDenied: User: {who} is not authorized to perform: {operation}")))
        }
        Some(WireFault::Expired) => refused(PortError::Credentials(
            "ExpiredToken: The security token included in the request is expired".into(),
        )),
        Some(WireFault::CutBefore) => None,
        Some(WireFault::CutAfter) => {
            answer();
            None
        }
    }
}

/// An answer that breaks off: its length is promised and never comes.
fn cut() -> Response {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut on purpose");
    let body = Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(broken) }));
    ([("content-length", "1000")], body).into_response()
}

/// The pairs of a query or a form.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |it: &str| {
        let spaced = it.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pair = |it: &str| {
        let (key, value) = it.split_once('=').unwrap_or((it, ""));
        (decode(key), decode(value))
    };
    text.split('&').filter(|it| !it.is_empty()).map(pair).collect()
}
