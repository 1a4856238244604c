//! The table of cmdlets: names, aliases, parameters with their types, positions and sets, and what PowerShell
//! waits for. Parsing, binding, messages and documentation read it and nothing else
//! (Hyper-V module reference, Windows Server 2025; about_CommonParameters).

mod data;
mod enumerations;
mod module;

use crate::object::Class;
pub use data::CMDLETS;
pub use enumerations::{ENUMERATIONS, Enumeration, EnumerationValue};
pub use module::OTHERS;
pub(crate) use module::is_real;

/// The type of a parameter, as far as it decides what may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// `System.String`.
    Text,
    /// `System.String[]`.
    Texts,
    /// `System.Int32` from the first to the second.
    Integer(i64, i64),
    /// `System.Int32`, one of these.
    OneOf(&'static [i64]),
    /// `System.Boolean`: `$true` or `$false`.
    Boolean,
    /// A switch: it takes no value unless a colon says so.
    Switch,
    /// Objects that a text may name: their .NET type.
    Named(&'static str),
    /// `System.UInt64`, a size in bytes, with KB, MB, GB or TB behind it.
    Size,
    /// `System.TimeSpan`, one of so many hours: days, hours, minutes and seconds.
    Hours(&'static [i64]),
    /// An enumeration's value, by name or number: its .NET type and the names.
    Choice(&'static Enumeration),
    /// `System.DateTime`, local to the scenario.
    DateTime,
    /// `System.TimeSpan` within a day.
    TimeOfDay,
    /// `System.Guid`.
    Guid,
    /// A recovery point. In the module it is a `VMSnapshot` object; here `HV2/web01@-2` or the point's GUID.
    Point,
    /// An object that only a pipeline or a variable could hold: its .NET type, and what to use instead.
    Object(&'static str, &'static str),
}

/// What a parameter does in this version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// It decides what happens.
    Acts,
    /// It is accepted and changes nothing: what it sets is not simulated and decides no transition.
    NoEffect,
    /// It is refused: the result would not be what the real module does.
    Later,
    /// Refused, except with this value, which is what happens anyway.
    Only(&'static str),
}

/// How a parameter stands in one parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The set's name.
    pub set: &'static str,
    /// Its position, counted from 0, if it has one.
    pub position: Option<u8>,
    /// Whether the set needs it.
    pub mandatory: bool,
}

/// A parameter of a cmdlet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name, without the dash.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Its type.
    pub ty: Type,
    /// The sets that have it. Empty: every set, optional, by name only.
    pub places: &'static [Place],
    /// Whether it is bound by value from the pipeline.
    pub piped: bool,
    /// What it does.
    pub support: Support,
}

/// What PowerShell waits for before it goes on with the next line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// Until the work is done, unless `-AsJob` is given.
    Always,
    /// The cmdlet returns when the work is accepted.
    Never,
    /// Like [`Waits::Always`], except when this switch is given.
    Unless(&'static str),
}

/// What a cmdlet asks for; the plan maps it to operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    EnableReplication,
    RemoveReplication,
    SetReplication,
    SuspendReplication,
    ResumeReplication,
    StopReplication,
    GetReplication,
    MeasureReplication,
    ResetStatistics,
    StartInitial,
    StopInitial,
    ImportInitial,
    StartFailover,
    StopFailover,
    CompleteFailover,
    GetVm,
    StartVm,
    StopVm,
    SaveVm,
    RemoveSavedState,
    Checkpoint,
    GetSnapshot,
    RemoveSnapshot,
    ResizeVhd,
    TestConnection,
    GetServer,
    GetEntry,
    GetAdapterFailover,
    SetAdapterFailover,
    SetAdapter,
    MoveVm,
    /// The model lacks what it acts on.
    Lacking,
}

/// A cmdlet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cmdlet {
    /// Its name.
    pub name: &'static str,
    /// Aliases of the module.
    pub aliases: &'static [&'static str],
    /// Its parameter sets, the default one first.
    pub sets: &'static [&'static str],
    /// Its parameters, in groups that several cmdlets share.
    groups: &'static [&'static [Parameter]],
    /// What PowerShell waits for.
    pub waits: Waits,
    /// What it returns: at once if it only reads, with `-Passthru` if it changes something.
    pub returns: Option<Class>,
    /// What the model has not got, if the cmdlet cannot be carried out.
    pub lacks: Option<&'static str>,
    pub(crate) verb: Verb,
}

impl Type {
    /// The .NET type, as PowerShell's messages name it.
    #[must_use]
    pub const fn dotnet(self) -> &'static str {
        match self {
            Self::Text => "System.String",
            Self::Texts => "System.String[]",
            Self::Integer(..) | Self::OneOf(_) => "System.Int32",
            Self::Boolean => "System.Boolean",
            Self::Switch => "System.Management.Automation.SwitchParameter",
            Self::DateTime => "System.DateTime",
            Self::Size => "System.UInt64",
            Self::TimeOfDay | Self::Hours(_) => "System.TimeSpan",
            Self::Guid => "System.Guid",
            Self::Point => "Microsoft.HyperV.PowerShell.VMSnapshot",
            Self::Choice(enumeration) => enumeration.dotnet,
            Self::Named(name) | Self::Object(name, _) => name,
        }
    }

    /// The type without its namespace, as the documentation's syntax lines print it.
    #[must_use]
    pub fn short(self) -> &'static str {
        let full = self.dotnet();
        full.rsplit_once('.').map_or(full, |(_, last)| last)
    }
}

impl Parameter {
    /// How the parameter stands in a set, if the set has it.
    #[must_use]
    pub fn place(&self, set: &'static str) -> Option<Place> {
        if self.places.is_empty() {
            return Some(Place { set, position: None, mandatory: false });
        }
        self.places.iter().copied().find(|p| p.set == set)
    }

    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

impl Cmdlet {
    /// Every parameter, the common ones included.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + '_ {
        let has = |p: &Parameter| self.sets.iter().any(|set| p.place(set).is_some());
        self.groups.iter().flat_map(|group| group.iter()).filter(move |p| has(p))
    }

    /// The parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters().find(|p| p.name == name)
    }

    /// The parameters of one set in the order of the documentation: by position, then by name only.
    #[must_use]
    pub fn syntax(&self, set: &'static str) -> Vec<(&'static Parameter, Place)> {
        let mut found: Vec<_> = self.parameters().filter_map(|p| Some((p, p.place(set)?))).collect();
        found.sort_by_key(|(_, place)| place.position.unwrap_or(u8::MAX));
        found
    }

    /// The class name that PowerShell puts behind an error id.
    #[must_use]
    pub fn class(&self) -> String {
        format!("Microsoft.HyperV.PowerShell.Commands.{}Command", self.name.replace('-', ""))
    }
}

/// The cmdlet of that name or alias, without regard to case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Cmdlet> {
    let same = |n: &&str| n.eq_ignore_ascii_case(name);
    CMDLETS.iter().find(|c| same(&c.name) || c.aliases.iter().any(same))
}
