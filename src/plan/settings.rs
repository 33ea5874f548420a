//! `irsa-migrate.toml`: what the user decided before anything is planned.
//!
//! Every key is optional, and an unknown one is an error: a misspelt `expires`
//! must not become a waiver without end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Numbers;
use super::window::{Window, WindowError};
use crate::findings::Code;
use crate::model::{AccountId, ClusterArn, Digest, RoleArn};
use crate::trust;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Settings {
    /// Which ServiceAccounts are looked at.
    pub scope: Scope,
    /// The waves behind `prepare`, in order; a ServiceAccount goes into the first that selects it.
    #[serde(rename = "wave")]
    pub waves: Vec<WaveRule>,
    /// When units may start; none means always.
    #[serde(rename = "window")]
    pub windows: Vec<Window>,
    /// How the trust policies are translated.
    pub trust: TrustRules,
    /// How units are carried out.
    pub apply: ApplyRules,
    /// Who may edit a role that something else owns.
    pub owners: OwnerRules,
    /// Findings that somebody answers for.
    #[serde(rename = "waiver")]
    pub waivers: Vec<Waiver>,
    /// Times and limits.
    pub numbers: Numbers,
    /// How each cluster is reached.
    pub clusters: BTreeMap<ClusterArn, ClusterAccess>,
    /// How each account is reached.
    pub accounts: BTreeMap<AccountId, AccountAccess>,
}

/// Which ServiceAccounts are looked at. What is left out is listed as held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Namespaces, `*` and `?` allowed; none means all.
    pub namespaces: Vec<String>,
    /// Namespaces that are left out.
    pub exclude: Vec<String>,
}

/// Which ServiceAccounts a wave takes. All that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WaveRule {
    /// Its name.
    pub name: String,
    /// Clusters, by name or ARN; none means all.
    pub clusters: Vec<String>,
    /// Namespaces, `*` and `?` allowed; none means all.
    pub namespaces: Vec<String>,
    /// Labels of the ServiceAccount or its namespace.
    pub labels: BTreeMap<String, String>,
    /// At most so many ServiceAccounts; the others are left to later waves.
    pub size: Option<usize>,
}

/// How the trust policies are translated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrustRules {
    /// For every role that is not named below.
    pub mode: trust::Mode,
    /// By role.
    pub roles: BTreeMap<RoleArn, trust::Mode>,
}

/// How it is known that new pods get Pod Identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// By server-side dry runs.
    #[default]
    Probe,
    /// By waiting, then looking at the pods that came up.
    Observe,
}

/// What happens with a workload that is not ours to restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartRule {
    /// Its ServiceAccount is held.
    #[default]
    Hold,
    /// The unit associates, and waits until the owner has moved every pod.
    ByOwner,
}

/// What happens with a unit that fails, or whose pods are not well afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The run pauses, and a person decides.
    #[default]
    Pause,
    /// That unit is undone at once, by the undo that the plan holds; then the run pauses.
    UndoUnit,
}

impl OnFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_pause(&self) -> bool {
        *self == Self::Pause
    }
}

/// How units are carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct ApplyRules {
    /// How it is known that new pods get Pod Identity.
    pub effective: Effective,
    /// Where probes are only ever rejected, as by a full quota: go on by observing.
    pub observe_if_rejected: bool,
    /// What happens with a workload that is not ours to restart.
    pub restart: RestartRule,
    /// What happens with a unit that fails. Written down only where it is not the default, which plans
    /// of before do not name.
    #[serde(skip_serializing_if = "OnFailure::is_pause")]
    pub on_failure: OnFailure,
    /// The namespace of the lease that keeps a second writer out.
    pub lease_namespace: String,
}

impl Default for ApplyRules {
    fn default() -> Self {
        Self {
            effective: Effective::Probe,
            observe_if_rejected: true,
            restart: RestartRule::Hold,
            on_failure: OnFailure::Pause,
            lease_namespace: "kube-system".to_owned(),
        }
    }
}

/// What the user says of a role that something else owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerAnswer {
    /// Edit the live role; whoever owns it is told by the user.
    EditLive,
    /// The change is in the owner's source already, or will be.
    Exported,
}

/// Whether something doubtful is told or held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// Told.
    #[default]
    Notice,
    /// Held.
    Hold,
}

/// Who may edit a role that something else owns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct OwnerRules {
    /// By role.
    pub roles: BTreeMap<RoleArn, OwnerAnswer>,
    /// For every owned role that is not named above.
    pub default: Option<OwnerAnswer>,
    /// A role with no mark of an owner.
    pub unknown_owner: Doubt,
    /// A role that EKS clusters outside this plan trust too.
    pub shared_roles: Doubt,
}

