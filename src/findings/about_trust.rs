//! The trust policy, and the OIDC provider that it counts on.

use super::about_annotation::audience_of;
use super::checks::{Place, need, quote, unread};
use super::{Code, Explanation, Finding, Severity, Target};
use crate::inventory::{Account, Inventory, Role, ServiceAccount};
use crate::model::{AccountId, Issuer, RoleArn};
use crate::trust::{self, Document, Provider, Reading, Scope, ScopeCluster, Weight};

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
    meaning: "The trust policy has a statement whose meaning cannot be carried over to Pod Identity exactly, or that \
              IAM would not save again.",
    why: "What is translated inexactly either gives access to somebody new or takes it from somebody.",
    remedy: "Rewrite the statement named in the evidence in a plain form (StringEquals on `:sub`), or leave the role \
             on IRSA.",
    sources: &[ROLE],
};

pub(super) const REMARK: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "a remark on the trust policy",
    meaning: "The trust policy has a part that grants nothing although it may look so, or that grants more than it \
              may look.",
    why: "Its owner may rely on something that is not so. The translation is exact all the same.",
    remedy: "Look at the statement named in the evidence when the role is next edited.",
    sources: &[IRSA],
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

/// What a role's trust policy is read against: the clusters whose issuer is known, with their
/// providers. `None` where the account's providers were not read.
#[must_use]
pub fn scope_of(inventory: &Inventory, account: &AccountId) -> Option<Scope> {
    let providers = inventory.accounts.get(account)?.providers.get()?;
    let clusters = inventory.clusters.iter().filter_map(|cluster| {
        let issuer = cluster.issuer()?.clone();
        let provider = match providers.iter().find(|it| it.issuer == issuer) {
            Some(it) => Provider::Exists { client_ids: it.client_ids.clone() },
            None => Provider::Absent,
        };
        Some(ScopeCluster { arn: cluster.arn.clone(), issuer, provider })
    });
    Some(Scope { role_account: account.clone(), clusters: clusters.collect() })
}

/// The finding that a role's trust policy would have more characters than the account allows.
#[must_use]
pub fn too_large(role: &RoleArn, characters: usize, quota: u32) -> Option<Finding> {
    let evidence = format!("{characters} characters without white space, {quota} allowed");
    let target = Target::Role(role.clone());
    (characters > quota as usize).then(|| Finding::new(Code::TrustTooLarge, target, evidence))
}

/// The code of the finding that tells of a reason.
#[must_use]
pub fn of_reason(code: trust::Code) -> Option<Code> {
    match (code, code.weight()) {
        (trust::Code::DeletedPrincipal, _) => Some(Code::TrustDeletedPrincipal),
        // Other clusters, GitHub, Cognito: whom else a role trusts is told apart.
        (trust::Code::IssuerUnknown | trust::Code::WrongAction, _) => None,
        (_, Weight::Holds | Weight::Refuses) => Some(Code::TrustUntranslated),
        (_, Weight::NotAGrant | Weight::Notice) => Some(Code::TrustRemark),
    }
}

/// What the trust policy of a role says about itself.
pub(super) fn of_role(role: &Role, read: &Result<Reading, trust::Invalid>) -> Vec<Finding> {
    let target = Target::Role(role.arn.clone());
    let reading = match read {
        Ok(it) => it,
        Err(invalid) => return vec![Finding::new(Code::TrustUntranslated, target, quote(&invalid.to_string()))],
    };
    let finding = |reason: &trust::Reason| {
        let code = of_reason(reason.code)?;
        let at = reason.place.map_or_else(String::new, |it| format!(" (line {}, column {})", it.line, it.column));
        Some(Finding::new(code, target.clone(), format!("{}{at}: {}", reason.code.as_str(), reason.message)))
    };
    reading.reasons.iter().filter_map(finding).collect()
}

/// Whether IRSA works for this ServiceAccount today: its provider, its audience, its grant.
///
/// Without all three a pod cannot assume the role now, and an association would be new access.
pub(super) fn of_subject(place: &Place<'_>, account: &Account, role: &Role, issuer: &Issuer) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(service_account) = place.service_account() else { return out };
    let Some(providers) = need(&account.providers, &place.target(), "the account's OIDC providers", &mut out) else {
        return out;
    };
    let Some(provider) = providers.iter().find(|it| it.issuer == *issuer) else {
        out.push(place.finding(Code::ProviderAbsent, format!("no provider for {issuer}")));
        return out;
    };
    let audience = audience_of(service_account);
    if !provider.client_ids.iter().any(|it| it == audience) {
        let evidence = format!("audience {}, client ids {}", quote(audience), quote(&provider.client_ids.join(", ")));
        out.push(place.finding(Code::ProviderWithoutAudience, evidence));
        return out;
    }
    out.extend(granted(place, role, service_account, issuer));
    out
}

/// Reads the policy for tokens of this ServiceAccount's own audience, and looks for it among the
/// grants. A policy that holds back its role is told with the role.
fn granted(place: &Place<'_>, role: &Role, account: &ServiceAccount, issuer: &Issuer) -> Option<Finding> {
    let audience = audience_of(account);
    let document = Document::parse(&role.trust).ok()?;
    let scope = Scope {
        role_account: role.arn.account(),
        clusters: vec![ScopeCluster {
            arn: place.cluster.arn.clone(),
            issuer: issuer.clone(),
            provider: Provider::Exists { client_ids: vec![audience.to_owned()] },
        }],
    };
    let reading = trust::read(&document, &scope);
    if reading.held() || reading.grants.allows(place.subject) {
        return None;
    }
    let evidence = format!(
        "{} does not trust {} with audience {}",
        role.arn,
        quote(&place.subject.token_subject()),
        quote(audience)
    );
    Some(place.finding(Code::TrustDoesNotGrant, evidence))
}

/// Whether the reads that a role's trust is judged by are there.
pub(super) fn need_account<'a>(
    inventory: &'a Inventory,
    role: &RoleArn,
    out: &mut Vec<Finding>,
) -> Option<&'a Account> {
    let target = Target::Role(role.clone());
    let Some(account) = inventory.accounts.get(&role.account()) else {
        out.push(unread(target, "the role's account", "it is not in the inventory"));
        return None;
    };
    need(&account.providers, &target, "the account's OIDC providers", out);
    need(&account.trust_quota, &target, "the account's trust policy quota", out);
    Some(account)
}
