//! Workloads and pods: which credentials they use, and how they can be restarted.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::{Place, names, quote};
use super::{Code, Explanation, Finding, Severity};
use crate::inventory::{Mode, Pod, Strategy, Workload, WorkloadKind};
use crate::model::RoleArn;

const CHAIN: &str = "https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html";
const WEBHOOK: &str = "https://github.com/aws/amazon-eks-pod-identity-webhook";
const EVICTION: &str = "https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/";

pub(super) const CREDENTIALS_BY_HAND: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "credential variables of the webhook are set by hand",
    meaning: "The pod template itself sets a variable that the webhook would set: `AWS_ROLE_ARN`, \
              `AWS_WEB_IDENTITY_TOKEN_FILE` or an `AWS_CONTAINER_...` one.",
    why: "The webhook never overwrites a variable that is there. Web identity comes first in the SDKs' chain, so the \
          pod would stay on IRSA or fail on a token file that is not mounted any more.",
    remedy: "Take the variables out of the template: the webhook sets them from the annotation, and later from the \
             association.",
    sources: &[WEBHOOK, CHAIN],
};

pub(super) const CREDENTIALS_PRECEDE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "a profile of its own comes before Pod Identity",
    meaning: "The pod template sets `AWS_PROFILE`, `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE` or the like.",
    why: "A profile comes before container credentials in the SDKs' chain. One that names the web identity token's \
          file fails once that file is not mounted any more.",
    remedy: "Look into the profile. If it does not use the token file, waive this finding; else give it \
             `credential_source = EcsContainer` first.",
    sources: &[CHAIN],
};

pub(super) const CREDENTIALS_STATIC: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "static credentials come before Pod Identity",
    meaning: "The pod template sets `AWS_ACCESS_KEY_ID` or its companions.",
    why: "They come first in the SDKs' chain, so the workload uses neither IRSA now nor Pod Identity later. Moving it \
          changes nothing for it.",
    remedy: "If the role should be used, take the static credentials out of the template.",
    sources: &[CHAIN],
};

pub(super) const SESSION_NAME_SET: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "the workload chooses its session's name",
    meaning: "The pod template sets `AWS_ROLE_SESSION_NAME`.",
    why: "With Pod Identity EKS chooses the name (`eks-CLUSTER-POD-UUID`). Whoever reads the name (a policy on \
          `aws:userid`, MSK's IAM authentication, audit queries) sees another one.",
    remedy: "Find out who relies on the session's name, and change that before this ServiceAccount moves.",
    sources: &["https://github.com/aws/containers-roadmap/issues/2362"],
};

pub(super) const RESTART_BY_OWNER: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a workload that is not ours to restart",
    meaning: "The workload is paused, or another controller owns it or its pods (Argo Rollouts, an operator).",
    why: "A paused Deployment does not roll, and a controller takes our change of its object's template back.",
    remedy: "Resume the Deployment, or set `restart = \"by-owner\"` in the settings: then the unit associates and \
             waits until the owner has replaced every pod. For an Argo Rollout set `spec.restartAt`.",
    sources: &[
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/",
        "https://argo-rollouts.readthedocs.io/en/stable/features/restart/",
    ],
};

pub(super) const RESTART_WITH_DOWNTIME: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "a restart stops all pods first",
    meaning: "The Deployment's strategy is `Recreate`.",
    why: "It stops every pod before it starts a new one, at the cut-over and again at an undo.",
    remedy: "Put it into a wave whose window allows the downtime.",
    sources: &["https://kubernetes.io/docs/concepts/workloads/controllers/deployment/"],
};

pub(super) const EVICTION_BLOCKED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: true,
    title: "a budget allows no eviction now",
    meaning: "The workload does not roll by itself, so its pods must be evicted, and a PodDisruptionBudget allows \
              none at present.",
    why: "Budgets are obeyed: the unit would wait, and fail when its time is over.",
    remedy: "Make its pods Ready or relax the budget, and scan again. If it is only for now, waive this finding.",
    sources: &[EVICTION],
};

