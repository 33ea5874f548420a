//! A trust policy as the lossless text that it is.

use std::fmt;
use std::sync::Arc;

use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::AccountId;
use crate::trust::meaning::Meaning;
use crate::trust::policy::{Effect, Policy, Refusal, Statement};
use crate::trust::reason::{Code, Place, Reason};

/// The most characters that `UpdateAssumeRolePolicy` takes as `PolicyDocument`.
pub const MAX_CHARACTERS: usize = 131_072;

/// A text that is no trust policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {}, column {})", place.line, place.column)]
pub struct Invalid {
    /// What is wrong.
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    /// Where.
    pub place: Place,
}

impl Invalid {
    /// As a reason beside others.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason { code: self.code, message: self.message.clone(), place: Some(self.place) }
    }
}

/// A trust policy: the text as it was given, and what it says. Cheap to clone.
///
/// Equality is of texts; use [`Document::same_meaning`] to compare what IAM made of it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Document(Arc<Inner>);

struct Inner {
    text: String,
    policy: Policy,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Strict JSON; `serde_json` has judged the text before, these only say the same again.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

impl Document {
    /// Reads a policy, already percent-decoded.
    ///
    /// # Errors
    /// What IAM would refuse: not JSON, not a policy, duplicate keys, unknown elements
    /// or operators, malformed principals; and what is too large or too deep to be one.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |refusal: Refusal| Invalid {
            code: refusal.code,
            message: refusal.message,
            place: place_of(text, refusal.at),
        };
        let policy = read(text).map_err(invalid)?;
        Ok(Self(Arc::new(Inner { text: text.to_owned(), policy })))
    }

    /// The text as it was given, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// How long IAM takes it to be: white space between JSON's tokens is not counted.
    ///
    /// Source: IAM user guide, "Policy size calculations do not include white space
    /// characters". White space inside strings is counted, to be on the safe side.
    #[must_use]
    pub fn characters(&self) -> usize {
        let text = self.0.text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.0.text);
        let (mut count, mut in_string, mut escaped) = (0, false, false);
        for byte in text.bytes() {
            // Each character counts by its first byte.
            let first = byte & 0xc0 != 0x80;
            if in_string {
                count += usize::from(first);
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                count += usize::from(first);
                in_string = byte == b'"';
            }
        }
        count
    }

    /// How many statements there are.
    #[must_use]
    pub fn statement_count(&self) -> usize {
        self.0.policy.statements.len()
    }

    /// The text of one statement, from its opening to its closing brace.
    #[must_use]
    pub fn statement_text(&self, index: usize) -> Option<&str> {
        let statement = self.0.policy.statements.get(index)?;
        self.0.text.get(statement.range.clone())
    }

    /// The OIDC providers that Allow statements name: account and issuer, as they are written.
    #[must_use]
    pub fn providers(&self) -> Vec<(AccountId, String)> {
        let allows = self.statements().iter().filter(|it| it.effect == Effect::Allow);
        let named = allows.flat_map(|it| &it.principal.federated).filter_map(|word| {
            let (head, issuer) = word.text.split_once(":oidc-provider/")?;
            let account = AccountId::parse(head.rsplit(':').next()?).ok()?;
            Some((account, issuer.to_owned()))
        });
        named.collect()
    }

    /// Whether both mean the same to IAM, however they are written: order, white space,
    /// a string or a list of one, the case of keys and actions.
    #[must_use]
    pub fn same_meaning(&self, other: &Self) -> bool {
        self.text() == other.text() || Meaning::of(self.policy()) == Meaning::of(other.policy())
    }

    /// The first character that the API does not take, with its place.
    ///
    /// Source: the API's pattern for policy documents, U+0009, U+000A, U+000D and
    /// U+0020 to U+00FF. A byte order mark at the start belongs to a file and is not meant.
    #[must_use]
    pub fn refused_character(&self) -> Option<(char, Place)> {
        let text = self.text();
        let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        // In UTF-8 what lies beyond U+00FF starts with a byte from 0xC4 on, and nothing else holds one.
        let refused = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || *byte >= 0xc4;
        let at = start + text.as_bytes().get(start..)?.iter().position(refused)?;
        let found = text.get(at..)?.chars().next()?;
        Some((found, place_of(text, at)))
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.0.policy.statements
    }

    /// The line and the column of a byte of the text.
    pub(crate) fn place(&self, at: usize) -> Place {
        place_of(self.text(), at)
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Document {}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.text()).finish()
    }
}

impl TryFrom<String> for Document {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Document> for String {
    fn from(document: Document) -> String {
        document.text().to_owned()
    }
}

fn read(text: &str) -> Result<Policy, Refusal> {
    if text.len() > MAX_CHARACTERS && text.chars().count() > MAX_CHARACTERS {
        let message = format!("a policy has at most {MAX_CHARACTERS} characters");
        return Err(Refusal { code: Code::TooLarge, message, at: 0 });
    }
    // JSON has no byte order mark; blanks of its length keep every place true.
    let unmarked = text.strip_prefix(BYTE_ORDER_MARK);
    let blanked = unmarked.map(|rest| format!("{}{rest}", " ".repeat(BYTE_ORDER_MARK.len_utf8())));
    let json = blanked.as_deref().unwrap_or(text);
    check_json(json)?;
    let parsed = parse_to_ast(json, &CollectOptions::default(), &STRICT).map_err(|error| Refusal {
        code: Code::NotJson,
        message: format!("not JSON: {}", error.kind()),
        at: error.range().start,
    })?;
    match &parsed.value {
        Some(root) => Policy::read(root),
        None => Err(Refusal { code: Code::NotJson, message: "there is no text".to_owned(), at: 0 }),
    }
}

/// A policy nests eight deep; more than this is made to exhaust a reader.
const MAX_DEPTH: usize = 32;

/// Whether the text is JSON at all, by the strictest reader at hand.
fn check_json(json: &str) -> Result<(), Refusal> {
    check_depth(json)?;
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(json) else { return Ok(()) };
    let at = offset_of(json, error.line(), error.column());
    if json.trim().is_empty() {
        return Err(Refusal { code: Code::NotJson, message: "there is no text".to_owned(), at: 0 });
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Err(Refusal { code: Code::NotJson, message: format!("not JSON: {message}"), at })
}

/// Bounds the depth, so that no reader nests deeper.
fn check_depth(json: &str) -> Result<(), Refusal> {
    // Most policies have fewer brackets than they may nest, which is quickly seen.
    if json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Refusal {
                code: Code::TooDeep,
                message: "the JSON nests too deep for a policy".to_owned(),
                at,
            });
        }
    }
    Ok(())
}

/// The byte at a line and a byte column as `serde_json` counts them: the column of
/// the last byte it read, starting at 1, and 0 for the newline before the line.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// The line and the column of a byte.
fn place_of(text: &str, at: usize) -> Place {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let row = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
    let column = row.chars().filter(|c| *c != BYTE_ORDER_MARK).count() + 1;
    Place { line, column }
}
