//! Judging one condition for one kind of request.
//!
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators", "Conditions
//! with multiple context keys or values".

use std::borrow::Cow;

use crate::trust::grants::Carried;
use crate::trust::operator::{Operator, Set, Test};
use crate::trust::pattern::{Atom, glob_matches};
use crate::trust::policy::{Condition, Version, Word};
use crate::trust::reason::Code;
use crate::trust::request::{Known, Request, Symbol};
use crate::trust::value::{Glob, NameGlob, Value, lowered, value};

/// What a condition comes to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome<'p> {
    /// Met by every request of the kind; the code says if that may surprise.
    Holds(Option<Code>),
    /// Met by none.
    Fails(Code),
    /// Not known for certain.
    Unsure(Code),
    /// The same in both kinds of request.
    Carried(Carried),
    /// Met if the symbol matches one of the globs, or none of them if negated.
    Names { symbol: Symbol, negated: bool, globs: Vec<NameGlob<'p>> },
}

/// Judges one condition.
pub(crate) fn judge<'p>(condition: &'p Condition, version: Version, request: Request<'_>) -> Outcome<'p> {
    let operator = condition.operator;
    let known = request.known(&condition.key);
    // Whether one or all of the values must differ is not documented.
    if operator.set == Some(Set::Any) && operator.negated && condition.values.len() > 1 && known != Known::Absent {
        return Outcome::Unsure(Code::ConditionNotUnderstood);
    }
    if operator.test == Test::Null {
        return judge_null(condition, &known);
    }
    match known {
        Known::Absent => if_absent(operator),
        Known::AbsentLikely => match if_absent(operator) {
            Outcome::Holds(_) => Outcome::Unsure(unsure_code(&condition.key)),
            other @ (Outcome::Fails(_) | Outcome::Unsure(_) | Outcome::Carried(_) | Outcome::Names { .. }) => other,
        },
        Known::Maybe => Outcome::Unsure(unsure_code(&condition.key)),
        Known::MaybeText(text) => {
            let present = with_text(condition, version, request, text);
            match (present, if_absent(operator)) {
                (Outcome::Holds(_), Outcome::Holds(_)) => Outcome::Holds(None),
                (Outcome::Fails(code), Outcome::Fails(_)) => Outcome::Fails(code),
                _ => Outcome::Unsure(unsure_code(&condition.key)),
            }
        }
        Known::Text(text) => with_text(condition, version, request, &text),
        Known::Texts(texts) => with_texts(condition, version, request, texts),
        Known::Symbol(symbol) => with_symbol(condition, version, request, symbol),
        Known::Anything => with_anything(condition),
        Known::Generic => carry(condition, version),
    }
}

/// Why we are not sure, by the key.
fn unsure_code(key: &str) -> Code {
    match key {
        "aws:sourceip" | "aws:vpcsourceip" | "aws:sourcevpc" | "aws:sourcevpce" | "aws:sourcevpcarn" => {
            Code::ConditionOnNetwork
        }
        "sts:rolesessionname" | "sts:sourceidentity" | "aws:sourceidentity" => Code::ConditionOnSession,
        "aws:userid" | "aws:username" | "aws:federatedprovider" => Code::ConditionOnPrincipal,
        _ if key.starts_with("aws:principal") => Code::ConditionOnPrincipal,
        _ => Code::ConditionNotUnderstood,
    }
}

/// Without the key: negated operators, `IfExists` and `ForAllValues` are met, others are not.
fn if_absent(operator: Operator) -> Outcome<'static> {
    let met = Outcome::Holds(Some(Code::ConditionAlwaysMet));
    match operator.set {
        // Which of the two wins is not documented.
        Some(Set::Any) if operator.if_exists => Outcome::Unsure(Code::ConditionNotUnderstood),
        Some(Set::Any) => Outcome::Fails(Code::KeyNeverPresent),
        Some(Set::All) => met,
        None if operator.if_exists || operator.negated => met,
        None => Outcome::Fails(Code::KeyNeverPresent),
    }
}

