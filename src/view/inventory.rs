//! An inventory in short: what was seen, what could not be seen, and what was found.

use std::collections::BTreeSet;

use super::doc::{Block, Doc, Line, caution, good, line, name, strong};
use super::finding::{Told, by_code};
use super::names::Names;
use super::words::count;
use crate::findings;
use crate::inventory::{AgentOnNode, Cluster, Inventory, Mode, Seen};
use crate::model::{AccountId, Digest};

/// An inventory, with the digest that its plans name.
#[must_use]
pub fn inventory(inventory: &Inventory, digest: &Digest) -> Doc {
    let names = Names::new(&inventory.caller.account, inventory.clusters.iter().map(|it| &it.arn));
    let mut doc = Doc::default();
    doc.heading(1, "Inventory");
    doc.push(Block::Facts(vec![
        ("digest", line![name(digest)]),
        ("taken at", line![name(inventory.taken_at)]),
        ("asked by", line![name(&inventory.caller.arn)]),
        ("saw", seen_in_short(inventory)),
    ]));
    for id in inventory.accounts.keys() {
        account(&mut doc, inventory, id);
    }
    for it in &inventory.clusters {
        cluster(&mut doc, it);
    }
    unseen(&mut doc, inventory, &names);
    found(&mut doc, inventory, &names);
    doc
}

/// How many ServiceAccounts, by what became of IRSA there.
fn seen_in_short(inventory: &Inventory) -> Line {
    let accounts = inventory.clusters.iter().filter_map(|it| it.service_accounts.get()).flatten();
    let annotated = accounts.filter(|it| it.role_arn.is_some()).count();
    let pods = || inventory.clusters.iter().filter_map(|it| it.pods.get()).flatten();
    let irsa = pods().filter(|it| it.mode.is_irsa()).count();
    let ours = pods().filter(|it| it.mode == Mode::PodIdentity).count();
    let annotated = count(annotated, "ServiceAccount");
    Line::from(format!("{annotated} with a role by annotation; {} on IRSA, {ours} on Pod Identity", count(irsa, "pod")))
}

fn number<T>(seen: &Seen<Vec<T>>) -> Line {
    match seen {
        Seen::Seen(all) => Line::from(all.len().to_string()),
        Seen::Unseen(_) => line![caution("not read")],
    }
}

fn account(doc: &mut Doc, inventory: &Inventory, id: &AccountId) {
    let Some(it) = inventory.accounts.get(id) else { return };
    doc.heading(2, line!["Account ", strong(id)]);
    let quota = it.trust_quota.get().map_or(line![caution("not read")], |it| Line::from(format!("{it} characters")));
    doc.push(Block::Facts(vec![
        ("roles", number(&it.roles).and(", of those that a web identity or Pod Identity may have to do with")),
        ("OIDC providers", number(&it.providers)),
        ("trust policies", Line::from("at most ").and(quota)),
    ]));
}

fn cluster(doc: &mut Doc, it: &Cluster) {
    doc.heading(2, line!["Cluster ", strong(it.arn.name())]);
    let mut facts = vec![("cluster", line![name(&it.arn)])];
    if let Some(context) = &it.context {
        facts.push(("reached by", line!["kubeconfig context ", name(context)]));
    }
    match &it.facts {
        Seen::Seen(seen) => {
            let version = format!("Kubernetes {}, platform {}", seen.version, seen.platform_version);
            facts.push(("version", line![name(version), if seen.auto_mode { ", Auto Mode" } else { "" }]));
            let issuer = seen.issuer.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            facts.push(("issuer", line![name(issuer)]));
        }
        Seen::Unseen(_) => facts.push(("version", line![caution("not read")])),
    }
    let servers = it.api_servers.get().map_or(line![caution("not read")], |it| Line::from(it.to_string()));
    facts.push(("API servers", servers));
    facts.push(("agent", agent(it)));
    facts.push(("associations", number(&it.associations)));
    let annotated = it.service_accounts.get().map(|all| all.iter().filter(|it| it.role_arn.is_some()).count());
    let annotated = annotated.map(|it| format!(", {it} with a role by annotation")).unwrap_or_default();
    facts.push(("ServiceAccounts", number(&it.service_accounts).and(annotated)));
    for (kind, workloads) in &it.workloads {
        if workloads.get().is_none_or(|it| !it.is_empty()) {
            facts.push((kind.as_str(), number(workloads)));
        }
    }
    facts.push(("pods", number(&it.pods).and(", of those whose ServiceAccount has to do with a role")));
    doc.push(Block::Facts(facts));
}

