//! Restarts, evictions, probes and leases, against an association that comes and goes.
//!
//! The namespace holds the ServiceAccount `app`, annotated with the role, and as its workloads:
//!
//! | workload | pods | what is special |
//! |---|---|---|
//! | Deployment `web` | 3 | |
//! | Deployment `once` | 2 | Recreate |
//! | Deployment `held` | 1 | paused, after its pod came up |
//! | Deployment `stuck` | 3 | new pods never become Ready; a deadline of 10 s |
//! | Deployment `lone` | 1 | a budget `lone` of `minAvailable: 1` |
//! | Deployment `twice` | 1 | two budgets |
//! | StatefulSet `db` | 2 | |
//! | StatefulSet `part` | 2 | partition 1 |
//! | StatefulSet `cache` | 1 | OnDelete |
//! | DaemonSet `each` | 3 nodes | |
//! | DaemonSet `log` | 3 nodes | OnDelete |
//! | CronJob `nightly` | 0 | far from its time |
//! | the pod `bare` | | nobody owns it |

use std::collections::BTreeMap;
use std::time::Duration;

use irsa_migrate::inventory::{Mode, Pod, WorkloadKind, WorkloadRef};
use irsa_migrate::ports::{Lease, LeaseVersion, NewAssociation, Probe, Stamping, WorkloadNow, World};

use super::{Fixture, Transcript};

/// How often a world is looked at until it is as expected, a second apart.
const LOOKS: usize = 120;

struct Script<'a, W> {
    world: &'a W,
    fixture: &'a Fixture,
    said: Transcript,
    /// The controllers right above pods, in the order in which each workload's were first seen.
    controllers: BTreeMap<WorkloadRef, Vec<String>>,
    associations: u32,
}

/// Runs the script, and gives its transcript.
pub(crate) async fn run<W: World>(world: &W, fixture: &Fixture) -> Vec<String> {
    let mut script =
        Script { world, fixture, said: Transcript::default(), controllers: BTreeMap::new(), associations: 0 };
    script.facts().await;
    script.questions_that_are_wrong().await;
    let web = script.at(WorkloadKind::Deployment, "web");
    script.show("at first", &web).await;

    script.associate().await;
    script.until_probe(&web, &Mode::PodIdentity).await;
    script.show("associated, not restarted", &web).await;
    script.restart().await;
    script.stamps_that_are_wrong().await;
    script.partitioned().await;
    script.replaced_on_delete().await;
    script.paused().await;
    script.never_ready().await;
    script.budgets().await;
    script.bare().await;

    script.dissociate().await;
    script.until_probe(&web, &Mode::Irsa(fixture.role.to_string())).await;
    script.show("dissociated, not restarted", &web).await;
    script.put_back().await;
    script.admitted_in_between().await;
    script.leases().await;
    script.said.0
}

