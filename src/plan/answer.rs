//! Findings, once the settings have had their say.

use jiff::Timestamp;

use super::settings::{Doubt, RestartRule, Settings, Waiver};
use crate::findings::{Code, Finding, Severity, Target};

/// What is left of some findings.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// These hold it back.
    pub(super) holding: Vec<Finding>,
    /// These are shown with its unit.
    pub(super) notices: Vec<Finding>,
    /// These waivers were used.
    pub(super) waived: Vec<Waiver>,
}

/// Sorts findings into what holds and what is only told. `at` judges when a waiver has run out.
pub(super) fn answer(findings: Vec<Finding>, settings: &Settings, at: Timestamp) -> Answered {
    let mut answered = Answered::default();
    for mut finding in findings {
        if finding.code.leaves_nothing_to_do() {
            answered.holding.push(finding);
            continue;
        }
        if is_strict(&finding, settings) {
            finding.severity = Severity::Blocker;
        }
        if !finding.blocks() || is_settled(&finding, settings) {
            answered.notices.push(finding);
        } else if let Some(waiver) = waiver_for(&finding, settings, at) {
            answered.waived.push(waiver.clone());
            answered.notices.push(finding);
        } else {
            answered.holding.push(finding);
        }
    }
    answered
}

/// Whether the settings ask to be held where others are only told.
fn is_strict(finding: &Finding, settings: &Settings) -> bool {
    let owners = &settings.owners;
    (finding.code == Code::RoleOwnerUnknown && owners.unknown_owner == Doubt::Hold)
        || (finding.code == Code::SharedRole && owners.shared_roles == Doubt::Hold)
}

/// Whether a setting, rather than a waiver, answers for it.
fn is_settled(finding: &Finding, settings: &Settings) -> bool {
    match (finding.code, &finding.subject) {
        (Code::RoleOwned, Target::Role(role)) => {
            settings.owners.default.is_some() || settings.owners.roles.contains_key(role)
        }
        (Code::RestartByOwner, _) => settings.apply.restart == RestartRule::ByOwner,
        _ => false,
    }
}

fn waiver_for<'a>(finding: &Finding, settings: &'a Settings, at: Timestamp) -> Option<&'a Waiver> {
    settings.waivers.iter().find(|it| it.answers(finding) && it.expires > at)
}

impl Waiver {
    /// Whether it is meant for this finding; not whether it still counts.
    #[must_use]
    pub fn answers(&self, finding: &Finding) -> bool {
        let named = match &finding.subject {
            Target::ServiceAccount(it) if self.cluster.as_ref().is_some_and(|only| *only != it.cluster) => {
                return false;
            }
            Target::ServiceAccount(it) => format!("{}/{}", it.namespace, it.service_account),
            Target::Role(it) => it.to_string(),
            Target::Cluster(it) => it.to_string(),
            Target::Account(_) | Target::Addon { .. } => return false,
        };
        finding.waivable && self.code == finding.code && self.subject == named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterArn, Subject};

    fn second_role() -> Finding {
        let subject = Subject {
            cluster: ClusterArn::parse("arn:aws:eks:eu-west-1:111122223333:cluster/a").unwrap(),
            namespace: "shop".into(),
            service_account: "cart".into(),
        };
        Finding::new(Code::SecondRole, Target::ServiceAccount(subject), "two")
    }

    fn waiver(subject: &str, expires: &str) -> Settings {
        Settings {
            waivers: vec![Waiver {
                code: Code::SecondRole,
                subject: subject.into(),
                cluster: None,
                reason: "nobody calls it".into(),
                expires: expires.parse().unwrap(),
            }],
            ..Settings::default()
        }
    }

    #[test]
    fn a_waiver_counts_for_its_subject_until_it_expires() {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let holds = |settings: &Settings| !answer(vec![second_role()], settings, at).holding.is_empty();
        assert!(holds(&Settings::default()));
        assert!(!holds(&waiver("shop/cart", "2026-11-24T12:00:01Z")));
        assert!(holds(&waiver("shop/cart", "2026-11-24T12:00:00Z")));
        assert!(holds(&waiver("shop/other", "2027-01-01T00:00:00Z")));
    }

    #[test]
    fn a_waiver_with_a_cluster_counts_there_alone() {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut settings = waiver("shop/cart", "2027-01-01T00:00:00Z");
        for (cluster, left) in [("cluster/a", 0), ("cluster/b", 1)] {
            let arn = format!("arn:aws:eks:eu-west-1:111122223333:{cluster}");
            settings.waivers[0].cluster = Some(ClusterArn::parse(&arn).unwrap());
            assert_eq!(answer(vec![second_role()], &settings, at).holding.len(), left, "{cluster}");
        }
    }

    #[test]
    fn a_cluster_is_waived_by_its_arn() {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let arn = "arn:aws:eks:eu-west-1:111122223333:cluster/a";
        let full = Finding::new(Code::AssociationQuota, Target::Cluster(ClusterArn::parse(arn).unwrap()), "full");
        let mut settings = waiver(arn, "2027-01-01T00:00:00Z");
        settings.waivers[0].code = Code::AssociationQuota;
        assert!(answer(vec![full.clone()], &settings, at).holding.is_empty());
        settings.waivers[0].subject = arn.replace("cluster/a", "cluster/b");
        assert_eq!(answer(vec![full], &settings, at).holding.len(), 1);
    }

    #[test]
    fn what_is_not_waivable_is_not_waived() {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let finding = Finding { waivable: false, ..second_role() };
        let answered = answer(vec![finding], &waiver("shop/cart", "2027-01-01T00:00:00Z"), at);
        assert_eq!((answered.holding.len(), answered.waived.len()), (1, 0));
    }
}
