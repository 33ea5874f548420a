//! The cluster as a whole.

use super::{Explanation, Severity};

const RESTRICTIONS: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html";

pub(super) const WRONG_CONTEXT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the API server is another cluster's",
    meaning: "The issuer that the API server names is not the one that EKS names for this cluster.",
    why: "What was read from Kubernetes belongs to another cluster than what was read from EKS: everything that \
          follows would be about the wrong one.",
    remedy: "Name the kubeconfig context of this cluster, or none: without one the token is made from the AWS \
             credentials.",
    sources: &[],
};

pub(super) const IN_OTHER_ACCOUNT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster is in another account",
    meaning: "The cluster's ARN names another account than the one that the credentials belong to.",
    why: "The roles, providers and associations that were read are those of the wrong account.",
    remedy: "Use credentials of the cluster's account, one plan for each account.",
    sources: &[],
};

pub(super) const WITHOUT_ISSUER: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster has no OIDC issuer",
    meaning: "EKS names no OIDC issuer for this cluster.",
    why: "Without an issuer there is no IRSA, and no trust statement can be matched with the cluster.",
    remedy: "Wait until the cluster is ACTIVE and scan again; local clusters on Outposts have neither IRSA nor Pod \
             Identity.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html"],
};

pub(super) const NOT_ACTIVE: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "the cluster is not ACTIVE",
    meaning: "EKS says that the cluster is in another state than ACTIVE.",
    why: "While a cluster is updated its API servers are replaced one by one, roll-outs take longer and the webhook \
          may be away for moments.",
    remedy: "Wait until the cluster is ACTIVE before you apply.",
    sources: &["https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html"],
};

pub(super) const TOO_OLD: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster is too old for Pod Identity",
    meaning: "The cluster's Kubernetes or platform version is older than the first that has Pod Identity.",
    why: "Associations have no effect there: pods would stay on IRSA, or be refused.",
    remedy: "Update the cluster's version; EKS brings the platform version by itself.",
    sources: &[RESTRICTIONS],
};

pub(super) const ASSOCIATION_QUOTA: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "more associations than a cluster may have",
    meaning: "With an association for every annotated ServiceAccount the cluster would pass the limit.",
    why: "EKS refuses each association beyond the limit, which cannot be raised.",
    remedy: "Delete associations that nobody needs, or leave some ServiceAccounts on IRSA by the settings' scope.",
    sources: &[RESTRICTIONS],
};

pub(super) const ASSOCIATION_QUOTA_NEAR: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "close to the most associations that a cluster may have",
    meaning: "With an association for every annotated ServiceAccount the cluster would use more than nine tenths of \
              the limit.",
    why: "EKS refuses each association beyond the limit, which cannot be raised; ServiceAccounts that are made later \
          may then find no room.",
    remedy: "Delete associations that nobody needs, and keep the number in sight.",
    sources: &[RESTRICTIONS],
};

pub(super) const API_SERVERS_UNKNOWN: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "the number of API servers is not known",
    meaning: "The leases by which API servers make themselves known could not be read.",
    why: "How many probes prove that every API server knows an association depends on their number. Without it more \
          probes are made.",
    remedy: "Nothing need be done. With the right to list leases in `kube-system` the proof is faster.",
    sources: &["https://kubernetes.io/docs/concepts/architecture/leases/"],
};

pub(super) const AGENT_ADDON_UNHEALTHY: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "the agent's add-on is not ACTIVE",
    meaning: "EKS says that the add-on `eks-pod-identity-agent` is in another state than ACTIVE.",
    why: "Its DaemonSet may be about to change or may not come up on new nodes. Nodes without a Ready agent are \
          findings of their own.",
    remedy: "Look at the add-on's health (`aws eks describe-addon --addon-name eks-pod-identity-agent`).",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"],
};

pub(super) const AGENT_ADDON_UNKNOWN: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "the agent's add-on could not be read",
    meaning: "Whether the agent is installed as an EKS add-on, and how that add-on is, could not be read.",
    why: "What counts is the agent on each node, and that is judged apart from this.",
    remedy: "Nothing need be done. With `eks:DescribeAddon` the add-on's state is shown too.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"],
};

pub(super) const AUTO_MODE_MIXED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "Auto Mode beside nodes of your own",
    meaning: "The cluster has nodes of EKS Auto Mode and other nodes.",
    why: "Auto Mode nodes have the agent built in; the others need the add-on.",
    remedy: "Keep the add-on `eks-pod-identity-agent` as long as there are nodes outside Auto Mode.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html"],
};
