//! Turning what is written into a parameter's type, with PowerShell's messages when it does not fit.

use std::fmt;

use hvrsim_types::near::nearest;
use hvrsim_types::time::Span;
use jiff::civil;
use uuid::Uuid;

use crate::error::BindError;
use crate::parse::Item;
use crate::table::{Cmdlet, Enumeration, Parameter, Type};

/// A value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Switch(bool),
    Boolean(bool),
    Integer(i64),
    Text(String),
    Texts(Vec<String>),
    Choice(&'static str),
    DateTime(civil::DateTime),
    TimeOfDay(Span),
    Guid(Uuid),
    Point(PointName),
}

/// A recovery point as somebody names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PointName {
    /// `HV2/web01@-2`: the second newest kept on that copy.
    Back { host: String, vm: String, back: usize },
    /// Its GUID.
    Guid(Uuid),
}

/// What a recovery point looks like, for messages.
pub(crate) const POINT_EXPECTED: &str =
    "HOST/VM@-N, where -1 is the newest, or the point's Id in Get-VMSnapshot";

impl fmt::Display for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back { host, vm, back } => write!(f, "{host}/{vm}@-{back}"),
            Self::Guid(guid) => write!(f, "{guid}"),
        }
    }
}

/// The text in single quotes, if it is not a word by itself.
fn quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "._-*?:/".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*') && text.chars().all(word) {
        return text.to_owned();
    }
    let inside = text.replace(['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'], "''");
    format!("'{inside}'")
}

impl fmt::Display for Value {
    /// As PowerShell reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(value) | Self::Boolean(value) => write!(f, "${value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Texts(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
                f.write_str(&texts.join(","))
            }
            Self::Choice(name) => f.write_str(name),
            Self::DateTime(at) => write!(f, "{at}"),
            Self::TimeOfDay(span) => {
                let s = span.as_seconds();
                write!(f, "{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
            }
            Self::Guid(guid) => write!(f, "{guid}"),
            Self::Point(point) => write!(f, "{point}"),
        }
    }
}

impl PointName {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(guid) = text.parse() {
            return Some(Self::Guid(guid));
        }
        let (copy, number) = text.rsplit_once('@')?;
        let (host, vm) = copy.split_once('/')?;
        let back: usize = number.strip_prefix('-')?.parse().ok().filter(|n| *n > 0)?;
        let named = !host.is_empty() && !vm.is_empty();
        named.then(|| Self::Back { host: host.to_owned(), vm: vm.to_owned(), back })
    }
}

/// Converts the scalars written for `parameter`.
pub(crate) fn convert(cmdlet: &Cmdlet, parameter: &Parameter, items: &[Item]) -> Result<Value, BindError> {
    if matches!(parameter.ty, Type::Texts | Type::Named(_)) {
        return Ok(Value::Texts(items.iter().map(|i| i.text.clone()).collect()));
    }
    let context = Context { cmdlet, parameter };
    match items {
        [item] => context.scalar(item).map_err(|e| e.at(item.span.clone())),
        _ => Err(context.several(items)),
    }
}

struct Context<'a> {
    cmdlet: &'a Cmdlet,
    parameter: &'a Parameter,
}

