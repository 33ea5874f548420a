//! Recorded answers of AWS, given to the real SDK clients over a real connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use irsa_migrate::live::sdk_config;

/// Who the credentials belong to.
pub(crate) const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/platform/ann</Arn><UserId>AROA:ann</UserId>\
    <Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// Answers that were recorded, by call: the IAM or STS action, or method and path. The last answer
/// of a call is given again and again.
#[derive(Default)]
pub(crate) struct Recorded {
    answers: Mutex<BTreeMap<String, VecDeque<(u16, String)>>>,
    pub(crate) requests: Mutex<Vec<(String, String)>>,
}

#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) recorded: Arc<Recorded>,
    pub(crate) url: String,
}

impl Wire {
    pub(crate) async fn start() -> Self {
        let recorded = Arc::new(Recorded::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(recorded.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let wire = Self { recorded, url };
        wire.on("GetCallerIdentity", 200, CALLER);
        wire
    }

    pub(crate) fn on(&self, call: &str, status: u16, body: &str) {
        let mut answers = self.recorded.answers.lock().expect("answers");
        answers.entry(call.to_owned()).or_default().push_back((status, body.to_owned()));
    }

    /// The bodies, or queries, of the requests of one call.
    pub(crate) fn sent(&self, call: &str) -> Vec<String> {
        let requests = self.recorded.requests.lock().expect("requests");
        requests.iter().filter(|(it, _)| it == call).map(|(_, body)| body.clone()).collect()
    }
}

async fn answer(State(recorded): State<Arc<Recorded>>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let body = String::from_utf8_lossy(&body).into_owned();
    let action = body.split('&').find_map(|it| it.strip_prefix("Action=")).map(str::to_owned);
    let call = action.unwrap_or_else(|| format!("{method} {}", uri.path()));
    let sent = if body.is_empty() { uri.query().unwrap_or_default().to_owned() } else { body };
    recorded.requests.lock().expect("requests").push((call.clone(), sent));
    let mut answers = recorded.answers.lock().expect("answers");
    let Some(queue) = answers.get_mut(&call) else {
        return (StatusCode::NOT_IMPLEMENTED, format!("nothing was recorded for {call}")).into_response();
    };
    let (status, body) = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }.expect("an answer");
    let kind = if body.starts_with('<') { "text/xml" } else { "application/json" };
    let status = StatusCode::from_u16(status).expect("a status");
    let code = body.strip_prefix("{\"code\":\"").and_then(|it| it.split('"').next());
    let code = code.map(|it| [("x-amzn-errortype", it.to_owned())]);
    match code {
        Some(code) => (status, code, [("content-type", kind)], body).into_response(),
        None => (status, [("content-type", kind)], body).into_response(),
    }
}

/// Credentials of nobody, no waiting between retries, and one endpoint for every service.
pub(crate) async fn sdk(url: &str) -> SdkConfig {
    let retries = RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(1));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    sdk_config()
        .endpoint_url(url)
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .retry_config(retries)
        .load()
        .await
}
