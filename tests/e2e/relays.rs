//! The harness itself: what a relay does to a call is what its server and its client see of it.

use std::sync::Arc;

use aws_credential_types::Credentials;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use futures::FutureExt as _;
use irsa_migrate::sim::build::Builder;

use crate::harness::{Fate, Plane, Relay, User};
use crate::wire::{Wire, wall_clock};

const ACCOUNT: &str = "111122223333";

/// What a client without retries is told of one call by way of a relay, and how often the server
/// behind it heard of it.
async fn through(fate: fn() -> Fate) -> (Result<(), String>, usize) {
    let world = Builder::new().begins(wall_clock()).account(ACCOUNT).world();
    let wire = Wire::start(world).await.expect("a port");
    let relay = Relay::before_aws(&wire.url(), Arc::new(move |_| async move { fate() }.boxed()));
    let settings = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", relay.address()))
        .region("eu-west-1")
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .credentials_provider(Credentials::new(ACCOUNT, "secret", None, None, "test"))
        .load()
        .await;
    let asked = aws_sdk_sts::Client::new(&settings).get_caller_identity().send().await;
    (asked.map(drop).map_err(|error| format!("{error:?}")), wire.seen().len())
}

#[tokio::test]
async fn each_fate_of_a_call_to_aws() {
    assert_eq!(through(|| Fate::Pass).await, (Ok(()), 1));
    let (told, heard) = through(|| Fate::Answer(StatusCode::SERVICE_UNAVAILABLE.into_response())).await;
    assert!(told.as_ref().is_err_and(|it| it.contains("503")), "{told:?}");
    assert_eq!(heard, 0);
    for (fate, heard_of) in [((|| Fate::Reset) as fn() -> Fate, 0), (|| Fate::Lost, 1)] {
        let (told, heard) = through(fate).await;
        assert!(told.as_ref().is_err_and(|it| it.contains("ConnectionReset")), "{told:?}");
        assert_eq!(heard, heard_of);
    }
}

/// What `GET /version` says by way of a relay before a plane.
async fn version(fate: fn() -> Fate) -> Result<String, String> {
    let plane = Plane::shared();
    let relay = Relay::before_plane(plane, Arc::new(move |_| async move { fate() }.boxed())).await;
    let text = kube::config::Kubeconfig::read_from(plane.kubeconfig("relayed", User::Nobody)).expect("a kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(text, &options).await.expect("settings");
    config.cluster_url = format!("https://{}", relay.address()).parse().expect("a URL");
    config.default_retry = false;
    let client = kube::Client::try_from(config).expect("a client");
    client.apiserver_version().await.map(|it| it.major).map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn each_fate_of_a_call_to_a_cluster() {
    assert_eq!(version(|| Fate::Pass).await, Ok("1".to_owned()), "under the certificate of the plane");
    let unavailable = version(|| Fate::Answer(StatusCode::SERVICE_UNAVAILABLE.into_response())).await;
    assert!(unavailable.as_ref().is_err_and(|it| it.contains("503")), "{unavailable:?}");
    for fate in [(|| Fate::Reset) as fn() -> Fate, || Fate::Lost] {
        let told = version(fate).await;
        assert!(told.as_ref().is_err_and(|it| it.contains("ConnectionReset")), "{told:?}");
    }
}
