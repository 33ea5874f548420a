//! What a view says, before it is known where it is shown.
//!
//! A view builds a [`Doc`]; the renderers ([`super::text`], [`super::markdown`]) turn it
//! into bytes, and every span passes through [`super::sanitize`] on the way. So no view can
//! forget to neutralise what others wrote.

/// A piece of text and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Raw: the renderers neutralise it.
    pub text: String,
    /// What it is.
    pub style: Style,
}

/// What a piece of text is. Colour follows from it and never says more than the words do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Our own words.
    Plain,
    /// A name or a value, perhaps written by others.
    Name,
    /// Weighty.
    Strong,
    /// All is well.
    Good,
    /// Look here.
    Caution,
    /// Something is wrong.
    Bad,
    /// Said for completeness.
    Faint,
}

impl Span {
    fn new(text: impl ToString, style: Style) -> Self {
        Self { text: text.to_string(), style }
    }
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self::new(text, Style::Plain)
    }
}

impl From<String> for Span {
    fn from(text: String) -> Self {
        Self::new(text, Style::Plain)
    }
}

/// A name or a value, perhaps written by others.
pub fn name(text: impl ToString) -> Span {
    Span::new(text, Style::Name)
}

/// Weighty words.
pub fn strong(text: impl ToString) -> Span {
    Span::new(text, Style::Strong)
}

/// Words that say that all is well.
pub fn good(text: impl ToString) -> Span {
    Span::new(text, Style::Good)
}

/// Words to look at.
pub fn caution(text: impl ToString) -> Span {
    Span::new(text, Style::Caution)
}

/// Words that say that something is wrong.
pub fn bad(text: impl ToString) -> Span {
    Span::new(text, Style::Bad)
}

/// Words for completeness.
pub fn faint(text: impl ToString) -> Span {
    Span::new(text, Style::Faint)
}

/// Text without a line end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// Our own words, in which names stand between backticks.
    #[must_use]
    pub fn prose(text: &str) -> Self {
        let parts = text.split('`').enumerate().filter(|(_, it)| !it.is_empty());
        Self(parts.map(|(index, it)| if index % 2 == 1 { name(it) } else { Span::from(it) }).collect())
    }

    /// The same with more at its end.
    #[must_use]
    pub fn and(mut self, more: impl Into<Self>) -> Self {
        self.0.extend(more.into().0);
        self
    }

    /// These lines, one behind the other, with something between them.
    #[must_use]
    pub fn joined(lines: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let mut out = Self::default();
        for line in lines {
            if !out.0.is_empty() {
                out.0.push(between.into());
            }
            out.0.extend(line.0);
        }
        out
    }
}

impl<T: Into<Span>> From<T> for Line {
    fn from(span: T) -> Self {
        Self(vec![span.into()])
    }
}

/// A [`Line`] of these spans.
macro_rules! line {
    ($($part:expr),* $(,)?) => { $crate::view::doc::Line(vec![$($crate::view::doc::Span::from($part)),*]) };
}
pub(crate) use line;

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It stays.
    Same,
    /// It is added.
    Added,
    /// It is removed.
    Removed,
    /// Where the lines that follow are: `@@ ... @@`.
    Place,
}

impl Sign {
    /// The character at the start of the line.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Same => " ",
            Self::Added => "+",
            Self::Removed => "-",
            Self::Place => "",
        }
    }
}

/// A part of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The head of what follows; the level is 1 for the whole, then 2, 3.
    Heading(u8, Line),
    /// A paragraph.
    Para(Line),
    /// Items, each with more beneath it.
    List(Vec<(Line, Vec<Block>)>),
    /// What is so, one thing a row.
    Facts(Vec<(&'static str, Line)>),
    /// A table.
    Table {
        /// The columns.
        head: Vec<&'static str>,
        /// The rows, each with a cell for each column.
        rows: Vec<Vec<Line>>,
    },
    /// Lines of a text and how they change.
    Diff(Vec<(Sign, String)>),
    /// What only some will want to read; folded where that can be done.
    Fold(Line, Vec<Block>),
}

/// A whole view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doc(pub Vec<Block>);

impl Doc {
    /// The head of what follows.
    pub fn heading(&mut self, level: u8, line: impl Into<Line>) {
        self.0.push(Block::Heading(level, line.into()));
    }

    /// A paragraph.
    pub fn para(&mut self, line: impl Into<Line>) {
        self.0.push(Block::Para(line.into()));
    }

    /// Items without anything beneath them.
    pub fn list(&mut self, items: impl IntoIterator<Item = Line>) {
        let items: Vec<_> = items.into_iter().map(|it| (it, Vec::new())).collect();
        if !items.is_empty() {
            self.0.push(Block::List(items));
        }
    }

    /// Another part.
    pub fn push(&mut self, block: Block) {
        self.0.push(block);
    }
}
