//! All findings, about one subject, one role, or everything.

use std::collections::BTreeSet;

use super::checks::{Checks, Place, need, unread};
use super::policy_text::mentions;
use super::{
    Code, Finding, Target, about_addon, about_annotation, about_association, about_cluster, about_node, about_role,
    about_trust, about_workload,
};
use crate::inventory::{Association, Cluster, Inventory, Role, Seen};
use crate::model::{AccountId, RoleArn, Subject};

/// All findings that concern one ServiceAccount; see [`Checks::of_subject`].
#[must_use]
pub fn of_subject(inventory: &Inventory, subject: &Subject) -> Vec<Finding> {
    Checks::new(inventory).of_subject(subject)
}

/// All findings about one role; see [`Checks::of_role`].
#[must_use]
pub fn of_role(inventory: &Inventory, role: &RoleArn) -> Vec<Finding> {
    Checks::new(inventory).of_role(role)
}

/// All findings; see [`Checks::of_inventory`].
#[must_use]
pub fn of_inventory(inventory: &Inventory) -> Vec<Finding> {
    Checks::new(inventory).of_inventory()
}

/// Everything that a plan must account for, as a unit or as held: every ServiceAccount that is
/// annotated or that an association names, every role whose policy mentions a scanned issuer, every
/// add-on with a role.
///
/// A cluster or an account of which a list is missing stands for what the list would have had: it
/// is a candidate itself then, and always held.
#[must_use]
pub fn candidates(inventory: &Inventory) -> BTreeSet<Target> {
    let mut all = BTreeSet::new();
    for (id, account) in &inventory.accounts {
        if account.roles.get().is_none() {
            all.insert(Target::Account(id.clone()));
        }
        let trusts = |role: &&Role| {
            inventory.clusters.iter().filter_map(Cluster::issuer).any(|it| mentions(&role.trust, it.as_str()))
        };
        let roles = account.roles.get().into_iter().flatten();
        all.extend(roles.filter(trusts).map(|it| Target::Role(it.arn.clone())));
    }
    for cluster in &inventory.clusters {
        let blind = cluster.facts.get().is_none()
            || cluster.service_accounts.get().is_none()
            || cluster.associations.get().is_none()
            || cluster.addons.get().is_none();
        if blind {
            all.insert(Target::Cluster(cluster.arn.clone()));
        }
        all.extend(subjects(cluster).into_iter().map(Target::ServiceAccount));
        for addon in cluster.addons.get().into_iter().flatten() {
            all.insert(Target::Addon { cluster: cluster.arn.clone(), name: addon.name.clone() });
        }
    }
    all
}

/// Every ServiceAccount of a cluster that has to do with a role, whether or not it exists.
fn subjects(cluster: &Cluster) -> BTreeSet<Subject> {
    let annotated = cluster.service_accounts.get().into_iter().flatten().filter(|it| it.role_arn.is_some());
    let associated = cluster.associations.get().into_iter().flatten();
    let annotated = annotated.map(|it| cluster.subject(&it.namespace, &it.name));
    annotated.chain(associated.map(|it| cluster.subject(&it.namespace, &it.service_account))).collect()
}

/// Whether a role's detail counts: it does for a plan, and does not while a scan decides
/// which details to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Needed,
    NotYet,
}

impl<'a> Checks<'a> {
    /// All findings that concern one ServiceAccount, in a fixed order: its own, those of its role,
    /// and the blockers of its cluster. What has an unanswered blocker among them is held.
    #[must_use]
    pub fn of_subject(&self, subject: &Subject) -> Vec<Finding> {
        sorted(self.subject(subject, Detail::Needed))
    }

    /// All findings about one role.
    #[must_use]
    pub fn of_role(&self, role: &RoleArn) -> Vec<Finding> {
        sorted(self.role(role, Detail::Needed))
    }

    /// All findings about everything in sight, each once: about clusters, candidates, and
    /// workloads whose ServiceAccount is not there.
    #[must_use]
    pub fn of_inventory(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        for candidate in candidates(self.inventory) {
            match &candidate {
                Target::Role(role) => out.extend(self.role(role, Detail::Needed)),
                Target::ServiceAccount(subject) => out.extend(self.subject(subject, Detail::Needed)),
                Target::Account(id) => out.extend(self.account(id)),
                Target::Cluster(_) | Target::Addon { .. } => {}
            }
        }
        for cluster in &self.inventory.clusters {
            out.extend(about_cluster::all(self.inventory, cluster));
            out.extend(about_addon::all(cluster));
            out.extend(self.absent(cluster));
        }
        sorted(out)
    }

    /// All findings about one candidate.
    #[must_use]
    pub fn of_candidate(&self, candidate: &Target) -> Vec<Finding> {
        match candidate {
            Target::ServiceAccount(subject) => self.of_subject(subject),
            Target::Role(role) => self.of_role(role),
            Target::Account(id) => sorted(self.account(id)),
            Target::Cluster(arn) => {
                let cluster = self.inventory.cluster(arn);
                sorted(cluster.map(|it| about_cluster::all(self.inventory, it)).unwrap_or_default())
            }
            Target::Addon { cluster, name } => {
                let cluster = self.inventory.cluster(cluster);
                let addons = cluster.and_then(|it| Some((it, it.addons.get()?)));
                let named = addons.and_then(|(cluster, all)| Some((cluster, all.iter().find(|it| it.name == *name)?)));
                named.map(|(cluster, addon)| about_addon::of(cluster, addon)).into_iter().collect()
            }
        }
    }

