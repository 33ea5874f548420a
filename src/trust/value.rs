//! A condition's value: what of it is meant literally, what is a wildcard, and what a
//! variable stands for.
//!
//! Source: IAM user guide, "IAM policy elements: Variables and tags".

use std::borrow::Cow;

use crate::trust::glob::{Rect, TooComplex, split, split_text};
use crate::trust::operator::Test;
use crate::trust::pattern::{Atom, MAX_PATTERN, Pattern, glob_matches};
use crate::trust::policy::{Version, Word};
use crate::trust::request::{Known, Request};

/// A value of a condition on a symbol.
#[derive(Debug, Clone)]
pub(crate) struct NameGlob<'p> {
    pub(crate) glob: Glob<'p>,
    /// Letters are compared without case; the glob is in lower case.
    pub(crate) ignore_case: bool,
    /// Where it is written.
    pub(crate) word: &'p Word,
}

/// A value's text, once it is known what of it is meant literally.
#[derive(Debug, Clone)]
pub(crate) enum Glob<'p> {
    /// This very text. Most values are one.
    Text(Cow<'p, str>),
    /// With wildcards.
    Atoms(Vec<Atom>),
}

impl NameGlob<'_> {
    /// The rectangles of the subjects that match.
    pub(crate) fn split(&self) -> Result<Vec<Rect>, TooComplex> {
        match &self.glob {
            Glob::Text(text) => Ok(split_text(text)?.into_iter().collect()),
            Glob::Atoms(atoms) => split(atoms),
        }
    }

    /// Whether a whole text matches.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let text = if self.ignore_case { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) };
        self.glob.matches(&text)
    }
}

impl Glob<'_> {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own.as_ref() == text,
            Self::Atoms(atoms) => {
                let chars: Vec<char> = text.chars().collect();
                glob_matches(atoms, &chars, |atom, c| atom.takes(*c))
            }
        }
    }

    /// The pattern over names, if it is one: names hold no colon.
    pub(crate) fn pattern(&self) -> Result<Option<Pattern>, TooComplex> {
        let (length, colon) = match self {
            Self::Text(text) => (text.len(), text.contains(':')),
            Self::Atoms(atoms) => (atoms.len(), atoms.contains(&Atom::Char(':'))),
        };
        if colon {
            return Ok(None);
        }
        if length > MAX_PATTERN {
            return Err(TooComplex);
        }
        Ok(Some(match self {
            Self::Text(text) => Pattern::literal(text),
            Self::Atoms(atoms) => Pattern::from_atoms(atoms.iter().copied()),
        }))
    }
}

/// A value with its variables replaced.
pub(crate) enum Value<'p> {
    Glob(Glob<'p>),
    /// A variable has no value; `likely` if that is not documented for certain.
    Valueless {
        likely: bool,
    },
    Unknown,
}

/// A value's steps: its wildcards if the operator has some, its variables replaced if the
/// version has some.
pub(crate) fn value<'p>(text: &'p str, test: Test, version: Version, request: Request<'_>) -> Value<'p> {
    let wild = matches!(test, Test::StringLike | Test::Arn);
    let variables = version == Version::V2012 && text.contains("${");
    let wildcards = wild && text.contains(['*', '?']);
    if !variables && !wildcards {
        return Value::Glob(Glob::Text(Cow::Borrowed(text)));
    }
    let mut atoms = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if variables && let Some(inner) = rest.strip_prefix("${") {
            let Some((name, behind)) = inner.split_once('}') else { return Value::Unknown };
            match variable(name, request) {
                Ok(replaced) => atoms.extend(replaced.chars().map(Atom::Char)),
                Err(other) => return other,
            }
            rest = behind;
            continue;
        }
        atoms.push(match c {
            '*' if wild => Atom::Star,
            '?' if wild => Atom::One,
            c => Atom::Char(c),
        });
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    let literal: Option<String> = atoms
        .iter()
        .map(|atom| match atom {
            Atom::Char(c) => Some(*c),
            Atom::One | Atom::Star => None,
        })
        .collect();
    Value::Glob(literal.map_or(Glob::Atoms(atoms), |text| Glob::Text(Cow::Owned(text))))
}

/// What a variable stands for: never a wildcard.
fn variable(name: &str, request: Request<'_>) -> Result<String, Value<'static>> {
    if matches!(name, "*" | "?" | "$") {
        return Ok(name.to_owned());
    }
    let (key, default) = match name.split_once(',') {
        Some((key, default)) => (key, Some(default.trim())),
        None => (name, None),
    };
    let likely = match request.known(&key.trim().to_ascii_lowercase()) {
        Known::Absent => false,
        Known::AbsentLikely => true,
        Known::Text(text) => return Ok(text.into_owned()),
        Known::Texts(_) | Known::Symbol(_) | Known::Anything | Known::MaybeText(_) | Known::Maybe | Known::Generic => {
            return Err(Value::Unknown);
        }
    };
    let Some(default) = default else { return Err(Value::Valueless { likely }) };
    let bare = default.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
    match bare {
        // Whether a default may hold wildcards or more variables is not documented.
        Some(bare) if !likely && !bare.contains(['*', '?', '$', '\'']) => Ok(bare.to_owned()),
        Some(_) | None => Err(Value::Unknown),
    }
}

/// The same in lower case, as far as ASCII has one.
pub(crate) fn lowered(glob: Glob<'_>) -> Glob<'_> {
    let lower = |atom: Atom| match atom {
        Atom::Char(c) => Atom::Char(c.to_ascii_lowercase()),
        Atom::One | Atom::Star => atom,
    };
    match glob {
        Glob::Text(text) => Glob::Text(Cow::Owned(text.to_ascii_lowercase())),
        Glob::Atoms(atoms) => Glob::Atoms(atoms.into_iter().map(lower).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_patterns_may_be() {
        let text = |length: usize| Glob::Text(Cow::Owned("a".repeat(length))).pattern();
        let atoms = |length: usize| Glob::Atoms(vec![Atom::One; length]).pattern();
        for of in [&text as &dyn Fn(usize) -> Result<Option<Pattern>, TooComplex>, &atoms] {
            assert_eq!(of(MAX_PATTERN).unwrap().unwrap().as_str().len(), MAX_PATTERN);
            assert_eq!((of(MAX_PATTERN + 1), of(MAX_PATTERN + 2)), (Err(TooComplex), Err(TooComplex)));
        }
        assert_eq!(Glob::Text(Cow::Borrowed("a:b")).pattern(), Ok(None));
        assert_eq!(Glob::Atoms(vec![Atom::Star, Atom::Char(':')]).pattern(), Ok(None));
    }
}
