//! `steps` and expectations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hvrsim_sim::incident::table::{INCIDENTS, Incident};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::scalar::{
    Code, Content, Copy, Count, CountCompared, Cut, EventId, FindingWord, Flag, HostPower, HostTrust, Point,
    Power, Progress, Rate, Relationship, ReplicationHealth, ReplicationMode, ReplicationState, Size,
    SizeCompared, Time, TimeAbove, Times,
};

/// A step: exactly one of `run`, `invoke`, `manager`, `write`, `advance`, `until`, `fault`, `repair`, `expect`, `mark`,
/// `note`, `repeat`, `parallel`, and the keys that go with it.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// What it is for, shown in the timeline.
    pub name: Option<String>,
    /// Cmdlets, one a line, as PowerShell writes them; several below `run: |`.
    pub run: Option<String>,
    /// A WMI method, such as `Msvm_ReplicationService.InitiateFailback`.
    pub invoke: Option<String>,
    /// What somebody does in Hyper-V Manager.
    pub manager: Option<Manager>,
    /// A guest writes.
    pub write: Option<Write>,
    /// Lets virtual time pass.
    pub advance: Option<Time>,
    /// Lets virtual time pass until something of a copy or job is so.
    pub until: Option<Until>,
    /// Breaks something: a link, a host's power or trust, a worker process.
    pub fault: Option<Fault>,
    /// Ends what a `fault` broke.
    pub repair: Option<Repair>,
    /// What must be so now; all of it.
    pub expect: Option<Vec<Expectation>>,
    /// Remembers a recovery point under a name.
    pub mark: Option<Mark>,
    /// A text for the timeline.
    pub note: Option<String>,
    /// Steps over and over.
    pub repeat: Option<Repeat>,
    /// Operators by name who work at the same time, each with steps of their own; the seed decides who is first.
    #[schemars(extend("minProperties" = 2))]
    pub parallel: Option<BTreeMap<String, Vec<Step>>>,
    /// With `run` and `invoke`: the host that lines without -ComputerName act on, or that is asked.
    pub host: Option<String>,
    /// With `run`, `invoke` and `manager`: it must be refused like this.
    pub fails: Option<Fails>,
    /// With `run` and `invoke`: the name of the job that it starts, or of what the method returns.
    pub r#as: Option<String>,
    /// With `invoke`: its parameters by their WMI names.
    pub with: Option<BTreeMap<String, Anything>>,
    /// With `invoke`: the return code that must come.
    pub returns: Option<Code>,
    /// How long the step may take at most: its RTO.
    pub within: Option<Time>,
}

/// Anything.
pub struct Anything;

impl JsonSchema for Anything {
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A value, a list, or an embedded instance as a map; ~ for Null." })
    }
}

/// What somebody does in Hyper-V Manager, which asks and does more than the cmdlets.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manager {
    /// The copy to fail over. Refused while the primary's host answers and its machine runs; starts the machine.
    pub failover: Copy,
}

/// A guest writes.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Write {
    /// The machine.
    pub vm: String,
    /// Its host. Default: where it runs.
    pub host: Option<String>,
    /// Which disk, from 0. Default: 0.
    pub disk: Option<Count>,
    /// Where, a multiple of 4 KiB.
    pub offset: Size,
    /// How much, a multiple of 4 KiB.
    pub bytes: Size,
    /// A word to name it by when it is lost.
    pub tag: Option<String>,
}