impl<W: World> Script<'_, W> {
    fn at(&self, kind: WorkloadKind, name: &str) -> WorkloadRef {
        WorkloadRef { kind, namespace: self.fixture.namespace.clone(), name: name.to_owned() }
    }

    /// The workloads that roll by themselves.
    fn rolling(&self) -> [WorkloadRef; 4] {
        [
            self.at(WorkloadKind::Deployment, "web"),
            self.at(WorkloadKind::Deployment, "once"),
            self.at(WorkloadKind::StatefulSet, "db"),
            self.at(WorkloadKind::DaemonSet, "each"),
        ]
    }

    async fn facts(&mut self) {
        let (cluster, namespace) = (&self.fixture.cluster, self.fixture.namespace.as_str());
        for kind in WorkloadKind::ALL {
            let mut found = self.world.workloads(cluster, kind, Some(namespace)).await.expect("they can be listed");
            found.sort_by(|a, b| a.at.cmp(&b.at));
            for it in found {
                self.said.say(format!(
                    "{kind} {}: {} pods of {}, {:?}, {} at a time, partition {}, deadline {:?}, paused {}, \
                     schedule {:?}",
                    it.at.name,
                    it.replicas,
                    it.service_account,
                    it.strategy,
                    it.at_a_time,
                    it.partition,
                    it.progress_deadline_seconds,
                    it.paused,
                    it.schedule
                ));
            }
        }
        let subject = self.fixture.subject("app");
        let mut pods = self.world.pods_of(&subject).await.expect("pods can be listed");
        pods.sort_by_key(|it| it.workload.as_ref().map(|it| it.name.clone()));
        for it in pods {
            let workload = it.workload.as_ref().map_or("nothing".to_owned(), |at| format!("{} {}", at.kind, at.name));
            let under = it.controller.as_ref().map_or("nothing", |it| it.kind.as_str());
            self.said.say(format!(
                "a pod of {workload}, under {under}: {}, ready {}, {} restarts, on a node {}, budgets {:?}",
                it.mode,
                it.ready,
                it.restarts,
                it.node.is_some(),
                it.budgets
            ));
        }
        let account = self.world.service_account(&subject).await.expect("it can be read").expect("it is there");
        let annotated = account.role_arn.as_deref() == Some(self.fixture.role.as_str());
        self.said.say(format!("annotated: {annotated}, audience {:?}", account.audience));
    }

    /// What is not there, and what does not fit together.
    async fn questions_that_are_wrong(&mut self) {
        let (world, cluster) = (self.world, &self.fixture.cluster);
        let nobody = self.fixture.subject("nobody");
        let nowhere = irsa_migrate::model::Subject { namespace: "nowhere".to_owned(), ..self.fixture.subject("app") };
        for (what, subject) in [("nobody", &nobody), ("a namespace that is not there", &nowhere)] {
            let there = world.service_account(subject).await.expect("it can be asked for").is_some();
            let pods = world.pods_of(subject).await.expect("they can be asked for").len();
            self.said.say(format!("{what}: a ServiceAccount {there}, {pods} pods"));
        }
        let web = self.at(WorkloadKind::Deployment, "web");
        let absent = self.at(WorkloadKind::Deployment, "absent");
        let app = self.fixture.subject("app");
        let there = world.workload(cluster, &absent).await.expect("it can be asked for").is_some();
        self.said.say(format!("a workload that is not there: {there}"));
        for (what, subject, template) in [
            ("as `app`", &app, None),
            ("as `app`, of web", &app, Some(&web)),
            ("as nobody", &nobody, None),
            ("as nobody, of web", &nobody, Some(&web)),
            ("where there is no namespace", &nowhere, None),
            ("of a workload that is not there", &app, Some(&absent)),
        ] {
            let answer = match world.probe(subject, template).await {
                Ok(Probe::Admitted(mode)) => mode.to_string(),
                Ok(Probe::Rejected(_)) => "rejected".to_owned(),
                Err(error) => super::outcome::<()>(&Err(error)).to_owned(),
            };
            self.said.say(format!("a probe {what}: {answer}"));
        }
    }

    /// The pods that are not on their way out.
    async fn pods(&self, workload: Option<&WorkloadRef>) -> Vec<Pod> {
        let pods = self.world.pods_of(&self.fixture.subject("app")).await.expect("pods can be listed");
        let mut pods: Vec<Pod> =
            pods.into_iter().filter(|it| it.workload.as_ref() == workload && !it.terminating).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    }

    async fn uids(&self, workload: &WorkloadRef) -> Vec<String> {
        let mut uids: Vec<String> = self.pods(Some(workload)).await.into_iter().map(|it| it.uid).collect();
        uids.sort();
        uids
    }

    async fn now(&self, workload: &WorkloadRef) -> WorkloadNow {
        let now = self.world.workload(&self.fixture.cluster, workload).await.expect("it can be read");
        now.expect("it is there")
    }

    /// Each pod's mode and controller, the stamp, and how far the roll-out is.
    async fn show(&mut self, when: &str, workload: &WorkloadRef) {
        let mut pods = Vec::new();
        for pod in self.pods(Some(workload)).await {
            let mut text = pod.mode.to_string();
            match workload.kind {
                WorkloadKind::Deployment => {
                    let seen = self.controllers.entry(workload.clone()).or_default();
                    let uid = pod.controller.map(|it| it.uid).unwrap_or_default();
                    let number = seen.iter().position(|it| *it == uid).unwrap_or_else(|| {
                        seen.push(uid);
                        seen.len() - 1
                    });
                    text = format!("{text} under ReplicaSet {number}");
                }
                WorkloadKind::StatefulSet => text = format!("{} {text}", pod.name),
                WorkloadKind::DaemonSet
                | WorkloadKind::ReplicaSet
                | WorkloadKind::ReplicationController
                | WorkloadKind::Job
                | WorkloadKind::CronJob => {}
            }
            if !pod.ready {
                text.push_str(" (not Ready)");
            }
            pods.push(text);
        }
        pods.sort();
        let now = self.now(workload).await;
        let (kind, name, stamp, far) = (workload.kind, &workload.name, now.workload.stamp, now.rollout);
        self.said.say(format!("{when}: {kind} {name} has [{}], stamp {stamp:?}", pods.join(", ")));
        self.said.say(format!(
            "    {} wanted, {} updated, {} ready, complete {}, failed {}",
            far.wanted, far.updated, far.ready, far.complete, far.failed
        ));
    }

    /// Looks until a workload and its pods are so.
    async fn until(&mut self, workload: &WorkloadRef, what: &str, done: impl Fn(&WorkloadNow, &[Pod]) -> bool) {
        for _ in 0..LOOKS {
            let pods = self.pods(Some(workload)).await;
            if done(&self.now(workload).await, &pods) {
                return;
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        self.said.say(format!("{} {} does not come to this: {what}", workload.kind, workload.name));
    }

    /// The roll-out is complete, and so it is seen in the pods.
    async fn until_complete(&mut self, workload: &WorkloadRef) {
        let complete = |now: &WorkloadNow, pods: &[Pod]| {
            now.rollout.complete && pods.len() == now.rollout.wanted as usize && pods.iter().all(|it| it.ready)
        };
        self.until(workload, "complete", complete).await;
    }

    /// Evicts a pod, and waits until there is another in its place.
    async fn evict(&mut self, workload: &WorkloadRef, pod: &Pod) {
        let count = self.pods(Some(workload)).await.len();
        let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, &pod.uid).await;
        self.said.outcome(&format!("evict a pod of {}", workload.name), &answer);
        let replaced =
            |_: &WorkloadNow, pods: &[Pod]| pods.len() == count && pods.iter().all(|it| it.ready && it.uid != pod.uid);
        self.until(workload, "the evicted pod is replaced", replaced).await;
    }

    async fn evict_all(&mut self, workload: &WorkloadRef) {
        for pod in self.pods(Some(workload)).await {
            self.evict(workload, &pod).await;
        }
        self.until_complete(workload).await;
    }

    async fn associate(&mut self) {
        self.associations += 1;
        let new = NewAssociation {
            subject: self.fixture.subject("app"),
            role_arn: self.fixture.role.clone(),
            tags: [("irsa-migrate:plan".to_owned(), "conformance".to_owned())].into(),
            token: format!("conformance-{}", self.associations),
        };
        let answer = self.world.create_association(&new).await;
        self.said.outcome("associate", &answer);
    }

    async fn dissociate(&mut self) {
        let found = self.world.association_of(&self.fixture.subject("app")).await.expect("it can be read");
        let id = found.expect("it is there").id;
        let answer = self.world.delete_association(&self.fixture.cluster, &id).await;
        self.said.outcome("dissociate", &answer);
    }

    /// Probes until five in a row answer so.
    async fn until_probe(&mut self, template: &WorkloadRef, wanted: &Mode) {
        let mut in_a_row = 0;
        for _ in 0..LOOKS {
            let answer = self.world.probe(&self.fixture.subject("app"), Some(template)).await;
            in_a_row = if answer == Ok(Probe::Admitted(wanted.clone())) { in_a_row + 1 } else { 0 };
            if in_a_row == 5 {
                return self.said.say(format!("probes answer {wanted}"));
            }
            self.world.sleep(Duration::from_millis(200)).await;
        }
        self.said.say(format!("probes do not come to answer {wanted}"));
    }

    async fn stamping(&self, workload: &WorkloadRef, before: Option<&str>, after: Option<&str>) -> Stamping {
        let uid = self.now(workload).await.workload.uid;
        Stamping { workload: workload.clone(), uid, before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    async fn stamp(&mut self, workload: &WorkloadRef, before: Option<&str>, after: Option<&str>) {
        let change = self.stamping(workload, before, after).await;
        let answer = self.world.stamp(&self.fixture.cluster, &change).await;
        let (kind, name) = (workload.kind, &workload.name);
        self.said.outcome(&format!("stamp {kind} {name} {before:?} -> {after:?}"), &answer);
    }

    /// Every kind that rolls takes the association up.
    async fn restart(&mut self) {
        for workload in self.rolling() {
            self.stamp(&workload, None, Some("s")).await;
            self.until_complete(&workload).await;
            self.show("stamped", &workload).await;
        }
        for workload in self.rolling() {
            let before = self.uids(&workload).await;
            self.stamp(&workload, Some("s"), Some("s")).await;
            self.until_complete(&workload).await;
            let same = before == self.uids(&workload).await;
            self.said.say(format!("    the same pods as before: {same}"));
        }
    }

    async fn stamps_that_are_wrong(&mut self) {
        let web = self.at(WorkloadKind::Deployment, "web");
        self.stamp(&web, Some("other"), Some("x")).await;
        self.stamp(&web, Some("other"), None).await;
        self.stamp(&web, None, Some("x")).await;
        let change = self.stamping(&web, Some("s"), Some("x")).await;
        let another = Stamping { uid: "another".to_owned(), ..change.clone() };
        self.said.outcome("stamp another UID", &self.world.stamp(&self.fixture.cluster, &another).await);
        for (kind, name) in [
            (WorkloadKind::Deployment, "absent"),
            (WorkloadKind::Job, "absent"),
            (WorkloadKind::CronJob, "nightly"),
            (WorkloadKind::ReplicaSet, "absent"),
        ] {
            let of = Stamping { workload: self.at(kind, name), before: None, ..change.clone() };
            let answer = self.world.stamp(&self.fixture.cluster, &of).await;
            self.said.outcome(&format!("stamp {kind} {name}"), &answer);
        }
        self.show("after all that", &web).await;
    }

    /// Below the partition a pod keeps its template, also when it is replaced.
    async fn partitioned(&mut self) {
        let part = self.at(WorkloadKind::StatefulSet, "part");
        self.show("partitioned", &part).await;
        self.stamp(&part, None, Some("s")).await;
        self.until_complete(&part).await;
        self.show("partitioned, stamped", &part).await;
        let first = self.pods(Some(&part)).await.into_iter().next().expect("it has pods");
        self.evict(&part, &first).await;
        self.until_complete(&part).await;
        self.show("partitioned, the first evicted", &part).await;
        self.stamp(&part, Some("s"), None).await;
        // A StatefulSet with a partition is complete before the pods behind it are replaced.
        let all_back = |now: &WorkloadNow, pods: &[Pod]| {
            let (wanted, updated) = (now.rollout.wanted, now.rollout.updated);
            now.rollout.complete && updated == wanted && pods.len() == wanted as usize && pods.iter().all(|it| it.ready)
        };
        self.until(&part, "put back", all_back).await;
        self.show("partitioned, put back", &part).await;
    }

    /// A new template replaces nothing; whoever evicts, does.
    async fn replaced_on_delete(&mut self) {
        for workload in [self.at(WorkloadKind::DaemonSet, "log"), self.at(WorkloadKind::StatefulSet, "cache")] {
            self.stamp(&workload, None, Some("s")).await;
            self.until(&workload, "none is updated", |now, _| now.rollout.updated == 0).await;
            self.show("OnDelete, stamped", &workload).await;
            self.evict_all(&workload).await;
            self.show("OnDelete, evicted", &workload).await;
        }
    }

    /// A paused Deployment takes a stamp and does nothing.
    async fn paused(&mut self) {
        let held = self.at(WorkloadKind::Deployment, "held");
        self.show("paused", &held).await;
        self.stamp(&held, None, Some("s")).await;
        self.until(&held, "none is updated", |now, _| now.rollout.updated == 0).await;
        self.show("paused, stamped", &held).await;
        self.stamp(&held, Some("s"), None).await;
        self.until_complete(&held).await;
        self.show("paused, put back", &held).await;
    }

    /// A roll-out that never becomes Ready leaves the old pods where they are.
    async fn never_ready(&mut self) {
        let stuck = self.at(WorkloadKind::Deployment, "stuck");
        let before = self.uids(&stuck).await;
        self.show("stuck at first", &stuck).await;
        self.stamp(&stuck, None, Some("s")).await;
        // A busy control plane can miss the deadline before it has made the first new pod.
        let gives_up = |now: &WorkloadNow, pods: &[Pod]| {
            now.rollout.failed && now.rollout.updated >= 1 && pods.iter().any(|it| !it.ready)
        };
        self.until(&stuck, "its controller gives up", gives_up).await;
        self.show("stuck", &stuck).await;
        self.stamp(&stuck, Some("s"), None).await;
        self.until_complete(&stuck).await;
        self.show("stuck, put back", &stuck).await;
        let same = before == self.uids(&stuck).await;
        self.said.say(format!("    the same pods as before: {same}"));
    }

    async fn budgets(&mut self) {
        for name in ["lone", "twice"] {
            let workload = self.at(WorkloadKind::Deployment, name);
            let pod = self.pods(Some(&workload)).await.into_iter().next().expect("it has a pod");
            let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, &pod.uid).await;
            self.said.outcome(&format!("evict the pod of {name}"), &answer);
            let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, "another").await;
            self.said.outcome("    of another UID", &answer);
            let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, "absent", &pod.uid).await;
            self.said.outcome("    of another name", &answer);
            self.show("not evicted", &workload).await;
        }
    }

    async fn bare(&mut self) {
        let pod = self.pods(None).await.into_iter().next().expect("there is one");
        let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, &pod.uid).await;
        self.said.outcome("evict the bare pod", &answer);
        for _ in 0..LOOKS {
            let all = self.world.pods_of(&self.fixture.subject("app")).await.expect("pods can be listed");
            if all.iter().all(|it| it.uid != pod.uid) {
                break;
            }
            self.world.sleep(Duration::from_secs(1)).await;
        }
        self.said.say(format!("    bare pods that are left: {}", self.pods(None).await.len()));
        let answer = self.world.evict(&self.fixture.cluster, &pod.namespace, &pod.name, &pod.uid).await;
        self.said.outcome("    again", &answer);
    }

    /// The way back is that of the stamp; an old ReplicaSet is used again.
    async fn put_back(&mut self) {
        for workload in self.rolling() {
            self.stamp(&workload, Some("s"), None).await;
            self.until_complete(&workload).await;
            self.show("put back", &workload).await;
        }
        for workload in [self.at(WorkloadKind::DaemonSet, "log"), self.at(WorkloadKind::StatefulSet, "cache")] {
            self.stamp(&workload, Some("s"), None).await;
            self.until(&workload, "none is updated", |now, _| now.rollout.updated == 0).await;
            self.show("OnDelete, put back", &workload).await;
            self.evict_all(&workload).await;
            self.show("OnDelete, evicted", &workload).await;
        }
    }

    /// A pod that is admitted while the association is there and the template is the old one stays
    /// as it is when the association is gone, for the template never changed: only a stamp that
    /// comes and goes replaces it.
    async fn admitted_in_between(&mut self) {
        let web = self.at(WorkloadKind::Deployment, "web");
        self.associate().await;
        self.until_probe(&web, &Mode::PodIdentity).await;
        let pod = self.pods(Some(&web)).await.into_iter().next().expect("it has pods");
        self.evict(&web, &pod).await;
        self.until_complete(&web).await;
        self.dissociate().await;
        self.until_probe(&web, &Mode::Irsa(self.fixture.role.to_string())).await;
        self.show("admitted in between", &web).await;
        for (before, after) in [(None, Some("b")), (Some("b"), None)] {
            self.stamp(&web, before, after).await;
            self.until_complete(&web).await;
            self.show("bounced", &web).await;
        }
    }

    async fn leases(&mut self) {
        let (world, cluster, namespace) = (self.world, &self.fixture.cluster, self.fixture.namespace.as_str());
        let lease = Lease {
            holder: "one".to_owned(),
            duration_seconds: 60,
            renewed_at: world.now(),
            version: LeaseVersion(String::new()),
        };
        // Each write differs: one that changes nothing gives no new version.
        let writes = std::cell::Cell::new(0_i64);
        let write = async |found| {
            writes.set(writes.get() + 1);
            let renewed_at = lease.renewed_at + std::time::Duration::from_secs(writes.get().unsigned_abs());
            world.write_lease(cluster, namespace, "lock", &Lease { renewed_at, ..lease.clone() }, found).await
        };
        let delete = async |found| world.delete_lease(cluster, namespace, "lock", found).await;
        let none = world.lease(cluster, namespace, "lock").await;
        self.said.say(format!("no lease yet: {}", none == Ok(None)));
        let first = write(None).await;
        self.said.outcome("make a lease", &first);
        let first = first.expect("it was made").version;
        self.said.outcome("make it again", &write(None).await);
        self.said.outcome("renew it", &write(Some(&first)).await);
        self.said.outcome("renew it by a stale version", &write(Some(&first)).await);
        self.said.outcome("delete it by a stale version", &delete(&first).await);
        let found = world.lease(cluster, namespace, "lock").await.expect("it can be read").expect("it is there");
        self.said.say(format!("held by {:?} for {} s", found.holder, found.duration_seconds));
        self.said.outcome("delete it", &delete(&found.version).await);
        self.said.outcome("delete it again", &delete(&found.version).await);
        self.said.outcome("renew one that is gone", &write(Some(&found.version)).await);
        let again = write(None).await;
        self.said.outcome("make another", &again);
        self.said.outcome("delete it by the version of the first", &delete(&found.version).await);
        self.said.outcome("renew it by the version of the first", &write(Some(&found.version)).await);
        let holds = Lease { holder: String::new(), ..lease.clone() };
        let version = again.expect("it was made").version;
        let freed = world.write_lease(cluster, namespace, "lock", &holds, Some(&version)).await;
        self.said.say(format!("freed: holder {:?}", freed.map(|it| it.holder)));
        let nowhere = world.write_lease(cluster, "nowhere", "lock", &lease, None).await;
        self.said.outcome("make one where there is no namespace", &nowhere);
    }
}
