//! Parameter values as a scenario writes them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A value of a parameter or of a property of an embedded instance.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text: strings, datetimes, references.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An embedded instance: property names, in any case, and values.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// What kind of value it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "an array",
            Self::Map(_) => "a map",
        }
    }

    /// Null, or a text with nothing in it.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}
