//! A view as text for a terminal of some width.

use anstyle::{AnsiColor, Style as Ansi};
use unicode_width::UnicodeWidthStr as _;

use super::doc::{Block, Doc, Line, Sign, Span, Style};
use super::sanitize::plain;

/// Where the text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
}

/// Longer lines of prose are hard to read, however wide the terminal is.
const PROSE: usize = 110;

/// Narrower than this a column is not worth its place.
const NARROWEST: usize = 12;

/// The view as text. Every line fits the width, but for a diff's.
#[must_use]
pub fn render(doc: &Doc, look: Look) -> String {
    let mut out = Writer { out: String::new(), look };
    out.blocks(&doc.0, "");
    format!("{}\n", out.out.trim_end())
}

/// One line, however long it is.
#[must_use]
pub fn one_line(line: &Line, look: Look) -> String {
    let spans: Vec<Span> = line.0.iter().map(|it| Span { text: plain(&it.text), style: it.style }).collect();
    Writer { out: String::new(), look }.spans(&spans)
}

struct Writer {
    out: String,
    look: Look,
}

impl Writer {
    fn blocks(&mut self, blocks: &[Block], indent: &str) {
        for it in blocks {
            self.block(it, indent);
        }
    }

    fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn put(&mut self, indent: &str, text: &str) {
        let line = format!("{indent}{text}");
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn block(&mut self, block: &Block, indent: &str) {
        match block {
            Block::Heading(level, line) => {
                self.gap();
                let words: String = line.0.iter().map(|it| plain(&it.text)).collect();
                for text in wrap(&Line::from(words.as_str()), self.prose(indent)) {
                    let shown: String = text.iter().map(|it| it.text.as_str()).collect();
                    let bold = if *level < 3 { Ansi::new().bold().underline() } else { Ansi::new().bold() };
                    let shown = self.paint(&shown, bold);
                    self.put(indent, &shown);
                }
                if *level < 3 {
                    self.out.push('\n');
                }
            }
            Block::Para(line) => {
                self.wrapped(indent, indent, line);
            }
            Block::List(items) => {
                let deeper = format!("{indent}  ");
                for (line, beneath) in items {
                    self.wrapped(&format!("{indent}- "), &deeper, line);
                    self.blocks(beneath, &deeper);
                }
            }
            Block::Facts(facts) => {
                let widest = facts.iter().map(|(what, _)| what.width()).max().unwrap_or(0);
                let beneath = format!("{indent}{}", " ".repeat(widest + 2));
                for (what, line) in facts {
                    let first = format!("{indent}{what:<widest$}  ");
                    self.wrapped(&first, &beneath, line);
                }
            }
            Block::Table { head, rows } => self.table(head, rows, indent),
            Block::Diff(lines) => {
                for (sign, text) in lines {
                    let shown = format!("{}{}", sign.mark(), plain(text));
                    let shown = self.paint(&shown, of_sign(*sign));
                    self.put(indent, &shown);
                }
            }
            Block::Fold(line, beneath) => {
                self.wrapped(indent, indent, line);
                self.blocks(beneath, &format!("{indent}  "));
            }
        }
        if indent.is_empty() && !matches!(block, Block::Heading(3.., _)) {
            self.gap();
        }
    }

    fn prose(&self, indent: &str) -> usize {
        self.look.width.min(PROSE).saturating_sub(indent.width()).max(20)
    }

    fn wrapped(&mut self, first: &str, beneath: &str, line: &Line) {
        for (index, spans) in wrap(line, self.prose(beneath)).into_iter().enumerate() {
            let shown = self.spans(&spans);
            self.put(if index == 0 { first } else { beneath }, &shown);
        }
    }

    fn spans(&self, spans: &[Span]) -> String {
        spans.iter().map(|it| self.paint(&it.text, of_style(it.style))).collect()
    }

    fn paint(&self, text: &str, style: Ansi) -> String {
        if self.look.colour && style != Ansi::new() && !text.trim().is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<Line>], indent: &str) {
        let room = self.look.width.saturating_sub(indent.width() + 2 * head.len().saturating_sub(1));
        let widths = widths(head, rows, room);
        let head: Vec<Line> = head.iter().map(|it| Line::from(*it)).collect();
        self.row(&head, &widths, indent, Some(Ansi::new().underline()));
        for row in rows {
            self.row(row, &widths, indent, None);
        }
    }

    fn row(&mut self, cells: &[Line], widths: &[usize], indent: &str, style: Option<Ansi>) {
        let cells: Vec<Vec<Vec<Span>>> = cells.iter().zip(widths).map(|(it, width)| wrap(it, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                let spans = cell.get(at).map_or(&[][..], Vec::as_slice);
                let used: usize = spans.iter().map(|it| it.text.width()).sum();
                let bare: String = spans.iter().map(|it| it.text.as_str()).collect();
                text.push_str(&style.map_or_else(|| self.spans(spans), |it| self.paint(&bare, it)));
                text.push_str(&" ".repeat(width.saturating_sub(used) + 2));
            }
            self.put(indent, &text);
        }
    }
}

/// Widths for the columns: their own where all fits, else the widest gives way.
fn widths(head: &[&str], rows: &[Vec<Line>], room: usize) -> Vec<usize> {
    let own = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|it| it.0.iter().map(|span| plain(&span.text).width()).sum()).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |it| it.width()))
    };
    let mut widths: Vec<usize> = (0..head.len()).map(own).collect();
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|it| **it > NARROWEST) else { break };
        *widest -= 1;
    }
    widths
}

