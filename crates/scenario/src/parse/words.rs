//! Scalars: texts, numbers, sizes, times, names.

use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::near::nearest;
use hvrsim_types::size::{Bytes, Rate};
use hvrsim_types::state::{Health, Mode, NamedState, Power};
use hvrsim_types::time::Span;

use super::Reader;
use super::fields::{listed, suggestion};
use crate::model::value::{Comparison, Relation};
use crate::source::{At, Place, narrow};
use crate::yaml::{Kind, Node};

impl Reader<'_> {
    /// A scalar that must be there, with `expected` for the message.
    pub(super) fn scalar<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n str> {
        if let Kind::Scalar(text, _) = &node.kind {
            return Some(text);
        }
        self.error(node.place, format!("expected {expected}, found {}", node.found()), None);
        None
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.scalar(node, "a text")?;
        Some(At::new(text.trim_end().to_owned(), node.place))
    }

    /// A text without blanks at its ends and not empty: the name of something.
    pub(super) fn name(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.scalar(node, "a name")?;
        if text.trim().is_empty() || text.trim() != text {
            self.error(node.place, "a name is not empty and has no blanks at its ends", None);
            return None;
        }
        Some(At::new(text.to_owned(), node.place))
    }

    /// A scalar by a function that says itself what was expected.
    pub(super) fn parsed<T>(
        &mut self,
        node: &Node,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let text = self.scalar(node, expected)?;
        match parse(text) {
            Ok(value) => Some(At::new(value, node.place)),
            Err(message) => {
                self.error(node.place, message, None);
                None
            }
        }
    }

    pub(super) fn bytes(&mut self, node: &Node) -> Option<At<Bytes>> {
        self.parsed(node, Bytes::EXPECTED, Bytes::parse)
    }

    pub(super) fn span(&mut self, node: &Node) -> Option<At<Span>> {
        let text = self.scalar(node, Span::EXPECTED)?;
        match Span::parse(text) {
            Ok(span) => Some(At::new(span, node.place)),
            Err(message) => {
                let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let help = number.then(|| format!("`{text}s` are seconds, `{text}m` minutes"));
                self.error(node.place, message, help);
                None
            }
        }
    }

    /// A rate above nothing.
    pub(super) fn rate(&mut self, node: &Node) -> Option<At<Rate>> {
        let rate = self.parsed(node, Rate::EXPECTED, Rate::parse)?;
        if rate.value == Rate(0) {
            self.error(
                node.place,
                "a rate of nothing never ends anything",
                Some("a `fault` can cut a link".to_owned()),
            );
            return None;
        }
        Some(rate)
    }

    /// A whole number.
    pub(super) fn count(&mut self, node: &Node) -> Option<At<u64>> {
        self.parsed(node, "a whole number", |text| {
            text.parse().map_err(|_| format!("`{text}` is not a whole number"))
        })
    }

    /// The number of a disk.
    pub(super) fn disk_index(&mut self, node: &Node) -> Option<At<u8>> {
        self.parsed(node, "the number of a disk, from 0", |text| {
            text.parse().map_err(|_| format!("`{text}` is not the number of a disk, counted from 0"))
        })
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<At<bool>> {
        self.word(node, "true or false", &[("true", true), ("false", false)])
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let read = |text: &str| {
            words.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
        };
        self.named(node, what, &names, read)
    }

    /// A word that `read` knows; `names` are the words it knows, for the message.
    pub(super) fn named<T>(
        &mut self,
        node: &Node,
        what: &str,
        names: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let text = self.scalar(node, what)?;
        if let Some(value) = read(text) {
            return Some(At::new(value, node.place));
        }
        let help = match names {
            [only] => format!("write `{only}`"),
            _ => suggestion(text, names, "it is one of"),
        };
        self.error(node.place, format!("`{text}` is not {what}"), Some(help));
        None
    }

    pub(super) fn state(&mut self, node: &Node) -> Option<At<NamedState>> {
        let text = self.scalar(node, "a replication state")?;
        if let Some(state) = NamedState::parse(text) {
            return Some(At::new(state, node.place));
        }
        let help = match nearest(text, NamedState::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "a PowerShell name such as Replicating, a WMI label, or a WMI number from 0 to 21".to_owned()
            }
        };
        self.error(node.place, format!("`{text}` is not a replication state"), Some(help));
        None
    }

    pub(super) fn mode(&mut self, node: &Node) -> Option<At<Mode>> {
        let names: Vec<&str> = Mode::ALL.iter().map(|mode| mode.label()).collect();
        self.named(node, "a replication mode", &names, Mode::parse)
    }

    pub(super) fn health(&mut self, node: &Node) -> Option<At<Health>> {
        let names: Vec<&str> = Health::ALL.iter().map(|health| health.label()).collect();
        self.named(node, "a replication health", &names, Health::parse)
    }

    pub(super) fn power(&mut self, node: &Node) -> Option<At<Power>> {
        let names: Vec<&str> = Power::ALL.iter().map(|power| power.label()).collect();
        self.named(node, "a power state of a virtual machine", &names, Power::parse)
    }

    /// `Extended`, or else `Simple`.
    pub(super) fn is_extended(&mut self, node: &Node) -> Option<At<bool>> {
        let names = ["Simple", "Extended"];
        let which =
            |text: &str| names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at == 1);
        self.named(node, "a relationship of a copy", &names, which)
    }

    pub(super) fn host(&mut self, node: &Node) -> Option<At<HostId>> {
        let text = self.scalar(node, "the name of a host")?;
        let found = find(&self.names.hosts, text);
        if found.is_none() {
            self.unknown(node, text, "host", &self.names.hosts.clone());
        }
        Some(At::new(HostId(u16::try_from(found?).ok()?), node.place))
    }

    pub(super) fn vm(&mut self, node: &Node) -> Option<At<VmId>> {
        let text = self.scalar(node, "the name of a virtual machine")?;
        let found = self.names.vm(text);
        if found.is_none() {
            self.unknown(node, text, "virtual machine", &self.names.vms.clone());
        }
        Some(At::new(found?, node.place))
    }

    fn unknown(&mut self, node: &Node, text: &str, kind: &str, names: &[String]) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let help = suggestion(text, &names, "the topology has");
        self.error(node.place, format!("no {kind} is called `{text}`"), Some(help));
    }

    /// The name of a link, `HV1-HV2` in either order: the index in the topology's hosts of its two ends.
    pub(super) fn link_ends(&mut self, text: &str, place: Place) -> Option<(HostId, HostId)> {
        let at_hyphens = text.match_indices('-').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let pairs: Vec<(usize, usize)> = at_hyphens
            .filter_map(|(a, b)| Some((find(&self.names.hosts, a)?, find(&self.names.hosts, b)?)))
            .collect();
        match pairs[..] {
            [(a, b)] if a != b => Some((HostId(u16::try_from(a).ok()?), HostId(u16::try_from(b).ok()?))),
            [] => {
                let help = self.link_suggestion(text);
                self.error(place, format!("`{text}` is not two hosts with a `-` between"), Some(help));
                None
            }
            [_] => {
                self.error(place, "a link joins two different hosts", None);
                None
            }
            _ => {
                self.error(
                    place,
                    format!("`{text}` can be read as two different links"),
                    Some("rename a host".to_owned()),
                );
                None
            }
        }
    }

    fn link_suggestion(&self, text: &str) -> String {
        let hosts = &self.names.hosts;
        let others =
            |a: &String| hosts.iter().filter(move |b| *b != a).map(move |b| format!("{a}-{b}")).collect();
        let pairs: Vec<String> = hosts.iter().take(20).flat_map(|a| -> Vec<String> { others(a) }).collect();
        match nearest(text, pairs.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the topology has the hosts {}", listed(hosts.iter().map(String::as_str))),
        }
    }

    /// A link of the topology, by its name in either order; the ends come as the topology has them.
    pub(super) fn link(&mut self, node: &Node) -> Option<At<(HostId, HostId)>> {
        let text = self.scalar(node, "a link such as HV1-HV2")?;
        let (a, b) = self.link_ends(text, node.place)?;
        if let Some(link) = self.topology.links.iter().find(|link| link.joins(a, b)) {
            return Some(At::new(link.ends, node.place));
        }
        self.error(
            node.place,
            format!("the topology has no link `{text}`"),
            Some("add it to `links`".to_owned()),
        );
        None
    }

    /// A comparison: `<= 64MiB`. `bare` is what a value without a sign means.
    pub(super) fn comparison<T>(
        &mut self,
        node: &Node,
        expected: &str,
        bare: Relation,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<Comparison<T>>> {
        self.parsed(node, expected, |text| {
            let (relation, value) = Relation::split(text);
            let read = parse(value)
                .map_err(|_| format!("`{text}` is not {expected}, or a comparison such as \"<= ...\""))?;
            Ok(Comparison { relation: relation.unwrap_or(bare), value: read })
        })
    }

    pub(super) fn bytes_comparison(&mut self, node: &Node) -> Option<At<Comparison<Bytes>>> {
        self.comparison(node, Bytes::EXPECTED, Relation::Equal, Bytes::parse)
    }

    /// The wanted lines of a text, each with its own place.
    pub(super) fn lines(&self, node: &Node, text: &str, wanted: impl Fn(&str) -> bool) -> Vec<At<String>> {
        let wanted = text.lines().enumerate().filter(|(_, line)| wanted(line));
        wanted
            .map(|(n, line)| At::new(line.trim().to_owned(), self.line_place(node, text, n, line.trim())))
            .collect()
    }

    /// The place of line `n` of a block text. A text that is written otherwise is one place.
    fn line_place(&self, node: &Node, text: &str, n: usize, line: &str) -> Place {
        let source = &self.source.file(node.place).text;
        let start = (node.place.start as usize).min(source.len());
        let Some(shown) = source.get(start..) else { return node.place };
        let offset_of_line = |n: usize| {
            let begin = if n == 0 { 0 } else { shown.match_indices('\n').nth(n - 1)?.0 + 1 };
            let within = shown[begin..].lines().next()?.find(line)?;
            Some(begin + within)
        };
        // The place begins at the first line that is not blank.
        let leading = text.lines().take_while(|line| line.trim().is_empty()).count();
        let Some(offset) = n.checked_sub(leading).and_then(offset_of_line) else { return node.place };
        let at = start + offset;
        let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let above = source[start..at].matches('\n').count();
        Place {
            file: node.place.file,
            line: node.place.line + narrow(above),
            column: narrow(source[line_start..at].chars().count() + 1),
            start: narrow(at),
            end: narrow(at + line.len()),
        }
    }
}

/// The index of a name, without regard to case.
pub(super) fn find(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(name))
}
