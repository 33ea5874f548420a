//! Condition operators (IAM user guide, "Condition operators" and "Conditions with multiple
//! context keys or values").

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::pattern::{Wildcards, compile, lower_case, matches, matches_arn};
use super::policy::{Malformed, texts};
use super::{Context, Malformed as Error};

/// One operator on one key: all of a statement's must hold.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    key: String,
    values: Vec<String>,
    compare: Compare,
    negated: bool,
    set: Set,
    if_exists: bool,
    /// Whether the document's version has policy variables.
    variables: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// No set operator: for keys with one value.
    Single,
    All,
    Any,
}

/// How one value of the request is compared with one of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    EqualIgnoringCase,
    Like,
    Arn,
    Bool,
    Number(Order),
    Date(Order),
    Ip,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// The comparison of an operator's bare name, and whether it is negated.
fn operator(name: &str) -> Option<(Compare, bool)> {
    Some(match name {
        "StringEquals" | "BinaryEquals" => (Compare::Equal, false),
        "StringNotEquals" => (Compare::Equal, true),
        "StringEqualsIgnoreCase" => (Compare::EqualIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => (Compare::EqualIgnoringCase, true),
        "StringLike" => (Compare::Like, false),
        "StringNotLike" => (Compare::Like, true),
        // The user guide: ArnEquals and ArnLike behave identically.
        "ArnEquals" | "ArnLike" => (Compare::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Compare::Arn, true),
        "Bool" => (Compare::Bool, false),
        "Null" => (Compare::Null, false),
        "IpAddress" => (Compare::Ip, false),
        "NotIpAddress" => (Compare::Ip, true),
        "NumericEquals" => (Compare::Number(Order::Equal), false),
        "NumericNotEquals" => (Compare::Number(Order::Equal), true),
        "NumericLessThan" => (Compare::Number(Order::Less), false),
        "NumericLessThanEquals" => (Compare::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Compare::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Compare::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Compare::Date(Order::Equal), false),
        "DateNotEquals" => (Compare::Date(Order::Equal), true),
        "DateLessThan" => (Compare::Date(Order::Less), false),
        "DateLessThanEquals" => (Compare::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Compare::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Compare::Date(Order::GreaterOrEqual), false),
        _ => return None,
    })
}

impl Condition {
    pub(super) fn parse_block(block: &Map<String, Value>, variables: bool) -> Result<Vec<Self>, Malformed> {
        let mut all = Vec::new();
        for (name, keys) in block {
            let (set, rest) = match name.split_once(':') {
                Some(("ForAllValues", rest)) => (Set::All, rest),
                Some(("ForAnyValue", rest)) => (Set::Any, rest),
                Some(_) | None => (Set::Single, name.as_str()),
            };
            let (bare, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |it| (it, true));
            let unknown = || Error(format!("{name:?} is no condition operator"));
            let (compare, negated) = operator(bare).ok_or_else(unknown)?;
            // "You can add IfExists to the end of any condition operator name except the Null condition."
            if compare == Compare::Null && (if_exists || set != Set::Single) {
                return Err(unknown());
            }
            let keys = keys.as_object().ok_or_else(|| Error(format!("{name} is no object")))?;
            for (key, values) in keys {
                let values = texts(values)?;
                all.push(Self { key: key.clone(), values, compare, negated, set, if_exists, variables });
            }
        }
        Ok(all)
    }

    /// Whether it holds for a request.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let present = context.get(&self.key);
        if self.compare == Compare::Null {
            return self.values.iter().any(|it| it.eq_ignore_ascii_case("true") == present.is_empty());
        }
        if present.is_empty() {
            // A key that is not there is a mismatch, which a negated operator turns into a match.
            // ForAllValues of nothing is true, ForAnyValue of nothing is false.
            return match self.set {
                Set::All => true,
                Set::Any => self.if_exists,
                Set::Single => self.negated || self.if_exists,
            };
        }
        // Several values of the policy are OR; under a negated operator none of them may match.
        let holds = |value: &String| self.values.iter().any(|it| self.matches(it, value, context)) != self.negated;
        match self.set {
            Set::All => present.iter().all(holds),
            Set::Any => present.iter().any(holds),
            // A key of several values without a set operator is not documented. It is read so that
            // a positive operator needs one that matches, and a negated one that none does.
            Set::Single if self.negated => present.iter().all(holds),
            Set::Single => present.iter().any(holds),
        }
    }

    fn matches(&self, wanted: &str, value: &str, context: &Context) -> bool {
        let variables = self.variables.then_some(context);
        let compiled = |wildcards| compile(wanted, wildcards, variables);
        match self.compare {
            Compare::Equal => compiled(Wildcards::AreLiteral).is_some_and(|it| matches(&it, value)),
            Compare::EqualIgnoringCase => {
                compiled(Wildcards::AreLiteral).is_some_and(|it| matches(&lower_case(&it), &value.to_lowercase()))
            }
            Compare::Like => compiled(Wildcards::Count).is_some_and(|it| matches(&it, value)),
            Compare::Arn => compiled(Wildcards::Count).is_some_and(|it| matches_arn(&it, value)),
            Compare::Bool => wanted.eq_ignore_ascii_case(value),
            Compare::Number(order) => match (wanted.parse::<f64>(), value.parse::<f64>()) {
                (Ok(wanted), Ok(value)) => value.partial_cmp(&wanted).is_some_and(|it| order.holds(it)),
                (Ok(_) | Err(_), _) => false,
            },
            Compare::Date(order) => match (date(wanted), date(value)) {
                (Some(wanted), Some(value)) => order.holds(value.cmp(&wanted)),
                (Some(_) | None, _) => false,
            },
            Compare::Ip => value.parse().is_ok_and(|address| in_range(wanted, address)),
            Compare::Null => false,
        }
    }
}

