//! From IRSA grants to Pod Identity statements.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Subject};
use crate::trust::document::Document;
use crate::trust::edit::{AddStatement, EditError, append};
use crate::trust::glob::TooComplex;
use crate::trust::grants::{Grant, Grants, Place};
use crate::trust::group::group;
use crate::trust::layout::Layout;
use crate::trust::pattern::Pattern;
use crate::trust::prove::{Proof, Relation, is_inside, prove};
use crate::trust::read::{Reading, read, read_pod_identity};
use crate::trust::reason::{Code, Reason};
use crate::trust::scope::Scope;
use crate::trust::statement;

/// How much the new statements grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// The same as IRSA.
    #[default]
    Equivalent,
    /// Only the ServiceAccounts that are named, where IRSA grants them.
    Tight,
    /// Every association of the account: AWS's own unconditioned statement. New access.
    Open,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There are statements to add.
    Translated,
    /// Pod Identity is granted already.
    Already,
    /// IRSA grants nobody anything.
    Nothing,
    /// It cannot be translated exactly; the reasons say why.
    Held,
    /// It is no policy; the reason says where.
    Invalid,
}

/// A policy's translation, with everything that a reviewer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Who may assume the role by IRSA.
    pub grants: Grants,
    /// Who may assume the role before: by IRSA, or by Pod Identity already.
    pub before: Grants,
    /// Who may assume the role by Pod Identity after.
    pub after: Grants,
    /// The statements to add; empty unless translated.
    pub added: Vec<AddStatement>,
    /// The new document; the old one unless translated.
    pub document: Document,
    /// The new document's length as IAM counts it.
    pub characters: usize,
    /// How `after` relates to `before`; absent where it could not be decided.
    pub proof: Option<Proof>,
}

/// Translates a policy.
///
/// `subjects` are the ServiceAccounts that are to move; they matter in tight mode only.
/// The translation is judged by reading the new document again and proving that its Pod
/// Identity grants are the old document's grants; where they are not, it is held.
#[must_use]
pub fn translate(document: &Document, scope: &Scope, mode: Mode, subjects: &[Subject]) -> Translation {
    let Reading { grants, pod_identity, reasons } = read(document, scope);
    let mut task = Task { document, scope, mode, grants, pod_identity, reasons };
    match task.run(subjects) {
        Ok(new) => task.finish(new),
        Err(verdict) => task.stop(verdict),
    }
}

struct Task<'a> {
    document: &'a Document,
    scope: &'a Scope,
    mode: Mode,
    grants: Grants,
    pod_identity: Grants,
    reasons: Vec<Reason>,
}

/// What is to be written.
struct New {
    added: Vec<AddStatement>,
    document: Document,
    after: Grants,
    proof: Proof,
}

