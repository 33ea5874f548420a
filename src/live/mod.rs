//! The real world behind the ports: the only code that names an SDK.

mod aws;
mod clock;
mod kube;
mod sqlite;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use jiff::Timestamp;
use tokio::sync::OnceCell;

pub use self::aws::sdk_config;
use self::aws::{Aws, OnlyProfile};
pub use self::clock::MachineClock;
use self::kube::Plane;
pub use self::sqlite::SqliteJournal;
use crate::inventory::{
    Addon, AddonUse, Association, AssociationDetail, Caller, ClusterFacts, Node, Pod, Provider, Role, ServiceAccount,
    Workload, WorkloadKind, WorkloadRef,
};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};
use crate::ports::{
    Answer, Clock, Cluster, Eks, Iam, Lease, LeaseVersion, NewAssociation, PortError, Probe, Sight, Stamping,
    WorkloadNow,
};

/// Which account and which clusters to work on, and how to get there.
#[derive(Debug, Clone, Default)]
pub struct LiveConfig {
    /// The AWS profile; without it, what the environment says.
    pub profile: Option<String>,
    /// The AWS region; without it, the first cluster's if all are given by ARN, or else the
    /// profile's or the environment's.
    pub region: Option<String>,
    /// The kubeconfig file that contexts are of; without it, what `$KUBECONFIG` or `~/.kube/config` says.
    pub kubeconfig: Option<PathBuf>,
    /// The clusters.
    pub clusters: Vec<ClusterAt>,
}

/// A cluster, and the way to its API server.
#[derive(Debug, Clone)]
pub struct ClusterAt {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The kubeconfig context to reach it by; without it, the AWS credentials and the endpoint
    /// that EKS names.
    pub context: Option<String>,
}

/// A cluster as a user names it.
#[derive(Debug, Clone)]
pub enum ClusterName {
    /// By its ARN.
    Arn(ClusterArn),
    /// By its name, in the region of the [`LiveConfig`].
    Name(String),
}

/// The real world: one AWS account, and clusters of it.
pub struct Live {
    aws: Aws,
    clock: MachineClock,
    kubeconfig: Option<PathBuf>,
    clusters: BTreeMap<ClusterArn, Reach>,
}

/// The way to one cluster's API servers, found when it is first needed.
struct Reach {
    context: Option<String>,
    plane: OnceCell<Plane>,
}

impl Live {
    /// Finds the way to the account and to each cluster. Clusters that are given by name alone are
    /// looked up (`eks:DescribeCluster`); nothing else is sent.
    ///
    /// # Errors
    /// A cluster's name without any region; a cluster of that name that EKS does not tell of; one
    /// cluster given twice.
    pub async fn connect(config: &LiveConfig) -> Answer<Self> {
        let regions = config.clusters.iter().map(|it| match &it.cluster {
            ClusterName::Arn(arn) => Some(arn.region().to_owned()),
            ClusterName::Name(_) => None,
        });
        // IAM and STS need some region of the right partition. That of a cluster is one, and asks
        // neither the environment nor, where there is none, an instance's metadata.
        let regions: Option<Vec<String>> = regions.collect();
        let region = config.region.clone().or(regions.and_then(|it| it.into_iter().next()));
        let region = region.map(Region::new);
        let mut loader = sdk_config();
        if let Some(region) = region.clone() {
            loader = loader.region(region);
        }
        if let Some(profile) = &config.profile {
            loader = loader.profile_name(profile).credentials_provider(OnlyProfile::new(profile, region));
        }
        let sdk = loader.load().await;
        Self::with_sdk(sdk, config).await
    }

    /// As [`Live::connect`], with a configuration of the SDK that was loaded already (see
    /// [`sdk_config`]): profile and region are its own.
    ///
    /// # Errors
    /// As [`Live::connect`].
    pub async fn with_sdk(sdk: SdkConfig, config: &LiveConfig) -> Answer<Self> {
        let aws = Aws::new(sdk);
        let mut reached = BTreeMap::new();
        for at in &config.clusters {
            let arn = match &at.cluster {
                ClusterName::Arn(arn) => arn.clone(),
                ClusterName::Name(name) => {
                    let region = aws.region().ok_or_else(|| {
                        PortError::Invalid(format!(
                            "cluster {name}: give its region, or its ARN: no region is configured"
                        ))
                    })?;
                    aws.cluster_named(name, &region).await?
                }
            };
            let reach = Reach { context: at.context.clone(), plane: OnceCell::new() };
            if reached.insert(arn.clone(), reach).is_some() {
                return Err(PortError::Invalid(format!("cluster {arn} is given twice")));
            }
        }
        let kubeconfig = config.kubeconfig.clone();
        Ok(Self { aws, clock: MachineClock::new(), kubeconfig, clusters: reached })
    }

    /// The clusters, each with the kubeconfig context it is reached by, in the order of their ARNs.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterArn, Option<&str>)> {
        self.clusters.iter().map(|(arn, reach)| (arn, reach.context.as_deref()))
    }

    /// The cluster's API servers. A way that could not be found is looked for again next time.
    async fn plane(&self, cluster: &ClusterArn) -> Answer<&Plane> {
        let reach = self.clusters.get(cluster);
        let reach =
            reach.ok_or_else(|| PortError::Invalid(format!("cluster {cluster} is not among those asked for")))?;
        let open = || async {
            match &reach.context {
                Some(context) => Plane::by_context(cluster, self.kubeconfig.as_deref(), context).await,
                None => Plane::by_credentials(cluster, &self.aws).await,
            }
        };
        reach.plane.get_or_try_init(open).await
    }
}

