//! The ServiceAccount and its annotations.

use super::{Explanation, Severity};

pub(super) const MALFORMED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the annotation is no role's ARN",
    meaning: "The value of `eks.amazonaws.com/role-arn` is not the ARN of an IAM role: it is empty, the word `null`, \
              has spaces around it, or is something else altogether.",
    why: "The webhook warns of such a value and puts it into pods as it stands, so these pods have no AWS access by \
          IRSA today. Which role was meant cannot be told.",
    remedy: "Put the role's whole ARN where the annotation comes from (often a Helm value that was left unset), or \
             take the annotation away.",
    sources: &["https://github.com/aws/amazon-eks-pod-identity-webhook"],
};

pub(super) const AUDIENCE_CUSTOM: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "tokens for another audience",
    meaning: "The annotation `eks.amazonaws.com/audience` asks for tokens of an audience other than \
              `sts.amazonaws.com`.",
    why: "A custom audience usually means that something besides STS reads the token (Vault, another OIDC consumer). \
          With Pod Identity the webhook ignores the annotation and mounts no such token, so that reader would fail.",
    remedy: "Find out who reads the token. If nobody but the AWS SDK does, waive this finding; else give that reader \
             a projected token volume of its own first.",
    sources: &["https://github.com/aws/amazon-eks-pod-identity-webhook"],
};

pub(super) const ACCOUNT_ABSENT: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "a workload names a ServiceAccount that does not exist",
    meaning: "The pod template names a ServiceAccount that is not there.",
    why: "The API server refuses each pod of it with `error looking up service account`, so the workload can start no \
          pod, today or after a migration.",
    remedy: "Create the ServiceAccount (in a Helm chart usually `serviceAccount.create=true`) or correct the name in \
             the template.",
    sources: &["https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"],
};

pub(super) const ACCOUNT_UNUSED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "no workload uses the ServiceAccount",
    meaning: "No workload and no pod in the cluster uses this ServiceAccount at present.",
    why: "An association costs nothing and its next pod will use it, but nothing can be restarted or verified now.",
    remedy: "Nothing need be done. If the ServiceAccount is left over, delete it instead of migrating it.",
    sources: &[],
};
