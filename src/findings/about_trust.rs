//! The trust policy, and the OIDC provider that it counts on.

use super::{Explanation, Severity};

const IRSA: &str = "https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html";
const ROLE: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html";

pub(super) const PROVIDER_ABSENT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster's OIDC provider is not in the account",
    meaning: "The account has no IAM OIDC provider for the cluster's issuer.",
    why: "A statement that names a provider that is not there grants nothing, so no pod of the cluster can assume a \
          role by IRSA. Moving it to Pod Identity would give access that it does not have.",
    remedy: "Create the provider if IRSA is meant to work here, then scan again. Else take the annotations away.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/enable-iam-roles-for-service-accounts.html"],
};

pub(super) const PROVIDER_WITHOUT_AUDIENCE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the OIDC provider does not accept the audience",
    meaning: "The audience of this ServiceAccount's tokens is not among the client ids of the cluster's OIDC provider.",
    why: "STS refuses such tokens, so the ServiceAccount has no access by IRSA. Moving it to Pod Identity would give \
          access that it does not have.",
    remedy: "Add the audience to the provider's client ids, or correct the annotation `eks.amazonaws.com/audience`.",
    sources: &["https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html"],
};

pub(super) const DOES_NOT_GRANT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the role does not trust the ServiceAccount",
    meaning: "The role's trust policy has no statement that lets this ServiceAccount assume it.",
    why: "An annotation is a wish, not a right: anyone who may edit a ServiceAccount can write any role's ARN into \
          it. An association would grant what the trust policy does not.",
    remedy: "If the ServiceAccount should have the role, let the role's owner add it to the trust policy. If not, take \
             the annotation away.",
    sources: &[IRSA],
};

pub(super) const UNTRANSLATED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a trust policy that is not translated",
    meaning: "The trust policy has a statement whose meaning cannot be carried over to Pod Identity exactly.",
    why: "What is translated inexactly either gives access to somebody new or takes it from somebody.",
    remedy: "Rewrite the statement named in the evidence in a plain form (StringEquals on `:sub`), or leave the role \
             on IRSA.",
    sources: &[ROLE],
};

pub(super) const DELETED_PRINCIPAL: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the trust policy names a deleted principal",
    meaning: "A principal in the trust policy is a bare unique id (`AROA...`, `AIDA...`): the user or role that it \
              stood for is gone.",
    why: "IAM refuses to save a document with such a principal (`Invalid principal in policy`), so any edit of this \
          trust policy fails until it is taken out.",
    remedy: "Take the principal out of the trust policy or put a live one in its place, then scan again.",
    sources: &[
        "https://repost.aws/knowledge-center/iam-trust-policy-error",
        "https://repost.aws/knowledge-center/iam-resource-policy-format",
    ],
};

pub(super) const TOO_LARGE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the trust policy would be too large",
    meaning: "With the statements that Pod Identity needs, the trust policy would pass the account's limit.",
    why: "IAM refuses a longer document (`LimitExceeded`). White space does not count.",
    remedy: "Raise the quota \"Role trust policy length\" (L-C07B4B0D), take dead statements out, or use trust mode \
             `tight` for this role.",
    sources: &["https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"],
};
