//! Workloads and pods: which credentials they use, and how they can be restarted.

use super::{Explanation, Severity};

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
