//! Splitting a glob over the `sub` claim into namespace and ServiceAccount, and
//! intersecting globs: exactly, or not at all.

use crate::trust::pattern::{Atom, MAX_PATTERN, Pattern, glob_matches};

/// The `sub` claim of every ServiceAccount's token starts like this; then come the
/// namespace, a colon and the name.
pub(crate) const SUBJECT_PREFIX: &str = "system:serviceaccount:";

/// The most rectangles that one glob, or one intersection, may come apart into.
///
/// A glob splits once for each wildcard that may stand for the colon; real ones have
/// three at most.
const MAX_PARTS: usize = 64;

/// The most steps that one intersection may take.
const MAX_STEPS: usize = 20_000;

/// Deciding it exactly would take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooComplex;

/// A namespace pattern and a ServiceAccount pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rect {
    pub(crate) ns: Pattern,
    pub(crate) sa: Pattern,
}

impl Rect {
    /// Every ServiceAccount.
    pub(crate) fn all() -> Self {
        Self { ns: Pattern::any(), sa: Pattern::any() }
    }

    pub(crate) fn is_all(&self) -> bool {
        self.ns.is_any() && self.sa.is_any()
    }

    /// Whether everything in `other` is in here, as far as a simple comparison shows.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        includes(&self.ns, &other.ns) && includes(&self.sa, &other.sa)
    }

    /// What is in both, as a union of rectangles.
    pub(crate) fn meet(&self, other: &Self) -> Result<Vec<Self>, TooComplex> {
        let namespaces = meet(&self.ns, &other.ns)?;
        if namespaces.is_empty() {
            return Ok(Vec::new());
        }
        let accounts = meet(&self.sa, &other.sa)?;
        let pair = |ns: &Pattern, sa: &Pattern| Self { ns: ns.clone(), sa: sa.clone() };
        Ok(namespaces.iter().flat_map(|ns| accounts.iter().map(|sa| pair(ns, sa))).collect())
    }
}

/// The one subject of a text, if it is a ServiceAccount's.
pub(crate) fn split_text(text: &str) -> Result<Option<Rect>, TooComplex> {
    let Some((ns, sa)) = text.strip_prefix(SUBJECT_PREFIX).and_then(|rest| rest.split_once(':')) else {
        return Ok(None);
    };
    if sa.contains(':') {
        return Ok(None);
    }
    if ns.len() > MAX_PATTERN || sa.len() > MAX_PATTERN {
        return Err(TooComplex);
    }
    Ok(Some(Rect { ns: Pattern::literal(ns), sa: Pattern::literal(sa) }))
}

/// The rectangles of the subjects that a glob over the `sub` claim matches.
///
/// Names hold no colon, so that of the text behind the prefix exactly one character is
/// the colon between the names: the glob's own, if it has one, or else each `?` and each
/// `*` in turn, which then also stands on both sides of it.
pub(crate) fn split(glob: &[Atom]) -> Result<Vec<Rect>, TooComplex> {
    let mut rects: Vec<Rect> = Vec::new();
    for start in after_prefix(glob) {
        let rest = glob.get(start..).unwrap_or_default();
        let mut colons = rest.iter().enumerate().filter(|(_, atom)| **atom == Atom::Char(':')).map(|(at, _)| at);
        match (colons.next(), colons.next()) {
            (Some(_), Some(_)) => {}
            (Some(at), None) => add(&mut rects, rest.get(..at), rest.get(at + 1..))?,
            (None, _) => {
                for (at, atom) in rest.iter().enumerate() {
                    match atom {
                        Atom::One => add(&mut rects, rest.get(..at), rest.get(at + 1..))?,
                        Atom::Star => add(&mut rects, rest.get(..=at), rest.get(at..))?,
                        Atom::Char(_) => {}
                    }
                }
            }
        }
    }
    Ok(rects)
}

