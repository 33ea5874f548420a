//! What Deny statements take away.

use std::collections::BTreeSet;

use super::{Allowed, Reader};
use crate::trust::glob::TooComplex;
use crate::trust::matching::{Met, Note, Tri, conditions, names_pods, names_provider};
use crate::trust::policy::Statement;
use crate::trust::reason::Code;
use crate::trust::region::Region;
use crate::trust::request::Request;
use crate::trust::scope::{Provider, Scope, ScopeCluster};

/// The most unions of rectangles that the Deny statements may cut a policy into.
pub(super) const MAX_REGIONS: usize = 4_096;

/// What a Deny does to one kind of request.
pub(super) enum Denial {
    Misses,
    Takes { region: Region, audiences: Vec<usize> },
    Unsure(Note),
}

/// What a Deny does, and what its author may be wrong about.
type Denied = (Denial, Vec<Note>);

impl Reader<'_> {
    /// Takes away what Deny statements take from tokens.
    ///
    /// A ServiceAccount keeps the role if any audience is left to it, for its pods may ask
    /// for tokens of any audience.
    pub(super) fn take_denied(
        &mut self,
        allowed: Vec<Allowed>,
        cluster: &ScopeCluster,
        scope: &Scope,
        request: Request<'_>,
        client_ids: &[String],
    ) -> Result<Vec<Region>, TooComplex> {
        let arn = scope.provider_arn(cluster);
        let mut denials = Vec::new();
        for statement in self.about.web_deny.clone() {
            let named = names_provider(&statement.principal, &arn);
            let (denial, notes) = self.denial(statement, named, request, client_ids);
            self.remarks.notes(notes);
            match denial {
                Denial::Misses => {}
                Denial::Takes { region, audiences } if region.carried.is_empty() => denials.push((region, audiences)),
                Denial::Takes { .. } if self.denies_both_alike(statement, cluster, scope) => {}
                Denial::Takes { .. } => self.remarks.notes([(Code::DenyNotUnderstood, statement.range.start)]),
                Denial::Unsure((code, at)) => {
                    self.remarks.notes([(code, at), (Code::DenyNotUnderstood, statement.range.start)])
                }
            }
        }
        let mut kept = Vec::new();
        for Allowed { region, audiences } in allowed {
            let applying = |audience: &usize| -> Vec<usize> {
                let hits = denials.iter().enumerate().filter(|(_, (_, denied))| denied.contains(audience));
                hits.map(|(index, _)| index).collect()
            };
            let ways: BTreeSet<Vec<usize>> = audiences.iter().map(applying).collect();
            let before = kept.len();
            for way in ways {
                let mut regions = vec![region.clone()];
                for (denied, _) in way.iter().filter_map(|index| denials.get(*index)) {
                    regions = without(regions, denied)?;
                }
                kept.extend(regions);
            }
            if kept.len() == before {
                self.remarks.notes([(Code::Denied, self.document.policy().range.start)]);
            }
        }
        Ok(kept)
    }

    /// Solves one Deny for one kind of request.
    pub(super) fn denial(
        &self,
        statement: &Statement,
        named: Tri,
        request: Request<'_>,
        client_ids: &[String],
    ) -> Denied {
        match named {
            Tri::No => return (Denial::Misses, Vec::new()),
            Tri::Unsure(code) => return (Denial::Unsure((code, statement.principal.at)), Vec::new()),
            Tri::Yes => {}
        }
        let Met::By { region, audiences, unsure, mut notes } = conditions(statement, self.version, request, client_ids)
        else {
            return (Denial::Misses, Vec::new());
        };
        // The other notes are about what grants nothing, and a Deny grants nothing anyway.
        notes.retain(|(code, _)| *code == Code::LiteralWildcard);
        let denial = match unsure.first() {
            _ if region.rects.is_empty() => Denial::Misses,
            Some(note) => Denial::Unsure(*note),
            None => Denial::Takes { region, audiences },
        };
        (denial, notes)
    }

    /// Whether a Deny under carried conditions hits everybody by either way, such as one
    /// of requests without TLS: then it makes no difference between the two.
    pub(super) fn denies_both_alike(&self, statement: &Statement, cluster: &ScopeCluster, scope: &Scope) -> bool {
        let Provider::Exists { client_ids } = &cluster.provider else { return false };
        if !statement.actions.web_identity || !statement.actions.any_of_pods() {
            return false;
        }
        let issuer = cluster.issuer.as_str().to_ascii_lowercase();
        let named = names_provider(&statement.principal, &scope.provider_arn(cluster));
        let (web, _) = self.denial(statement, named, Request::WebIdentity { issuer: &issuer }, client_ids);
        let request = Request::PodIdentity { cluster: Some(&cluster.arn) };
        let (pods, _) = self.denial(statement, names_pods(&statement.principal), request, &[]);
        let (Denial::Takes { region: web, audiences }, Denial::Takes { region: pods, .. }) = (web, pods) else {
            return false;
        };
        web.is_everybody() && pods.is_everybody() && audiences.len() == client_ids.len() && web.carried == pods.carried
    }
}

/// What is left of some regions without one.
pub(super) fn without(regions: Vec<Region>, denied: &Region) -> Result<Vec<Region>, TooComplex> {
    let mut left = Vec::new();
    for region in regions {
        left.extend(region.without(denied)?);
    }
    if left.len() > MAX_REGIONS { Err(TooComplex) } else { Ok(left) }
}
