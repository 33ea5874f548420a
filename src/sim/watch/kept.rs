//! The second promise: no lost access.

use super::Had;
use super::look::{Look, known, role_of};
use crate::inventory::{Association, Mode, ServiceAccount, WorkloadKind};
use crate::model::{RoleArn, Subject};
use crate::sim::aws::Trust;
use crate::sim::cluster::Pod;
use crate::sim::versioned::Versioned;

impl<'a> Look<'a> {
    /// A running pod that worked at birth gets its credentials, and so does one that is admitted now.
    pub(super) fn no_lost_access(&mut self) {
        for subject in known(self.world) {
            // Asked for each pod, and the same for most of them.
            let mut asked: Option<(&str, &str, bool)> = None;
            let (mut pi, mut undone) = (None, None);
            for pod in self.pods(&subject).collect::<Vec<_>>() {
                match &pod.mode {
                    Mode::Irsa(role) if pod.worked => {
                        let ok = match asked {
                            Some((of, with, ok)) if of == role && with == pod.audience => ok,
                            _ => self.world.irsa_ok(&subject, role, &pod.audience),
                        };
                        asked = Some((role, &pod.audience, ok));
                        let taken = |role: &RoleArn| self.irsa_taken_by_others(&subject, role, &pod.audience);
                        if !ok && !RoleArn::parse(role).is_ok_and(|it| taken(&it)) {
                            self.broken(
                                "P2",
                                format!("{subject}: pod {} has lost the role that IRSA gave it", pod.name),
                            );
                        }
                    }
                    Mode::PodIdentity => {
                        let ok = *pi.get_or_insert_with(|| self.world.pi_ok(&subject))
                            || *undone.get_or_insert_with(|| self.is_being_undone(&subject))
                            || !pod.worked && self.is_fresh(&subject)
                            || is_of_a_job(self, pod) && self.is_unassociated(&subject);
                        if !ok && !self.association_taken_by_others(&subject) {
                            let name = &pod.name;
                            self.broken("P2", format!("{subject}: pod {name} gets no credentials from Pod Identity"));
                        }
                    }
                    Mode::Irsa(_) | Mode::Both | Mode::None => {}
                }
            }
            if let Some(had) = self.at_first.get(&subject) {
                self.new_pods_get_it(&subject, had);
            }
        }
    }

    /// A pod that is admitted now, by whichever API server, gets the role that its kind had.
    fn new_pods_get_it(&mut self, subject: &Subject, had: &Had) {
        let role = &had.role;
        let (mut irsa, mut pi) = (None, None);
        let mut right = |mode: &Option<Mode>| match mode {
            Some(Mode::Irsa(it)) => {
                let audience = had.audience.as_deref();
                it == role.as_str()
                    && *irsa.get_or_insert_with(|| {
                        audience.is_some_and(|it| self.world.irsa_ok(subject, role.as_str(), it))
                    })
            }
            Some(Mode::PodIdentity) => *pi.get_or_insert_with(|| {
                self.is_being_undone(subject)
                    || self.associated_with(subject, role) && (self.world.pi_ok(subject) || self.is_fresh(subject))
            }),
            Some(Mode::Both | Mode::None) | None => false,
        };
        let wrong = self.modes(subject).into_iter().find(|it| !right(it));
        let Some(wrong) = wrong else { return };
        let audience = had.audience.as_deref().unwrap_or_default();
        let taken = self.is_steered_by_others(subject, had)
            || self.irsa_taken_by_others(subject, role, audience)
            || self.pod_identity_taken_by_others(subject, role) && wrong == Some(Mode::PodIdentity);
        if !taken {
            let wrong = wrong.map_or_else(|| "not at all".to_owned(), |it| it.to_string());
            self.broken("P2", format!("{subject}: a pod that is admitted now gets no credentials ({wrong})"));
        }
    }

    fn associated_with(&self, subject: &Subject, role: &RoleArn) -> bool {
        self.associations(subject).and_then(Versioned::now).and_then(role_of) == Some(role)
    }

    fn is_unassociated(&self, subject: &Subject) -> bool {
        self.associations(subject).and_then(Versioned::now).is_none()
    }

    /// Others took the association away, or the trust in EKS Auth of a role that it ever named.
    fn association_taken_by_others(&self, subject: &Subject) -> bool {
        let Some(versions) = self.associations(subject) else { return false };
        let mut roles = versions.log().iter().filter_map(|it| role_of(it.value.as_ref()?));
        roles.any(|role| self.pod_identity_taken_by_others(subject, role))
    }

    /// At the send of a create: STS lets EKS Auth in, whatever version it sees.
    pub(super) fn create(&mut self, subject: &Subject, role: &RoleArn) {
        let trusted = self.view().trust_grants_pod_identity(subject, role);
        if !trusted && !self.is_news(self.trusts_since(role)) {
            self.broken("P2", format!("{subject}: associated before {role} surely trusts Pod Identity"));
        }
    }