/// A finding that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Which finding.
    pub code: Code,
    /// `NAMESPACE/NAME` of the ServiceAccount, or the ARN of a role or a cluster.
    pub subject: String,
    /// The only cluster in which it counts for a ServiceAccount; none means each cluster of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterArn>,
    /// Why it does no harm.
    pub reason: String,
    /// Until when the answer counts.
    #[schemars(with = "String")]
    pub expires: Timestamp,
}

/// How a cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterAccess {
    /// A kubeconfig context; none means a token made from the AWS credentials.
    pub context: Option<String>,
}

/// How an account is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountAccess {
    /// A profile of the AWS configuration.
    pub profile: Option<String>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, an unknown key, a value of another type.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A window that means nothing.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Something that the types cannot say.
    #[error("{0}")]
    Value(String),
}

impl Settings {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Not TOML, an unknown key, a value that means nothing.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let fail = |text: String| Err(SettingsError::Value(text));
        for window in &self.windows {
            window.check()?;
        }
        let mut names = std::collections::BTreeSet::from(["prepare"]);
        for wave in &self.waves {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if wave.name.is_empty() || wave.name.len() > 40 || !wave.name.chars().all(plain) {
                return fail(format!("wave name {:?} is not 1 to 40 letters, digits, `-` or `_`", wave.name));
            }
            if !names.insert(&wave.name) {
                return fail(format!("there are two waves named {:?}", wave.name));
            }
            if wave.size == Some(0) {
                return fail(format!("wave {:?} has size 0 and would take nothing", wave.name));
            }
        }
        for waiver in &self.waivers {
            if waiver.reason.trim().is_empty() {
                return fail(format!("the waiver of {} for {:?} gives no reason", waiver.code, waiver.subject));
            }
            // It would count further than somebody may have meant.
            if waiver.cluster.is_some() && waiver.subject.starts_with("arn:") {
                return fail(format!(
                    "the waiver of {} for {} names a cluster, which only a ServiceAccount is in",
                    waiver.code, waiver.subject
                ));
            }
        }
        if self.trust.mode == trust::Mode::Open {
            return fail(
                "mode = \"open\" is new access, and is asked for role by role, under [trust.roles]".to_owned(),
            );
        }
        let numbers = &self.numbers;
        if numbers.has_zero_limit() {
            return fail("limits, rates and probe_interval must be at least 1".to_owned());
        }
        if numbers.has_endless_time() {
            return fail("no time may be longer than a year".to_owned());
        }
        // Before each write the lease must have more than a call's time left, renewals included.
        if numbers.lease_duration <= numbers.lease_renewal + numbers.call_timeout {
            return fail("lease_duration must be more than lease_renewal and call_timeout together".to_owned());
        }
        Ok(())
    }

    /// The digest that a plan names as the settings it was made with: of their meaning, so that a
    /// comment or the order of keys changes nothing.
    ///
    /// # Errors
    /// None that is known; the JSON writer's own.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Ok(Digest::of(&serde_json::to_vec(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert_eq!(Settings::default().numbers.trust_settle, 60);
    }

    #[test]
    fn a_whole_file() {
        let settings = Settings::parse(
            r#"
            [scope]
            exclude = ["kube-system"]
            [[wave]]
            name = "canary"
            namespaces = ["dev-*"]
            size = 1
            [[wave]]
            name = "rest"
            [[window]]
            days = ["tue", "thu"]
            start = "22:00"
            minutes = 240
            time_zone = "Europe/Berlin"
            [apply]
            effective = "observe"
            [owners]
            default = "edit-live"
            shared_roles = "hold"
            [numbers]
            trust_settle = 90
            [clusters."arn:aws:eks:eu-west-1:111122223333:cluster/a"]
            context = "a"
            "#,
        )
        .unwrap();
        assert_eq!(settings.waves.len(), 2);
        assert_eq!(settings.numbers, Numbers { trust_settle: 90, ..Numbers::default() });
        assert_eq!(settings.owners.default, Some(OwnerAnswer::EditLive));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |text: &str, why: &str| {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused("[numbers]\ntrust_setle = 1", "trust_setle");
        refused("[[wave]]\nname = \"prepare\"", "two waves");
        refused("[[wave]]\nname = \"a b\"", "wave name");
        refused("[[wave]]\nname = \"a\"\nsize = 0", "size 0");
        refused("[numbers]\nlease_duration = 30", "lease_duration");
        refused("[numbers]\nprobe_interval = 0", "at least 1");
        refused("[numbers]\nbake = 31536001", "longer than a year");
        refused("[trust]\nmode = \"open\"", "role by role");
        refused("[[window]]\ndays = []\nstart = \"22:00\"\nminutes = 1\ntime_zone = \"UTC\"", "at least one day");
    }
}
