//! EKS: REST and JSON.

use std::collections::BTreeMap;

use axum::http::Method;
use irsa_migrate::inventory::{Addon, AddonUse, Association, ClusterFacts, Seen};
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Answer, NewAssociation, PortError};
use irsa_migrate::sim::{Call, Reply};
use serde_json::{Map, Value, json};

use super::Asked;
use super::reply::Said;

/// A request's operation, with the names in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    DescribeCluster(String),
    ListAssociations(String),
    CreateAssociation(String),
    DescribeAssociation(String, String),
    DeleteAssociation(String, String),
    ListAddons(String),
    DescribeAddon(String, String),
    DescribeAddonConfiguration,
    ListTags(String),
}

impl Operation {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::DescribeCluster(_) => "DescribeCluster",
            Self::ListAssociations(_) => "ListPodIdentityAssociations",
            Self::CreateAssociation(_) => "CreatePodIdentityAssociation",
            Self::DescribeAssociation(..) => "DescribePodIdentityAssociation",
            Self::DeleteAssociation(..) => "DeletePodIdentityAssociation",
            Self::ListAddons(_) => "ListAddons",
            Self::DescribeAddon(..) => "DescribeAddon",
            Self::DescribeAddonConfiguration => "DescribeAddonConfiguration",
            Self::ListTags(_) => "ListTagsForResource",
        }
    }
}

/// The operation of a method and a path, if EKS has one there.
pub(super) fn operation(method: &Method, path: &str) -> Option<Operation> {
    let decode = |it: &str| percent_encoding::percent_decode_str(it).decode_utf8_lossy().into_owned();
    let parts: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let name = |it: &str| it.to_owned();
    Some(match (method.as_str(), parts.as_slice()) {
        ("GET", ["clusters", cluster]) => Operation::DescribeCluster(name(cluster)),
        ("GET", ["clusters", cluster, "pod-identity-associations"]) => Operation::ListAssociations(name(cluster)),
        ("POST", ["clusters", cluster, "pod-identity-associations"]) => Operation::CreateAssociation(name(cluster)),
        ("GET", ["clusters", cluster, "pod-identity-associations", id]) => {
            Operation::DescribeAssociation(name(cluster), name(id))
        }
        ("DELETE", ["clusters", cluster, "pod-identity-associations", id]) => {
            Operation::DeleteAssociation(name(cluster), name(id))
        }
        ("GET", ["clusters", cluster, "addons"]) => Operation::ListAddons(name(cluster)),
        ("GET", ["clusters", cluster, "addons", addon]) => Operation::DescribeAddon(name(cluster), name(addon)),
        ("GET", ["addons", "configuration-schemas"]) => Operation::DescribeAddonConfiguration,
        ("GET", ["tags", rest @ ..]) => Operation::ListTags(rest.join("/")),
        _ => return None,
    })
}

pub(super) fn answer(asked: &Asked<'_>, operation: &Operation) -> Said {
    let result = match operation {
        Operation::DescribeCluster(cluster) => describe_cluster(asked, cluster),
        Operation::ListAssociations(cluster) => list_associations(asked, cluster),
        Operation::CreateAssociation(cluster) => create(asked, cluster),
        Operation::DescribeAssociation(cluster, id) => describe(asked, cluster, id),
        Operation::DeleteAssociation(cluster, id) => delete(asked, cluster, id),
        Operation::ListAddons(cluster) => list_addons(asked, cluster),
        Operation::DescribeAddon(cluster, addon) => describe_addon(asked, cluster, addon),
        Operation::DescribeAddonConfiguration => addon_configuration(asked),
        Operation::ListTags(arn) => list_tags(asked, arn),
    };
    match result {
        Ok(body) => Said::Json(body),
        Err(error) => Said::error(&error),
    }
}

/// The cluster that a request names, in the signature's region.
fn named(asked: &Asked<'_>, name: &str) -> Answer<ClusterArn> {
    let found = asked.world().cluster_named(&asked.who()?.account, &asked.scope.region, name);
    let absent = || PortError::NotFound(format!("ResourceNotFoundException: No cluster found for name: {name}."));
    found.ok_or_else(absent)
}

fn describe_cluster(asked: &Asked<'_>, name: &str) -> Answer<Value> {
    let arn = named(asked, name)?;
    let Reply::ClusterFacts(it) = asked.call(Call::ClusterFacts(arn.clone()))? else { return Err(odd("a cluster")) };
    Ok(json!({ "cluster": cluster(&arn, &it) }))
}

