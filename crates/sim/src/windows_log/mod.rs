//! The Windows event log of every host, made of records alone: a run and a reader of its log agree.

pub mod table;

use std::collections::BTreeMap;
use std::fmt;

use hvrsim_replica::exchange::{Cause, Note};
use hvrsim_replica::service::Trust;
use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::size::Bytes;
use hvrsim_types::state::{Mode, ReplicationState};
use hvrsim_types::time::Instant;

use crate::trace::{Record, What};
use table::Kind;

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When it was written.
    pub at: Instant,
    /// In which host's log.
    pub host: HostId,
    /// About which machine.
    pub vm: Option<VmId>,
    /// What.
    pub kind: &'static Kind,
    /// What belongs to this one; may be empty.
    pub detail: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.level.name(), self.kind.id, self.kind.text)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " {}", self.detail) }
    }
}

/// The logs of all hosts, in the order of what was written.
#[derive(Clone, Debug, Default)]
pub struct WindowsLog {
    entries: Vec<Entry>,
    states: BTreeMap<CopyId, (Mode, ReplicationState)>,
    /// When the resynchronization that a copy leads began.
    began: BTreeMap<CopyId, Instant>,
}

impl WindowsLog {
    /// All entries so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The next record.
    pub fn take(&mut self, record: &Record) {
        let Some(host) = record.host else { return };
        match (record.vm, &record.what) {
            (None, What::Trust(Trust::PrincipalName)) => self.write(record, host, 14050, ""),
            (Some(vm), What::Note(note)) => self.note(record, CopyId { host, vm }, note),
            (Some(vm), What::Session { source, counts, done: true }) => {
                let on = CopyId { host: *source, vm };
                if let Some(began) = self.began.remove(&on) {
                    let sent = Bytes(counts.sent_bytes);
                    self.write(record, *source, 29244, &format!("{sent} sent in {}.", record.at - began));
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, record: &Record, copy: CopyId, note: &Note) {
        use ReplicationState::{Critical, Resynchronizing, WaitingForStartResynchronize};
        let host = copy.host;
        match note {
            Note::Rule { rule, .. } if rule == "EN-3" => self.write(record, host, 32000, ""),
            Note::Rule { after, .. } => {
                let before = self.states.insert(copy, *after);
                let entered = |state| after.1 == state && before != Some(*after);
                if *after == (Mode::Primary, WaitingForStartResynchronize) {
                    self.began.remove(&copy);
                }
                let begins = after.0 == Mode::Primary && entered(Resynchronizing);
                if begins && self.began.insert(copy, record.at).is_none() {
                    self.write(record, host, 29242, "");
                }
                if after.0 == Mode::Primary && entered(Critical) {
                    self.write(record, host, 32086, "");
                }
            }
            Note::SendFailed { cause, .. } => {
                if matches!(cause, Cause::Untrusted(Trust::PrincipalName | Trust::Clock | Trust::Directory)) {
                    self.write(record, host, 29210, "");
                }
                self.write(record, host, 32022, &format!("{}.", cause.text()));
            }
            Note::WillRetry { after } => self.write(record, host, 32315, &format!("in {after}.")),
            Note::IntervalEnded { successes, missed, errors, size_bytes } => {
                let size = Bytes(*size_bytes);
                let detail = format!("{successes} successful, {missed} missed, {errors} errors, {size}.");
                self.write(record, host, 29174, &detail);
            }
            _ => {}
        }
    }

    fn write(&mut self, record: &Record, host: HostId, id: u32, detail: &str) {
        if let Some(kind) = table::kind(id) {
            let detail = detail.to_owned();
            self.entries.push(Entry { at: record.at, host, vm: record.vm, kind, detail });
        }
    }
}
