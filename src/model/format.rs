//! Formats of the files that we write, and which versions of them we read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What `scan` saw.
    Inventory,
    /// What `plan` decided.
    Plan,
}

impl Kind {
    /// The newest version of this kind that we write and read in full.
    ///
    /// Inventory 1.0: first. Plan 1.0: first.
    #[must_use]
    pub fn current(self) -> Format {
        match self {
            Self::Inventory | Self::Plan => Format { kind: self, major: 1, minor: 0 },
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Plan => "plan",
        }
    }
}

/// The first thing in each file that we write.
///
/// A minor version adds fields, a major one changes their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Format {
    /// What the file is.
    pub kind: Kind,
    /// Grows when an older reader would misread the file.
    pub major: u32,
    /// Grows when fields are added.
    pub minor: u32,
}

/// A file that this version of the program cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Another kind of file.
    #[error("this is an irsa-migrate {found}, not an irsa-migrate {wanted}", found = found.word(), wanted = wanted.word())]
    WrongKind {
        /// What was asked for.
        wanted: Kind,
        /// What the file says it is.
        found: Kind,
    },
    /// Written by a newer program, in a way that this one must not read.
    #[error("this {kind} has format {major}.{minor}, newer than the {known_major}.{known_minor} that this version reads", kind = kind.word())]
    Newer {
        /// What the file is.
        kind: Kind,
        /// The file's version.
        major: u32,
        /// The file's version.
        minor: u32,
        /// Ours.
        known_major: u32,
        /// Ours.
        known_minor: u32,
    },
}

impl Format {
    /// Whether a file of this format may be read as `wanted`.
    ///
    /// A newer inventory is read and its new fields ignored, for it only tells. A
    /// newer plan is refused, for a field that we do not know might forbid what we do.
    ///
    /// # Errors
    /// Another kind; a newer major; a newer minor of a plan.
    pub fn readable_as(self, wanted: Kind) -> Result<(), FormatError> {
        if self.kind != wanted {
            return Err(FormatError::WrongKind { wanted, found: self.kind });
        }
        let known = wanted.current();
        let newer_minor = self.major == known.major && self.minor > known.minor;
        if self.major > known.major || (newer_minor && wanted == Kind::Plan) {
            return Err(FormatError::Newer {
                kind: self.kind,
                major: self.major,
                minor: self.minor,
                known_major: known.major,
                known_minor: known.minor,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(kind: Kind, major: u32, minor: u32) -> Format {
        Format { kind, major, minor }
    }

    #[test]
    fn newer_inventories_are_read_and_newer_plans_are_not() {
        assert!(format(Kind::Inventory, 1, 9).readable_as(Kind::Inventory).is_ok());
        assert!(format(Kind::Inventory, 2, 0).readable_as(Kind::Inventory).is_err());
        assert!(format(Kind::Plan, 1, 0).readable_as(Kind::Plan).is_ok());
        assert!(format(Kind::Plan, 1, 1).readable_as(Kind::Plan).is_err());
        assert!(format(Kind::Inventory, 1, 0).readable_as(Kind::Plan).is_err());
    }
}