/// On how many nodes the agent is ready.
fn agent(cluster: &Cluster) -> Line {
    let Some(nodes) = cluster.nodes.get() else { return line![caution("nodes not read")] };
    let ready =
        |it: &&crate::inventory::Node| matches!(it.agent, Seen::Seen(AgentOnNode::Ready | AgentOnNode::BuiltIn));
    let (ready, all) = (nodes.iter().filter(ready).count(), nodes.len());
    let said = format!("Ready on {ready} of {}", count(all, "node"));
    if ready == all { line![good(said)] } else { line![caution(said)] }
}

/// Every read that failed: what would have needed it is held.
fn unseen(doc: &mut Doc, inventory: &Inventory, names: &Names) {
    let mut why: BTreeSet<(String, &str, String)> = BTreeSet::new();
    for (id, it) in &inventory.accounts {
        let place = format!("account {id}");
        note(&mut why, &place, "roles", &it.roles);
        note(&mut why, &place, "OIDC providers", &it.providers);
        note(&mut why, &place, "trust policy quota", &it.trust_quota);
        for role in it.roles.get().into_iter().flatten() {
            if let Some(detail) = &role.detail {
                note(&mut why, &format!("role {}", names.role(&role.arn)), "detail", detail);
            }
        }
    }
    for it in &inventory.clusters {
        let place = format!("cluster {}", names.cluster(&it.arn));
        note(&mut why, &place, "facts", &it.facts);
        note(&mut why, &place, "own issuer", &it.own_issuer);
        note(&mut why, &place, "API servers", &it.api_servers);
        note(&mut why, &place, "agent add-on", &it.agent_addon);
        note(&mut why, &place, "add-ons", &it.addons);
        note(&mut why, &place, "associations", &it.associations);
        note(&mut why, &place, "ServiceAccounts", &it.service_accounts);
        for (kind, workloads) in &it.workloads {
            note(&mut why, &place, kind.as_str(), workloads);
        }
        note(&mut why, &place, "pods", &it.pods);
        note(&mut why, &place, "nodes", &it.nodes);
        for association in it.associations.get().into_iter().flatten() {
            if let Some(detail) = &association.detail {
                note(&mut why, &place, "an association", detail);
            }
        }
    }
    if why.is_empty() {
        return;
    }
    doc.heading(2, "What could not be read");
    doc.para("Whatever would have needed it is held.");
    let rows = why.into_iter().map(|(place, what, why)| vec![line![name(place)], line![what], line![name(why)]]);
    doc.push(Block::Table { head: vec!["where", "what", "why"], rows: rows.collect() });
}

fn note<T>(why: &mut BTreeSet<(String, &'static str, String)>, place: &str, what: &'static str, seen: &Seen<T>) {
    if let Seen::Unseen(error) = seen {
        why.insert((place.to_owned(), what, error.clone()));
    }
}

fn found(doc: &mut Doc, inventory: &Inventory, names: &Names) {
    let all = findings::of_inventory(inventory);
    doc.heading(2, "What was found");
    if all.is_empty() {
        return doc.para("Nothing that stands in the way.");
    }
    let told: Vec<Told<'_>> = all.iter().map(|it| Told { who: &it.subject, finding: it, also: Vec::new() }).collect();
    doc.0.extend(by_code(&told, names));
}
