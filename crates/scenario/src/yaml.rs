//! From YAML text to a tree whose every key and value knows its place. The only module that knows the YAML crate.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::granit_parser::{
    ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StrInput,
};

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Place, Source, narrow};

/// A value of any kind.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String, Style),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// How a scalar was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl Node {
    /// What it is, for "found ...".
    pub(crate) fn found(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Scalar(text, _) => {
                let line = text.lines().next().unwrap_or("");
                if line.chars().count() > 40 { "a text".to_owned() } else { format!("`{line}`") }
            }
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// A scalar as it stands in a file or argument.
    pub(crate) fn plain(text: &str, place: Place) -> Self {
        let kind = if is_null(text) { Kind::Null } else { Kind::Scalar(text.to_owned(), Style::Plain) };
        Self { place, kind }
    }

    fn belongs_to(&mut self, file: u16) {
        self.place.file = file;
        match &mut self.kind {
            Kind::Null | Kind::Scalar(..) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.belongs_to(file)),
            Kind::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.place.file = file;
                value.belongs_to(file);
            }),
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL" | "")
}

/// A scenario is written by hand: more is an attack or an accident.
const MAX_BYTES: usize = 16 << 20;
/// The same for nodes, counted after aliases.
const MAX_NODES: usize = 200_000;
/// Deepest nesting; a scenario needs eight.
const MAX_DEPTH: usize = 48;

/// Reads one document. `None` in the first place when the syntax is broken; what is wrong otherwise (duplicate
/// keys, advices) stands beside the tree. `file` is the source's number, which all places get.
pub(crate) fn parse(source: &Source, file: u16) -> (Option<Node>, Vec<Diagnostic>) {
    let (mut node, mut diagnostics) = parse_text(source);
    if file > 0 {
        node.iter_mut().for_each(|node| node.belongs_to(file));
        diagnostics.iter_mut().for_each(|diagnostic| diagnostic.place.file = file);
    }
    (node, diagnostics)
}

fn parse_text(source: &Source) -> (Option<Node>, Vec<Diagnostic>) {
    if source.text.len() > MAX_BYTES {
        let message = "the file is larger than 16 MiB: that is no scenario";
        let place = Place { line: 1, column: 1, ..Place::default() };
        return (None, vec![Diagnostic::error(source, place, message, None)]);
    }
    let mut reader = Tree {
        source,
        parser: Parser::new_from_str_with_options(&source.text, options()),
        anchors: BTreeMap::new(),
        nodes: 0,
        depth: 0,
        diagnostics: Vec::new(),
    };
    let node = match reader.document() {
        Ok(node) => Some(node),
        Err(diagnostic) => {
            reader.diagnostics.push(*diagnostic);
            None
        }
    };
    let mut diagnostics = reader.diagnostics;
    if let Some(node) = &node {
        advise(source, node, &mut diagnostics);
    }
    (node, diagnostics)
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    options
}

/// Boxed: a diagnostic is large, and the way without errors should not pay for it.
type Step<T> = Result<T, Box<Diagnostic>>;

