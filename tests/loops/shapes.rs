//! Worlds with one idea each, small enough that every call of their runs can be made to fail.

use std::time::Duration;

use irsa_migrate::inventory::{Strategy, WorkloadKind, WorkloadRef};
use irsa_migrate::sim::build::Builder;
use irsa_migrate::sim::{BudgetRule, Deed, Sim};

/// A world with one idea in it.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) settings: &'static str,
    pub(crate) build: fn() -> Builder,
    /// What happens between the plan and its run.
    pub(crate) after_plan: fn(&Sim),
}

/// Every shape, in the order of their names below.
pub(crate) const SHAPES: [&Shape; 15] = [
    &ONE,
    &SHARED,
    &TWO_CLUSTERS,
    &BUDGET,
    &ON_DELETE,
    &STRAGGLERS,
    &BARE_POD,
    &CRON_JOB,
    &WILDCARD,
    &ADOPTED,
    &THREE_WAVES,
    &AUTOSCALED,
    &ONE_REFUSED,
    &NEEDS_CREDENTIALS,
    &PREPARED,
];

const fn shape(name: &'static str, settings: &'static str, build: fn() -> Builder) -> Shape {
    Shape { name, settings, build, after_plan: |_| {} }
}

pub(crate) const ONE: Shape = shape("one ServiceAccount", "", one);
pub(crate) const SHARED: Shape = shape("a shared role", "", shared);
pub(crate) const TWO_CLUSTERS: Shape = shape("a role in two clusters", "", two_clusters);
pub(crate) const BUDGET: Shape = shape("a StatefulSet with a budget", "", budget);
pub(crate) const ON_DELETE: Shape = shape("a DaemonSet that rolls on delete", "", on_delete);
pub(crate) const STRAGGLERS: Shape =
    shape("pods admitted before every API server knew", "[apply]\neffective = \"observe\"\n", stragglers);
pub(crate) const BARE_POD: Shape = shape("a bare pod", "", bare_pod);
pub(crate) const CRON_JOB: Shape = shape("a CronJob", "", cron_job);
pub(crate) const WILDCARD: Shape = shape("a wildcard trust", "", wildcard);
pub(crate) const ADOPTED: Shape = shape("an association that is there already", "", adopted);
pub(crate) const THREE_WAVES: Shape = shape(
    "three waves",
    "[[wave]]\nname = \"first\"\nnamespaces = [\"a\"]\n[[wave]]\nname = \"second\"\nnamespaces = [\"b\"]\n\
     [[wave]]\nname = \"third\"\n",
    three_waves,
);
pub(crate) const AUTOSCALED: Shape = shape("a Deployment with an autoscaler", "", autoscaled);
pub(crate) const ONE_REFUSED: Shape =
    Shape { after_plan: bind_stock, ..shape("two units, one refused", "", one_refused) };
pub(crate) const NEEDS_CREDENTIALS: Shape = shape("pods that are Ready only with credentials", "", needs_credentials);
pub(crate) const PREPARED: Shape = shape("a role that is prepared already", "", prepared);

fn one() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .deployment("shop", "cart", "cart", 2)
}

fn shared() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("shared", &[("shop", "cart"), ("shop", "stock")])
        .service_account("shop", "cart", Some("shared"))
        .service_account("shop", "stock", Some("shared"))
        .deployment("shop", "cart", "cart", 1)
        .workload(WorkloadKind::StatefulSet, "shop", "stock", "stock", 2)
}

fn two_clusters() -> Builder {
    let in_each = |it: Builder| {
        it.role("ship", &[("logs", "ship")])
            .service_account("logs", "ship", Some("ship"))
            .deployment("logs", "ship", "ship", 1)
    };
    in_each(in_each(Builder::new().cluster("blue")).cluster("green"))
}

fn budget() -> Builder {
    use WorkloadKind::StatefulSet;
    Builder::new()
        .cluster("blue")
        .role("db", &[("shop", "db")])
        .service_account("shop", "db", Some("db"))
        .workload_with(StatefulSet, "shop", "db", "db", 3, |it| it.strategy = Strategy::OnDelete)
        .budget("shop", "db", BudgetRule::MinAvailable(2), &[(StatefulSet, "db")])
}

fn on_delete() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("ship", &[("logs", "ship")])
        .service_account("logs", "ship", Some("ship"))
        .workload_with(WorkloadKind::DaemonSet, "logs", "ship", "ship", 3, |it| it.strategy = Strategy::OnDelete)
}

