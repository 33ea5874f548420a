//! Text of others, made harmless.
//!
//! Annotations, names in foreign objects, policies and dumps are written by people
//! who may wish the reader ill: terminal escapes that hide a line, text direction
//! marks that make one name look like another, HTML and Markdown that a pull
//! request would render. What is neutralised stays visible, so that a reader sees
//! that something was there.

use std::fmt::Write as _;

/// Most characters of one piece of foreign text in a view; an annotation may have 256 KiB and more.
pub const MAX_CHARACTERS: usize = 2000;

/// One line of harmless text: control, direction and invisible characters are written as
/// `\u{..}`, line ends as `\n`, and what is longer than [`MAX_CHARACTERS`] is cut and says so.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_CHARACTERS));
    let mut characters = text.chars();
    for c in characters.by_ref().take(MAX_CHARACTERS) {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_deceptive(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    let left = characters.count();
    if left > 0 {
        let _ = write!(out, "... ({left} more characters)");
    }
    out
}

/// Whether a character moves the cursor, changes colours, turns the direction of text, or is not
/// seen at all. Tags (U+E0000..) carry text that no eye sees; line separators end a line for some
/// readers and not for others.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Harmless text for a paragraph of Markdown: nothing in it is read as Markdown or HTML.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '!' | '|' | '~' | '$' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Harmless text as a code span of Markdown, also within a table, where `|` would end a cell.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let text = plain(text);
    if text.trim().is_empty() {
        // A code span of nothing, or of spaces, is none.
        return if text.is_empty() { "(empty)".to_owned() } else { "(blank)".to_owned() };
    }
    // A span is ended by a run of backticks as long as the one that opened it.
    let fence = "`".repeat(longest_run(&text) + 1);
    let text = text.replace('|', "\\|");
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The fence of a Markdown code block that none of these lines can end.
#[must_use]
pub fn markdown_fence<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    "`".repeat(lines.map(longest_run).max().unwrap_or(0).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_hides_is_shown() {
        assert_eq!(plain("a\u{1b}[31mred\u{7}\u{9b}x"), "a\\u{1b}[31mred\\u{7}\\u{9b}x");
        assert_eq!(plain("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(
            plain("\u{202e}txt\u{2066}\u{200b}\u{e0041}\u{2028}"),
            "\\u{202e}txt\\u{2066}\\u{200b}\\u{e0041}\\u{2028}"
        );
        assert_eq!(plain("größe 漢字 ok"), "größe 漢字 ok");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let cut = plain(&"x".repeat(MAX_CHARACTERS + 5));
        assert!(cut.ends_with("x... (5 more characters)"), "{cut}");
    }

    #[test]
    fn nothing_is_read_as_markdown_or_html() {
        assert_eq!(markdown("<script>*a*|`b`[c](d) @me"), "&lt;script&gt;\\*a\\*\\|\\`b\\`\\[c\\](d) \\@me");
        assert_eq!(markdown_code("a`b|c"), "``a`b\\|c``");
        assert_eq!(markdown_code("``a"), "``` ``a ```");
        assert_eq!(markdown_code(""), "(empty)");
        assert_eq!(markdown_fence(["a", "```` b"].into_iter()), "`````");
        assert_eq!(markdown_fence(["a"].into_iter()), "```");
    }
}
