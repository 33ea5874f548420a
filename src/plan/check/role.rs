//! What a role's unit says about a trust policy, read from its documents once more.

use super::Checker;
use crate::plan::PlanCluster;
use crate::plan::step::{RoleWork, Unit, UnitId, Work};
use crate::trust::{self, AddStatement, Document, GrantPlace, Presence, Provider, Relation, Scope, ScopeCluster};

impl Checker<'_> {
    pub(super) fn role(&mut self, unit: &Unit, work: &RoleWork) {
        self.expect(unit, unit.id == UnitId::of_role(&work.role_arn), "its name is not its role's");
        self.expect(unit, work.role_arn.account() == self.plan.account, "its role is of another account");
        let (before, after) = (Document::parse(&work.before), Document::parse(&work.after));
        let (Ok(before), Ok(after)) = (before, after) else {
            return self.say_of(unit, "its trust policy cannot be read");
        };
        let absent = work.added.is_empty() || trust::presence(&before, &work.added) == Presence::None;
        self.expect(unit, absent, "the statements that it adds are there already, or their Sids are taken");
        self.expect(unit, work.added.iter().all(has_sid), "a statement that it adds has another Sid than it says");
        // Then taking them out again gives `before` back as well.
        let added = trust::with_added(&before, &work.added).is_ok_and(|it| it.text() == work.after);
        self.expect(unit, added, "its new trust policy differs from the old one in more than what it adds");
        self.grants(unit, work, &before, &after);
        let (told, counted) = (work.characters, after.characters());
        if told as usize != counted {
            self.say_of(unit, format!("its new trust policy is said to have {told} characters, and has {counted}"));
        }
        self.expect(unit, counted <= work.quota as usize, "its trust policy is longer than the account allows");
    }

    /// Which providers exist only the world tells, so that before may be less than the document alone would give.
    fn grants(&mut self, unit: &Unit, work: &RoleWork, before: &Document, after: &Document) {
        let scope = self.scope(work);
        let issuers = work.grants_before.iter().chain(work.grants_after.iter()).all(|grant| {
            let cluster = match &grant.cluster_arn {
                GrantPlace::Cluster(arn) => self.plan.cluster(arn),
                GrantPlace::Elsewhere => None,
            };
            grant.issuer.as_ref() == cluster.map(|it| &it.issuer)
        });
        self.expect(unit, issuers, "its grants name another issuer than their cluster has");
        let within = trust::prove(&trust::read(before, &scope).all(), &work.grants_before).map(|it| it.relation);
        let within = matches!(within, Ok(Relation::Equal | Relation::Narrower));
        self.expect(unit, within, "its trust policy does not grant what it says");
        let gives = trust::prove(&trust::read(after, &scope).pod_identity, &work.grants_after);
        let gives = gives.is_ok_and(|it| it.relation == Relation::Equal);
        self.expect(unit, gives, "its new trust policy does not grant what it says");
        let proof = trust::prove(&work.grants_before, &work.grants_after);
        self.expect(unit, proof.is_ok_and(|it| it == work.proof), "its proof does not follow from its grants");
        self.expect(unit, work.proof.relation != Relation::Incomparable, "it would both give and take access");
    }

    fn scope(&self, work: &RoleWork) -> Scope {
        let mut audiences = vec!["sts.amazonaws.com".to_owned()];
        for unit in &self.plan.units {
            if let Work::ServiceAccount(it) = &unit.work {
                audiences.push(it.audience.clone());
            }
        }
        let cluster = |it: &PlanCluster| ScopeCluster {
            arn: it.arn.clone(),
            issuer: it.issuer.clone(),
            provider: Provider::Exists { client_ids: audiences.clone() },
        };
        Scope { role_account: work.role_arn.account(), clusters: self.plan.clusters.iter().map(cluster).collect() }
    }
}

/// Whether an added statement is marked by the Sid that it is said to have.
fn has_sid(added: &AddStatement) -> bool {
    let statement: Result<serde_json::Value, _> = serde_json::from_str(&added.text);
    statement.is_ok_and(|it| it.get("Sid").and_then(serde_json::Value::as_str) == Some(added.sid.as_str()))
}
