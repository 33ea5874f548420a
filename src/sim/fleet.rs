//! A made-up fleet, lifelike and small: what `demo` migrates.

use std::time::Duration;

use super::build::Builder;
use super::cluster::BudgetRule;
use super::handle::Sim;
use crate::inventory::{Strategy, WorkloadKind};

/// Two clusters of a shop in one account, with twelve annotated ServiceAccounts and what a real
/// fleet has beside the plain cases:
///
/// - `orders-events`: a role of two ServiceAccounts; `media-cdn`: one of two clusters;
/// - `team-b/reports` annotated itself with `billing-ledger`, which does not trust it;
/// - an association for `search/indexer`, whose ServiceAccount nobody made;
/// - `batch/invoice-pdf` on Fargate;
/// - `monitoring-metrics`: trust for every ServiceAccount of a namespace;
/// - an OnDelete DaemonSet, a StatefulSet under a budget, a CronJob.
#[must_use]
pub fn fleet() -> Sim {
    let world = shop(Builder::new().cluster("shop-prod"));
    staging(world.cluster("shop-staging")).sim()
}

fn shop(world: Builder) -> Builder {
    use WorkloadKind::{CronJob, DaemonSet, Deployment, StatefulSet};
    let world = roles(world);
    world
        // One role, one ServiceAccount.
        .service_account("checkout", "checkout-api", Some("checkout-payments"))
        .deployment("checkout", "checkout-api", "checkout-api", 4)
        .service_account("billing", "ledger", Some("billing-ledger"))
        .workload(StatefulSet, "billing", "ledger", "ledger", 3)
        .budget("billing", "ledger", BudgetRule::MinAvailable(2), &[(StatefulSet, "ledger")])
        // One role, two ServiceAccounts.
        .service_account("orders", "order-api", Some("orders-events"))
        .deployment("orders", "order-api", "order-api", 3)
        .service_account("orders", "order-worker", Some("orders-events"))
        .deployment("orders", "order-worker", "order-worker", 2)
        // One role, two clusters: the other half is in staging.
        .service_account("media", "thumbnailer", Some("media-cdn"))
        .deployment("media", "thumbnailer", "thumbnailer", 2)
        // A tenant's wish: the role does not trust this ServiceAccount.
        .service_account("team-b", "reports", Some("billing-ledger"))
        .deployment("team-b", "reports", "reports", 1)
        // An association, made by hand, for a ServiceAccount that does not exist.
        .association("search", "indexer", "search-index")
        .workload(Deployment, "search", "indexer", "indexer", 2)
        .service_account("batch", "invoice-pdf", Some("invoice-archive"))
        .deployment("batch", "invoice-pdf", "invoice-pdf", 1)
        .fargate("batch")
        // A wildcard trust.
        .service_account("monitoring", "metrics-agent", Some("monitoring-metrics"))
        .workload_with(DaemonSet, "monitoring", "metrics-agent", "metrics-agent", 3, |it| {
            it.strategy = Strategy::OnDelete;
        })
        .service_account("catalog", "nightly-export", Some("catalog-export"))
        .workload_with(CronJob, "catalog", "nightly-export", "nightly-export", 0, |it| {
            it.schedule = Some("15 2 * * *".to_owned());
            it.every = Duration::from_hours(24);
        })
        .service_account("catalog", "catalog-api", Some("catalog-data"))
        .deployment("catalog", "catalog-api", "catalog-api", 3)
        .addon("vpc-cni", "v1.20.4-eksbuild.1", None)
}

fn roles(world: Builder) -> Builder {
    let pods = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "AllowEksAuthToAssumeRoleForPodIdentity",
      "Effect": "Allow",
      "Principal": { "Service": "pods.eks.amazonaws.com" },
      "Action": ["sts:AssumeRole", "sts:TagSession"]
    }
  ]
}
"#;
    let monitoring = world.clone().role("monitoring-metrics", &[("monitoring", "*")]);
    let wildcard = monitoring.trust_of("monitoring-metrics").replace("StringEquals", "StringLike");
    world
        .role("checkout-payments", &[("checkout", "checkout-api")])
        .role("billing-ledger", &[("billing", "ledger")])
        .role("orders-events", &[("orders", "order-api"), ("orders", "order-worker")])
        .role("media-cdn", &[("media", "thumbnailer")])
        .role("invoice-archive", &[("batch", "invoice-pdf")])
        .role("catalog-export", &[("catalog", "nightly-export")])
        .role("catalog-data", &[("catalog", "catalog-api")])
        .role_with("search-index", pods)
        .role_with("monitoring-metrics", &wildcard)
        .role_with(
            "ci-deploy",
            "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
             \"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:root\"},\"Action\":\"sts:AssumeRole\"}]}",
        )
}

fn staging(world: Builder) -> Builder {
    world
        .role("media-cdn", &[("media", "thumbnailer")])
        .role("checkout-payments-staging", &[("checkout", "checkout-api")])
        .service_account("media", "thumbnailer", Some("media-cdn"))
        .deployment("media", "thumbnailer", "thumbnailer", 1)
        .service_account("checkout", "checkout-api", Some("checkout-payments-staging"))
        .deployment("checkout", "checkout-api", "checkout-api", 1)
}
