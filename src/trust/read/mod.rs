//! What a policy grants, statement by statement.

mod deny;

use deny::{Denial, MAX_REGIONS, without};

use crate::model::Issuer;
use crate::trust::document::Document;
use crate::trust::glob::TooComplex;
use crate::trust::grants::{Grant, Grants, Place};
use crate::trust::matching::{Met, Tri, conditions, names_pods, names_provider};
use crate::trust::policy::{Effect, Statement, Version};
use crate::trust::reason::{Code, Reason};
use crate::trust::region::{Region, matches_nobody};
use crate::trust::remarks::Remarks;
use crate::trust::request::Request;
use crate::trust::scope::{Provider, Scope, ScopeCluster};

/// What a policy grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Who may assume the role by IRSA, as far as it is certain.
    pub grants: Grants,
    /// Who may assume the role by Pod Identity already, as far as it is certain.
    pub pod_identity: Grants,
    /// What a reader should know. If one of them holds, the grants may be incomplete.
    pub reasons: Vec<Reason>,
}

impl Reading {
    /// Who may assume the role, one way or the other.
    #[must_use]
    pub fn all(&self) -> Grants {
        self.grants.union(&self.pod_identity)
    }

    /// Whether anything keeps the policy from being translated.
    #[must_use]
    pub fn held(&self) -> bool {
        self.reasons.iter().any(Reason::holds)
    }
}

/// Reads what a policy grants to the clusters of the scope.
#[must_use]
pub fn read(document: &Document, scope: &Scope) -> Reading {
    let mut reader = Reader::new(document);
    reader.remarks.check_saving();
    reader.remarks.check_providers(scope);
    for cluster in &scope.clusters {
        let granted = reader.web_identity(cluster, scope);
        reader.pod_identity(Some(cluster), granted, scope);
    }
    reader.pod_identity(None, false, scope);
    Reading {
        grants: Grants::new(reader.grants),
        pod_identity: Grants::new(reader.pod_identity),
        reasons: reader.remarks.reasons,
    }
}

/// Reads who may assume the role by Pod Identity, as [`read`] does, and nothing else.
pub(crate) fn read_pod_identity(document: &Document, scope: &Scope) -> Grants {
    let mut reader = Reader::new(document);
    for cluster in &scope.clusters {
        reader.pod_identity(Some(cluster), false, scope);
    }
    reader.pod_identity(None, false, scope);
    Grants::new(reader.pod_identity)
}

/// An Allow, solved.
struct Allowed {
    region: Region,
    audiences: Vec<usize>,
}

/// The statements by what they are about, so that each cluster looks at few.
struct About<'d> {
    web_allow: Vec<&'d Statement>,
    web_deny: Vec<&'d Statement>,
    pods_allow: Vec<&'d Statement>,
    pods_deny: Vec<&'d Statement>,
}

impl<'d> About<'d> {
    fn of(statements: &'d [Statement]) -> Self {
        let some = |effect: Effect, about: fn(&Statement) -> bool| {
            statements.iter().filter(|it| it.effect == effect && about(it)).collect()
        };
        let web = |it: &Statement| it.actions.web_identity;
        let pods = |it: &Statement| it.actions.any_of_pods() && names_pods(&it.principal) != Tri::No;
        Self {
            web_allow: some(Effect::Allow, web),
            web_deny: some(Effect::Deny, web),
            pods_allow: some(Effect::Allow, pods),
            pods_deny: some(Effect::Deny, pods),
        }
    }

    /// Whether any Allow may be about the tokens of an issuer: a quick look before the thorough one.
    fn may_name(&self, issuer: &str) -> bool {
        self.web_allow.iter().any(|it| {
            let named = |text: &str| text == "*" || text.ends_with(issuer);
            it.principal.negated || it.principal.everyone || it.principal.federated.iter().any(|word| named(&word.text))
        })
    }
}

