//! A view as GitHub-flavoured Markdown, for a pull request.

use super::doc::{Block, Doc, Line, Sign, Span, Style};
use super::sanitize::{markdown, markdown_code, markdown_fence, plain};

/// The view as Markdown.
#[must_use]
pub fn render(doc: &Doc) -> String {
    let mut out = String::new();
    blocks(&mut out, &doc.0, "");
    out
}

fn blocks(out: &mut String, blocks: &[Block], indent: &str) {
    for it in blocks {
        block(out, it, indent);
    }
}

fn put(out: &mut String, indent: &str, text: &str) {
    if !text.is_empty() {
        out.push_str(indent);
        out.push_str(text);
    }
    out.push('\n');
}

fn block(out: &mut String, block: &Block, indent: &str) {
    // A blank line ends whatever came before.
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    match block {
        Block::Heading(level, line) => put(out, indent, &format!("{} {}", "#".repeat((*level).into()), inline(line))),
        Block::Para(line) => put(out, indent, &inline(line)),
        Block::List(items) => {
            for (line, beneath) in items {
                put(out, indent, &format!("- {}", inline(line)));
                let deeper = format!("{indent}  ");
                for it in beneath {
                    self::block(out, it, &deeper);
                }
                if !beneath.is_empty() {
                    out.push('\n');
                }
            }
        }
        Block::Facts(facts) => {
            put(out, indent, "| | |");
            put(out, indent, "|---|---|");
            for (what, line) in facts {
                put(out, indent, &format!("| {} | {} |", markdown(what), inline(line)));
            }
        }
        Block::Table { head, rows } => table(out, head, rows, indent),
        Block::Diff(lines) => {
            let fence = markdown_fence(lines.iter().map(|(_, it)| it.as_str()));
            put(out, indent, &format!("{fence}diff"));
            for (sign, text) in lines {
                put(out, indent, &format!("{}{}", sign_of(*sign), plain(text)));
            }
            put(out, indent, &fence);
        }
        Block::Fold(line, beneath) => {
            // GitHub reads Markdown within HTML only behind a blank line, and none in a summary.
            put(out, indent, &format!("<details><summary>{}</summary>", html(line)));
            blocks(out, beneath, indent);
            put(out, "", "");
            put(out, indent, "</details>");
        }
    }
}

fn sign_of(sign: Sign) -> &'static str {
    sign.mark()
}

fn table(out: &mut String, head: &[&str], rows: &[Vec<Line>], indent: &str) {
    let head: Vec<String> = head.iter().map(|it| markdown(it)).collect();
    put(out, indent, &format!("| {} |", head.join(" | ")));
    put(out, indent, &format!("|{}", "---|".repeat(head.len())));
    for row in rows {
        let cells: Vec<String> = row.iter().map(inline).collect();
        put(out, indent, &format!("| {} |", cells.join(" | ")));
    }
}

fn inline(line: &Line) -> String {
    line.0.iter().map(span).collect()
}

fn span(span: &Span) -> String {
    let text = span.text.as_str();
    match span.style {
        Style::Name => markdown_code(text),
        Style::Strong | Style::Bad | Style::Caution if !text.trim().is_empty() => {
            format!("**{}**", markdown(text.trim()))
        }
        Style::Plain | Style::Strong | Style::Good | Style::Caution | Style::Bad | Style::Faint => markdown(text),
    }
}

fn html(line: &Line) -> String {
    let escape = |it: &Span| plain(&it.text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    line.0.iter().map(escape).collect()
}
