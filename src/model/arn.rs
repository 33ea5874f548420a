//! Names of accounts, clusters, roles and ServiceAccounts.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct NameError {
    wanted: &'static str,
    found: String,
}

impl NameError {
    fn new(wanted: &'static str, found: &str) -> Self {
        // A name may come from anywhere, so that only its beginning is repeated.
        let found = found.chars().take(120).collect();
        Self { wanted, found }
    }
}

/// Gives a checked string type its conversions; `parse` is written by hand.
macro_rules! checked_string {
    ($name:ident) => {
        impl $name {
            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

/// An AWS account: twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);
checked_string!(AccountId);

impl AccountId {
    /// # Errors
    /// Anything but twelve digits.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("an account id of twelve digits", text))
        }
    }
}

/// The five parts of an ARN behind `arn:`; the last may hold colons.
struct Parts<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let mut fields = text.splitn(6, ':');
    if fields.next() != Some("arn") {
        return None;
    }
    let parts = Parts {
        partition: fields.next()?,
        service: fields.next()?,
        region: fields.next()?,
        account: fields.next()?,
        resource: fields.next()?,
    };
    // `aws`, `aws-cn`, `aws-us-gov`, `aws-iso-b`, `aws-eusc`: new partitions keep this shape.
    let partition = parts.partition;
    let shaped = partition == "aws" || partition.starts_with("aws-");
    let plain = partition.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (shaped && plain).then_some(parts)
}

/// An EKS cluster: `arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterArn(String);
checked_string!(ClusterArn);

impl ClusterArn {
    /// # Errors
    /// Anything but the ARN of an EKS cluster.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let ok = parts(text).is_some_and(|it| {
            it.service == "eks"
                && !it.region.is_empty()
                && AccountId::parse(it.account).is_ok()
                && it.resource.strip_prefix("cluster/").is_some_and(is_cluster_name)
        });
        if ok { Ok(Self(text.to_owned())) } else { Err(NameError::new("the ARN of an EKS cluster", text)) }
    }

    fn field(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// `aws`, `aws-cn`, ...
    #[must_use]
    pub fn partition(&self) -> &str {
        self.field(1)
    }

    /// The cluster's region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.field(3)
    }

    /// The account that owns the cluster.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId(self.field(4).to_owned())
    }

    /// The name alone; unique only within an account and a region.
    #[must_use]
    pub fn name(&self) -> &str {
        self.field(5).strip_prefix("cluster/").unwrap_or_default()
    }
}

/// EKS: `^[0-9A-Za-z][A-Za-z0-9\-_]*`, 1 to 100 characters.
fn is_cluster_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 100
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An IAM role: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`; the path may be absent.
///
/// IAM finds a role by its name alone, so that the account has to be compared
/// before a name is ever used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);
checked_string!(RoleArn);

impl RoleArn {
    /// # Errors
    /// Anything but the ARN of an IAM role.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let ok = text.len() <= 2048
            && parts(text).is_some_and(|it| {
                it.service == "iam"
                    && it.region.is_empty()
                    && AccountId::parse(it.account).is_ok()
                    && it.resource.strip_prefix("role/").is_some_and(is_role_path)
            });
        if ok { Ok(Self(text.to_owned())) } else { Err(NameError::new("the ARN of an IAM role", text)) }
    }

    /// `aws`, `aws-cn`, ...
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// The account that owns the role.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId(self.0.split(':').nth(4).unwrap_or_default().to_owned())
    }

    /// The role's name, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// A path of printable characters, then a name of 1 to 64 of `[\w+=,.@-]`.
fn is_role_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let named = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=64).contains(&name.len())
        && name.bytes().all(named)
        && path.bytes().all(|b| b.is_ascii_graphic())
        && !path.starts_with('/')
        && !path.contains("//")
}

/// A cluster's OIDC issuer without its scheme: host and path, as IAM names a provider.
///
/// Compared exactly in ARNs and without case in condition keys. The host is not
/// looked at: dual-stack hosts and new partitions have other names (DOMAIN 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(String);
checked_string!(Issuer);

impl Issuer {
    /// Takes the issuer with or without `https://`.
    ///
    /// # Errors
    /// An empty text, one with spaces or control characters, or another scheme.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix("https://").unwrap_or(text);
        let ok = !bare.is_empty()
            && bare.len() <= 255
            && !bare.contains("://")
            && bare.bytes().all(|b| b.is_ascii_graphic());
        if ok { Ok(Self(bare.to_owned())) } else { Err(NameError::new("an OIDC issuer", text)) }
    }

    /// The issuer as a token's `iss` claim has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.0)
    }

    /// The ARN of the IAM OIDC provider for this issuer in one account.
    #[must_use]
    pub fn provider_arn(&self, partition: &str, account: &AccountId) -> String {
        format!("arn:{partition}:iam::{account}:oidc-provider/{}", self.0)
    }
}

/// One ServiceAccount of one cluster, whether or not it exists.
///
/// ServiceAccounts are unique only within a namespace, namespaces only within a
/// cluster, and cluster names repeat across accounts and regions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// The cluster that the ServiceAccount lives in.
    pub cluster: ClusterArn,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub service_account: String,
}

impl Subject {
    /// The `sub` claim of its tokens.
    #[must_use]
    pub fn token_subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

impl fmt::Display for Subject {
    /// `CLUSTER/NAMESPACE/NAME`, for people: the cluster's name is not unique.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster.name(), self.namespace, self.service_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_arns_of_every_partition() {
        for partition in ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"] {
            let text = format!("arn:{partition}:eks:eu-west-1:111122223333:cluster/prod_1-a");
            let arn = ClusterArn::parse(&text).unwrap();
            assert_eq!(arn.partition(), partition);
            assert_eq!((arn.region(), arn.account().as_str(), arn.name()), ("eu-west-1", "111122223333", "prod_1-a"));
        }
    }

    #[test]
    fn what_is_no_cluster_arn() {
        for text in [
            "",
            "prod",
            "arn:aws:eks:eu-west-1:111122223333:cluster/",
            "arn:aws:eks:eu-west-1:1111:cluster/prod",
            "arn:aws:eks:eu-west-1:111122223333:cluster/-prod",
            "arn:aws:eks:eu-west-1:111122223333:cluster/prod/x",
            "arn:aws:eks::111122223333:cluster/prod",
            "arn:AWS:eks:eu-west-1:111122223333:cluster/prod",
            "arn:aws:iam::111122223333:role/prod",
        ] {
            assert!(ClusterArn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn role_arns_keep_their_path() {
        let arn = RoleArn::parse("arn:aws:iam::111122223333:role/team/a/cart@x").unwrap();
        assert_eq!((arn.account().as_str(), arn.name()), ("111122223333", "cart@x"));
        for text in [
            "null",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::111122223333:role//cart",
            "arn:aws:iam::111122223333:user/cart",
            "arn:aws:iam:eu-west-1:111122223333:role/cart",
            "arn:aws:iam::111122223333:role/cart\n",
        ] {
            assert!(RoleArn::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn issuers_lose_their_scheme() {
        let issuer = Issuer::parse("https://oidc.eks.eu-west-1.amazonaws.com/id/AB").unwrap();
        assert_eq!(issuer.as_str(), "oidc.eks.eu-west-1.amazonaws.com/id/AB");
        assert_eq!(issuer.url(), "https://oidc.eks.eu-west-1.amazonaws.com/id/AB");
        assert!(Issuer::parse("http://x/id").is_err());
        assert!(Issuer::parse("a b").is_err());
    }
}