fn cluster(arn: &ClusterArn, it: &ClusterFacts) -> Value {
    let identity = it.issuer.as_ref().map(|it| json!({ "oidc": { "issuer": it.url() } }));
    json!({
        "name": arn.name(),
        "arn": arn.as_str(),
        "version": it.version,
        "platformVersion": it.platform_version,
        "endpoint": it.endpoint,
        "certificateAuthority": { "data": it.certificate_authority },
        "identity": identity,
        "status": it.status,
        "computeConfig": { "enabled": it.auto_mode },
        "createdAt": 1_700_000_000.0,
    })
}

fn association_arn(cluster: &ClusterArn, id: &str) -> String {
    let home = cluster.as_str().replacen(":cluster/", ":podidentityassociation/", 1);
    format!("{home}/{id}")
}

/// What both lists and descriptions have. No owner is no field.
fn summary(cluster: &ClusterArn, it: &Association) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("clusterName".to_owned(), json!(cluster.name())),
        ("namespace".to_owned(), json!(it.namespace)),
        ("serviceAccount".to_owned(), json!(it.service_account)),
        ("associationArn".to_owned(), json!(association_arn(cluster, &it.id))),
        ("associationId".to_owned(), json!(it.id)),
    ]);
    fields.extend(it.owner.iter().map(|it| ("ownerArn".to_owned(), json!(it))));
    fields
}

fn whole(cluster: &ClusterArn, it: &Association) -> Value {
    let mut fields = summary(cluster, it);
    if let Some(Seen::Seen(detail)) = &it.detail {
        fields.insert("roleArn".to_owned(), json!(detail.role_arn.as_str()));
        fields.insert("tags".to_owned(), json!(detail.tags));
        fields.insert("disableSessionTags".to_owned(), json!(detail.disable_session_tags));
        fields.extend(detail.target_role_arn.iter().map(|it| ("targetRoleArn".to_owned(), json!(it))));
        let policy = detail.has_policy.then(|| ("policy".to_owned(), json!("{}")));
        fields.extend(policy);
        let created = detail.created_at.map(|it| it.as_second());
        fields.extend(created.map(|it| ("createdAt".to_owned(), json!(it))));
        fields.extend(created.map(|it| ("modifiedAt".to_owned(), json!(it))));
    }
    json!({ "association": fields })
}

fn list_associations(asked: &Asked<'_>, name: &str) -> Answer<Value> {
    let arn = named(asked, name)?;
    let Reply::Associations(all) = asked.call(Call::Associations(arn.clone()))? else {
        return Err(odd("associations"));
    };
    let fits = |wanted: &str, it: &str| asked.parameter(wanted).is_none_or(|wanted| wanted == it);
    let wanted = |it: &Association| fits("namespace", &it.namespace) && fits("serviceAccount", &it.service_account);
    let all = all.into_iter().filter(wanted).collect();
    let (page, next) = asked.page(all, asked.parameter("maxResults"), asked.parameter("nextToken"));
    let page: Vec<_> = page.iter().map(|it| summary(&arn, it)).collect();
    Ok(json!({ "associations": page, "nextToken": next }))
}

fn describe(asked: &Asked<'_>, name: &str, id: &str) -> Answer<Value> {
    let cluster = named(asked, name)?;
    let reply = asked.call(Call::Association { cluster: cluster.clone(), id: id.to_owned() })?;
    let Reply::Association(found) = reply else { return Err(odd("an association")) };
    Ok(whole(&cluster, &found))
}

fn create(asked: &Asked<'_>, name: &str) -> Answer<Value> {
    let cluster = named(asked, name)?;
    let body: Value = serde_json::from_slice(&asked.body).map_err(|it| invalid(&it.to_string()))?;
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tags: BTreeMap<String, String> = body
        .get("tags")
        .cloned()
        .map(serde_json::from_value)
        .transpose()
        .map_err(|it| invalid(&it.to_string()))?
        .unwrap_or_default();
    if tags.len() > 50 || tags.keys().any(|it| it.starts_with("aws:")) {
        return Err(invalid("too many tags, or a reserved one"));
    }
    let subject =
        Subject { cluster: cluster.clone(), namespace: field("namespace"), service_account: field("serviceAccount") };
    let role_arn = RoleArn::parse(&field("roleArn")).map_err(|it| invalid(&it.to_string()))?;
    let token = field("clientRequestToken");
    asked.call(Call::CreateAssociation(NewAssociation { subject: subject.clone(), role_arn, tags, token }))?;
    let world = asked.world();
    let made = world.association_now(&subject).ok_or_else(|| odd("what was made"))?;
    Ok(whole(&cluster, made))
}

