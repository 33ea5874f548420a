//! How a document is laid out, so that what we add looks like the rest.

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::trust::document::Document;

/// The layout of a document's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Between the comma after a statement and the next statement.
    pub(crate) gap: String,
    /// How the lines of a statement start; `None` if it stands on one line.
    indent: Option<Indent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Indent {
    newline: &'static str,
    /// Before the statement's braces.
    outer: String,
    /// One step further in.
    step: String,
}

impl Layout {
    pub(crate) fn of(document: &Document) -> Self {
        let text = document.text();
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let Some(first) = document.statements().first() else {
            return Self { gap: String::new(), indent: None };
        };
        let before = text.get(..first.range.start).unwrap_or_default();
        let own = text.get(first.range.clone()).unwrap_or_default();
        let leading = before.rsplit('\n').next().unwrap_or_default();
        let blank = |text: &str| text.chars().all(|c| matches!(c, ' ' | '\t'));
        let own_line = before.contains('\n') && blank(leading);
        if !own.contains('\n') {
            let gap = if own_line { format!("{newline}{leading}") } else { String::new() };
            return Self { gap, indent: None };
        }
        // The closing brace shows where the statement starts, wherever its opening one is.
        let closing = own.rsplit('\n').next().and_then(|line| line.strip_suffix('}')).filter(|it| blank(it));
        let outer = if own_line { leading } else { closing.unwrap_or_default() }.to_owned();
        let inner = own.split('\n').nth(1).unwrap_or_default();
        let inner = inner.get(..inner.len() - inner.trim_start_matches([' ', '\t']).len()).unwrap_or_default();
        let step = inner.strip_prefix(outer.as_str()).filter(|it| !it.is_empty()).unwrap_or("  ").to_owned();
        let gap = if own_line { format!("{newline}{outer}") } else { " ".to_owned() };
        Self { gap, indent: Some(Indent { newline, outer, step }) }
    }

    /// Writes a value as a statement of the document; its first line is not indented.
    pub(crate) fn render(&self, value: &Value) -> String {
        let Some(Indent { newline, outer, step }) = &self.indent else { return value.to_string() };
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(step.as_bytes());
        if value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).is_err() {
            return value.to_string();
        }
        String::from_utf8_lossy(&bytes).replace('\n', &format!("{newline}{outer}"))
    }
}
