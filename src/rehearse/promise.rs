//! The promises that a run can break, in the words of a reader.

use std::fmt;

use serde::Serialize;

use crate::plan::UnitId;
use crate::sim::Violation;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Promise {
    /// Nobody can assume a role who could not before.
    NoNewAccess,
    /// Nobody loses the access that they had.
    NoLostAccess,
    /// All of it can be undone at any moment, and then everything is as before.
    UndoAtAnyPoint,
    /// Nothing is sent that the plan does not say, and nothing before its time.
    AsReviewed,
}

impl Promise {
    /// The promise that whoever watches the twin saw broken.
    #[must_use]
    pub fn of(violation: &Violation) -> Self {
        if violation.promise == "P1" { Self::NoNewAccess } else { Self::NoLostAccess }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNewAccess => "no new access",
            Self::NoLostAccess => "no lost access",
            Self::UndoAtAnyPoint => "undo at any point",
            Self::AsReviewed => "what was reviewed is what happens",
        })
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// The unit that it was broken with, where it is one.
    pub unit: Option<UnitId>,
    /// How, in words.
    pub what: String,
}

impl Broken {
    pub(super) fn new(promise: Promise, what: impl Into<String>) -> Self {
        Self { promise, unit: None, what: what.into() }
    }

    /// Whether this is the other one, seen once more.
    pub(super) fn is_again(&self, other: &Self) -> bool {
        self.promise == other.promise && self.unit == other.unit && (self.unit.is_some() || self.what == other.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_whole_plan_and_a_role_alone_show_is_told_once() {
        let of = |unit: &str, what: &str| Broken {
            unit: Some(UnitId(unit.to_owned())),
            ..Broken::new(Promise::UndoAtAnyPoint, what)
        };
        let plain = |promise, what: &str| Broken::new(promise, what);
        assert!(of("cart", "after 60 s").is_again(&of("cart", "after 61 s")));
        assert!(!of("cart", "after 60 s").is_again(&of("stock", "after 60 s")));
        assert!(plain(Promise::UndoAtAnyPoint, "trust").is_again(&plain(Promise::UndoAtAnyPoint, "trust")));
        assert!(!plain(Promise::UndoAtAnyPoint, "trust").is_again(&plain(Promise::UndoAtAnyPoint, "stamp")));
        assert!(!plain(Promise::NoLostAccess, "trust").is_again(&plain(Promise::UndoAtAnyPoint, "trust")));
    }
}