pub(super) const EVICTION_IMPOSSIBLE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a budget never allows an eviction",
    meaning: "The workload's pods must be evicted, and that can never be: it has one replica under a \
              PodDisruptionBudget that wants one available, or several budgets cover one pod.",
    why: "Kubernetes refuses the eviction for ever. Pods are never deleted past a budget.",
    remedy: "Add a replica or relax the budget (one budget a pod), or let the workload roll (`RollingUpdate`), then \
             scan again.",
    sources: &[EVICTION, "https://kubernetes.io/docs/tasks/run-application/configure-pdb/"],
};

pub(super) const BARE_POD: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "a pod that no controller would replace",
    meaning: "A pod of this ServiceAccount has no controller.",
    why: "It is never deleted, so it keeps the credentials that it has until it ends. After an undo one that was made \
          in between would be left on Pod Identity.",
    remedy: "Replace the pod yourself after the cut-over.",
    sources: &[],
};

pub(super) const BATCH_STAYS: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "Jobs move with their next run",
    meaning: "A Job or CronJob uses this ServiceAccount.",
    why: "A running Job is never restarted: it stays on IRSA until it ends, and the next one uses Pod Identity.",
    remedy: "Nothing need be done. IRSA is not retired before the last such pod has ended.",
    sources: &[],
};

pub(super) const CONTAINERS_SKIPPED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "containers that the webhook skips",
    meaning: "The annotation `eks.amazonaws.com/skip-containers` exempts containers of this workload.",
    why: "They get credentials neither by IRSA now nor by Pod Identity later; nothing changes for them.",
    remedy: "Nothing need be done for the migration of this workload.",
    sources: &[WEBHOOK],
};

pub(super) const WEBHOOK_SKIPPED: Explanation = Explanation {
    severity: Severity::Notice,
    waivable: false,
    title: "a workload that the webhook skips",
    meaning: "The label `eks.amazonaws.com/skip-pod-identity-webhook` keeps the webhook away from this workload.",
    why: "Its pods get credentials neither by IRSA now nor by Pod Identity later, so it is not restarted.",
    remedy: "Nothing need be done. If it should use the role, take the label out of its template.",
    sources: &[WEBHOOK],
};

pub(super) const POD_MODE_UNEXPECTED: Explanation = Explanation {
    severity: Severity::Warning,
    waivable: false,
    title: "a pod that does not use the annotation's role",
    meaning: "A pod of this annotated ServiceAccount has no IRSA credentials, or those of another role.",
    why: "It was admitted before the annotation was set or changed, or while the webhook was away. Its next pod gets \
          Pod Identity, and then has access that this one lacks.",
    remedy: "Restart the workload on IRSA first if you want to see it work there before it moves.",
    sources: &[WEBHOOK],
};

/// What the workloads and pods of a ServiceAccount with this role have in them, and how they move.
pub(super) fn checks(place: &Place<'_>, role: &RoleArn) -> Vec<Finding> {
    let mut found = Found::new();
    for workload in place.workloads() {
        let at = workload.at.to_string();
        if workload.skips_webhook {
            found.add(Code::WebhookSkipped, at);
            continue;
        }
        variables(workload, &mut found);
        if !workload.skip_containers.is_empty() {
            found.add(Code::ContainersSkipped, format!("{at} ({})", workload.skip_containers.join(", ")));
        }
        if let Some(code) = restart(workload) {
            let owner = workload.controller.as_ref().map(|it| format!(" (owned by {} {})", it.kind, it.name));
            let paused = if workload.paused && code == Code::RestartByOwner { " (paused)" } else { "" };
            found.add(code, format!("{at}{paused}{}", owner.unwrap_or_default()));
        }
        if is_evicted(workload) {
            evictions(place, workload, &mut found);
        }
    }
    for pod in place.pods().filter(|it| !it.skips_webhook) {
        of_pod(pod, role, &mut found);
    }
    found.into_findings(place)
}

/// Evidence by code, so that twenty Deployments with one fault are one finding.
struct Found(BTreeMap<Code, BTreeSet<String>>);

impl Found {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, code: Code, evidence: String) {
        self.0.entry(code).or_default().insert(evidence);
    }

    fn into_findings(self, place: &Place<'_>) -> Vec<Finding> {
        self.0.into_iter().map(|(code, evidence)| place.finding(code, names(evidence))).collect()
    }
}

