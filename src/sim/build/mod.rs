//! Worlds to order.

mod nodes;
mod pods;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::aws::{AGENT_ADDON, RoleState, Trust};
use super::cluster::{AUDIENCE, Cluster, Environment};
use super::handle::Sim;
use super::versioned::Versioned;
use super::world::World;
use crate::inventory::{
    AddonUse, AgentOnNode, Association, AssociationDetail, Caller, ClusterFacts, Compute, Provider, RoleDetail, Seen,
    ServiceAccount,
};
use crate::model::{AccountId, ClusterArn, Digest, Issuer, RoleArn, Subject};

/// How long a world has been there when it is handed out: every pod is up by then.
const AGE: Duration = Duration::from_mins(10);

/// A Monday morning, at the beginning of a working day.
const BEGINS: &str = "2026-03-02T09:00:00Z";

/// A world in the making. Names are those of the cluster that was named last.
///
/// Names that are none make it panic: they are constants of whoever builds.
#[derive(Debug, Clone)]
pub struct Builder {
    world: World,
    begins: Timestamp,
    account: AccountId,
    region: String,
    cluster: Option<ClusterArn>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty world in account 111122223333 and region eu-west-1, on a Monday morning.
    #[must_use]
    pub fn new() -> Self {
        let begins: Timestamp = known(BEGINS.parse());
        Self {
            world: World::new(begins - AGE),
            begins,
            account: known(AccountId::parse("111122223333")),
            region: "eu-west-1".to_owned(),
            cluster: None,
        }
    }

    /// The moment at which the world is handed out.
    #[must_use]
    pub fn begins(mut self, at: Timestamp) -> Self {
        self.begins = at;
        self.world.now = at - AGE;
        self
    }

    /// The account of what follows.
    #[must_use]
    pub fn account(mut self, id: &str) -> Self {
        self.account = known(AccountId::parse(id));
        self
    }

