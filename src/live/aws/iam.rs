//! STS and IAM.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{self as sdk, SummaryKeyType};
use aws_smithy_types::DateTime;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::{Aws, SIDE_BY_SIDE};
use crate::inventory::{Caller, Provider, Role, RoleDetail, Seen};
use crate::live::text::one_line;
use crate::model::{AccountId, Issuer, RoleArn};
use crate::ports::{Answer, Iam, PortError};

impl Iam for Aws {
    async fn caller(&self) -> Answer<Caller> {
        let call = "sts:GetCallerIdentity";
        let out = self.sts.read.get_caller_identity().send().await.map_err(|it| self.sts.host.said(call, it))?;
        let account = AccountId::parse(out.account().unwrap_or_default()).map_err(|it| odd(call, it))?;
        Ok(Caller { account, arn: out.arn().unwrap_or_default().to_owned() })
    }

    async fn trust_quota(&self) -> Answer<u32> {
        let call = "iam:GetAccountSummary";
        let _turn = self.iam_reads.acquire().await;
        let out = self.iam.read.get_account_summary().send().await.map_err(|it| self.iam.host.said(call, it))?;
        let quota = out.summary_map().and_then(|it| it.get(&SummaryKeyType::AssumeRolePolicySizeQuota));
        let quota = quota.and_then(|it| u32::try_from(*it).ok());
        quota.ok_or_else(|| odd(call, "the answer has no AssumeRolePolicySizeQuota"))
    }

    async fn providers(&self) -> Answer<Vec<Provider>> {
        let call = "iam:ListOpenIDConnectProviders";
        let list = self.iam.read.list_open_id_connect_providers().send().await;
        let list = list.map_err(|it| self.iam.host.said(call, it))?;
        let arns = list.open_id_connect_provider_list().iter().filter_map(|it| it.arn());
        let read = futures::stream::iter(arns.map(|it| self.provider(it))).buffered(SIDE_BY_SIDE);
        read.try_filter_map(|it| async { Ok(it) }).try_collect().await
    }

    async fn roles(&self) -> Answer<Vec<Role>> {
        let call = "iam:ListRoles";
        let mut pages = self.iam.read.list_roles().into_paginator().page_size(1000).send();
        let mut roles = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|it| self.iam.host.said(call, it))?;
            for it in page.roles() {
                roles.push(role(call, it)?);
            }
        }
        Ok(roles)
    }

    async fn role(&self, arn: &RoleArn) -> Answer<Role> {
        let call = format!("iam:GetRole {}", arn.name());
        self.same_account_as_role(&call, arn).await?;
        let _turn = self.iam_reads.acquire().await;
        let out = self.iam.read.get_role().role_name(arn.name()).send().await;
        let out = out.map_err(|it| self.iam.host.said(&call, it))?;
        let found = out.role().ok_or_else(|| odd(&call, "the answer has no role"))?;
        let known = role(&call, found)?;
        if known.arn != *arn {
            return Err(PortError::Invalid(format!("{call}: the role of this name is {}, not {arn}", known.arn)));
        }
        let tags = found.tags().iter().map(|it| (it.key().to_owned(), it.value().to_owned()));
        let detail = RoleDetail {
            tags: tags.collect::<BTreeMap<_, _>>(),
            description: found.description().filter(|it| !it.is_empty()).map(str::to_owned),
            last_used: found.role_last_used().and_then(|it| it.last_used_date()).and_then(timestamp),
        };
        Ok(Role { detail: Some(Seen::Seen(detail)), ..known })
    }

    async fn set_trust(&self, role: &RoleArn, document: &str) -> Answer<()> {
        let call = format!("iam:UpdateAssumeRolePolicy {}", role.name());
        self.same_account_as_role(&call, role).await?;
        let send = self.iam.write.update_assume_role_policy().role_name(role.name()).policy_document(document);
        send.send().await.map_err(|it| self.iam.host.said(&call, it))?;
        Ok(())
    }
}

impl Aws {
    /// One provider; `None` if it was deleted since it was listed.
    async fn provider(&self, arn: &str) -> Answer<Option<Provider>> {
        let issuer = arn.split_once(":oidc-provider/").map_or(arn, |(_, it)| it);
        let call = format!("iam:GetOpenIDConnectProvider {issuer}");
        let _turn = self.iam_reads.acquire().await;
        let out = self.iam.read.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send().await;
        match out.map_err(|it| self.iam.host.said(&call, it)) {
            Ok(out) => Ok(Some(Provider {
                issuer: Issuer::parse(issuer).map_err(|it| odd(&call, it))?,
                client_ids: out.client_id_list().to_vec(),
            })),
            Err(PortError::NotFound(_)) => Ok(None),
            Err(it) => Err(it),
        }
    }
}

/// An answer that is not what the service's model promises.
pub(super) fn odd(call: &str, why: impl std::fmt::Display) -> PortError {
    PortError::Invalid(one_line(&format!("{call}: {why}")))
}

pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}

fn role(call: &str, it: &sdk::Role) -> Answer<Role> {
    let document = it.assume_role_policy_document();
    Ok(Role {
        arn: RoleArn::parse(it.arn()).map_err(|it| odd(call, it))?,
        role_id: it.role_id().to_owned(),
        trust: decoded(document.ok_or_else(|| odd(call, format!("role {} has no trust policy", it.arn())))?)
            .map_err(|why| odd(call, format!("the trust policy of {}: {why}", it.arn())))?,
        detail: None,
    })
}

/// IAM percent-encodes policies after RFC 3986 (a plus sign is a plus sign). Not everything that
/// speaks for IAM does, and no JSON begins with a percent sign, while every encoded policy does:
/// `%7B`, or an encoded blank.
fn decoded(document: &str) -> Result<String, std::str::Utf8Error> {
    if document.starts_with('%') {
        Ok(percent_decode_str(document).decode_utf8()?.into_owned())
    } else {
        Ok(document.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn only_what_is_encoded_is_decoded() {
        assert_eq!(decoded("%7B%22a%22%3A%22b+c%2520%22%7D").unwrap(), r#"{"a":"b+c%20"}"#);
        assert_eq!(decoded("%0A%7B%7D").unwrap(), "\n{}");
        assert_eq!(decoded(r#"{"a":"%7B"}"#).unwrap(), r#"{"a":"%7B"}"#);
        assert!(decoded("%FF").is_err());
    }
}
