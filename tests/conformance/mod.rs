//! Scripts of port calls that run on every world: the simulated one, the live adapters over
//! emulators, and a real control plane. Each answer becomes a line, in words that do not depend
//! on ids or times, and the lines of two worlds are compared.

use std::time::Duration;

use irsa_migrate::inventory::{Mode, Pod, WorkloadKind, WorkloadRef};
use irsa_migrate::model::{ClusterArn, RoleArn, Subject};
use irsa_migrate::ports::{Answer, Lease, LeaseVersion, NewAssociation, PortError, Probe, Stamping, World};

/// Lines that say what was answered.
#[derive(Default)]
pub struct Transcript(pub Vec<String>);

impl Transcript {
    fn say(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// An answer whose value does not matter.
    fn outcome<T>(&mut self, what: &str, answer: &Answer<T>) {
        let how = match answer {
            Ok(_) => "ok",
            Err(error) => kind(error),
        };
        self.say(format!("{what}: {how}"));
    }
}

/// Which error it is; its text is each world's own.
fn kind(error: &PortError) -> &'static str {
    match error {
        PortError::Denied(_) => "denied",
        PortError::Credentials(_) => "credentials",
        PortError::NotFound(_) => "not found",
        PortError::Conflict(_) => "conflict",
        PortError::Throttled(_) => "throttled",
        PortError::NotNow(_) => "not now",
        PortError::Unreachable(_) => "unreachable",
        PortError::Invalid(_) => "invalid",
        PortError::Server(_) => "server",
    }
}

/// The ServiceAccount and workloads that [`kubernetes`] expects to find: `app`, annotated with
/// the role, run by Deployment `web` (3 replicas), StatefulSet `db` (2), DaemonSet `log` (OnDelete,
/// on every node), and Deployment `lone` (1 replica, with a budget of `minAvailable: 1`).
pub struct Fixture {
    pub cluster: ClusterArn,
    pub namespace: String,
    pub role: RoleArn,
}

impl Fixture {
    fn subject(&self) -> Subject {
        Subject {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            service_account: "app".to_owned(),
        }
    }

    fn workload(&self, kind: WorkloadKind, name: &str) -> WorkloadRef {
        WorkloadRef { kind, namespace: self.namespace.clone(), name: name.to_owned() }
    }
}

/// How often a world is looked at until it is as expected, a second apart.
const LOOKS: usize = 120;

struct Script<'a, W> {
    world: &'a W,
    fixture: &'a Fixture,
    said: Transcript,
}

/// Restarts, evictions, probes and leases, against an association that comes and goes.
pub async fn kubernetes<W: World>(world: &W, fixture: &Fixture) -> Vec<String> {
    let mut script = Script { world, fixture, said: Transcript::default() };
    let web = fixture.workload(WorkloadKind::Deployment, "web");
    let db = fixture.workload(WorkloadKind::StatefulSet, "db");
    let log = fixture.workload(WorkloadKind::DaemonSet, "log");
    let lone = fixture.workload(WorkloadKind::Deployment, "lone");
    script.facts().await;
    script.show("at first", &web).await;
    let first = script.controllers(&web).await;

    script.associate().await;
    script.until_probe(&web, &Mode::PodIdentity).await;
    script.show("associated, not restarted", &web).await;
    for workload in [&web, &db] {
        script.stamp(workload, None, Some("s")).await;
        script.until_complete(workload).await;
        script.show("stamped", workload).await;
    }
    let before = script.uids(&web).await;
    script.stamp(&web, Some("s"), Some("s")).await;
    script.until_complete(&web).await;
    let same = before == script.uids(&web).await;
    script.said.say(format!("the same stamp again replaces no pod: {same}"));
    script.stamp(&web, Some("other"), Some("x")).await;
    script.stamp(&web, None, Some("x")).await;

    script.stamp(&log, None, Some("s")).await;
    script.show("OnDelete, stamped", &log).await;
    script.evict_all(&log).await;
    script.until_complete(&log).await;
    script.show("OnDelete, evicted", &log).await;
    script.evict_one(&lone).await;
    script.show("under its budget", &lone).await;

    script.dissociate().await;
    script.until_probe(&web, &Mode::Irsa(fixture.role.to_string())).await;
    script.show("dissociated, not restarted", &web).await;
    for workload in [&web, &db] {
        script.stamp(workload, Some("s"), None).await;
        script.until_complete(workload).await;
        script.show("put back", workload).await;
    }
    let back = first == script.controllers(&web).await;
    script.said.say(format!("the old ReplicaSet is used again: {back}"));
    script.admitted_in_between(&web).await;
    script.leases().await;
    script.said.0
}

