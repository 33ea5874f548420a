//! The role itself: whether it is there, whose it is, and who else opens it.

use std::collections::BTreeSet;

use super::checks::{Checks, Place, names, need, quote, unread};
use super::policy_text::{each_text, mentions};
use super::{Code, Explanation, Finding, Severity, Target};
use crate::inventory::{Account, Inventory, Role, RoleDetail, Seen};
use crate::model::{Issuer, RoleArn};

const ASSOCIATION: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html";

pub(super) const ABSENT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the role does not exist",
    meaning: "The annotation names a role that the account does not have.",
    why: "Pods of this ServiceAccount have no AWS access by IRSA today, and an association with the role cannot be \
          made.",
    remedy: "Create the role or correct the annotation. Mind the path: IAM takes `role/team/cart` and `role/cart` for \
             different roles, although a name can exist only once.",
    sources: &[],
};

pub(super) const IN_OTHER_ACCOUNT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the role is in another account",
    meaning: "The annotation names a role of another account or partition than the cluster's.",
    why: "An association takes only a role of the cluster's own account; another account's role is reached by role \
          chaining with a target role, which is another session of another length and needs new trust on both sides.",
    remedy: "Leave it on IRSA, or build the chain by hand: a role in the cluster's account, and this one as its \
             target role.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-assign-target-role.html"],
};

pub(super) const SERVICE_LINKED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a service-linked role",
    meaning: "The role's path is `/aws-service-role/`: an AWS service owns it.",
    why: "IAM refuses every change of such a role's trust policy (`UnmodifiableEntity`).",
    remedy: "Give the workload a role of its own.",
    sources: &["https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html"],
};

pub(super) const OWNED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "something else owns the role",
    meaning: "The role's tags say that CloudFormation, eksctl, ACK, Crossplane or (probably) Terraform keeps it.",
    why: "Its owner may put the trust policy back at any time, and pods on Pod Identity then lose their role.",
    remedy: "Bring the change into the owner's source and set the role to `exported` under `[owners.roles]` in the \
             settings, or set it to `edit-live` if the owner does not look at trust policies.",
    sources: &[
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html",
        "https://github.com/eksctl-io/eksctl",
    ],
};

pub(super) const OWNER_UNKNOWN: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "no mark of an owner",
    meaning: "Nothing on the role tells who keeps it. Terraform and Pulumi leave no mark of their own.",
    why: "If its trust policy is kept as code, the next run of that code takes our statement away.",
    remedy: "Find the code that makes the role and add the statement that the plan shows. \
             `unknown_owner = \"hold\"` in the settings holds such roles.",
    sources: &[],
};

pub(super) const UNUSED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "a role that no ServiceAccount asks for",
    meaning: "The role trusts a cluster in scope, and no ServiceAccount there carries its ARN.",
    why: "Nothing would be moved by preparing it. Code may still assume it by the token of a ServiceAccount that \
          carries another role.",
    remedy: "Nothing need be done for the migration. If nobody uses the role, it is a candidate for deletion.",
    sources: &[],
};

pub(super) const SHARED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "other clusters trust the role too",
    meaning: "The trust policy also names OIDC providers of EKS clusters that were not scanned.",
    why: "Whoever migrates or keeps those clusters writes to the same document, and IAM has no conditional write: one \
          edit can overwrite another.",
    remedy: "Scan those clusters too, so that one plan covers the role, or agree on a time with their owners. \
             `shared_roles = \"hold\"` in the settings holds such roles.",
    sources: &["https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html"],
};

pub(super) const SECOND: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "a second role trusts the ServiceAccount by name",
    meaning: "Another role's trust policy names this ServiceAccount, besides the role of its annotation.",
    why: "A web identity token opens every role that trusts its subject, and code may choose one itself. An \
          association carries one role, and a pod on Pod Identity has no such token any more.",
    remedy: "Find out whether anything assumes the other role by this ServiceAccount's token (CloudTrail, \
             `AssumeRoleWithWebIdentity`). If nobody does, waive this finding with that evidence, or take the \
             statement out of the other role.",
    sources: &[ASSOCIATION],
};

pub(super) const SECOND_WILDCARD: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "another role trusts the ServiceAccount under a wildcard",
    meaning: "Another role's trust policy matches this ServiceAccount by a pattern, or may do so in a way that could \
              not be read exactly.",
    why: "Code that assumes that role by its own token would lose it with Pod Identity; under a pattern that is \
          rarely meant for this one.",
    remedy: "If the workload assumes a second role by its token, leave it on IRSA or let it chain to that role.",
    sources: &[ASSOCIATION],
};