fn delete(asked: &Asked<'_>, name: &str, id: &str) -> Answer<Value> {
    let cluster = named(asked, name)?;
    let before = asked.world().association_by_id(&cluster, id).cloned();
    asked.call(Call::DeleteAssociation { cluster: cluster.clone(), id: id.to_owned() })?;
    Ok(before.map_or_else(|| json!({}), |it| whole(&cluster, &it)))
}

fn addons(asked: &Asked<'_>, name: &str) -> Answer<(ClusterArn, Vec<AddonUse>)> {
    let cluster = named(asked, name)?;
    let Reply::Addons(all) = asked.call(Call::Addons(cluster.clone()))? else { return Err(odd("add-ons")) };
    Ok((cluster, all))
}

fn list_addons(asked: &Asked<'_>, name: &str) -> Answer<Value> {
    let names = addons(asked, name)?.1.into_iter().map(|it| it.name).collect();
    let (page, next) = asked.page::<String>(names, asked.parameter("maxResults"), asked.parameter("nextToken"));
    Ok(json!({ "addons": page, "nextToken": next }))
}

fn describe_addon(asked: &Asked<'_>, name: &str, addon: &str) -> Answer<Value> {
    const AGENT: &str = "eks-pod-identity-agent";
    let absent =
        || PortError::NotFound(format!("ResourceNotFoundException: No addon: {addon} found in cluster: {name}"));
    if addon == AGENT {
        // The agent is asked for by itself, so that it can be denied by itself.
        let cluster = named(asked, name)?;
        let Reply::AgentAddon(found) = asked.call(Call::AgentAddon(cluster.clone()))? else {
            return Err(odd("an add-on"));
        };
        let Addon { version, status } = found.ok_or_else(absent)?;
        let it = AddonUse { name: AGENT.to_owned(), version, status, role_arn: None, association_arns: Vec::new() };
        return Ok(addon_json(&cluster, &it));
    }
    let (cluster, all) = addons(asked, name)?;
    let found = all.into_iter().find(|it| it.name == addon).ok_or_else(absent)?;
    Ok(addon_json(&cluster, &found))
}

fn addon_json(cluster: &ClusterArn, it: &AddonUse) -> Value {
    let home = cluster.as_str().replacen(":cluster/", ":addon/", 1);
    let mut fields = json!({
        "addonName": it.name,
        "clusterName": cluster.name(),
        "status": it.status,
        "addonVersion": it.version,
        "addonArn": format!("{home}/{}/00000000-0000-4000-8000-000000000000", it.name),
        "createdAt": 1_700_000_000.0,
        "podIdentityAssociations": it.association_arns,
    });
    if let Some(role) = &it.role_arn {
        fields["serviceAccountRoleArn"] = json!(role);
    }
    json!({ "addon": fields })
}

/// Which ServiceAccounts of an add-on can have an association. Nothing in the world knows; the agent has none.
fn addon_configuration(asked: &Asked<'_>) -> Answer<Value> {
    let (name, version) = (asked.parameter("addonName"), asked.parameter("addonVersion"));
    let (Some(name), Some(version)) = (name, version) else { return Err(invalid("addonName and addonVersion")) };
    let accounts = match name {
        "vpc-cni" => vec!["aws-node"],
        "aws-ebs-csi-driver" => vec!["ebs-csi-controller-sa"],
        _ => Vec::new(),
    };
    let policies = |it| json!({ "serviceAccount": it, "recommendedManagedPolicies": [] });
    let accounts: Vec<Value> = accounts.into_iter().map(policies).collect();
    Ok(json!({ "addonName": name, "addonVersion": version, "podIdentityConfiguration": accounts }))
}

fn list_tags(asked: &Asked<'_>, arn: &str) -> Answer<Value> {
    asked.who()?;
    let absent = || PortError::NotFound(format!("ResourceNotFoundException: {arn}"));
    let (home, id) = arn.rsplit_once('/').ok_or_else(absent)?;
    let cluster =
        ClusterArn::parse(&home.replacen(":podidentityassociation/", ":cluster/", 1)).map_err(|_| absent())?;
    let world = asked.world();
    let found = world.association_by_id(&cluster, id).ok_or_else(absent)?;
    let tags = found.detail.as_ref().and_then(Seen::get).map(|it| it.tags.clone()).unwrap_or_default();
    Ok(json!({ "tags": tags }))
}

fn invalid(why: &str) -> PortError {
    PortError::Invalid(format!("InvalidParameterException: {why}"))
}

fn odd(what: &str) -> PortError {
    PortError::Server(format!("ServiceFailure: the world did not answer with {what}"))
}
