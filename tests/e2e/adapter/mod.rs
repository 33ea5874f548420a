//! The Kubernetes side of `live` against a real control plane.

mod probing;
mod reaching;
mod reading;
mod watching;
mod writing;

use std::collections::BTreeSet;
use std::path::PathBuf;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use irsa_migrate::inventory::{Pod, Workload, WorkloadKind, WorkloadRef};
use irsa_migrate::live::{ClusterAt, ClusterName, Live, LiveConfig, sdk_config};
use irsa_migrate::model::{ClusterArn, Subject};
use irsa_migrate::ports::{Cluster as _, Stamping};

use crate::harness::{Plane, TestNamespace, User, objects, wait};

const ROLE: &str = "arn:aws:iam::111122223333:role/app";

fn arn(plane: &Plane) -> ClusterArn {
    ClusterArn::parse(&plane.config().arn()).expect("an ARN")
}

/// AWS that nobody may ask.
async fn no_aws() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    sdk_config()
        .endpoint_url("http://127.0.0.1:9")
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .load()
        .await
}

async fn by_file(plane: &Plane, kubeconfig: PathBuf) -> Live {
    let at = ClusterAt { cluster: ClusterName::Arn(arn(plane)), context: Some("cluster".to_owned()) };
    let config = LiveConfig { kubeconfig: Some(kubeconfig), clusters: vec![at], ..LiveConfig::default() };
    Live::with_sdk(no_aws().await, &config).await.expect("a world")
}

async fn live(plane: &Plane) -> Live {
    by_file(plane, plane.kubeconfig("cluster", User::Admin)).await
}

/// A namespace with an annotated ServiceAccount `app`, and the world that sees it.
struct Space {
    space: TestNamespace<'static>,
    live: Live,
    arn: ClusterArn,
}

impl Space {
    async fn new(name: &str) -> Space {
        let plane = Plane::shared();
        let space = plane.namespace(name).await;
        space.create_object(&objects::service_account("app", Some(ROLE))).await;
        Space { space, live: live(plane).await, arn: arn(plane) }
    }

    fn subject(&self) -> Subject {
        Subject { cluster: self.arn.clone(), namespace: self.space.name.clone(), service_account: "app".to_owned() }
    }

    fn at(&self, kind: WorkloadKind, name: &str) -> WorkloadRef {
        WorkloadRef { kind, namespace: self.space.name.clone(), name: name.to_owned() }
    }

    async fn pods(&self) -> Vec<Pod> {
        self.live.pods_of(&self.subject()).await.expect("pods")
    }

    async fn modes(&self) -> BTreeSet<String> {
        self.pods().await.iter().filter(|it| !it.terminating).map(|it| it.mode.to_string()).collect()
    }

    async fn one(&self, kind: WorkloadKind, name: &str) -> Workload {
        let found = self.live.workload(&self.arn, &self.at(kind, name)).await.expect("an answer");
        found.expect("a workload").workload
    }

    async fn stamp(&self, kind: WorkloadKind, name: &str, before: Option<&str>, after: Option<&str>) {
        let workload = self.one(kind, name).await;
        let change = Stamping {
            workload: workload.at,
            uid: workload.uid,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        self.live.stamp(&self.arn, &change).await.expect("a stamp");
    }

    /// Asks until the controller says so.
    async fn rolled_out(&self, kind: WorkloadKind, name: &str) {
        let asking = async {
            loop {
                let now = self.live.workload(&self.arn, &self.at(kind, name)).await.expect("an answer");
                if now.expect("a workload").rollout.complete {
                    return;
                }
                wait::a_moment().await;
            }
        };
        tokio::time::timeout(wait::PATIENCE, asking).await.expect("a roll-out");
    }
}
