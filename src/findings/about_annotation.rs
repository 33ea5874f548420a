//! The ServiceAccount and its annotations.

use super::checks::{Place, names, quote};
use super::{Code, Explanation, Finding, Severity};
use crate::inventory::ServiceAccount;
use crate::model::RoleArn;

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

/// The audience of the tokens that the webhook mounts where no annotation asks for another
/// (amazon-eks-pod-identity-webhook, `--token-audience`).
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";

/// The audience of this ServiceAccount's tokens. The webhook takes an empty annotation for none.
#[must_use]
pub fn audience_of(account: &ServiceAccount) -> &str {
    account.audience.as_deref().filter(|it| !it.is_empty()).unwrap_or(DEFAULT_AUDIENCE)
}

/// The role that an annotation names; where it names none, says why.
pub(super) fn role_of(place: &Place<'_>, annotation: &str, out: &mut Vec<Finding>) -> Option<RoleArn> {
    let why = match RoleArn::parse(annotation) {
        Ok(role) => return Some(role),
        Err(_) if annotation.is_empty() => "the webhook takes it for no annotation",
        Err(_) if RoleArn::parse(annotation.trim()).is_ok() => {
            "white space around the ARN; the webhook sets AWS_ROLE_ARN to it as it stands"
        }
        Err(_) => "the webhook sets AWS_ROLE_ARN to it as it stands",
    };
    out.push(place.finding(Code::AnnotationMalformed, format!("the value is {}: {why}", quote(annotation))));
    None
}

/// A custom audience.
pub(super) fn audience(place: &Place<'_>, account: &ServiceAccount) -> Option<Finding> {
    let audience = audience_of(account);
    let evidence = format!("the audience is {}", quote(audience));
    (audience != DEFAULT_AUDIENCE).then(|| place.finding(Code::AudienceCustom, evidence))
}

/// Workloads whose ServiceAccount is not there.
pub(super) fn absent(place: &Place<'_>) -> Option<Finding> {
    let users: Vec<String> = place.workloads().map(|it| it.at.to_string()).collect();
    let evidence = format!("named by {}", names(users.clone()));
    (!users.is_empty()).then(|| place.finding(Code::ServiceAccountAbsent, evidence))
}

/// A ServiceAccount that nothing uses.
pub(super) fn unused(place: &Place<'_>) -> Option<Finding> {
    let unused = place.workloads().next().is_none() && place.pods().next().is_none();
    unused.then(|| place.finding(Code::ServiceAccountUnused, "no workload and no pod names it"))
}
