//! EKS add-ons.

use super::{Explanation, Severity};

pub(super) const ADDON: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "belongs to an EKS add-on",
    meaning: "An EKS add-on uses this role, or owns this ServiceAccount.",
    why: "EKS writes the annotation of an add-on's ServiceAccount and restarts its pods itself; an association made \
          beside it would not be the add-on's, and an add-on cannot take it over.",
    remedy: "Leave it on IRSA for now: this version moves no add-ons. By hand, an add-on moves through \
             `aws eks update-addon --pod-identity-associations`.",
    sources: &[
        "https://docs.aws.amazon.com/eks/latest/userguide/add-ons-iam.html",
        "https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-field-management.html",
    ],
};
