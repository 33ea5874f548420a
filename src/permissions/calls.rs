//! The table: each call of the ports, who makes it, and the rights that it needs.

use super::Stage;

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The trait: `Iam`, `Eks` or `Cluster`.
    pub port: &'static str,
    /// The method.
    pub method: &'static str,
    /// The least stage that makes it.
    pub stage: Stage,
    /// The rights; none for a call that AWS lets everybody make.
    pub needs: &'static [Need],
}

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An action of IAM or EKS.
    Aws(&'static str, On),
    /// A verb on a resource of every namespace, or of none: group, resource, verb.
    Everywhere(&'static str, &'static str, &'static str),
    /// A verb on a resource of `kube-system`.
    System(&'static str, &'static str, &'static str),
    /// A verb on our own lease.
    OurLease(&'static str),
    /// Creating a lease; Kubernetes cannot limit a create to one name.
    NewLease,
    /// Creating a pod, only ever as a dry run.
    DryRunPod,
    /// Reading a path of the API server that is no resource.
    Path(&'static str),
}

/// What an action of AWS is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The action takes no resource.
    Everything,
    /// The OIDC providers of the account.
    Providers,
    /// Every role of the account, only to read: which of them matter is what a scan finds out.
    AnyRole,
    /// The roles in scope.
    Roles,
    /// The roles in scope, passed to Pod Identity.
    PassedRoles,
    /// The clusters in scope.
    Clusters,
    /// Add-ons of the clusters in scope.
    Addons,
    /// Associations of the clusters in scope.
    Associations,
    /// Associations that carry our mark.
    OurAssociations,
    /// Associations that are being made, with our mark.
    NewAssociations,
}

const fn scan(port: &'static str, method: &'static str, needs: &'static [Need]) -> Call {
    Call { port, method, stage: Stage::Scan, needs }
}

const fn apply(port: &'static str, method: &'static str, needs: &'static [Need]) -> Call {
    Call { port, method, stage: Stage::Apply, needs }
}

use Need::{Aws, DryRunPod, Everywhere, NewLease, OurLease, Path, System};

/// Every call, in the order of the ports.
///
/// Which resource an action takes is from the service authorization reference of IAM and EKS.
/// Creating an association needs `iam:PassRole`, and `eks:TagResource` for the tags that it is made
/// with. API servers answer the issuer's document to who may read its path.
const CALLS: &[Call] = &[
    // `sts:GetCallerIdentity` is open to every identity.
    scan("Iam", "caller", &[]),
    scan("Iam", "trust_quota", &[Aws("iam:GetAccountSummary", On::Everything)]),
    scan(
        "Iam",
        "providers",
        &[Aws("iam:ListOpenIDConnectProviders", On::Everything), Aws("iam:GetOpenIDConnectProvider", On::Providers)],
    ),
    scan("Iam", "roles", &[Aws("iam:ListRoles", On::Everything)]),
    scan("Iam", "role", &[Aws("iam:GetRole", On::AnyRole)]),
    apply("Iam", "set_trust", &[Aws("iam:UpdateAssumeRolePolicy", On::Roles)]),
    scan("Eks", "cluster", &[Aws("eks:DescribeCluster", On::Clusters)]),
    scan("Eks", "agent_addon", &[Aws("eks:DescribeAddon", On::Addons)]),
    scan("Eks", "addons", &[Aws("eks:ListAddons", On::Clusters), Aws("eks:DescribeAddon", On::Addons)]),
    scan("Eks", "associations", &[Aws("eks:ListPodIdentityAssociations", On::Clusters)]),
    scan("Eks", "association", &[Aws("eks:DescribePodIdentityAssociation", On::Associations)]),
    apply(
        "Eks",
        "association_of",
        &[
            Aws("eks:ListPodIdentityAssociations", On::Clusters),
            Aws("eks:DescribePodIdentityAssociation", On::Associations),
        ],
    ),
    apply(
        "Eks",
        "create_association",
        &[
            Aws("eks:CreatePodIdentityAssociation", On::Clusters),
            Aws("eks:TagResource", On::NewAssociations),
            Aws("iam:PassRole", On::PassedRoles),
        ],
    ),
    apply("Eks", "delete_association", &[Aws("eks:DeletePodIdentityAssociation", On::OurAssociations)]),
    scan("Cluster", "own_issuer", &[Path("/.well-known/openid-configuration")]),
    scan("Cluster", "api_servers", &[System("coordination.k8s.io", "leases", "list")]),
    scan(
        "Cluster",
        "service_accounts",
        &[Everywhere("", "serviceaccounts", "list"), Everywhere("", "namespaces", "list")],
    ),
    apply(
        "Cluster",
        "service_account",
        &[Everywhere("", "serviceaccounts", "get"), Everywhere("", "namespaces", "get")],
    ),
    scan(
        "Cluster",
        "workloads",
        &[
            Everywhere("apps", "deployments", "list"),
            Everywhere("apps", "statefulsets", "list"),
            Everywhere("apps", "daemonsets", "list"),
            Everywhere("apps", "replicasets", "list"),
            Everywhere("", "replicationcontrollers", "list"),
            Everywhere("batch", "jobs", "list"),
            Everywhere("batch", "cronjobs", "list"),
        ],
    ),
    apply(
        "Cluster",
        "workload",
        &[
            Everywhere("apps", "deployments", "get"),
            Everywhere("apps", "statefulsets", "get"),
            Everywhere("apps", "daemonsets", "get"),
            Everywhere("apps", "replicasets", "get"),
            Everywhere("", "replicationcontrollers", "get"),
            Everywhere("batch", "jobs", "get"),
            Everywhere("batch", "cronjobs", "get"),
        ],
    ),
    // ReplicaSets and Jobs tell which Deployment or CronJob a pod belongs to.
    scan(
        "Cluster",
        "pods",
        &[
            Everywhere("", "pods", "list"),
            Everywhere("apps", "replicasets", "list"),
            Everywhere("batch", "jobs", "list"),
            Everywhere("policy", "poddisruptionbudgets", "list"),
        ],
    ),
    apply(
        "Cluster",
        "pods_of",
        &[
            Everywhere("", "pods", "list"),
            Everywhere("apps", "replicasets", "get"),
            Everywhere("batch", "jobs", "get"),
            Everywhere("policy", "poddisruptionbudgets", "list"),
        ],
    ),
    // It lists what it watches, to be told of every change since.
    apply(
        "Cluster",
        "changed",
        &[
            Everywhere("", "pods", "list"),
            Everywhere("", "pods", "watch"),
            Everywhere("apps", "deployments", "list"),
            Everywhere("apps", "deployments", "watch"),
            Everywhere("apps", "statefulsets", "list"),
            Everywhere("apps", "statefulsets", "watch"),
            Everywhere("apps", "daemonsets", "list"),
            Everywhere("apps", "daemonsets", "watch"),
            Everywhere("apps", "replicasets", "list"),
            Everywhere("apps", "replicasets", "watch"),
            Everywhere("", "replicationcontrollers", "list"),
            Everywhere("", "replicationcontrollers", "watch"),
        ],
    ),
    // The agent on each node is told by its pods.
    scan("Cluster", "nodes", &[Everywhere("", "nodes", "list"), Everywhere("", "pods", "list")]),
    apply(
        "Cluster",
        "probe",
        &[
            DryRunPod,
            Everywhere("apps", "deployments", "get"),
            Everywhere("apps", "statefulsets", "get"),
            Everywhere("apps", "daemonsets", "get"),
            Everywhere("apps", "replicasets", "get"),
            Everywhere("", "replicationcontrollers", "get"),
            Everywhere("batch", "jobs", "get"),
            Everywhere("batch", "cronjobs", "get"),
        ],
    ),
    apply(
        "Cluster",
        "stamp",
        &[
            Everywhere("apps", "deployments", "get"),
            Everywhere("apps", "deployments", "patch"),
            Everywhere("apps", "statefulsets", "get"),
            Everywhere("apps", "statefulsets", "patch"),
            Everywhere("apps", "daemonsets", "get"),
            Everywhere("apps", "daemonsets", "patch"),
        ],
    ),
    // It looks for the pod of that UID first.
    apply("Cluster", "evict", &[Everywhere("", "pods", "list"), Everywhere("", "pods/eviction", "create")]),
    apply("Cluster", "lease", &[OurLease("get")]),
    apply("Cluster", "write_lease", &[NewLease, OurLease("update")]),
    apply("Cluster", "delete_lease", &[OurLease("delete")]),
];

/// The calls that a stage makes: `apply` makes all that `scan` makes.
pub fn calls(stage: Stage) -> impl Iterator<Item = &'static Call> {
    CALLS.iter().filter(move |it| it.stage <= stage)
}