fn judge_null(condition: &Condition, known: &Known<'_>) -> Outcome<'static> {
    let values: Option<Vec<bool>> = condition.values.iter().map(|word| boolean(&word.text)).collect();
    let Some(values) = values.filter(|it| !it.is_empty()) else {
        return Outcome::Unsure(Code::ConditionNotUnderstood);
    };
    let wants = |absent: bool| values.contains(&absent);
    let (absent, likely) = match known {
        Known::Absent => (true, false),
        Known::AbsentLikely => (true, true),
        Known::Maybe | Known::MaybeText(_) => {
            let both = wants(true) && wants(false);
            return if both { Outcome::Holds(None) } else { Outcome::Unsure(unsure_code(&condition.key)) };
        }
        Known::Text(_) | Known::Texts(_) | Known::Symbol(_) | Known::Anything | Known::Generic => (false, false),
    };
    match (wants(absent), likely) {
        (true, false) => Outcome::Holds(absent.then_some(Code::ConditionAlwaysMet)),
        (true, true) => Outcome::Unsure(unsure_code(&condition.key)),
        (false, _) if absent => Outcome::Fails(Code::KeyNeverPresent),
        (false, _) => Outcome::Fails(Code::NeverTogether),
    }
}

/// `true` and `false`, as IAM takes them, also from JSON's booleans.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// With a value that may be any text.
fn with_anything(condition: &Condition) -> Outcome<'static> {
    let all = |word: &Word| !word.text.is_empty() && word.text.bytes().all(|b| b == b'*');
    let met =
        condition.operator.test == Test::StringLike && !condition.operator.negated && condition.values.iter().any(all);
    if met { Outcome::Holds(None) } else { Outcome::Unsure(unsure_code(&condition.key)) }
}

/// Dates and `aws:SecureTransport` are the same whoever calls, so that the condition is
/// copied as it stands.
fn carry(condition: &Condition, version: Version) -> Outcome<'static> {
    let fitting = match condition.key.as_str() {
        "aws:currenttime" => condition.operator.test == Test::Date,
        "aws:epochtime" => matches!(condition.operator.test, Test::Date | Test::Numeric),
        _ => condition.operator.test == Test::Bool,
    };
    if !fitting || condition.values.is_empty() {
        return Outcome::Unsure(Code::ConditionNotUnderstood);
    }
    if version == Version::V2012 && condition.values.iter().any(|word| word.text.contains("${")) {
        return Outcome::Unsure(Code::PolicyVariable);
    }
    let mut values: Vec<_> = condition.values.iter().map(|word| word.text.clone()).collect();
    values.sort();
    values.dedup();
    Outcome::Carried(Carried { operator: condition.operator.to_string(), key: condition.key.clone(), values })
}

/// With one known value.
fn with_text<'p>(condition: &'p Condition, version: Version, request: Request<'_>, text: &str) -> Outcome<'p> {
    let negated = condition.operator.negated;
    match one_of(condition, version, request, text) {
        Ok(found) if found != negated => Outcome::Holds(None),
        Ok(_) => Outcome::Fails(Code::NeverTogether),
        Err(code) => Outcome::Unsure(code),
    }
}

/// With several known values, which only the set operators are documented for.
fn with_texts<'p>(condition: &'p Condition, version: Version, request: Request<'_>, texts: &[&str]) -> Outcome<'p> {
    let Some(set) = condition.operator.set else { return Outcome::Unsure(Code::ConditionNotUnderstood) };
    let met: Result<Vec<bool>, Code> =
        texts.iter().map(|text| Ok(one_of(condition, version, request, text)? != condition.operator.negated)).collect();
    match (met, set) {
        (Err(code), _) => Outcome::Unsure(code),
        (Ok(met), Set::All) if met.iter().all(|it| *it) => Outcome::Holds(None),
        (Ok(met), Set::Any) if met.contains(&true) => Outcome::Holds(None),
        (Ok(_), _) => Outcome::Fails(Code::NeverTogether),
    }
}

