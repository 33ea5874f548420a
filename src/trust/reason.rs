//! Why a policy grants what it grants, and why it is left alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in a text, for people: the first line and the first column are 1.
///
/// Columns count characters, not bytes; a byte order mark counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What a reason does to a translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Notice,
    /// The owner may believe that something is granted, and it is not.
    NotAGrant,
    /// The policy stays on IRSA until somebody has dealt with this.
    Holds,
    /// The text is no policy that IAM would take.
    Refuses,
}

/// Declares the codes with their spelling and weight, each in one place.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $weight:ident;)*) => {
        /// What a reason is about; stable, for people to look up and programs to match.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[doc = $doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written in files and messages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is about, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// What it does to a translation.
            #[must_use]
            pub fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }
        }
    };
}

codes! {
    /// The text is not JSON.
    NotJson = "NOT_JSON", Refuses;
    /// The JSON nests deeper than any policy.
    TooDeep = "TOO_DEEP", Refuses;
    /// The text has more characters than the API takes.
    TooLarge = "TOO_LARGE", Refuses;
    /// JSON, and no policy.
    NotAPolicy = "NOT_A_POLICY", Refuses;
    /// One object has a key twice: readers differ in which they keep.
    DuplicateKey = "DUPLICATE_KEY", Refuses;
    /// An element that a trust policy does not have; names are case-sensitive.
    UnknownElement = "UNKNOWN_ELEMENT", Refuses;
    /// An element that a trust policy has to have is missing.
    MissingElement = "MISSING_ELEMENT", Refuses;
    /// An element has a value of another kind than IAM takes.
    MalformedElement = "MALFORMED_ELEMENT", Refuses;
    /// A principal that IAM does not take.
    MalformedPrincipal = "MALFORMED_PRINCIPAL", Refuses;
    /// A condition operator that does not exist.
    UnknownOperator = "UNKNOWN_OPERATOR", Refuses;
    /// A condition on the network of the caller: EKS makes the call, from its own network.
    ConditionOnNetwork = "CONDITION_ON_NETWORK", Holds;
    /// A condition on the session's name or source identity: EKS chooses them.
    ConditionOnSession = "CONDITION_ON_SESSION", Holds;
    /// A condition on who calls: EKS calls, not the pod.
    ConditionOnPrincipal = "CONDITION_ON_PRINCIPAL", Holds;
    /// A condition whose outcome we do not know for certain.
    ConditionNotUnderstood = "CONDITION_NOT_UNDERSTOOD", Holds;
    /// A policy variable whose value we do not know.
    PolicyVariable = "POLICY_VARIABLE", Holds;
    /// One operator names one condition key twice, in other letters.
    ConditionKeyTwice = "CONDITION_KEY_TWICE", Holds;
    /// `NotPrincipal`, which a trust policy should not have.
    NotPrincipal = "NOT_PRINCIPAL", Holds;
    /// A wildcard where IAM documents none: in a federated or a service principal.
    PrincipalWildcard = "PRINCIPAL_WILDCARD", Holds;
    /// A Deny that may hit IRSA or Pod Identity, and we cannot tell whom.
    DenyNotUnderstood = "DENY_NOT_UNDERSTOOD", Holds;
    /// A Deny that Pod Identity would meet and IRSA does not.
    DenyDefeats = "DENY_DEFEATS", Holds;
    /// The cluster lives in another account than the role.
    ClusterInOtherAccount = "CLUSTER_IN_OTHER_ACCOUNT", Holds;
    /// Some of the clusters live in another account: their grants stay as they are.
    StaysOnIrsa = "STAYS_ON_IRSA", Notice;
    /// The accounts of the named providers differ, so that the role's account is unclear.
    RoleAccountUnclear = "ROLE_ACCOUNT_UNCLEAR", Holds;
    /// Deciding this exactly would take too long.
    TooComplex = "TOO_COMPLEX", Holds;
    /// No Pod Identity statement grants exactly this.
    NotExpressible = "NOT_EXPRESSIBLE", Holds;
    /// A principal was deleted, so that IAM refuses any save of this policy.
    DeletedPrincipal = "DELETED_PRINCIPAL", Holds;
    /// Two statements share a Sid, so that IAM refuses any save of this policy.
    SidTwice = "SID_TWICE", Holds;
    /// A character that the API does not take in a policy.
    CharacterRefused = "CHARACTER_REFUSED", Holds;
    /// The policy would be longer than the account's quota allows.
    TooLong = "TOO_LONG", Holds;
    /// `*` or `?` where the operator reads them as plain characters.
    LiteralWildcard = "LITERAL_WILDCARD", NotAGrant;
    /// A name that Kubernetes does not allow.
    ImpossibleName = "IMPOSSIBLE_NAME", NotAGrant;
    /// A subject that is no ServiceAccount's.
    NotAServiceAccount = "NOT_A_SERVICE_ACCOUNT", NotAGrant;
    /// Conditions that exclude each other.
    NeverTogether = "NEVER_TOGETHER", NotAGrant;
    /// A condition key that a token of this provider never carries.
    KeyNeverPresent = "KEY_NEVER_PRESENT", NotAGrant;
    /// A policy variable that has no value in this request.
    VariableWithoutValue = "VARIABLE_WITHOUT_VALUE", NotAGrant;
    /// A positive condition without a value.
    NoValue = "NO_VALUE", NotAGrant;
    /// No audience that the provider accepts passes the condition.
    AudienceNotAccepted = "AUDIENCE_NOT_ACCEPTED", NotAGrant;
    /// The provider does not exist.
    ProviderGone = "PROVIDER_GONE", NotAGrant;
    /// The provider is named in another account, partition or spelling.
    ProviderElsewhere = "PROVIDER_ELSEWHERE", NotAGrant;
    /// The provider is no scanned cluster's.
    IssuerUnknown = "ISSUER_UNKNOWN", NotAGrant;
    /// The statement does not allow `sts:AssumeRoleWithWebIdentity`.
    WrongAction = "WRONG_ACTION", NotAGrant;
    /// A Deny takes everything away.
    Denied = "DENIED", NotAGrant;
    /// Every ServiceAccount of the cluster may assume the role.
    AnyServiceAccount = "ANY_SERVICE_ACCOUNT", Notice;
    /// A condition that is always met, for its key is never present.
    ConditionAlwaysMet = "CONDITION_ALWAYS_MET", Notice;
    /// The role is usable with another audience than `sts.amazonaws.com` only.
    CustomAudience = "CUSTOM_AUDIENCE", Notice;
    /// `NotAction` allows more than its author may think.
    NotAction = "NOT_ACTION", Notice;
    /// Names compared without case: Kubernetes has lower case names only.
    IgnoreCase = "IGNORE_CASE", Notice;
    /// Pod Identity is already open to more than IRSA.
    PodIdentityOpen = "POD_IDENTITY_OPEN", Notice;
    /// Some of the grants are covered already.
    PartlyCovered = "PARTLY_COVERED", Notice;
    /// The open statement was asked for: this is new access.
    NewAccess = "NEW_ACCESS", Notice;
    /// A ServiceAccount was asked for that the policy does not grant.
    SubjectNotGranted = "SUBJECT_NOT_GRANTED", Notice;
}

