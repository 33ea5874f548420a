//! What other people do, as values: so that it can be planned for the middle of a run, told in words,
//! and taken out of a history one by one.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::others::Absent;
use super::world::World;
use crate::inventory::{AgentOnNode, WorkloadRef};
use crate::model::{ClusterArn, Issuer, RoleArn, Subject};

/// The Sid of what others write into a trust policy.
const THEIR_SID: &str = "SomebodyElse";

/// Something that somebody else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// One more statement in a trust policy, which lets an account in.
    AddStatement(RoleArn),
    /// That statement goes again.
    DropStatement(RoleArn),
    /// The same policy, written differently.
    Reformat(RoleArn),
    /// An older policy is sent again, as by a tool that knows of no other: whatever came since is gone.
    Reapply(RoleArn, String),
    /// Every statement for Pod Identity gets one more ServiceAccount, ours among them.
    TouchOurs(RoleArn),
    /// The role is deleted.
    DeleteRole(RoleArn),
    /// Another tool's association, whatever was there; `None` deletes it.
    Associate(Subject, Option<RoleArn>),
    /// The annotation names another role, or none.
    Annotate(Subject, Option<String>),
    /// The ServiceAccount is deleted.
    DeleteServiceAccount(Subject),
    /// A new image.
    Deploy(ClusterArn, WorkloadRef, String),
    /// So many pods, by a person or an autoscaler.
    Scale(ClusterArn, WorkloadRef, u32),
    /// A Deployment is paused, or goes on.
    Pause(ClusterArn, WorkloadRef, bool),
    /// The workload is deleted, and its pods with it.
    DeleteWorkload(ClusterArn, WorkloadRef),
    /// One of its pods is gone at once; the number says which.
    LosePod(ClusterArn, WorkloadRef, usize),
    /// A quota on the pods of a namespace, or none.
    Quota(ClusterArn, String, Option<u32>),
    /// EKS' webhook goes down, or comes up.
    Webhook(ClusterArn, bool),
    /// The agent on a node comes or goes.
    Agent(ClusterArn, String, bool),
    /// The lease is taken by another process, alive or not; `None` deletes it.
    Lease(ClusterArn, Option<String>),
    /// The wall clock of the machine is so many seconds beside the truth.
    Clock(i64),
    /// The OIDC provider is deleted, or made again.
    Provider(ClusterArn, Issuer, bool),
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddStatement(role) => write!(f, "adds a statement to {}", role.name()),
            Self::DropStatement(role) => write!(f, "takes that statement out of {}", role.name()),
            Self::Reformat(role) => write!(f, "reformats the policy of {}", role.name()),
            Self::Reapply(role, _) => write!(f, "sends the first policy of {} again", role.name()),
            Self::TouchOurs(role) => write!(f, "edits our statement in {}", role.name()),
            Self::DeleteRole(role) => write!(f, "deletes role {}", role.name()),
            Self::Associate(it, Some(role)) => write!(f, "associates {} with {}", short(it), role.name()),
            Self::Associate(it, None) => write!(f, "deletes the association of {}", short(it)),
            Self::Annotate(it, role) => write!(f, "annotates {} with {role:?}", short(it)),
            Self::DeleteServiceAccount(it) => write!(f, "deletes ServiceAccount {}", short(it)),
            Self::Deploy(_, at, image) => write!(f, "deploys {image} to {at}"),
            Self::Scale(_, at, pods) => write!(f, "scales {at} to {pods}"),
            Self::Pause(_, at, true) => write!(f, "pauses {at}"),
            Self::Pause(_, at, false) => write!(f, "resumes {at}"),
            Self::DeleteWorkload(_, at) => write!(f, "deletes {at}"),
            Self::LosePod(_, at, which) => write!(f, "pod {which} of {at} is lost"),
            Self::Quota(_, namespace, pods) => write!(f, "a quota of {pods:?} pods in {namespace}"),
            Self::Webhook(it, down) => {
                write!(f, "the webhook of {} is {}", it.name(), if *down { "down" } else { "up" })
            }
            Self::Agent(_, node, there) => {
                write!(f, "the agent on {node} {}", if *there { "is there" } else { "is gone" })
            }
            Self::Lease(it, holder) => write!(f, "the lease of {} is held by {holder:?}", it.name()),
            Self::Clock(seconds) => write!(f, "the wall clock is {seconds} s off"),
            Self::Provider(it, _, true) => write!(f, "the OIDC provider of {} is made again", it.name()),
            Self::Provider(it, _, false) => write!(f, "the OIDC provider of {} is deleted", it.name()),
        }
    }
}

fn short(it: &Subject) -> String {
    format!("{}/{}/{}", it.cluster.name(), it.namespace, it.service_account)
}

impl World {
    /// Lets somebody do this right before the call with this number is answered (counted as for faults).
    pub fn meanwhile(&mut self, before_call: u64, deed: Deed) {
        self.deeds.entry(before_call).or_default().push(deed);
    }

    /// What was planned and has not been done is not done any more.
    pub fn nothing_meanwhile(&mut self) {
        self.deeds.clear();
    }