struct Tree<'s> {
    source: &'s Source,
    parser: Parser<'s, StrInput<'s>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    depth: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'s> Tree<'s> {
    fn next(&mut self) -> Step<(Event<'s>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Box::new(syntax(self.source, &error))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn fail<T>(&self, place: Place, message: impl Into<String>, help: Option<String>) -> Step<T> {
        Err(Box::new(Diagnostic::error(self.source, place, message, help)))
    }

    fn document(&mut self) -> Step<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return self.fail(
                        place(span),
                        "a second document begins here: one file holds one scenario",
                        None,
                    );
                }
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                    root = Some(self.node(event, span)?);
                }
                _ => {}
            }
        }
        match root {
            Some(node) => Ok(node),
            None => self.fail(
                Place { line: 1, column: 1, ..Place::default() },
                "the file is empty: a scenario needs `scenario`, `topology` and `steps`",
                None,
            ),
        }
    }

    fn node(&mut self, event: Event<'s>, span: Span) -> Step<Node> {
        self.count(1, place(span))?;
        if let Some(tag) = span.tag_span() {
            let help = Some("write the value without it".to_owned());
            return self.fail(place(tag), "a tag (`!...`) has no meaning in a scenario", help);
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style, span)),
            Event::SequenceStart(_, anchor, _) => (anchor, self.inside(span, Self::list)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.inside(span, Self::map)?),
            Event::Alias(id) => (0, self.alias(id, place(span))?),
            _ => return self.fail(place(span), "a value was expected here", None),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Reads a collection one level deeper.
    fn inside(&mut self, span: Span, read: fn(&mut Self, Span) -> Step<Node>) -> Step<Node> {
        if self.depth == MAX_DEPTH {
            return self.fail(place(span), too_deep(), None);
        }
        self.depth += 1;
        let node = read(self, span);
        self.depth -= 1;
        node
    }

    fn alias(&mut self, id: usize, at: Place) -> Step<Node> {
        let Some(node) = self.anchors.get(&id) else {
            return self.fail(at, "an alias inside of what it names", None);
        };
        let node = node.clone();
        self.count(size(&node), at)?;
        if self.depth + depth(&node) > MAX_DEPTH {
            return self.fail(at, too_deep(), None);
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, at: Place) -> Step<()> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return self.fail(at, format!("more than {MAX_NODES} values: that is no scenario"), None);
        }
        Ok(())
    }

    fn list(&mut self, start: Span) -> Step<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(Node { place: collection(start, span), kind: Kind::List(items) });
            }
            items.push(self.node(event, span)?);
        }
    }

    fn map(&mut self, start: Span) -> Step<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                let first = entries.first().map(|(key, _)| key.place);
                let whole = collection(start, span);
                let place = if start.is_empty() { first.unwrap_or(whole) } else { whole };
                return Ok(Node { place, kind: Kind::Map(entries) });
            }
            let Event::Scalar(text, ..) = &event else {
                return self.fail(place(span), "a key must be a single word", None);
            };
            let key = Key { text: text.to_string(), place: place(span) };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if seen.insert(key.text.clone()) {
                entries.push((key, value));
                continue;
            }
            let first = entries.iter().find(|(k, _)| k.text == key.text).map_or(0, |(k, _)| k.place.line);
            let message = format!("`{}` stands twice in the same map", key.text);
            let help = Some(format!("it stands first in line {first}; remove or rename one of them"));
            self.diagnostics.push(Diagnostic::error(self.source, key.place, message, help));
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Null | Kind::Scalar(..) => 0,
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(entries) => entries.iter().map(|(_, value)| size(value)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Null | Kind::Scalar(..) => 0,
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels: that is no scenario")
}

fn scalar(text: &str, style: ScalarStyle, span: Span) -> Node {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    };
    let kind = if style == Style::Plain && is_null(text) {
        Kind::Null
    } else {
        Kind::Scalar(text.to_owned(), style)
    };
    Node { place: place(span), kind }
}

fn place(span: Span) -> Place {
    let (start, end) = (offset(span.start), offset(span.end));
    Place {
        file: 0,
        line: narrow(span.start.line()),
        column: narrow(span.start.col() + 1),
        start,
        end: end.max(start),
    }
}

fn offset(marker: Marker) -> u32 {
    narrow(marker.byte_offset().unwrap_or(0))
}

/// From the opening bracket to the closing one; a block collection has neither and is marked at its first entry.
fn collection(start: Span, end: Span) -> Place {
    let first = place(start);
    if start.is_empty() {
        Place { end: first.start + 1, ..first }
    } else {
        Place { end: offset(end.end), ..first }
    }
}

/// Says what is wrong with the syntax, in words of the file.
fn syntax(source: &Source, error: &ScanError) -> Diagnostic {
    let marker = *error.marker();
    let start = offset(marker);
    let rest = source.text.get(start as usize..).unwrap_or("");
    let width = rest.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    let at = Place {
        file: 0,
        line: narrow(marker.line()),
        column: narrow(marker.col() + 1),
        start,
        end: start + narrow(width),
    };
    if let Some(tab) = tab_in_indentation(source, at) {
        let message = "a tab in the indentation: YAML allows only spaces there";
        let help = "replace it by spaces (most editors can show and convert tabs)";
        return Diagnostic::error(source, tab, message, Some(help.to_owned()));
    }
    let at = if unclosed(error) { opening_quote(source, at) } else { at };
    let (message, help) = explain(error);
    Diagnostic::error(source, at, message, help.map(str::to_owned))
}

