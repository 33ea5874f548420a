//! IAM and EKS: what is there, and what they say to calls.
//!
//! An error's text begins with the code that AWS gives it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::access::View;
use super::cluster::Cluster;
use super::evaluate::{Policy, Request};
use super::versioned::{Author, Dice, Lag, Observer, Versioned};
use crate::inventory::{Addon, Association, AssociationDetail, Provider, Role, RoleDetail, Seen};
use crate::model::{AccountId, Issuer, RoleArn, Subject};
use crate::ports::{Answer, NewAssociation, PortError};

/// All accounts.
pub(crate) type Accounts = BTreeMap<AccountId, Account>;

/// The add-on that is the Pod Identity agent.
pub(crate) const AGENT_ADDON: &str = "eks-pod-identity-agent";

/// One account's IAM.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) trust_quota: u32,
    pub(crate) providers: BTreeMap<Issuer, Versioned<Provider>>,
    pub(crate) roles: BTreeMap<RoleArn, RoleState>,
}

/// A role.
#[derive(Debug, Clone)]
pub(crate) struct RoleState {
    pub(crate) role_id: String,
    /// `None` once the role is deleted.
    pub(crate) trust: Versioned<Trust>,
    pub(crate) detail: Seen<RoleDetail>,
}

/// A trust policy: its text, and what it means. One that is malformed means nothing.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) text: String,
    policy: Option<Policy>,
}

impl Trust {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), policy: Policy::parse(text).ok() }
    }

    pub(crate) fn allows_all(&self, requests: &[Request]) -> bool {
        self.policy.as_ref().is_some_and(|it| it.allows_all(requests))
    }
}

/// How AWS reads and writes: when, and how late.
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) lag: &'a Lag,
    pub(crate) dice: &'a mut Dice,
}

impl Moment<'_> {
    fn see<'t, T>(&mut self, of: &'t Versioned<T>) -> Option<&'t T> {
        self.dice.see(of, self.now, self.lag.for_observer(&Observer::Api))
    }
}

impl Account {
    pub(crate) fn providers(&self, moment: &mut Moment<'_>) -> Vec<Provider> {
        self.providers.values().filter_map(|it| moment.see(it).cloned()).collect()
    }

    /// `ListRoles`: no tags, no last use.
    pub(crate) fn roles(&self, moment: &mut Moment<'_>) -> Vec<Role> {
        let role = |(arn, it): (&RoleArn, &RoleState)| {
            let trust = moment.see(&it.trust)?.text.clone();
            Some(Role { arn: arn.clone(), role_id: it.role_id.clone(), trust, detail: None })
        };
        self.roles.iter().filter_map(role).collect()
    }

    /// IAM finds a role by its name alone.
    fn by_name(&self, wanted: &RoleArn) -> Answer<&RoleState> {
        let same = |arn: &&RoleArn| arn.name().eq_ignore_ascii_case(wanted.name());
        match self.roles.keys().filter(|it| self.roles[*it].trust.now().is_some()).find(same) {
            Some(arn) if arn == wanted => Ok(&self.roles[arn]),
            Some(other) => Err(PortError::Invalid(format!("{wanted} is {other} in IAM"))),
            None => match self.roles.get(wanted) {
                // Deleted: who may still see it has to.
                Some(deleted) => Ok(deleted),
                None => Err(no_such_role(wanted)),
            },
        }
    }

    /// `GetRole`.
    pub(crate) fn role(&self, arn: &RoleArn, moment: &mut Moment<'_>) -> Answer<Role> {
        let it = self.by_name(arn)?;
        let trust = moment.see(&it.trust).ok_or_else(|| no_such_role(arn))?.text.clone();
        let detail = it.detail.as_result().map_err(|why| PortError::Denied(why.to_owned()))?;
        let detail = Some(Seen::Seen(detail.clone()));
        Ok(Role { arn: arn.clone(), role_id: it.role_id.clone(), trust, detail })
    }

    /// `UpdateAssumeRolePolicy`.
    pub(crate) fn set_trust(&mut self, arn: &RoleArn, document: &str, now: Timestamp, by: Author) -> Answer<()> {
        self.by_name(arn)?;
        let it = self.roles.get_mut(arn).filter(|it| it.trust.now().is_some()).ok_or_else(|| no_such_role(arn))?;
        if arn.as_str().contains(":role/aws-service-role/") {
            return Err(PortError::Invalid(format!("UnmodifiableEntity: {arn} is a service-linked role")));
        }
        // "Policy size calculations do not include white space characters."
        let size = document.chars().filter(|it| !it.is_whitespace()).count();
        if size > self.trust_quota as usize {
            let quota = self.trust_quota;
            return Err(PortError::Invalid(format!("LimitExceeded: Cannot exceed quota for ACLSizePerRole: {quota}")));
        }
        if let Err(why) = Policy::parse(document) {
            return Err(PortError::Invalid(format!("MalformedPolicyDocument: {why}")));
        }
        it.trust.set(now, by, Some(Trust::new(document)));
        Ok(())
    }
}