/// Nothing is probed, and three API servers learn of the association one after the other.
fn stragglers() -> Builder {
    one().api_servers(3)
}

fn bare_pod() -> Builder {
    one().bare_pod("shop", "by-hand", "cart")
}

fn cron_job() -> Builder {
    one().workload_with(WorkloadKind::CronJob, "shop", "report", "cart", 0, |it| {
        it.schedule = Some("*/2 * * * *".to_owned());
        it.every = Duration::from_mins(2);
        it.run_time = Duration::from_secs(30);
    })
}

fn wildcard() -> Builder {
    let it = Builder::new().cluster("blue").role("all", &[("shop", "*")]);
    let trust = it.trust_of("all").replace("StringEquals", "StringLike");
    it.role_with("all", &trust).service_account("shop", "cart", Some("all")).deployment("shop", "cart", "cart", 2)
}

/// `stock` is on Pod Identity by somebody else's hand; `cart` shares its role and is not.
fn adopted() -> Builder {
    let it = Builder::new().cluster("blue").role("shared", &[("shop", "cart"), ("shop", "stock")]);
    let open = r#"    {
      "Sid": "ByHand",
      "Effect": "Allow",
      "Principal": { "Service": "pods.eks.amazonaws.com" },
      "Action": ["sts:AssumeRole", "sts:TagSession"],
      "Condition": { "StringEquals": { "aws:RequestTag/kubernetes-service-account": "stock" } }
    }"#;
    let trust = it.trust_of("shared").replace("\n  ]\n}\n", &format!(",\n{open}\n  ]\n}}\n"));
    it.role_with("shared", &trust)
        .service_account("shop", "cart", Some("shared"))
        .service_account("shop", "stock", Some("shared"))
        .association("shop", "stock", "shared")
        .deployment("shop", "cart", "cart", 1)
        .deployment("shop", "stock", "stock", 1)
}

fn three_waves() -> Builder {
    let each = |it: Builder, namespace: &str| {
        it.role(namespace, &[(namespace, "app")])
            .service_account(namespace, "app", Some(namespace))
            .deployment(namespace, "app", "app", 1)
    };
    ["a", "b", "c"].into_iter().fold(Builder::new().cluster("blue"), each)
}

/// Pods come and go before, during and after the run: every ten calls another number of them.
fn autoscaled() -> Builder {
    one().with(|world| {
        let Some(cluster) = world.cluster_arns().first().cloned() else { return };
        for (turn, call) in (1..400).step_by(10).enumerate() {
            let pods = [3, 5, 2, 4][turn % 4];
            world.meanwhile(call, Deed::Scale(cluster.clone(), cart(), pods));
        }
    })
}

fn cart() -> WorkloadRef {
    WorkloadRef { kind: WorkloadKind::Deployment, namespace: "shop".into(), name: "cart".into() }
}

/// Two roles and their ServiceAccounts.
fn one_refused() -> Builder {
    one()
        .role("stock", &[("shop", "stock")])
        .service_account("shop", "stock", Some("stock"))
        .deployment("shop", "stock", "stock", 1)
}

/// Somebody binds one of the two Deployments to other nodes after the plan was made: that unit is refused.
fn bind_stock(sim: &Sim) {
    let cluster = sim.world().cluster_arns().remove(0);
    let stock = WorkloadRef { name: "stock".into(), ..cart() };
    let linux = ("kubernetes.io/os".to_owned(), "linux".to_owned());
    let bound = sim.world().edit_workload(&cluster, &stock, |it| it.template.node_selector.extend([linux]));
    bound.expect("it is there");
    sim.world().pass(Duration::from_mins(1));
}

/// Somebody has let Pod Identity in already: nothing is added.
fn prepared() -> Builder {
    let open = r#"    {
      "Sid": "ByHand",
      "Effect": "Allow",
      "Principal": { "Service": "pods.eks.amazonaws.com" },
      "Action": ["sts:AssumeRole", "sts:TagSession"]
    }"#;
    let it = one();
    let trust = it.trust_of("cart").replace("\n  ]\n}\n", &format!(",\n{open}\n  ]\n}}\n"));
    it.role_with("cart", &trust)
}

fn needs_credentials() -> Builder {
    Builder::new()
        .cluster("blue")
        .role("cart", &[("shop", "cart")])
        .service_account("shop", "cart", Some("cart"))
        .workload_with(WorkloadKind::Deployment, "shop", "cart", "cart", 2, |it| it.needs_credentials = true)
}