impl Context<'_> {
    fn scalar(&self, item: &Item) -> Result<Value, BindError> {
        let text = item.text.as_str();
        match self.parameter.ty {
            Type::Text | Type::Texts | Type::Named(_) => Ok(Value::Text(text.to_owned())),
            Type::Boolean => self.boolean(item).map(Value::Boolean),
            Type::Switch => self.boolean(item).map(Value::Switch),
            Type::Integer(low, high) => self.integer(text, low, high),
            Type::OneOf(values) => self.one_of(text, values),
            Type::Choice(enumeration) => self.choice(text, enumeration),
            Type::Size => size_bytes(text)
                .map(Value::Integer)
                .ok_or_else(|| self.mismatch(text).help("write it as 128GB")),
            Type::Hours(hours) => self.hours(text, hours),
            Type::DateTime => date_time(text)
                .map(Value::DateTime)
                .ok_or_else(|| self.mismatch(text).help("write it as 2026-01-06T22:00")),
            Type::TimeOfDay => time_of_day(text)
                .map(Value::TimeOfDay)
                .ok_or_else(|| self.mismatch(text).help("write a time of day as 18:30")),
            Type::Guid => text.parse().map(Value::Guid).map_err(|_| self.mismatch(text)),
            Type::Point => PointName::parse(text).map(Value::Point).ok_or_else(|| {
                let error = self.mismatch(text);
                error.help(format!("write {POINT_EXPECTED}"))
            }),
            Type::Object(_, help) => Err(self.mismatch(text).help(help)),
        }
    }

    fn boolean(&self, item: &Item) -> Result<bool, BindError> {
        match (item.boolean, item.text.as_str()) {
            (Some(value), _) => Ok(value),
            (None, "1") => Ok(true),
            (None, "0") => Ok(false),
            (None, text) => Err(self.mismatch(text).help("write $true or $false")),
        }
    }

    fn integer(&self, text: &str, low: i64, high: i64) -> Result<Value, BindError> {
        let number = self.number(text)?;
        let (bound, side, relation) = match number {
            n if n < low => (low, "less than the minimum", "greater"),
            n if n > high => (high, "greater than the maximum", "less"),
            _ => return Ok(Value::Integer(number)),
        };
        Err(self.invalid(&format!(
            "The {number} argument is {side} allowed range of {bound}. Supply an argument that is {relation} than \
             or equal to {bound} and then try the command again."
        )))
    }

    fn one_of(&self, text: &str, values: &[i64]) -> Result<Value, BindError> {
        let number = self.number(text)?;
        if values.contains(&number) {
            return Ok(Value::Integer(number));
        }
        let set = values.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        Err(self.invalid(&format!(
            "The argument \"{number}\" does not belong to the set \"{set}\" specified by the ValidateSet \
             attribute. Supply an argument that is in the set and then try the command again."
        )))
    }

    fn number(&self, text: &str) -> Result<i64, BindError> {
        text.parse::<i32>().map(i64::from).map_err(|_| self.mismatch(text))
    }

    /// Enumerations are read without regard to case, by name of either generation, by number, or cut short.
    fn choice(&self, text: &str, enumeration: &'static Enumeration) -> Result<Value, BindError> {
        if let Some(value) = enumeration.value(text) {
            return Ok(Value::Choice(value.name));
        }
        let names: Vec<_> = enumeration.names().collect();
        let mut error = self.mismatch(text);
        error.message += &format!(
            " Unable to match the identifier name {text} to a valid enumerator name. Specify one of the following \
             enumerator names and try again: {}",
            names.join(", ")
        );
        Err(error.near(nearest(text, names)))
    }

    /// A `TimeSpan` that is one of so many hours.
    fn hours(&self, text: &str, known: &[i64]) -> Result<Value, BindError> {
        let seconds = span_s(text).ok_or_else(|| self.mismatch(text).help("write a span as 12:00:00"))?;
        if seconds % 3600 == 0 && known.contains(&(seconds / 3600)) {
            return Ok(Value::TimeOfDay(Span::seconds(u64::try_from(seconds).unwrap_or(0))));
        }
        let known: Vec<_> = known.iter().map(i64::to_string).collect();
        Err(self.invalid(&format!("A monitoring interval has one of these hours: {}.", known.join(", "))))
    }

    fn several(&self, items: &[Item]) -> BindError {
        let name = self.parameter.name;
        let span = items.first().map_or(0, |i| i.span.start)..items.last().map_or(0, |i| i.span.end);
        let id = format!("CannotConvertArgument,{}", self.cmdlet.class());
        BindError::new(id, format!("-{name} takes one value, and there are {}.", items.len())).at(span)
    }

    fn mismatch(&self, text: &str) -> BindError {
        let id = format!("CannotConvertArgumentNoMessage,{}", self.cmdlet.class());
        let (name, ty) = (self.parameter.name, self.parameter.ty.dotnet());
        BindError::new(
            id,
            format!("Cannot bind parameter '{name}'. Cannot convert value \"{text}\" to type \"{ty}\"."),
        )
    }

    fn invalid(&self, why: &str) -> BindError {
        let id = format!("ParameterArgumentValidationError,{}", self.cmdlet.class());
        let name = self.parameter.name;
        BindError::new(id, format!("Cannot validate argument on parameter '{name}'. {why}"))
    }
}

/// Bytes, with a unit of PowerShell's behind them.
fn size_bytes(text: &str) -> Option<i64> {
    const UNITS: &[(&str, u32)] = &[("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];
    let upper = text.to_ascii_uppercase();
    let unit = UNITS.iter().find_map(|(unit, bits)| Some((upper.strip_suffix(unit)?, *bits)));
    let (number, bits) = unit.unwrap_or((&upper, 0));
    number.parse::<i64>().ok().filter(|n| *n >= 0)?.checked_mul(1_i64.checked_shl(bits)?)
}

/// The seconds of `h:mm`, `h:mm:ss` or `d.h:mm:ss`; a number alone is days, as .NET reads it.
fn span_s(text: &str) -> Option<i64> {
    let number = |t: &str| t.parse::<i64>().ok().filter(|n| (0..=10_000).contains(n));
    let (days, clock) = match (text.split_once('.'), text.contains(':')) {
        (Some((days, clock)), true) => (number(days)?, clock),
        (None, true) => (0, text),
        _ => return Some(number(text)? * 86_400),
    };
    let parts: Vec<i64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts.as_slice() {
        [h, m] => (*h, *m, 0),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 60)
        .then_some(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

/// ISO 8601, with `T` or a space, seconds and time optional; or the form of an American console.
fn date_time(text: &str) -> Option<civil::DateTime> {
    const FORMATS: &[&str] =
        &["%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"];
    let day = |d: civil::Date| d.to_datetime(civil::Time::midnight());
    let american = || FORMATS.iter().find_map(|f| civil::DateTime::strptime(f, text).ok());
    let american_day = || civil::Date::strptime("%m/%d/%Y", text).ok().map(day);
    text.parse().ok().or_else(american).or_else(american_day)
}

/// `h:mm` or `h:mm:ss`, below 24 hours.
fn time_of_day(text: &str) -> Option<Span> {
    let mut parts = text.split(':');
    let hours: u64 = parts.next()?.parse().ok().filter(|h| *h < 24)?;
    let minutes: u64 = parts.next()?.parse().ok().filter(|m| *m < 60)?;
    let seconds: u64 = parts.next().map_or(Ok(0), str::parse).ok().filter(|s| *s < 60)?;
    parts.next().is_none().then(|| Span::seconds(hours * 3600 + minutes * 60 + seconds))
}
