//! STS: query protocol, XML.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_migrate::inventory::Provider;
use irsa_migrate::model::{Issuer, RoleArn};
use irsa_migrate::ports::{Answer, PortError};
use irsa_migrate::sim::World;
use irsa_migrate::sim::evaluate::{allows_all, web_identity_request};
use serde_json::Value;

use super::reply::{Said, escaped};
use super::{Asked, wall_clock};

pub(super) fn answer(asked: &Asked<'_>, operation: &str) -> Said {
    let result = match operation {
        "GetCallerIdentity" => caller(asked),
        _ => with_web_identity(asked),
    };
    match result {
        Ok(result) => Said::Xml(format!(
            "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
             </{operation}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
        )),
        Err(error) => Said::error(&error),
    }
}

fn caller(asked: &Asked<'_>) -> Answer<String> {
    let who = asked.who()?;
    Ok(format!(
        "<Arn>{}</Arn><UserId>AROAEXAMPLE:operator</UserId><Account>{}</Account>",
        escaped(&who.arn),
        who.account
    ))
}

/// `AssumeRoleWithWebIdentity`, which nobody signs. The token's signature is not looked at: what
/// is asked is whether the trust policy lets this subject in.
fn with_web_identity(asked: &Asked<'_>) -> Answer<String> {
    let role = RoleArn::parse(asked.parameter("RoleArn").unwrap_or_default());
    let role = role.map_err(|it| PortError::Invalid(format!("ValidationError: {it}")))?;
    let claims = claims(asked.parameter("WebIdentityToken").unwrap_or_default())
        .ok_or_else(|| PortError::Invalid("InvalidIdentityToken: the token cannot be read".into()))?;
    let mut world = asked.world();
    world.tick(wall_clock());
    let denied = || PortError::Denied("AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity".into());
    if !lets_in(&world, &role, &claims).unwrap_or(false) {
        return Err(denied());
    }
    let (arn, name) = (role.as_str().replacen(":iam:", ":sts:", 1), role.name());
    let session = arn.replacen(&format!(":role/{name}"), &format!(":assumed-role/{name}/session"), 1);
    Ok(format!(
        "<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>\
         <AssumedRoleUser><Arn>{session}</Arn><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId></AssumedRoleUser>",
        escaped(&claims.sub)
    ))
}

struct Claims {
    issuer: Issuer,
    sub: String,
    audiences: Vec<String>,
}

fn claims(token: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    let text = |it: &Value| it.as_str().map(str::to_owned);
    let audience = payload.get("aud")?;
    let audiences = match audience.as_array() {
        Some(all) => all.iter().filter_map(text).collect(),
        None => vec![text(audience)?],
    };
    let issuer = Issuer::parse(payload.get("iss")?.as_str()?).ok()?;
    Some(Claims { issuer, sub: text(payload.get("sub")?)?, audiences })
}

/// Whether the role's account knows the issuer, and its trust policy the subject, for one of the
/// token's audiences.
fn lets_in(world: &World, role: &RoleArn, claims: &Claims) -> Option<bool> {
    let provider: &Provider = world.provider_now(&role.account(), &claims.issuer)?;
    let trust = world.trust_now(role)?;
    let arn = claims.issuer.provider_arn(role.partition(), &role.account());
    let mut known = claims.audiences.iter().filter(|it| provider.client_ids.contains(it));
    Some(known.any(|audience| {
        let request = web_identity_request(claims.issuer.as_str(), &arn, &claims.sub, audience, world.now());
        allows_all(trust, &[request])
    }))
}
