//! Pod Identity associations that are there already.

use super::checks::{Place, names, quote, unread};
use super::{Code, Explanation, Finding, Severity};
use crate::inventory::{Association, AssociationDetail, Mode, Seen};
use crate::model::RoleArn;

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
    meaning: "An association gives this ServiceAccount the same role as its annotation.",
    why: "New pods use Pod Identity already. What a plan did not do it does not undo.",
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

/// An association whose ServiceAccount is not there, and that its role could not be read, if so.
pub(super) fn orphan(place: &Place<'_>, association: &Association) -> Vec<Finding> {
    let users: Vec<String> = place.workloads().map(|it| it.at.to_string()).collect();
    let role = match association.detail.as_ref().and_then(Seen::get) {
        Some(detail) => format!(" gives {}", detail.role_arn),
        None => String::new(),
    };
    let used = if users.is_empty() { "no workload names it".to_owned() } else { format!("named by {}", names(users)) };
    let evidence = format!(
        "association {}{role}; there is no ServiceAccount {} in namespace {}; {used}",
        association.id,
        quote(&association.service_account),
        quote(&association.namespace),
    );
    let mut out = vec![place.finding(Code::AssociationWithoutServiceAccount, evidence)];
    if let Some(Seen::Unseen(why)) = &association.detail {
        out.push(unread(place.target(), "its association's role", why));
    }
    out
}

/// The association of a ServiceAccount without an annotation.
pub(super) fn only(place: &Place<'_>, association: &Association) -> Finding {
    place.finding(Code::AssociationOnly, format!("association {}, no role-arn annotation", association.id))
}

/// An association that is there already, beside the annotation.
pub(super) fn beside(place: &Place<'_>, association: &Association, annotated: &RoleArn) -> Vec<Finding> {
    if let Some(owner) = association.owner.as_deref().filter(|it| !it.is_empty()) {
        return vec![place.finding(Code::AssociationOfAddon, format!("owner {}", quote(owner)))];
    }
    let what = format!("association {}", association.id);
    match &association.detail {
        None => vec![unread(place.target(), &what, "it was not described")],
        Some(Seen::Unseen(why)) => vec![unread(place.target(), &what, why)],
        Some(Seen::Seen(detail)) => compare(place, association, detail, annotated),
    }
}

fn compare(
    place: &Place<'_>,
    association: &Association,
    detail: &AssociationDetail,
    annotated: &RoleArn,
) -> Vec<Finding> {
    let mut out = Vec::new();
    let id = &association.id;
    if detail.role_arn != *annotated {
        let evidence = format!("association {id} gives {}, the annotation names {annotated}", detail.role_arn);
        out.push(place.finding(Code::AssociationOtherRole, evidence));
    }
    if let Some(target) = &detail.target_role_arn {
        let evidence = format!("association {id}, target role {}", quote(target));
        out.push(place.finding(Code::AssociationWithTargetRole, evidence));
    }
    if detail.has_policy {
        out.push(place.finding(Code::AssociationWithPolicy, format!("association {id}")));
    } else if detail.disable_session_tags {
        // A session policy needs the tags to be off: the policy is then the thing to say.
        out.push(place.finding(Code::AssociationTagsOff, format!("association {id}")));
    }
    if out.is_empty() {
        let on_irsa = place.pods().filter(|it| it.mode.is_irsa()).count();
        let pods = place.pods().filter(|it| it.mode == Mode::PodIdentity).count();
        let evidence = format!("association {id}; {pods} pods on Pod Identity, {on_irsa} still on IRSA");
        out.push(place.finding(Code::AssociationAdopted, evidence));
    }
    out
}