impl Iam for Live {
    async fn caller(&self) -> Answer<Caller> {
        self.aws.caller().await
    }
    async fn trust_quota(&self) -> Answer<u32> {
        self.aws.trust_quota().await
    }
    async fn providers(&self) -> Answer<Vec<Provider>> {
        self.aws.providers().await
    }
    async fn roles(&self) -> Answer<Vec<Role>> {
        self.aws.roles().await
    }
    async fn role(&self, role: &RoleArn) -> Answer<Role> {
        self.aws.role(role).await
    }
    async fn set_trust(&self, role: &RoleArn, document: &str) -> Answer<()> {
        self.aws.set_trust(role, document).await
    }
}

impl Eks for Live {
    async fn cluster(&self, cluster: &ClusterArn) -> Answer<ClusterFacts> {
        self.aws.cluster(cluster).await
    }
    async fn agent_addon(&self, cluster: &ClusterArn) -> Answer<Option<Addon>> {
        self.aws.agent_addon(cluster).await
    }
    async fn addons(&self, cluster: &ClusterArn) -> Answer<Vec<AddonUse>> {
        self.aws.addons(cluster).await
    }
    async fn associations(&self, cluster: &ClusterArn) -> Answer<Vec<Association>> {
        self.aws.associations(cluster).await
    }
    async fn association(&self, cluster: &ClusterArn, id: &str) -> Answer<AssociationDetail> {
        self.aws.association(cluster, id).await
    }
    async fn association_of(&self, subject: &Subject) -> Answer<Option<Association>> {
        self.aws.association_of(subject).await
    }
    async fn create_association(&self, new: &NewAssociation) -> Answer<()> {
        self.aws.create_association(new).await
    }
    async fn delete_association(&self, cluster: &ClusterArn, id: &str) -> Answer<()> {
        self.aws.delete_association(cluster, id).await
    }
}

impl Cluster for Live {
    /// Where reading the issuer is denied, server and CA decide: if they are those that EKS names,
    /// no other cluster can have answered.
    async fn own_issuer(&self, cluster: &ClusterArn) -> Answer<Issuer> {
        let plane = self.plane(cluster).await?;
        let denied = match plane.own_issuer().await {
            Err(it @ PortError::Denied(_)) => it,
            other => return other,
        };
        let facts = self.aws.cluster(cluster).await?;
        match &facts.issuer {
            Some(issuer) if plane.is_as_described(cluster, &facts).await? => Ok(issuer.clone()),
            _ => Err(denied),
        }
    }
    async fn api_servers(&self, cluster: &ClusterArn) -> Answer<u32> {
        self.plane(cluster).await?.api_servers().await
    }
    async fn service_accounts(&self, cluster: &ClusterArn) -> Answer<Vec<ServiceAccount>> {
        self.plane(cluster).await?.service_accounts().await
    }
    async fn service_account(&self, subject: &Subject) -> Answer<Option<ServiceAccount>> {
        let plane = self.plane(&subject.cluster).await?;
        plane.service_account(&subject.namespace, &subject.service_account).await
    }
    async fn workloads(
        &self,
        cluster: &ClusterArn,
        kind: WorkloadKind,
        namespace: Option<&str>,
    ) -> Answer<Vec<Workload>> {
        self.plane(cluster).await?.workloads(kind, namespace).await
    }
    async fn workload(&self, cluster: &ClusterArn, at: &WorkloadRef) -> Answer<Option<WorkloadNow>> {
        self.plane(cluster).await?.workload(at).await
    }
    async fn pods(&self, cluster: &ClusterArn) -> Answer<Vec<Pod>> {
        self.plane(cluster).await?.pods().await
    }
    async fn pods_of(&self, subject: &Subject) -> Answer<Vec<Pod>> {
        self.plane(&subject.cluster).await?.pods_of(&subject.namespace, &subject.service_account).await
    }
    async fn changed(&self, seen: Sight<'_>, at_most: Duration) -> Answer<()> {
        self.plane(&seen.subject.cluster).await?.changed(seen, at_most).await
    }
    async fn nodes(&self, cluster: &ClusterArn) -> Answer<Vec<Node>> {
        self.plane(cluster).await?.nodes().await
    }
    async fn probe(&self, subject: &Subject, template: Option<&WorkloadRef>) -> Answer<Probe> {
        let plane = self.plane(&subject.cluster).await?;
        plane.probe(&subject.namespace, &subject.service_account, template).await
    }
    async fn stamp(&self, cluster: &ClusterArn, change: &Stamping) -> Answer<()> {
        self.plane(cluster).await?.stamp(change).await
    }
    async fn evict(&self, cluster: &ClusterArn, namespace: &str, pod: &str, uid: &str) -> Answer<()> {
        self.plane(cluster).await?.evict(namespace, pod, uid).await
    }
    async fn lease(&self, cluster: &ClusterArn, namespace: &str, name: &str) -> Answer<Option<Lease>> {
        self.plane(cluster).await?.lease(namespace, name).await
    }
    async fn write_lease(
        &self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        lease: &Lease,
        found: Option<&LeaseVersion>,
    ) -> Answer<Lease> {
        self.plane(cluster).await?.write_lease(namespace, name, lease, found).await
    }
    async fn delete_lease(
        &self,
        cluster: &ClusterArn,
        namespace: &str,
        name: &str,
        found: &LeaseVersion,
    ) -> Answer<()> {
        self.plane(cluster).await?.delete_lease(namespace, name, found).await
    }
}

impl Clock for Live {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
    async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}
