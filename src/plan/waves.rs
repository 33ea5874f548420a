//! Which ServiceAccount goes in which wave.

use super::settings::{Settings, WaveRule};
use super::wildcard::matches;
use crate::inventory::Inventory;
use crate::model::Subject;

/// A ServiceAccount that can go, and what it risks.
#[derive(Debug, Clone)]
pub(super) struct Goer {
    pub(super) subject: Subject,
    /// How many ServiceAccounts of the plan share its role.
    pub(super) sharers: usize,
    /// How many pods of it are replaced.
    pub(super) replicas: u32,
}

/// One wave's ServiceAccounts.
pub(super) struct Wave {
    pub(super) name: String,
    pub(super) subjects: Vec<Subject>,
}

/// Without settings: one ServiceAccount alone, then the others. The first is the one that risks
/// least: a role of its own, and few pods.
fn default_rules() -> Vec<WaveRule> {
    let canary = WaveRule { name: "canary".to_owned(), size: Some(1), ..WaveRule::default() };
    vec![canary, WaveRule { name: "rest".to_owned(), ..WaveRule::default() }]
}

/// Whether the plan has to say that its waves are nobody's choice.
pub(super) fn are_default(settings: &Settings) -> bool {
    settings.waves.is_empty()
}

/// Fills the waves, least risk first within each; gives those that no wave takes beside them. One of
/// which no pod is replaced comes last: as a canary it would prove nothing.
pub(super) fn fill(inventory: &Inventory, settings: &Settings, mut goers: Vec<Goer>) -> (Vec<Wave>, Vec<Subject>) {
    goers.sort_by_key(|it| (it.replicas == 0, it.sharers, it.replicas, it.subject.clone()));
    let rules = if are_default(settings) { default_rules() } else { settings.waves.clone() };
    let mut left: Vec<Subject> = goers.into_iter().map(|it| it.subject).collect();
    let mut waves = Vec::new();
    for rule in rules {
        let limit = rule.size.unwrap_or(usize::MAX);
        let (mut taken, mut others) = (Vec::new(), Vec::new());
        for subject in left {
            let takes = taken.len() < limit && selects(inventory, &rule, &subject);
            if takes { taken.push(subject) } else { others.push(subject) }
        }
        left = others;
        if !taken.is_empty() {
            waves.push(Wave { name: rule.name, subjects: taken });
        }
    }
    (waves, left)
}

fn selects(inventory: &Inventory, rule: &WaveRule, subject: &Subject) -> bool {
    let any = |patterns: &[String], name: &str| patterns.is_empty() || patterns.iter().any(|it| matches(it, name));
    let cluster = rule.clusters.is_empty()
        || rule.clusters.iter().any(|it| it == subject.cluster.as_str() || it == subject.cluster.name());
    let labels = inventory.service_account(subject).map(|it| &it.labels);
    let labelled = rule.labels.iter().all(|(key, value)| labels.is_some_and(|it| it.get(key) == Some(value)));
    cluster && any(&rule.namespaces, &subject.namespace) && labelled
}

/// Whether the settings' scope takes this ServiceAccount.
pub(super) fn in_scope(settings: &Settings, subject: &Subject) -> bool {
    let scope = &settings.scope;
    let any = |patterns: &[String]| patterns.iter().any(|it| matches(it, &subject.namespace));
    (scope.namespaces.is_empty() || any(&scope.namespaces)) && !any(&scope.exclude)
}
