//! An evaluator of IAM trust policies, after the IAM user guide.
//!
//! It is written apart from the translator and shares no code with it, so that
//! each can be held against the other. It answers what STS would answer to one
//! request. What IAM would refuse to store is [`Malformed`]; nothing of such a
//! document is evaluated.
//!
//! Not modelled: permission policies, boundaries, session policies, and the
//! policies of an organization. They decide what a session may do and whether a
//! call is allowed beside the trust policy; no trust policy is read differently for them.

mod condition;
mod pattern;
mod policy;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use policy::{Malformed, Policy};

use crate::model::Subject;

/// The service principal of EKS Pod Identity; the same name in every partition that documents it.
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user or a role, by its ARN, with the account it is in.
    Aws {
        /// A user, role, or assumed-role session.
        arn: String,
        /// Twelve digits.
        account: String,
    },
    /// An AWS service, by its service principal.
    Service(String),
    /// Somebody whom an OIDC or SAML provider vouches for, by the provider's ARN.
    Federated(String),
}

/// Condition keys and their values. Names of keys are compared without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Sets a key to one value.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        self.with_all(key, [value])
    }

    /// Sets a key to several values; to none at all, the key is there and empty.
    #[must_use]
    pub fn with_all<'a>(mut self, key: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.insert(key.to_lowercase(), values.into_iter().map(str::to_owned).collect());
        self
    }

    /// The values of a key; none where the request has no such key, or an empty one.
    #[must_use]
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(&key.to_lowercase()).map_or(&[], Vec::as_slice)
    }
}

/// One request for one action on a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub principal: Principal,
    /// Such as `sts:AssumeRole`.
    pub action: String,
    /// What the request carries.
    pub context: Context,
}

/// What a policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it, whatever others say.
    ExplicitDeny,
    /// No statement is about it.
    ImplicitDeny,
}

/// What the trust policy with this text says to a request.
///
/// # Errors
/// IAM would not have stored this document.
pub fn evaluate(policy: &str, request: &Request) -> Result<Decision, Malformed> {
    Ok(Policy::parse(policy)?.decide(request))
}

/// Whether a trust policy allows every one of some requests: a call that needs two actions
/// succeeds only if both are allowed. A malformed document allows nothing.
#[must_use]
pub fn allows_all(policy: &str, requests: &[Request]) -> bool {
    Policy::parse(policy).is_ok_and(|it| it.allows_all(requests))
}

/// `AssumeRoleWithWebIdentity` with a Kubernetes token.
///
/// `issuer` is without its scheme. The request carries the token's `sub` and `aud` under the
/// issuer's name and no key of any other issuer (IAM user guide, "Available keys for AWS OIDC federation").
#[must_use]
pub fn web_identity_request(issuer: &str, provider_arn: &str, sub: &str, aud: &str, at: Timestamp) -> Request {
    let context = Context::default()
        .with(&format!("{issuer}:sub"), sub)
        .with(&format!("{issuer}:aud"), aud)
        .with("aws:FederatedProvider", provider_arn)
        .with("sts:RoleSessionName", "botocore-session-1700000000");
    Request {
        principal: Principal::Federated(provider_arn.to_owned()),
        action: "sts:AssumeRoleWithWebIdentity".to_owned(),
        context: at_time(context, at),
    }
}

/// The two requests of EKS Auth for a pod: `AssumeRole` and, unless session tags are off,
/// `TagSession`. Both have to be allowed.
///
/// Six tags, as the EKS user guide lists them; the cluster as `aws:SourceArn` and its account as
/// `aws:SourceAccount`, as the EKS best practices have it.
#[must_use]
pub fn pod_identity_requests(subject: &Subject, session_tags: bool, at: Timestamp) -> Vec<Request> {
    let cluster = &subject.cluster;
    let mut context = Context::default()
        .with("aws:SourceArn", cluster.as_str())
        .with("aws:SourceAccount", cluster.account().as_str())
        .with("aws:PrincipalIsAWSService", "true")
        .with("aws:PrincipalServiceName", POD_IDENTITY);
    let mut actions = vec!["sts:AssumeRole"];
    if session_tags {
        let tags = [
            ("eks-cluster-arn", cluster.as_str()),
            ("eks-cluster-name", cluster.name()),
            ("kubernetes-namespace", &subject.namespace),
            ("kubernetes-service-account", &subject.service_account),
            ("kubernetes-pod-name", "pod-0"),
            ("kubernetes-pod-uid", "00000000-0000-4000-8000-000000000000"),
        ];
        for (key, value) in tags {
            context = context.with(&format!("aws:RequestTag/{key}"), value);
        }
        context = context.with_all("aws:TagKeys", tags.map(|(key, _)| key));
        actions.push("sts:TagSession");
    }
    let context = at_time(context, at);
    let request = |action: &str| Request {
        principal: Principal::Service(POD_IDENTITY.to_owned()),
        action: action.to_owned(),
        context: context.clone(),
    };
    actions.into_iter().map(request).collect()
}

/// Keys that every request has (IAM user guide, global condition keys).
fn at_time(context: Context, at: Timestamp) -> Context {
    context
        .with("aws:CurrentTime", &at.to_string())
        .with("aws:EpochTime", &at.as_second().to_string())
        .with("aws:SecureTransport", "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterArn;

    #[test]
    fn a_pod_needs_both_actions_and_its_tags() {
        let subject = Subject {
            cluster: ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/shop").unwrap(),
            namespace: "carts".into(),
            service_account: "cart".into(),
        };
        let policy = |actions: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"pods.eks.amazonaws.com"}},"Action":{actions},
                "Condition":{{"StringEquals":{{"aws:RequestTag/kubernetes-namespace":"carts","aws:RequestTag/eks-cluster-name":"shop"}}}}}}]}}"#
            )
        };
        let both = policy(r#"["sts:AssumeRole","sts:TagSession"]"#);
        let tagged = pod_identity_requests(&subject, true, Timestamp::UNIX_EPOCH);
        assert!(allows_all(&both, &tagged));
        assert!(!allows_all(&policy(r#""sts:AssumeRole""#), &tagged));
        assert!(!allows_all(&both, &pod_identity_requests(&subject, false, Timestamp::UNIX_EPOCH)));
    }
}
