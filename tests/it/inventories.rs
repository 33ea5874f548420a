//! Small inventories, one idea each.

use std::collections::BTreeMap;

use irsa_migrate::inventory::{
    Account, AgentOnNode, Caller, Cluster, ClusterFacts, Compute, Inventory, Mode, Node, OwnerRef, Pod, Provider, Role,
    RoleDetail, Seen, ServiceAccount, Strategy, Workload, WorkloadKind, WorkloadRef,
};
use irsa_migrate::model::{AccountId, ClusterArn, Issuer, Kind, RoleArn, Subject};

pub(crate) const ACCOUNT: &str = "111122223333";

pub(crate) fn cluster_arn(name: &str) -> ClusterArn {
    ClusterArn::parse(&format!("arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/{name}")).expect("an ARN")
}

pub(crate) fn role_arn(name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::{ACCOUNT}:role/{name}")).expect("an ARN")
}

pub(crate) fn issuer(cluster: &str) -> Issuer {
    Issuer::parse(&format!("oidc.eks.eu-west-1.amazonaws.com/id/{}", cluster.to_uppercase())).expect("an issuer")
}

pub(crate) fn subject(cluster: &str, namespace: &str, name: &str) -> Subject {
    Subject { cluster: cluster_arn(cluster), namespace: namespace.to_owned(), service_account: name.to_owned() }
}

/// A trust policy that lets these ServiceAccounts (`CLUSTER`, `NAMESPACE:NAME`) in, a statement each.
pub(crate) fn trust(grants: &[(&str, &str)]) -> String {
    let statements: Vec<String> = grants
        .iter()
        .map(|(cluster, subject)| {
            let issuer = issuer(cluster);
            format!(
                r#"{{
      "Effect": "Allow",
      "Principal": {{ "Federated": "arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}" }},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {{
        "StringEquals": {{
          "{issuer}:sub": "system:serviceaccount:{subject}",
          "{issuer}:aud": "sts.amazonaws.com"
        }}
      }}
    }}"#
            )
        })
        .collect();
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {}\n  ]\n}}", statements.join(",\n    "))
}

/// A fleet that is built up a line at a time.
pub(crate) struct Fleet(pub(crate) Inventory);

impl Fleet {
    /// Clusters with a node each, an agent on it, and a provider for their issuer.
    pub(crate) fn of(clusters: &[&str]) -> Self {
        let account = AccountId::parse(ACCOUNT).expect("an account");
        let providers = clusters
            .iter()
            .map(|it| Provider { issuer: issuer(it), client_ids: vec!["sts.amazonaws.com".to_owned()] })
            .collect();
        let iam =
            Account { trust_quota: Seen::Seen(2048), providers: Seen::Seen(providers), roles: Seen::Seen(Vec::new()) };
        let clusters = clusters.iter().map(|it| cluster(it)).collect();
        Self(Inventory {
            format: Kind::Inventory.current(),
            taken_at: "2026-11-24T12:00:00Z".parse().expect("a time"),
            caller: Caller { account: account.clone(), arn: format!("arn:aws:iam::{ACCOUNT}:user/ann") },
            accounts: BTreeMap::from([(account, iam)]),
            clusters,
        })
    }

    pub(crate) fn role(mut self, name: &str, trust: &str) -> Self {
        let account = self.0.accounts.values_mut().next().expect("an account");
        let Seen::Seen(roles) = &mut account.roles else { panic!("roles were read") };
        roles.push(Role {
            arn: role_arn(name),
            role_id: format!("AROA{}", name.to_uppercase()),
            trust: trust.to_owned(),
            detail: Some(Seen::Seen(RoleDetail { tags: BTreeMap::new(), description: None, last_used: None })),
        });
        roles.sort_by(|a, b| a.arn.cmp(&b.arn));
        self
    }

    pub(crate) fn cluster(&mut self, name: &str) -> &mut Cluster {
        let arn = cluster_arn(name);
        self.0.clusters.iter_mut().find(|it| it.arn == arn).expect("the cluster")
    }

