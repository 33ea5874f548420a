//! The EKS authenticator: from a `k8s-aws-v1.` token to a Kubernetes user.
//!
//! Such a token is a presigned `sts:GetCallerIdentity` request in base64. EKS
//! sends that request to STS, with the header `x-k8s-aws-id` set to the name of
//! *its own* cluster, so that a token made for another cluster fails there. Here
//! nothing is sent: the test has named the callers and their secrets, and the
//! request is signed once more and compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::tools::Tools;

/// Who a caller is inside Kubernetes, as an access entry says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

/// A token as `aws eks get-token` makes it: signed by botocore, now.
pub(crate) fn eks_token(credentials: &Credentials, region: &str, cluster: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/harness/eks_token.py");
    let output = Command::new(Tools::get().python("python"))
        .arg(script)
        .args([credentials.access_key_id(), credentials.secret_access_key()])
        .args([credentials.session_token().unwrap_or_default(), region, cluster])
        .output()
        .expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("base64").trim().to_owned()
}

/// The answer to a TokenReview.
pub(crate) fn review(outcome: Result<Identity, String>) -> Value {
    let status = match outcome {
        Ok(Identity { user, groups }) => {
            json!({"authenticated": true, "user": {"username": user, "groups": groups}})
        }
        Err(error) => json!({"authenticated": false, "error": error}),
    };
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
}

/// The identity behind `token` at `now`, or why there is none.
pub(crate) fn authenticate(
    token: &str,
    cluster: &str,
    callers: &BTreeMap<String, (Credentials, Identity)>,
    now: SystemTime,
) -> Result<Identity, String> {
    let request = Presigned::read(token)?;
    request.check_form(now)?;
    let (credentials, identity) =
        callers.get(&request.access_key).ok_or_else(|| format!("unknown access key {}", request.access_key))?;
    if request.signature_with(credentials, cluster)? != request.get("X-Amz-Signature")? {
        return Err(format!("not signed by {} for the cluster {cluster}", request.access_key));
    }
    Ok(identity.clone())
}

/// The request inside a token.
struct Presigned {
    uri: Uri,
    query: BTreeMap<String, String>,
    access_key: String,
    region: String,
    signed_at: SystemTime,
    expires: Duration,
}