/// Variables in the containers that decide where credentials come from (the SDKs' reference,
/// standardized credential providers: variables, web identity, profiles, containers, IMDS).
fn variables(workload: &Workload, found: &mut Found) {
    let mut by_code: BTreeMap<Code, Vec<&str>> = BTreeMap::new();
    for name in &workload.aws_env {
        let code = match name.as_str() {
            "AWS_ROLE_ARN"
            | "AWS_WEB_IDENTITY_TOKEN_FILE"
            | "AWS_CONTAINER_CREDENTIALS_FULL_URI"
            | "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
            | "AWS_CONTAINER_AUTHORIZATION_TOKEN"
            | "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" => Code::CredentialsByHand,
            "AWS_PROFILE" | "AWS_DEFAULT_PROFILE" | "AWS_CONFIG_FILE" | "AWS_SHARED_CREDENTIALS_FILE" => {
                Code::CredentialsPrecede
            }
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Code::CredentialsStatic,
            "AWS_ROLE_SESSION_NAME" => Code::SessionNameSet,
            _ => continue,
        };
        by_code.entry(code).or_default().push(name);
    }
    for (code, variables) in by_code {
        found.add(code, format!("{} ({})", workload.at, variables.join(", ")));
    }
}

/// What a restart of this workload has in its way.
fn restart(workload: &Workload) -> Option<Code> {
    let paused = workload.paused && workload.at.kind == WorkloadKind::Deployment;
    if matches!(workload.at.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
        Some(Code::BatchStays)
    } else if paused || workload.controller.is_some() {
        Some(Code::RestartByOwner)
    } else if workload.strategy == Strategy::Recreate {
        Some(Code::RestartWithDowntime)
    } else {
        None
    }
}

/// Whether its pods move by eviction: its controller replaces no pod because a template changed.
#[must_use]
pub fn is_evicted(workload: &Workload) -> bool {
    let ours = workload.controller.is_none() && !workload.skips_webhook;
    ours && match workload.at.kind {
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => true,
        WorkloadKind::StatefulSet => workload.strategy == Strategy::OnDelete || workload.partition > 0,
        WorkloadKind::DaemonSet => workload.strategy == Strategy::OnDelete,
        WorkloadKind::Deployment | WorkloadKind::Job | WorkloadKind::CronJob => false,
    }
}

/// Budgets in the way of an eviction. Kubernetes refuses to evict a pod that several budgets
/// cover; one that is not Ready may be why its budget allows nothing, so that is only for now.
fn evictions(place: &Place<'_>, workload: &Workload, found: &mut Found) {
    for pod in place.pods().filter(|it| it.workload.as_ref() == Some(&workload.at)) {
        let evidence = |budgets: &str| format!("{} of {} under {budgets}", pod.name, workload.at);
        let all = pod.budgets.keys().map(String::as_str).collect::<Vec<_>>().join(" and ");
        if pod.budgets.len() > 1 {
            found.add(Code::EvictionImpossible, evidence(&format!("budgets {all}")));
        } else if pod.budgets.values().any(|allowed| *allowed == 0) {
            let for_ever = workload.replicas <= 1 && pod.ready;
            let code = if for_ever { Code::EvictionImpossible } else { Code::EvictionBlocked };
            found.add(code, evidence(&format!("budget {all}, which allows 0")));
        }
    }
}

/// What a running pod tells that its template does not.
fn of_pod(pod: &Pod, role: &RoleArn, found: &mut Found) {
    match (&pod.workload, &pod.controller) {
        (None, None) => found.add(Code::BarePod, pod.name.clone()),
        (None, Some(owner)) => {
            found.add(Code::RestartByOwner, format!("pod {} (owned by {} {})", pod.name, owner.kind, owner.name));
        }
        (Some(_), _) => {}
    }
    match &pod.mode {
        Mode::Both => found.add(Code::CredentialsByHand, format!("pod {} has both kinds", pod.name)),
        Mode::Irsa(other) if other != role.as_str() => {
            found.add(Code::PodModeUnexpected, format!("{} has role {}", pod.name, quote(other)));
        }
        Mode::None => found.add(Code::PodModeUnexpected, format!("{} has none", pod.name)),
        Mode::Irsa(_) | Mode::PodIdentity => {}
    }
}
