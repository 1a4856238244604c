//! From the tree as written to the trees that are run: topologies included, parameters put in, one tree for each
//! combination of the matrix. All of it before anything is typed.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_types::near::nearest;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Place, Source, narrow};
use crate::yaml::{self, Key, Kind, Node, Style};

/// What a caller decides about a scenario before it is read.
#[derive(Clone, Copy)]
pub struct Choices<'a> {
    /// Values of parameters by name, in place of the scenario's own. One for a key of the matrix leaves only that value.
    pub params: &'a BTreeMap<String, String>,
    /// Reads a file that the topology includes, by its path as written; the error is told at that place.
    pub include: &'a dyn Fn(&str) -> Result<Source, String>,
}

/// More runs of one file than anybody looks at are an accident.
const MAX_RUNS: usize = 10_000;
/// Keys that this module reads; the others see trees without them.
pub(crate) const KEYS: [&str; 2] = ["params", "matrix"];

/// One tree to be run.
pub(crate) struct Tree {
    pub(crate) root: Node,
    /// The combination of the matrix: keys and values in order.
    pub(crate) cell: Vec<(String, String)>,
    /// The value of every parameter, those of the matrix included.
    pub(crate) params: BTreeMap<String, String>,
    /// Where a parameter was put in, and which.
    pub(crate) put: Vec<(Place, String)>,
}

/// A value of a parameter, as a tree takes it.
#[derive(Clone)]
struct Value {
    text: String,
    style: Style,
}

type Values = BTreeMap<String, Value>;