fn of_style(style: Style) -> Ansi {
    match style {
        Style::Plain => Ansi::new(),
        Style::Name => AnsiColor::Cyan.on_default(),
        Style::Strong => Ansi::new().bold(),
        Style::Good => AnsiColor::Green.on_default(),
        Style::Caution => AnsiColor::Yellow.on_default(),
        Style::Bad => AnsiColor::Red.on_default().bold(),
        Style::Faint => Ansi::new().dimmed(),
    }
}

fn of_sign(sign: Sign) -> Ansi {
    match sign {
        Sign::Same => Ansi::new(),
        Sign::Added => AnsiColor::Green.on_default(),
        Sign::Removed => AnsiColor::Red.on_default(),
        Sign::Place => Ansi::new().dimmed(),
    }
}

/// A line broken at its spaces so that each part fits; a word that is longer still is cut.
fn wrap(line: &Line, width: usize) -> Vec<Vec<Span>> {
    let (mut lines, mut now, mut used) = (Vec::new(), Vec::<Span>::new(), 0);
    for word in words(line) {
        let wide: usize = word.iter().map(|it| it.text.width()).sum();
        let bare = wide - word.last().map_or(0, |it| it.text.width() - it.text.trim_end().width());
        if used > 0 && used + bare > width {
            lines.push(std::mem::take(&mut now));
            used = 0;
        }
        for span in word {
            for part in cut(&span.text, width) {
                if used > 0 && used + part.trim_end().width() > width {
                    lines.push(std::mem::take(&mut now));
                    used = 0;
                }
                used += part.width();
                match now.last_mut() {
                    Some(last) if last.style == span.style => last.text.push_str(part),
                    _ => now.push(Span { text: part.to_owned(), style: span.style }),
                }
            }
        }
    }
    lines.push(now);
    lines
}

/// A line's words, each with the space behind it. A word may go on from one span to the next.
fn words(line: &Line) -> Vec<Vec<Span>> {
    let (mut words, mut now) = (Vec::new(), Vec::new());
    for span in &line.0 {
        for part in plain(&span.text).split_inclusive(' ') {
            now.push(Span { text: part.to_owned(), style: span.style });
            if part.ends_with(' ') {
                words.push(std::mem::take(&mut now));
            }
        }
    }
    words.push(now);
    words
}

/// A word in parts that fit.
fn cut(word: &str, width: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), word);
    while rest.trim_end().width() > width {
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let next = at + c.len_utf8();
            if rest[..next].width() > width {
                break;
            }
            end = next;
        }
        if end == 0 {
            break;
        }
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::doc::{line, name};
    use super::*;

    fn text(doc: &Doc, width: usize) -> String {
        render(doc, Look { width, colour: false })
    }

    #[test]
    fn prose_is_broken_at_spaces_and_long_words_are_cut() {
        let mut doc = Doc::default();
        doc.para(line!["one two three four ", name("x".repeat(25))]);
        assert_eq!(text(&doc, 20), format!("one two three four\n{}\nxxxxx\n", "x".repeat(20)));
    }

    #[test]
    fn a_word_of_two_styles_stays_whole() {
        let mut doc = Doc::default();
        doc.para(line![name("aaaaaaaaa"), ", ", name("bbbbbbbbb"), ", c"]);
        assert_eq!(text(&doc, 20), "aaaaaaaaa,\nbbbbbbbbb, c\n");
    }

    #[test]
    fn a_table_that_is_too_wide_breaks_its_widest_column() {
        let mut doc = Doc::default();
        let row = vec![Line::from(name("ns")), Line::from("many words in a cell that go on and on")];
        doc.push(Block::Table { head: vec!["a", "b"], rows: vec![row] });
        let shown = text(&doc, 30);
        assert!(shown.lines().all(|it| it.width() <= 30), "{shown}");
        assert_eq!(shown.lines().count(), 3, "{shown}");
    }

    #[test]
    fn escapes_of_others_never_reach_the_terminal() {
        let mut doc = Doc::default();
        let evil = "a\u{1b}[2Jb\nc";
        doc.heading(1, line![name(evil)]);
        doc.para(line![name(evil)]);
        doc.push(Block::Table { head: vec!["x"], rows: vec![vec![line![name(evil)]]] });
        doc.push(Block::Diff(vec![(Sign::Added, evil.to_owned())]));
        doc.push(Block::Fold(line![name(evil)], vec![]));
        doc.list([line![name(evil)]]);
        doc.push(Block::Facts(vec![("x", line![name(evil)])]));
        let shown = text(&doc, 80);
        assert!(!shown.contains('\u{1b}') && !shown.lines().any(|it| it == "c"), "{shown:?}");
        assert_eq!(shown.matches("a\\u{1b}[2Jb\\nc").count(), 7, "{shown}");
    }

    #[test]
    fn colour_says_nothing_that_words_do_not() {
        let mut doc = Doc::default();
        doc.push(Block::Diff(vec![(Sign::Added, "new".into()), (Sign::Removed, "old".into())]));
        let coloured = render(&doc, Look { width: 80, colour: true });
        let plain = render(&doc, Look { width: 80, colour: false });
        assert!(coloured.contains("\u{1b}[32m+new") && plain.contains("+new\n-old"), "{coloured:?}");
    }
}
