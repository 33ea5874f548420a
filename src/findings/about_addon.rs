//! EKS add-ons.

use super::checks::{Place, need};
use super::{Code, Explanation, Finding, Severity, Target};
use crate::inventory::{AddonUse, Cluster, ServiceAccount};

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

/// Every add-on of the cluster that uses a role.
pub(super) fn all(cluster: &Cluster) -> Vec<Finding> {
    cluster.addons.get().into_iter().flatten().map(|it| of(cluster, it)).collect()
}

/// One add-on.
pub(super) fn of(cluster: &Cluster, addon: &AddonUse) -> Finding {
    let role = addon.role_arn.as_deref().map_or_else(String::new, |it| format!(", role {it}"));
    let evidence = format!(
        "version {}, status {}{role}, {} associations of its own",
        addon.version,
        addon.status,
        addon.association_arns.len()
    );
    Finding::new(Code::Addon, Target::Addon { cluster: cluster.arn.clone(), name: addon.name.clone() }, evidence)
}

/// Whether the ServiceAccount is an add-on's: EKS put an add-on's role into its annotation.
///
/// EKS does not say which ServiceAccount an add-on's role goes to. One that carries the same role
/// and that something else is known to own is not the add-on's.
pub(super) fn of_service_account(place: &Place<'_>, account: &ServiceAccount) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(addons) = need(&place.cluster.addons, &place.target(), "the cluster's add-ons", &mut out) else {
        return out;
    };
    let users = addons.iter().filter(|it| it.role_arn.is_some() && it.role_arn == account.role_arn);
    let owned_otherwise = !account.owners.is_empty() && !account.owners.iter().any(|it| it.contains(ADDON_OWNER));
    if !owned_otherwise {
        out.extend(users.map(|it| place.finding(Code::Addon, format!("it carries the role of add-on {}", it.name))));
    }
    if out.is_empty() && account.owners.iter().any(|it| it.contains(ADDON_OWNER)) {
        out.push(place.finding(Code::Addon, "its fields are managed by EKS"));
    }
    out
}

/// How an owner in words names EKS itself.
const ADDON_OWNER: &str = "EKS add-on";
