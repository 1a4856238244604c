//! What the tables are made of.

use std::fmt;

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobType;

use crate::live::Scene;
use crate::object::Kind;
use crate::value::Value;

/// A CIM type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CimType {
    /// `boolean`.
    Boolean,
    /// `uint8`.
    Uint8,
    /// `sint8`.
    Sint8,
    /// `uint16`.
    Uint16,
    /// `uint32`.
    Uint32,
    /// `uint64`; nothing here passes 2^63.
    Uint64,
    /// `string`.
    Text,
    /// `datetime`: a moment or an interval.
    DateTime,
    /// A reference to an instance of this class. Machines are named, jobs have their number.
    Reference(&'static str),
    /// A `string` that holds an instance of this class as CIM-XML text; a scenario may write it as a map.
    Embedded(&'static str),
    /// An instance of this class itself.
    Instance(&'static str),
}

impl CimType {
    /// The type of the property or parameter in CIM-XML: an embedded instance is a string.
    #[must_use]
    pub const fn xml_name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Uint8 => "uint8",
            Self::Sint8 => "sint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Text | Self::Embedded(_) | Self::Instance(_) => "string",
            Self::DateTime => "datetime",
            Self::Reference(_) => "reference",
        }
    }

    /// The least and the greatest number of a numeric type.
    #[must_use]
    pub const fn bounds(self) -> Option<(i64, i64)> {
        match self {
            Self::Uint8 => Some((0, u8::MAX as i64)),
            Self::Sint8 => Some((i8::MIN as i64, i8::MAX as i64)),
            Self::Uint16 => Some((0, u16::MAX as i64)),
            Self::Uint32 => Some((0, u32::MAX as i64)),
            Self::Uint64 => Some((0, i64::MAX)),
            _ => None,
        }
    }

    /// Whether one value, not an array of them, is of this type.
    #[must_use]
    pub fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean, value) => matches!(value, Value::Boolean(_)),
            (Self::Embedded(_) | Self::Instance(_), value) => {
                matches!(value, Value::Text(_) | Value::Map(_))
            }
            (Self::Text | Self::DateTime | Self::Reference(_), value) => matches!(value, Value::Text(_)),
            (numeric, Value::Integer(n)) => {
                numeric.bounds().is_some_and(|(low, high)| (low..=high).contains(n))
            }
            _ => false,
        }
    }
}

impl fmt::Display for CimType {
    /// As the documentation writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(class) => write!(f, "{class} REF"),
            Self::Instance(class) => f.write_str(class),
            other => f.write_str(other.xml_name()),
        }
    }
}

/// What a parameter is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The object whose method it is, as a scenario names it: no parameter of the method itself.
    This,
    /// In; the object that the method acts on.
    Target,
    /// In; the scenario must write it, `null` included.
    Required,
    /// In; left out is Null.
    Optional,
    /// Out.
    Out,
}

/// A parameter of a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: CimType,
    /// Whether it is an array of them.
    pub array: bool,
    /// What it is for.
    pub role: Role,
}

/// What a method maps to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Procedure {
    Create,
    Modify,
    Remove,
    RemoveEx,
    Reverse,
    StartReplication,
    Import,
    InitiateFailover,
    RevertFailover,
    CommitFailover,
    TestReplica,
    InitiateFailback,
    ModeToPrimary,
    Resynchronize,
    TestConnection,
    GetStatistics,
    GetStatisticsEx,
    ResetStatistics,
    ResetStatisticsEx,
    ServiceSettings,
    AddAuthorization,
    ModifyAuthorization,
    RemoveAuthorization,
    SetAuthorization,
    Certificates,
    AdapterSettings,
    ServiceState,
    ReplicationState,
    ReplicationStateEx,
    MachineState,
    JobState,
    JobError,
    JobErrors,
    DefineSystem,
    DestroySystem,
    Summary,
    Collection,
}

