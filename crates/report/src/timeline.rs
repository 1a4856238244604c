//! The timeline: who did what when, states on both sides, bytes compared and sent, what was lost.
//!
//! Replication cycles that came out well are counted instead of listed.

use std::collections::BTreeMap;
use std::fmt::Write;

use hvrsim_replica::exchange::Note;
use hvrsim_sim::Look;
use hvrsim_sim::incident::table::incident;
use hvrsim_sim::trace::{HostPower, Record, What};
use hvrsim_types::id::{EXTENDED_SUFFIX, HostId, VmId};
use hvrsim_types::job::JobState;
use hvrsim_types::size::Bytes;
use hvrsim_types::state::ReplicationType;
use hvrsim_types::time::{Instant, Span};

use crate::names::Names;

/// Cycles of one copy since the last line about them.
#[derive(Clone, Copy, Default)]
struct Cycles {
    delivered: u64,
    bytes: u64,
    missed: u64,
    points: u64,
    last: Instant,
}

/// Writes a timeline as records come.
pub struct Timeline {
    names: Names,
    cycles: BTreeMap<(HostId, VmId), Cycles>,
    /// Lines in the file are told.
    places: bool,
}

/// Widths of the columns of hosts and machines.
const HOST_WIDTH: usize = 8;
const VM_WIDTH: usize = 10;

impl Timeline {
    /// An empty one.
    #[must_use]
    pub const fn new(names: Names) -> Self {
        Self { names, cycles: BTreeMap::new(), places: true }
    }

    /// One that does not change when the steps move in their file.
    #[must_use]
    pub const fn without_places(names: Names) -> Self {
        Self { names, cycles: BTreeMap::new(), places: false }
    }

    /// The lines of these records, each ended.
    pub fn lines(&mut self, records: &[Record]) -> String {
        let mut out = String::new();
        for record in records {
            if self.counted(record) {
                continue;
            }
            if let Some(text) = text(&self.names, record) {
                self.flush(&mut out);
                self.line(&mut out, record, &text);
            }
        }
        out
    }

    /// What is still counted and not told.
    pub fn rest(&mut self) -> String {
        let mut out = String::new();
        self.flush(&mut out);
        out
    }

    fn line(&self, out: &mut String, record: &Record, text: &str) {
        let place = |line: u32| if self.places { format!("  (line {line})") } else { String::new() };
        match &record.what {
            What::Step { number: 0, .. } => drop(writeln!(out, "\n{text}")),
            What::Step { number, line, .. } => drop(writeln!(out, "\n{number}. {text}{}", place(*line))),
            What::Expected { line, .. } => {
                row(
                    out,
                    &self.names,
                    record.at,
                    (record.host, record.vm),
                    &format!("{text}{}", place(*line)),
                );
            }
            _ => {
                for part in text.lines() {
                    row(out, &self.names, record.at, (record.host, record.vm), part);
                }
            }
        }
    }

    /// Counts a record that is not listed by itself.
    fn counted(&mut self, record: &Record) -> bool {
        let (Some(host), Some(vm), What::Note(note)) = (record.host, record.vm, &record.what) else {
            return false;
        };
        let (delivered, missed, point) = match note {
            Note::Delivered { log, .. } if log.kind == ReplicationType::Regular => (log.bytes, 0, 0),
            Note::Rule { rule, .. } if rule == "ST-17" => (0, 1, 0),
            Note::PointTaken { kind: ReplicationType::Regular, .. } => (0, 0, 1),
            Note::PointDropped { .. } => return true,
            _ => return false,
        };
        let cycles = self.cycles.entry((host, vm)).or_default();
        cycles.delivered += u64::from(delivered > 0);
        cycles.bytes += delivered;
        cycles.missed += missed;
        cycles.points += point;
        cycles.last = record.at;
        true
    }