/// Expands a tree.
pub(crate) struct Expander<'a> {
    pub(crate) source: Source,
    /// Paths of included files as written.
    pub(crate) included: Vec<String>,
    pub(crate) choices: Choices<'a>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    used: BTreeSet<String>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(source: &Source, choices: Choices<'a>) -> Self {
        Self {
            source: source.clone(),
            included: Vec::new(),
            choices,
            diagnostics: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    fn error(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(Diagnostic::error(&self.source, place, message, help));
    }

    /// All trees of a file, at least one.
    pub(crate) fn trees(&mut self, mut root: Node) -> Vec<Tree> {
        if let Some(topology) = entry(&mut root, "topology") {
            self.include(topology);
        }
        let params = entry(&mut root, "params").map(|node| std::mem::replace(node, empty()));
        let matrix = entry(&mut root, "matrix").map(|node| std::mem::replace(node, empty()));
        if let Kind::Map(entries) = &mut root.kind {
            entries.retain(|(key, _)| !KEYS.contains(&key.text.as_str()));
        }
        let defaults = params.map(|node| self.params(&node)).unwrap_or_default();
        let axes = matrix.map(|node| self.matrix(&node, &defaults)).unwrap_or_default();
        self.check_given(&defaults, &axes);
        let trees = axes.cells().into_iter().map(|cell| self.tree(&root, &defaults, cell)).collect();
        // What is wrong may be the very reason.
        if self.diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Advice) {
            self.advise_unused(&defaults, &axes);
        }
        trees
    }

    // Included topologies.

    /// Puts the entries of the files that `include` names before those of the topology itself.
    fn include(&mut self, topology: &mut Node) {
        let Kind::Map(entries) = &mut topology.kind else { return };
        let Some(at) = entries.iter().position(|(key, _)| key.text == "include") else { return };
        let (_, wanted) = entries.remove(at);
        let own = std::mem::take(entries);
        let files = match wanted.kind {
            Kind::List(items) => items,
            _ => vec![wanted],
        };
        let mut whole: Vec<(Key, Node)> = Vec::new();
        for file in &files {
            for (key, node) in self.included(file) {
                self.merge(&mut whole, key, node);
            }
        }
        for (key, node) in own {
            self.merge(&mut whole, key, node);
        }
        topology.kind = Kind::Map(whole);
    }

    fn included(&mut self, file: &Node) -> Vec<(Key, Node)> {
        let Kind::Scalar(path, _) = &file.kind else {
            let message = format!("`include` names a file, found {}", file.found());
            self.error(file.place, message, Some("such as `include: two-hosts.yaml`".to_owned()));
            return Vec::new();
        };
        let source = match (self.choices.include)(path) {
            Ok(source) => source,
            Err(error) => {
                self.error(file.place, error, None);
                return Vec::new();
            }
        };
        let number = u16::try_from(self.source.included.len() + 1).unwrap_or(u16::MAX);
        let (node, mut found) = yaml::parse(&source, number);
        self.source.included.push(source);
        self.included.push(path.clone());
        self.diagnostics.append(&mut found);
        let Some(node) = node else { return Vec::new() };
        let Kind::Map(entries) = node.kind else {
            let message = format!("an included file is a topology, found {}", node.found());
            self.error(node.place, message, Some("it has `hosts`, `links` and `vms`".to_owned()));
            return Vec::new();
        };
        let nested = |(key, _): &&(Key, Node)| matches!(key.text.as_str(), "include" | "scenario");
        if let Some((key, _)) = entries.iter().find(nested) {
            let message = if key.text == "include" {
                "an included file includes nothing itself"
            } else {
                "an included file is a topology and no scenario"
            };
            let help = "it has `hosts`, `links` and `vms` and nothing around them".to_owned();
            self.error(key.place, message, Some(help));
            return Vec::new();
        }
        entries
    }

    /// Adds the entries of `hosts`, `links` or `vms` to those that are there.
    fn merge(&mut self, whole: &mut Vec<(Key, Node)>, key: Key, node: Node) {
        let Some((_, there)) = whole.iter_mut().find(|(k, _)| k.text == key.text) else {
            whole.push((key, node));
            return;
        };
        match (&mut there.kind, node.kind) {
            (Kind::Map(old), Kind::Map(new)) => {
                for (key, node) in new {
                    if let Some((first, _)) = old.iter().find(|(k, _)| k.text == key.text) {
                        let first = (self.source.file(first.place).name.clone(), first.place.line);
                        let message = format!("`{}` is there already", key.text);
                        let help = format!("it stands in line {} of {}", first.1, first.0);
                        self.diagnostics.push(Diagnostic::error(
                            &self.source,
                            key.place,
                            message,
                            Some(help),
                        ));
                    } else {
                        old.push((key, node));
                    }
                }
            }
            // Whoever reads the topology says what is wrong with it.
            (Kind::Null, kind) => there.kind = kind,
            (_, _) => {}
        }
    }

    // Parameters.

    fn params(&mut self, node: &Node) -> Values {
        let entries = self.named(node, "`params`");
        let mut values = Values::new();
        for (key, node) in entries {
            if let Some(value) = self.value(node) {
                values.insert(key.text.clone(), value);
            }
        }
        values
    }

    /// A map whose keys are names of parameters.
    fn named<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Key, Node)] {
        let Kind::Map(entries) = &node.kind else {
            let message = format!("{what} is a map of `name: value`, found {}", node.found());
            self.error(node.place, message, None);
            return &[];
        };
        for (key, _) in entries {
            if !is_name(&key.text) {
                let help = Some("a name has letters, digits, `-` and `_`".to_owned());
                self.error(key.place, format!("`{}` is not the name of a parameter", key.text), help);
            }
        }
        entries
    }

    fn value(&mut self, node: &Node) -> Option<Value> {
        match &node.kind {
            Kind::Scalar(text, style) => Some(Value { text: text.clone(), style: *style }),
            Kind::Null | Kind::List(_) | Kind::Map(_) => {
                let message = format!("a parameter is one word, number or text, found {}", node.found());
                self.error(node.place, message, None);
                None
            }
        }
    }

    fn matrix(&mut self, node: &Node, defaults: &Values) -> Matrix {
        let mut matrix = Matrix::default();
        for (key, node) in self.named(node, "`matrix`") {
            if key.text == "exclude" {
                continue;
            }
            if defaults.contains_key(&key.text) {
                let message = format!("`{}` stands in `params`, too", key.text);
                self.error(key.place, message, Some("leave it in one of the two".to_owned()));
            }
            let values = self.axis(&key.text, node);
            matrix.axes.push((key.text.clone(), values));
        }
        if let Kind::Map(entries) = &node.kind
            && let Some((_, excluded)) = entries.iter().find(|(key, _)| key.text == "exclude")
        {
            matrix.excluded = self.excluded(excluded, &matrix.axes);
        }
        let runs: usize = matrix.axes.iter().map(|(_, values)| values.len()).product();
        if runs > MAX_RUNS {
            self.error(node.place, format!("{runs} runs of one file: at most {MAX_RUNS}"), None);
            matrix.axes.clear();
        } else if runs > 0 && matrix.cells().is_empty() {
            self.error(node.place, "`exclude` leaves no run", None);
        }
        matrix
    }

    fn axis(&mut self, name: &str, node: &Node) -> Vec<Value> {
        let Kind::List(items) = &node.kind else {
            let help = Some(format!("write `{name}: [ 5m, 15m ]`, or move it to `params`"));
            self.error(node.place, format!("a key of `matrix` has a list, found {}", node.found()), help);
            return Vec::new();
        };
        if items.is_empty() {
            self.error(node.place, format!("`{name}` has no value: there is nothing to run"), None);
        }
        let mut values: Vec<Value> = Vec::new();
        for item in items {
            let Some(value) = self.value(item) else { continue };
            if values.iter().any(|known| known.text == value.text) {
                self.error(item.place, format!("`{}` stands twice", value.text), None);
            } else {
                values.push(value);
            }
        }
        if let Some(text) = self.choices.params.get(name) {
            values.retain(|value| value.text == *text);
            if values.is_empty() {
                values.push(Value { text: text.clone(), style: Style::Plain });
            }
        }
        values
    }

    fn excluded(&mut self, node: &Node, axes: &[(String, Vec<Value>)]) -> Vec<Vec<(String, String)>> {
        let Kind::List(items) = &node.kind else {
            let message = format!("`exclude` is a list of combinations, found {}", node.found());
            self.error(node.place, message, Some("begin each with `- `".to_owned()));
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in items {
            let mut combination = Vec::new();
            for (key, node) in self.named(item, "a combination") {
                let Some((_, values)) = axes.iter().find(|(name, _)| *name == key.text) else {
                    let near = nearest(&key.text, axes.iter().map(|(name, _)| name.as_str()));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    self.error(key.place, format!("the matrix has no key `{}`", key.text), help);
                    continue;
                };
                let Some(value) = self.value(node) else { continue };
                if !self.choices.params.contains_key(&key.text)
                    && !values.iter().any(|v| v.text == value.text)
                {
                    let message = format!("`{}` is none of the values of `{}`", value.text, key.text);
                    self.error(node.place, message, None);
                }
                combination.push((key.text.clone(), value.text));
            }
            if !combination.is_empty() {
                all.push(combination);
            }
        }
        all
    }

    /// Whether every parameter that the caller gave is one.
    fn check_given(&mut self, defaults: &Values, matrix: &Matrix) {
        let known: Vec<&str> = defaults
            .keys()
            .map(String::as_str)
            .chain(matrix.axes.iter().map(|(name, _)| name.as_str()))
            .collect();
        for name in self.choices.params.keys() {
            if !known.contains(&name.as_str()) {
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "it has no `params` and no `matrix`".to_owned(),
                    None => format!("it has {}", known.join(", ")),
                };
                let place = Place { line: 1, column: 1, ..Place::default() };
                let message = format!("this scenario has no parameter `{name}`");
                self.diagnostics.push(Diagnostic::error(&self.source, place, message, Some(help)));
            }
        }
    }

    fn tree(&mut self, root: &Node, defaults: &Values, cell: Vec<(String, Value)>) -> Tree {
        let mut values = defaults.clone();
        for (name, text) in self.choices.params {
            // The same value given again stays as it was written.
            if values.get(name).is_none_or(|value| value.text != *text) {
                values.insert(name.clone(), Value { text: text.clone(), style: Style::Plain });
            }
        }
        values.extend(cell.iter().cloned());
        let mut root = root.clone();
        let mut put = Vec::new();
        self.put(&mut root, &values, &mut put);
        let words = |(name, value): (String, Value)| (name, value.text);
        Tree {
            root,
            cell: cell.into_iter().map(words).collect(),
            params: values.into_iter().map(words).collect(),
            put,
        }
    }

    /// Puts the values in where a scalar is `${name}`.
    fn put(&mut self, node: &mut Node, values: &Values, put: &mut Vec<(Place, String)>) {
        match &mut node.kind {
            Kind::Null => {}
            Kind::Scalar(text, _) => {
                let Some((start, name)) = reference(text) else { return };
                let whole = start == 0 && name.len() + 3 == text.len();
                match values.get(name) {
                    Some(value) if whole => {
                        self.used.insert(name.to_owned());
                        put.push((node.place, name.to_owned()));
                        node.kind = match value.style {
                            Style::Plain => Node::plain(&value.text, node.place).kind,
                            style => Kind::Scalar(value.text.clone(), style),
                        };
                    }
                    Some(_) => {
                        let message =
                            format!("`${{{name}}}` stands inside of a text: a parameter is a whole value");
                        let help =
                            format!("make the whole text a parameter, and write only `${{{name}}}` here");
                        let place = inside(node.place, self.source.at(node.place), name);
                        self.error(place, message, Some(help));
                    }
                    None if whole => {
                        let message = format!("no parameter is called `{name}`");
                        let help = match nearest(name, values.keys().map(String::as_str)) {
                            Some(near) => format!("did you mean `${{{near}}}`?"),
                            None => format!("add it to `params`: `params: {{ {name}: ... }}`"),
                        };
                        self.error(node.place, message, Some(help));
                    }
                    None => {}
                }
            }
            Kind::List(items) => items.iter_mut().for_each(|item| self.put(item, values, put)),
            Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| self.put(value, values, put)),
        }
    }

    fn advise_unused(&mut self, defaults: &Values, matrix: &Matrix) {
        let names = defaults.keys().chain(matrix.axes.iter().map(|(name, _)| name));
        let unused: Vec<String> = names.filter(|name| !self.used.contains(*name)).cloned().collect();
        for name in unused {
            let place = Place { line: 1, column: 1, ..Place::default() };
            let place = key_place(&self.source, &name).unwrap_or(place);
            let message = format!("nothing uses the parameter `{name}`");
            let help = Some(format!("write `${{{name}}}` where its value belongs"));
            let advice = Diagnostic::error(&self.source, place, message, help);
            self.diagnostics.push(Diagnostic { severity: Severity::Advice, ..advice });
        }
    }
}