impl Presigned {
    fn read(token: &str) -> Result<Presigned, String> {
        let encoded = token.strip_prefix("k8s-aws-v1.").ok_or("not an EKS token")?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|error| error.to_string())?;
        let uri: Uri = String::from_utf8(bytes).map_err(|error| error.to_string())?.parse().map_err(|_| "not a URL")?;
        let mut query = BTreeMap::new();
        for pair in uri.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8().map_err(|error| error.to_string())?;
            query.insert(name.to_owned(), value.into_owned());
        }
        let missing = |name: &str| format!("{name} is missing");
        let credential = query.get("X-Amz-Credential").ok_or_else(|| missing("X-Amz-Credential"))?;
        let [access_key, _date, region, "sts", "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!("not a credential scope for STS: {credential}"));
        };
        let (access_key, region) = (access_key.to_owned(), region.to_owned());
        let date = query.get("X-Amz-Date").ok_or_else(|| missing("X-Amz-Date"))?;
        let signed_at = strtime::parse("%Y%m%dT%H%M%SZ", date)
            .and_then(|parsed| TimeZone::UTC.to_timestamp(parsed.to_datetime()?))
            .map_err(|error| format!("X-Amz-Date {date}: {error}"))?;
        let signed_at = SystemTime::UNIX_EPOCH + Duration::from_secs(signed_at.as_second().unsigned_abs());
        let expires = query.get("X-Amz-Expires").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let expires = expires.ok_or_else(|| missing("X-Amz-Expires"))?;
        Ok(Presigned { uri, query, access_key, region, signed_at, expires })
    }

    fn get(&self, name: &str) -> Result<&str, String> {
        self.query.get(name).map(String::as_str).ok_or_else(|| format!("{name} is missing"))
    }

    /// The checks that the authenticator makes before it calls STS: a public STS
    /// host, this one action, the cluster among the signed headers, at most 15
    /// minutes of life and not over yet.
    fn check_form(&self, now: SystemTime) -> Result<(), String> {
        let host = self.uri.host().unwrap_or_default();
        let regional = format!("sts.{}.amazonaws.com", self.region);
        if !["sts.amazonaws.com", &regional, &format!("{regional}.cn")].contains(&host) || self.uri.path() != "/" {
            return Err(format!("{host} is not STS"));
        }
        if self.get("Action")? != "GetCallerIdentity" {
            return Err("not a GetCallerIdentity request".to_owned());
        }
        if !self.get("X-Amz-SignedHeaders")?.split(';').any(|name| name == "x-k8s-aws-id") {
            return Err("the cluster is not among the signed headers".to_owned());
        }
        if self.expires > Duration::from_secs(900) {
            return Err("lives longer than 15 minutes".to_owned());
        }
        // EKS gives every token 15 minutes, whatever its own expiry says.
        if now > self.signed_at + Duration::from_secs(900) {
            return Err("expired".to_owned());
        }
        Ok(())
    }

    /// The signature that this request must have if `credentials` made it for
    /// `cluster`.
    fn signature_with(&self, credentials: &Credentials, cluster: &str) -> Result<String, String> {
        let unsigned = self.query.iter().filter(|(name, _)| !name.starts_with("X-Amz-"));
        let query: Vec<String> = unsigned.map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("https://{}/?{}", self.uri.host().unwrap_or_default(), query.join("&"));
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.expires_in = Some(self.expires);
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(self.signed_at)
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let headers = [("x-k8s-aws-id", cluster)].into_iter();
        let request =
            SignableRequest::new("GET", url, headers, SignableBody::Bytes(&[])).map_err(|error| error.to_string())?;
        Ok(sign(request, &params).map_err(|error| error.to_string())?.signature().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z, in seconds.
    const SIGNED: u64 = 1_767_225_600;

    fn refusal(url: &str, seconds_later: u64) -> String {
        let token = format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED + seconds_later);
        let credentials = Credentials::new("AKIA", "secret", None, None, "test");
        let identity = Identity { user: "engineer".to_owned(), groups: Vec::new() };
        let callers = [("AKIA".to_owned(), (credentials, identity))].into();
        authenticate(&token, "cluster", &callers, now).expect_err("a refusal")
    }

    #[test]
    fn each_rule_of_the_authenticator_refuses_with_its_reason() {
        let good = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
            &X-Amz-Credential=AKIA%2F20260101%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z\
            &X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=00";
        let unsigned = "not signed by AKIA for the cluster cluster";
        assert_eq!(refusal(good, 900), unsigned, "everything else about it is right, until its last second");
        assert_eq!(refusal(good, 901), "expired");
        let cases = [
            ("sts.eu-west-1.amazonaws.com", "sts.example.com", "sts.example.com is not STS"),
            ("sts.eu-west-1", "sts.us-east-1", "sts.us-east-1.amazonaws.com is not STS"),
            ("amazonaws.com/", "amazonaws.com/x", "sts.eu-west-1.amazonaws.com is not STS"),
            ("GetCallerIdentity", "AssumeRole", "not a GetCallerIdentity request"),
            ("%3Bx-k8s-aws-id", "", "the cluster is not among the signed headers"),
            ("X-Amz-Expires=60", "X-Amz-Expires=901", "lives longer than 15 minutes"),
            ("X-Amz-Expires=60&", "", "X-Amz-Expires is missing"),
            ("=AKIA", "=AKIB", "unknown access key AKIB"),
            ("%2Fsts%2F", "%2Fiam%2F", "not a credential scope for STS: AKIA/20260101/eu-west-1/iam/aws4_request"),
        ];
        for (from, to, expected) in cases {
            assert_eq!(refusal(&good.replace(from, to), 0), expected);
        }
        let global = good.replace("sts.eu-west-1.amazonaws.com", "sts.amazonaws.com");
        assert_eq!(refusal(&global, 0), unsigned, "the global endpoint is STS, too");
    }
}
