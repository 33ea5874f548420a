//! What a reader of a policy should know, each thing once.

use std::collections::{BTreeMap, HashSet};

use crate::model::Issuer;
use crate::trust::document::Document;
use crate::trust::matching::Note;
use crate::trust::policy::{Effect, Principal, Word};
use crate::trust::reason::{Code, Reason};
use crate::trust::scope::{Provider, Scope};

/// The reasons of a policy, as they are found.
pub(crate) struct Remarks<'d> {
    document: &'d Document,
    pub(crate) reasons: Vec<Reason>,
    /// What was noted already: one policy may say the same for each of its clusters.
    seen: HashSet<(Code, usize)>,
    /// The clusters whose tokens lack a condition's key, by the condition's place.
    without_key: BTreeMap<usize, Vec<String>>,
}

impl<'d> Remarks<'d> {
    pub(crate) fn new(document: &'d Document) -> Self {
        Self { document, reasons: Vec::new(), seen: HashSet::new(), without_key: BTreeMap::new() }
    }

    pub(crate) fn note(&mut self, code: Code, at: usize, message: impl FnOnce() -> String) {
        if self.seen.insert((code, at)) {
            self.reasons.push(Reason { code, message: message(), place: Some(self.document.place(at)) });
        }
    }

    /// Notes that tokens of a cluster lack a key, of all such clusters in one sentence: those of others may have it.
    pub(crate) fn never_present(&mut self, at: usize, cluster: &str) {
        let code = Code::KeyNeverPresent;
        let place = self.document.place(at);
        let clusters = self.without_key.entry(at).or_default();
        clusters.push(cluster.to_owned());
        let message =
            format!("a token of {} never carries this key: nobody there meets the condition", clusters.join(", "));
        match self.reasons.iter_mut().find(|it| it.code == code && it.place == Some(place)) {
            Some(reason) => reason.message = message,
            None => self.reasons.push(Reason { code, message, place: Some(place) }),
        }
    }

    /// Notes what is explained by its code alone.
    pub(crate) fn notes(&mut self, notes: impl IntoIterator<Item = Note>) {
        for (code, at) in notes {
            self.note(code, at, || code.explanation().to_owned());
        }
    }

    /// What keeps IAM from saving any new version of this policy.
    pub(crate) fn check_saving(&mut self) {
        let document = self.document;
        let mut sids = HashSet::new();
        for statement in document.statements() {
            for word in &statement.principal.aws {
                if is_unique_id(&word.text) {
                    self.note(Code::DeletedPrincipal, word.range.start, || {
                        format!(
                            "the principal `{}` was deleted: IAM refuses to save the policy until it is removed",
                            word.text
                        )
                    });
                }
            }
            if let Some(sid) = &statement.sid
                && !sids.insert(sid)
            {
                self.notes([(Code::SidTwice, statement.range.start)]);
            }
        }
        if let Some((c, place)) = document.refused_character() {
            let message = format!("the API takes no {} in a policy: write it as an escape", c.escape_unicode());
            self.reasons.push(Reason { code: Code::CharacterRefused, message, place: Some(place) });
        }
    }

    /// A provider that is named by its issuer alone, or as an AWS principal.
    fn check_spelling(&mut self, scope: &Scope, principal: &Principal) {
        for cluster in &scope.clusters {
            let expected = scope.provider_arn(cluster);
            let bare = |word: &&Word| Issuer::parse(&word.text).is_ok_and(|it| it == cluster.issuer);
            let federated = principal.federated.iter().filter(bare);
            let aws = principal.aws.iter().filter(|word| word.text == expected);
            for word in federated.chain(aws) {
                self.note(Code::ProviderElsewhere, word.range.start, || {
                    let name = cluster.arn.name();
                    format!("the provider of cluster {name} is a Federated principal by its ARN, {expected}")
                });
            }
        }
    }

    /// Providers that are named and are no scanned cluster's, or are of no use.
    pub(crate) fn check_providers(&mut self, scope: &Scope) {
        for statement in self.document.statements().iter().filter(|it| it.effect == Effect::Allow) {
            self.check_spelling(scope, &statement.principal);
            for word in &statement.principal.federated {
                let Some((_, issuer)) = word.text.split_once(":oidc-provider/") else { continue };
                let at = word.range.start;
                let mut known = false;
                for cluster in &scope.clusters {
                    if !cluster.issuer.as_str().eq_ignore_ascii_case(issuer) {
                        continue;
                    }
                    known = true;
                    let expected = scope.provider_arn(cluster);
                    if expected != word.text {
                        let message = || {
                            format!(
                                "the provider of cluster {} in the role's account is {expected}, and IAM compares providers exactly",
                                cluster.arn.name(),
                            )
                        };
                        self.note(Code::ProviderElsewhere, at, message);
                    } else if cluster.provider == Provider::Absent {
                        self.notes([(Code::ProviderGone, at)]);
                    }
                }
                if !known {
                    self.notes([(Code::IssuerUnknown, at)]);
                } else if !statement.actions.web_identity {
                    self.notes([(Code::WrongAction, at)]);
                }
            }
        }
    }
}

/// Whether an AWS principal is the unique id of a deleted user or role (`AIDA...`, `AROA...`).
///
/// Source: IAM user guide, "IAM identifiers": four letters, then upper case letters and digits.
fn is_unique_id(principal: &str) -> bool {
    let known = ["AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ASCA", "APKA", "ANVA", "ABIA", "ACCA", "AKIA", "ASIA"];
    principal.len() >= 16
        && known.iter().any(|prefix| principal.starts_with(prefix))
        && principal.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
