//! What a rollback must bring back, as a value that can be compared and digested.

use std::collections::BTreeMap;

use serde::Serialize;

use super::world::World;
use crate::inventory::{Association, Mode, WorkloadKind};
use crate::model::Digest;

/// The world at one moment, as far as a migration touches it.
///
/// Pods count by their mode, not by name; those of Jobs and CronJobs come and go and do not
/// count. Leases are left out: they are nobody's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// Trust policies, by role, byte for byte.
    pub trusts: BTreeMap<String, String>,
    /// Associations, by ServiceAccount: role, target role, session tags off, policy.
    pub associations: BTreeMap<String, (String, Option<String>, bool, bool)>,
    /// Role annotations, by ServiceAccount.
    pub annotations: BTreeMap<String, String>,
    /// Our stamps, by workload.
    pub stamps: BTreeMap<String, String>,
    /// Images, by workload: other people's deploys.
    pub images: BTreeMap<String, String>,
    /// How many pods of each workload are in each mode.
    pub modes: BTreeMap<String, BTreeMap<String, usize>>,
}

impl State {
    /// A digest of all of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // A struct of maps of texts is always JSON.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// What differs between two states, one line each: `what: before -> after`.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<String> {
        fn compare<T: PartialEq + std::fmt::Debug>(
            what: &str,
            before: &BTreeMap<String, T>,
            after: &BTreeMap<String, T>,
            lines: &mut Vec<String>,
        ) {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
                lines.push(format!("{what} of {key}: {:?} -> {:?}", before.get(key), after.get(key)));
            }
        }
        let mut lines = Vec::new();
        compare("trust", &self.trusts, &after.trusts, &mut lines);
        compare("association", &self.associations, &after.associations, &mut lines);
        compare("annotation", &self.annotations, &after.annotations, &mut lines);
        compare("stamp", &self.stamps, &after.stamps, &mut lines);
        compare("image", &self.images, &after.images, &mut lines);
        compare("modes", &self.modes, &after.modes, &mut lines);
        lines
    }
}

/// What of an association counts: role, target role, session tags off, policy.
pub(crate) fn association_value(it: &Association) -> Option<(String, Option<String>, bool, bool)> {
    let detail = it.detail.as_ref()?.get()?;
    let role = detail.role_arn.to_string();
    Some((role, detail.target_role_arn.clone(), detail.disable_session_tags, detail.has_policy))
}

/// A mode's name, with the role of IRSA.
pub(crate) fn mode_name(mode: &Mode) -> String {
    match mode {
        Mode::Irsa(role) => format!("IRSA {role}"),
        Mode::PodIdentity | Mode::Both | Mode::None => mode.to_string(),
    }
}

impl World {
    /// What a rollback must bring back.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = State {
            trusts: BTreeMap::new(),
            associations: BTreeMap::new(),
            annotations: BTreeMap::new(),
            stamps: BTreeMap::new(),
            images: BTreeMap::new(),
            modes: BTreeMap::new(),
        };
        for (arn, role) in self.accounts.values().flat_map(|it| &it.roles) {
            state.trusts.extend(role.trust.now().map(|it| (arn.to_string(), it.text.clone())));
        }
        for (arn, cluster) in &self.clusters {
            let named = |namespace: &str, name: &str| format!("{arn}/{namespace}/{name}");
            for it in cluster.env.associations.values().filter_map(|it| it.now()) {
                if let Some(value) = association_value(it) {
                    state.associations.insert(named(&it.namespace, &it.service_account), value);
                }
            }
            for it in cluster.env.service_accounts.values().filter_map(|it| it.now()) {
                state.annotations.extend(it.role_arn.clone().map(|role| (named(&it.namespace, &it.name), role)));
            }
            for (at, it) in &cluster.workloads {
                let name = format!("{arn} {at}");
                state.stamps.extend(it.template.stamp.clone().map(|stamp| (name.clone(), stamp)));
                state.images.insert(name.clone(), it.template.image.clone());
                if !matches!(at.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
                    state.modes.insert(name, cluster.modes(at));
                }
            }
        }
        state
    }
}