    /// Does what is due before a call. Where there is nothing to do it to, nothing happens.
    pub(crate) fn do_what_is_due(&mut self, before_call: u64) {
        let Some(due) = self.deeds.remove(&before_call) else { return };
        for deed in due {
            let _absent = self.perform(&deed);
        }
        self.settle();
        self.watch_state();
    }

    /// Somebody does this now.
    ///
    /// # Errors
    /// There is nothing to do it to.
    pub fn perform(&mut self, deed: &Deed) -> Result<(), Absent> {
        match deed {
            Deed::AddStatement(role) => self.rewrite(role, |policy| {
                statements(policy, |all| {
                    all.retain(|it| !is_theirs(it));
                    all.push(their_statement());
                });
            }),
            Deed::DropStatement(role) => {
                self.rewrite(role, |policy| statements(policy, |all| all.retain(|it| !is_theirs(it))))
            }
            Deed::Reformat(role) => self.rewrite(role, |_| {}),
            Deed::TouchOurs(role) => {
                self.rewrite(role, |policy| statements(policy, |all| all.iter_mut().for_each(touch)))
            }
            Deed::Reapply(role, document) => match self.trust_now(role) {
                Some(_) => self.edit_trust(role, Some(document)),
                None => Err(Absent::of(role)),
            },
            Deed::DeleteRole(role) => self.edit_trust(role, None),
            Deed::Associate(subject, role) => self.edit_association(subject, role.as_ref()),
            Deed::Annotate(subject, role) => self.annotate(subject, role.as_deref()),
            Deed::DeleteServiceAccount(subject) => self.edit_service_account(subject, |_| None),
            Deed::Deploy(cluster, at, image) => {
                self.edit_workload(cluster, at, |it| image.clone_into(&mut it.template.image))
            }
            Deed::Scale(cluster, at, pods) => self.edit_workload(cluster, at, |it| it.replicas = *pods),
            Deed::Pause(cluster, at, paused) => self.edit_workload(cluster, at, |it| it.paused = *paused),
            Deed::DeleteWorkload(cluster, at) => self.delete_workload(cluster, at),
            Deed::LosePod(cluster, at, which) => self.lose_pod_of(cluster, at, *which),
            Deed::Quota(cluster, namespace, pods) => self.set_pod_quota(cluster, namespace, *pods),
            Deed::Webhook(cluster, down) => self.set_webhook_down(cluster, *down),
            Deed::Agent(cluster, node, there) => {
                self.set_agent(cluster, node, if *there { AgentOnNode::Ready } else { AgentOnNode::Absent })
            }
            Deed::Lease(cluster, holder) => {
                let now = self.now();
                let lease = holder.as_deref().map(|it| (it, Duration::from_mins(1), now));
                self.edit_lease(cluster, "kube-system", "irsa-migrate", lease)
            }
            Deed::Clock(seconds) => {
                self.set_clock_error(SignedDuration::from_secs(*seconds));
                Ok(())
            }
            Deed::Provider(cluster, issuer, there) => {
                let client_ids: Option<&[&str]> = there.then_some(&["sts.amazonaws.com"]);
                self.edit_provider(&cluster.account(), issuer, client_ids);
                Ok(())
            }
        }
    }

    /// Somebody edits a role's policy as it stands.
    fn rewrite(&mut self, role: &RoleArn, edit: impl FnOnce(&mut Value)) -> Result<(), Absent> {
        let absent = || Absent::of(role);
        let mut policy: Value = serde_json::from_str(self.trust_now(role).ok_or_else(absent)?).map_err(|_| absent())?;
        edit(&mut policy);
        self.edit_trust(role, Some(&policy.to_string()))
    }

    fn lose_pod_of(&mut self, cluster: &ClusterArn, at: &WorkloadRef, which: usize) -> Result<(), Absent> {
        let workload = self.clusters.get(cluster).and_then(|it| it.workloads.get(at));
        let pods: Vec<&str> = workload.into_iter().flat_map(|it| it.living()).map(|it| it.name.as_str()).collect();
        let name = pods.get(which % pods.len().max(1)).map(|it| (*it).to_owned()).ok_or_else(|| Absent::of(at))?;
        self.lose_pod(cluster, &at.namespace, &name)
    }
}

/// Edits the statements of a policy, which may also be one alone.
fn statements(policy: &mut Value, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut all = list(policy["Statement"].take());
    edit(&mut all);
    policy["Statement"] = Value::Array(all);
}

/// A list, also where one alone stands without brackets.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
    }
}

fn is_theirs(statement: &Value) -> bool {
    statement["Sid"] == THEIR_SID
}

fn their_statement() -> Value {
    json!({
        "Sid": THEIR_SID,
        "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::444455556666:root" },
        "Action": "sts:AssumeRole",
    })
}

/// One more ServiceAccount in a statement for Pod Identity; others stay as they are.
fn touch(statement: &mut Value) {
    if statement["Principal"]["Service"] != "pods.eks.amazonaws.com" {
        return;
    }
    let Some(names) = statement["Condition"]["StringEquals"].get_mut("aws:RequestTag/kubernetes-service-account")
    else {
        return;
    };
    let mut all = list(names.take());
    all.push(json!("somebody-else"));
    *names = Value::Array(all);
}
