//! Patterns over names, as IAM's `StringLike` reads them.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest pattern that we look into, in characters.
///
/// A namespace has at most 63 and a ServiceAccount at most 253 characters, so that a
/// longer pattern is either a mistake or made to be slow.
pub const MAX_PATTERN: usize = 1024;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    /// This very character.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, or none.
    Star,
}

impl Atom {
    /// Whether this one step takes this one character; a star takes any number, one by one.
    pub(crate) fn takes(self, c: char) -> bool {
        match self {
            Self::Char(own) => own == c,
            Self::One | Self::Star => true,
        }
    }
}

/// A pattern over a namespace or the name of a ServiceAccount.
///
/// Written as an IAM pattern: `*` is any text, `?` any one character; `${*}`, `${?}`
/// and `${$}` are the characters themselves, as in a policy of version 2012-10-17.
/// It never holds a colon, for no name does. In a run of wildcards every `?` stands
/// before a single `*`, so that equal runs are written alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// A text that is no pattern over names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Names hold no colon.
    #[error("a pattern over names holds no colon")]
    Colon,
    /// Longer than [`MAX_PATTERN`].
    #[error("a pattern has at most {MAX_PATTERN} characters")]
    Long,
    /// `${` that opens anything but `${*}`, `${?}` or `${$}`.
    #[error("a pattern has no variables")]
    Variable,
}

impl Pattern {
    /// `*`: every name.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// The pattern that only this text matches.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        if text.contains(['*', '?', '$']) {
            Self::from_atoms(text.chars().map(Atom::Char))
        } else {
            Self(text.to_owned())
        }
    }

    /// Reads an IAM pattern.
    ///
    /// # Errors
    /// A colon, a variable, or a text that is too long.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > MAX_PATTERN {
            return Err(PatternError::Long);
        }
        if text.contains(':') {
            return Err(PatternError::Colon);
        }
        let atoms = atoms_of(text).ok_or(PatternError::Variable)?;
        Ok(Self::from_atoms(atoms))
    }

    /// Writes atoms down, runs of wildcards in their one order.
    pub(crate) fn from_atoms(atoms: impl IntoIterator<Item = Atom>) -> Self {
        let mut text = String::new();
        let mut star = false;
        for atom in atoms {
            match atom {
                Atom::Star => star = true,
                Atom::One => text.push('?'),
                Atom::Char(c) => {
                    if star {
                        text.push('*');
                        star = false;
                    }
                    match c {
                        '*' | '?' | '$' => {
                            text.push_str("${");
                            text.push(c);
                            text.push('}');
                        }
                        _ => text.push(c),
                    }
                }
            }
        }
        if star {
            text.push('*');
        }
        Self(text)
    }

    /// The steps of the pattern.
    pub(crate) fn atoms(&self) -> Vec<Atom> {
        atoms_of(&self.0).unwrap_or_default()
    }

    /// As an IAM pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every name matches.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// The only text that matches, if there is only one.
    #[must_use]
    pub fn as_literal(&self) -> Option<Cow<'_, str>> {
        if !self.0.contains(['*', '?', '$']) {
            return Some(Cow::Borrowed(&self.0));
        }
        let chars = self.atoms().into_iter().map(|atom| match atom {
            Atom::Char(c) => Some(c),
            Atom::One | Atom::Star => None,
        });
        chars.collect::<Option<String>>().map(Cow::Owned)
    }

    /// Whether a name matches, from its first to its last character, with case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.is_any() {
            return true;
        }
        match self.as_literal() {
            Some(text) => text == name,
            None => glob_matches(&self.atoms(), &name.chars().collect::<Vec<_>>(), |atom, c| atom.takes(*c)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

/// The atoms of a text in the notation of version 2012-10-17; `None` for a variable.
fn atoms_of(text: &str) -> Option<Vec<Atom>> {
    let mut atoms = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(inner) = rest.strip_prefix("${") {
            let escaped = inner.chars().next().filter(|c| matches!(c, '*' | '?' | '$'))?;
            rest = inner.get(escaped.len_utf8()..)?.strip_prefix('}')?;
            atoms.push(Atom::Char(escaped));
            continue;
        }
        atoms.push(match c {
            '*' => Atom::Star,
            '?' => Atom::One,
            c => Atom::Char(c),
        });
        rest = rest.get(c.len_utf8()..)?;
    }
    Some(atoms)
}

/// Whether a text matches a glob, in time proportional to text times glob at worst.
///
/// `takes` says whether one step that is no star takes one element of the text. The last
/// star takes one more element after each mismatch; earlier stars need never be tried again.
pub(crate) fn glob_matches<T>(glob: &[Atom], text: &[T], takes: impl Fn(Atom, &T) -> bool) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let stepped = match (glob.get(g), text.get(t)) {
            (None, None) => return true,
            (Some(Atom::Star), _) => {
                g += 1;
                retry = Some((g, t));
                continue;
            }
            (Some(atom), Some(element)) => takes(*atom, element),
            (None, Some(_)) | (Some(Atom::Char(_) | Atom::One), None) => false,
        };
        if stepped {
            g += 1;
            t += 1;
            continue;
        }
        match retry {
            Some((after_star, from)) if from < text.len() => {
                retry = Some((after_star, from + 1));
                (g, t) = (after_star, from + 1);
            }
            Some(_) | None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn stars_and_question_marks() {
        for (glob, name, expected) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abcb", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab", "aab", true),
            ("*aab", "aaab", true),
            ("A*", "ab", false),
            ("${*}", "*", true),
            ("${*}", "a", false),
        ] {
            assert_eq!(pattern(glob).matches(name), expected, "{glob} on {name}");
        }
    }

    #[test]
    fn runs_of_wildcards_have_one_spelling() {
        assert_eq!(pattern("a*?*?b").as_str(), "a??*b");
        assert_eq!(pattern("**").as_str(), "*");
        assert!(pattern("**").is_any());
        assert!(!pattern("?*").is_any());
    }

    #[test]
    fn literals_keep_their_stars() {
        let literal = Pattern::literal("a*${b");
        assert_eq!(literal.as_str(), "a${*}${$}{b");
        assert_eq!(literal.as_literal().unwrap(), "a*${b");
        assert_eq!(pattern(literal.as_str()), literal);
        assert!(literal.matches("a*${b") && !literal.matches("axx{b"));
        assert_eq!(pattern("a*").as_literal(), None);
    }

    #[test]
    fn what_is_no_pattern() {
        assert_eq!(Pattern::parse("a:b"), Err(PatternError::Colon));
        assert_eq!(Pattern::parse("${x}"), Err(PatternError::Variable));
        assert_eq!(Pattern::parse("${*"), Err(PatternError::Variable));
        assert_eq!(Pattern::parse(&"a".repeat(MAX_PATTERN + 1)), Err(PatternError::Long));
        assert!(Pattern::parse(&"a".repeat(MAX_PATTERN)).is_ok());
    }
}
