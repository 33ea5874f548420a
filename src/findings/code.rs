//! The codes, each with its entry in the catalogue. A code, once published, keeps its meaning.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Explanation, about_addon, about_annotation, about_association, about_cluster, about_node, about_plan, about_role,
    about_trust, about_unread, about_workload,
};

/// Lists every code once: its variant, the word that people see, and its entry.
macro_rules! codes {
    ($($variant:ident $word:literal $entry:path,)*) => {
        /// What can be found. Written in capitals: `ANNOTATION_MALFORMED`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $(#[doc = concat!("`", $word, "`; its entry in the catalogue says the rest.")]
            #[serde(rename = $word)]
            $variant,)*
        }

        impl Code {
            /// Every code, family by family.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that people see and settings name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What it means.
            #[must_use]
            pub const fn explain(self) -> &'static Explanation {
                match self {
                    $(Self::$variant => &$entry,)*
                }
            }
        }
    };
}

codes! {
    Unread "UNREAD" about_unread::UNREAD,

    WrongContext "WRONG_CONTEXT" about_cluster::WRONG_CONTEXT,
    ClusterInOtherAccount "CLUSTER_IN_OTHER_ACCOUNT" about_cluster::IN_OTHER_ACCOUNT,
    ClusterWithoutIssuer "CLUSTER_WITHOUT_ISSUER" about_cluster::WITHOUT_ISSUER,
    ClusterNotActive "CLUSTER_NOT_ACTIVE" about_cluster::NOT_ACTIVE,
    ClusterTooOld "CLUSTER_TOO_OLD" about_cluster::TOO_OLD,
    AssociationQuota "ASSOCIATION_QUOTA" about_cluster::ASSOCIATION_QUOTA,
    AssociationQuotaNear "ASSOCIATION_QUOTA_NEAR" about_cluster::ASSOCIATION_QUOTA_NEAR,
    ApiServersUnknown "API_SERVERS_UNKNOWN" about_cluster::API_SERVERS_UNKNOWN,
    AgentAddonUnhealthy "AGENT_ADDON_UNHEALTHY" about_cluster::AGENT_ADDON_UNHEALTHY,
    AgentAddonUnknown "AGENT_ADDON_UNKNOWN" about_cluster::AGENT_ADDON_UNKNOWN,
    AutoModeMixed "AUTO_MODE_MIXED" about_cluster::AUTO_MODE_MIXED,

    AnnotationMalformed "ANNOTATION_MALFORMED" about_annotation::MALFORMED,
    AudienceCustom "AUDIENCE_CUSTOM" about_annotation::AUDIENCE_CUSTOM,
    ServiceAccountAbsent "SERVICE_ACCOUNT_ABSENT" about_annotation::ACCOUNT_ABSENT,
    ServiceAccountUnused "SERVICE_ACCOUNT_UNUSED" about_annotation::ACCOUNT_UNUSED,

    AssociationWithoutServiceAccount "ASSOCIATION_WITHOUT_SERVICE_ACCOUNT" about_association::WITHOUT_SERVICE_ACCOUNT,
    AssociationAdopted "ASSOCIATION_ADOPTED" about_association::ADOPTED,
    AssociationOnly "ASSOCIATION_ONLY" about_association::ONLY,
    AssociationOtherRole "ASSOCIATION_OTHER_ROLE" about_association::OTHER_ROLE,
    AssociationOfAddon "ASSOCIATION_OF_ADDON" about_association::OF_ADDON,
    AssociationTagsOff "ASSOCIATION_TAGS_OFF" about_association::TAGS_OFF,
    AssociationWithPolicy "ASSOCIATION_WITH_POLICY" about_association::WITH_POLICY,
    AssociationWithTargetRole "ASSOCIATION_WITH_TARGET_ROLE" about_association::WITH_TARGET_ROLE,
    AssociationNotTrusted "ASSOCIATION_NOT_TRUSTED" about_association::NOT_TRUSTED,

    RoleAbsent "ROLE_ABSENT" about_role::ABSENT,
    RoleInOtherAccount "ROLE_IN_OTHER_ACCOUNT" about_role::IN_OTHER_ACCOUNT,
    RoleServiceLinked "ROLE_SERVICE_LINKED" about_role::SERVICE_LINKED,
    RoleOwned "ROLE_OWNED" about_role::OWNED,
    RoleOwnerUnknown "ROLE_OWNER_UNKNOWN" about_role::OWNER_UNKNOWN,
    RoleUnused "ROLE_UNUSED" about_role::UNUSED,
    SharedRole "SHARED_ROLE" about_role::SHARED,
    SecondRole "SECOND_ROLE" about_role::SECOND,
    SecondRoleWildcard "SECOND_ROLE_WILDCARD" about_role::SECOND_WILDCARD,

    ProviderAbsent "PROVIDER_ABSENT" about_trust::PROVIDER_ABSENT,
    ProviderWithoutAudience "PROVIDER_WITHOUT_AUDIENCE" about_trust::PROVIDER_WITHOUT_AUDIENCE,
    TrustDoesNotGrant "TRUST_DOES_NOT_GRANT" about_trust::DOES_NOT_GRANT,
    TrustUntranslated "TRUST_UNTRANSLATED" about_trust::UNTRANSLATED,
    TrustRemark "TRUST_REMARK" about_trust::REMARK,
    TrustDeletedPrincipal "TRUST_DELETED_PRINCIPAL" about_trust::DELETED_PRINCIPAL,
    TrustTooLarge "TRUST_TOO_LARGE" about_trust::TOO_LARGE,

    AgentAbsent "AGENT_ABSENT" about_node::AGENT_ABSENT,
    AgentNotReady "AGENT_NOT_READY" about_node::AGENT_NOT_READY,
    AgentNotEverywhere "AGENT_NOT_EVERYWHERE" about_node::AGENT_NOT_EVERYWHERE,
    Fargate "FARGATE" about_node::FARGATE,
    Windows "WINDOWS" about_node::WINDOWS,
    HybridNode "HYBRID_NODE" about_node::HYBRID,
    NodeUnknown "NODE_UNKNOWN" about_node::UNKNOWN,

    CredentialsByHand "CREDENTIALS_BY_HAND" about_workload::CREDENTIALS_BY_HAND,
    CredentialsPrecede "CREDENTIALS_PRECEDE" about_workload::CREDENTIALS_PRECEDE,
    CredentialsStatic "CREDENTIALS_STATIC" about_workload::CREDENTIALS_STATIC,
    SessionNameSet "SESSION_NAME_SET" about_workload::SESSION_NAME_SET,
    RestartByOwner "RESTART_BY_OWNER" about_workload::RESTART_BY_OWNER,
    RestartWithDowntime "RESTART_WITH_DOWNTIME" about_workload::RESTART_WITH_DOWNTIME,
    EvictionBlocked "EVICTION_BLOCKED" about_workload::EVICTION_BLOCKED,
    EvictionImpossible "EVICTION_IMPOSSIBLE" about_workload::EVICTION_IMPOSSIBLE,
    BarePod "BARE_POD" about_workload::BARE_POD,
    BatchStays "BATCH_STAYS" about_workload::BATCH_STAYS,
    ContainersSkipped "CONTAINERS_SKIPPED" about_workload::CONTAINERS_SKIPPED,
    WebhookSkipped "WEBHOOK_SKIPPED" about_workload::WEBHOOK_SKIPPED,
    PodModeUnexpected "POD_MODE_UNEXPECTED" about_workload::POD_MODE_UNEXPECTED,

    Addon "ADDON" about_addon::ADDON,

    OutOfScope "OUT_OF_SCOPE" about_plan::OUT_OF_SCOPE,
    RoleNotNeeded "ROLE_NOT_NEEDED" about_plan::ROLE_NOT_NEEDED,
    RoleHeld "ROLE_HELD" about_plan::ROLE_HELD,
    NeverFitsWindow "NEVER_FITS_WINDOW" about_plan::NEVER_FITS_WINDOW,
    InNoWave "IN_NO_WAVE" about_plan::IN_NO_WAVE,
}

