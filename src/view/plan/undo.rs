//! How a plan is undone.

use super::super::doc::{Doc, Line, line, name};
use super::super::words::seconds;
use crate::journal::RunId;
use crate::model::Digest;
use crate::plan::{Plan, Purpose};

pub(super) fn section(doc: &mut Doc, plan: &Plan, digest: &Digest) {
    if plan.purpose != Purpose::Migrate || plan.units.is_empty() {
        return;
    }
    let run = RunId::of(digest);
    let most = plan.units.iter().map(|it| it.undo.iter().map(|it| it.expected_seconds).sum::<u64>()).max().unwrap_or(0);
    doc.heading(2, "How it is undone");
    doc.list([
        line![
            "At any moment, also after a crash: ",
            name(format!("irsa-migrate rollback {run}")),
            " shows the undo and carries it out; a wave or a unit alone with ",
            name("--wave"),
            " or ",
            name("--unit"),
            "."
        ],
        Line::from(
            "The undo steps are in this plan, are reviewed with it, and are named with each unit. Of a ServiceAccount: \
             once IRSA is proven to work, the association is deleted (dissociate), new pods are proven to get IRSA \
             (effective), its workloads are restarted without our stamp (put back), and every pod is looked at \
             (verify). Then our statements leave the roles' trust policies, byte for byte as before (restore trust).",
        ),
        Line::from(format!(
            "One unit's undo takes about {} at most if all goes as usual. Undo ignores windows.",
            seconds(most)
        )),
    ]);
}