/// The positions in the glob from which the rest of a subject may be matched, once the
/// prefix has been taken.
fn after_prefix(glob: &[Atom]) -> Vec<usize> {
    let literal = glob.iter().zip(SUBJECT_PREFIX.chars()).take_while(|(atom, c)| **atom == Atom::Char(*c)).count();
    if literal == SUBJECT_PREFIX.len() {
        return vec![literal];
    }
    let mut reached = vec![0];
    for c in SUBJECT_PREFIX.chars() {
        let mut next = Vec::new();
        for mut at in reached {
            while glob.get(at) == Some(&Atom::Star) {
                next.push(at);
                at += 1;
            }
            if glob.get(at).is_some_and(|atom| atom.takes(c)) {
                next.push(at + 1);
            }
        }
        next.sort_unstable();
        next.dedup();
        reached = next;
    }
    reached
}

/// Adds a rectangle unless another has all of it.
fn add(rects: &mut Vec<Rect>, ns: Option<&[Atom]>, sa: Option<&[Atom]>) -> Result<(), TooComplex> {
    let (ns, sa) = (ns.unwrap_or_default(), sa.unwrap_or_default());
    if ns.len() > MAX_PATTERN || sa.len() > MAX_PATTERN {
        return Err(TooComplex);
    }
    let rect = Rect { ns: Pattern::from_atoms(ns.iter().copied()), sa: Pattern::from_atoms(sa.iter().copied()) };
    if rects.iter().any(|other| other.includes(&rect)) {
        return Ok(());
    }
    rects.retain(|other| !rect.includes(other));
    rects.push(rect);
    if rects.len() > MAX_PARTS { Err(TooComplex) } else { Ok(()) }
}

/// Whether every name that `small` matches is matched by `large`.
///
/// Compares the patterns step by step: a star of `small` has to fall into a star of
/// `large`. This never says yes wrongly; it may say no where only the order of wildcards
/// differs (`*a` and `?*`).
pub(crate) fn includes(large: &Pattern, small: &Pattern) -> bool {
    if large.is_any() || large == small {
        return true;
    }
    match (large.as_literal(), small.as_literal()) {
        (Some(_), _) => false,
        (None, Some(name)) => large.matches(&name),
        (None, None) => glob_matches(&large.atoms(), &small.atoms(), |step, element| match element {
            Atom::Char(c) => step.takes(*c),
            Atom::One => step == Atom::One,
            Atom::Star => false,
        }),
    }
}

/// The names that both patterns match, as a union of patterns.
pub(crate) fn meet(a: &Pattern, b: &Pattern) -> Result<Vec<Pattern>, TooComplex> {
    if includes(a, b) {
        return Ok(vec![b.clone()]);
    }
    if includes(b, a) {
        return Ok(vec![a.clone()]);
    }
    if a.as_literal().is_some() || b.as_literal().is_some() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut steps = MAX_STEPS;
    weave(&a.atoms(), &b.atoms(), &mut Vec::new(), &mut found, &mut steps)?;
    found.sort();
    found.dedup();
    Ok(found)
}

