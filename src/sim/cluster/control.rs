//! What the controllers do: each function does one thing that is due, and says whether there was one.

use std::time::Duration;

use jiff::Timestamp;

use super::admit::Context;
use super::objects::{NeverReady, Pod, Workload};
use super::{Environment, Template};
use crate::inventory::{Compute, Mode, Node, OwnerRef, Strategy, WorkloadKind};
use crate::sim::access;

/// How long a controller takes to notice a change of its object.
pub(crate) const NOTICED_AFTER: Duration = Duration::from_millis(100);
/// How long a deleted pod takes to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long a controller waits after a pod was refused: at first, and at most. In between it waits
/// for as long as it has waited already.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(15));
/// How long a container that got no credentials takes to come back.
const RESTART: Duration = Duration::from_secs(5);

impl Workload {
    /// The moments at which something happens to it by itself.
    pub(crate) fn due(&self) -> impl Iterator<Item = Timestamp> {
        let pods = self.pods.iter().flat_map(Pod::due);
        pods.chain([Some(self.observed_at), self.retry_at, self.next_fire].into_iter().flatten())
    }
}

/// One thing that is due at this moment, if there is one.
pub(crate) fn reconcile(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    if pods_go_on(it, env, context) {
        return true;
    }
    if it.observed_at > context.now {
        return false;
    }
    if it.retry_at.is_some_and(|at| at <= context.now) {
        it.retry_at = None;
    }
    match it.at.kind {
        WorkloadKind::Deployment => deployment(it, env, context),
        WorkloadKind::StatefulSet => stateful_set(it, env, context),
        WorkloadKind::DaemonSet => daemon_set(it, env, context),
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => {
            // Its pods keep the template that they were made from; only a new one has the newest.
            let newest = newest(it, context);
            let wanted = it.replicas as usize;
            pods_to(it, env, context, newest, wanted, |_| true)
        }
        WorkloadKind::Job => job(it, env, context),
        WorkloadKind::CronJob => cron_job(it, env, context),
    }
}

/// Pods become Ready, end, and go.
fn pods_go_on(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    let now = context.now;
    let before = it.pods.len();
    let ended = it.pods.iter().filter(|it| it.gone_at.is_none() && it.ends_at.is_some_and(|at| at <= now)).count();
    it.finished += u32::try_from(ended).unwrap_or(0);
    it.pods.retain(|it| it.gone_at.is_none_or(|at| at > now) && it.ends_at.is_none_or(|at| at > now));
    let gone = before - it.pods.len();
    context.pods_are_gone(&it.at.namespace, gone);
    let mut changed = gone > 0;
    for pod in &mut it.pods {
        changed |= become_ready(pod, it.needs_credentials, env, context);
    }
    changed
}

/// Makes a pod Ready whose time has come. One that needs credentials and gets none is restarted,
/// again and again.
pub(super) fn become_ready(
    pod: &mut Pod,
    needs_credentials: bool,
    env: &Environment,
    context: &mut Context<'_>,
) -> bool {
    if pod.ready || pod.gone_at.is_some() || pod.ready_at.is_none_or(|at| at > context.now) {
        return false;
    }
    pod.worked = access::has_credentials(pod, env, context.accounts, context.lag, context.now);
    if needs_credentials && !pod.worked {
        pod.restarts += 1;
        pod.ready_at = Some(context.now + RESTART);
        return false;
    }
    pod.ready = true;
    true
}

/// Sends a pod on its way out.
pub(super) fn doom(pod: &mut Pod, now: Timestamp) {
    pod.gone_at = Some(now + GRACE);
    pod.ready = false;
}

/// The place of the newest template among the revisions. A template that was there before has
/// its old place: a Deployment goes back to its old ReplicaSet, and the pods of that one stay.
fn newest(it: &mut Workload, context: &mut Context<'_>) -> usize {
    if let Some(at) = it.newest() {
        return at;
    }
    let name = format!("{}-{}", it.at.name, context.ids.suffix(10));
    it.add_revision(name, context.ids.uid());
    it.revisions.len() - 1
}

/// Where a new pod goes, and what it is called.
struct Place {
    name: String,
    node: Option<String>,
    ordinal: u32,
}

