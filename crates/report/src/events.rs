//! The event log: JSON Lines, a header, one line a record, a footer. Fields keep their order.
//!
//! The log names no path, no store and no real time: the same scenario, seed and images give the same bytes.

use hvrsim_sim::Look;
use hvrsim_sim::trace::{Record, TRACE_VERSION, What};
use hvrsim_types::time::Instant;
use serde::Serialize;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Header {
    /// The format of the log.
    pub format: u32,
    /// The version of the program.
    pub tool: String,
    /// The scenario's text.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Names of the hosts, by id.
    pub hosts: Vec<String>,
    /// Names of the machines, by id.
    pub vms: Vec<String>,
    /// BLAKE3 of each image that was given, in order.
    pub images: Vec<String>,
}

impl Header {
    /// A header of this version's format.
    #[must_use]
    pub fn new(tool: &str, scenario: &str, seed: u64, hosts: Vec<String>, vms: Vec<String>) -> Self {
        let (tool, scenario) = (tool.to_owned(), scenario.to_owned());
        Self { format: TRACE_VERSION, tool, scenario, seed, hosts, vms, images: Vec::new() }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vm: Option<&'a str>,
    what: &'a What,
}

#[derive(Serialize)]
struct Footer<'a> {
    records: u64,
    end_ns: u64,
    digest: &'a str,
}

/// The header as a line.
///
/// # Errors
/// None in practice: every field can be written.
pub fn header(header: &Header) -> serde_json::Result<String> {
    serde_json::to_string(header)
}

/// A record as a line.
///
/// # Errors
/// None in practice: every field can be written.
pub fn record(names: &dyn Look, record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        seq: record.seq,
        at_ns: record.at.0,
        host: record.host.map(|id| names.host_name(id)),
        vm: record.vm.map(|id| names.vm_name(id)),
        what: &record.what,
    })
}

/// The footer as a line.
///
/// # Errors
/// None in practice: every field can be written.
pub fn footer(records: u64, end: Instant, digest: &str) -> serde_json::Result<String> {
    serde_json::to_string(&Footer { records, end_ns: end.0, digest })
}