/// Walks both globs at once and notes each way in which a text can match both.
fn weave(
    a: &[Atom],
    b: &[Atom],
    walked: &mut Vec<Atom>,
    found: &mut Vec<Pattern>,
    steps: &mut usize,
) -> Result<(), TooComplex> {
    *steps = steps.checked_sub(1).ok_or(TooComplex)?;
    if walked.len() > MAX_PATTERN {
        return Err(TooComplex);
    }
    let mut step = |atom: Option<Atom>, a: &[Atom], b: &[Atom], found: &mut Vec<Pattern>| {
        walked.extend(atom);
        let result = weave(a, b, walked, found, steps);
        if atom.is_some() {
            walked.pop();
        }
        result
    };
    match (a.split_first(), b.split_first()) {
        (None, None) => {
            found.push(Pattern::from_atoms(walked.iter().copied()));
            if found.len() > MAX_PARTS { Err(TooComplex) } else { Ok(()) }
        }
        (Some((Atom::Star, rest_a)), Some((Atom::Star, rest_b))) => {
            // One of the two stars ends first, or both at once, which either covers.
            step(Some(Atom::Star), rest_a, b, found)?;
            step(Some(Atom::Star), a, rest_b, found)
        }
        (Some((Atom::Star, rest_a)), other) => {
            step(None, rest_a, b, found)?;
            match other {
                Some((atom, rest_b)) => step(Some(*atom), a, rest_b, found),
                None => Ok(()),
            }
        }
        (other, Some((Atom::Star, rest_b))) => {
            step(None, a, rest_b, found)?;
            match other {
                Some((atom, rest_a)) => step(Some(*atom), rest_a, b, found),
                None => Ok(()),
            }
        }
        (Some((Atom::Char(x), rest_a)), Some((Atom::Char(y), rest_b))) => {
            if x == y {
                step(Some(Atom::Char(*x)), rest_a, rest_b, found)
            } else {
                Ok(())
            }
        }
        (Some((x, rest_a)), Some((y, rest_b))) => {
            let narrower = if *x == Atom::One { *y } else { *x };
            step(Some(narrower), rest_a, rest_b, found)
        }
        (None, Some(_)) | (Some(_), None) => Ok(()),
    }
}