    fn flush(&mut self, out: &mut String) {
        let mut counted: Vec<_> = std::mem::take(&mut self.cycles).into_iter().collect();
        counted.sort_by_key(|(_, cycles)| cycles.last);
        for ((host, vm), cycles) in counted {
            let mut parts = Vec::new();
            if cycles.delivered > 0 {
                parts.push(format!("{}, {}", many(cycles.delivered, "cycle"), Bytes(cycles.bytes)));
            }
            if cycles.missed > 0 {
                parts.push(format!("{} missed", cycles.missed));
            }
            if cycles.points > 0 {
                parts.push(format!("{} kept", many(cycles.points, "recovery point")));
            }
            row(out, &self.names, cycles.last, (Some(host), Some(vm)), &format!("  {}", parts.join(", ")));
        }
    }
}

fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn row(out: &mut String, names: &Names, at: Instant, of: (Option<HostId>, Option<VmId>), text: &str) {
    let host = of.0.map_or("", |id| names.host(id));
    let vm = of.1.map(|id| names.vm(id)).unwrap_or_default();
    let row = format!("  {:<17} {host:<HOST_WIDTH$} {vm:<VM_WIDTH$} {text}", at.to_string());
    let _ = writeln!(out, "{}", row.trim_end());
}

/// A record in words, without the signs of the timeline; `None` if it is left out.
pub(crate) fn words(names: &Names, record: &Record) -> Option<String> {
    text(names, record).map(|text| text.trim_start().to_owned())
}

/// Whether a timeline tells of the record.
pub(crate) fn tells(record: &Record) -> bool {
    text(&Names::default(), record).is_some()
}

/// A record in words; `None` if the timeline leaves it out.
fn text(names: &Names, record: &Record) -> Option<String> {
    Some(match &record.what {
        What::Called { call, job: Some(job), .. } => format!("> {call}  [job {}]", job.0),
        What::Called { call, .. } => format!("> {call}"),
        What::Refused { call, code, text, .. } => format!("> {call}\n  refused, {code}: {text}"),
        What::Note(Note::WillRetry { after }) => {
            format!("  no answer; next attempt at {}", record.at + *after)
        }
        What::Note(Note::Redirected { from, to }) => {
            format!("  the broker sends it to {} instead of {}", names.host(*to), names.host(*from))
        }
        What::Note(note) => return self::note(note),
        What::Address { address, heard: true, .. } => {
            let address = address.map_or_else(|| "one of DHCP".to_owned(), |a| a.to_string());
            format!("  the guest takes the failover address {address}")
        }
        What::Address { heard: false, .. } => {
            "! the guest was told its failover address and does not hear".to_owned()
        }
        What::Moved { from } => format!("  moved here from {}", names.host(*from)),
        What::WorkerCrash => "! the worker process of the machine crashed".to_owned(),
        What::Trust(trust) => format!("! {}", trust.text()),
        What::Incident { name, to } => {
            let fault = incident(name).map_or("", |incident| incident.fault);
            format!("! {name}{}: {fault}", to_end(names, *to))
        }
        What::Mended { name, to } => format!("! {name}{} is over", to_end(names, *to)),
        What::Machine { made: true } => "  machine made".to_owned(),
        What::Machine { made: false } => "  machine deleted".to_owned(),
        What::Power(power) => format!("  machine {power}"),
        What::Host(power) => match power {
            HostPower::Lost => "! host lost its power".to_owned(),
            HostPower::Off => "! host shut down".to_owned(),
            HostPower::Back => "! host is back".to_owned(),
        },
        What::LinkCut { to, lasts } => {
            let lasts = lasts.map_or_else(String::new, |span: Span| format!(" for {span}"));
            format!("! link to {} cut{lasts}", names.host(*to))
        }
        What::LinkBack { to } => format!("! link to {} carries again", names.host(*to)),
        What::Wrote { tag, bytes } if tag.is_empty() => format!("  guest wrote {}", Bytes(*bytes)),
        What::Wrote { tag, bytes } => format!("  guest wrote `{tag}`, {}", Bytes(*bytes)),
        What::Transfer { source, percent: 0 } => {
            format!("  transfer from {} begins", names.host(*source))
        }
        What::Transfer { source, percent } => {
            format!("  transfer from {} goes on at {percent} %", names.host(*source))
        }
        What::Session { source, counts, done: true } if counts.blocks_total == 0 => {
            format!("  nothing to receive from {}", names.host(*source))
        }
        What::Session { source, counts, done } => {
            let resent = if counts.resent_bytes == 0 {
                String::new()
            } else {
                format!(" ({} of it again)", Bytes(counts.resent_bytes))
            };
            format!(
                "  {} from {}: compared {}, sent {}{resent}",
                if *done { "everything received" } else { "transfer given up" },
                names.host(*source),
                Bytes(counts.compared_bytes),
                Bytes(counts.sent_bytes),
            )
        }
        What::Heat { .. } | What::Choices { .. } => return None,
        What::Lost(losses) => {
            let lines: Vec<String> = losses.iter().map(|loss| format!("  lost {loss}")).collect();
            lines.join("\n")
        }
        What::Finding(finding) => format!("! finding: {}", finding.name()),
        What::Text(text) if text.is_empty() => return None,
        What::Text(text) => format!("  {}", text.replace('\n', "\n  ")),
        What::Step { text, .. } => text.clone(),
        What::Expected { met, text, .. } => {
            let words: Vec<&str> = text.split_whitespace().collect();
            format!("{} {}", if *met { "ok   " } else { "WRONG" }, words.join(" "))
        }
    })
}

