//! The cluster as a whole.

use std::collections::BTreeSet;

use super::checks::{need, unread};
use super::{Code, Explanation, Finding, Severity, Target};
use crate::inventory::{AgentOnNode, Cluster, ClusterFacts, Compute, Inventory, ServiceAccount};
use crate::model::RoleArn;

const RESTRICTIONS: &str = "https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html";

pub(super) const WRONG_CONTEXT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the API server is another cluster's",
    meaning: "The issuer that the API server names is not the one that EKS names for this cluster.",
    why: "What was read from Kubernetes belongs to another cluster than what was read from EKS: everything that \
          follows would be about the wrong one.",
    remedy: "Name the kubeconfig context of this cluster, or none: without one the token is made from the AWS \
             credentials.",
    sources: &[],
};

pub(super) const IN_OTHER_ACCOUNT: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster is in another account",
    meaning: "The cluster's ARN names another account than the one that the credentials belong to.",
    why: "The roles, providers and associations that were read are those of the wrong account.",
    remedy: "Use credentials of the cluster's account, one plan for each account.",
    sources: &[],
};

pub(super) const WITHOUT_ISSUER: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster has no OIDC issuer",
    meaning: "EKS names no OIDC issuer for this cluster.",
    why: "Without an issuer there is no IRSA, and no trust statement can be matched with the cluster.",
    remedy: "Wait until the cluster is ACTIVE and scan again; local clusters on Outposts have neither IRSA nor Pod \
             Identity.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html"],
};

pub(super) const NOT_ACTIVE: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "the cluster is not ACTIVE",
    meaning: "EKS says that the cluster is in another state than ACTIVE.",
    why: "While a cluster is updated its API servers are replaced one by one, roll-outs take longer and the webhook \
          may be away for moments.",
    remedy: "Wait until the cluster is ACTIVE before you apply.",
    sources: &["https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html"],
};

pub(super) const TOO_OLD: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "the cluster is too old for Pod Identity",
    meaning: "The cluster's Kubernetes or platform version is older than the first that has Pod Identity, or it is a \
              local cluster on Outposts, which has none.",
    why: "Associations have no effect there.",
    remedy: "Update the cluster's version; EKS brings the platform version by itself. A local cluster stays as it is.",
    sources: &[RESTRICTIONS],
};

pub(super) const ASSOCIATION_QUOTA: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "more associations than a cluster may have",
    meaning: "With an association for every annotated ServiceAccount the cluster would pass the limit.",
    why: "EKS refuses each association beyond the limit, which cannot be raised.",
    remedy: "Delete associations that nobody needs. If the settings' scope leaves enough ServiceAccounts on IRSA, \
             waive this finding.",
    sources: &[RESTRICTIONS],
};

pub(super) const ASSOCIATION_QUOTA_NEAR: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "close to the most associations that a cluster may have",
    meaning: "With an association for every annotated ServiceAccount the cluster would use more than nine tenths of \
              the limit.",
    why: "EKS refuses each association beyond the limit, which cannot be raised; ServiceAccounts that are made later \
          may then find no room.",
    remedy: "Delete associations that nobody needs, and keep the number in sight.",
    sources: &[RESTRICTIONS],
};

pub(super) const API_SERVERS_UNKNOWN: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "the number of API servers is not known",
    meaning: "The leases by which API servers make themselves known could not be read.",
    why: "How many probes prove that every API server knows an association depends on their number. Without it more \
          probes are made.",
    remedy: "Nothing need be done. With the right to list leases in `kube-system` the proof is faster.",
    sources: &["https://kubernetes.io/docs/concepts/architecture/leases/"],
};

pub(super) const AGENT_ADDON_UNHEALTHY: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "the agent's add-on is not ACTIVE",
    meaning: "EKS says that the add-on `eks-pod-identity-agent` is in another state than ACTIVE.",
    why: "Its DaemonSet may be about to change or may not come up on new nodes. Nodes without a Ready agent are \
          findings of their own.",
    remedy: "Look at the add-on's health (`aws eks describe-addon --addon-name eks-pod-identity-agent`).",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"],
};