/// Why no object of Kubernetes can have a name.
///
/// Source: Kubernetes, "Object Names and IDs": a namespace is an RFC 1123 label of at
/// most 63 characters, a ServiceAccount an RFC 1123 subdomain of at most 253.
pub(crate) fn is_possible_name(name: &str, namespace: bool) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|b| plain(b) || b == b'-')
            && label.bytes().next().is_some_and(plain)
            && label.bytes().next_back().is_some_and(plain)
    };
    if namespace { name.len() <= 63 && label(name) } else { name.len() <= 253 && name.split('.').all(label) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Vec<Atom> {
        let step = |c| match c {
            '*' => Atom::Star,
            '?' => Atom::One,
            c => Atom::Char(c),
        };
        text.chars().map(step).collect()
    }

    fn parts(text: &str) -> Vec<String> {
        let mut parts: Vec<_> = split(&glob(text)).unwrap().iter().map(|it| format!("{} / {}", it.ns, it.sa)).collect();
        parts.sort();
        parts
    }

    #[test]
    fn subjects_come_apart_at_the_colon() {
        assert_eq!(parts("system:serviceaccount:ns:sa"), ["ns / sa"]);
        assert_eq!(parts("system:serviceaccount:team-*:svc-??"), ["team-* / svc-??"]);
        assert_eq!(parts("system:serviceaccount:a*b"), ["a* / *b"]);
        assert_eq!(parts("system:serviceaccount:a*b*c"), ["a* / *b*c", "a*b* / *c"]);
        assert_eq!(parts("system:serviceaccount:dev?api"), ["dev / api"]);
        assert_eq!(parts("system:serviceaccount:a?b?c"), ["a / b?c", "a?b / c"]);
        assert_eq!(parts("system:serviceaccount:*"), ["* / *"]);
        assert_eq!(parts("system:serviceaccount:x?*"), ["x / *", "x?* / *"]);
        assert_eq!(parts("system:serviceaccount:a:b:c"), [""; 0]);
        assert_eq!(parts("system:serviceaccount:plain"), [""; 0]);
    }

    #[test]
    fn wildcards_may_take_the_prefix() {
        assert_eq!(parts("*"), ["* / *"]);
        assert_eq!(parts("*:sa"), ["* / sa"]);
        assert_eq!(parts("system:*:ns:sa"), ["ns / sa"]);
        assert_eq!(parts("sys*"), ["* / *"]);
        assert_eq!(parts("*serviceaccount:ns:*"), ["ns / *"]);
        // The star may end inside the prefix (`...account:`) or anywhere behind it.
        assert_eq!(parts("*t:sa"), ["*t / sa"]);
        assert_eq!(parts("*account:*"), ["* / *", "*account / *"].get(..1).unwrap());
        assert_eq!(parts("role:*"), [""; 0]);
        assert_eq!(parts("system?serviceaccount?ns?sa"), ["ns / sa"]);
    }

    #[test]
    fn a_glob_made_to_be_slow_is_refused() {
        let slow = format!("system:serviceaccount:{}", "*a".repeat(200));
        assert_eq!(split(&glob(&slow)), Err(TooComplex));
        assert_eq!(split(&glob(&format!("system:serviceaccount:{}:b", "a".repeat(MAX_PATTERN + 1)))), Err(TooComplex));
    }

    #[test]
    fn names_and_parts_up_to_their_bounds() {
        let name = |length: usize| "a".repeat(length);
        for (ns, sa, fits) in [
            (MAX_PATTERN, MAX_PATTERN, true),
            (MAX_PATTERN + 1, 1, false),
            (1, MAX_PATTERN + 1, false),
            (MAX_PATTERN + 2, 1, false),
            (1, MAX_PATTERN + 2, false),
        ] {
            let text = format!("{SUBJECT_PREFIX}{}:{}", name(ns), name(sa));
            assert_eq!(split_text(&text).is_ok(), fits, "{ns} {sa}");
            assert_eq!(split(&glob(&text)).is_ok(), fits, "{ns} {sa}");
        }
        // A question mark may be the colon, each in turn.
        let marks = |count: usize| split(&glob(&format!("{SUBJECT_PREFIX}{}", "a?".repeat(count))));
        assert_eq!(marks(MAX_PARTS).unwrap().len(), MAX_PARTS);
        assert_eq!((marks(MAX_PARTS + 1), marks(MAX_PARTS + 2)), (Err(TooComplex), Err(TooComplex)));
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn inclusion_of_patterns() {
        for (large, small, expected) in [
            ("*", "a", true),
            ("a*", "ab*", true),
            ("a*", "ab", true),
            ("a*", "*b", false),
            ("a?*", "a*", false),
            ("a*", "a?*", true),
            ("*b*", "abc", true),
            ("??", "a?", true),
            ("??", "a*", false),
            ("a", "a*", false),
        ] {
            assert_eq!(includes(&pattern(large), &pattern(small)), expected, "{small} in {large}");
        }
    }

    #[test]
    fn intersections() {
        let both = |a: &str, b: &str| -> Vec<String> {
            meet(&pattern(a), &pattern(b)).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(both("a*", "*b"), ["a*b"]);
        assert_eq!(both("ab*", "*bc"), ["ab*bc", "abc"]);
        assert_eq!(both("a*", "b*"), [""; 0]);
        assert_eq!(both("a?c", "ab?"), ["abc"]);
        assert_eq!(both("x", "a*"), [""; 0]);
        assert_eq!(both("*", "a*"), ["a*"]);
        assert_eq!(meet(&pattern(&"*a".repeat(30)), &pattern(&"*b".repeat(30))), Err(TooComplex));
    }

    #[test]
    fn possible_names() {
        for (name, namespace, expected) in [
            ("kube-system", true, true),
            ("a.b", true, false),
            ("a.b", false, true),
            ("a..b", false, false),
            ("-a", true, false),
            ("a-", false, false),
            ("cost_tool", true, false),
            ("Upper", false, false),
            ("", true, false),
        ] {
            assert_eq!(is_possible_name(name, namespace), expected, "{name}");
        }
        assert!(is_possible_name(&"a".repeat(63), true) && !is_possible_name(&"a".repeat(64), true));
        assert!(is_possible_name(&"a".repeat(253), false) && !is_possible_name(&"a".repeat(254), false));
    }
}