impl Code {
    /// The sentence for a code that says it all, with the remedy where there is one;
    /// those that need more are explained where they are found.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::ConditionOnNetwork => {
                "the network is that of EKS, not of the pod, once EKS makes the call: move this condition to the \
             permission policies, where it still sees the pod"
            }
            Self::ConditionOnSession => {
                "EKS names the sessions of Pod Identity itself: remove this condition, or keep the role on IRSA"
            }
            Self::ConditionOnPrincipal => {
                "EKS is the caller under Pod Identity, not the pod: remove this condition, or keep the role on IRSA"
            }
            Self::ConditionNotUnderstood => {
                "what this condition comes to is not documented for both ways: write it with operators on `sub` and `aud`"
            }
            Self::PolicyVariable => "what this variable stands for is not known: write the value itself",
            Self::ConditionKeyTwice => "the operator has named this key before in other letters: join the two",
            Self::NotPrincipal => "`NotPrincipal` names everybody else: name the providers with `Principal` instead",
            Self::PrincipalWildcard => {
                "IAM documents no wildcard in such a principal: name the provider or the service"
            }
            Self::DenyNotUnderstood => {
                "this Deny may hit IRSA and Pod Identity differently: narrow it to the principals that it means"
            }
            Self::DenyDefeats => {
                "this Deny refuses every call of EKS Pod Identity: exempt that with `BoolIfExists` \
             `aws:PrincipalIsAWSService` `false` (with `Bool` it would spare tokens too, which lack the key)"
            }
            Self::TooComplex => "the patterns are too intricate to be translated exactly: use fewer wildcards",
            Self::SidTwice => "another statement has the same Sid: IAM refuses to save the policy until they differ",
            Self::LiteralWildcard => {
                "this operator takes `*` and `?` literally, and no name holds them: nobody matches; \
             `StringLike` or `StringNotLike` may be meant"
            }
            Self::ImpossibleName => "no namespace or ServiceAccount can have this name: nobody matches",
            Self::NotAServiceAccount => "this is no subject of a ServiceAccount: nobody matches",
            Self::NeverTogether => "these conditions exclude each other: nobody meets them all",
            Self::KeyNeverPresent => "such a token never carries this key: nobody meets the condition",
            Self::VariableWithoutValue => "this variable has no value when a token is presented: nobody matches",
            Self::NoValue => "there is no value to match: nobody meets the condition",
            Self::AudienceNotAccepted => {
                "the provider takes tokens for none of these audiences: nobody meets the conditions"
            }
            Self::ProviderGone => "this provider does not exist in the role's account: nobody can use the statement",
            Self::IssuerUnknown => "this provider belongs to no cluster that was looked at: it is left as it is",
            Self::WrongAction => {
                "a token is presented with sts:AssumeRoleWithWebIdentity, which this statement does not allow"
            }
            Self::Denied => "a Deny takes away everything that a statement allows",
            Self::ConditionAlwaysMet => {
                "the key is never there, so that this condition is always met: it restricts nobody"
            }
            Self::CustomAudience => "only tokens for another audience than sts.amazonaws.com are taken",
            Self::NotAction => "`NotAction` allows every action but those that it lists",
            Self::IgnoreCase => "letters are compared without case; names in Kubernetes are in lower case only",
            Self::NotJson
            | Self::TooDeep
            | Self::TooLarge
            | Self::NotAPolicy
            | Self::DuplicateKey
            | Self::UnknownElement
            | Self::MissingElement
            | Self::MalformedElement
            | Self::MalformedPrincipal
            | Self::UnknownOperator
            | Self::ClusterInOtherAccount
            | Self::RoleAccountUnclear
            | Self::StaysOnIrsa
            | Self::NotExpressible
            | Self::DeletedPrincipal
            | Self::CharacterRefused
            | Self::TooLong
            | Self::ProviderElsewhere
            | Self::AnyServiceAccount
            | Self::PodIdentityOpen
            | Self::PartlyCovered
            | Self::NewAccess
            | Self::SubjectNotGranted => self.as_str(),
        }
    }

    /// Whether IAM would refuse to save the policy, whatever is changed about it.
    #[must_use]
    pub fn blocks_saving(self) -> bool {
        matches!(self, Self::DeletedPrincipal | Self::SidTwice | Self::CharacterRefused)
    }
}

/// One thing that a reader of the policy should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// What it is about.
    pub code: Code,
    /// One sentence for people, with the remedy where there is one.
    pub message: String,
    /// Where in the policy's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Reason {
    /// Whether it keeps the policy from being translated.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.code.weight() == Weight::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_once() {
        let mut seen: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), Code::ALL.len());
        for code in Code::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        }
    }
}
