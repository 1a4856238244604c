//! Maps with known keys.

use hvrsim_types::near::nearest;

use super::Reader;
use crate::source::Place;
use crate::yaml::{Key, Kind, Node};

/// The entries of a map whose keys have been checked.
pub(super) struct Fields<'n> {
    /// What the map is, for messages: "a step".
    what: &'static str,
    pub(super) place: Place,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The keys that stand there, with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'n Key> {
        self.entries.iter().map(|(key, _)| key)
    }

    pub(super) fn key(&self, key: &str) -> Option<&'n Key> {
        self.keys().find(|k| k.text == key)
    }
}

/// `` `a`, `b`, `c` ``
pub(super) fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    if quoted.is_empty() { "nothing".to_owned() } else { quoted.join(", ") }
}

/// "did you mean", or else all there is.
pub(super) fn suggestion(word: &str, candidates: &[&str], these: &str) -> String {
    // Letters in another order count as two edits each, too many for a short word.
    let same_letters = candidates.iter().copied().find(|candidate| letters(candidate) == letters(word));
    match same_letters.or_else(|| nearest(word, candidates.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{these} {}", listed(candidates.iter().copied())),
    }
}

fn letters(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.to_lowercase().chars().collect();
    letters.sort_unstable();
    letters
}

impl Reader<'_> {
    /// A map with keys of the writer's choice. Nothing counts as an empty one.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Key, Node)]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            Kind::Scalar(..) | Kind::List(_) => {
                let message = format!("{what} is a map of `key: value`, found {}", node.found());
                self.error(node.place, message, None);
                None
            }
        }
    }

    /// A map with known keys, of which the first alone is what is meant by a bare value; every other one is an error.
    pub(super) fn fields_or_bare<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        if let (Kind::Scalar(text, _), Some(key)) = (&node.kind, known.first()) {
            let message = format!("{what} is a map of `key: value`, found {}", node.found());
            self.error(node.place, message, Some(format!("write `{{ {key}: {text} }}`")));
            return None;
        }
        self.fields(node, what, known)
    }

    /// A map with known keys; every other one is an error.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        self.fields_or(node, what, known, &|_| None)
    }

    /// The same; `help` knows better than the nearest name what to do about some of the others.
    pub(super) fn fields_or<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        help: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Fields<'n>> {
        let entries = self.entries(node, what)?;
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                let message = format!("{what} has no key `{}`", key.text);
                let help = help(&key.text).unwrap_or_else(|| suggestion(&key.text, known, "its keys are"));
                self.error(key.place, message, Some(help));
            }
        }
        Some(Fields { what, place: node.place, entries })
    }

    /// The value of a key that must be there.
    pub(super) fn need<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.error(fields.place, format!("{} needs `{key}`", fields.what), None);
        }
        node
    }

    /// Reads the value of a key if it is there.
    pub(super) fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        fields.get(key).and_then(|node| read(self, node))
    }
}
