//! Values that steps and expectations share: comparisons, recovery points, parameters of methods.

use std::collections::BTreeMap;
use std::fmt;

use hvrsim_types::id::{CopyId, JobId};

use crate::source::At;

/// How a measured value must compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Relation {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// No sign, or `=`.
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Relation {
    /// The sign; empty for equality.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Below => "< ",
            Self::AtMost => "<= ",
            Self::Equal => "",
            Self::AtLeast => ">= ",
            Self::Above => "> ",
        }
    }

    /// Splits a comparison into its sign and the rest.
    pub(crate) fn split(text: &str) -> (Option<Self>, &str) {
        let text = text.trim();
        let signs = [
            ("<=", Self::AtMost),
            (">=", Self::AtLeast),
            ("<", Self::Below),
            (">", Self::Above),
            ("=", Self::Equal),
        ];
        let found = signs.into_iter().find_map(|(sign, relation)| Some((relation, text.strip_prefix(sign)?)));
        found.map_or((None, text), |(relation, rest)| (Some(relation), rest.trim()))
    }
}

/// An expected value with its relation: `<= 64MiB`, `> 0B`, `3MiB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Comparison<T> {
    /// How the measured value must compare.
    pub relation: Relation,
    /// To what.
    pub value: T,
}

impl<T: Ord> Comparison<T> {
    /// Whether `measured` is as expected.
    pub fn holds(&self, measured: &T) -> bool {
        match self.relation {
            Relation::Below => *measured < self.value,
            Relation::AtMost => *measured <= self.value,
            Relation::Equal => *measured == self.value,
            Relation::AtLeast => *measured >= self.value,
            Relation::Above => *measured > self.value,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Comparison<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.relation.sign(), self.value)
    }
}

/// A recovery point as written: `HV2/web01@-2`, `HV2/web01@chosen`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PointRef {
    /// The copy that keeps it.
    pub copy: CopyId,
    /// Which of its points.
    pub which: WhichPoint,
}

/// Which recovery point of a copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WhichPoint {
    /// Counted from the newest, which is 1 (written `-1`), at the time of the step.
    FromNewest(u32),
    /// The one that an earlier `mark` remembered under this name.
    Marked(String),
}

/// The content of a copy's disks: now, or at a recovery point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Now: `HV2/web01`.
    Now(CopyId),
    /// At a recovery point.
    Point(PointRef),
}

/// A parameter of a method, or a property of an embedded instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its WMI name.
    pub name: String,
    /// Its value; the place around a parameter is that of its name.
    pub value: At<Value>,
}

/// A value given to a method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false` without quotes.
    Boolean(bool),
    /// A whole number without quotes.
    Integer(i64),
    /// Any other text.
    Text(String),
    /// A recovery point.
    Point(PointRef),
    /// A job, by the name that an earlier step gave it.
    Job(String),
    /// An array.
    List(Vec<At<Value>>),
    /// An embedded instance.
    Instance(Vec<At<Parameter>>),
}

impl Parameter {
    /// Name and value as a reader sees them.
    pub(super) fn words(&self, point: &dyn Fn(&PointRef) -> String) -> String {
        format!("{}: {}", self.name, self.value.value.words(point))
    }
}

impl Value {
    fn words(&self, point: &dyn Fn(&PointRef) -> String) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) | Self::Job(text) => text.clone(),
            Self::Point(named) => point(named),
            Self::List(items) => format!("[{}]", list(items.iter().map(|i| i.value.words(point)).collect())),
            Self::Instance(all) => {
                format!("{{{}}}", list(all.iter().map(|p| p.value.words(point)).collect()))
            }
        }
    }

    /// The value as a method takes it; `point` and `job` give the ids of what is known at run time only.
    fn resolved(
        &self,
        point: &mut dyn FnMut(&PointRef) -> String,
        job: &mut dyn FnMut(&str) -> JobId,
    ) -> hvrsim_wmi::Value {
        use hvrsim_wmi::Value as Wmi;
        match self {
            Self::Null => Wmi::Null,
            Self::Boolean(value) => Wmi::Boolean(*value),
            Self::Integer(number) => Wmi::Integer(*number),
            Self::Text(text) => Wmi::Text(text.clone()),
            Self::Point(named) => Wmi::Text(point(named)),
            Self::Job(name) => Wmi::Text(job(name).0.to_string()),
            Self::List(items) => Wmi::List(items.iter().map(|item| item.resolved(point, job)).collect()),
            Self::Instance(properties) => Wmi::Map(resolved(properties, point, job)),
        }
    }
}

/// Parameters as a method takes them.
pub(super) fn resolved(
    parameters: &[At<Parameter>],
    point: &mut dyn FnMut(&PointRef) -> String,
    job: &mut dyn FnMut(&str) -> JobId,
) -> BTreeMap<String, hvrsim_wmi::Value> {
    let read = |given: &At<Parameter>| (given.value.name.clone(), given.value.value.resolved(point, job));
    parameters.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_hold_as_their_sign_says() {
        let at_most = Comparison { relation: Relation::AtMost, value: 3 };
        assert!(at_most.holds(&3) && at_most.holds(&2) && !at_most.holds(&4));
        let above = Comparison { relation: Relation::Above, value: 0 };
        assert!(above.holds(&1) && !above.holds(&0));
        assert_eq!(Relation::split("<= 64MiB"), (Some(Relation::AtMost), "64MiB"));
        assert_eq!(Relation::split("64MiB"), (None, "64MiB"));
        assert_eq!(at_most.to_string(), "<= 3");
    }
}
