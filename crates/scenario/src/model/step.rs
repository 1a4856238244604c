//! What is done in a scenario, step by step.

use std::collections::BTreeMap;

use hvrsim_cmdlets::{CommandLine, Token};
use hvrsim_replica::service::Trust;
use hvrsim_sim::incident::table::Incident;
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId, VmId};
use hvrsim_types::size::Bytes;
use hvrsim_types::time::Span;
use hvrsim_wmi::table::Method;

use super::expect::{CopyExpectation, Expectation, JobExpectation};
use super::value::{Parameter, PointRef, resolved};
use crate::source::{At, Place};

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The place of the word that says what it does.
    pub place: Place,
    /// `name`: what it is for, for reports.
    pub name: Option<String>,
    /// `within`: how long it may take, its RTO.
    pub within: Option<At<Span>>,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Runs cmdlets.
    Run(Run),
    /// Calls a WMI method.
    Invoke(Invoke),
    /// Clicks in Hyper-V Manager.
    Manager(Manager),
    /// A guest writes.
    Write(Write),
    /// Lets virtual time pass.
    Advance(At<Span>),
    /// Lets virtual time pass until something is so.
    Until(Until),
    /// Breaks something.
    Fault(Fault),
    /// Ends what a `fault` broke.
    Repair(Repair),
    /// States what must be so; all of it.
    Expect(Vec<At<Expectation>>),
    /// Remembers a recovery point under a name.
    Mark(Mark),
    /// A text for the timeline.
    Note(At<String>),
    /// Steps over and over.
    Repeat(Repeat),
    /// Several operators at once.
    Parallel(Vec<Operator>),
}

impl Action {
    /// The key that it is written with.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Invoke(_) => "invoke",
            Self::Manager(_) => "manager",
            Self::Write(_) => "write",
            Self::Advance(_) => "advance",
            Self::Until(_) => "until",
            Self::Fault(_) => "fault",
            Self::Repair(_) => "repair",
            Self::Expect(_) => "expect",
            Self::Mark(_) => "mark",
            Self::Note(_) => "note",
            Self::Repeat(_) => "repeat",
            Self::Parallel(_) => "parallel",
        }
    }
}

/// `repeat`: steps over and over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// `times`: how often, at least once.
    pub times: u64,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One of the operators of `parallel`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// Who, for reports.
    pub name: At<String>,
    /// What this one does, in order.
    pub steps: Vec<Step>,
}

/// `run`: cmdlets, one a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The host of lines without `-ComputerName`.
    pub host: Option<At<HostId>>,
    /// The cmdlets; at least one.
    pub lines: Vec<Line>,
    /// The last line must be refused like this; the others must be accepted.
    pub fails: Option<Fails>,
    /// `as`: the name of the job that the last line starts.
    pub job: Option<At<String>>,
}

/// A line of `run`: one cmdlet, which exists, with a parameter set that exists and names that the topology has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// As written.
    pub text: At<String>,
    /// Split into its arguments.
    pub command: CommandLine,
    /// The arguments that name a marked recovery point.
    pub points: Vec<MarkedPoint>,
}

/// An argument of the form `HOST/VM@NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkedPoint {
    /// Which token of the line.
    pub token: usize,
    /// Which scalar of the token.
    pub item: usize,
    /// The point that it names.
    pub point: At<PointRef>,
}

impl Line {
    /// The command with each marked recovery point replaced by what `id` says, usually its GUID: cmdlets do not know
    /// the marks of a scenario.
    #[must_use]
    pub fn command_with(&self, mut id: impl FnMut(&PointRef) -> String) -> CommandLine {
        let mut command = self.command.clone();
        for marked in &self.points {
            if let Some(Token::Value { items, .. }) = command.tokens.get_mut(marked.token)
                && let Some(item) = items.get_mut(marked.item)
            {
                item.text = id(&marked.point);
            }
        }
        command
    }
}

/// `invoke`: a WMI method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoke {
    /// The host that is asked.
    pub host: At<HostId>,
    /// The method.
    pub method: At<&'static Method>,
    /// `with`: parameters; the place is that of the name.
    pub with: Vec<At<Parameter>>,
    /// `returns`: the return code that must come.
    pub returns: Option<At<ReturnCode>>,
    /// It must be refused like this.
    pub fails: Option<Fails>,
    /// `as`: the name of the job that it starts.
    pub job: Option<At<String>>,
}