impl Code {
    /// Whether a setting, rather than a waiver, answers for it: `[owners]` for a role that something
    /// else owns, `restart = "by-owner"` for a workload that is not ours to restart.
    #[must_use]
    pub fn is_settled_by_settings(self) -> bool {
        matches!(self, Self::RoleOwned | Self::RestartByOwner)
    }

    /// Whether it may be over by itself within seconds: a node that has just joined has no agent yet,
    /// a pod that is just being replaced holds its budget down.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::AgentAbsent
                | Self::AgentNotReady
                | Self::AgentNotEverywhere
                | Self::NodeUnknown
                | Self::EvictionBlocked
        )
    }

    /// Whether it says that there is nothing to do: what it is about needs no unit, and is listed
    /// with this code instead.
    #[must_use]
    pub fn leaves_nothing_to_do(self) -> bool {
        matches!(self, Self::AssociationAdopted | Self::AssociationOnly | Self::RoleUnused)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a code of a finding")]
pub struct UnknownCode(String);

impl FromStr for Code {
    type Err = UnknownCode;

    /// Reads a code, whatever its case, `-` for `_` allowed.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let wanted = text.trim().to_ascii_uppercase().replace('-', "_");
        let found = Self::ALL.iter().find(|it| it.as_str() == wanted);
        found.copied().ok_or_else(|| UnknownCode(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse::<Code>().unwrap(), *code);
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        assert_eq!("second-role".parse::<Code>().unwrap(), Code::SecondRole);
        assert!("SECOND".parse::<Code>().is_err());
    }

    #[test]
    fn every_entry_says_what_why_and_what_to_do() {
        let mut titles = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let entry = code.explain();
            for text in [entry.meaning, entry.why, entry.remedy] {
                assert!(text.len() > 30 && text.ends_with('.'), "{code}: {text:?}");
                assert!(!text.contains("  "), "{code}: {text:?}");
            }
            assert!(titles.insert(entry.title), "{code} has the title of another");
            assert!(!entry.waivable || entry.severity == Severity::Blocker, "{code}: only what holds can be waived");
            assert!(entry.sources.iter().all(|it| it.starts_with("https://")), "{code}");
        }
    }
}
