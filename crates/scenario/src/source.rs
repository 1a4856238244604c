//! The text of a scenario, and places in it: every value of a scenario knows where it was written, so that a
//! message at run time can show the line.

use std::ops::Deref;

/// A scenario file as read, with the files that it includes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The name for messages: the path as the user gave it.
    pub name: String,
    /// The content.
    pub text: String,
    /// The files that its topology includes, in order; [`Place::file`] counts them from 1.
    pub included: Vec<Source>,
}

impl Source {
    /// A source from its name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), included: Vec::new() }
    }

    /// The file that a place is in.
    #[must_use]
    pub fn file(&self, place: Place) -> &Self {
        let included = usize::from(place.file).checked_sub(1).and_then(|index| self.included.get(index));
        included.unwrap_or(self)
    }

    /// The text at a place.
    #[must_use]
    pub fn at(&self, place: Place) -> &str {
        place.of(&self.file(place).text)
    }

    /// The whole line that a place begins in.
    #[must_use]
    pub fn line(&self, place: Place) -> &str {
        self.file(place).text.lines().nth(place.line.saturating_sub(1) as usize).unwrap_or("")
    }
}

/// A stretch of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place {
    /// Which file: 0 is the scenario's own, the others are those that it includes, in order.
    pub file: u16,
    /// The line of its start, from 1.
    pub line: u32,
    /// The column of its start in characters, from 1.
    pub column: u32,
    /// The byte offset of its start.
    pub start: u32,
    /// The byte offset after its end.
    pub end: u32,
}

impl Place {
    /// The text there; empty when the place is of another text.
    #[must_use]
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// A part of this place's first line, from byte `start` of `line_text` for `len` bytes, where `line_text` is
    /// the text at this place.
    #[must_use]
    pub fn part(self, line_text: &str, start: usize, len: usize) -> Self {
        let before = line_text.get(..start).unwrap_or(line_text);
        let within = line_text.get(before.len()..).unwrap_or("");
        let len = if within.is_char_boundary(len) { len } else { within.len() };
        let start = self.start + narrow(before.len());
        Self {
            file: self.file,
            line: self.line,
            column: self.column + narrow(before.chars().count()),
            start,
            end: start + narrow(len),
        }
    }
}

/// Offsets in files that a person writes fit 32 bits; the loader refuses larger ones.
pub(crate) fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A value with the place where it was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> At<T> {
    /// A value at a place.
    pub const fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    /// Another value at the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { value: f(self.value), place: self.place }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
