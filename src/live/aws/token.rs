//! Tokens for an EKS API server, made from AWS credentials.
//!
//! A token is a presigned request to `sts:GetCallerIdentity`, which EKS sends
//! off to learn who is calling. The cluster's name is signed with it, so that no
//! other cluster takes it. EKS takes a token for 15 minutes, whatever its
//! `X-Amz-Expires` says (kubernetes-sigs/aws-iam-authenticator).

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Mutex;

use super::error::no_credentials;
use super::iam::odd;
use crate::live::clock::wall_clock;
use crate::model::ClusterArn;
use crate::ports::{Answer, PortError};

/// A token that is older is made again. EKS takes it for 15 minutes.
const AGE: Duration = Duration::from_secs(600);

/// How long the presigned request itself says it counts: what every client of EKS writes.
const EXPIRES: Duration = Duration::from_secs(60);

/// RFC 3986's unreserved characters stay as they are.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Makes the tokens of one cluster.
pub(in crate::live) struct TokenMaker {
    sdk: SdkConfig,
    cluster: String,
    region: String,
    last: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    made_at: Timestamp,
    credentials_end: Option<Timestamp>,
}

impl TokenMaker {
    pub(super) fn new(sdk: SdkConfig, cluster: &ClusterArn) -> Self {
        let (region, cluster) = (cluster.region().to_owned(), cluster.name().to_owned());
        Self { sdk, cluster, region, last: Mutex::new(None) }
    }

    /// A token that EKS still takes: the last one, or a new one.
    pub(in crate::live) async fn token(&self) -> Answer<String> {
        let mut last = self.last.lock().await;
        let now = wall_clock();
        if let Some(known) = last.as_ref().filter(|it| it.is_good_at(now)) {
            return Ok(known.text.clone());
        }
        let made = self.make(now).await?;
        let text = made.text.clone();
        *last = Some(made);
        Ok(text)
    }

    /// Makes the next call make a new token: the server did not take the last one.
    pub(in crate::live) async fn forget(&self) {
        *self.last.lock().await = None;
    }

    async fn make(&self, now: Timestamp) -> Answer<Token> {
        let what = format!("the token for cluster {}", self.cluster);
        let provider = self.sdk.credentials_provider();
        let provider = provider.ok_or_else(|| PortError::Credentials(format!("{what}: no AWS credentials")))?;
        let credentials = provider.provide_credentials().await.map_err(|it| no_credentials(&what, &it))?;
        let credentials_end = credentials.expiry().and_then(|it| Timestamp::try_from(it).ok());
        let host = self.sts_host(&what).await?;
        let url = presigned(&credentials, &host, &self.region, &self.cluster, now);
        let url = url.map_err(|it| odd(&what, it))?;
        let text = format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url));
        Ok(Token { text, made_at: now, credentials_end })
    }

    /// STS of the cluster's own region. An endpoint of the user's own (`AWS_ENDPOINT_URL_STS`) is
    /// not used: EKS only takes requests to hosts of AWS that it knows.
    async fn sts_host(&self, what: &str) -> Answer<String> {
        let params = Params::builder().region(&self.region).use_fips(false).use_dual_stack(false);
        let params = params.use_global_endpoint(false).build().map_err(|it| odd(what, it))?;
        let resolver = DefaultResolver::new();
        let endpoint = resolver.resolve_endpoint(&params).await.map_err(|it| odd(what, it))?;
        Ok(endpoint.url().trim_start_matches("https://").trim_end_matches('/').to_owned())
    }
}

impl Token {
    /// By the wall clock, for the other clocks stand still while a machine sleeps.
    fn is_good_at(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.made_at);
        let young = !age.is_negative() && age.unsigned_abs() < AGE;
        let lasting = self.credentials_end.is_none_or(|end| end.duration_since(now).as_secs() > 60);
        young && lasting
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The presigned URL, as the AWS CLI's `eks get-token` makes it.
fn presigned(
    credentials: &Credentials,
    host: &str,
    region: &str,
    cluster: &str,
    now: Timestamp,
) -> Result<String, Failure> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millisecond().try_into()?);
    let region = Region::new(region.to_owned());
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(EXPIRES);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("sts")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let mut url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let headers = [("x-k8s-aws-id", cluster)].into_iter();
    let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(request, &params)?.into_parts();
    for (key, value) in instructions.params() {
        let value = utf8_percent_encode(value, QUERY);
        url.extend(["&", key, "="]);
        url.extend(value);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use percent_encoding::percent_decode_str;

    use super::*;

    fn url(session: Option<&str>) -> (String, BTreeMap<String, String>) {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, session.map(str::to_owned), None, "test");
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let url = presigned(&credentials, "sts.eu-west-1.amazonaws.com", "eu-west-1", "shop", now).unwrap();
        let (head, query) = url.split_once('?').unwrap();
        let decoded = |it: &str| percent_decode_str(it).decode_utf8().unwrap().into_owned();
        let pairs = query.split('&').map(|it| it.split_once('=').unwrap());
        (head.to_owned(), pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect())
    }

    /// The signatures are those that botocore 1.43 makes for the same credentials and time.
    #[test]
    fn signed_as_the_aws_cli_signs() {
        let (head, query) = url(None);
        assert_eq!(head, "https://sts.eu-west-1.amazonaws.com/");
        let expected = [
            ("Action", "GetCallerIdentity"),
            ("Version", "2011-06-15"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE/20261124/eu-west-1/sts/aws4_request"),
            ("X-Amz-Date", "20261124T100000Z"),
            ("X-Amz-Expires", "60"),
            ("X-Amz-Signature", "9894d9f921dd7e5679418d2f432969fb10c8adb25d07ee18b393858d778f3d65"),
            ("X-Amz-SignedHeaders", "host;x-k8s-aws-id"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(query, BTreeMap::from(expected));

        let (_, query) = url(Some("tok/en+a="));
        assert_eq!(query["X-Amz-Security-Token"], "tok/en+a=");
        assert_eq!(query["X-Amz-Signature"], "31e7908cca7f6eca76977ecdaebe606ebe59ebd29b37a945773db4c0f2915644");
    }

    #[test]
    fn a_token_is_made_again_before_it_runs_out() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let made_at = at("2026-11-24T10:00:00Z");
        let token = Token { text: String::new(), made_at, credentials_end: None };
        assert!(token.is_good_at(made_at));
        assert!(token.is_good_at(at("2026-11-24T10:09:59Z")));
        assert!(!token.is_good_at(at("2026-11-24T10:10:00Z")));
        // A clock that was put back says nothing about the token's age.
        assert!(!token.is_good_at(at("2026-11-24T09:59:59Z")));
        let ending = Token { credentials_end: Some(at("2026-11-24T10:05:00Z")), ..token };
        assert!(ending.is_good_at(at("2026-11-24T10:03:00Z")));
        assert!(!ending.is_good_at(at("2026-11-24T10:04:30Z")));
    }

    #[tokio::test]
    async fn the_host_is_the_clusters_own_region_and_partition() {
        for (region, arn, host) in [
            ("eu-west-1", "arn:aws:eks:eu-west-1:111122223333:cluster/shop", "sts.eu-west-1.amazonaws.com"),
            ("cn-north-1", "arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop", "sts.cn-north-1.amazonaws.com.cn"),
        ] {
            let sdk = SdkConfig::builder().region(Region::new("us-east-2")).build();
            let maker = TokenMaker::new(sdk, &ClusterArn::parse(arn).unwrap());
            assert_eq!((maker.region.as_str(), maker.sts_host("x").await.unwrap().as_str()), (region, host));
        }
    }
}
