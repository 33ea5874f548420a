//! Pod Identity associations that are there already.

use super::{Explanation, Severity};

const ASSOCIATION: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html";
const UPDATE: &str = "https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdatePodIdentityAssociation.html";

pub(super) const WITHOUT_SERVICE_ACCOUNT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "an association whose ServiceAccount does not exist",
    meaning: "EKS has a Pod Identity association for this namespace and name, and the cluster has no such \
              ServiceAccount. EKS accepts that without a word.",
    why: "An association gives credentials; it does not create the ServiceAccount. Pods that name it are refused with \
          `error looking up service account`, although the association looks right.",
    remedy: "Create the ServiceAccount: in a Helm chart `serviceAccount.create=true` with this name. Neither an \
             association nor eksctl's `podIdentityAssociations` creates it (eksctl does so only with \
             `createServiceAccount: true`). If it is not wanted any more, delete the association.",
    sources: &[ASSOCIATION],
};

pub(super) const ADOPTED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "associated with its role already",
    meaning: "An association that is not ours gives this ServiceAccount the same role as its annotation.",
    why: "New pods use Pod Identity already, by somebody else's hand; what we did not do we do not undo.",
    remedy: "Nothing need be done. Pods that were admitted before the association stay on IRSA until they are \
             restarted.",
    sources: &[ASSOCIATION],
};

pub(super) const ONLY: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "on Pod Identity, without IRSA",
    meaning: "The ServiceAccount has an association and no IRSA annotation.",
    why: "It does not use IRSA, so there is nothing to migrate.",
    remedy: "Nothing need be done, here or by hand: it is listed for completeness.",
    sources: &[ASSOCIATION],
};

pub(super) const OTHER_ROLE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "associated with another role",
    meaning: "The ServiceAccount's association names another role than its annotation.",
    why: "The association wins for each new pod, so old and new pods have different roles already. Which one is right \
          cannot be told.",
    remedy: "Decide which role is right: change the annotation at its source, or the association \
             (`aws eks update-pod-identity-association`), then scan again.",
    sources: &[ASSOCIATION, UPDATE],
};

pub(super) const OF_ADDON: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the association belongs to an EKS add-on",
    meaning: "The association of this ServiceAccount has an owner: an EKS add-on made it.",
    why: "It lives and dies with its add-on, and changing it beside the add-on is undone by EKS.",
    remedy: "Change it through its add-on: `aws eks update-addon --pod-identity-associations`.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/add-ons-iam.html"],
};

pub(super) const TAGS_OFF: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "an association without session tags",
    meaning: "The association that is there has `disableSessionTags` set.",
    why: "Our trust statement names cluster, namespace and ServiceAccount by session tags; without tags none of its \
          conditions holds, and the pod would get no credentials by it.",
    remedy: "Switch session tags on for this association, or keep it as it is, apart from this migration.",
    sources: &[UPDATE, "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html"],
};

pub(super) const WITH_POLICY: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "an association with a session policy",
    meaning: "The association that is there narrows its sessions by a policy of its own.",
    why: "A session policy needs session tags to be off, and what its pods may do is not what the role allows: this \
          is not the role's IRSA access on another way.",
    remedy: "Keep it as it is, apart from this migration, or take the policy away and scan again.",
    sources: &[UPDATE],
};

pub(super) const WITH_TARGET_ROLE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "an association with a target role",
    meaning: "The association that is there assumes a second role after its own.",
    why: "Its pods work with the target role, not with the role that the annotation names.",
    remedy: "Keep it as it is, apart from this migration, or take the target role away and scan again.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-assign-target-role.html"],
};

pub(super) const NOT_TRUSTED: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "an association whose role does not trust Pod Identity",
    meaning: "The association's role has no statement that lets `pods.eks.amazonaws.com` assume it.",
    why: "Each pod that is admitted with this association gets no credentials: EKS Auth is refused by the role.",
    remedy: "Add the Pod Identity statement to the role's trust policy, or delete the association.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html"],
};
