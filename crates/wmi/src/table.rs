//! The table of methods: parameters, return codes, job types.
//!
//! Source: Hyper-V WMI provider v2, `Msvm_ReplicationService`, `Msvm_ComputerSystem`, `Msvm_ConcreteJob`.

mod data;

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobType;

pub use data::METHODS;
pub(crate) use data::{RELATIONSHIP, SETTINGS};

/// A CIM type, as far as it decides what a scenario may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CimType {
    /// `uint16`.
    Uint16,
    /// `boolean`.
    Boolean,
    /// `string`.
    Text,
    /// `string[]`.
    Texts,
    /// `datetime`.
    DateTime,
    /// A reference to an instance of this class. Machines are named, jobs have their number.
    Reference(&'static str),
    /// A `string` that holds an instance of this class; written as a map.
    Embedded(&'static str),
    /// An array of such strings.
    EmbeddedArray(&'static str),
}

/// What a parameter is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The object that the method acts on.
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
    InitiateFailover,
    RevertFailover,
    CommitFailover,
    InitiateFailback,
    Resynchronize,
    ResetStatistics,
    ResetStatisticsEx,
    ReplicationState,
    ReplicationStateEx,
    MachineState,
    JobState,
    /// The provider has the method, this version has not.
    NotSimulated,
}

/// A method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    /// The class that has it.
    pub class: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its parameters. For a method of a machine or a job the object itself is the first, as the scenario names it.
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

    /// Whether this version simulates it.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.procedure != Procedure::NotSimulated
    }

    /// The parameter of that name, without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }
}