/// A method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    /// The class that has it.
    pub class: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its parameters. For a method of a machine or a job the object itself is the first ([`Role::This`]).
    pub parameters: &'static [Parameter],
    /// Every code that is documented for it.
    pub returns: &'static [ReturnCode],
    /// Whether it answers 4096 and a job. Otherwise it is done when it answers 0.
    pub asynchronous: bool,
    /// The types that its job can have; empty for jobs outside of the replication range.
    pub jobs: &'static [JobType],
    pub(crate) procedure: Procedure,
}

impl Method {
    /// `Class.Method`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.class, self.name)
    }

    /// Whether the model can do it; a method that it cannot is answered with the code for "not supported".
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        use Procedure as P;
        !matches!(
            self.procedure,
            P::ServiceSettings
                | P::AddAuthorization
                | P::ModifyAuthorization
                | P::RemoveAuthorization
                | P::SetAuthorization
                | P::DefineSystem
                | P::Collection
        )
    }

    /// The parameter of that name, without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }
}

/// What a property may hold besides its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Nothing more is said.
    None,
    /// At most so many characters.
    Length(u16),
    /// Numbers from the first to the second.
    Range(i64, i64),
    /// One of these numbers.
    OneOf(&'static [i64]),
    /// At most so many elements.
    Elements(u8),
}

impl Limit {
    /// Whether a value keeps to it.
    #[must_use]
    pub fn allows(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Length(most), Value::Text(text)) => text.chars().count() <= usize::from(most),
            (Self::Range(low, high), Value::Integer(n)) => (low..=high).contains(n),
            (Self::OneOf(known), Value::Integer(n)) => known.contains(n),
            (Self::Elements(most), Value::List(list)) => list.len() <= usize::from(most),
            _ => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Length(most) => write!(f, "MaxLen({most})"),
            Self::Range(low, high) => write!(f, "{low}..{high}"),
            Self::OneOf(known) => {
                let known: Vec<_> = known.iter().map(i64::to_string).collect();
                f.write_str(&known.join(", "))
            }
            Self::Elements(most) => write!(f, "at most {most}"),
        }
    }
}

/// Where the value of a property comes from.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// Always Null.
    Null,
    Text(&'static str),
    Texts(&'static [&'static str]),
    Number(i64),
    Numbers(&'static [i64]),
    Boolean(bool),
    /// Out of what the simulator can tell.
    Live(fn(&Scene<'_>) -> Value),
}

/// A property of a class.
#[derive(Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: CimType,
    /// Whether it is an array of them.
    pub array: bool,
    /// Whether it is a key of the class.
    pub key: bool,
    /// What it may hold.
    pub limit: Limit,
    pub(crate) reading: Reading,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ty, self.name)
    }
}

impl Property {
    /// What is written where the value is the same for every instance; `None` where it depends on the instance.
    #[must_use]
    pub fn constant(&self) -> Option<Value> {
        let text = |text: &&str| Value::Text((*text).to_owned());
        match self.reading {
            Reading::Null => Some(Value::Null),
            Reading::Text(value) => Some(text(&value)),
            Reading::Texts(values) => Some(Value::List(values.iter().map(text).collect())),
            Reading::Number(value) => Some(Value::Integer(value)),
            Reading::Numbers(values) => {
                Some(Value::List(values.iter().copied().map(Value::Integer).collect()))
            }
            Reading::Boolean(value) => Some(Value::Boolean(value)),
            Reading::Live(_) => None,
        }
    }
}

/// A class.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// The class that it is derived from.
    pub base: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// Its properties, inherited ones included.
    pub properties: &'static [Property],
    pub(crate) kind: Kind,
}

impl Class {
    /// Whether a simulated host can have instances of it.
    #[must_use]
    pub const fn has_instances(&self) -> bool {
        !matches!(self.kind, Kind::Nothing)
    }

    /// The property of that name, without regard to case.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }
}
