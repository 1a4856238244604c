//! The trace event format of Chrome, which Perfetto opens: a process a host, a thread a machine, slices for states
//! and steps, spans for jobs, marks for faults. Times are virtual microseconds.

use std::collections::BTreeMap;

use hvrsim_replica::exchange::Note;
use hvrsim_sim::trace::{HostPower, Record, What};
use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::time::Instant;
use serde_json::{Value, json};

use crate::names::Names;

/// The process that stands for the scenario itself.
const SCENARIO: u32 = 0;

/// The whole document.
#[must_use]
pub fn document(names: &Names, records: &[Record], end: Instant) -> String {
    let mut trace = Trace { names, events: Vec::new(), step: None, states: BTreeMap::new() };
    trace.metadata();
    for record in records {
        trace.take(record);
    }
    trace.close(end);
    json!({ "traceEvents": trace.events, "displayTimeUnit": "ms" }).to_string()
}

struct Trace<'a> {
    names: &'a Names,
    events: Vec<Value>,
    step: Option<(Instant, String, u32)>,
    states: BTreeMap<(HostId, VmId), (Instant, String, String)>,
}

const fn micros(at: Instant) -> u64 {
    at.0 / 1000
}

fn process(host: Option<HostId>) -> u32 {
    host.map_or(SCENARIO, |host| u32::from(host.0) + 1)
}

fn thread(vm: Option<VmId>) -> u32 {
    vm.map_or(0, |vm| vm.0 + 1)
}

impl Trace<'_> {
    fn metadata(&mut self) {
        let name = |kind: &str, pid: u32, tid: u32, name: &str| json!({ "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": { "name": name } });
        self.events.push(name("process_name", SCENARIO, 0, "scenario"));
        for (pid, host) in (1..).zip(&self.names.hosts) {
            self.events.push(name("process_name", pid, 0, host));
            self.events.push(name("thread_name", pid, 0, "host"));
            for (tid, vm) in (1..).zip(&self.names.vms) {
                self.events.push(name("thread_name", pid, tid, vm));
            }
        }
    }

    fn slice(&mut self, of: (u32, u32), name: &str, from: Instant, to: Instant, args: &Value) {
        let (pid, tid) = of;
        self.events.push(json!({
            "ph": "X", "name": name, "pid": pid, "tid": tid, "ts": micros(from),
            "dur": micros(to).saturating_sub(micros(from)), "args": args,
        }));
    }

    fn mark(&mut self, record: &Record, name: &str) {
        let (pid, tid) = (process(record.host), thread(record.vm));
        let scope = if record.vm.is_some() { "t" } else { "p" };
        self.events.push(
            json!({ "ph": "i", "name": name, "pid": pid, "tid": tid, "ts": micros(record.at), "s": scope }),
        );
    }

    fn take(&mut self, record: &Record) {
        match &record.what {
            What::Step { line, text, .. } => {
                self.end_step(record.at);
                self.step = Some((record.at, text.clone(), *line));
            }
            What::Note(Note::Rule { rule, before, after }) if before != after => {
                let (mode, state) = *after;
                let name = format!("{mode} {}", state.powershell(mode));
                self.state(record, name, rule.clone());
            }
            What::Note(Note::JobStarted { job, kind, .. }) => self.job(record, "b", job.0, kind.label()),
            What::Note(Note::JobEnded { job, kind, .. }) => self.job(record, "e", job.0, kind.label()),
            What::Called { call, .. } => self.mark(record, &format!("> {call}")),
            What::Refused { call, .. } => self.mark(record, &format!("refused: {call}")),
            What::Host(HostPower::Lost) => self.mark(record, "power lost"),
            What::Host(HostPower::Off) => self.mark(record, "shut down"),
            What::Host(HostPower::Back) => self.mark(record, "back"),
            What::LinkCut { to, .. } => {
                let name = format!("link to {} cut", self.names.host(*to));
                self.mark(record, &name);
            }
            What::LinkBack { to } => {
                let name = format!("link to {} back", self.names.host(*to));
                self.mark(record, &name);
            }
            What::Finding(finding) => self.mark(record, finding.name()),
            What::Power(power) => self.mark(record, &format!("machine {power}")),
            _ => {}
        }
    }

    fn job(&mut self, record: &Record, phase: &str, job: u64, name: &str) {
        let (pid, tid) = (process(record.host), thread(record.vm));
        self.events.push(json!({
            "ph": phase, "cat": "job", "id": format!("{pid}-{job}"), "name": name, "pid": pid, "tid": tid,
            "ts": micros(record.at),
        }));
    }

    fn state(&mut self, record: &Record, name: String, rule: String) {
        let (Some(host), Some(vm)) = (record.host, record.vm) else { return };
        let before = self.states.insert((host, vm), (record.at, name, rule));
        if let Some((from, name, rule)) = before {
            let of = (process(Some(host)), thread(Some(vm)));
            self.slice(of, &name, from, record.at, &json!({ "rule": rule }));
        }
    }

    fn end_step(&mut self, at: Instant) {
        if let Some((from, text, line)) = self.step.take() {
            self.slice((SCENARIO, 0), &text, from, at, &json!({ "line": line }));
        }
    }

    fn close(&mut self, end: Instant) {
        self.end_step(end);
        for ((host, vm), (from, name, rule)) in std::mem::take(&mut self.states) {
            let of = (process(Some(host)), thread(Some(vm)));
            self.slice(of, &name, from, end, &json!({ "rule": rule }));
        }
    }
}
