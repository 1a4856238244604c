//! The objects that cmdlets return: their properties by both spellings, out of what the simulator can tell.
//!
//! Sources: the typed stub of the Hyper-V module in HyperVDsc (names and types), the module's reference (columns).

mod properties;

use std::fmt;

use hvrsim_sim::look::{AdapterView, CopyView, Look, PointView};
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::time::{Instant, Span};

/// The class of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A relationship: `VMReplication`.
    Replication,
    /// Its statistics: `VMReplicationHealth`.
    Health,
    /// The settings of a replica server: `VMReplicationServer`.
    Server,
    /// `VMReplicationAuthorizationEntry`.
    Entry,
    /// `VirtualMachine`, the part that concerns replication.
    Machine,
    /// `VMSnapshot`: checkpoints and recovery points.
    Snapshot,
    /// `VMNetworkAdapterFailoverSetting`.
    AdapterFailover,
    /// `VMNetworkAdapter`.
    Adapter,
    /// `VirtualHardDisk`.
    Disk,
}

/// The value of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PropertyValue {
    /// `$null`.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A number.
    Integer(u64),
    /// A text, a GUID, the name of an enumeration's value.
    Text(String),
    /// A `DateTime`, as the scenario's clock shows it.
    Moment(String),
    /// A `TimeSpan`.
    Span(Span),
    /// An array.
    List(Vec<PropertyValue>),
}

impl fmt::Display for PropertyValue {
    /// As PowerShell prints it in a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => f.write_str(if *value { "True" } else { "False" }),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) | Self::Moment(text) => f.write_str(text),
            Self::Span(span) => {
                let s = span.as_seconds();
                let days = s / 86_400;
                if days > 0 {
                    write!(f, "{days}.")?;
                }
                write!(f, "{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60)
            }
            Self::List(list) => {
                let list: Vec<_> = list.iter().map(ToString::to_string).collect();
                write!(f, "{{{}}}", list.join(", "))
            }
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy)]
enum Reading {
    Null,
    Text(&'static str),
    Flag(bool),
    Number(u64),
    Live(fn(&Scene<'_>) -> PropertyValue),
}

/// A property of a class.
#[derive(Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// The other spelling that tables and scripts use.
    pub alias: Option<&'static str>,
    /// Its .NET type without the namespace.
    pub ty: &'static str,
    reading: Reading,
}

impl Property {
    /// Whether it depends on the world; what does not is not simulated, or a constant of the module.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.reading, Reading::Live(_))
    }

    /// Whether the name is one of its two, without regard to case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.alias.is_some_and(|a| a.eq_ignore_ascii_case(name))
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ty, self.name)
    }
}

/// What a property is read from.
struct Scene<'a> {
    look: &'a dyn Look,
    host: HostId,
    copy: Option<&'a CopyView>,
    point: Option<&'a PointView>,
    adapter: Option<&'a AdapterView>,
    /// A user's checkpoint: its number from 1.
    checkpoint: u32,
}

impl<'a> Scene<'a> {
    const fn of(host: HostId, copy: Option<&'a CopyView>, look: &'a dyn Look) -> Self {
        Self { look, host, copy, point: None, adapter: None, checkpoint: 0 }
    }

    fn of_copy(&self, read: impl FnOnce(&CopyView) -> PropertyValue) -> PropertyValue {
        self.copy.map_or(PropertyValue::Null, read)
    }

    fn moment(&self, at: Option<Instant>) -> PropertyValue {
        at.map_or(PropertyValue::Null, |at| PropertyValue::Moment(self.look.calendar().show(at)))
    }
}

/// An object that a cmdlet returned.
#[derive(Clone, Debug)]
pub struct Object {
    class: Class,
    of: Option<CopyId>,
    values: Vec<(&'static Property, PropertyValue)>,
}

impl Object {
    fn new(class: Class, scene: &Scene<'_>) -> Self {
        let read = |p: &'static Property| match p.reading {
            Reading::Null => PropertyValue::Null,
            Reading::Text(text) => PropertyValue::Text(text.to_owned()),
            Reading::Flag(value) => PropertyValue::Boolean(value),
            Reading::Number(value) => PropertyValue::Integer(value),
            Reading::Live(live) => live(scene),
        };
        let values = class.properties().iter().map(|p| (p, read(p))).collect();
        Self { class, of: scene.copy.map(|view| view.copy), values }
    }

