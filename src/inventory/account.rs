//! An AWS account: its roles and OIDC providers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::model::{Issuer, RoleArn};

/// One account's IAM, as far as a migration needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Most characters, whitespace not counted, that a trust policy may have
    /// (`GetAccountSummary`, `AssumeRolePolicySizeQuota`).
    pub trust_quota: Seen<u32>,
    /// All OIDC providers.
    pub providers: Seen<Vec<Provider>>,
    /// The roles that a web identity or Pod Identity could have to do with, in
    /// the order of their ARNs. Roles whose trust policy names neither are left out.
    pub roles: Seen<Vec<Role>>,
}

/// An IAM OIDC provider: what makes an issuer's tokens count in this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// The issuer, as in the provider's ARN.
    pub issuer: Issuer,
    /// The audiences it accepts.
    pub client_ids: Vec<String>,
}

/// A role, as `ListRoles` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Its ARN, path included.
    pub arn: RoleArn,
    /// Its unique id (`AROA...`): another one means that the role was deleted and made again.
    pub role_id: String,
    /// The trust policy's text, decoded and otherwise untouched.
    pub trust: String,
    /// What only `GetRole` tells; read for the roles that would become units.
    pub detail: Option<Seen<RoleDetail>>,
}

/// What only `GetRole` tells of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleDetail {
    /// The role's tags: who owns it.
    pub tags: BTreeMap<String, String>,
    /// Its description.
    pub description: Option<String>,
    /// When it was last used, by whatever way.
    #[schemars(with = "Option<String>")]
    pub last_used: Option<Timestamp>,
}
