//! Sets of ServiceAccounts of one cluster while a policy is read: unions of rectangles
//! with holes.

use crate::trust::glob::{Rect, TooComplex, is_possible_name, meet};
use crate::trust::grants::{Carried, Except};
use crate::trust::pattern::Pattern;
use crate::trust::reason::Code;
use crate::trust::value::NameGlob;

/// The most rectangles that one statement may grant, and the most comparisons of
/// rectangles that one step may take. A policy of the longest quota holds some 300 names.
const MAX_RECTS: usize = 20_000;
const MAX_COMPARISONS: usize = 400_000;

/// A part that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) rect: Rect,
    pub(crate) ignore_case: bool,
}

/// Rectangles, each without the holes, while the carried conditions are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) rects: Vec<Rect>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) carried: Vec<Carried>,
}

impl Region {
    /// Everybody, at all times.
    pub(crate) fn all() -> Self {
        Self { rects: vec![Rect::all()], holes: Vec::new(), carried: Vec::new() }
    }

    /// Everybody, while the carried conditions are met.
    pub(crate) fn is_everybody(&self) -> bool {
        self.holes.is_empty() && self.rects.iter().any(Rect::is_all)
    }

    /// Keeps what is in one of the rectangles.
    pub(crate) fn restrict(&mut self, rects: Vec<Rect>) -> Result<(), TooComplex> {
        if self.rects.len() > MAX_COMPARISONS / rects.len().max(1) {
            return Err(TooComplex);
        }
        if matches!(self.rects.as_slice(), [only] if only.is_all()) {
            self.rects = rects;
        } else {
            let mut kept = Vec::new();
            for own in &self.rects {
                for other in &rects {
                    kept.extend(own.meet(other)?);
                }
            }
            self.rects = kept;
        }
        self.rects.sort();
        self.rects.dedup();
        if self.rects.len() > MAX_RECTS { Err(TooComplex) } else { Ok(()) }
    }

    /// Takes away what `denied` holds, carried conditions aside.
    ///
    /// A \ (P \ N) is (A \ P) together with A ∩ P ∩ N.
    pub(crate) fn without(self, denied: &Self) -> Result<Vec<Self>, TooComplex> {
        let mut parts = Vec::new();
        for hole in &denied.holes {
            let mut inside = self.clone();
            inside.restrict(denied.rects.clone())?;
            inside.restrict(vec![hole.rect.clone()])?;
            parts.push(inside);
        }
        if !denied.rects.iter().any(Rect::is_all) {
            let mut outside = self;
            outside.holes.extend(denied.rects.iter().map(|rect| Hole { rect: rect.clone(), ignore_case: false }));
            parts.push(outside);
        }
        parts.retain(|part| !part.rects.is_empty());
        if parts.len() > MAX_RECTS { Err(TooComplex) } else { Ok(parts) }
    }

    /// What is in both.
    pub(crate) fn meet(&self, other: &Self) -> Result<Self, TooComplex> {
        let mut both = self.clone();
        both.restrict(other.rects.clone())?;
        both.holes.extend(other.holes.iter().cloned());
        both.carried.extend(other.carried.iter().cloned());
        Ok(both)
    }

    /// The rectangles, each with the holes that touch it; without those that are all hole.
    pub(crate) fn clipped(&self) -> Result<Vec<(Rect, Vec<Except>)>, TooComplex> {
        if self.rects.len() > MAX_COMPARISONS / self.holes.len().max(1) {
            return Err(TooComplex);
        }
        let mut clipped = Vec::with_capacity(self.rects.len());
        'rects: for rect in &self.rects {
            let mut except = Vec::new();
            for hole in &self.holes {
                match clip(rect, hole) {
                    Clip::All => continue 'rects,
                    Clip::Part(parts) => except.extend(parts),
                }
            }
            except.sort();
            except.dedup();
            clipped.push((rect.clone(), except));
        }
        Ok(clipped)
    }
}

enum Clip {
    /// Nothing of the rectangle is left.
    All,
    /// These parts of it are left out.
    Part(Vec<Except>),
}