impl Invoke {
    /// The parameters as a reader sees them, in brackets; `point` names a recovery point.
    pub fn arguments(&self, point: impl Fn(&PointRef) -> String) -> String {
        let all: Vec<String> = self.with.iter().map(|given| given.value.words(&point)).collect();
        format!("({})", all.join(", "))
    }

    /// The parameters as [`hvrsim_wmi::call`] takes them: `point` gives a recovery point's GUID, `job` a job's number on
    /// the host.
    pub fn values(
        &self,
        mut point: impl FnMut(&PointRef) -> String,
        mut job: impl FnMut(&str) -> JobId,
    ) -> BTreeMap<String, hvrsim_wmi::Value> {
        resolved(&self.with, &mut point, &mut job)
    }
}

/// A refusal that is expected. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fails {
    /// Where it is written.
    pub place: Place,
    /// `rule`: the id of the rule that refuses.
    pub rule: Option<At<&'static str>>,
    /// `code`: the return code, of the call or of its job.
    pub code: Option<At<ReturnCode>>,
    /// `id`: PowerShell's error id or category.
    pub id: Option<At<String>>,
    /// `message`: a part of the message.
    pub message: Option<At<String>>,
}

/// `manager`: what an operator does in Hyper-V Manager where it differs from the cmdlet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manager {
    /// `failover`: the copy whose failover is asked for, to the newest point.
    pub failover: At<CopyId>,
    /// The refusal that is expected.
    pub fails: Option<Fails>,
}

/// `write`: a guest writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Where it is written.
    pub place: Place,
    /// The machine.
    pub vm: At<VmId>,
    /// Its host; `None` is where it runs.
    pub host: Option<At<HostId>>,
    /// Which disk.
    pub disk: u8,
    /// Where, a multiple of 4 KiB.
    pub offset: Bytes,
    /// How much, a multiple of 4 KiB and more than nothing.
    pub bytes: Bytes,
    /// A word to name it by when it is lost.
    pub tag: Option<String>,
}

/// `until`: waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Until {
    /// Where it is written.
    pub place: Place,
    /// For what.
    pub condition: Condition,
    /// How long at most.
    pub timeout: Span,
}

impl Until {
    /// The time-out of an `until` that gives none.
    pub const DEFAULT_TIMEOUT: Span = Span::DAY;
}

/// What `until` waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// A copy is so.
    Copy(CopyExpectation),
    /// A job is so.
    Job(JobExpectation),
}

/// `fault`: breaks something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `link` with `cut`: nothing gets through.
    LinkCut {
        /// The two hosts, as in the topology.
        link: At<(HostId, HostId)>,
        /// For how long; `None` is until a `repair`.
        span: Option<Span>,
    },
    /// `host` with `power`.
    HostPower {
        /// The host.
        host: At<HostId>,
        /// What happens to it.
        power: HostPower,
    },
    /// `host` with `trust`: what others find when they authenticate to it.
    HostTrust {
        /// The host.
        host: At<HostId>,
        /// What.
        trust: Trust,
    },
    /// `worker`: the worker process of a running machine crashes.
    Worker {
        /// The copy.
        copy: At<CopyId>,
    },
    /// `incident` with `at`: one of the catalogue.
    Incident(At<Strike>),
}

/// What happens to a host's power.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HostPower {
    /// It goes off without warning.
    Lost,
    /// It is shut down in order.
    Off,
    /// It starts again.
    Back,
}

/// `repair`: ends a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Repair {
    /// The link carries again; the two hosts, as in the topology.
    Link(At<(HostId, HostId)>),
    /// An incident of the catalogue is over.
    Incident {
        /// What.
        incident: &'static Incident,
        /// Where.
        at: Target,
    },
}

/// `mark`: remembers a recovery point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The point.
    pub point: At<PointRef>,
    /// The name, usable as `HOST/VM@NAME` from now on.
    pub name: At<String>,
}