    /// The object of a class that stands for a copy: itself, its relationship or its statistics.
    #[must_use]
    pub fn of_copy(class: Class, view: &CopyView, look: &dyn Look) -> Self {
        Self::new(class, &Scene::of(view.copy.host, Some(view), look))
    }

    /// A recovery point of a copy.
    #[must_use]
    pub fn of_point(view: &CopyView, point: &PointView, look: &dyn Look) -> Self {
        let scene = Scene { point: Some(point), ..Scene::of(view.copy.host, Some(view), look) };
        Self::new(Class::Snapshot, &scene)
    }

    /// A user's checkpoint of a copy, counted from 1.
    #[must_use]
    pub fn of_checkpoint(view: &CopyView, checkpoint: u32, look: &dyn Look) -> Self {
        let scene = Scene { checkpoint, ..Scene::of(view.copy.host, Some(view), look) };
        Self::new(Class::Snapshot, &scene)
    }

    /// A network adapter of a copy, or its addresses after a failover.
    #[must_use]
    pub fn of_adapter(class: Class, view: &CopyView, adapter: &AdapterView, look: &dyn Look) -> Self {
        let scene = Scene { adapter: Some(adapter), ..Scene::of(view.copy.host, Some(view), look) };
        Self::new(class, &scene)
    }

    /// A host's settings, or who may send to it.
    #[must_use]
    pub fn of_host(class: Class, host: HostId, look: &dyn Look) -> Self {
        Self::new(class, &Scene::of(host, None, look))
    }

    /// Its class.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The copy that it belongs to.
    #[must_use]
    pub const fn copy(&self) -> Option<CopyId> {
        self.of
    }

    /// The property of that name, in either spelling and any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.values.iter().find(|(p, _)| p.is_named(name)).map(|(_, value)| value)
    }

    /// Every property with its value, in the class's order.
    pub fn values(&self) -> impl Iterator<Item = (&'static Property, &PropertyValue)> {
        self.values.iter().map(|(p, value)| (*p, value))
    }

    /// What a table shows under a head.
    pub(crate) fn cell(&self, name: &str) -> String {
        self.get(name).map_or_else(String::new, ToString::to_string)
    }
}

impl Class {
    /// The name of the .NET class without its namespace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replication => "VMReplication",
            Self::Health => "VMReplicationHealth",
            Self::Server => "VMReplicationServer",
            Self::Entry => "VMReplicationAuthorizationEntry",
            Self::Machine => "VirtualMachine",
            Self::Snapshot => "VMSnapshot",
            Self::AdapterFailover => "VMNetworkAdapterFailoverSetting",
            Self::Adapter => "VMNetworkAdapter",
            Self::Disk => "VirtualHardDisk",
        }
    }

    /// Its properties; none for what the model has not got.
    #[must_use]
    pub const fn properties(self) -> &'static [Property] {
        match self {
            Self::Replication => properties::REPLICATION,
            Self::Health => properties::HEALTH,
            Self::Server => properties::SERVER,
            Self::Entry => properties::ENTRY,
            Self::Machine => properties::MACHINE,
            Self::Snapshot => properties::SNAPSHOT,
            Self::AdapterFailover => properties::ADAPTER_FAILOVER,
            Self::Adapter => properties::ADAPTER,
            Self::Disk => &[],
        }
    }

    /// Every class.
    pub const ALL: &'static [Self] = &[
        Self::Replication,
        Self::Health,
        Self::Server,
        Self::Entry,
        Self::Machine,
        Self::Snapshot,
        Self::AdapterFailover,
        Self::Adapter,
        Self::Disk,
    ];
}
