//! What the two kinds of request carry: which condition keys are there, and with what.
//!
//! Sources: IAM user guide, "AWS global condition context keys" and "Available keys for
//! AWS OIDC federation"; EKS user guide, "Grant Pods access to AWS resources based on
//! tags" (the six session tags); EKS best practices (`aws:SourceArn` is the cluster).

use std::borrow::Cow;

use crate::model::ClusterArn;

/// The service principal of EKS Pod Identity, in every partition.
pub(crate) const PODS_SERVICE: &str = "pods.eks.amazonaws.com";

/// A value of the request that stands for many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// `ISSUER:sub`.
    Subject,
    /// `ISSUER:aud`.
    Audience,
    /// `aws:RequestTag/kubernetes-namespace`.
    Namespace,
    /// `aws:RequestTag/kubernetes-service-account`.
    ServiceAccount,
}

/// What is known of one condition key in one kind of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// Never there.
    Absent,
    /// Not there as far as is documented. That it is not there may take access away, with
    /// a reason; it never gives access.
    AbsentLikely,
    /// There, with this value.
    Text(Cow<'a, str>),
    /// There, with these values.
    Texts(&'static [&'static str]),
    /// There, with the value that we solve for.
    Symbol(Symbol),
    /// There, with a value that we do not know.
    Anything,
    /// Not there, or there with this value.
    MaybeText(&'static str),
    /// Perhaps there.
    Maybe,
    /// There, and the same in both kinds of request.
    Generic,
}

/// The kind of request that a policy is judged for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request<'a> {
    /// `sts:AssumeRoleWithWebIdentity` with a token of this issuer, in lower case.
    WebIdentity {
        /// The issuer in lower case, for condition keys are compared without case.
        issuer: &'a str,
    },
    /// `sts:AssumeRole` and `sts:TagSession` by EKS for a pod of this cluster, with tags;
    /// `None` is a cluster that was not looked at.
    PodIdentity {
        /// The cluster.
        cluster: Option<&'a ClusterArn>,
    },
}

/// The session tags of Pod Identity; all are there or none is.
const TAG_KEYS: &[&str] = &[
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-service-account",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
];

impl<'a> Request<'a> {
    /// What is known of a condition key, given in lower case.
    pub(crate) fn known(self, key: &str) -> Known<'a> {
        match key {
            "aws:currenttime" | "aws:epochtime" | "aws:securetransport" => return Known::Generic,
            "sts:rolesessionname" => return Known::Anything,
            _ => {}
        }
        match self {
            Self::WebIdentity { issuer } => web_identity(issuer, key),
            Self::PodIdentity { cluster } => pod_identity(cluster, key),
        }
    }
}

fn web_identity(issuer: &str, key: &str) -> Known<'static> {
    if let Some(claim) = key.strip_prefix(issuer).and_then(|rest| rest.strip_prefix(':')) {
        return match claim {
            "sub" => Known::Symbol(Symbol::Subject),
            "aud" => Known::Symbol(Symbol::Audience),
            // Kubernetes puts no other claim into its tokens that IAM makes a key of.
            _ => Known::AbsentLikely,
        };
    }
    // EKS tokens carry no session tags, and nothing has tagged the caller yet.
    if key.starts_with("aws:requesttag/") || key.starts_with("aws:principaltag/") {
        return Known::Absent;
    }
    match key {
        "aws:tagkeys" | "sts:transitivetagkeys" | "sts:externalid" => Known::Absent,
        // Only calls of services on behalf of resources have a source.
        "aws:sourcearn" | "aws:sourceaccount" | "aws:sourceorgid" | "aws:sourceorgpaths" => Known::Absent,
        "aws:principalisawsservice" => Known::MaybeText("false"),
        _ if is_global(key) => Known::Maybe,
        // Keys of other issuers and of other services, and keys that nobody sets.
        _ => Known::Absent,
    }
}

