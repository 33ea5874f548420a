//! Who could get which credentials: STS and EKS Auth, asked about every version that they may see.
//!
//! Access that must be kept is judged by *all* versions, access that must not be gained by *some*.

use jiff::Timestamp;

use super::aws::{Accounts, Trust};
use super::cluster::{Environment, Pod};
use super::evaluate::{pod_identity_requests, web_identity_request};
use super::versioned::{Lag, Observer, Versioned};
use super::world::World;
use crate::inventory::{AgentOnNode, Association, Mode, Seen};
use crate::model::{RoleArn, Subject};

/// What the world looks like to whoever gives credentials.
pub(crate) struct View<'a> {
    pub(crate) accounts: &'a Accounts,
    pub(crate) lag: &'a Lag,
    pub(crate) now: Timestamp,
}

impl<'a> View<'a> {
    fn may_see<T>(
        &self,
        of: &'a Versioned<T>,
        observer: &Observer,
    ) -> impl Iterator<Item = Option<&'a T>> + use<'a, T> {
        of.may_see(self.now, self.lag.for_observer(observer)).iter().map(|it| it.value.as_ref())
    }

    /// The trust policies of a role that STS may see; none for a role that never was.
    fn trusts(&self, role: &RoleArn) -> Vec<Option<&'a Trust>> {
        let found = self.accounts.get(&role.account()).and_then(|it| it.roles.get(role));
        found.map(|it| self.may_see(&it.trust, &Observer::Sts).collect()).unwrap_or_default()
    }

    /// The associations of a ServiceAccount that EKS Auth may see.
    fn associations(&self, env: &'a Environment, subject: &Subject) -> Vec<Option<&'a Association>> {
        let key = (subject.namespace.clone(), subject.service_account.clone());
        let found = env.associations.get(&key);
        found.map_or_else(|| vec![None], |it| self.may_see(it, &Observer::EksAuth).collect())
    }

    /// Whether a token of this ServiceAccount opens a role with this trust policy.
    pub(crate) fn irsa(
        &self,
        env: &Environment,
        subject: &Subject,
        role: &RoleArn,
        audience: &str,
        trust: &Trust,
    ) -> bool {
        let Some(issuer) = &env.facts.issuer else { return false };
        let account = role.account();
        let provider = self.accounts.get(&account).and_then(|it| it.providers.get(issuer)?.now());
        if !provider.is_some_and(|it| it.client_ids.iter().any(|id| id == audience)) {
            return false;
        }
        let arn = issuer.provider_arn(role.partition(), &account);
        let request = web_identity_request(issuer.as_str(), &arn, &subject.token_subject(), audience, self.now);
        trust.allows_all(&[request])
    }

    /// Whether a token of this ServiceAccount opens a role with this trust policy, for some audience.
    pub(crate) fn some_token(&self, env: &Environment, subject: &Subject, role: &RoleArn, trust: &Trust) -> bool {
        let key = env.facts.issuer.as_ref();
        let provider = key.and_then(|it| self.accounts.get(&role.account())?.providers.get(it)?.now());
        provider.is_some_and(|it| it.client_ids.iter().any(|id| self.irsa(env, subject, role, id, trust)))
    }

    /// A web identity token gets the role, whichever version STS sees.
    pub(crate) fn irsa_ok(&self, env: &Environment, subject: &Subject, role: &str, audience: &str) -> bool {
        let Ok(role) = RoleArn::parse(role) else { return false };
        let trusts = self.trusts(&role);
        !trusts.is_empty() && trusts.iter().all(|it| it.is_some_and(|it| self.irsa(env, subject, &role, audience, it)))
    }

    /// EKS Auth gets the role of the association, whichever versions it and STS see.
    pub(crate) fn pi_ok(&self, env: &Environment, subject: &Subject) -> bool {
        let all = self.associations(env, subject);
        !all.is_empty() && all.iter().all(|it| it.is_some_and(|it| self.pi_of(subject, it, true)))
    }

    /// Whether an association gets its role: from every trust policy that STS may see, or from some.
    fn pi_of(&self, subject: &Subject, association: &Association, every: bool) -> bool {
        let Some(Seen::Seen(detail)) = &association.detail else { return false };
        let requests = pod_identity_requests(subject, !detail.disable_session_tags, self.now);
        let allows = |trust: &Option<&Trust>| trust.is_some_and(|it| it.allows_all(&requests));
        let trusts = self.trusts(&detail.role_arn);
        if every { !trusts.is_empty() && trusts.iter().all(allows) } else { trusts.iter().any(allows) }
    }

    /// The trust policy of this role, in every version that STS may see, would let EKS Auth in.
    pub(crate) fn trust_grants_pod_identity(&self, subject: &Subject, role: &RoleArn) -> bool {
        let requests = pod_identity_requests(subject, true, self.now);
        let trusts = self.trusts(role);
        !trusts.is_empty() && trusts.iter().all(|it| it.is_some_and(|it| it.allows_all(&requests)))
    }

    /// Whether some pod of this ServiceAccount could assume the role, by some version of something.
    pub(crate) fn could(&self, env: &Environment, subject: &Subject, role: &RoleArn) -> bool {
        let by_token = self.trusts(role).into_iter().flatten().any(|it| self.some_token(env, subject, role, it));
        let names = |it: &&Association| matches!(&it.detail, Some(Seen::Seen(it)) if it.role_arn == *role);
        let associations = self.associations(env, subject);
        by_token || associations.into_iter().flatten().filter(names).any(|it| self.pi_of(subject, it, false))
    }
}

/// Whether a pod gets credentials now, whoever answers.
pub(crate) fn has_credentials(pod: &Pod, env: &Environment, accounts: &Accounts, lag: &Lag, now: Timestamp) -> bool {
    let view = View { accounts, lag, now };
    let subject = Subject {
        cluster: env.arn.clone(),
        namespace: pod.namespace.clone(),
        service_account: pod.service_account.clone(),
    };
    match &pod.mode {
        Mode::Irsa(role) => view.irsa_ok(env, &subject, role, &pod.audience),
        Mode::PodIdentity => {
            let node = pod.node.as_ref().and_then(|it| env.nodes.get(it));
            let agent = node.and_then(|it| it.agent.get());
            matches!(agent, Some(AgentOnNode::BuiltIn | AgentOnNode::Ready)) && view.pi_ok(env, &subject)
        }
        // What was set by hand is not ours to judge.
        Mode::Both | Mode::None => true,
    }
}

impl World {
    /// Whether a web identity token of this ServiceAccount gets the role, whichever version STS sees.
    #[must_use]
    pub fn irsa_ok(&self, subject: &Subject, role: &str, audience: &str) -> bool {
        let view = self.view();
        self.clusters.get(&subject.cluster).is_some_and(|it| view.irsa_ok(&it.env, subject, role, audience))
    }

    /// Whether a Pod Identity pod of this ServiceAccount gets credentials, whichever versions EKS Auth and STS see.
    #[must_use]
    pub fn pi_ok(&self, subject: &Subject) -> bool {
        let view = self.view();
        self.clusters.get(&subject.cluster).is_some_and(|it| view.pi_ok(&it.env, subject))
    }

    /// Whether some pod of this ServiceAccount could assume the role, by some version of something.
    #[must_use]
    pub fn could(&self, subject: &Subject, role: &RoleArn) -> bool {
        let view = self.view();
        self.clusters.get(&subject.cluster).is_some_and(|it| view.could(&it.env, subject, role))
    }

    fn view(&self) -> View<'_> {
        View { accounts: &self.accounts, lag: &self.lag, now: self.now }
    }
}
