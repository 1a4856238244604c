//! Recovery points, copies, and the parameters of methods.

use hvrsim_types::id::{CopyId, HostId, VmId};

use super::Reader;
use super::fields::suggestion;
use crate::model::value::{Content, Parameter, PointRef, Value, WhichPoint};
use crate::source::{At, Place};
use crate::yaml::{Key, Kind, Node, Style};

/// What a recovery point looks like, for messages.
const POINT: &str = "a recovery point such as HV2/web01@-1 (the newest) or HV2/web01@NAME (of a `mark`)";

impl Reader<'_> {
    pub(super) fn point(&mut self, node: &Node) -> Option<At<PointRef>> {
        let text = self.scalar(node, POINT)?;
        let Some((copy, which)) = text.rsplit_once('@') else {
            self.error(node.place, format!("`{text}` is not {POINT}"), None);
            return None;
        };
        let point = self.point_of(copy, which, node.place)?;
        Some(At::new(point, node.place))
    }

    pub(super) fn point_of(&mut self, copy: &str, which: &str, place: Place) -> Option<PointRef> {
        let copy = self.copy_of(copy, place);
        let which = self.which(which, place);
        Some(PointRef { copy: copy?, which: which? })
    }

    fn which(&mut self, text: &str, place: Place) -> Option<WhichPoint> {
        if let Some(number) = text.strip_prefix('-') {
            let counted = number.parse().ok().filter(|n| *n > 0).map(WhichPoint::FromNewest);
            if counted.is_none() {
                let message = format!("`@{text}` is no recovery point: -1 is the newest, -2 the one before");
                self.error(place, message, None);
            }
            return counted;
        }
        if self.names.marks.iter().any(|mark| mark == text) {
            return Some(WhichPoint::Marked(text.to_owned()));
        }
        let marks = self.names.marks.clone();
        let names: Vec<&str> = marks.iter().map(String::as_str).collect();
        let help = if names.is_empty() {
            "remember one with `mark: { point: HOST/VM@-1, as: NAME }`, or count from the newest: @-1"
                .to_owned()
        } else {
            suggestion(text, &names, "marked so far:")
        };
        self.error(place, format!("no recovery point has been marked as `{text}` up to here"), Some(help));
        None
    }

    /// `HOST/VM`.
    pub(super) fn copy(&mut self, node: &Node) -> Option<At<CopyId>> {
        let text = self.scalar(node, "a copy such as HV1/web01")?;
        Some(At::new(self.copy_of(text, node.place)?, node.place))
    }

    fn copy_of(&mut self, text: &str, place: Place) -> Option<CopyId> {
        let Some((host, vm)) = text.split_once('/') else {
            self.error(place, format!("`{text}` is not a copy: write HOST/VM, such as HV1/web01"), None);
            return None;
        };
        let scalar = |text: &str| Node { place, kind: Kind::Scalar(text.to_owned(), Style::Plain) };
        let host: Option<At<HostId>> = self.host(&scalar(host));
        let vm: Option<At<VmId>> = self.vm(&scalar(vm));
        Some(CopyId { host: host?.value, vm: vm?.value })
    }

    /// A copy now, or at a recovery point.
    pub(super) fn content(&mut self, node: &Node) -> Option<At<Content>> {
        let text = self.scalar(node, "HOST/VM, or a recovery point HOST/VM@-1")?;
        let content = match text.rsplit_once('@') {
            Some((copy, which)) => Content::Point(self.point_of(copy, which, node.place)?),
            None => Content::Now(self.copy_of(text, node.place)?),
        };
        Some(At::new(content, node.place))
    }

    /// Parameters, or the properties of an instance.
    pub(super) fn parameters(&mut self, node: &Node, what: &str) -> Option<Vec<At<Parameter>>> {
        let entries = self.entries(node, what)?;
        let read = |(key, node): &(Key, Node)| {
            Some(At::new(Parameter { name: key.text.clone(), value: self.value(node)? }, key.place))
        };
        let read: Vec<Option<At<Parameter>>> = entries.iter().map(read).collect();
        read.into_iter().collect()
    }

    fn value(&mut self, node: &Node) -> Option<At<Value>> {
        let value = match &node.kind {
            Kind::Null => Value::Null,
            Kind::Scalar(text, Style::Plain) if text == "true" || text == "false" => {
                Value::Boolean(text == "true")
            }
            Kind::Scalar(text, style) => match text.rsplit_once('@') {
                Some((copy, which)) if copy.contains('/') => {
                    Value::Point(self.point_of(copy, which, node.place)?)
                }
                _ => match text.parse() {
                    Ok(number) if *style == Style::Plain => Value::Integer(number),
                    _ => Value::Text(text.clone()),
                },
            },
            Kind::List(items) => {
                let read: Vec<Option<At<Value>>> = items.iter().map(|item| self.value(item)).collect();
                Value::List(read.into_iter().collect::<Option<_>>()?)
            }
            Kind::Map(_) => Value::Instance(self.parameters(node, "an instance")?),
        };
        Some(At::new(value, node.place))
    }
}
