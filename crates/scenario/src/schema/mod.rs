//! The scenario file as editors see it: types that say which keys there are and what they mean, and the JSON Schema made
//! of them. Their documentation is what an editor shows at a key.
//!
//! Files are not read by these types: the reader keeps the place of every value. A test holds both against each other.

pub mod scalar;
pub mod step;
pub mod topology;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use scalar::{Count, Date, Flag, Generation, GoldenFile, Parameter, Time, TooOld};
use step::Step;
use topology::Topology;

/// The name under which the schema of scenarios is committed, and written beside a new scenario.
pub const FILE: &str = "scenario.schema.json";

/// A rehearsal of Hyper-V Replica: what there is, what is done, what must come out.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// The title.
    pub scenario: String,
    /// Why the scenario exists, in your own words.
    pub description: Option<String>,
    /// Everything drawn at random, and every GUID, comes out of it. Default: 0.
    pub seed: Option<Count>,
    /// Local date and time of virtual time 0, with an IANA zone in brackets if it is not UTC. Default: 2026-01-05T09:00:00.
    pub start: Option<Date>,
    /// Which reading of the documentation, where there are several.
    pub profile: Option<Profile>,
    /// Named values, put in wherever a whole value is `${name}`. `--param NAME=VALUE` replaces one.
    pub params: Option<BTreeMap<String, Parameter>>,
    /// Parameters with a list of values each: every combination is a run. `exclude` leaves combinations out.
    pub matrix: Option<Matrix>,
    /// Hosts, links, virtual machines.
    pub topology: Topology,
    /// What is done, in order. A run stops at the first step that does not come out as written.
    pub steps: Vec<Step>,
    /// Steps that are carried out at the end in any case, however the others came out.
    pub cleanup: Option<Vec<Step>>,
    /// What must not be at any moment, from the first step on; looked at after every event.
    pub never: Option<Vec<NeverEntry>>,
    /// The file that holds the recorded timeline, relative to this one. `hvrsim run --bless` writes it, a run compares with it.
    pub golden: Option<GoldenFile>,
}

/// Which reading of the documentation, where there are several.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// Server 2016 and later, or 2012 R2. Default: 2016.
    pub generation: Option<Generation>,
    /// Whether a failback writes into the receiver's disks, or into a stage that a cancel drops. Default: in-place.
    pub failback: Option<scalar::Failback>,
    /// What initial replication after an unplanned reverse sends: differences, or everything. Default: compare.
    pub initial_after_unplanned: Option<scalar::Initial>,
    /// Whether the running new primary keeps hourly recovery points to fail back to. Default: true.
    pub failback_points: Option<Flag>,
}

/// Parameters with a list of values each: every combination is a run.
pub struct Matrix;

impl JsonSchema for Matrix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matrix".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Parameter>();
        schemars::json_schema!({
            "type": "object",
            "description": "Parameters with a list of values each: every combination is a run.",
            "properties": {
                "exclude": {
                    "description": "Combinations that are not run; a combination may leave keys out.",
                    "type": "array",
                    "items": { "type": "object", "additionalProperties": value },
                },
            },
            "additionalProperties": { "type": "array", "minItems": 1, "items": value },
        })
    }
}

/// Something that must not be at any moment.
pub struct NeverEntry;

/// One of these keys, of one machine or of all.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Never {
    /// A machine runs on two hosts at once.
    pub running_on_both: Option<Flag>,
    /// A machine that was replicated once is not for longer than this.
    pub unprotected_longer_than: Option<Time>,
    /// The age of what the other side has, such as "> 15m".
    pub rpo: Option<TooOld>,
    /// Only this machine.
    pub vm: Option<String>,
}

impl JsonSchema for NeverEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NeverEntry".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<Never>();
        schemars::json_schema!({
            "description": "`running-on-both`, or a map with `unprotected-longer-than` or `rpo`.",
            "anyOf": [ { "enum": ["running-on-both"] }, map ],
        })
    }
}

/// The schema of scenario files, as text.
#[must_use]
pub fn scenario() -> String {
    text(&SchemaSettings::draft07().into_generator().into_root_schema_for::<Scenario>())
}

/// The schema of topologies that scenarios include, as text.
#[must_use]
pub fn topology() -> String {
    text(&SchemaSettings::draft07().into_generator().into_root_schema_for::<Topology>())
}

fn text(schema: &Schema) -> String {
    let mut value = schema.as_value().clone();
    without_null(&mut value);
    one_action(&mut value);
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// A key that may be left out is not a key that may be null.
fn without_null(value: &mut Value) {
    let null = json!({ "type": "null" });
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(any)) = map.get_mut("anyOf") {
                any.retain(|one| *one != null);
                if let [Value::Object(only)] = any.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    reference(map, only);
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Draft 7 takes nothing beside a reference, so that a key's own description needs an `allOf`.
fn reference(map: &mut Map<String, Value>, only: Map<String, Value>) {
    if map.is_empty() {
        *map = only;
    } else {
        map.insert("allOf".to_owned(), json!([only]));
    }
}

/// A step has exactly one action.
fn one_action(value: &mut Value) {
    for name in ["definitions", "$defs"] {
        if let Some(step) =
            value.get_mut(name).and_then(|all| all.get_mut("Step")).and_then(Value::as_object_mut)
        {
            let actions = crate::parse::ACTIONS.iter().map(|action| json!({ "required": [action] }));
            step.insert("oneOf".to_owned(), actions.collect());
        }
    }
}
