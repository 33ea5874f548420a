//! Condition operators.
//!
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators" and
//! "Conditions with multiple context keys or values".

use std::fmt;

/// `ForAnyValue:` or `ForAllValues:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    Any,
    All,
}

/// What an operator tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    /// `ArnEquals` and `ArnLike`, which behave alike.
    Arn,
    Bool,
    Null,
    Date,
    Numeric,
    Ip,
    Binary,
}

/// An operator with its qualifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) set: Option<Set>,
    pub(crate) test: Test,
    /// The negated kind, such as `StringNotLike`: met by an absent key.
    pub(crate) negated: bool,
    /// Met by an absent key, whatever the test.
    pub(crate) if_exists: bool,
    /// The name between the qualifiers.
    name: &'static str,
}

const NAMES: &[(&str, Test, bool)] = &[
    ("StringEquals", Test::StringEquals, false),
    ("StringNotEquals", Test::StringEquals, true),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Test::StringEqualsIgnoreCase, true),
    ("StringLike", Test::StringLike, false),
    ("StringNotLike", Test::StringLike, true),
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("Bool", Test::Bool, false),
    ("Null", Test::Null, false),
    ("DateEquals", Test::Date, false),
    ("DateNotEquals", Test::Date, true),
    ("DateLessThan", Test::Date, false),
    ("DateLessThanEquals", Test::Date, false),
    ("DateGreaterThan", Test::Date, false),
    ("DateGreaterThanEquals", Test::Date, false),
    ("NumericEquals", Test::Numeric, false),
    ("NumericNotEquals", Test::Numeric, true),
    ("NumericLessThan", Test::Numeric, false),
    ("NumericLessThanEquals", Test::Numeric, false),
    ("NumericGreaterThan", Test::Numeric, false),
    ("NumericGreaterThanEquals", Test::Numeric, false),
    ("IpAddress", Test::Ip, false),
    ("NotIpAddress", Test::Ip, true),
    ("BinaryEquals", Test::Binary, false),
];

impl Operator {
    /// Reads an operator's name; `None` if IAM has none of that name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (set, rest) = if let Some(rest) = text.strip_prefix("ForAnyValue:") {
            (Some(Set::Any), rest)
        } else if let Some(rest) = text.strip_prefix("ForAllValues:") {
            (Some(Set::All), rest)
        } else {
            (None, text)
        };
        let (if_exists, bare) = match rest.strip_suffix("IfExists") {
            Some(bare) => (true, bare),
            None => (false, rest),
        };
        let &(name, test, negated) = NAMES.iter().find(|(name, ..)| *name == bare)?;
        // Null tests presence itself, so that it takes no qualifier.
        if test == Test::Null && (if_exists || set.is_some()) {
            return None;
        }
        Some(Self { set, test, negated, if_exists, name })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = match self.set {
            Some(Set::Any) => "ForAnyValue:",
            Some(Set::All) => "ForAllValues:",
            None => "",
        };
        write!(f, "{set}{}{}", self.name, if self.if_exists { "IfExists" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_is_written_as_it_is_read() {
        for (name, test, negated) in NAMES {
            for set in ["", "ForAnyValue:", "ForAllValues:"] {
                for suffix in ["", "IfExists"] {
                    let text = format!("{set}{name}{suffix}");
                    let Some(operator) = Operator::parse(&text) else {
                        assert!(*test == Test::Null && text != "Null", "{text}");
                        continue;
                    };
                    assert_eq!(
                        (operator.test, operator.negated, operator.if_exists),
                        (*test, *negated, !suffix.is_empty())
                    );
                    assert_eq!(operator.to_string(), text);
                }
            }
        }
    }

    #[test]
    fn what_is_no_operator() {
        for text in [
            "StringMatches",
            "stringEquals",
            "ForAnyValue:",
            "IfExists",
            "ForAnyValue:ForAllValues:StringLike",
            "NullIfExists",
            "ForAnyValue:Null",
        ] {
            assert_eq!(Operator::parse(text), None, "{text}");
        }
    }
}
