//! The event log: JSON Lines, a header, one line a record, a footer. Fields keep their order.
//!
//! The log names no path, no store and no real time: the same scenario, seed and images give the same bytes. It holds
//! all that is needed to make the run again, but the given images, which it names by their digests.

use std::collections::BTreeMap;

use hvrsim_sim::ledger::Loss;
use hvrsim_sim::trace::{Record, What};
use hvrsim_types::id::HostId;
use hvrsim_types::state::Power;
use hvrsim_types::time::Instant;
use serde::{Deserialize, Serialize};

use crate::names::Names;

/// The format of the log that this version writes and reads.
pub const FORMAT: u32 = 4;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format of the log.
    pub format: u32,
    /// The version of the program.
    pub tool: String,
    /// The scenario's text.
    pub scenario: String,
    /// The files that it includes, in order.
    pub included: Vec<Included>,
    /// Values of all parameters, those of the matrix included.
    pub params: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// Names of the hosts, by id.
    pub hosts: Vec<String>,
    /// Names of the machines, by id.
    pub vms: Vec<String>,
    /// Where each machine is at the start, by id.
    pub placed: Vec<Placed>,
    /// BLAKE3 of each image that was given, in order.
    pub images: Vec<String>,
}

/// An included file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Included {
    /// Its path as the scenario has it.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A machine at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placed {
    /// Its host's id.
    pub host: HostId,
    /// Its power.
    pub power: Power,
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

#[derive(Deserialize)]
struct LineRead {
    seq: u64,
    at_ns: u64,
    host: Option<String>,
    vm: Option<String>,
    what: What,
}

/// The last line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Footer {
    /// Number of records.
    pub records: u64,
    /// The virtual time at the end.
    pub end_ns: u64,
    /// BLAKE3 over the records' binary form, in hexadecimal.
    pub digest: String,
    /// What did not come out as written; empty if the run is green.
    pub failures: Vec<Failure>,
    /// What was ever written and is missing at the end where the machine goes on, by machine. Each write counts once,
    /// however often records told of it.
    pub lost: BTreeMap<String, Vec<Loss>>,
}

/// Something that did not come out as written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The line in the scenario, from 1.
    pub line: u32,
    /// What was expected, and what was found.
    pub message: String,
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
pub fn record(names: &Names, record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        seq: record.seq,
        at_ns: record.at.0,
        host: record.host.map(|id| names.host(id)),
        vm: record.vm.map(|id| names.vm(id)),
        what: &record.what,
    })
}

/// The footer as a line.
///
/// # Errors
/// None in practice: every field can be written.
pub fn footer(footer: &Footer) -> serde_json::Result<String> {
    serde_json::to_string(footer)
}

/// A log as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The first line.
    pub header: Header,
    /// The records.
    pub records: Vec<Record>,
    /// The last line.
    pub footer: Footer,
}

/// Why a text is not a log: the line from 1, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Log {
    /// Reads a whole log.
    ///
    /// # Errors
    /// The first line that is not as it should be.
    pub fn parse(text: &str) -> Result<Self, LogError> {
        let lines: Vec<&str> = text.lines().collect();
        let wrong = |line: usize, message: String| LogError { line, message };
        let [first, records @ .., last] = lines.as_slice() else {
            return Err(wrong(1, "this is no event log: it has a header, records and a footer".to_owned()));
        };
        let header = Self::header(first).map_err(|message| wrong(1, message))?;
        let names = Names::new(header.hosts.clone(), header.vms.clone());
        let read = |(number, line): (usize, &&str)| {
            read_record(&names, line).map_err(|message| wrong(number, message))
        };
        let records: Vec<Record> = (2..).zip(records).map(read).collect::<Result<_, _>>()?;
        let footer: Footer = serde_json::from_str(last)
            .map_err(|_| wrong(lines.len(), "the footer is missing: the log was cut off".to_owned()))?;
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        if footer.records != count {
            let message = format!("the footer counts {} records, the log has {count}", footer.records);
            return Err(wrong(lines.len(), message));
        }
        Ok(Self { header, records, footer })
    }

    fn header(line: &str) -> Result<Header, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let no_log = "this is no event log: `hvrsim run --events FILE` writes one";
        let version: Version = serde_json::from_str(line).map_err(|_| no_log.to_owned())?;
        if version.format != FORMAT {
            return Err(format!("the log has format {}, this version reads {FORMAT}", version.format));
        }
        serde_json::from_str(line).map_err(|error| format!("the header is damaged: {error}"))
    }

    /// The names in it.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::new(self.header.hosts.clone(), self.header.vms.clone())
    }
}

fn read_record(names: &Names, line: &str) -> Result<Record, String> {
    let read: LineRead = serde_json::from_str(line).map_err(|error| format!("this is no record: {error}"))?;
    let unknown = |name: &str| format!("the header has no `{name}`");
    let host = read.host.map(|name| names.find_host(&name).ok_or_else(|| unknown(&name))).transpose()?;
    let vm = read.vm.map(|name| names.find_vm(&name).ok_or_else(|| unknown(&name))).transpose()?;
    Ok(Record { seq: read.seq, at: Instant(read.at_ns), host, vm, what: read.what })
}
