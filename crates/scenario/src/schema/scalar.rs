//! Values of one word: what they look like. Each may be a parameter, `${name}`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use hvrsim_types::state::{Health, Mode, NamedState, Power as PowerState};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// `${name}` as a whole value.
const PARAMETER: &str = r"^\$\{[A-Za-z0-9_-]+\}$";

fn pattern(pattern: &str, description: &str, examples: &Value) -> Schema {
    let pattern = format!(r"^(\$\{{[A-Za-z0-9_-]+\}}|{pattern})$");
    json_schema!({ "type": "string", "pattern": pattern, "description": description, "examples": examples })
}

fn words(words: &[&str], description: &str) -> Schema {
    json_schema!({
        "description": description,
        "anyOf": [ { "enum": words }, { "type": "string", "pattern": PARAMETER } ],
    })
}

macro_rules! scalar {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

/// A sign of a comparison in front of a value.
const SIGN: &str = r"\s*(<=|>=|<|>|=)?\s*";
/// A time: `1h30m`.
const TIME: &str = r"(0|([0-9]+\s*(ms|s|m|min|h|d)\s*)+)";
/// A size: `64MiB`.
const SIZE: &str = r"[0-9]+\s*([KMGT]i?)?B";

scalar! {
    /// A time.
    Time = json_schema!({
        "description": "A time: whole numbers with ms, s, m, h, d.",
        "anyOf": [ { "enum": [0] }, pattern(TIME, "A time", &json!(["30s", "5m", "1h30m"])) ],
    });
    /// A time, compared.
    TimeAbove = pattern(&format!("{SIGN}{TIME}"), "A time with <, <=, =, >= or > in front; quote it.", &json!(["<= 5m", "> 15m"]));
    /// A time that is too long.
    TooOld = pattern(&format!(r"(>=?\s*)?{TIME}"), "An age that is too great, with > or >= in front; quote it.", &json!(["> 15m"]));
    /// The file of a recorded timeline.
    GoldenFile = pattern(r"[^/].*\.golden", "A file beside this one, whose name ends in .golden.", &json!(["failover.golden"]));
    /// How often.
    Times = json_schema!({
        "description": "How often, 1 to 100,000.",
        "anyOf": [ { "type": "integer", "minimum": 1, "maximum": 100_000 }, { "type": "string", "pattern": PARAMETER } ],
    });
    /// A time or `forever`.
    Cut = pattern(&format!("(forever|{TIME})"), "How long, or `forever`: until a `repair`.", &json!(["20m", "forever"]));
    /// A size.
    Size = pattern(SIZE, "A size: a whole number with B, KiB to TiB, or KB to TB.", &json!(["64MiB", "40GiB"]));
    /// A size, compared.
    SizeCompared = pattern(&format!("{SIGN}{SIZE}"), "A size, with <, <=, =, >= or > in front or equal; quote it.", &json!(["<= 64MiB", "> 0B"]));
    /// A rate.
    Rate = pattern(r"[0-9]+\s*([KMGT]?bit|([KMGT]i?)?B)(/s|ps)?", "A rate: bits or bytes a second.", &json!(["100Mbit", "2MiB/s"]));
    /// A relationship of a copy.
    Relationship = words(&["Simple", "Extended"], "Which relationship of a copy.");
    /// A whole number.
    Count = json_schema!({
        "description": "A whole number.",
        "anyOf": [ { "type": "integer", "minimum": 0 }, { "type": "string", "pattern": PARAMETER } ],
    });
    /// A whole number, compared.
    CountCompared = json_schema!({
        "description": "A whole number, with <, <=, =, >= or > in front or equal; quote it with a sign.",
        "anyOf": [ { "type": "integer", "minimum": 0 }, pattern(&format!("{SIGN}[0-9]+"), "A number", &json!([">= 2"])) ],
    });
    /// A progress.
    Progress = json_schema!({
        "description": "Per cent from 0 to 100, with a sign in front or not.",
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 100 },
            pattern(&format!("{SIGN}[0-9]+\\s*%?"), "A progress", &json!([50, ">= 50"])),
        ],
    });
    /// `true` or `false`.
    Flag = json_schema!({
        "description": "true or false.",
        "anyOf": [ { "type": "boolean" }, { "type": "string", "pattern": PARAMETER } ],
    });
    /// A parameter's value.
    Parameter = json_schema!({ "description": "One word, number or text.", "type": ["string", "number", "boolean"] });
    /// A date.
    Date = pattern(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?(\[.+\])?",
        "A local date and time, with an IANA zone in brackets if it is not UTC.",
        &json!(["2026-07-01T18:00:00[Europe/Berlin]"]),
    );
    /// A time of day.
    TimeOfDay = pattern("[0-2][0-9]:[0-5][0-9]", "A time of day; quote it.", &json!(["18:30"]));
    /// A generation.
    Generation = json_schema!({
        "description": "Server 2016 and later, or 2012 R2.",
        "anyOf": [ { "enum": [2016, "2016", "2012r2"] }, { "type": "string", "pattern": PARAMETER } ],
    });
    /// How a failback writes.
    Failback = words(&["in-place", "staged"], "Into the receiver's disks, or into a stage that a cancel drops.");
    /// What an initial replication sends.
    Initial = words(&["compare", "full"], "Differences, or everything.");
    /// A state to begin with.
    Preset = words(
        &[
            "replicating", "enabled", "none", "suspended", "prepared-for-failover",
            "failed-over-waiting-completion", "failed-over", "reversed",
        ],
        "What ordinary operations have been done before the first step.",
    );
    /// A frequency.
    Frequency = words(&["30s", "5m", "15m"], "How often changes are sent.");
    /// A disk's format.
    DiskFormat = words(&["vhdx", "raw"], "The format of the file in the run folder.");
    /// A power state to begin with.
    PowerAtStart = words(&["Running", "Off"], "Whether the machine runs at the start. Quote \"Off\".");
    /// A power state.
    Power = words(&PowerState::ALL.iter().map(|p| p.label()).collect::<Vec<_>>(), "A machine's power. Quote \"Off\".");
    /// A mode.
    ReplicationMode = words(&Mode::ALL.iter().map(|m| m.label()).collect::<Vec<_>>(), "The role of a copy.");
    /// A health.
    ReplicationHealth = words(&Health::ALL.iter().map(|h| h.label()).collect::<Vec<_>>(), "The health of a copy's replication.");
    /// A replication state.
    ReplicationState = json_schema!({
        "description": "A PowerShell name such as Replicating, a WMI label, or a WMI number from 0 to 21.",
        "anyOf": [
            { "enum": NamedState::names().collect::<BTreeSet<_>>() },
            { "type": "integer", "minimum": 0, "maximum": 21 },
            { "type": "string", "pattern": PARAMETER },
        ],
        "examples": ["Replicating", "FailedOver", "WaitingForFailback"],
    });
    /// What happens to a host.
    HostPower = words(&["lost", "shut-down", "back"], "It loses its power, shuts down in order, starts again.");
    /// What others find when they authenticate to a host.
    HostTrust = words(
        &hvrsim_replica::service::Trust::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
        "Other hosts are refused by this one for this reason, until it is restored.",
    );
    /// A finding.
    FindingWord = words(
        &hvrsim_sim::findings::table::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>(),
        "What the simulator notices by itself; `hvrsim explain NAME` tells what it means.",
    );
    /// The id of an event.
    EventId = json_schema!({
        "description": "The id of an entry in the Windows event log.",
        "anyOf": [
            { "enum": hvrsim_sim::windows_log::table::KINDS.iter().map(|kind| kind.id).collect::<Vec<_>>() },
            { "type": "string", "pattern": PARAMETER },
        ],
    });
    /// A return code.
    Code = json_schema!({
        "description": "A return code, such as 32775.",
        "anyOf": [ { "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"^([0-9]+|\$\{[A-Za-z0-9_-]+\})$" } ],
    });
    /// A recovery point.
    Point = pattern(r"[^/@]+/[^@]+@(-[1-9][0-9]*|[^-@\s][^@\s]*)", "HOST/VM@-1 is the newest; HOST/VM@NAME is one that a `mark` named.", &json!(["HV2/web01@-1", "HV2/web01@clean"]));
    /// A copy.
    Copy = pattern(r"[^/@]+/[^@]+", "HOST/VM: the copy of a machine on a host.", &json!(["HV1/web01"]));
    /// A content.
    Content = pattern(r"[^/@]+/[^@]+(@.+)?", "HOST/VM, or a recovery point HOST/VM@-1.", &json!(["HV2/web01", "HV2/web01@-1"]));
}
