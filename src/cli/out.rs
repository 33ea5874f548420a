//! The only place that prints: data to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use console::Term;
use indicatif::ProgressBar;

use super::error::CommandError;
use super::exit::Exit;
use crate::view::doc::Doc;
use crate::view::sanitize::plain;
use crate::view::text::Look;
use crate::view::{markdown, text};

/// Columns where there is no terminal to ask.
const COLUMNS: usize = 100;

/// How a value is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// For a terminal.
    #[default]
    Text,
    /// For a pull request.
    Markdown,
    /// For programs.
    Json,
}

/// How the progress of something is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Told {
    /// For a terminal.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
}

/// Prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    out: Look,
    err: Look,
    /// Whether a person can be asked.
    interactive: bool,
}

impl Printer {
    /// Looks at the terminal and at `NO_COLOR`.
    pub(crate) fn new() -> Self {
        // By https://no-color.org any value counts but the empty one.
        let colourless = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let look = |term: &Term| {
            let terminal = term.is_term();
            let width = term.size_checked().filter(|_| terminal).map_or(COLUMNS, |(_, columns)| columns.into());
            Look { width, colour: terminal && !colourless && std::env::var_os("TERM").is_none_or(|it| it != "dumb") }
        };
        let interactive = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { out: look(&Term::stdout()), err: look(&Term::stderr()), interactive }
    }

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether stderr is a terminal that may be painted over.
    pub(crate) fn has_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// How stdout looks.
    pub(crate) fn stdout_look(&self) -> Look {
        self.out
    }

    /// How stderr looks.
    pub(crate) fn stderr_look(&self) -> Look {
        self.err
    }

    /// A view, to stdout; `json` is what a program gets instead.
    pub(crate) fn show(
        &self,
        shown: Shown,
        doc: &Doc,
        json: impl FnOnce() -> serde_json::Result<serde_json::Value>,
    ) -> Result<(), CommandError> {
        match shown {
            Shown::Text => self.data(&text::render(doc, self.out)),
            Shown::Markdown => self.data(&markdown::render(doc)),
            Shown::Json => self.data(&format!("{}\n", serde_json::to_string_pretty(&json()?)?)),
        }
    }

    /// Data, to stdout.
    #[expect(clippy::unused_self, reason = "whoever prints holds the printer")]
    pub(crate) fn data(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(CommandError::new(Exit::Unexpected, format!("stdout cannot be written: {error}"))),
        }
    }

    /// A view, to stderr.
    pub(crate) fn tell(&self, doc: &Doc) {
        self.say_raw(&text::render(doc, self.err));
    }

    /// A line of our own words, perhaps with words of others, to stderr.
    pub(crate) fn say(&self, line: &str) {
        self.say_raw(&format!("{}\n", plain(line)));
    }

    /// A line that a view made, to stderr.
    pub(crate) fn line(&self, line: &str) {
        self.say_raw(&format!("{line}\n"));
    }

    /// A line at the foot of a terminal that says what goes on; nothing where there is none.
    pub(crate) fn spinner(&self) -> Spinner {
        let bar = if self.has_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.enable_steady_tick(Duration::from_millis(200));
        Spinner { printer: *self, bar }
    }

    #[expect(clippy::unused_self, reason = "whoever prints holds the printer")]
    fn say_raw(&self, text: &str) {
        // Nobody is left to tell that stderr is gone.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// An error, to stderr.
    pub(crate) fn error(&self, error: &CommandError) {
        if error.exit == Exit::Done {
            return self.say(&sentence(&error.message));
        }
        let (red, bold) = if self.err.colour { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
        self.say_raw(&format!("{red}Error:{bold} {}\n", plain(&error.message)));
        for hint in &error.hints {
            self.say(&format!("Hint: {hint}"));
        }
    }

    /// Asks a person; only `yes` counts as yes.
    pub(crate) fn ask(&self, question: &str) -> bool {
        self.say_raw(&format!("\n{} Type `yes` to go on: ", plain(question)));
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        read.is_ok() && answer.trim() == "yes"
    }
}

/// What goes on, at the foot of a terminal.
pub(crate) struct Spinner {
    printer: Printer,
    bar: ProgressBar,
}

impl Spinner {
    /// What goes on now.
    pub(crate) fn tell(&self, what: &str) {
        self.bar.set_message(plain(what));
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| self.printer.say(line));
    }

    /// Clears the line.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn sentence(fragment: &str) -> String {
    let mut characters = fragment.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}
