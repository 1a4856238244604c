//! One thing that is wrong with a scenario: what, where, what was expected, and the nearest right name.

use std::fmt::Write;

use crate::source::{Place, Source};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The scenario cannot be run.
    Error,
    /// It can be run, but somebody will stumble over it.
    Advice,
}

impl Severity {
    /// The word in the first line of a message.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Advice => "advice",
        }
    }

    /// Its colour on a terminal (ANSI).
    const fn colour(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Advice => "\x1b[1;33m",
        }
    }
}

/// One thing that is wrong, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The name of the source.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The line that the place begins in.
    pub shown: String,
}

impl Diagnostic {
    /// An error in `source` at `place`.
    pub fn error(source: &Source, place: Place, message: impl Into<String>, help: Option<String>) -> Self {
        let (name, shown) = (source.file(place).name.clone(), source.line(place).to_owned());
        Self { name, severity: Severity::Error, place, message: message.into(), help, shown }
    }

    /// Writes the message as `file:line:column: error: ...`, the line with a mark under the place, and the help.
    ///
    /// `colour` adds ANSI colours, which carry nothing that the words do not.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let paint = |code: &'static str| if colour { code } else { "" };
        let (strong, off) = (paint(self.severity.colour()), paint("\x1b[0m"));
        let dim = paint("\x1b[1;34m");
        let Place { line, column, .. } = self.place;
        let mut out = String::new();
        let label = self.severity.label();
        let _ = writeln!(out, "{}:{line}:{column}: {strong}{label}{off}: {}", self.name, self.message);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        if !self.shown.is_empty() {
            let (shown, mark) = self.marked(&self.shown);
            let _ = writeln!(out, "{margin} {dim}|{off}");
            let _ = writeln!(out, "{dim}{number} |{off} {}", shown.trim_end());
            let _ = writeln!(out, "{margin} {dim}|{off} {strong}{mark}{off}");
        }
        if let Some(help) = &self.help {
            let further = format!("\n{margin}         ");
            let _ = writeln!(out, "{margin} {dim}={off} help: {}", help.replace('\n', &further));
        }
        out
    }

    /// The line with tabs shown as one blank, cut around the place when it is long, and the marks to put below.
    fn marked(&self, line: &str) -> (String, String) {
        const WIDTH: usize = 160;
        let before = self.place.column.saturating_sub(1) as usize;
        let from = before.saturating_sub(WIDTH / 2);
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = line.chars().map(visible).skip(from).take(WIDTH).collect();
        let bytes = self.place.end.saturating_sub(self.place.start) as usize;
        let rest: String = line.chars().skip(before).collect();
        let marked = rest.char_indices().take_while(|(at, _)| *at < bytes).count();
        let end = (from + WIDTH).saturating_sub(before);
        let mark = "^".repeat(marked.clamp(1, end.max(1)));
        (shown, format!("{}{mark}", " ".repeat(before - from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_marks_the_place() {
        let source = Source::new("a.yaml", "x: é foo\n");
        let place = Place { file: 0, line: 1, column: 6, start: 6, end: 9 };
        let shown = Diagnostic::error(&source, place, "bad", Some("good".into())).render(false);
        assert_eq!(shown, "a.yaml:1:6: error: bad\n  |\n1 | x: é foo\n  |      ^^^\n  = help: good\n");
    }

    #[test]
    fn a_place_outside_the_text_is_shown_without_a_line() {
        let place = Place { file: 0, line: 9, column: 1, start: 90, end: 91 };
        let source = Source::new("a.yaml", "x: 1\n");
        assert_eq!(Diagnostic::error(&source, place, "bad", None).render(false), "a.yaml:9:1: error: bad\n");
    }
}