/// The other end, of what is about a link.
fn to_end(names: &Names, to: Option<HostId>) -> String {
    to.map_or_else(String::new, |to| format!(" (to {})", names.host(to)))
}

fn note(note: &Note) -> Option<String> {
    Some(match note {
        Note::Rule { before, after, .. } if before == after => return None,
        Note::Rule { rule, before, after } => {
            let name = |(mode, state): (hvrsim_types::state::Mode, hvrsim_types::state::ReplicationState)| {
                format!("{mode} {}", state.powershell(mode))
            };
            format!("  {} -> {}  [{rule}]", name(*before), name(*after))
        }
        Note::JobStarted { .. } | Note::JobStage { .. } => return None,
        Note::JobEnded { state: JobState::Completed, .. } => return None,
        Note::JobEnded { job, kind, state, code, text } => {
            format!("  job {} ({}) {state}: {} {text}", job.0, kind.label(), code.0)
        }
        Note::Delivered { log, latency } => {
            format!("  last changes delivered, {}, after {latency}", Bytes(log.bytes))
        }
        Note::WillRetry { .. } | Note::Redirected { .. } => return None,
        Note::PointTaken { kind, .. } => format!("  {kind} recovery point kept"),
        Note::VssFailed => {
            "  no application-consistent recovery point: the guest's VSS writers fail".to_owned()
        }
        Note::PointDropped { .. } | Note::SendFailed { .. } | Note::IntervalEnded { .. } => return None,
    })
}

/// How everything stands at the end: each copy, a line.
#[must_use]
pub fn standing(names: &dyn Look) -> String {
    let mut out = String::new();
    for vm in names.vm_names() {
        let Some(id) = names.vm(&vm) else { continue };
        for host in names.host_names() {
            let Some(host_id) = names.host(&host) else { continue };
            let copy = hvrsim_types::id::CopyId { host: host_id, vm: id };
            let Some(view) = names.copy(copy) else { continue };
            let state = format!("{} {}", view.mode, view.state.powershell(view.mode));
            let down = if names.host_is_up(host_id) { "" } else { "  (host is down)" };
            let _ = writeln!(
                out,
                "  {host:<HOST_WIDTH$} {vm:<VM_WIDTH$} {state:<40} {:<10} {}{down}",
                view.health.to_string(),
                view.power,
            );
            if let Some(view) = names.copy(copy.extended()) {
                let name = format!("{vm}{EXTENDED_SUFFIX}");
                let state = view.state.powershell(view.mode);
                let _ = writeln!(out, "  {host:<HOST_WIDTH$} {name:<VM_WIDTH$} {state:<40} {}", view.health);
            }
        }
    }
    out
}