    /// The roles whose detail a plan would need: those of ServiceAccounts that nothing else holds
    /// for good. What a waiver or the settings may answer for does not count.
    #[must_use]
    pub fn roles_to_look_at(&self) -> BTreeSet<RoleArn> {
        let mut all = BTreeSet::new();
        for cluster in &self.inventory.clusters {
            for subject in subjects(cluster) {
                let account = self.place(&subject).and_then(|it| it.service_account());
                let Some(role) = account.and_then(|it| RoleArn::parse(it.role_arn.as_deref()?).ok()) else { continue };
                let findings = self.subject(&subject, Detail::NotYet);
                let final_word = |it: &Finding| it.code.leaves_nothing_to_do() || it.blocks() && !it.may_be_answered();
                if !findings.iter().any(final_word) {
                    all.insert(role);
                }
            }
        }
        all
    }

    fn subject(&self, subject: &Subject, detail: Detail) -> Vec<Finding> {
        let Some(place) = self.place(subject) else {
            let target = Target::ServiceAccount(subject.clone());
            return vec![unread(target, "its cluster", "it is not in the inventory")];
        };
        let mut out = place.of_cluster().to_vec();
        need(&place.cluster.associations, &place.target(), "its association", &mut out);
        if need(&place.cluster.service_accounts, &place.target(), "the ServiceAccount", &mut out).is_none() {
            return out;
        }
        let association = place.association();
        let Some(account) = place.service_account() else {
            match association {
                Some(it) => out.extend(about_association::orphan(&place, it)),
                None => out.extend(about_annotation::absent(&place)),
            }
            return out;
        };
        let Some(annotation) = account.role_arn.as_deref() else {
            out.extend(association.map(|it| about_association::only(&place, it)));
            out.extend(association.and_then(|it| self.not_trusted(&place, it)));
            return out;
        };
        out.extend(about_addon::of_service_account(&place, account));
        let Some(role) = about_annotation::role_of(&place, annotation, &mut out) else { return out };
        if let Some(it) = association {
            let found = about_association::beside(&place, it, &role);
            let adopted = found.iter().any(|it| it.code == Code::AssociationAdopted);
            out.extend(found);
            out.extend(self.not_trusted(&place, it));
            if adopted {
                // Nothing will be done here, so nothing that only stands in a unit's way counts.
                out.extend(about_node::checks(&place));
                return out;
            }
        }
        out.extend(about_annotation::audience(&place, account));
        self.role_of_subject(&place, &role, detail, &mut out);
        place.need_workloads(&mut out);
        if out.iter().all(|it| it.code != Code::Unread) {
            out.extend(about_annotation::unused(&place));
        }
        out.extend(about_workload::checks(&place, &role));
        out.extend(about_node::checks(&place));
        out
    }

    /// The role of an annotation, and whether it trusts the ServiceAccount today.
    fn role_of_subject(&self, place: &Place<'_>, role: &RoleArn, detail: Detail, out: &mut Vec<Finding>) {
        let Some((account, found)) = about_role::find(self, place, role, out) else { return };
        if let Some(issuer) = place.cluster.issuer() {
            out.extend(about_trust::of_subject(place, account, found, issuer));
        }
        about_role::second(self, place, role, out);
        out.extend(self.role(role, detail));
    }

    fn role(&self, arn: &RoleArn, detail: Detail) -> Vec<Finding> {
        let mut out = Vec::new();
        let target = Target::Role(arn.clone());
        let Some(account) = about_trust::need_account(self.inventory, arn, &mut out) else { return out };
        if need(&account.roles, &target, "the role", &mut out).is_none() {
            return out;
        }
        let Some(role) = self.role_of(arn) else {
            out.push(Finding::new(Code::RoleAbsent, target, format!("there is no {arn}")));
            return out;
        };
        out.extend(about_role::of_role(self, role));
        if let Some(read) = self.reading(arn) {
            out.extend(about_trust::of_role(role, read));
        }
        let unused = about_role::unused(self, role);
        let idle = !unused.is_empty();
        out.extend(unused);
        // Who keeps a role matters only where it would be edited.
        if detail == Detail::Needed && !idle && !out.iter().any(Finding::blocks) {
            out.extend(about_role::owner(role));
        }
        out
    }

    fn account(&self, id: &AccountId) -> Vec<Finding> {
        let target = Target::Account(id.clone());
        let unseen = self.inventory.accounts.get(id).and_then(|it| it.roles.as_result().err());
        unseen.map(|why| unread(target, "the account's roles", why)).into_iter().collect()
    }

    /// An association whose role does not let Pod Identity in.
    fn not_trusted(&self, place: &Place<'_>, association: &Association) -> Option<Finding> {
        let detail = association.detail.as_ref().and_then(Seen::get)?;
        let reading = self.reading(&detail.role_arn)?.as_ref().ok()?;
        let trusted = reading.held() || reading.pod_identity.allows(place.subject);
        let evidence = format!("association {} gives {}", association.id, detail.role_arn);
        (!trusted).then(|| place.finding(Code::AssociationNotTrusted, evidence))
    }

    /// Workloads of a cluster whose ServiceAccount is not there and has no association either.
    fn absent(&self, cluster: &Cluster) -> Vec<Finding> {
        if cluster.service_accounts.get().is_none() {
            return Vec::new();
        }
        let known = subjects(cluster);
        let named: BTreeSet<Subject> =
            cluster.seen_workloads().map(|it| cluster.subject(&it.at.namespace, &it.service_account)).collect();
        let places = named.iter().filter(|it| !known.contains(*it)).filter_map(|it| self.place(it));
        places.filter(|it| it.service_account().is_none()).filter_map(|it| about_annotation::absent(&it)).collect()
    }
}

/// By weight, code and subject; each once.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    findings.dedup();
    findings
}