/// Who keeps a role, told by its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A stack of CloudFormation, the CDK's included.
    CloudFormation(String),
    /// eksctl, for this ServiceAccount or cluster; it works by CloudFormation too.
    Eksctl(String),
    /// AWS Controllers for Kubernetes.
    Ack(String),
    /// Crossplane, by this resource.
    Crossplane(String),
    /// Terraform or OpenTofu, by convention only: this tag says so.
    Terraform(String),
    /// No mark.
    Unknown,
}

impl Owner {
    /// In words.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        Some(match self {
            Self::CloudFormation(stack) => format!("CloudFormation stack {stack}"),
            Self::Eksctl(what) => format!("eksctl ({what})"),
            Self::Ack(what) => format!("ACK ({what})"),
            Self::Crossplane(what) => format!("Crossplane ({what})"),
            Self::Terraform(tag) => format!("probably Terraform (tag {tag})"),
            Self::Unknown => return None,
        })
    }
}

/// Who keeps a role. The marks are those that these tools set on roles by themselves; Terraform sets
/// none, and is told by tags that its users set by convention.
#[must_use]
pub fn owner_of(detail: &RoleDetail) -> Owner {
    let tagged = |prefix: &str| detail.tags.iter().find(|(key, _)| key.starts_with(prefix));
    let words = |(key, value): (&String, &String)| format!("{key}={value}");
    // eksctl's roles carry CloudFormation's tags as well, so that it is asked for first.
    if let Some(mark) = tagged("alpha.eksctl.io/").or_else(|| tagged("eksctl.cluster.k8s.io/")) {
        return Owner::Eksctl(words(mark));
    }
    if let Some(stack) = detail.tags.get("aws:cloudformation:stack-name") {
        return Owner::CloudFormation(stack.clone());
    }
    if let Some(mark) = tagged("services.k8s.aws/").or_else(|| tagged("eks:eks-capability-arn")) {
        return Owner::Ack(words(mark));
    }
    if let Some(mark) = tagged("crossplane-") {
        return Owner::Crossplane(words(mark));
    }
    let terraform = detail.tags.iter().find(|(key, value)| {
        let (key, value) = (key.to_ascii_lowercase(), value.to_ascii_lowercase());
        let tool = |text: &str| text.contains("terraform") || text.contains("opentofu") || text.contains("terragrunt");
        (tool(&key) && value != "false") || (key.replace(['-', '_', ':'], "").contains("managedby") && tool(&value))
    });
    terraform.map_or(Owner::Unknown, |mark| Owner::Terraform(words(mark)))
}

/// The role that an annotation names, if it is there and in the cluster's account.
pub(super) fn find<'a>(
    checks: &Checks<'a>,
    place: &Place<'a>,
    role: &RoleArn,
    out: &mut Vec<Finding>,
) -> Option<(&'a Account, &'a Role)> {
    let (home, partition) = (place.cluster.arn.account(), place.cluster.arn.partition());
    if role.account() != home || role.partition() != partition {
        let evidence = format!("{role}, and the cluster is in account {home} of partition {partition}");
        out.push(place.finding(Code::RoleInOtherAccount, evidence));
        return None;
    }
    let Some(account) = place.inventory.accounts.get(&home) else {
        out.push(unread(place.target(), "the cluster's account", "it is not in the inventory"));
        return None;
    };
    let roles = need(&account.roles, &place.target(), "the account's roles", out)?;
    if let Some(found) = checks.role_of(role) {
        return Some((account, found));
    }
    let namesake = roles.iter().find(|it| it.arn.name().eq_ignore_ascii_case(role.name()));
    let hint = namesake.map_or_else(String::new, |it| format!("; there is {}", it.arn));
    out.push(place.finding(Code::RoleAbsent, format!("there is no {role}{hint}")));
    None
}