pub(super) const AGENT_ADDON_UNKNOWN: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "the agent's add-on could not be read",
    meaning: "Whether the agent is installed as an EKS add-on, and how that add-on is, could not be read.",
    why: "What counts is the agent on each node, and that is judged apart from this.",
    remedy: "Nothing need be done. With `eks:DescribeAddon` the add-on's state is shown too.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"],
};

pub(super) const AUTO_MODE_MIXED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "Auto Mode beside nodes of your own",
    meaning: "The cluster has nodes of EKS Auto Mode and other nodes.",
    why: "Auto Mode nodes have the agent built in; the others need the add-on.",
    remedy: "Keep the add-on `eks-pod-identity-agent` as long as there are nodes outside Auto Mode.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html"],
};

/// Most associations that a cluster may have; it cannot be raised (EKS user guide, "Limits").
const MOST_ASSOCIATIONS: usize = 5_000;

/// The first platform version with Pod Identity of each Kubernetes version that had EKS before
/// Pod Identity did; later versions have it from their first (EKS user guide, Pod Identity).
const FIRST_PLATFORMS: [((u32, u32), u32); 5] =
    [((1, 24), 13), ((1, 25), 10), ((1, 26), 9), ((1, 27), 8), ((1, 28), 4)];

/// What holds back everything in the cluster.
pub(super) fn blockers(inventory: &Inventory, cluster: &Cluster) -> Vec<Finding> {
    let target = Target::Cluster(cluster.arn.clone());
    let mut out = Vec::new();
    if cluster.arn.account() != inventory.caller.account {
        let evidence = format!("the credentials belong to account {}", inventory.caller.account);
        out.push(Finding::new(Code::ClusterInOtherAccount, target.clone(), evidence));
    }
    if let Some(facts) = need(&cluster.facts, &target, "the cluster", &mut out) {
        match &facts.issuer {
            None => {
                let evidence = format!("DescribeCluster names no issuer; status {}", facts.status);
                out.push(Finding::new(Code::ClusterWithoutIssuer, target.clone(), evidence));
            }
            Some(issuer) => own_issuer(cluster, issuer.as_str(), &mut out),
        }
        out.extend(age(&target, facts));
    }
    need(&cluster.service_accounts, &target, "its ServiceAccounts", &mut out);
    need(&cluster.associations, &target, "its associations", &mut out);
    out.extend(quota(cluster).filter(Finding::blocks));
    out
}

/// Everything about the cluster itself.
pub(super) fn all(inventory: &Inventory, cluster: &Cluster) -> Vec<Finding> {
    let target = Target::Cluster(cluster.arn.clone());
    let mut out = blockers(inventory, cluster);
    out.extend(quota(cluster).filter(|it| !it.blocks()));
    if let Some(facts) = cluster.facts.get()
        && facts.status != "ACTIVE"
    {
        out.push(Finding::new(Code::ClusterNotActive, target.clone(), format!("status {}", facts.status)));
    }
    if let Err(why) = cluster.api_servers.as_result() {
        out.push(Finding::new(Code::ApiServersUnknown, target.clone(), why));
    }
    match cluster.agent_addon.as_result() {
        Ok(Some(addon)) if addon.status != "ACTIVE" => {
            let evidence = format!("version {}, status {}", addon.version, addon.status);
            out.push(Finding::new(Code::AgentAddonUnhealthy, target.clone(), evidence));
        }
        Ok(_) => {}
        Err(why) => out.push(Finding::new(Code::AgentAddonUnknown, target.clone(), why)),
    }
    need(&cluster.addons, &target, "its add-ons", &mut out);
    out.extend(mixed(cluster));
    out
}