/// Makes a pod of a revision. `false` if it was refused; then it is tried again later.
fn make(it: &mut Workload, env: &Environment, context: &mut Context<'_>, revision: usize, place: Place) -> bool {
    if it.retry_at.is_some() {
        return false;
    }
    let template = it.revisions[revision].template.clone();
    let Ok((mode, audience)) = context.admit(env, &it.at.namespace, &template) else {
        let waited = Duration::try_from(context.now.duration_since(it.progress_at)).unwrap_or_default();
        it.retry_at = Some(context.now + waited.clamp(RETRY.0, RETRY.1));
        return false;
    };
    context.pod_was_made(&it.at.namespace);
    let never = it.never_ready.as_ref().is_some_and(|rule| match rule {
        NeverReady::New => true,
        NeverReady::OnPodIdentity => mode == Mode::PodIdentity,
        NeverReady::Image(image) => *image == template.image,
    });
    let ready_at = (place.node.is_some() && !never).then(|| context.now + it.ready_after);
    it.pods.push(Pod {
        namespace: it.at.namespace.clone(),
        name: place.name,
        uid: context.ids.uid(),
        service_account: template.service_account,
        audience,
        node: place.node,
        mode,
        skips_webhook: template.skips_webhook,
        created_at: context.now,
        ready: false,
        ready_at,
        ends_at: None,
        gone_at: None,
        restarts: 0,
        revision,
        ordinal: place.ordinal,
        controller: None,
        worked: false,
    });
    true
}

/// Makes or ends pods until this many that `counts` are alive.
fn pods_to(
    it: &mut Workload,
    env: &Environment,
    context: &mut Context<'_>,
    revision: usize,
    wanted: usize,
    counts: impl Fn(&Pod) -> bool,
) -> bool {
    let alive = it.living().filter(|it| counts(it)).count();
    if alive < wanted {
        let deployed = it.at.kind == WorkloadKind::Deployment;
        let parent = if deployed { &it.revisions[revision].name } else { &it.at.name };
        let name = format!("{parent}-{}", context.ids.suffix(5));
        let template = it.revisions[revision].template.clone();
        let node = context.place(env, &it.at.namespace, &template);
        return make(it, env, context, revision, Place { name, node, ordinal: 0 });
    }
    // The ReplicaSet controller ends those first that are not Ready, then the youngest.
    let mut excess: Vec<&mut Pod> = it.pods.iter_mut().filter(|it| it.gone_at.is_none() && counts(it)).collect();
    excess.sort_by_key(|it| (it.ready, std::cmp::Reverse(it.created_at)));
    excess.truncate(alive - wanted);
    let changed = !excess.is_empty();
    for pod in excess {
        doom(pod, context.now);
    }
    changed
}

/// `pkg/controller/deployment`: rolling.go and recreate.go.
fn deployment(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    if !it.paused || it.revisions.is_empty() {
        let newest = newest(it, context);
        let changed = match it.strategy {
            Strategy::Recreate => recreate(it, newest),
            Strategy::RollingUpdate | Strategy::OnDelete | Strategy::None => roll(it, newest),
        };
        if changed {
            return true;
        }
    } else if let Some(last) = it.revisions.iter().rposition(|it| it.want > 0) {
        // A paused one is still scaled.
        let others: u32 = it.revisions.iter().map(|it| it.want).sum::<u32>() - it.revisions[last].want;
        it.revisions[last].want = it.replicas.saturating_sub(others);
    }
    for revision in 0..it.revisions.len() {
        let wanted = it.revisions[revision].want as usize;
        if pods_to(it, env, context, revision, wanted, |pod| pod.revision == revision) {
            return true;
        }
    }
    false
}

fn recreate(it: &mut Workload, newest: usize) -> bool {
    let mut changed = false;
    for (at, old) in it.revisions.iter_mut().enumerate() {
        if at != newest && old.want > 0 {
            old.want = 0;
            changed = true;
        }
    }
    let old_pods = it.pods.iter().any(|it| it.revision != newest);
    if !changed && !old_pods && it.revisions[newest].want != it.replicas {
        it.revisions[newest].want = it.replicas;
        changed = true;
    }
    changed
}

fn roll(it: &mut Workload, newest: usize) -> bool {
    let total: u32 = it.revisions.iter().map(|it| it.want).sum();
    let most = it.replicas + it.surge;
    let want = it.revisions[newest].want;
    let grown =
        if want > it.replicas { it.replicas } else { want + most.saturating_sub(total).min(it.replicas - want) };
    if grown != want {
        it.revisions[newest].want = grown;
        return true;
    }
    let least = it.replicas.saturating_sub(it.unavailable);
    let ready = |it: &Workload, at: usize| u32::try_from(it.ready_of(at)).unwrap_or(u32::MAX);
    let new_unready = want.saturating_sub(ready(it, newest));
    let mut spare = total.saturating_sub(least).saturating_sub(new_unready);
    let mut changed = false;
    // Old pods that are not Ready go first: they serve nobody.
    for at in (0..it.revisions.len()).filter(|at| *at != newest) {
        let unready = it.revisions[at].want.saturating_sub(ready(it, at));
        let fewer = unready.min(spare);
        it.revisions[at].want -= fewer;
        spare -= fewer;
        changed |= fewer > 0;
    }
    let all_ready: u32 = (0..it.revisions.len()).map(|at| ready(it, at)).sum();
    let mut spare = spare.min(all_ready.saturating_sub(least));
    for at in (0..it.revisions.len()).filter(|at| *at != newest) {
        // Those already condemned are not counted again.
        let fewer = it.revisions[at].want.min(spare);
        it.revisions[at].want -= fewer;
        spare -= fewer;
        changed |= fewer > 0;
    }
    changed
}

