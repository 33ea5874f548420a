//! Few statements that grant the same set: canonical grouping.
//!
//! A Pod Identity statement tests the cluster, the namespace and the ServiceAccount one by
//! one, so that it grants a product. Grants are first cut where exceptions lie across, then
//! those of one cluster are grouped into products, and products that clusters share are
//! joined. The fewest possible statements are not asked for; the time is linear, up to
//! sorting, in the number of grants.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ClusterArn;
use crate::trust::glob::{Rect, TooComplex, includes, meet};
use crate::trust::grants::{Carried, Except, Grant, Place};
use crate::trust::pattern::Pattern;

/// The most pieces that the exceptions may cut one grant into.
const MAX_PIECES: usize = 256;

/// A pattern that is left out, perhaps without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Left {
    pub(crate) pattern: Pattern,
    pub(crate) ignore_case: bool,
}

/// What a statement tests of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    /// The name matches one of these; empty for any name.
    pub(crate) one_of: Vec<Pattern>,
    /// And none of these.
    pub(crate) none_of: Vec<Left>,
}

/// What one statement grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block {
    pub(crate) namespace: Test,
    pub(crate) service_account: Test,
    pub(crate) carried: Vec<Carried>,
    pub(crate) clusters: Vec<ClusterArn>,
}

/// A product within one cluster, without its cluster.
type Product = (Test, Test, Vec<Carried>);

/// What statements must agree in before their names can be listed together.
type Frame<'g> = (Vec<Left>, Vec<Left>, &'g [Carried]);

/// A namespace pattern and a ServiceAccount pattern, each pair once.
type Pairs = BTreeSet<(Pattern, Pattern)>;

/// Groups grants into blocks.
pub(crate) fn group(grants: &[&Grant]) -> Result<Vec<Block>, TooComplex> {
    let mut clusters: BTreeMap<&ClusterArn, BTreeMap<Frame<'_>, Pairs>> = BTreeMap::new();
    for grant in grants {
        let Place::Cluster(arn) = &grant.cluster_arn else { continue };
        let frames = clusters.entry(arn).or_default();
        for piece in pieces(grant)? {
            let frame = (piece.ns_not, piece.sa_not, grant.carried.as_slice());
            frames.entry(frame).or_default().insert((piece.rect.ns, piece.rect.sa));
        }
    }
    let mut products: BTreeMap<Product, Vec<ClusterArn>> = BTreeMap::new();
    for (arn, frames) in clusters {
        for ((ns_not, sa_not, carried), pairs) in frames {
            for (namespaces, accounts) in factor(&pairs) {
                let namespace = Test { one_of: named(namespaces), none_of: ns_not.clone() };
                let service_account = Test { one_of: named(accounts), none_of: sa_not.clone() };
                products.entry((namespace, service_account, carried.to_vec())).or_default().push(arn.clone());
            }
        }
    }
    let block = |((namespace, service_account, carried), mut clusters): (Product, Vec<ClusterArn>)| {
        clusters.sort();
        clusters.dedup();
        Block { namespace, service_account, carried, clusters }
    };
    Ok(products.into_iter().map(block).collect())
}

/// A list of patterns, or none if one of them is every name.
fn named(patterns: Vec<Pattern>) -> Vec<Pattern> {
    if patterns.iter().any(Pattern::is_any) { Vec::new() } else { patterns }
}

type Factors = Vec<(Vec<Pattern>, Vec<Pattern>)>;

/// Writes pairs as few products: names of one side with equal partners go together. Both
/// sides are tried, and the one with fewer products is taken.
fn factor(pairs: &Pairs) -> Factors {
    let by_namespace = join(pairs.iter().map(|(ns, sa)| (ns, sa)));
    let by_account = join(pairs.iter().map(|(ns, sa)| (sa, ns)));
    let own = |patterns: Vec<&Pattern>| patterns.into_iter().cloned().collect::<Vec<_>>();
    if by_account.len() < by_namespace.len() {
        by_account.into_iter().map(|(namespaces, accounts)| (own(namespaces), own(accounts))).collect()
    } else {
        by_namespace.into_iter().map(|(accounts, namespaces)| (own(namespaces), own(accounts))).collect()
    }
}

/// The keys that have the same set of partners, by that set.
fn join<'p>(pairs: impl Iterator<Item = (&'p Pattern, &'p Pattern)>) -> BTreeMap<Vec<&'p Pattern>, Vec<&'p Pattern>> {
    let mut partners: BTreeMap<&Pattern, Vec<&Pattern>> = BTreeMap::new();
    for (key, partner) in pairs {
        partners.entry(key).or_default().push(partner);
    }
    let mut joined: BTreeMap<Vec<&Pattern>, Vec<&Pattern>> = BTreeMap::new();
    for (key, mut list) in partners {
        list.sort();
        joined.entry(list).or_default().push(key);
    }
    joined
}

/// A rectangle of which only whole namespaces and whole ServiceAccounts are left out.
#[derive(Debug, Clone)]
struct Piece {
    rect: Rect,
    ns_not: Vec<Left>,
    sa_not: Vec<Left>,
}