/// What is to be known of a role itself, its detail aside.
pub(super) fn of_role(checks: &Checks<'_>, role: &Role) -> Vec<Finding> {
    let target = Target::Role(role.arn.clone());
    let mut out = Vec::new();
    if role.arn.as_str().contains(":role/aws-service-role/") {
        out.push(Finding::new(Code::RoleServiceLinked, target.clone(), role.arn.as_str()));
    }
    let strangers = strangers(checks.inventory, role);
    if let Some(unseen) = checks.inventory.clusters.iter().find(|it| it.facts.get().is_none())
        && let Some(issuer) = strangers.first()
    {
        let why =
            format!("the policy also trusts {issuer}, which may be cluster {}, and that was not read", unseen.arn);
        out.push(unread(target.clone(), "whom the policy trusts", &why));
    }
    let clusters: Vec<&String> = strangers.iter().filter(|it| looks_like_eks(it)).collect();
    if !clusters.is_empty() {
        out.push(Finding::new(Code::SharedRole, target, names(clusters.into_iter().map(String::as_str))));
    }
    out
}

/// Who keeps a role. Nothing where the detail was not asked for: a scan asks for that of every role
/// that could become a unit, and the planner makes no unit without it.
pub(super) fn owner(role: &Role) -> Option<Finding> {
    let target = Target::Role(role.arn.clone());
    Some(match role.detail.as_ref()? {
        Seen::Unseen(why) => unread(target, "the role's tags", why),
        Seen::Seen(detail) => match owner_of(detail).words() {
            Some(owner) => Finding::new(Code::RoleOwned, target, quote(&owner)),
            None => {
                Finding::new(Code::RoleOwnerUnknown, target, format!("{} tags, none a known mark", detail.tags.len()))
            }
        },
    })
}

/// A role that no ServiceAccount in sight asks for.
pub(super) fn unused(checks: &Checks<'_>, role: &Role) -> Vec<Finding> {
    let mut out = Vec::new();
    if checks.is_asked_for(&role.arn) {
        return out;
    }
    let target = Target::Role(role.arn.clone());
    for cluster in &checks.inventory.clusters {
        need(&cluster.service_accounts, &target, &format!("the ServiceAccounts of {}", cluster.arn), &mut out);
    }
    if out.is_empty() {
        out.push(Finding::new(Code::RoleUnused, target, "no ServiceAccount in sight carries its ARN"));
    }
    out
}

/// Other roles that trust the ServiceAccount: a web identity token opens them all.
pub(super) fn second(checks: &Checks<'_>, place: &Place<'_>, own: &RoleArn, out: &mut Vec<Finding>) {
    let Some(issuer) = place.cluster.issuer() else { return };
    let mut by_name = checks.naming(place.subject, &own.account());
    let mut by_pattern = BTreeSet::new();
    for (role, reading) in checks.wide(&own.account()).filter(|(role, _)| !by_name.contains(&role.arn)) {
        if reading.grants.allows(place.subject) {
            by_pattern.insert((&role.arn, false));
        } else if reading.held() && mentions(&role.trust, issuer.as_str()) {
            // What could not be read exactly may grant it. That the name itself stands there says more.
            by_pattern.insert((&role.arn, mentions(&role.trust, &place.subject.token_subject())));
        }
    }
    by_name.extend(by_pattern.iter().filter(|(_, named)| *named).map(|(role, _)| *role));
    by_name.remove(own);
    let by_name: Vec<&str> = by_name.into_iter().map(RoleArn::as_str).collect();
    let by_pattern = by_pattern.into_iter().filter(|(role, named)| !named && *role != own);
    let by_pattern: Vec<&str> = by_pattern.map(|(role, _)| role.as_str()).collect();
    if !by_name.is_empty() {
        out.push(place.finding(Code::SecondRole, names(by_name)));
    }
    if !by_pattern.is_empty() {
        out.push(place.finding(Code::SecondRoleWildcard, names(by_pattern)));
    }
}

/// OIDC providers in a trust policy that belong to no cluster in sight.
fn strangers(inventory: &Inventory, role: &Role) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let known: BTreeSet<&str> = inventory.clusters.iter().filter_map(|it| it.issuer()).map(Issuer::as_str).collect();
    each_text(&role.trust, &mut |text| {
        if let Some((_, issuer)) = text.split_once(":oidc-provider/")
            && !known.contains(issuer)
        {
            found.insert(issuer.to_owned());
        }
    });
    found
}

/// The hosts of EKS' issuers (`oidc.eks.REGION.amazonaws.com/id/...`, dual-stack `oidc-eks...`).
/// For a notice only: a host that is not known here is still matched with its cluster exactly.
fn looks_like_eks(issuer: &str) -> bool {
    (issuer.starts_with("oidc.eks.") || issuer.starts_with("oidc-eks.")) && issuer.contains("/id/")
}