fn no_such_role(arn: &RoleArn) -> PortError {
    PortError::NotFound(format!("NoSuchEntity: The role with name {} cannot be found.", arn.name()))
}

fn no_such_association(id: &str) -> PortError {
    PortError::NotFound(format!("ResourceNotFoundException: no association {id}"))
}

/// What a list tells of an association: neither role nor tags.
fn summary(it: &Association) -> Association {
    Association { detail: None, ..it.clone() }
}

impl Cluster {
    pub(crate) fn agent_addon(&self) -> Option<Addon> {
        let it = self.env.addons.get(AGENT_ADDON)?;
        Some(Addon { version: it.version.clone(), status: it.status.clone() })
    }

    /// `ListPodIdentityAssociations`.
    pub(crate) fn associations(&self, moment: &mut Moment<'_>) -> Vec<Association> {
        self.env.associations.values().filter_map(|it| moment.see(it).map(summary)).collect()
    }

    /// `DescribePodIdentityAssociation`.
    pub(crate) fn association(&self, id: &str, moment: &mut Moment<'_>) -> Answer<Association> {
        let mut seen = self.env.associations.values().filter_map(|it| moment.see(it));
        seen.find(|it| it.id == id).cloned().ok_or_else(|| no_such_association(id))
    }

    pub(crate) fn association_of(&self, subject: &Subject, moment: &mut Moment<'_>) -> Option<Association> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        moment.see(self.env.associations.get(&key)?).cloned()
    }

    /// `CreatePodIdentityAssociation`. The namespace and the ServiceAccount need not exist.
    pub(crate) fn create_association(
        &mut self,
        new: &NewAssociation,
        view: &View<'_>,
        id: String,
        by: Author,
    ) -> Answer<()> {
        let key = (new.subject.namespace.clone(), new.subject.service_account.clone());
        let existing = self.env.associations.get(&key).and_then(|it| it.now());
        if let Some(before) = self.env.tokens.get(&new.token) {
            // The token is good for what it made, as long as that is there.
            if before != new {
                let why = "InvalidParameterException: the idempotency token was used for another request";
                return Err(PortError::Invalid(why.into()));
            }
            if existing.is_some() {
                return Ok(());
            }
        }
        if let Some(existing) = existing {
            let why = format!("ResourceInUseException: Association already exists: {}", existing.id);
            return Err(PortError::Conflict(why));
        }
        if new.role_arn.account() != self.env.arn.account() {
            return Err(PortError::Invalid("InvalidParameterException: the role is in another account".into()));
        }
        let taken = self.env.associations.values().filter(|it| it.now().is_some()).count();
        if taken >= self.env.association_quota {
            return Err(PortError::Invalid("ResourceLimitExceededException: too many associations".into()));
        }
        let role = view.accounts.get(&new.role_arn.account()).and_then(|it| it.roles.get(&new.role_arn));
        if role.and_then(|it| it.trust.now()).is_none() {
            let why =
                format!("InvalidParameterException: Role provided in the request does not exist: {}", new.role_arn);
            return Err(PortError::Invalid(why));
        }
        if !view.trust_grants_pod_identity(&new.subject, &new.role_arn) {
            let why = "InvalidParameterException: Trust policy of the role provided is invalid";
            return Err(PortError::Invalid(why.into()));
        }
        let detail = AssociationDetail {
            role_arn: new.role_arn.clone(),
            target_role_arn: None,
            disable_session_tags: false,
            has_policy: false,
            tags: new.tags.clone(),
            created_at: Some(view.now),
        };
        let association = Association {
            id,
            namespace: key.0.clone(),
            service_account: key.1.clone(),
            owner: None,
            detail: Some(Seen::Seen(detail)),
        };
        self.env.tokens.insert(new.token.clone(), new.clone());
        let versions = self.env.associations.entry(key).or_insert_with(|| Versioned::since_ever(None));
        versions.set(view.now, by, Some(association));
        Ok(())
    }

    /// `DeletePodIdentityAssociation`. Those that an add-on owns may be deleted like any other.
    pub(crate) fn delete_association(&mut self, id: &str, now: Timestamp, by: Author) -> Answer<()> {
        let found = self.env.associations.values_mut().find(|it| it.now().is_some_and(|it| it.id == id));
        found.ok_or_else(|| no_such_association(id))?.set(now, by, None);
        Ok(())
    }
}