/// What is waited for: of a copy (`vm`, `host`), or of a job (`job`).
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Until {
    /// The machine.
    pub vm: Option<String>,
    /// The copy's host.
    pub host: Option<String>,
    /// `Extended`: the relationship of a middle copy to the third host; otherwise the copy's own one.
    pub relationship: Option<Relationship>,
    /// The copy's role.
    pub mode: Option<ReplicationMode>,
    /// The copy's replication state.
    pub replication: Option<ReplicationState>,
    /// The copy's replication health.
    pub health: Option<ReplicationHealth>,
    /// The copy's power.
    pub power: Option<Power>,
    /// How many recovery points the copy keeps.
    pub recovery_points: Option<CountCompared>,
    /// The address that the guest has on the copy's first network adapter, or `none`.
    pub address: Option<String>,
    /// The switch that the copy's first network adapter is connected to, or `none`.
    pub switch: Option<String>,
    /// The name that `as` gave to a job.
    pub job: Option<String>,
    /// The job's state: Starting, Running, Completed, Terminated, Exception.
    pub state: Option<JobStateWord>,
    /// The job's progress in per cent; a bare number means at least that.
    pub progress: Option<Progress>,
    /// Payload that the job has sent.
    pub sent: Option<SizeCompared>,
    /// Bytes that the job has compared.
    pub compared: Option<SizeCompared>,
    /// Payload that the job has sent again after an interruption.
    pub resent: Option<SizeCompared>,
    /// The job's error code, 0 for none.
    pub error: Option<Code>,
    /// How long at most. Default: 24h.
    pub timeout: Option<Time>,
}

/// A job's state.
pub struct JobStateWord;

impl JsonSchema for JobStateWord {
    fn schema_name() -> Cow<'static, str> {
        "JobState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = hvrsim_types::job::JobState::ALL.iter().map(|state| state.label()).collect();
        json_schema!({
            "description": "A job's state. Terminated is cancelled, Exception is failed.",
            "anyOf": [ { "enum": words }, { "type": "integer" }, { "type": "string", "pattern": "^\\$\\{.+\\}$" } ],
        })
    }
}

/// Breaks something: `incident` with `at`, `link` with `cut`, `host` with `power` or `trust`, or `worker`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// The link, by its two hosts: `HV1-HV2`.
    pub link: Option<String>,
    /// For how long nothing gets through, or `forever`.
    pub cut: Option<Cut>,
    /// The host.
    pub host: Option<String>,
    /// What happens to its power.
    pub power: Option<HostPower>,
    /// What others find when they authenticate to it.
    pub trust: Option<HostTrust>,
    /// The copy whose worker process crashes: it is Off, its change log is not closed.
    pub worker: Option<Copy>,
    /// An incident of the catalogue; `hvrsim explain NAME` tells what follows.
    pub incident: Option<IncidentName>,
    /// Where it happens: a link `HV1-HV2`, a host, or a copy `HV1/web01`, by the incident.
    pub at: Option<String>,
    /// How long it lasts. Default: until a `repair`.
    pub r#for: Option<Time>,
    /// The rate of a slow link, or of slow disks.
    pub rate: Option<Rate>,
    /// The latency of a link, or how far a clock is ahead.
    pub by: Option<Time>,
}

/// An incident by name.
pub struct IncidentName;

impl JsonSchema for IncidentName {
    fn schema_name() -> Cow<'static, str> {
        "Incident".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |incident: &Incident| json!({ "const": incident.name, "description": incident.fault });
        let mut any: Vec<_> = INCIDENTS.iter().map(one).collect();
        any.push(json!({ "type": "string", "pattern": "^\\$\\{.+\\}$" }));
        json_schema!({ "description": "An incident of the catalogue.", "anyOf": any })
    }
}

/// Ends what a `fault` broke: `link`, or `incident` with `at`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repair {
    /// The link carries again.
    pub link: Option<String>,
    /// The incident that is over.
    pub incident: Option<IncidentName>,
    /// Where.
    pub at: Option<String>,
}

/// Remembers a recovery point.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mark {
    /// The point.
    pub point: Point,
    /// The name, usable as `HOST/VM@NAME` from now on.
    pub r#as: String,
}

/// Steps over and over.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repeat {
    /// How often, 1 to 100,000.
    pub times: Times,
    /// The steps of one round.
    pub steps: Vec<Step>,
}