/// The lists of a matrix.
#[derive(Default)]
struct Matrix {
    axes: Vec<(String, Vec<Value>)>,
    excluded: Vec<Vec<(String, String)>>,
}

impl Matrix {
    /// All combinations, the last key changing fastest; one without keys if there is no matrix.
    fn cells(&self) -> Vec<Vec<(String, Value)>> {
        let mut cells: Vec<Vec<(String, Value)>> = vec![Vec::new()];
        for (name, values) in &self.axes {
            let with = |cell: Vec<(String, Value)>| {
                let one = move |value: &Value| {
                    let mut cell = cell.clone();
                    cell.push((name.clone(), value.clone()));
                    cell
                };
                values.iter().map(one)
            };
            cells = cells.into_iter().flat_map(with).collect();
        }
        cells.retain(|cell| {
            let has = |(name, text): &(String, String)| {
                cell.iter().any(|(n, value)| n == name && value.text == *text)
            };
            !self.excluded.iter().any(|combination| combination.iter().all(has))
        });
        cells
    }
}

fn entry<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let Kind::Map(entries) = &mut node.kind else { return None };
    entries.iter_mut().find(|(k, _)| k.text == key).map(|(_, node)| node)
}

fn empty() -> Node {
    Node { place: Place::default(), kind: Kind::Null }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// The first `${name}` of a text: where it begins, and the name.
fn reference(text: &str) -> Option<(usize, &str)> {
    text.match_indices("${").find_map(|(start, _)| {
        let rest = &text[start + 2..];
        let name = &rest[..rest.find('}')?];
        is_name(name).then_some((start, name))
    })
}

/// The place of `${name}` inside of a scalar; the scalar itself if it stands in another line.
fn inside(place: Place, text: &str, name: &str) -> Place {
    let first = text.lines().next().unwrap_or("");
    match first.find(&format!("${{{name}}}")) {
        Some(start) => place.part(first, start, name.len() + 3),
        None => place,
    }
}

/// Where a key is written: its first line that begins with it.
fn key_place(source: &Source, name: &str) -> Option<Place> {
    let mut offset = 0;
    for (number, line) in (1..).zip(source.text.split_inclusive('\n')) {
        let key = format!("{name}:");
        let found = line
            .match_indices(&key)
            .find(|(at, _)| line[..*at].chars().next_back().is_none_or(|c| !is_name(&c.to_string())));
        if let Some((at, _)) = found {
            let start = narrow(offset + at);
            let column = narrow(line[..at].chars().count() + 1);
            return Some(Place { file: 0, line: number, column, start, end: start + narrow(name.len()) });
        }
        offset += line.len();
    }
    None
}