    /// At the send of a delete: IRSA works, and every webhook sees the annotation.
    pub(super) fn delete(&mut self, subject: &Subject) {
        let Some(Had { role, audience: Some(audience) }) = self.at_first.get(subject) else { return };
        let annotated = |it: &ServiceAccount| it.role_arn.as_deref() == Some(role.as_str());
        let seen = self.webhooks(subject).all(|webhook| {
            let versions = self.accounts_seen(subject, &webhook);
            !versions.is_empty() && versions.iter().all(|it| it.value.as_ref().is_some_and(annotated))
        });
        let works = seen && self.world.irsa_ok(subject, role.as_str(), audience);
        let news = || {
            self.is_news(self.accounts_since(subject))
                || self.is_news(self.trusts_since(role))
                || self.is_news(self.providers_since(subject, role))
        };
        if !works && !news() {
            self.broken("P2", format!("{subject}: its association is deleted before IRSA is proven to work"));
        }
    }

    /// At the send of a trust policy: whoever loses a grant by it does not use it, in no cluster.
    pub(super) fn set_trust(&mut self, role: &RoleArn, sent: &Trust) {
        let Some(old) = self.trust(role).and_then(Versioned::now) else { return };
        self.sends_no_new_access(role, old, sent);
        for subject in known(self.world) {
            let loses = self.grants_pod_identity(old, &subject) && !self.grants_pod_identity(sent, &subject);
            if loses && self.uses_pod_identity(&subject, role) && !self.is_news(self.associations_since(&subject)) {
                self.broken("P2", format!("{role} stops trusting {subject}, which uses Pod Identity"));
            }
            let loses = self.takes_tokens(old, &subject, role) && !self.takes_tokens(sent, &subject, role);
            let news = || self.is_news(self.trusts_since(role)) || self.is_news(self.accounts_since(&subject));
            if loses && self.uses_irsa(&subject, role) && !news() {
                self.broken("P2", format!("{role} stops trusting the tokens of {subject}, which uses IRSA"));
            }
        }
    }

    /// A pod of it is, or one that is admitted now may be, on Pod Identity with this role.
    fn uses_pod_identity(&self, subject: &Subject, role: &RoleArn) -> bool {
        let Some(versions) = self.associations(subject) else { return false };
        let names = |it: Option<&Association>| it.and_then(role_of) == Some(role);
        let ever = versions.log().iter().any(|it| names(it.value.as_ref()));
        let pods = ever && self.all_pods(subject).any(|it| it.mode == Mode::PodIdentity);
        let (now, lag) = (self.world.now, &self.world.lag);
        let may_see = |it| versions.may_see(now, lag.for_observer(&it)).iter().any(|it| names(it.value.as_ref()));
        pods || self.webhooks(subject).any(may_see)
    }

    fn uses_irsa(&self, subject: &Subject, role: &RoleArn) -> bool {
        let irsa = |mode: &Mode| matches!(mode, Mode::Irsa(it) if it == role.as_str());
        self.pods(subject).any(|it| irsa(&it.mode))
            || self.modes(subject).iter().any(|it| it.as_ref().is_some_and(irsa))
    }

    /// Its pods that only Pod Identity could give credentials to, and does not. Jobs end by themselves.
    fn stranded(&self, subject: &Subject) -> Vec<&'a Pod> {
        if self.world.pi_ok(subject) {
            return Vec::new();
        }
        let pods = self.pods(subject).filter(|it| it.mode == Mode::PodIdentity && !is_of_a_job(self, it));
        pods.collect()
    }

    /// When a unit is said to be undone: no pod is left where its association was.
    pub(super) fn is_undone(&mut self, subject: &Subject) {
        if self.association_taken_by_others(subject) {
            return;
        }
        for pod in self.stranded(subject) {
            self.broken("P2", format!("{subject} is said to be undone, and pod {} is on Pod Identity", pod.name));
        }
    }

    /// When a unit that is being undone is stuck: each pod without credentials is named.
    pub(super) fn is_named(&mut self, subject: &Subject, said: &str) {
        if !self.is_being_undone(subject) || said.contains("could not be listed") {
            return;
        }
        for pod in self.stranded(subject) {
            if !said.contains(&pod.name) {
                self.broken(
                    "P2",
                    format!("{subject} is stuck, and its pod {} without credentials is not named", pod.name),
                );
            }
        }
    }
}

/// Whether a pod is of a Job: it is never replaced, and ends by itself.
fn is_of_a_job(look: &Look<'_>, pod: &Pod) -> bool {
    let jobs = look.world.clusters.values().flat_map(|it| it.workloads.values());
    let mut jobs = jobs.filter(|it| matches!(it.at.kind, WorkloadKind::Job | WorkloadKind::CronJob));
    jobs.any(|it| it.pods.iter().any(|it| it.uid == pod.uid))
}
