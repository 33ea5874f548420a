//! A cluster, from both sides.

use std::cell::RefCell;
use std::collections::BTreeSet;

use futures::future::join_all;
use futures::stream::{self, StreamExt};

use super::{DETAILS_AT_A_TIME, Progress, ScanError, Teller, Wanted, seen};
use crate::inventory::{Association, Cluster, ClusterFacts, Node, Pod, Seen, ServiceAccount, Workload, WorkloadKind};
use crate::model::{ClusterArn, Subject};
use crate::ports::{Answer, PortError, World};

/// Whether the API server ever answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// No call of it has ended yet.
    Unknown,
    /// It answered, were it by a refusal.
    Answers,
    /// Each call ended unreachable, so far; the first error.
    Silent(String),
}

/// The reads of one cluster.
struct Reads<'a, W, F> {
    world: &'a W,
    arn: &'a ClusterArn,
    teller: &'a Teller<F>,
    reach: RefCell<Reach>,
}

impl<W: World, F: FnMut(Progress)> Reads<'_, W, F> {
    /// A read from EKS.
    async fn eks<T>(&self, what: &'static str, call: impl Future<Output = Answer<T>>) -> Seen<T> {
        self.teller.seen(Some(self.arn), what, call).await
    }

    /// A read from the API server.
    async fn kubernetes<T>(&self, what: &'static str, call: impl Future<Output = Answer<T>>) -> Seen<T> {
        let answer = self.teller.told(Some(self.arn), what, call).await;
        let mut reach = self.reach.borrow_mut();
        match &answer {
            Err(PortError::Unreachable(why)) if *reach == Reach::Unknown => *reach = Reach::Silent(why.clone()),
            Err(PortError::Unreachable(_)) => {}
            Ok(_)
            | Err(
                PortError::Denied(_)
                | PortError::Credentials(_)
                | PortError::NotFound(_)
                | PortError::Conflict(_)
                | PortError::Throttled(_)
                | PortError::NotNow(_)
                | PortError::Invalid(_)
                | PortError::Server(_),
            ) => *reach = Reach::Answers,
        }
        seen(answer)
    }

    /// The workloads of every kind, in one namespace or in all.
    async fn workloads(&self, namespace: Option<&str>) -> Vec<(WorkloadKind, Seen<Vec<Workload>>)> {
        let reads = WorkloadKind::ALL.map(|kind| async move {
            (kind, self.kubernetes(plural(kind), self.world.workloads(self.arn, kind, namespace)).await)
        });
        join_all(reads).await
    }
}

/// Reads everything of one cluster.
///
/// # Errors
/// EKS has no such cluster.
pub(super) async fn whole<W: World, F: FnMut(Progress)>(
    world: &W,
    wanted: &Wanted,
    teller: &Teller<F>,
) -> Result<(Cluster, Reach), ScanError> {
    let reads = Reads { world, arn: &wanted.arn, teller, reach: RefCell::new(Reach::Unknown) };
    let mut cluster = shared(&reads, wanted).await?;
    let arn = &wanted.arn;
    let (associations, service_accounts, workloads, pods, nodes) = futures::join!(
        reads.eks("associations", world.associations(arn)),
        reads.kubernetes("ServiceAccounts", world.service_accounts(arn)),
        reads.workloads(None),
        reads.kubernetes("pods", world.pods(arn)),
        reads.kubernetes("nodes", world.nodes(arn)),
    );
    cluster.associations = associations;
    cluster.service_accounts = service_accounts;
    cluster.workloads = workloads.into_iter().collect();
    cluster.pods = pods;
    cluster.nodes = nodes;
    describe(&reads, &mut cluster).await;
    keep_pods(&mut cluster);
    sort(&mut cluster);
    let reach = reads.reach.into_inner();
    Ok((cluster, reach))
}

/// Reads what is one for the whole cluster; the rest says that it was not asked for.
///
/// # Errors
/// EKS has no such cluster.
pub(super) async fn what_is_shared<W: World, F: FnMut(Progress)>(
    world: &W,
    wanted: &Wanted,
    teller: &Teller<F>,
) -> Result<(Cluster, Reach), ScanError> {
    let reads = Reads { world, arn: &wanted.arn, teller, reach: RefCell::new(Reach::Unknown) };
    let cluster = shared(&reads, wanted).await?;
    let reach = reads.reach.into_inner();
    Ok((cluster, reach))
}