/// A date in one of the W3C's ISO 8601 forms, or in seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    let at_midnight = || jiff::tz::TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
    text.parse().ok().or_else(at_midnight)
}

/// Whether an address is in a CIDR range; a bare address is a range of one.
fn in_range(range: &str, address: IpAddr) -> bool {
    let (base, bits) = range.split_once('/').map_or((range, None), |(base, bits)| (base, Some(bits)));
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (u128::from(base.to_bits()), u128::from(address.to_bits()), 32),
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let Ok(bits) = bits.map_or(Ok(width), str::parse::<u32>) else { return false };
    if bits > width {
        return false;
    }
    // A shift by the whole width is none that a machine has.
    (base ^ address).checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, value: &str, present: &[&str]) -> bool {
        let block = serde_json::json!({ operator: { "k": value } });
        let conditions = Condition::parse_block(block.as_object().unwrap(), true).unwrap();
        let mut context = Context::default();
        if !present.is_empty() {
            context = context.with_all("K", present.iter().copied());
        }
        conditions.iter().all(|it| it.holds(&context))
    }

    #[test]
    fn numbers_dates_and_addresses() {
        for (operator, value, present, want) in [
            ("NumericLessThan", "10", "9", true),
            ("NumericLessThan", "10", "10", false),
            ("NumericLessThanEquals", "10", "10.0", true),
            ("NumericGreaterThan", "10", "x", false),
            ("NumericNotEquals", "10", "11", true),
            ("DateGreaterThan", "2026-01-01", "2026-01-01T00:00:01Z", true),
            ("DateLessThan", "2026-01-01T00:00:00+01:00", "1767222000", false),
            ("DateEquals", "1767225600", "2026-01-01T00:00:00Z", true),
            ("IpAddress", "10.0.0.0/8", "10.255.0.1", true),
            ("IpAddress", "10.0.0.0/8", "11.0.0.1", false),
            ("IpAddress", "0.0.0.0/0", "11.0.0.1", true),
            ("IpAddress", "::/0", "11.0.0.1", false),
            ("IpAddress", "2001:db8::/32", "2001:db8::1", true),
            ("NotIpAddress", "10.0.0.1", "10.0.0.1", false),
            ("Bool", "true", "True", true),
            ("StringNotEqualsIgnoreCase", "A", "a", false),
        ] {
            assert_eq!(holds(operator, value, &[present]), want, "{operator} {value} {present}");
        }
    }

    #[test]
    fn keys_that_are_absent() {
        for (operator, want) in [
            ("StringEquals", false),
            ("StringEqualsIfExists", true),
            ("StringNotEquals", true),
            ("NotIpAddress", true),
            ("NumericLessThan", false),
            ("DateNotEquals", true),
            ("ArnLike", false),
            ("Bool", false),
            ("ForAllValues:StringLike", true),
            ("ForAnyValue:StringLike", false),
            ("ForAnyValue:StringNotLike", false),
        ] {
            assert_eq!(holds(operator, "x", &[]), want, "{operator}");
        }
    }

    #[test]
    fn operators_that_do_not_exist() {
        for name in ["NullIfExists", "StringMatches", "ForAllValues:Null", "stringequals", "IfExists", "A:StringEquals"]
        {
            let block = serde_json::json!({ name: { "k": "v" } });
            assert!(Condition::parse_block(block.as_object().unwrap(), true).is_err(), "{name}");
        }
    }
}