/// The first tab in the indentation of the line at `at` or of the next one: a value may seem to go on there.
fn tab_in_indentation(source: &Source, at: Place) -> Option<Place> {
    let mut from = source.text.get(..at.start as usize)?.rfind('\n').map_or(0, |n| n + 1);
    for line in [at.line, at.line + 1] {
        let text = source.text.get(from..)?;
        let indentation = &text[..text.find(|c: char| !matches!(c, ' ' | '\t')).unwrap_or(text.len())];
        if let Some(tab) = indentation.find('\t') {
            let start = narrow(from + tab);
            return Some(Place { file: 0, line, column: narrow(tab + 1), start, end: start + 1 });
        }
        from += text.find('\n')? + 1;
    }
    None
}

fn unclosed(error: &ScanError) -> bool {
    matches!(error.kind(), ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent)
}

/// The last quote before the place where the text was found unclosed.
fn opening_quote(source: &Source, at: Place) -> Place {
    let before = source.text.get(..at.start as usize).unwrap_or("");
    let Some(quote) = before.rfind(['"', '\'']) else { return at };
    let line_start = before[..quote].rfind('\n').map_or(0, |n| n + 1);
    let start = narrow(quote);
    Place {
        file: 0,
        line: narrow(before[..quote].matches('\n').count() + 1),
        column: narrow(before[line_start..quote].chars().count() + 1),
        start,
        end: start + 1,
    }
}

fn explain(error: &ScanError) -> (String, Option<&'static str>) {
    let words = |message: &str, help| (message.to_owned(), Some(help));
    match error.kind() {
        ErrorKind::MappingValueNotAllowed => words(
            "a `:` cannot stand here",
            "indent the line like its neighbours, or put the text that holds the `:` in quotes",
        ),
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::ExpectedBlockMappingKey => words(
            "this line is indented like nothing before it",
            "keys of one map, and the `-` of one list, stand in one column",
        ),
        ErrorKind::InvalidIndentation => words(
            "this line is indented wrongly",
            "keys of one map, and the `-` of one list, stand in one column",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            (format!("this `{open}` is never closed"), Some("add the closing bracket"))
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => words(
            "a quoted text is not closed",
            "close it with the same quote in its line; a longer text can stand below `key: |`",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{character}`"), Some("put the text in quotes"))
        }
        ErrorKind::UnknownAnchor => {
            words("no `&` of this name stands before", "define the anchor first, or write the value out")
        }
        ErrorKind::RecursionLimitExceeded => (too_deep(), None),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => words(
            "a key without its `:`",
            "write `key: value`; lines of a longer text stand below `key: |`, indented",
        ),
        _ => (format!("this is not valid YAML: {}", error.info()), None),
    }
}

/// Words that other YAML tools read differently.
fn advise(source: &Source, node: &Node, out: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::Scalar(text, Style::Plain) => advise_word(source, text, node.place, out),
        Kind::Null | Kind::Scalar(..) => {}
        Kind::List(items) => items.iter().for_each(|item| advise(source, item, out)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            advise_word(source, &key.text, key.place, out);
            advise(source, value, out);
        }),
    }
}

fn advise_word(source: &Source, text: &str, place: Place, out: &mut Vec<Diagnostic>) {
    let Some(read) = read_elsewhere(text) else { return };
    if place.of(&source.text).starts_with(['"', '\'']) {
        return;
    }
    let message = format!("`{text}` without quotes: tools of YAML 1.1 read it as {read}");
    let help = Some(format!("write \"{text}\""));
    out.push(Diagnostic { severity: Severity::Advice, ..Diagnostic::error(source, place, message, help) });
}

fn read_elsewhere(text: &str) -> Option<&'static str> {
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "on" | "yes" | "y" => return Some("true"),
        "off" | "no" | "n" => return Some("false"),
        _ => {}
    }
    let (hours, minutes) = word.split_once(':')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(hours) && digits(minutes) && minutes.len() == 2).then_some("a number")
}