async fn shared<W: World, F: FnMut(Progress)>(reads: &Reads<'_, W, F>, wanted: &Wanted) -> Result<Cluster, ScanError> {
    let (world, arn) = (reads.world, reads.arn);
    let (facts, agent_addon, addons, own_issuer, api_servers) = futures::join!(
        reads.teller.told(Some(arn), "the cluster", world.cluster(arn)),
        reads.eks("the agent's add-on", world.agent_addon(arn)),
        reads.eks("add-ons", world.addons(arn)),
        reads.kubernetes("the API server's issuer", world.own_issuer(arn)),
        reads.kubernetes("API servers", world.api_servers(arn)),
    );
    let facts: Seen<ClusterFacts> = match facts {
        Err(PortError::NotFound(_)) => return Err(ScanError::NoCluster(arn.clone())),
        other => seen(other),
    };
    let not_asked = || "it was not asked for".to_owned();
    Ok(Cluster {
        arn: arn.clone(),
        context: wanted.context.clone(),
        facts,
        own_issuer,
        api_servers,
        agent_addon,
        addons,
        associations: Seen::Unseen(not_asked()),
        service_accounts: Seen::Unseen(not_asked()),
        workloads: WorkloadKind::ALL.into_iter().map(|it| (it, Seen::Unseen(not_asked()))).collect(),
        pods: Seen::Unseen(not_asked()),
        nodes: Seen::Unseen(not_asked()),
    })
}

/// What is read anew for one ServiceAccount.
pub(super) struct Anew {
    pub(super) service_account: Seen<Option<ServiceAccount>>,
    pub(super) association: Seen<Option<Association>>,
    pub(super) workloads: Vec<(WorkloadKind, Seen<Vec<Workload>>)>,
    pub(super) pods: Seen<Vec<Pod>>,
    pub(super) nodes: Seen<Vec<Node>>,
}

/// Reads one ServiceAccount and what runs as it.
pub(super) async fn anew<W: World, F: FnMut(Progress)>(world: &W, subject: &Subject, teller: &Teller<F>) -> Anew {
    let arn = &subject.cluster;
    let reads = Reads { world, arn, teller, reach: RefCell::new(Reach::Unknown) };
    let (service_account, association, workloads, pods, nodes) = futures::join!(
        reads.kubernetes("the ServiceAccount", world.service_account(subject)),
        reads.eks("its association", world.association_of(subject)),
        reads.workloads(Some(&subject.namespace)),
        reads.kubernetes("its pods", world.pods_of(subject)),
        reads.kubernetes("nodes", world.nodes(arn)),
    );
    Anew { service_account, association, workloads, pods, nodes }
}

/// Describes the associations that matter: of an annotated ServiceAccount, for their role is
/// compared with the annotation; of one that does not exist, for their role says what was meant.
async fn describe<W: World, F: FnMut(Progress)>(reads: &Reads<'_, W, F>, cluster: &mut Cluster) {
    let (Seen::Seen(associations), Seen::Seen(accounts)) = (&mut cluster.associations, &cluster.service_accounts)
    else {
        return;
    };
    let plain: BTreeSet<(&str, &str)> = accounts
        .iter()
        .filter(|it| it.role_arn.is_none())
        .map(|it| (it.namespace.as_str(), it.name.as_str()))
        .collect();
    let wanted = associations.iter_mut().filter(|it| {
        let at = (it.namespace.as_str(), it.service_account.as_str());
        !plain.contains(&at)
    });
    let described = stream::iter(wanted).map(|association| async move {
        let call = reads.world.association(reads.arn, &association.id);
        let detail = reads.eks("an association", call).await;
        association.detail = Some(detail);
    });
    described.buffer_unordered(DETAILS_AT_A_TIME).collect::<Vec<()>>().await;
}

/// Keeps the pods whose ServiceAccount has to do with a role. Where the lists that tell are missing,
/// everything is held anyhow.
fn keep_pods(cluster: &mut Cluster) {
    let annotated = cluster.service_accounts.get().into_iter().flatten().filter(|it| it.role_arn.is_some());
    let mut known: BTreeSet<(String, String)> = annotated.map(|it| (it.namespace.clone(), it.name.clone())).collect();
    let associated = cluster.associations.get().into_iter().flatten();
    known.extend(associated.map(|it| (it.namespace.clone(), it.service_account.clone())));
    if let Seen::Seen(pods) = &mut cluster.pods {
        pods.retain(|it| known.contains(&(it.namespace.clone(), it.service_account.clone())));
    }
}

/// The order of an inventory must not depend on the order of answers.
fn sort(cluster: &mut Cluster) {
    if let Seen::Seen(all) = &mut cluster.addons {
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if let Seen::Seen(all) = &mut cluster.associations {
        all.sort_by(|a, b| (&a.namespace, &a.service_account).cmp(&(&b.namespace, &b.service_account)));
    }
    if let Seen::Seen(all) = &mut cluster.service_accounts {
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    }
    for seen in cluster.workloads.values_mut() {
        if let Seen::Seen(all) = seen {
            all.sort_by(|a, b| a.at.cmp(&b.at));
        }
    }
    if let Seen::Seen(all) = &mut cluster.pods {
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    }
    if let Seen::Seen(all) = &mut cluster.nodes {
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

fn plural(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "Deployments",
        WorkloadKind::StatefulSet => "StatefulSets",
        WorkloadKind::DaemonSet => "DaemonSets",
        WorkloadKind::ReplicaSet => "ReplicaSets",
        WorkloadKind::ReplicationController => "ReplicationControllers",
        WorkloadKind::Job => "Jobs",
        WorkloadKind::CronJob => "CronJobs",
    }
}