/// Cuts a grant into pieces.
///
/// An exception across the whole of one side is a test of the other. One in the middle,
/// such as one pair of names, makes two pieces: without its namespaces; and with them,
/// without its ServiceAccounts. Without case its namespaces are no pattern: the second
/// piece then has all namespaces, and shares with the first what is in neither.
fn pieces(grant: &Grant) -> Result<Vec<Piece>, TooComplex> {
    let rect = Rect { ns: grant.namespace.clone(), sa: grant.service_account.clone() };
    let piece = Piece { rect, ns_not: Vec::new(), sa_not: Vec::new() };
    let mut done = Vec::new();
    cut(piece, &grant.except, &mut done)?;
    for piece in &mut done {
        tidy(&mut piece.ns_not);
        tidy(&mut piece.sa_not);
    }
    Ok(done)
}

fn cut(mut piece: Piece, except: &[Except], done: &mut Vec<Piece>) -> Result<(), TooComplex> {
    for (at, one) in except.iter().enumerate() {
        if !touches(&piece.rect.ns, &one.namespace, one.ignore_case)?
            || !touches(&piece.rect.sa, &one.service_account, one.ignore_case)?
        {
            continue;
        }
        let outside = |left: &Left| left.ignore_case == one.ignore_case && includes(&left.pattern, &one.namespace);
        if piece.ns_not.iter().any(outside) {
            continue;
        }
        let namespace = Left { pattern: one.namespace.clone(), ignore_case: one.ignore_case };
        let account = Left { pattern: one.service_account.clone(), ignore_case: one.ignore_case };
        match (includes(&one.namespace, &piece.rect.ns), includes(&one.service_account, &piece.rect.sa)) {
            (true, true) => return Ok(()),
            (false, true) => piece.ns_not.push(namespace),
            (true, false) => piece.sa_not.push(account),
            (false, false) if one.ignore_case => {
                let mut inside = piece.clone();
                inside.sa_not.push(account);
                cut(inside, except.get(at + 1..).unwrap_or_default(), done)?;
                piece.ns_not.push(namespace);
            }
            (false, false) => {
                let rest = except.get(at + 1..).unwrap_or_default();
                for ns in meet(&piece.rect.ns, &one.namespace)? {
                    let mut inside = piece.clone();
                    inside.rect.ns = ns;
                    inside.sa_not.push(account.clone());
                    cut(inside, rest, done)?;
                }
                piece.ns_not.push(namespace);
            }
        }
    }
    // A literal name is left out for good, or the exception does not concern it.
    if gone(&piece.rect.ns, &mut piece.ns_not) || gone(&piece.rect.sa, &mut piece.sa_not) {
        return Ok(());
    }
    done.push(piece);
    if done.len() > MAX_PIECES { Err(TooComplex) } else { Ok(()) }
}

/// Whether any name is in both.
fn touches(own: &Pattern, left: &Pattern, ignore_case: bool) -> Result<bool, TooComplex> {
    if ignore_case {
        return Ok(own.as_literal().is_none_or(|name| left.matches(&name.to_ascii_lowercase())));
    }
    Ok(!meet(own, left)?.is_empty())
}

/// Whether a literal is among the exceptions; those that miss it are dropped.
fn gone(own: &Pattern, left: &mut Vec<Left>) -> bool {
    let Some(name) = own.as_literal() else { return false };
    let lower = name.to_ascii_lowercase();
    left.retain(|it| it.pattern.matches(if it.ignore_case { &lower } else { &name }));
    !left.is_empty()
}

/// Sorts, and drops what another covers.
fn tidy(left: &mut Vec<Left>) {
    left.sort();
    left.dedup();
    let all = left.clone();
    left.retain(|it| {
        !all.iter()
            .any(|other| other != it && other.ignore_case == it.ignore_case && includes(&other.pattern, &it.pattern))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str, ignore_case: bool) -> Left {
        Left { pattern: Pattern::parse(text).unwrap(), ignore_case }
    }

    #[test]
    fn what_another_covers_is_not_left_out_twice() {
        let mut all = vec![left("x", false), left("ab*", false), left("a*", false), left("x", false), left("x", true)];
        tidy(&mut all);
        assert_eq!(all, [left("a*", false), left("x", false), left("x", true)]);
    }

    #[test]
    fn a_literal_is_left_out_for_good_or_not_at_all() {
        let own = Pattern::literal("Kube");
        for (text, ignore_case, expected) in [("K*", false, true), ("k*", false, false), ("k*", true, true)] {
            let mut all = vec![left(text, ignore_case)];
            assert_eq!(gone(&own, &mut all), expected, "{text}");
            assert_eq!(all.is_empty(), !expected);
        }
        let mut all = vec![left("a", false)];
        assert!(!gone(&Pattern::any(), &mut all) && all.len() == 1);
        assert_eq!(touches(&own, &Pattern::literal("kube"), true), Ok(true));
        assert_eq!(touches(&own, &Pattern::literal("kube"), false), Ok(false));
        assert_eq!(touches(&own, &Pattern::literal("other"), true), Ok(false));
        assert_eq!(touches(&Pattern::any(), &Pattern::literal("other"), true), Ok(true));
    }
}
