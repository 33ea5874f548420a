//! IAM: query protocol, XML.

use irsa_migrate::inventory::{Role, Seen};
use irsa_migrate::model::RoleArn;
use irsa_migrate::ports::{Answer, PortError};
use irsa_migrate::sim::{Call, Reply};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Asked;
use super::reply::{Said, escaped};

/// RFC 3986: everything but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn answer(asked: &Asked<'_>, operation: &str) -> Said {
    let result = match operation {
        "ListRoles" => list_roles(asked),
        "GetRole" => get_role(asked),
        "UpdateAssumeRolePolicy" => update(asked),
        "ListOpenIDConnectProviders" => list_providers(asked),
        "GetOpenIDConnectProvider" => get_provider(asked),
        "GetAccountSummary" => summary(asked),
        other => Err(PortError::Invalid(format!("InvalidAction: Could not find operation {other}"))),
    };
    match result {
        Ok(result) => Said::Xml(format!(
            "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result>{result}\
             </{operation}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
        )),
        Err(error) => Said::error(&error),
    }
}

fn list_roles(asked: &Asked<'_>) -> Answer<String> {
    let Reply::Roles(all) = asked.call(Call::Roles)? else { return Err(odd("roles")) };
    let (page, next) = asked.page(all, asked.parameter("MaxItems"), asked.parameter("Marker"));
    let members: String = page.iter().map(|it| format!("<member>{}</member>", role(it))).collect();
    let more = match next {
        Some(marker) => format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    Ok(format!("<Roles>{members}</Roles>{more}"))
}

/// The role that a request names: IAM knows it by its name alone.
fn named(asked: &Asked<'_>) -> Answer<RoleArn> {
    let name = asked.parameter("RoleName").unwrap_or_default();
    let found = asked.world().role_named(&asked.who()?.account, name);
    let absent = || PortError::NotFound(format!("NoSuchEntity: The role with name {name} cannot be found."));
    found.ok_or_else(absent)
}

fn get_role(asked: &Asked<'_>) -> Answer<String> {
    let Reply::Role(found) = asked.call(Call::Role(named(asked)?))? else { return Err(odd("a role")) };
    Ok(format!("<Role>{}</Role>", role(&found)))
}

fn update(asked: &Asked<'_>) -> Answer<String> {
    let document = asked.parameter("PolicyDocument").unwrap_or_default().to_owned();
    asked.call(Call::SetTrust { role: named(asked)?, document })?;
    Ok(String::new())
}

fn role(it: &Role) -> String {
    let path = it.arn.as_str().split_once(":role").map_or("/", |(_, it)| it);
    let path = &path[..path.len() - it.arn.name().len()];
    let document = utf8_percent_encode(&it.trust, RESERVED);
    let (arn, name, id) = (&it.arn, it.arn.name(), &it.role_id);
    let mut xml = format!(
        "<Path>{path}</Path><RoleName>{name}</RoleName><RoleId>{id}</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2024-01-01T00:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>"
    );
    if let Some(Seen::Seen(detail)) = &it.detail {
        let description = detail.description.iter().map(|it| format!("<Description>{}</Description>", escaped(it)));
        let tag = |(key, value): (&String, &String)| {
            format!("<member><Key>{}</Key><Value>{}</Value></member>", escaped(key), escaped(value))
        };
        let tags: String = detail.tags.iter().map(tag).collect();
        let used = detail.last_used.map(|it| format!("<LastUsedDate>{it}</LastUsedDate>")).unwrap_or_default();
        xml.extend(description);
        xml = format!("{xml}<Tags>{tags}</Tags><RoleLastUsed>{used}</RoleLastUsed>");
    }
    xml
}

fn list_providers(asked: &Asked<'_>) -> Answer<String> {
    let Reply::Providers(all) = asked.call(Call::Providers)? else { return Err(odd("providers")) };
    let account = &asked.who()?.account;
    let member = |it: String| format!("<member><Arn>{it}</Arn></member>");
    let members: String = all.iter().map(|it| member(it.issuer.provider_arn("aws", account))).collect();
    Ok(format!("<OpenIDConnectProviderList>{members}</OpenIDConnectProviderList>"))
}

fn get_provider(asked: &Asked<'_>) -> Answer<String> {
    let wanted = asked.parameter("OpenIDConnectProviderArn").unwrap_or_default();
    let Reply::Providers(all) = asked.call(Call::Providers)? else { return Err(odd("providers")) };
    let account = &asked.who()?.account;
    let absent = || PortError::NotFound(format!("NoSuchEntity: OpenIDConnect Provider not found for arn {wanted}"));
    let found = all.iter().find(|it| it.issuer.provider_arn("aws", account) == wanted).ok_or_else(absent)?;
    let ids: String = found.client_ids.iter().map(|it| format!("<member>{}</member>", escaped(it))).collect();
    let url = &found.issuer;
    Ok(format!("<Url>{url}</Url><ClientIDList>{ids}</ClientIDList><ThumbprintList></ThumbprintList>"))
}

fn summary(asked: &Asked<'_>) -> Answer<String> {
    let Reply::Number(quota) = asked.call(Call::TrustQuota)? else { return Err(odd("a number")) };
    let entry = |(key, value): (&str, u32)| format!("<entry><key>{key}</key><value>{value}</value></entry>");
    let entries: String = [("AssumeRolePolicySizeQuota", quota), ("RolesQuota", 1000)].map(entry).concat();
    Ok(format!("<SummaryMap>{entries}</SummaryMap>"))
}

fn odd(what: &str) -> PortError {
    PortError::Server(format!("ServiceFailure: the world did not answer with {what}"))
}
