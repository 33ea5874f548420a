//! Admission: whether a pod is let in, and in which mode.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Environment, Pod, Template};
use crate::inventory::{Compute, Mode, Node};
use crate::sim::aws::Accounts;
use crate::sim::versioned::{Dice, Lag, Observer};

/// The audience of a web identity token where the ServiceAccount names none.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// Names for what is made, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn uid(&mut self) -> String {
        self.0 += 1;
        format!("{:08x}-5eed-4000-8000-{:012x}", self.0, self.0)
    }

    /// `length` characters of Kubernetes' own alphabet for generated names, which has no vowels.
    pub(crate) fn suffix(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.0 += 1;
        // Spread, so that names of neighbours do not look alike.
        let mut rest = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
        let mut text = String::new();
        for _ in 0..length {
            let at = usize::try_from(rest % ALPHABET.len() as u64).unwrap_or(0);
            text.push(char::from(ALPHABET[at]));
            rest /= ALPHABET.len() as u64;
        }
        text
    }
}

/// What controllers and admission need beside the cluster.
pub(crate) struct Context<'a> {
    pub(crate) accounts: &'a Accounts,
    pub(crate) lag: &'a Lag,
    pub(crate) dice: &'a mut Dice,
    pub(crate) ids: &'a mut Ids,
    pub(crate) now: Timestamp,
    /// Pods in each namespace, for quotas.
    pods_in: BTreeMap<String, u32>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        accounts: &'a Accounts,
        lag: &'a Lag,
        dice: &'a mut Dice,
        ids: &'a mut Ids,
        now: Timestamp,
    ) -> Self {
        Self { accounts, lag, dice, ids, now, pods_in: BTreeMap::new() }
    }

    pub(crate) fn count_pods<'p>(&mut self, pods: impl Iterator<Item = &'p Pod>) {
        self.pods_in.clear();
        for pod in pods {
            *self.pods_in.entry(pod.namespace.clone()).or_default() += 1;
        }
    }

    pub(crate) fn pod_was_made(&mut self, namespace: &str) {
        *self.pods_in.entry(namespace.to_owned()).or_default() += 1;
    }

    pub(crate) fn pods_are_gone(&mut self, namespace: &str, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if let Some(pods) = self.pods_in.get_mut(namespace) {
            *pods = pods.saturating_sub(count);
        }
    }

    /// One API server's answer to a new pod: its mode and the audience of its token, or why it is refused.
    pub(crate) fn admit(
        &mut self,
        env: &Environment,
        namespace: &str,
        template: &Template,
    ) -> Result<(Mode, String), String> {
        let server = u32::try_from(self.dice.below(env.api_servers.max(1) as usize)).unwrap_or(0);
        let key = (namespace.to_owned(), template.service_account.clone());
        // The order of the API server: mutating webhooks, then the ServiceAccount plugin, then
        // validating ones and quotas. Whoever refuses first is told of; what counts is that one does.
        if env.service_accounts.get(&key).and_then(|it| it.now()).is_none() {
            let (namespace, name) = key;
            return Err(format!(
                "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
            ));
        }
        if let Some(why) = env.rejections.get(namespace) {
            return Err(why.clone());
        }
        let (used, limit) = (self.pods_in.get(namespace).copied().unwrap_or(0), env.quotas.get(namespace));
        if let Some(limit) = limit.filter(|limit| used >= **limit) {
            return Err(format!("exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={limit}"));
        }
        let observer = Observer::Webhook(env.arn.clone(), server);
        Ok(self.inject(env, &observer, &key, template))
    }

    /// What the webhook does (amazon-eks-pod-identity-webhook, `pkg/handler`): an association comes
    /// first and excludes IRSA; then the annotation, whatever its value; variables that are in the
    /// template already are never overwritten.
    fn inject(
        &mut self,
        env: &Environment,
        observer: &Observer,
        key: &(String, String),
        template: &Template,
    ) -> (Mode, String) {
        let lag = self.lag.for_observer(observer);
        let away = env.webhook_down || template.skips_webhook;
        let association = env.associations.get(key).and_then(|it| self.dice.see(it, self.now, lag));
        let account = env.service_accounts.get(key).and_then(|it| self.dice.see(it, self.now, lag));
        let annotation = account.and_then(|it| it.role_arn.clone());
        let audience = account.and_then(|it| it.audience.clone()).unwrap_or_else(|| AUDIENCE.to_owned());
        let injected = match (association, annotation) {
            _ if away => Mode::None,
            (Some(_), _) => Mode::PodIdentity,
            (None, Some(role)) => Mode::Irsa(role),
            (None, None) => Mode::None,
        };
        let has = |name: &str| template.aws_env.iter().any(|it| it == name);
        let by_hand = if has("AWS_ROLE_ARN") || has("AWS_WEB_IDENTITY_TOKEN_FILE") {
            Mode::Irsa(template.role_by_hand.clone().unwrap_or_default())
        } else if has("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Mode::PodIdentity
        } else {
            Mode::None
        };
        let mode = match (by_hand, injected) {
            (Mode::None, injected) => injected,
            (Mode::Irsa(_), Mode::PodIdentity) | (Mode::PodIdentity, Mode::Irsa(_)) => Mode::Both,
            (by_hand, _) => by_hand,
        };
        (mode, audience)
    }

    /// A node for a pod. Where no node fits, the pod is pending.
    pub(crate) fn place(&mut self, env: &Environment, namespace: &str, template: &Template) -> Option<String> {
        let fargate = env.fargate.contains(namespace);
        let windows = template.node_selector.get("kubernetes.io/os").is_some_and(|it| it == "windows");
        let fits = |node: &&Node| match node.compute {
            Compute::Fargate => fargate,
            Compute::Windows => windows && !fargate,
            Compute::Ec2 | Compute::Auto | Compute::Hybrid => !windows && !fargate,
        };
        let selected = |node: &&Node| template.node_selector.iter().all(|(k, v)| node.labels.get(k) == Some(v));
        let nodes: Vec<&Node> = env.nodes.values().filter(|it| it.ready).filter(fits).filter(selected).collect();
        nodes.get(self.dice.below(nodes.len())).map(|it| it.name.clone())
    }
}
