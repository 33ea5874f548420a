//! Texts of a policy as patterns: wildcards and policy variables.

use super::Context;

/// One character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(char),
    /// `*`: any characters, also none.
    Star,
    /// `?`: exactly one character.
    One,
}

/// Whether wildcards count in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    Count,
    AreLiteral,
}

/// A policy's text with its variables filled in. `None` if a variable has no value: such a
/// text matches nothing (IAM user guide, "Policy variables").
pub(super) fn compile(text: &str, wildcards: Wildcards, variables: Option<&Context>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(context) = variables
            && let Some((name, after)) = rest.strip_prefix("${").and_then(|it| it.split_once('}'))
        {
            // What a variable stands for is text, whatever characters it has.
            pieces.extend(value_of(name, context)?.chars().map(Piece::Literal));
            rest = after;
            continue;
        }
        pieces.push(match c {
            '*' if wildcards == Wildcards::Count => Piece::Star,
            '?' if wildcards == Wildcards::Count => Piece::One,
            other => Piece::Literal(other),
        });
        rest = &rest[c.len_utf8()..];
    }
    Some(pieces)
}

/// `${*}`, `${?}` and `${$}` are those characters; `${key, 'text'}` has a default. A key with
/// several values cannot be a variable.
fn value_of(name: &str, context: &Context) -> Option<String> {
    if ["*", "?", "$"].contains(&name) {
        return Some(name.to_owned());
    }
    let (key, default) = match name.split_once(',') {
        Some((key, default)) => (key, default.trim().strip_prefix('\'').and_then(|it| it.strip_suffix('\''))),
        None => (name, None),
    };
    match context.get(key.trim()) {
        [value] => Some(value.clone()),
        _ => default.map(str::to_owned),
    }
}

/// The pattern in lower case, what its variables stood for included.
pub(super) fn lower_case(pattern: &[Piece]) -> Vec<Piece> {
    let lower = |piece: &Piece| match piece {
        Piece::Literal(c) => c.to_lowercase().map(Piece::Literal).collect(),
        Piece::Star | Piece::One => vec![*piece],
    };
    pattern.iter().flat_map(lower).collect()
}

/// Whether a pattern matches the whole of a text.
pub(super) fn matches(pattern: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut pos) = (0, 0);
    // The last star seen, and the place in the text up to which it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while pos < text.len() {
        match pattern.get(at) {
            Some(Piece::Star) => {
                star = Some((at, pos));
                at += 1;
            }
            Some(Piece::One) => (at, pos) = (at + 1, pos + 1),
            Some(Piece::Literal(c)) if *c == text[pos] => (at, pos) = (at + 1, pos + 1),
            Some(Piece::Literal(_)) | None => {
                let Some((star_at, swallowed)) = star else { return false };
                star = Some((star_at, swallowed + 1));
                (at, pos) = (star_at + 1, swallowed + 1);
            }
        }
    }
    pattern[at..].iter().all(|it| *it == Piece::Star)
}

/// Whether a pattern for an ARN matches: each of the six parts by itself, so that no
/// wildcard swallows one of the five colons between them.
pub(super) fn matches_arn(pattern: &[Piece], arn: &str) -> bool {
    let parts: Vec<&[Piece]> = pattern.splitn(6, |it| *it == Piece::Literal(':')).collect();
    let texts: Vec<&str> = arn.splitn(6, ':').collect();
    parts.len() == 6 && texts.len() == 6 && parts.iter().zip(texts).all(|(part, text)| matches(part, text))
}

/// A glob without variables, compared without case: how actions are matched.
pub(super) fn glob_ignoring_case(glob: &str, text: &str) -> bool {
    compile(&glob.to_lowercase(), Wildcards::Count, None).is_some_and(|it| matches(&it, &text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, want) in [
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("*a", "ba", true),
            ("*ab", "aab", true),
            ("?", "", false),
            ("a?", "aé", true),
            ("**", "x", true),
            ("a", "ab", false),
        ] {
            assert_eq!(glob_ignoring_case(glob, text), want, "{glob} {text}");
        }
    }

    #[test]
    fn a_variables_value_is_text() {
        let context = Context::default().with("aws:username", "*");
        let pattern = compile("a-${AWS:UserName}", Wildcards::Count, Some(&context)).unwrap();
        assert!(matches(&pattern, "a-*"));
        assert!(!matches(&pattern, "a-b"));
        assert!(compile("${aws:nothing}", Wildcards::Count, Some(&context)).is_none());
    }
}
