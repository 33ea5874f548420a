//! AWS behind the ports: STS, IAM and EKS of one account.

mod eks;
mod error;
mod iam;
mod profile;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind;
use tokio::sync::{OnceCell, Semaphore};

use self::error::Host;
pub(super) use self::profile::OnlyProfile;
pub(super) use self::token::TokenMaker;
use crate::inventory::Caller;
use crate::model::{AccountId, ClusterArn, RoleArn};
use crate::ports::{Answer, Iam as _, PortError};

/// How long one call may take, its answer included: a lease must outlive it.
pub(super) const CALL: Duration = Duration::from_secs(15);

/// How long a read may take with all its retries.
const READ: Duration = Duration::from_secs(90);

/// Attempts of a read, and of a write that was throttled.
const ATTEMPTS: u32 = 6;

/// Reads under way at a time, for each service. IAM and EKS publish no rates; their throttling
/// counts for the whole account, so that a scan that hurries stops other people's work.
const SIDE_BY_SIDE: usize = 4;

/// The SDK's configuration with our own choices in it: profiles, SSO, roles to assume and
/// `AWS_ENDPOINT_URL` work as everywhere.
pub fn sdk_config() -> ConfigLoader {
    // A literal of the allowed characters.
    let name = AppName::new("irsa-migrate").ok();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(Duration::from_secs(10));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(CALL)
        .operation_timeout(READ)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).timeout_config(timeouts);
    match name {
        Some(name) => loader.app_name(name),
        None => loader,
    }
}

/// A service's clients, one for each kind of call, and the host they talk to.
struct Service<C> {
    /// Retries whatever may be answered at another time.
    read: C,
    /// Retries only throttling, where nothing happened. A write whose answer was lost is never sent
    /// again blindly: whoever called looks, and decides.
    write: C,
    host: Host,
}

/// One account. Cheap to make: nothing is read or sent before the first call.
pub(super) struct Aws {
    sdk: SdkConfig,
    sts: Service<aws_sdk_sts::Client>,
    iam: Service<aws_sdk_iam::Client>,
    eks: Mutex<BTreeMap<String, Arc<Service<aws_sdk_eks::Client>>>>,
    caller: OnceCell<Caller>,
    iam_reads: Semaphore,
    eks_reads: Semaphore,
}

impl Aws {
    pub(super) fn new(sdk: SdkConfig) -> Self {
        let writes = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(CALL)
            .operation_timeout(CALL)
            .build();
        let sts = {
            let host = Host::default();
            let config = aws_sdk_sts::config::Builder::from(&sdk).interceptor(host.clone()).build();
            let read = aws_sdk_sts::Client::from_conf(config);
            Service { write: read.clone(), read, host }
        };
        let iam = {
            let host = Host::default();
            let config = aws_sdk_iam::config::Builder::from(&sdk).interceptor(host.clone());
            let careful = config.clone().retry_classifier(OnlyThrottling).timeout_config(writes);
            Service {
                read: aws_sdk_iam::Client::from_conf(config.build()),
                write: aws_sdk_iam::Client::from_conf(careful.build()),
                host,
            }
        };
        Self {
            sdk,
            sts,
            iam,
            eks: Mutex::default(),
            caller: OnceCell::new(),
            iam_reads: Semaphore::new(SIDE_BY_SIDE),
            eks_reads: Semaphore::new(SIDE_BY_SIDE),
        }
    }

    /// EKS of one region.
    fn eks_in(&self, region: &str) -> Arc<Service<aws_sdk_eks::Client>> {
        let mut regions = self.eks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = regions.get(region) {
            return known.clone();
        }
        let writes = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(CALL)
            .operation_timeout(CALL)
            .build();
        let host = Host::default();
        let config = aws_sdk_eks::config::Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .interceptor(host.clone());
        let careful = config.clone().retry_classifier(OnlyThrottling).timeout_config(writes);
        let made = Arc::new(Service {
            read: aws_sdk_eks::Client::from_conf(config.build()),
            write: aws_sdk_eks::Client::from_conf(careful.build()),
            host,
        });
        regions.insert(region.to_owned(), made.clone());
        made
    }

    /// EKS of a cluster, once it is known that the cluster's account is the caller's: EKS looks a
    /// cluster up by its name alone, and another account may have one of the same name.
    async fn eks_of(&self, call: &str, cluster: &ClusterArn) -> Answer<Arc<Service<aws_sdk_eks::Client>>> {
        self.same_account(call, &cluster.account()).await?;
        Ok(self.eks_in(cluster.region()))
    }

    /// IAM looks a role up by its name alone, so that its account has to be compared before.
    async fn same_account_as_role(&self, call: &str, role: &RoleArn) -> Answer<()> {
        self.same_account(call, &role.account()).await
    }

    async fn same_account(&self, call: &str, account: &AccountId) -> Answer<()> {
        let caller = self.caller.get_or_try_init(|| self.caller()).await?;
        if caller.account == *account {
            return Ok(());
        }
        Err(PortError::Invalid(format!(
            "{call}: it is in account {account}, and these credentials are for account {}",
            caller.account
        )))
    }

    /// What makes tokens for a cluster's API server.
    pub(super) fn token_maker(&self, cluster: &ClusterArn) -> TokenMaker {
        TokenMaker::new(self.sdk.clone(), cluster)
    }

    /// The region that the user's configuration names.
    pub(super) fn region(&self) -> Option<String> {
        Some(self.sdk.region()?.to_string())
    }
}

/// A write is sent again only if it was throttled.
#[derive(Debug)]
struct OnlyThrottling;

impl ClassifyRetry for OnlyThrottling {
    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, _context: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        let throttled = matches!(
            previous,
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. })
        );
        if throttled || *previous == RetryAction::NoActionIndicated {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::RetryForbidden
        }
    }

    fn name(&self) -> &'static str {
        "OnlyThrottling"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // The last of those there are.
        RetryClassifierPriority::run_after(RetryClassifierPriority::run_after(
            RetryClassifierPriority::transient_error_classifier(),
        ))
    }
}
