//! What the planner decides by settings rather than by what was seen.

use super::{Explanation, Severity};

pub(super) const OUT_OF_SCOPE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "left out by the settings",
    meaning: "The settings' scope does not select this ServiceAccount.",
    why: "What is left out stays on IRSA, and is listed so that nobody takes the plan for the whole fleet.",
    remedy: "Widen `[scope]` in the settings and plan again, or leave it where it is.",
    sources: &[],
};

pub(super) const ROLE_NOT_NEEDED: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "no ServiceAccount of the plan needs the role",
    meaning: "Every ServiceAccount that asks for this role is held back, so that its trust policy need not change.",
    why: "A trust policy that is changed for nobody is risk without gain.",
    remedy: "Look at what holds the ServiceAccounts of this role, and plan again.",
    sources: &[],
};

pub(super) const ROLE_HELD: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "its role is held back",
    meaning: "The role that this ServiceAccount needs is held back, so that it cannot be prepared.",
    why: "A pod on Pod Identity whose role does not trust Pod Identity gets no credentials at all.",
    remedy: "Look at what holds the role, and plan again.",
    sources: &["https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html"],
};

pub(super) const NEVER_FITS_WINDOW: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "longer than any change window",
    meaning: "The time that this unit is expected to take is longer than the longest change window.",
    why: "A unit is not interrupted: a ServiceAccount's from the association to the last verified pod, a role's from the \
          edit of its trust policy to the end of the settle time. So it must not start what its window cannot hold.",
    remedy: "Lengthen a window, or make the roll-out of a ServiceAccount faster (more pods at a time), and plan again.",
    sources: &[],
};

pub(super) const IN_NO_WAVE: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "in no wave",
    meaning: "The settings name waves, and none of them takes this ServiceAccount.",
    why: "What goes in no wave is never carried out, and is listed so that nobody misses it.",
    remedy: "Add a wave that selects it, such as a last one without selectors, and plan again.",
    sources: &[],
};
