//! What could not be read.

use super::{Explanation, Severity};

pub(super) const UNREAD: Explanation = Explanation {
    severity: Severity::Blocker,
    waivable: false,
    title: "a read that was needed failed",
    meaning: "A call that this decision needs gave no answer: it was denied, it failed, or it was never made.",
    why: "Not read is not the same as not there. A check that took it so would move a pod that cannot work, or touch \
          what is somebody else's.",
    remedy: "Grant the call named in the evidence (`irsa-migrate permissions` writes the least that is needed) \
             or mend its cause, then scan again.",
    sources: &[],
};
