//! Role units: what is added to a trust policy, and the proof that it changes nothing.

use super::settings::Settings;
use super::step::{RoleWork, Step, Unit, UnitId, Work};
use super::steps::{self, Steps};
use super::times;
use crate::findings::{Code, Finding, Target, scope_of, too_large};
use crate::inventory::{Inventory, Role, Seen};
use crate::model::{AccountId, ClusterArn, RoleArn, Subject};
use crate::trust::{self, Document, Grant, GrantPlace, Grants, Mode, Relation, Translation, Verdict};

/// A role that can be prepared.
pub(super) struct Prepared {
    pub(super) work: RoleWork,
    pub(super) notices: Vec<Finding>,
}

/// Prepares a role for these ServiceAccounts, or says why it is held.
pub(super) fn prepare(
    inventory: &Inventory,
    settings: &Settings,
    arn: &RoleArn,
    subjects: &[Subject],
) -> Result<Prepared, Vec<Finding>> {
    let about = || Target::Role(arn.clone());
    let unread = |what: &str| vec![Finding::new(Code::Unread, about(), what)];
    let Some(role) = role_of(inventory, arn) else { return Err(unread("the role is not in the inventory")) };
    // Who owns a role is told by its tags: without them nothing of it may be edited.
    if role.detail.as_ref().and_then(Seen::get).is_none() {
        return Err(unread("the role's tags: GetRole was not called, or failed"));
    }
    let Some(account) = inventory.accounts.get(&arn.account()) else { return Err(unread("its account was not read")) };
    let quota = account.trust_quota.as_result().map_err(|why| unread(&format!("the trust policy's quota: {why}")))?;
    let Some(scope) = scope_of(inventory, &arn.account()) else { return Err(unread("the OIDC providers")) };
    let untranslated = |why: String| vec![Finding::new(Code::TrustUntranslated, about(), why)];
    let document = Document::parse(&role.trust).map_err(|error| untranslated(error.to_string()))?;
    let mode = settings.trust.roles.get(arn).copied().unwrap_or(settings.trust.mode);
    let translation = trust::translate(&document, &scope, mode, subjects);
    match translation.verdict {
        Verdict::Translated | Verdict::Already => {}
        Verdict::Nothing | Verdict::Held | Verdict::Invalid => return Err(untranslated(reasons(&translation))),
    }
    let Some(proof) = translation.proof.clone() else {
        return Err(untranslated("the proof is over its budget".into()));
    };
    // Only a mode that was asked for by role may grant more, and it is shown as new access.
    let allowed = match proof.relation {
        Relation::Equal => true,
        Relation::Narrower => {
            mode != Mode::Equivalent
                || translation.verdict == Verdict::Already
                || equal_in_account(&translation, &arn.account())
        }
        Relation::Wider => mode == Mode::Open || translation.verdict == Verdict::Already,
        Relation::Incomparable => false,
    };
    if !allowed {
        return Err(untranslated(format!("the translation would be {:?}", proof.relation)));
    }
    if let Some(subject) = subjects.iter().find(|it| !translation.after.allows(it)) {
        return Err(untranslated(format!("the translation does not grant {subject}")));
    }
    if let Some(finding) = too_large(arn, translation.characters, *quota) {
        return Err(vec![finding]);
    }
    let notices = staying(&translation, arn);
    let work = RoleWork {
        role_arn: arn.clone(),
        role_id: role.role_id.clone(),
        before: role.trust.clone(),
        after: translation.document.text().to_owned(),
        added: translation.added,
        grants_before: translation.before,
        grants_after: translation.after,
        proof,
        characters: u32::try_from(translation.characters).unwrap_or(u32::MAX),
        quota: *quota,
    };
    Ok(Prepared { work, notices })
}

/// Whether nothing but grants of other accounts' clusters is missing. No association can pass this
/// role to those, so that they stay on IRSA, whose statements stay as they are.
fn equal_in_account(translation: &Translation, account: &AccountId) -> bool {
    let own = |it: &&Grant| match &it.cluster_arn {
        GrantPlace::Cluster(arn) => arn.account() == *account,
        GrantPlace::Elsewhere => true,
    };
    let before = Grants::from(translation.before.iter().filter(own).cloned().collect::<Vec<_>>());
    let kept = trust::prove(&before, &translation.after);
    kept.is_ok_and(|it| matches!(it.relation, Relation::Equal | Relation::Wider))
}

/// Who of the role's users stays on IRSA.
fn staying(translation: &Translation, arn: &RoleArn) -> Vec<Finding> {
    let of_others = translation.reasons.iter().filter(|it| it.code == trust::Code::StaysOnIrsa);
    let finding = |it: &trust::Reason| {
        Finding::new(Code::TrustRemark, Target::Role(arn.clone()), format!("{}: {}", it.code.as_str(), it.message))
    };
    of_others.map(finding).collect()
}

fn role_of<'a>(inventory: &'a Inventory, arn: &RoleArn) -> Option<&'a Role> {
    inventory.accounts.get(&arn.account())?.roles.get()?.iter().find(|it| it.arn == *arn)
}

fn reasons(translation: &Translation) -> String {
    let all: Vec<&str> = translation.reasons.iter().map(|it| it.message.as_str()).collect();
    if all.is_empty() { "IRSA grants nobody anything".to_owned() } else { all.join("; ") }
}

/// The one step of a prepared role.
pub(super) fn step(settings: &Settings, prepared: &Prepared) -> Step {
    steps::prepare(&settings.numbers, &prepared.work)
}

/// The unit of a prepared role.
pub(super) fn unit(settings: &Settings, prepared: Prepared, subjects: Vec<Subject>, clusters: Vec<ClusterArn>) -> Unit {
    let Prepared { work, notices } = prepared;
    let Steps { forth, back } = steps::of_role(&settings.numbers, &work, subjects, clusters);
    let (expected_seconds, worst_seconds) = times::sums(&forth);
    Unit {
        id: UnitId::of_role(&work.role_arn),
        work: Work::Role(work),
        needs: Vec::new(),
        steps: forth,
        undo: back,
        expected_seconds,
        worst_seconds,
        notices,
    }
}