/// A refusal that is expected; at least one key.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fails {
    /// The id of the rule that refuses; `hvrsim explain` shows it.
    pub rule: Option<String>,
    /// The return code of the call or of its job.
    pub code: Option<Code>,
    /// A part of PowerShell's error id, such as InvalidOperation.
    pub id: Option<String>,
    /// A part of the message.
    pub message: Option<String>,
}

/// One thing that must be so: of a copy (`vm`, `host`), a job, what was lost, the disks, a finding, or the protection.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// The machine.
    pub vm: Option<String>,
    /// The copy's host.
    pub host: Option<String>,
    /// `Extended`: the relationship of a middle copy to the third host; otherwise the copy's own one.
    pub relationship: Option<Relationship>,
    /// The copy's role.
    pub mode: Option<ReplicationMode>,
    /// The copy's replication state.
    pub replication: Option<ReplicationState>,
    /// The copy's replication health.
    pub health: Option<ReplicationHealth>,
    /// The copy's power.
    pub power: Option<Power>,
    /// How many recovery points the copy keeps.
    pub recovery_points: Option<CountCompared>,
    /// The address that the guest has on the copy's first network adapter, or `none`.
    pub address: Option<String>,
    /// The switch that the copy's first network adapter is connected to, or `none`.
    pub switch: Option<String>,
    /// The name that `as` gave to a job.
    pub job: Option<String>,
    /// The job's state.
    pub state: Option<JobStateWord>,
    /// The job's progress in per cent.
    pub progress: Option<Progress>,
    /// Payload that the job has sent.
    pub sent: Option<SizeCompared>,
    /// Bytes that the job has compared.
    pub compared: Option<SizeCompared>,
    /// Payload that the job has sent again after an interruption.
    pub resent: Option<SizeCompared>,
    /// The job's error code, 0 for none.
    pub error: Option<Code>,
    /// The name that `as` gave to what a method returned.
    pub value: Option<String>,
    /// Which value of it, by its path: `ReplicationStatistics[0].ReplicationHealth`.
    pub of: Option<String>,
    /// What it must be: a text or a number, with <, <=, =, >= or > in front; quote it then.
    pub is: Option<Anything>,
    /// What was written and is missing where the machine goes on: `none`, or how much of what.
    pub lost: Option<Lost>,
    /// `identical`: the machine's two copies hold the same, block by block.
    pub disks: Option<Identical>,
    /// A copy whose present content is that of `same-as`.
    pub disk: Option<Copy>,
    /// A copy or a recovery point.
    pub same_as: Option<Content>,
    /// The simulator has noticed this of the machine.
    pub finding: Option<FindingWord>,
    /// The simulator has not noticed this of the machine.
    pub not: Option<FindingWord>,
    /// Whether something replicates the machine.
    pub protected: Option<Flag>,
    /// The age of what the other side has: what would be lost now. A bare time means at most that.
    pub rpo: Option<TimeAbove>,
    /// An entry with this id stands in the Windows event log of `host`, or of any host, about `vm` or anything.
    pub event: Option<EventId>,
    /// How many such entries there are. Default: at least one.
    pub count: Option<CountCompared>,
}

/// `identical`.
pub struct Identical;

impl JsonSchema for Identical {
    fn schema_name() -> Cow<'static, str> {
        "Identical".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["identical"] })
    }
}

/// `none`, or what was lost.
pub struct Lost;

/// How much was lost; at least one key.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LostWrites {
    /// Only writes with this tag.
    pub tag: Option<String>,
    /// Bytes.
    pub bytes: Option<SizeCompared>,
    /// Writes.
    pub writes: Option<CountCompared>,
    /// From the first lost write to the last.
    pub time: Option<TimeAbove>,
}

impl JsonSchema for Lost {
    fn schema_name() -> Cow<'static, str> {
        "Lost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let writes = generator.subschema_for::<LostWrites>();
        json_schema!({ "description": "`none`, or how much of what was lost.", "anyOf": [ { "enum": ["none"] }, writes ] })
    }
}