fn pod_identity<'a>(cluster: Option<&'a ClusterArn>, key: &str) -> Known<'a> {
    let of_cluster =
        |value: fn(&'a ClusterArn) -> Cow<'a, str>| cluster.map_or(Known::Maybe, |arn| Known::Text(value(arn)));
    if let Some(tag) = key.strip_prefix("aws:requesttag/") {
        return match tag {
            "eks-cluster-arn" => of_cluster(|arn| Cow::Borrowed(arn.as_str())),
            "eks-cluster-name" => of_cluster(|arn| Cow::Borrowed(arn.name())),
            "kubernetes-namespace" => Known::Symbol(Symbol::Namespace),
            "kubernetes-service-account" => Known::Symbol(Symbol::ServiceAccount),
            "kubernetes-pod-name" | "kubernetes-pod-uid" => Known::Anything,
            // No tags but these six can be set.
            _ => Known::Absent,
        };
    }
    match key {
        "aws:tagkeys" => Known::Texts(TAG_KEYS),
        "aws:sourcearn" => of_cluster(|arn| Cow::Borrowed(arn.as_str())),
        "aws:sourceaccount" => of_cluster(|arn| Cow::Owned(arn.account().as_str().to_owned())),
        "aws:principalisawsservice" => Known::Text(Cow::Borrowed("true")),
        "aws:principalservicename" => Known::Text(Cow::Borrowed(PODS_SERVICE)),
        "aws:principalservicenameslist" | "aws:sourceorgid" | "aws:sourceorgpaths" => Known::Maybe,
        // The caller is a service: it has no network, no account and no tags of a customer.
        "aws:sourceip"
        | "aws:vpcsourceip"
        | "aws:sourcevpc"
        | "aws:sourcevpce"
        | "aws:userid"
        | "aws:username"
        | "aws:federatedprovider"
        | "sts:externalid"
        | "sts:sourceidentity" => Known::AbsentLikely,
        _ if key.starts_with("aws:principal") || key.starts_with("aws:multifactorauth") => Known::AbsentLikely,
        _ if is_global(key) => Known::Maybe,
        _ => Known::Absent,
    }
}

/// Whether a key is of a family of which a request to STS may carry members.
fn is_global(key: &str) -> bool {
    key.starts_with("aws:") || key.starts_with("sts:") || key.starts_with("iam:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_claims_of_its_own_issuer() {
        let request = Request::WebIdentity { issuer: "oidc.example/id/ab" };
        assert_eq!(request.known("oidc.example/id/ab:sub"), Known::Symbol(Symbol::Subject));
        assert_eq!(request.known("oidc.example/id/ab:aud"), Known::Symbol(Symbol::Audience));
        assert_eq!(request.known("oidc.example/id/ab:amr"), Known::AbsentLikely);
        assert_eq!(request.known("oidc.example/id/abc:sub"), Known::Absent);
        assert_eq!(request.known("https://oidc.example/id/ab:sub"), Known::Absent);
        assert_eq!(request.known("aws:principaltag/team"), Known::Absent);
        assert_eq!(request.known("aws:sourcevpc"), Known::Maybe);
        assert_eq!(request.known("sts:rolesessionname"), Known::Anything);
        assert_eq!(request.known("aws:currenttime"), Known::Generic);
    }

    #[test]
    fn eks_sets_six_tags_and_its_cluster() {
        let arn = ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/prod").unwrap();
        let request = Request::PodIdentity { cluster: Some(&arn) };
        assert_eq!(request.known("aws:requesttag/eks-cluster-arn"), Known::Text(Cow::Borrowed(arn.as_str())));
        assert_eq!(request.known("aws:requesttag/eks-cluster-name"), Known::Text(Cow::Borrowed("prod")));
        assert_eq!(request.known("aws:sourceaccount"), Known::Text(Cow::Borrowed("111122223333")));
        assert_eq!(request.known("aws:requesttag/team"), Known::Absent);
        assert_eq!(request.known("aws:principalarn"), Known::AbsentLikely);
        assert_eq!(request.known("oidc.example/id/ab:sub"), Known::Absent);
        assert_eq!(request.known("aws:requesttag/kubernetes-pod-uid"), Known::Anything);
        assert_eq!(request.known("aws:principalservicename"), Known::Text(Cow::Borrowed(PODS_SERVICE)));
        for perhaps in ["aws:principalservicenameslist", "aws:sourceorgid", "aws:sourceorgpaths", "aws:requestedregion"]
        {
            assert_eq!(request.known(perhaps), Known::Maybe, "{perhaps}");
        }
        for likely in ["aws:sourceip", "aws:sourcevpce", "aws:userid", "sts:externalid", "aws:multifactorauthage"] {
            assert_eq!(request.known(likely), Known::AbsentLikely, "{likely}");
        }
        let elsewhere = Request::PodIdentity { cluster: None };
        assert_eq!(elsewhere.known("aws:requesttag/eks-cluster-arn"), Known::Maybe);
        assert_eq!(elsewhere.known("aws:requesttag/kubernetes-namespace"), Known::Symbol(Symbol::Namespace));
    }
}