impl Task<'_> {
    fn note(&mut self, code: Code, message: impl Into<String>) {
        self.reasons.push(Reason { code, message: message.into(), place: None });
    }

    fn run(&mut self, subjects: &[Subject]) -> Result<New, Verdict> {
        if self.reasons.iter().any(|it| it.holds() && !it.code.blocks_saving()) {
            return Err(Verdict::Held);
        }
        if self.grants.is_empty() {
            return Err(Verdict::Nothing);
        }
        let movable = self.movable()?;
        let wanted = match self.mode {
            Mode::Equivalent => movable.clone(),
            Mode::Tight => self.of_subjects(&movable, subjects),
            Mode::Open => Grants::default(),
        };
        if wanted.is_empty() && self.mode == Mode::Tight {
            return Err(Verdict::Nothing);
        }
        let statements = if self.mode == Mode::Open {
            self.open_statement()
        } else {
            let missing = self.missing(&wanted)?;
            self.statements(&missing)?
        };
        if statements.is_empty() {
            return Err(Verdict::Already);
        }
        if self.reasons.iter().any(Reason::holds) {
            return Err(Verdict::Held);
        }
        let (added, document) = self.edited(statements)?;
        self.judged(added, document, &movable, &wanted)
    }

    /// The grants whose clusters can have associations with this role at all: Pod Identity
    /// passes a role to its own account's clusters only.
    fn movable(&mut self) -> Result<Grants, Verdict> {
        let account = &self.scope.role_account;
        let of_account = |grant: &&Grant| in_account(&grant.cluster_arn, account);
        if self.grants.iter().all(|it| of_account(&it)) {
            return Ok(self.grants.clone());
        }
        let movable = Grants::new(self.grants.iter().filter(of_account).cloned().collect());
        let foreign: Vec<String> =
            self.grants.iter().filter(|it| !of_account(it)).map(|it| it.cluster_arn.to_string()).collect();
        let foreign: std::collections::BTreeSet<String> = foreign.into_iter().collect();
        for arn in foreign {
            let (code, end) = if movable.is_empty() {
                (Code::ClusterInOtherAccount, "move it by role chaining with a role of the cluster's account")
            } else {
                (Code::StaysOnIrsa, "it stays on IRSA")
            };
            self.note(code, format!("Pod Identity cannot pass this role to {arn}, which is in another account: {end}"));
        }
        if movable.is_empty() { Err(Verdict::Held) } else { Ok(movable) }
    }

    /// The named ServiceAccounts that IRSA grants, each by its own name.
    fn of_subjects(&mut self, movable: &Grants, subjects: &[Subject]) -> Grants {
        let mut wanted = Vec::new();
        for subject in subjects {
            let mut ways = movable.carried_for(subject);
            if ways.is_empty() {
                let message = format!("{subject} is not granted this role by IRSA: nothing is added for it");
                self.note(Code::SubjectNotGranted, message);
                continue;
            }
            if ways.iter().any(|carried| carried.is_empty()) {
                ways = vec![&[]];
            }
            let issuer = movable.iter().find(|it| it.holds(subject)).and_then(|it| it.issuer.clone());
            wanted.extend(ways.into_iter().map(|carried| Grant {
                issuer: issuer.clone(),
                cluster_arn: Place::Cluster(subject.cluster.clone()),
                namespace: Pattern::literal(&subject.namespace),
                service_account: Pattern::literal(&subject.service_account),
                except: Vec::new(),
                carried: carried.to_vec(),
            }));
        }
        Grants::new(wanted)
    }

    /// What Pod Identity does not grant yet.
    fn missing(&mut self, wanted: &Grants) -> Result<Grants, Verdict> {
        if self.pod_identity.is_empty() {
            return Ok(wanted.clone());
        }
        let known: HashSet<&Grant> = self.pod_identity.iter().collect();
        let mut missing = Vec::new();
        for grant in wanted.iter().filter(|grant| !known.contains(grant)) {
            match is_inside(grant, &self.pod_identity) {
                Ok(true) => {}
                Ok(false) => missing.push(grant.clone()),
                Err(error) => {
                    self.note(Code::TooComplex, error.to_string());
                    return Err(Verdict::Held);
                }
            }
        }
        if !missing.is_empty() && missing.len() < wanted.len() {
            self.note(Code::PartlyCovered, "some of the grants are covered by Pod Identity statements already");
        }
        Ok(Grants::new(missing))
    }

    fn statements(&mut self, missing: &Grants) -> Result<Vec<serde_json::Value>, Verdict> {
        let grants: Vec<&Grant> = missing.iter().collect();
        let blocks = match group(&grants) {
            Ok(blocks) => blocks,
            Err(TooComplex) => {
                self.note(Code::TooComplex, "the exceptions cut the grants into too many pieces");
                return Err(Verdict::Held);
            }
        };
        let statements: Result<Vec<_>, _> = blocks.iter().map(statement::of_block).collect();
        statements.map_err(|_| {
            self.note(Code::NotExpressible, "no conditions of a Pod Identity statement can say exactly this");
            Verdict::Held
        })
    }

    fn open_statement(&mut self) -> Vec<serde_json::Value> {
        let everybody = |it: &Grant| {
            it.cluster_arn == Place::Elsewhere
                && it.namespace.is_any()
                && it.service_account.is_any()
                && it.except.is_empty()
                && it.carried.is_empty()
        };
        if self.pod_identity.iter().any(everybody) {
            return Vec::new();
        }
        self.note(
            Code::NewAccess,
            "every Pod Identity association of the account may use the role: this is new access",
        );
        vec![statement::open()]
    }

    /// The document with the statements added, in its own style.
    fn edited(&mut self, statements: Vec<serde_json::Value>) -> Result<(Vec<AddStatement>, Document), Verdict> {
        let layout = Layout::of(self.document);
        let mut sids: HashSet<String> = self.document.statements().iter().filter_map(|it| it.sid.clone()).collect();
        let first = self.document.statement_count();
        let mut added = Vec::with_capacity(statements.len());
        for (index, value) in statements.into_iter().enumerate() {
            let (sid, value) = statement::with_sid(value, |sid| sids.contains(sid));
            sids.insert(sid.clone());
            added.push(AddStatement { sid, text: statement::text(&value, &layout), position: first + index });
        }
        let document = append(self.document, &added).map_err(|error| {
            let code = if error == EditError::TooLong { Code::TooLong } else { Code::NotExpressible };
            self.note(code, format!("the statements do not fit into the policy: {error}"));
            Verdict::Held
        })?;
        Ok((added, document))
    }

    /// Reads the new document and proves what it grants.
    fn judged(
        &mut self,
        added: Vec<AddStatement>,
        document: Document,
        movable: &Grants,
        wanted: &Grants,
    ) -> Result<New, Verdict> {
        let after = read_pod_identity(&document, self.scope);
        let expected = match self.mode {
            Mode::Equivalent | Mode::Open => movable.union(&self.pod_identity),
            Mode::Tight => wanted.union(&self.pod_identity),
        };
        let before = self.before();
        let proofs = prove(&expected, &after).and_then(|exact| {
            let proof = if expected == before { exact.clone() } else { prove(&before, &after)? };
            Ok((exact, proof))
        });
        let (exact, proof) = match proofs {
            Ok(proofs) => proofs,
            Err(error) => {
                self.note(Code::TooComplex, error.to_string());
                return Err(Verdict::Held);
            }
        };
        let as_asked = match self.mode {
            Mode::Equivalent | Mode::Tight => exact.relation == Relation::Equal,
            Mode::Open => matches!(exact.relation, Relation::Equal | Relation::Wider),
        };
        if !as_asked {
            let who = exact.witness.map(|it| {
                let more = if it.after { "more: for one, " } else { "less: for one, not " };
                format!("; by them Pod Identity would grant {more}{}/{}", it.namespace, it.service_account)
            });
            let message =
                "the new statements would not grant exactly what IRSA grants, perhaps for a Deny in their way";
            self.note(Code::NotExpressible, message.to_owned() + &who.unwrap_or_default());
            return Err(Verdict::Held);
        }
        Ok(New { added, document, after, proof })
    }

    fn before(&self) -> Grants {
        self.grants.union(&self.pod_identity)
    }

    fn finish(self, new: New) -> Translation {
        Translation {
            verdict: Verdict::Translated,
            before: self.before(),
            reasons: self.reasons,
            grants: self.grants,
            after: new.after,
            characters: new.document.characters(),
            added: new.added,
            document: new.document,
            proof: Some(new.proof),
        }
    }

    fn stop(self, verdict: Verdict) -> Translation {
        let before = self.before();
        Translation {
            verdict,
            reasons: self.reasons,
            // Of a policy that is not understood nothing can be proven.
            proof: if verdict == Verdict::Held { None } else { prove(&before, &self.pod_identity).ok() },
            before,
            grants: self.grants,
            after: self.pod_identity,
            added: Vec::new(),
            characters: self.document.characters(),
            document: self.document.clone(),
        }
    }
}

/// Whether a cluster is of the role's account.
fn in_account(place: &Place, account: &AccountId) -> bool {
    match place {
        Place::Cluster(arn) => arn.account() == *account,
        Place::Elsewhere => false,
    }
}