fn clip(rect: &Rect, hole: &Hole) -> Clip {
    let except = |rect: Rect, ignore_case| Except { namespace: rect.ns, service_account: rect.sa, ignore_case };
    if hole.ignore_case {
        // Legal names are in lower case, and so is the hole: it takes the literal parts of
        // the rectangle or misses them. Beside a wildcard it stays as it is.
        let missed = |own: &Pattern, hole: &Pattern| {
            own.as_literal().is_some_and(|name| !hole.matches(&name.to_ascii_lowercase()))
        };
        if missed(&rect.ns, &hole.rect.ns) || missed(&rect.sa, &hole.rect.sa) {
            return Clip::Part(Vec::new());
        }
        if hole.rect.includes(rect) {
            return Clip::All;
        }
        return Clip::Part(vec![except(hole.rect.clone(), true)]);
    }
    if hole.rect.includes(rect) {
        return Clip::All;
    }
    match rect.meet(&hole.rect) {
        Ok(parts) => Clip::Part(parts.into_iter().map(|part| except(part, false)).collect()),
        // The whole hole means the same; only the clipped one reads better.
        Err(TooComplex) => Clip::Part(vec![except(hole.rect.clone(), false)]),
    }
}

/// The rectangles of a value over the `sub` claim, and what is odd about it.
pub(crate) fn subject_rects(glob: &NameGlob<'_>) -> Result<(Vec<Rect>, Option<Code>), TooComplex> {
    let mut rects = glob.split()?;
    if rects.is_empty() {
        return Ok((rects, Some(Code::NotAServiceAccount)));
    }
    let mut odd = None;
    rects.retain(|rect| {
        let fault = impossible(&rect.ns, true).or_else(|| impossible(&rect.sa, false));
        odd = odd.or(fault);
        fault.is_none()
    });
    let cased = glob.ignore_case && glob.word.text.bytes().any(|b| b.is_ascii_uppercase());
    Ok((rects, odd.or(cased.then_some(Code::IgnoreCase))))
}

/// Whether a wildcard character of one of both is meant literally, so that no names can match them.
pub(crate) fn matches_nobody(namespace: &Pattern, service_account: &Pattern) -> bool {
    let literal_wildcard = |pattern: &Pattern| match pattern.as_literal() {
        Some(name) => name.contains(['*', '?']),
        None => pattern.as_str().contains("${"),
    };
    literal_wildcard(namespace) || literal_wildcard(service_account)
}

/// Why no name can match a pattern, as far as a single look shows.
fn impossible(pattern: &Pattern, namespace: bool) -> Option<Code> {
    let Some(name) = pattern.as_literal() else {
        // A wildcard character that is meant literally; our statement could not say so.
        return pattern.as_str().contains("${").then_some(Code::ImpossibleName);
    };
    if is_possible_name(&name, namespace) {
        None
    } else if name.contains(['*', '?']) {
        Some(Code::LiteralWildcard)
    } else {
        Some(Code::ImpossibleName)
    }
}

/// The patterns of values over one name, such as a session tag.
pub(crate) fn name_patterns(globs: &[NameGlob<'_>]) -> Result<Vec<Pattern>, TooComplex> {
    globs.iter().filter_map(|glob| glob.glob.pattern().transpose()).collect()
}

/// The names that match one pattern of each list.
pub(crate) fn meet_all(a: &[Pattern], b: &[Pattern]) -> Result<Vec<Pattern>, TooComplex> {
    if a.len() > MAX_COMPARISONS / b.len().max(1) {
        return Err(TooComplex);
    }
    let mut both = Vec::new();
    for x in a {
        for y in b {
            both.extend(meet(x, y)?);
        }
    }
    both.sort();
    both.dedup();
    Ok(both)
}

/// Every pair of a namespace pattern and a ServiceAccount pattern.
pub(crate) fn product(namespaces: &[Pattern], accounts: &[Pattern]) -> Result<Vec<Rect>, TooComplex> {
    if namespaces.len() > MAX_RECTS / accounts.len().max(1) {
        return Err(TooComplex);
    }
    let pairs = namespaces.iter().flat_map(|ns| accounts.iter().map(|sa| Rect { ns: ns.clone(), sa: sa.clone() }));
    Ok(pairs.collect())
}