impl<W: World> Script<'_, W> {
    async fn facts(&mut self) {
        let namespace = self.fixture.namespace.clone();
        for kind in WorkloadKind::ALL {
            let found = self.world.workloads(&self.fixture.cluster, kind, Some(&namespace)).await;
            let mut found = found.expect("workloads can be listed");
            found.sort_by(|a, b| a.at.cmp(&b.at));
            for it in found {
                let (name, strategy, paused) = (&it.at.name, it.strategy, it.paused);
                self.said.say(format!("{kind} {name}: {} pods, {strategy:?}, paused {paused}", it.replicas));
            }
        }
        let account = self.world.service_account(&self.fixture.subject()).await.expect("it can be read");
        let account = account.expect("the ServiceAccount is there");
        self.said.say(format!("annotated: {}", account.role_arn.as_deref() == Some(self.fixture.role.as_str())));
        let absent = Subject { service_account: "nobody".to_owned(), ..self.fixture.subject() };
        let answer = self.world.service_account(&absent).await.expect("it can be asked for");
        self.said.say(format!("a ServiceAccount that is not there: {answer:?}"));
        let rejected = matches!(self.world.probe(&absent, None).await, Ok(Probe::Rejected(_)));
        self.said.say(format!("a probe of it is rejected: {rejected}"));
        let gone = self.fixture.workload(WorkloadKind::Deployment, "nothing");
        let answer = self.world.workload(&self.fixture.cluster, &gone).await.expect("it can be asked for");
        self.said.say(format!("a workload that is not there: {}", answer.is_none()));
    }

    async fn pods(&self, workload: &WorkloadRef) -> Vec<Pod> {
        let pods = self.world.pods_of(&self.fixture.subject()).await.expect("pods can be listed");
        pods.into_iter().filter(|it| it.workload.as_ref() == Some(workload) && !it.terminating).collect()
    }

    async fn uids(&self, workload: &WorkloadRef) -> Vec<String> {
        let mut uids: Vec<String> = self.pods(workload).await.into_iter().map(|it| it.uid).collect();
        uids.sort();
        uids
    }

    async fn controllers(&self, workload: &WorkloadRef) -> Vec<String> {
        let controllers = self.pods(workload).await.into_iter().filter_map(|it| it.controller);
        let mut uids: Vec<String> = controllers.map(|it| it.uid).collect();
        uids.sort();
        uids.dedup();
        uids
    }

    /// How many pods are in which mode, and Ready.
    async fn show(&mut self, when: &str, workload: &WorkloadRef) {
        let mut modes: Vec<String> =
            self.pods(workload).await.iter().map(|it| format!("{}{}", it.mode, if it.ready { "" } else { " (not Ready)" })).collect();
        modes.sort();
        let now = self.world.workload(&self.fixture.cluster, workload).await.expect("it can be read");
        let stamp = now.and_then(|it| it.workload.stamp);
        let (kind, name) = (workload.kind, &workload.name);
        self.said.say(format!("{when}: {kind} {name} has {modes:?}, stamp {stamp:?}"));
    }

    async fn associate(&mut self) {
        let new = NewAssociation {
            subject: self.fixture.subject(),
            role_arn: self.fixture.role.clone(),
            tags: [("irsa-migrate:plan".to_owned(), "conformance".to_owned())].into(),
            token: "conformance".to_owned(),
        };
        let answer = self.world.create_association(&new).await;
        self.said.outcome("associate", &answer);
        let again = NewAssociation { token: "another".to_owned(), ..new };
        let answer = self.world.create_association(&again).await;
        self.said.outcome("associate again, with another token", &answer);
    }

    async fn dissociate(&mut self) {
        let found = self.world.association_of(&self.fixture.subject()).await.expect("it can be read");
        let id = found.expect("it is there").id;
        let answer = self.world.delete_association(&self.fixture.cluster, &id).await;
        self.said.outcome("dissociate", &answer);
        let answer = self.world.delete_association(&self.fixture.cluster, &id).await;
        self.said.outcome("dissociate again", &answer);
    }

    /// Probes until five in a row answer so.
    async fn until_probe(&mut self, template: &WorkloadRef, wanted: &Mode) {
        let mut in_a_row = 0;
        for _ in 0..LOOKS {
            let answer = self.world.probe(&self.fixture.subject(), Some(template)).await;
            in_a_row = if answer == Ok(Probe::Admitted(wanted.clone())) { in_a_row + 1 } else { 0 };
            if in_a_row == 5 {
                return self.said.say(format!("probes answer {wanted}"));
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        self.said.say(format!("probes do not come to answer {wanted}"));
    }

    async fn until_complete(&mut self, workload: &WorkloadRef) {
        for _ in 0..LOOKS {
            let now = self.world.workload(&self.fixture.cluster, workload).await.expect("it can be read");
            let pods = self.pods(workload).await;
            if now.is_some_and(|it| it.rollout.complete) && pods.iter().all(|it| it.ready) {
                return;
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        self.said.say(format!("{workload} does not roll out"));
    }

    async fn stamp(&mut self, workload: &WorkloadRef, before: Option<&str>, after: Option<&str>) {
        let now = self.world.workload(&self.fixture.cluster, workload).await.expect("it can be read");
        let change = Stamping {
            workload: workload.clone(),
            uid: now.expect("it is there").workload.uid,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let answer = self.world.stamp(&self.fixture.cluster, &change).await;
        self.said.outcome(&format!("stamp {} {before:?} -> {after:?}", workload.name), &answer);
        let other = Stamping { uid: "another".to_owned(), ..change };
        let answer = self.world.stamp(&self.fixture.cluster, &other).await;
        self.said.outcome("the same on another UID", &answer);
    }

    async fn evict(&self, pod: &Pod) -> Answer<()> {
        self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, &pod.uid).await
    }

    async fn evict_all(&mut self, workload: &WorkloadRef) {
        for pod in self.pods(workload).await {
            let answer = self.evict(&pod).await;
            self.said.outcome(&format!("evict a pod of {}", workload.name), &answer);
            for _ in 0..LOOKS {
                if self.pods(workload).await.iter().all(|it| it.uid != pod.uid && it.ready) {
                    break;
                }
                self.world.sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn evict_one(&mut self, workload: &WorkloadRef) {
        let pods = self.pods(workload).await;
        let pod = pods.first().expect("it has a pod");
        let answer = self.evict(pod).await;
        self.said.outcome(&format!("evict the pod of {}", workload.name), &answer);
        let other = Pod { uid: "another".to_owned(), ..pod.clone() };
        let answer = self.evict(&other).await;
        self.said.outcome("evict another UID", &answer);
        let gone = Pod { name: "nothing".to_owned(), ..pod.clone() };
        let answer = self.evict(&gone).await;
        self.said.outcome("evict a pod that is not there", &answer);
    }

    /// A pod that is admitted while the association is there and the template is the old one stays
    /// as it is when the association is gone: the workload's template never changed.
    async fn admitted_in_between(&mut self, workload: &WorkloadRef) {
        self.associate().await;
        self.until_probe(workload, &Mode::PodIdentity).await;
        let pods = self.pods(workload).await;
        let answer = self.evict(pods.first().expect("it has pods")).await;
        self.said.outcome("evict one", &answer);
        self.until_complete(workload).await;
        self.dissociate().await;
        self.until_probe(workload, &Mode::Irsa(self.fixture.role.to_string())).await;
        self.show("admitted in between", workload).await;
        for (before, after) in [(None, Some("b")), (Some("b"), None)] {
            self.stamp(workload, before, after).await;
            self.until_complete(workload).await;
        }
        self.show("bounced", workload).await;
    }

    async fn leases(&mut self) {
        let (cluster, namespace) = (&self.fixture.cluster, self.fixture.namespace.as_str());
        let lease = Lease {
            holder: "one".to_owned(),
            duration_seconds: 60,
            renewed_at: self.world.now(),
            version: LeaseVersion(String::new()),
        };
        let none = self.world.lease(cluster, namespace, "conformance").await;
        self.said.say(format!("no lease yet: {}", none == Ok(None)));
        let first = self.world.write_lease(cluster, namespace, "conformance", &lease, None).await;
        self.said.outcome("make a lease", &first);
        let again = self.world.write_lease(cluster, namespace, "conformance", &lease, None).await;
        self.said.outcome("make it again", &again);
        let first = first.expect("it was made").version;
        let second = self.world.write_lease(cluster, namespace, "conformance", &lease, Some(&first)).await;
        self.said.outcome("renew it", &second);
        let stale = self.world.write_lease(cluster, namespace, "conformance", &lease, Some(&first)).await;
        self.said.outcome("renew it by a stale version", &stale);
        let stale = self.world.delete_lease(cluster, namespace, "conformance", &first).await;
        self.said.outcome("delete it by a stale version", &stale);
        let found = self.world.lease(cluster, namespace, "conformance").await.expect("it can be read").expect("there");
        self.said.say(format!("held by {:?} for {} s", found.holder, found.duration_seconds));
        let deleted = self.world.delete_lease(cluster, namespace, "conformance", &found.version).await;
        self.said.outcome("delete it", &deleted);
        let deleted = self.world.delete_lease(cluster, namespace, "conformance", &found.version).await;
        self.said.outcome("delete it again", &deleted);
        let absent = self.world.write_lease(cluster, namespace, "conformance", &lease, Some(&found.version)).await;
        self.said.outcome("renew one that is gone", &absent);
    }
}

/// Roles and associations: what the emulators can be trusted for.
pub async fn aws<W: World>(world: &W, fixture: &Fixture) -> Vec<String> {
    let mut said = Transcript::default();
    let role = world.role(&fixture.role).await.expect("the role is there");
    said.say(format!("the role: {}", role.arn == fixture.role));
    let listed = world.roles().await.expect("roles can be listed");
    said.say(format!("listed with the same document: {}", listed.iter().any(|it| it.trust == role.trust)));
    let absent = RoleArn::parse(&format!("{}-absent", fixture.role)).expect("an ARN");
    said.outcome("a role that is not there", &world.role(&absent).await);
    let longer = role.trust.replacen('{', "{ ", 1);
    said.outcome("set its trust", &world.set_trust(&fixture.role, &longer).await);
    let now = world.role(&fixture.role).await.expect("the role is there");
    said.say(format!("same id: {}", now.role_id == role.role_id));
    said.outcome("set nonsense", &world.set_trust(&fixture.role, "{").await);
    said.outcome("set the trust of one that is not there", &world.set_trust(&absent, &role.trust).await);
    said.outcome("set it back", &world.set_trust(&fixture.role, &role.trust).await);
    said.say(format!("caller: {}", world.caller().await.expect("a caller").account == fixture.role.account()));
    said.0
}