/// The API server must name the issuer that EKS names. Where it was reached by what EKS itself
/// says (no kubeconfig context), a refusal to answer says nothing against it.
fn own_issuer(cluster: &Cluster, described: &str, out: &mut Vec<Finding>) {
    let target = Target::Cluster(cluster.arn.clone());
    match cluster.own_issuer.as_result() {
        Ok(own) if own.as_str() != described => {
            let evidence = format!("the API server names {own}, EKS names {described}");
            out.push(Finding::new(Code::WrongContext, target, evidence));
        }
        Ok(_) => {}
        Err(_) if cluster.context.is_none() => {}
        Err(why) => out.push(unread(target, "the API server's own issuer", why)),
    }
}

fn age(target: &Target, facts: &ClusterFacts) -> Option<Finding> {
    let evidence = format!("Kubernetes {}, platform {}", facts.version, facts.platform_version);
    let too_old = || Some(Finding::new(Code::ClusterTooOld, target.clone(), evidence.clone()));
    if facts.platform_version.starts_with("eks-local") {
        return too_old();
    }
    let Some(version) = version(&facts.version) else {
        return Some(unread(target.clone(), "the cluster's version", &format!("{:?} is no version", facts.version)));
    };
    if version < FIRST_PLATFORMS[0].0 {
        return too_old();
    }
    let (_, first) = FIRST_PLATFORMS.into_iter().find(|(kubernetes, _)| *kubernetes == version)?;
    let Some(platform) = facts.platform_version.strip_prefix("eks.").and_then(|it| it.parse::<u32>().ok()) else {
        let why = format!("{:?} is no platform version", facts.platform_version);
        return Some(unread(target.clone(), "the cluster's platform version", &why));
    };
    if platform < first { too_old() } else { None }
}

/// `1.34` as two numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether an association for every annotated ServiceAccount has room.
fn quota(cluster: &Cluster) -> Option<Finding> {
    let associations = cluster.associations.get()?;
    let there: BTreeSet<(&str, &str)> =
        associations.iter().map(|it| (it.namespace.as_str(), it.service_account.as_str())).collect();
    let asks = |it: &&ServiceAccount| {
        it.role_arn.as_deref().is_some_and(|arn| RoleArn::parse(arn).is_ok())
            && !there.contains(&(it.namespace.as_str(), it.name.as_str()))
    };
    let wanted = cluster.service_accounts.get()?.iter().filter(asks).count();
    let code = match there.len() + wanted {
        total if total > MOST_ASSOCIATIONS => Code::AssociationQuota,
        total if total > MOST_ASSOCIATIONS / 10 * 9 => Code::AssociationQuotaNear,
        _ => return None,
    };
    let evidence = format!("{} associations, {wanted} more wanted, {MOST_ASSOCIATIONS} allowed", there.len());
    Some(Finding::new(code, Target::Cluster(cluster.arn.clone()), evidence))
}

fn mixed(cluster: &Cluster) -> Option<Finding> {
    let nodes = cluster.nodes.get()?;
    let auto = nodes.iter().filter(|it| it.compute == Compute::Auto).count();
    let others = nodes.iter().filter(|it| it.compute == Compute::Ec2).count();
    let evidence = format!("{auto} nodes of Auto Mode, {others} others");
    (auto > 0 && others > 0).then(|| Finding::new(Code::AutoModeMixed, Target::Cluster(cluster.arn.clone()), evidence))
}

/// Whether the agent is in the cluster at all, told by its nodes, Auto Mode or the add-on.
/// `Err` says why it is not known.
pub(super) fn has_agent(cluster: &Cluster) -> Result<bool, &str> {
    let works = |agent: &AgentOnNode| matches!(agent, AgentOnNode::Ready | AgentOnNode::BuiltIn);
    let nodes = cluster.nodes.as_result();
    let on_a_node = nodes.is_ok_and(|all| all.iter().any(|it| it.agent.get().is_some_and(works)));
    if on_a_node || cluster.facts.get().is_some_and(|it| it.auto_mode) {
        return Ok(true);
    }
    Ok(cluster.agent_addon.as_result()?.is_some())
}
