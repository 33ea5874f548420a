//! The world, read into an inventory.
//!
//! A scan only reads. It asks for each thing once, side by side where nothing depends on the answer,
//! and a read that fails becomes an [`Seen::Unseen`] with its error: a scan goes on as long as there
//! is anything to see. Lists are read whole; what costs one call a piece (an association's detail, a
//! role's tags) is read only where somebody would need it.

mod account;
mod cluster;
mod subject;

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};

pub use subject::{shared, subject};

use crate::inventory::{Cluster, Inventory, Seen};
use crate::model::{ClusterArn, Kind};
use crate::ports::{Answer, PortError, World};

/// A cluster that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its ARN.
    pub arn: ClusterArn,
    /// The kubeconfig context that its API server is reached by; none for AWS credentials alone.
    pub context: Option<String>,
}

/// One read, as it goes on: for people, never for decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The cluster that is read, or the account.
    pub cluster: Option<ClusterArn>,
    /// What is read.
    pub what: &'static str,
    /// How far it is.
    pub state: State,
}

/// How far a read is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The call is sent.
    Started,
    /// It was answered.
    Done,
    /// It failed, for this reason.
    Failed(String),
}

/// A scan that saw nothing that an inventory could be made from.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Who asks is not known: no credentials, expired ones, or STS is out of reach.
    #[error("the AWS credentials cannot be used ({0})")]
    Caller(PortError),
    /// EKS has no such cluster in the account.
    #[error("there is no cluster {} in region {} of account {}", .0.name(), .0.region(), .0.account())]
    NoCluster(ClusterArn),
    /// The same cluster was asked for twice, by different contexts.
    #[error("cluster {0} is asked for twice")]
    Twice(ClusterArn),
    /// No API server of any cluster answered.
    #[error("the API server of {} does not answer at {endpoint} ({error})", .cluster.name())]
    Unreachable {
        /// The cluster.
        cluster: ClusterArn,
        /// Its address, as EKS gives it.
        endpoint: String,
        /// The last error.
        error: String,
    },
}

/// Clusters that are read side by side: their calls share the limits of one account.
const CLUSTERS_AT_A_TIME: usize = 4;

/// Calls side by side that cost one call a piece. EKS and IAM publish no rates; few at a time, with
/// the adapter's own retries, is what field reports live with.
const DETAILS_AT_A_TIME: usize = 4;

/// Reads the clusters and the account that they are in.
///
/// # Errors
/// Nobody knows who asks; a cluster is not there; no API server could be reached at all.
pub async fn scan<W: World>(
    world: &W,
    wanted: &[Wanted],
    progress: &mut impl FnMut(Progress),
) -> Result<Inventory, ScanError> {
    let teller = Teller::new(progress);
    let (mut inventory, wanted) = begin(world, wanted, &teller).await?;
    let clusters = stream::iter(&wanted).map(|it| cluster::whole(world, it, &teller)).buffered(CLUSTERS_AT_A_TIME);
    let (account, clusters) = futures::join!(account::whole(world, &teller), clusters.collect::<Vec<_>>());
    let clusters = clusters.into_iter().collect::<Result<Vec<_>, _>>()?;
    inventory.clusters = somebody_answers(clusters)?;
    inventory.accounts.insert(inventory.caller.account.clone(), account);
    account::keep_what_concerns(&mut inventory);
    account::details(world, &mut inventory, &teller).await;
    Ok(inventory)
}

/// An inventory with nothing in it but who asks, and when; and each wanted cluster once, in order.
async fn begin<W: World, F: FnMut(Progress)>(
    world: &W,
    wanted: &[Wanted],
    teller: &Teller<F>,
) -> Result<(Inventory, Vec<Wanted>), ScanError> {
    let mut each: BTreeMap<ClusterArn, Wanted> = BTreeMap::new();
    for it in wanted {
        if each.get(&it.arn).is_some_and(|known| known.context != it.context) {
            return Err(ScanError::Twice(it.arn.clone()));
        }
        each.insert(it.arn.clone(), it.clone());
    }
    let taken_at = world.now();
    let caller = teller.told(None, "the caller", world.caller()).await.map_err(ScanError::Caller)?;
    let format = Kind::Inventory.current();
    let inventory = Inventory { format, taken_at, caller, accounts: BTreeMap::new(), clusters: Vec::new() };
    Ok((inventory, each.into_values().collect()))
}

/// The clusters, unless no API server of any of them answers: then a list of unread things helps
/// nobody.
fn somebody_answers(clusters: Vec<(Cluster, cluster::Reach)>) -> Result<Vec<Cluster>, ScanError> {
    let silent = |(_, reach): &(Cluster, cluster::Reach)| matches!(reach, cluster::Reach::Silent(_));
    if clusters.iter().all(silent)
        && let Some((cluster, cluster::Reach::Silent(error))) = clusters.first()
    {
        return Err(ScanError::Unreachable {
            cluster: cluster.arn.clone(),
            endpoint: cluster.facts.get().map_or_else(|| "its address".to_owned(), |it| it.endpoint.clone()),
            error: error.clone(),
        });
    }
    Ok(clusters.into_iter().map(|(cluster, _)| cluster).collect())
}

/// Tells of reads as they go on. Reads go on side by side, on one thread.
struct Teller<F>(RefCell<F>);

impl<F: FnMut(Progress)> Teller<F> {
    fn new(progress: F) -> Self {
        Self(RefCell::new(progress))
    }

    fn tell(&self, cluster: Option<&ClusterArn>, what: &'static str, state: State) {
        (self.0.borrow_mut())(Progress { cluster: cluster.cloned(), what, state });
    }

    /// Sends a call, and tells of it.
    async fn told<T>(
        &self,
        cluster: Option<&ClusterArn>,
        what: &'static str,
        call: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        self.tell(cluster, what, State::Started);
        let answer = call.await;
        self.tell(cluster, what, answer.as_ref().map_or_else(|it| State::Failed(it.to_string()), |_| State::Done));
        answer
    }

    /// As [`Self::told`], with the error as an answer.
    async fn seen<T>(
        &self,
        cluster: Option<&ClusterArn>,
        what: &'static str,
        call: impl Future<Output = Answer<T>>,
    ) -> Seen<T> {
        seen(self.told(cluster, what, call).await)
    }
}

/// A port's answer as an inventory keeps it.
fn seen<T>(answer: Answer<T>) -> Seen<T> {
    match answer {
        Ok(it) => Seen::Seen(it),
        Err(why) => Seen::Unseen(why.to_string()),
    }
}