    pub(crate) fn account(mut self, cluster: &str, namespace: &str, name: &str, role: &str) -> Self {
        let Seen::Seen(accounts) = &mut self.cluster(cluster).service_accounts else { panic!("they were read") };
        accounts.push(ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{namespace}-{name}"),
            role_arn: Some(role_arn(role).to_string()),
            audience: None,
            owners: Vec::new(),
            labels: BTreeMap::from([("team".to_owned(), namespace.to_owned())]),
        });
        self
    }

    /// A workload of a ServiceAccount, with its pods on IRSA; `change` makes it special.
    pub(crate) fn workload(
        mut self,
        cluster: &str,
        account: (&str, &str, &str),
        kind: WorkloadKind,
        replicas: u32,
        change: impl FnOnce(&mut Workload),
    ) -> Self {
        let (namespace, name, role) = account;
        let at = WorkloadRef { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        let strategy = match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => Strategy::RollingUpdate,
            WorkloadKind::ReplicaSet
            | WorkloadKind::ReplicationController
            | WorkloadKind::Job
            | WorkloadKind::CronJob => Strategy::None,
        };
        let mut workload = Workload {
            at: at.clone(),
            uid: format!("uid-{kind}-{name}"),
            service_account: name.to_owned(),
            replicas,
            strategy,
            at_a_time: 1,
            paused: false,
            partition: 0,
            progress_deadline_seconds: None,
            controller: None,
            node_selector: BTreeMap::new(),
            aws_env: Vec::new(),
            skip_containers: Vec::new(),
            skips_webhook: false,
            stamp: None,
            schedule: None,
        };
        change(&mut workload);
        let pods = (0..replicas).map(|index| Pod {
            namespace: namespace.to_owned(),
            name: format!("{name}-{index}"),
            uid: format!("uid-pod-{name}-{index}"),
            service_account: workload.service_account.clone(),
            node: Some(format!("{cluster}-node")),
            mode: Mode::Irsa(role_arn(role).to_string()),
            ready: true,
            terminating: false,
            restarts: 0,
            created_at: "2026-11-20T12:00:00Z".parse().expect("a time"),
            workload: Some(at.clone()),
            controller: Some(OwnerRef { kind: kind.to_string(), name: name.to_owned(), uid: workload.uid.clone() }),
            budgets: BTreeMap::new(),
            skips_webhook: false,
        });
        let cluster = self.cluster(cluster);
        let Seen::Seen(all) = &mut cluster.pods else { panic!("pods were read") };
        all.extend(pods);
        let Some(Seen::Seen(all)) = cluster.workloads.get_mut(&kind) else { panic!("workloads were read") };
        all.push(workload);
        self
    }

    pub(crate) fn deployment(self, cluster: &str, account: (&str, &str, &str), replicas: u32) -> Self {
        self.workload(cluster, account, WorkloadKind::Deployment, replicas, |_| {})
    }
}

fn cluster(name: &str) -> Cluster {
    Cluster {
        arn: cluster_arn(name),
        context: None,
        facts: Seen::Seen(ClusterFacts {
            endpoint: format!("https://{name}.example"),
            certificate_authority: "Y2E=".to_owned(),
            issuer: Some(issuer(name)),
            version: "1.34".to_owned(),
            platform_version: "eks.9".to_owned(),
            auto_mode: false,
            status: "ACTIVE".to_owned(),
        }),
        own_issuer: Seen::Seen(issuer(name)),
        api_servers: Seen::Seen(2),
        agent_addon: Seen::Seen(None),
        addons: Seen::Seen(Vec::new()),
        associations: Seen::Seen(Vec::new()),
        service_accounts: Seen::Seen(Vec::new()),
        workloads: WorkloadKind::ALL.into_iter().map(|kind| (kind, Seen::Seen(Vec::new()))).collect(),
        pods: Seen::Seen(Vec::new()),
        nodes: Seen::Seen(vec![Node {
            name: format!("{name}-node"),
            compute: Compute::Ec2,
            ready: true,
            labels: BTreeMap::new(),
            agent: Seen::Seen(AgentOnNode::Ready),
        }]),
    }
}

/// One ServiceAccount, `shop/cart`, with a Deployment of three.
pub(crate) fn one() -> Inventory {
    Fleet::of(&["blue"])
        .role("cart", &trust(&[("blue", "shop:cart")]))
        .account("blue", "shop", "cart", "cart")
        .deployment("blue", ("shop", "cart", "cart"), 3)
        .0
}

/// Two ServiceAccounts of one role in one cluster, one of another role in both clusters, and a
/// tenant that annotated itself with somebody else's role.
pub(crate) fn several() -> Inventory {
    Fleet::of(&["blue", "green"])
        .role("shared", &trust(&[("blue", "shop:cart"), ("blue", "shop:stock")]))
        .role("both", &trust(&[("blue", "logs:ship"), ("green", "logs:ship")]))
        .account("blue", "shop", "cart", "shared")
        .account("blue", "shop", "stock", "shared")
        .account("blue", "logs", "ship", "both")
        .account("green", "logs", "ship", "both")
        .account("green", "tenant", "thief", "shared")
        .deployment("blue", ("shop", "cart", "shared"), 3)
        .workload("blue", ("shop", "stock", "shared"), WorkloadKind::StatefulSet, 2, |_| {})
        .workload("blue", ("logs", "ship", "both"), WorkloadKind::DaemonSet, 1, |it| it.strategy = Strategy::OnDelete)
        .deployment("green", ("logs", "ship", "both"), 1)
        .deployment("green", ("tenant", "thief", "shared"), 1)
        .0
}