/// Whether a known value matches one of the condition's values.
fn one_of(condition: &Condition, version: Version, request: Request<'_>, text: &str) -> Result<bool, Code> {
    if condition.values.is_empty() {
        return Err(Code::ConditionNotUnderstood);
    }
    let mut found = false;
    for word in &condition.values {
        let test = condition.operator.test;
        let glob = match value(&word.text, test, version, request) {
            Value::Glob(glob) => glob,
            Value::Valueless { likely: false } if condition.values.len() == 1 => return Ok(false),
            Value::Valueless { .. } | Value::Unknown => return Err(Code::PolicyVariable),
        };
        found |= match test {
            Test::StringEquals | Test::StringLike => glob.matches(text),
            Test::StringEqualsIgnoreCase => {
                if !word.text.is_ascii() || !text.is_ascii() {
                    return Err(Code::ConditionNotUnderstood);
                }
                lowered(glob).matches(&text.to_ascii_lowercase())
            }
            Test::Arn => arn_matches(&glob, text).ok_or(Code::ConditionNotUnderstood)?,
            Test::Bool => {
                boolean(&word.text).zip(boolean(text)).map(|(a, b)| a == b).ok_or(Code::ConditionNotUnderstood)?
            }
            Test::Null | Test::Date | Test::Numeric | Test::Ip | Test::Binary => {
                return Err(Code::ConditionNotUnderstood);
            }
        };
    }
    Ok(found)
}

/// ARN operators compare the six parts one by one, each with wildcards; `None` if the
/// condition's value has fewer, which IAM does not document.
fn arn_matches(glob: &Glob<'_>, text: &str) -> Option<bool> {
    let atoms: Cow<'_, [Atom]> = match glob {
        Glob::Text(text) => text.chars().map(Atom::Char).collect(),
        Glob::Atoms(atoms) => Cow::Borrowed(atoms),
    };
    let mut parts = atoms.splitn(6, |atom| *atom == Atom::Char(':'));
    let mut fields = text.splitn(6, ':');
    let mut all = true;
    for _ in 0..6 {
        let part = parts.next()?;
        let field: Vec<char> = fields.next()?.chars().collect();
        all &= glob_matches(part, &field, |atom, c| atom.takes(*c));
    }
    Some(all)
}

/// With a value that we solve for.
fn with_symbol<'p>(condition: &'p Condition, version: Version, request: Request<'_>, symbol: Symbol) -> Outcome<'p> {
    let Operator { test, negated, .. } = condition.operator;
    if !matches!(test, Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike) {
        return Outcome::Unsure(Code::ConditionNotUnderstood);
    }
    if condition.values.is_empty() {
        return if negated { Outcome::Unsure(Code::ConditionNotUnderstood) } else { Outcome::Fails(Code::NoValue) };
    }
    let ignore_case = test == Test::StringEqualsIgnoreCase;
    let mut globs = Vec::with_capacity(condition.values.len());
    for word in &condition.values {
        match value(&word.text, test, version, request) {
            // Letters beyond ASCII have several lower cases.
            Value::Glob(_) if ignore_case && !word.text.is_ascii() => {
                return Outcome::Unsure(Code::ConditionNotUnderstood);
            }
            Value::Glob(glob) => {
                let glob = if ignore_case { lowered(glob) } else { glob };
                globs.push(NameGlob { glob, ignore_case, word });
            }
            // Whether one such value spoils the whole list is not documented.
            Value::Valueless { .. } if condition.values.len() > 1 => return Outcome::Unsure(Code::PolicyVariable),
            Value::Valueless { .. } if !negated => return Outcome::Fails(Code::VariableWithoutValue),
            Value::Valueless { likely: false } => return Outcome::Holds(Some(Code::ConditionAlwaysMet)),
            Value::Valueless { likely: true } | Value::Unknown => return Outcome::Unsure(Code::PolicyVariable),
        }
    }
    Outcome::Names { symbol, negated, globs }
}