struct Reader<'d> {
    document: &'d Document,
    about: About<'d>,
    version: Version,
    remarks: Remarks<'d>,
    grants: Vec<Grant>,
    pod_identity: Vec<Grant>,
}

impl<'d> Reader<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            document,
            about: About::of(document.statements()),
            version: document.policy().version,
            remarks: Remarks::new(document),
            grants: Vec::new(),
            pod_identity: Vec::new(),
        }
    }

    /// Who of a cluster may assume the role with a token; whether anybody may.
    fn web_identity(&mut self, cluster: &ScopeCluster, scope: &Scope) -> bool {
        let Provider::Exists { client_ids } = &cluster.provider else { return false };
        if !self.about.may_name(cluster.issuer.as_str()) {
            return false;
        }
        let arn = scope.provider_arn(cluster);
        let issuer = cluster.issuer.as_str().to_ascii_lowercase();
        let request = Request::WebIdentity { issuer: &issuer };
        let mut allowed = Vec::new();
        for statement in self.about.web_allow.clone() {
            match names_provider(&statement.principal, &arn) {
                Tri::No => {}
                Tri::Unsure(code) => self.remarks.notes([(code, statement.principal.at)]),
                Tri::Yes => allowed.extend(self.allow(statement, request, cluster, client_ids)),
            }
        }
        if allowed.is_empty() {
            return false;
        }
        let before = self.grants.len();
        match self.take_denied(allowed, cluster, scope, request, client_ids) {
            Ok(regions) => {
                for region in &regions {
                    let place = Place::Cluster(cluster.arn.clone());
                    let added = push_grants(&mut self.grants, region, Some(&cluster.issuer), &place);
                    if added.is_err() {
                        self.remarks.notes([(Code::TooComplex, 0)]);
                    }
                }
            }
            Err(TooComplex) => self.remarks.notes([(Code::TooComplex, 0)]),
        }
        // What a Deny spares by a wildcard that it takes literally is nobody.
        let granted = self.grants.split_off(before);
        self.grants.extend(granted.into_iter().filter(|it| !matches_nobody(&it.namespace, &it.service_account)));
        let granted = self.grants.get(before..).unwrap_or_default();
        let some = !granted.is_empty();
        if granted.iter().any(|it| it.namespace.is_any() && it.service_account.is_any()) {
            let at = self.document.policy().range.start;
            let name = cluster.arn.name();
            self.remarks.note(Code::AnyServiceAccount, at, || {
                format!("every ServiceAccount of cluster {name} may assume the role; narrowing it is worth a thought")
            });
        }
        some
    }

    /// Solves one Allow for tokens; `None` if it grants nobody anything.
    fn allow(
        &mut self,
        statement: &'d Statement,
        request: Request<'_>,
        cluster: &ScopeCluster,
        client_ids: &[String],
    ) -> Option<Allowed> {
        match conditions(statement, self.version, request, client_ids) {
            Met::Never(notes) => {
                for (code, at) in notes {
                    if code == Code::KeyNeverPresent {
                        self.remarks.never_present(at, cluster.arn.name());
                    } else {
                        self.remarks.notes([(code, at)]);
                    }
                }
                None
            }
            Met::By { region, audiences, unsure, notes } => {
                self.remarks.notes(notes);
                let at = statement.range.start;
                // What cannot be computed is noted where the grants are made of it.
                let all_hole = || !region.holes.is_empty() && region.clipped().is_ok_and(|it| it.is_empty());
                if region.rects.is_empty() || all_hole() {
                    // Oddities of single values explain themselves; two conditions that
                    // exclude each other do not.
                    self.remarks.notes([(Code::NeverTogether, at)]);
                    return None;
                }
                if audiences.is_empty() {
                    self.remarks.notes([(Code::AudienceNotAccepted, at)]);
                    return None;
                }
                if statement.actions.negated {
                    self.remarks.notes([(Code::NotAction, at)]);
                }
                if !audiences.iter().any(|it| client_ids.get(*it).is_some_and(|id| id == DEFAULT_AUDIENCE)) {
                    self.remarks.notes([(Code::CustomAudience, at)]);
                }
                let certain = unsure.is_empty();
                self.remarks.notes(unsure);
                certain.then_some(Allowed { region, audiences })
            }
        }
    }

    /// Who of a cluster may assume the role by Pod Identity, with session tags.
    ///
    /// `granted` says whether tokens of the cluster are granted anything, so that a Deny in
    /// the way of our statement matters.
    fn pod_identity(&mut self, cluster: Option<&ScopeCluster>, granted: bool, scope: &Scope) {
        if self.about.pods_allow.is_empty() && !granted {
            return;
        }
        let request = Request::PodIdentity { cluster: cluster.map(|it| &it.arn) };
        let result = self.allowed_pods(request).and_then(|mut regions| {
            for statement in self.about.pods_deny.clone() {
                let at = statement.range.start;
                match self.denial(statement, names_pods(&statement.principal), request, &[]).0 {
                    Denial::Misses => {}
                    Denial::Takes { region, .. } if region.carried.is_empty() => {
                        if granted && region.is_everybody() {
                            self.remarks.notes([(Code::DenyDefeats, at)]);
                        }
                        regions = without(regions, &region)?;
                    }
                    Denial::Takes { .. } | Denial::Unsure(_) => {
                        let alike = cluster.is_some_and(|it| self.denies_both_alike(statement, it, scope));
                        if granted && !alike {
                            self.remarks.notes([(Code::DenyNotUnderstood, at)]);
                        }
                    }
                }
            }
            Ok(regions)
        });
        let (issuer, place) = match cluster {
            Some(it) => (Some(&it.issuer), Place::Cluster(it.arn.clone())),
            None => (None, Place::Elsewhere),
        };
        match result {
            Ok(regions) => {
                for region in regions {
                    if push_grants(&mut self.pod_identity, &region, issuer, &place).is_err() {
                        self.remarks.notes([(Code::TooComplex, 0)]);
                    }
                }
            }
            Err(TooComplex) => self.remarks.notes([(Code::TooComplex, 0)]),
        }
    }

    /// What Allow statements grant to Pod Identity: both actions, by one statement or two.
    ///
    /// A statement whose conditions we are not sure of counts for nothing: we change
    /// nothing about it, so that it grants the same before and after.
    fn allowed_pods(&mut self, request: Request<'_>) -> Result<Vec<Region>, TooComplex> {
        let (mut both, mut assume, mut tag) = (Vec::new(), Vec::new(), Vec::new());
        for statement in &self.about.pods_allow {
            if names_pods(&statement.principal) != Tri::Yes {
                continue;
            }
            let Met::By { region, unsure, .. } = conditions(statement, self.version, request, &[]) else { continue };
            if !unsure.is_empty() {
                continue;
            }
            match (statement.actions.assume_role, statement.actions.tag_session) {
                (true, true) => both.push(region),
                (true, false) => assume.push(region),
                (false, _) => tag.push(region),
            }
        }
        if assume.len() * tag.len() > MAX_REGIONS {
            return Err(TooComplex);
        }
        for a in &assume {
            for t in &tag {
                both.push(a.meet(t)?);
            }
        }
        Ok(both)
    }
}

/// The audience that the EKS webhook asks tokens for, unless an annotation says otherwise.
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";

fn push_grants(
    grants: &mut Vec<Grant>,
    region: &Region,
    issuer: Option<&Issuer>,
    place: &Place,
) -> Result<(), TooComplex> {
    for (rect, except) in region.clipped()? {
        grants.push(Grant {
            issuer: issuer.cloned(),
            cluster_arn: place.clone(),
            namespace: rect.ns,
            service_account: rect.sa,
            except,
            carried: region.carried.clone(),
        });
    }
    Ok(())
}
