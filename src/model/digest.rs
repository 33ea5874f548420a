//! Digests of files: what a reviewer quotes and what `apply` compares.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, as 64 hexadecimal digits.
///
/// A file's digest is taken of its bytes and never stored inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let mut text = String::with_capacity(64);
        for byte in hash {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
        }
        Self(text)
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has the form of a digest, wherever it was read.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.0.len() == 64 && self.0.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The first `length` digits, for names that must be short.
    #[must_use]
    pub fn short(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }

    /// Whether somebody's quote of this digest, perhaps cut short, means it.
    ///
    /// At least twelve digits: fewer are easy to make collide on purpose.
    #[must_use]
    pub fn is_quoted_by(&self, quote: &str) -> bool {
        let quote = quote.strip_prefix("sha256:").unwrap_or(quote).to_ascii_lowercase();
        quote.len() >= 12 && self.0.starts_with(&quote)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(digest.is_quoted_by("sha256:BA7816BF8F01"));
        assert!(!digest.is_quoted_by("ba7816bf8f0"));
        assert!(!digest.is_quoted_by("ba7816bf8f02"));
    }
}