    /// The region of what follows.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// A cluster with two API servers, three EC2 nodes, the agent on each, and its OIDC provider.
    /// What follows is in it.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        let arn = known(ClusterArn::parse(&format!("arn:aws:eks:{}:{}:cluster/{name}", self.region, self.account)));
        let id = Digest::of(arn.as_str().as_bytes()).short(32).to_ascii_uppercase();
        let host = format!("oidc.eks.{}.amazonaws.com", self.region);
        let issuer = known(Issuer::parse(&format!("{host}/id/{id}")));
        let facts = ClusterFacts {
            endpoint: format!("https://{id}.gr7.{}.eks.amazonaws.com", self.region),
            certificate_authority: "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==".to_owned(),
            issuer: Some(issuer.clone()),
            version: "1.34".to_owned(),
            platform_version: "eks.9".to_owned(),
            auto_mode: false,
            status: "ACTIVE".to_owned(),
        };
        let agent = AddonUse {
            name: AGENT_ADDON.to_owned(),
            version: "v1.3.10-eksbuild.2".to_owned(),
            status: "ACTIVE".to_owned(),
            role_arn: None,
            association_arns: Vec::new(),
        };
        let env = Environment {
            arn: arn.clone(),
            facts,
            own_issuer: issuer.clone(),
            api_servers: 2,
            addons: [(agent.name.clone(), agent)].into(),
            associations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            association_quota: 5000,
            service_accounts: BTreeMap::new(),
            nodes: BTreeMap::new(),
            fargate: std::collections::BTreeSet::new(),
            budgets: Vec::new(),
            quotas: BTreeMap::new(),
            rejections: BTreeMap::new(),
            webhook_down: false,
            webhook_went_down: None,
            leases: BTreeMap::new(),
            lease_version: 0,
        };
        let provider = Provider { issuer: issuer.clone(), client_ids: vec![AUDIENCE.to_owned()] };
        let account = self.world.account(&self.account);
        account.providers.insert(issuer, Versioned::since_ever(Some(provider)));
        let cluster = Cluster { env, workloads: BTreeMap::new(), bare: Vec::new(), settled_until: None };
        self.world.clusters.insert(arn.clone(), cluster);
        self.cluster = Some(arn);
        for host in ["10-0-1-23", "10-0-2-117", "10-0-3-81"] {
            self = self.node(host, Compute::Ec2, AgentOnNode::Ready);
        }
        self
    }

    /// How many API servers the cluster has.
    #[must_use]
    pub fn api_servers(mut self, count: u32) -> Self {
        self.here().env.api_servers = count;
        self
    }

    /// A role with this trust policy.
    #[must_use]
    pub fn role_with(mut self, name: &str, trust: &str) -> Self {
        let arn = self.role_arn(name);
        let role_id = format!("AROA{}", Digest::of(arn.as_str().as_bytes()).short(17).to_ascii_uppercase());
        let detail = RoleDetail { tags: BTreeMap::new(), description: None, last_used: None };
        let trust = Versioned::since_ever(Some(Trust::new(trust)));
        let role = RoleState { role_id, trust, detail: Seen::Seen(detail) };
        self.world.account(&arn.account()).roles.insert(arn, role);
        self
    }

    /// A role that trusts these ServiceAccounts (namespace and name) of the cluster. One that is
    /// there already trusts them as well.
    #[must_use]
    pub fn role(mut self, name: &str, subjects: &[(&str, &str)]) -> Self {
        let statement = self.statement(subjects);
        let arn = self.role_arn(name);
        let there =
            self.world.account(&arn.account()).roles.get(&arn).and_then(|it| Some(it.trust.now()?.text.clone()));
        let statements = match there.and_then(|it| it.strip_suffix("\n  ]\n}\n").map(str::to_owned)) {
            Some(before) => format!("{before},\n{statement}\n  ]\n}}\n"),
            None => format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n{statement}\n  ]\n}}\n"),
        };
        self.role_with(name, &statements)
    }

    /// The trust policy of a role, for one that is much like it; empty for none.
    #[must_use]
    pub fn trust_of(&self, name: &str) -> String {
        let arn = self.role_arn(name);
        let role = self.world.accounts.get(&arn.account()).and_then(|it| it.roles.get(&arn));
        role.and_then(|it| Some(it.trust.now()?.text.clone())).unwrap_or_default()
    }

    fn statement(&mut self, subjects: &[(&str, &str)]) -> String {
        let account = self.account.clone();
        let cluster = self.here();
        let issuer = cluster.env.own_issuer.clone();
        let provider = issuer.provider_arn(cluster.env.arn.partition(), &account);
        let mut subs: Vec<String> =
            subjects.iter().map(|(namespace, name)| format!("\"system:serviceaccount:{namespace}:{name}\"")).collect();
        let subs = if subs.len() == 1 { subs.remove(0) } else { format!("[{}]", subs.join(", ")) };
        format!(
            r#"    {{
      "Effect": "Allow",
      "Principal": {{ "Federated": "{provider}" }},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {{
        "StringEquals": {{
          "{issuer}:sub": {subs},
          "{issuer}:aud": "{AUDIENCE}"
        }}
      }}
    }}"#
        )
    }

    /// Tags of a role.
    #[must_use]
    pub fn role_tags(mut self, name: &str, tags: &[(&str, &str)]) -> Self {
        let arn = self.role_arn(name);
        let role = self.world.account(&arn.account()).roles.get_mut(&arn);
        if let Some(RoleState { detail: Seen::Seen(detail), .. }) = role {
            detail.tags.extend(tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        }
        self
    }

    /// A ServiceAccount, annotated with this text (a role's name stands for its ARN) or not.
    #[must_use]
    pub fn service_account(mut self, namespace: &str, name: &str, role: Option<&str>) -> Self {
        let role_arn =
            role.map(|it| if it.starts_with("arn:") { it.to_owned() } else { self.role_arn(it).to_string() });
        self = self.service_account_with(namespace, name, |it| it.role_arn = role_arn);
        self
    }

    /// A ServiceAccount, as `edit` leaves it.
    #[must_use]
    pub fn service_account_with(mut self, namespace: &str, name: &str, edit: impl FnOnce(&mut ServiceAccount)) -> Self {
        let mut it = ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: self.world.ids.uid(),
            role_arn: None,
            audience: None,
            owners: Vec::new(),
            labels: BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())]),
        };
        edit(&mut it);
        let key = (namespace.to_owned(), name.to_owned());
        self.here().env.service_accounts.insert(key, Versioned::since_ever(Some(it)));
        self
    }

    /// An association that somebody made long ago, with session tags.
    #[must_use]
    pub fn association(self, namespace: &str, service_account: &str, role: &str) -> Self {
        self.association_with(namespace, service_account, role, |_| {})
    }

    /// An association that somebody made long ago, as `edit` leaves it.
    #[must_use]
    pub fn association_with(
        mut self,
        namespace: &str,
        service_account: &str,
        role: &str,
        edit: impl FnOnce(&mut Association),
    ) -> Self {
        let detail = AssociationDetail {
            role_arn: self.role_arn(role),
            target_role_arn: None,
            disable_session_tags: false,
            has_policy: false,
            tags: BTreeMap::new(),
            created_at: Some(self.world.now - Duration::from_hours(24 * 90)),
        };
        let mut it = Association {
            id: format!("a-{}", self.world.ids.suffix(17)),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            owner: None,
            detail: Some(Seen::Seen(detail)),
        };
        edit(&mut it);
        let key = (namespace.to_owned(), service_account.to_owned());
        self.here().env.associations.insert(key, Versioned::since_ever(Some(it)));
        self
    }

    /// An add-on of EKS.
    #[must_use]
    pub fn addon(mut self, name: &str, version: &str, role: Option<&str>) -> Self {
        let role_arn = role.map(|it| self.role_arn(it).to_string());
        let it = AddonUse {
            name: name.to_owned(),
            version: version.to_owned(),
            status: "ACTIVE".to_owned(),
            role_arn,
            association_arns: Vec::new(),
        };
        self.here().env.addons.insert(name.to_owned(), it);
        self
    }

    /// Anything else: before the world's time begins to pass.
    #[must_use]
    pub fn with(mut self, edit: impl FnOnce(&mut World)) -> Self {
        edit(&mut self.world);
        self
    }

    /// The ARN of a role of the account.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> RoleArn {
        known(RoleArn::parse(&format!("arn:aws:iam::{}:role/{name}", self.account)))
    }

    /// A ServiceAccount of the cluster.
    #[must_use]
    pub fn subject(&mut self, namespace: &str, service_account: &str) -> Subject {
        Subject {
            cluster: self.here().env.arn.clone(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        }
    }

    /// The address and the CA (PEM in base64) of the cluster's API server.
    #[must_use]
    pub fn endpoint(mut self, url: &str, certificate_authority: &str) -> Self {
        let facts = &mut self.here().env.facts;
        url.clone_into(&mut facts.endpoint);
        certificate_authority.clone_into(&mut facts.certificate_authority);
        self
    }

    /// The cluster's issuer in place of the made-up one, in its OIDC provider as well. Roles that
    /// are made before keep the old one.
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        let issuer = known(Issuer::parse(issuer));
        let env = &mut self.here().env;
        let old = std::mem::replace(&mut env.own_issuer, issuer.clone());
        env.facts.issuer = Some(issuer.clone());
        let provider = Provider { issuer: issuer.clone(), client_ids: vec![AUDIENCE.to_owned()] };
        let account = self.account.clone();
        let providers = &mut self.world.account(&account).providers;
        providers.remove(&old);
        providers.insert(issuer, Versioned::since_ever(Some(provider)));
        self
    }

    /// The world itself, for whoever calls it in other ways than through the ports.
    #[must_use]
    pub fn world(mut self) -> World {
        self.world.tick(self.begins);
        self.world
    }

    /// The world, called by an administrator of the account that was named last.
    #[must_use]
    pub fn sim(self) -> Sim {
        let arn = format!("arn:aws:sts::{}:assumed-role/platform-admin/operator", self.account);
        let who = Caller { account: self.account.clone(), arn };
        Sim::of(self.world(), who)
    }

    #[expect(clippy::expect_used, reason = "a builder's caller names the cluster first; that is fixed in its code")]
    fn here(&mut self) -> &mut Cluster {
        let arn = self.cluster.as_ref().expect("a cluster is named before what is in it");
        let cluster = self.world.clusters.get_mut(arn).expect("a cluster that was named is there");
        cluster.touch();
        cluster
    }
}

#[expect(clippy::expect_used, reason = "names in a builder are constants of its caller's code")]
fn known<T, E: std::fmt::Debug>(parsed: Result<T, E>) -> T {
    parsed.expect("a name that is one")
}
