//! The role itself: whether it is there, whose it is, and who else opens it.

use super::{Explanation, Severity};

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