/// `pkg/controller/statefulset`: stateful_set_control.go.
fn stateful_set(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    let newest = newest(it, context);
    let rolls = it.strategy == Strategy::RollingUpdate;
    for ordinal in 0..it.replicas {
        let Some(pod) = it.pods.iter().find(|it| it.ordinal == ordinal) else {
            let revision = if rolls && ordinal < it.partition { it.current } else { newest };
            let name = format!("{}-{ordinal}", it.at.name);
            let template = it.revisions[revision].template.clone();
            let node = context.place(env, &it.at.namespace, &template);
            return make(it, env, context, revision, Place { name, node, ordinal });
        };
        // One after the other: whatever is not Ready stops all behind it, also a pod of a template
        // that has been taken back (kubernetes#67250).
        if !it.parallel && !pod.ready {
            return false;
        }
    }
    let excess = it.pods.iter_mut().filter(|pod| pod.ordinal >= it.replicas && pod.gone_at.is_none());
    if let Some(pod) = excess.max_by_key(|it| it.ordinal) {
        doom(pod, context.now);
        return true;
    }
    if !rolls {
        return false;
    }
    for ordinal in (it.partition..it.replicas).rev() {
        let Some(pod) = it.pods.iter_mut().find(|it| it.ordinal == ordinal) else { return false };
        if pod.revision != newest && pod.gone_at.is_none() {
            doom(pod, context.now);
            return true;
        }
        if !pod.ready {
            return false;
        }
    }
    if it.partition == 0 {
        it.current = newest;
    }
    false
}

/// `pkg/controller/daemon`: update.go, without surge.
fn daemon_set(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    let newest = newest(it, context);
    let nodes: Vec<String> = daemon_nodes(&it.template, env).map(|node| node.name.clone()).collect();
    it.replicas = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    for node in &nodes {
        // A pod that is still ending keeps its node.
        if !it.pods.iter().any(|it| it.node.as_ref() == Some(node)) {
            let name = format!("{}-{}", it.at.name, context.ids.suffix(5));
            return make(it, env, context, newest, Place { name, node: Some(node.clone()), ordinal: 0 });
        }
    }
    if it.strategy != Strategy::RollingUpdate {
        return false;
    }
    let most = it.unavailable.max(1) as usize;
    let unready = it.pods.iter().filter(|it| !it.ready).count();
    let now = context.now;
    let old = it.pods.iter_mut().filter(|it| it.gone_at.is_none() && it.revision != newest);
    // An old pod that is not Ready may always be replaced.
    let chosen = old.min_by_key(|it| it.ready).filter(|it| !it.ready || unready < most);
    chosen.map(|it| doom(it, now)).is_some()
}

/// The nodes that a DaemonSet runs on. Fargate runs none.
fn daemon_nodes<'a>(template: &'a Template, env: &'a Environment) -> impl Iterator<Item = &'a Node> {
    let windows = template.node_selector.get("kubernetes.io/os").is_some_and(|it| it == "windows");
    env.nodes.values().filter(move |node| {
        let machine = match node.compute {
            Compute::Ec2 | Compute::Auto | Compute::Hybrid => !windows,
            Compute::Windows => windows,
            Compute::Fargate => false,
        };
        machine && template.node_selector.iter().all(|(k, v)| node.labels.get(k) == Some(v))
    })
}

fn job(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    let newest = newest(it, context);
    let wanted = if it.paused { 0 } else { it.replicas.saturating_sub(it.finished) as usize };
    let changed = pods_to(it, env, context, newest, wanted, |_| true);
    let ends_at = context.now + it.run_time;
    for pod in it.pods.iter_mut().filter(|it| it.ends_at.is_none()) {
        pod.ends_at = Some(ends_at);
    }
    changed
}

fn cron_job(it: &mut Workload, env: &Environment, context: &mut Context<'_>) -> bool {
    let newest = newest(it, context);
    let Some(fire) = it.next_fire else {
        it.next_fire = Some(context.now + it.every);
        return false;
    };
    if fire > context.now {
        return false;
    }
    it.next_fire = Some(context.now + it.every);
    if it.paused {
        return false;
    }
    let job = format!("{}-{}", it.at.name, context.now.as_second() / 60);
    let place = Place {
        name: format!("{job}-{}", context.ids.suffix(5)),
        node: context.place(env, &it.at.namespace, &it.template.clone()),
        ordinal: 0,
    };
    if !make(it, env, context, newest, place) {
        return false;
    }
    let uid = context.ids.uid();
    if let Some(pod) = it.pods.last_mut() {
        pod.ends_at = Some(context.now + it.run_time);
        pod.controller = Some(OwnerRef { kind: "Job".into(), name: job, uid });
    }
    true
}
