//! Steps: exactly one action each, with the keys that go with it.

use hvrsim_replica::service::Trust;
use hvrsim_replica::table;
use hvrsim_sim::incident::table::{Act, Deed, INCIDENTS, Incident, On, incident};
use hvrsim_sim::incident::{Strike, Target};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::near::nearest;
use hvrsim_types::size::{Bytes, CELL};
use hvrsim_wmi::table::METHODS;

use super::Reader;
use super::fields::{Fields, listed, suggestion};
use crate::model::step::{
    Action, Condition, Fails, Fault, HostPower, Manager, Mark, Operator, Repair, Repeat, Run, Step, Until,
    Write,
};
use crate::model::value::Relation;
use crate::source::{At, Place};
use crate::yaml::{Kind, Node, Style};

/// The keys that say what a step does.
pub(crate) const ACTIONS: &[&str] = &[
    "run", "invoke", "manager", "write", "advance", "until", "fault", "repair", "expect", "mark", "note",
    "repeat", "parallel",
];
/// Keys that newcomers put beside an action, and what they stand inside of.
const INSIDE: &[(&str, &str)] = &[
    ("timeout", "until: { ..., timeout: 2h }"),
    ("rule", "fails: { rule: PF-67 }"),
    ("code", "fails: { code: 32775 }"),
    ("times", "repeat: { times: 3, steps: [ ... ] }"),
    ("steps", "repeat: { times: 3, steps: [ ... ] }"),
];
/// More rounds than anybody reads are an accident.
const MAX_TIMES: u64 = 100_000;
/// The keys that go with some actions, and with which.
const COMPANIONS: &[(&str, &[&str])] = &[
    ("host", &["run", "invoke"]),
    ("fails", &["run", "invoke", "manager"]),
    ("as", &["run", "invoke"]),
    ("with", &["invoke"]),
    ("returns", &["invoke"]),
    ("within", &["run", "invoke", "until", "repeat", "parallel"]),
];

impl Reader<'_> {
    pub(super) fn step(&mut self, node: &Node) -> Option<Step> {
        let known: Vec<&str> = ["name"]
            .into_iter()
            .chain(ACTIONS.iter().copied())
            .chain(COMPANIONS.iter().map(|(key, _)| *key))
            .collect();
        let misplaced = |key: &str| {
            let inside = INSIDE.iter().find(|(name, _)| *name == key);
            inside.map(|(_, form)| format!("it stands inside: `{form}`"))
        };
        let fields = self.fields_or(node, "a step", &known, &misplaced)?;
        let name = self.optional(&fields, "name", Self::text).map(|at| at.value);
        let (word, place) = self.one_action(&fields)?;
        for (key, with) in COMPANIONS {
            if let Some(key) = fields.key(key).filter(|_| !with.contains(&word)) {
                let message = format!("`{}` does not go with `{word}`", key.text);
                let help = Some(format!("it belongs to a step with {}", listed(with.iter().copied())));
                self.error(key.place, message, help);
            }
        }
        let within = self.optional(&fields, "within", Self::span);
        let node = fields.get(word)?;
        let action = self.action(word, &fields, node);
        if action.is_none() {
            self.keep_job_name(&fields);
        }
        Some(Step { place, name, within, action: action? })
    }

    fn action(&mut self, word: &str, fields: &Fields<'_>, node: &Node) -> Option<Action> {
        Some(match word {
            "run" => Action::Run(self.run(fields, node)?),
            "invoke" => Action::Invoke(self.invoke(fields, node)?),
            "manager" => Action::Manager(self.manager(fields, node)?),
            "write" => Action::Write(self.write(node)?),
            "advance" => Action::Advance(self.span(node)?),
            "until" => Action::Until(self.until(node)?),
            "fault" => Action::Fault(self.fault(node)?),
            "repair" => Action::Repair(self.repair(node)?),
            "expect" => Action::Expect(self.expect(node)?),
            "mark" => Action::Mark(self.mark(node)?),
            "repeat" => Action::Repeat(self.repeat(node)?),
            "parallel" => Action::Parallel(self.parallel(node)?),
            _ => Action::Note(self.text(node)?),
        })
    }

    /// A step that is wrong still gives its job a name: that later steps use it is not wrong, too.
    fn keep_job_name(&mut self, fields: &Fields<'_>) {
        let known = |node: &&Node| self.jobs.iter().any(|job| job.place == node.place);
        if fields.get("as").filter(|node| !known(node)).is_some() {
            self.new_job(fields);
        }
    }

    /// The one key that says what the step does.
    fn one_action(&mut self, fields: &Fields<'_>) -> Option<(&'static str, Place)> {
        let mut found = fields.keys().filter_map(|key| {
            let word = ACTIONS.iter().find(|action| **action == key.text)?;
            Some((*word, key.place))
        });
        let Some((word, place)) = found.next() else {
            let unknown = fields.keys().any(|key| {
                !matches!(key.text.as_str(), "name" | "host" | "as" | "fails" | "with" | "within")
            });
            if !unknown {
                let help = format!("a step has one of {}", listed(ACTIONS.iter().copied()));
                self.error(fields.place, "this step does nothing", Some(help));
            }
            return None;
        };
        if let Some((second, second_place)) = found.next() {
            let message = format!("a step does one thing, this one has `{word}` and `{second}`");
            self.error(second_place, message, Some("begin a new step with `- `".to_owned()));
            return None;
        }
        Some((word, place))
    }

    fn repeat(&mut self, node: &Node) -> Option<Repeat> {
        let fields = self.fields(node, "`repeat`", &["times", "steps"])?;
        let times = self.need(&fields, "times").and_then(|n| self.count(n));
        let steps = self.need(&fields, "steps").and_then(|n| self.steps(n, "`steps` of `repeat`"));
        let times = times?;
        if times.value == 0 || times.value > MAX_TIMES {
            self.error(
                times.place,
                format!("steps are repeated once or more, at most {MAX_TIMES} times"),
                None,
            );
            return None;
        }
        Some(Repeat { times: times.value, steps: steps? })
    }

    fn parallel(&mut self, node: &Node) -> Option<Vec<Operator>> {
        if self.parallel {
            let help = Some("name all operators in the outer one".to_owned());
            self.error(node.place, "`parallel` inside of `parallel`", help);
            return None;
        }
        let entries = self.entries(node, "`parallel`")?;
        if entries.len() < 2 {
            let help = Some("such as `parallel: { north: [ ... ], south: [ ... ] }`".to_owned());
            self.error(node.place, "`parallel` needs two operators, each with a list of steps", help);
        }
        self.parallel = true;
        let mut operators = Vec::new();
        for (key, node) in entries {
            let name = At::new(key.text.clone(), key.place);
            if let Some(steps) = self.steps(node, "what an operator does") {
                operators.push(Operator { name, steps });
            }
        }
        self.parallel = false;
        Some(operators)
    }

    fn run(&mut self, fields: &Fields<'_>, node: &Node) -> Option<Run> {
        let host = self.optional(fields, "host", Self::host);
        let text = self.scalar(node, "cmdlets as text, one a line, below `run: |`")?;
        if matches!(node.kind, Kind::Scalar(_, Style::Folded)) {
            let message = "`>` joins lines, but here one line is one cmdlet";
            self.error(node.place, message, Some("write `run: |`".to_owned()));
            return None;
        }
        let lines = self.cmdlets(node, text, fields.has("host"));
        let fails = self.optional(fields, "fails", Self::fails);
        let job = self.new_job(fields);
        Some(Run { host, lines, fails, job })
    }

    fn manager(&mut self, fields: &Fields<'_>, node: &Node) -> Option<Manager> {
        let inner = self.fields(node, "`manager`", &["failover"])?;
        let failover = self.need(&inner, "failover").and_then(|n| self.copy(n));
        let fails = self.optional(fields, "fails", Self::fails);
        Some(Manager { failover: failover?, fails })
    }

    pub(super) fn fails(&mut self, node: &Node) -> Option<Fails> {
        let fields = self.fields(node, "`fails`", &["rule", "code", "id", "message"])?;
        if fields.keys().next().is_none() {
            self.error(
                fields.place,
                "`fails` needs at least one of `rule`, `code`, `id` and `message`",
                None,
            );
        }
        Some(Fails {
            place: fields.place,
            rule: self.optional(&fields, "rule", Self::rule),
            code: self.optional(&fields, "code", Self::number_of_code),
            id: self.optional(&fields, "id", Self::text),
            message: self.optional(&fields, "message", Self::text),
        })
    }

    /// The id of a rule of the life cycle, as the table has it.
    fn rule(&mut self, node: &Node) -> Option<At<&'static str>> {
        let text = self.scalar(node, "the id of a rule such as PF-67")?;
        if let Some(rule) = table::rule(text) {
            return Some(At::new(rule.id, node.place));
        }
        let help = match nearest(text, table::rules().map(|rule| rule.id)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "an id is a group and a number, such as PF-67".to_owned(),
        };
        self.error(node.place, format!("no rule has the id `{text}`"), Some(help));
        None
    }

    /// The number of a return code: a published one of the replication service, or one of another class.
    pub(super) fn number_of_code(&mut self, node: &Node) -> Option<At<ReturnCode>> {
        let all = METHODS.iter().flat_map(|method| method.returns).chain(ReturnCode::ALL);
        let mut codes: Vec<String> = all.map(|code| code.0.to_string()).collect();
        codes.sort_unstable();
        codes.dedup();
        let names: Vec<&str> = codes.iter().map(String::as_str).collect();
        let read = |text: &str| names.contains(&text).then(|| text.parse().ok().map(ReturnCode)).flatten();
        self.named(node, "a published return code", &names, read)
    }

    /// `as`: a new name for a job.
    pub(super) fn new_job(&mut self, fields: &Fields<'_>) -> Option<At<String>> {
        let job = fields.get("as").and_then(|node| self.name(node))?;
        if let Some(first) = self.jobs.iter().find(|known| known.value == job.value) {
            let help = Some(format!("it was given in line {}", first.place.line));
            self.error(job.place, format!("the name `{}` is another job's already", *job), help);
        } else {
            self.jobs.push(job.clone());
        }
        Some(job)
    }

    /// The name of a job that an earlier step has started.
    pub(super) fn known_job(&mut self, node: &Node) -> Option<At<String>> {
        let job = self.name(node)?;
        if self.jobs.iter().any(|known| known.value == job.value) {
            return Some(job);
        }
        let jobs = self.jobs.clone();
        let names: Vec<&str> = jobs.iter().map(|job| job.value.as_str()).collect();
        let help = if names.is_empty() {
            "name a job with `as` in the step that starts it".to_owned()
        } else {
            suggestion(&job, &names, "jobs up to here:")
        };
        self.error(job.place, format!("no job is called `{}` up to here", *job), Some(help));
        None
    }

    fn write(&mut self, node: &Node) -> Option<Write> {
        let fields = self.fields(node, "`write`", &["vm", "host", "disk", "offset", "bytes", "tag"])?;
        let vm = self.need(&fields, "vm").and_then(|n| self.vm(n));
        let host = self.optional(&fields, "host", Self::host);
        let disk = self.optional(&fields, "disk", Self::disk_index);
        let offset = self.need(&fields, "offset").and_then(|n| self.aligned(n));
        let bytes = self.need(&fields, "bytes").and_then(|n| self.aligned(n));
        let tag = self.optional(&fields, "tag", Self::name).map(|at| at.value);
        self.tags.extend(tag.clone());
        let (vm, offset, bytes) = (vm?, offset?, bytes?);
        let index = disk.map_or(0, |at| at.value);
        if bytes.value == Bytes(0) {
            self.error(bytes.place, "a write of nothing", None);
        }
        self.check_disk(vm.index(), index, disk.map_or(fields.place, |at| at.place));
        let size =
            self.sizes.get(vm.index()).and_then(|disks| disks.get(usize::from(index)).copied().flatten());
        let end = offset.0.saturating_add(bytes.0);
        if let Some(size) = size.filter(|size| end > *size) {
            let message =
                format!("the write ends {} after the end of the disk ({})", Bytes(end - size), Bytes(size));
            self.error(bytes.place, message, None);
        }
        Some(Write {
            place: node.place,
            vm,
            host,
            disk: index,
            offset: offset.value,
            bytes: bytes.value,
            tag,
        })
    }

    fn aligned(&mut self, node: &Node) -> Option<At<Bytes>> {
        let bytes = self.bytes(node)?;
        if !bytes.0.is_multiple_of(CELL) {
            self.error(bytes.place, "guests write multiples of 4 KiB, at multiples of 4 KiB", None);
            return None;
        }
        Some(bytes)
    }

    fn until(&mut self, node: &Node) -> Option<Until> {
        let timeout = |r: &mut Self, fields: &Fields<'_>| r.optional(fields, "timeout", Self::span);
        let entries = self.entries(node, "`until`")?;
        let (condition, timeout) = if entries.iter().any(|(key, _)| key.text == "job") {
            let keys = ["job", "state", "progress", "sent", "compared", "resent", "error", "timeout"];
            let fields = self.fields(node, "`until` of a job", &keys)?;
            let timeout = timeout(self, &fields);
            (self.job_expectation(&fields, Relation::AtLeast).map(Condition::Job), timeout)
        } else {
            let keys = [
                "vm",
                "host",
                "relationship",
                "mode",
                "replication",
                "health",
                "power",
                "recovery-points",
                "address",
                "switch",
                "timeout",
            ];
            let fields = self.fields(node, "`until` of a copy", &keys)?;
            let timeout = timeout(self, &fields);
            (self.copy_expectation(&fields).map(Condition::Copy), timeout)
        };
        let timeout = timeout.map_or(Until::DEFAULT_TIMEOUT, |at| at.value);
        Some(Until { place: node.place, condition: condition?, timeout })
    }

    fn fault(&mut self, node: &Node) -> Option<Fault> {
        let known =
            ["link", "cut", "host", "power", "trust", "worker", "incident", "at", "for", "rate", "by"];
        let fields = self.fields(node, "`fault`", &known)?;
        if fields.has("incident") {
            return self.strike(&fields);
        }
        for key in ["at", "for", "rate", "by"].iter().filter_map(|key| fields.key(key)) {
            let help = Some("such as { incident: replica-volume-full, at: HV2 }".to_owned());
            self.error(key.place, format!("`{}` goes with `incident`", key.text), help);
        }
        if let Some(worker) = fields.get("worker") {
            for key in ["link", "cut", "host", "power", "trust"].iter().filter_map(|key| fields.key(key)) {
                let help = Some("a fault is { worker: HOST/VM }".to_owned());
                self.error(key.place, format!("`{}` does not go with `worker`", key.text), help);
            }
            return Some(Fault::Worker { copy: self.copy(worker)? });
        }
        let link = fields.get("link");
        let wrong: &[&str] = if link.is_some() { &["host", "power", "trust"] } else { &["cut"] };
        for key in wrong.iter().filter_map(|key| fields.key(key)) {
            let help = Some(
                "a fault is { link, cut }, { host, power }, { host, trust }, { worker } or { incident, at }"
                    .to_owned(),
            );
            self.error(key.place, format!("`{}` does not go with this fault", key.text), help);
        }
        if let Some(link) = link {
            let link = self.link(link);
            let span = self.need(&fields, "cut").and_then(|n| match &n.kind {
                Kind::Scalar(text, _) if text == "forever" => Some(None),
                _ => self.span(n).map(|at| Some(at.value)),
            });
            return Some(Fault::LinkCut { link: link?, span: span? });
        }
        if !fields.has("host") {
            self.error(
                fields.place,
                "a fault needs `link` and `cut`, `host` and `power`, `host` and `trust`, `worker`, or `incident` and `at`",
                None,
            );
            return None;
        }
        let host: Option<At<HostId>> = fields.get("host").and_then(|n| self.host(n));
        if let Some(node) = fields.get("trust") {
            let trust = self.word(node, "what others find when they authenticate to a host", Trust::ALL);
            return Some(Fault::HostTrust { host: host?, trust: trust?.value });
        }
        let power = self.need(&fields, "power").and_then(|n| {
            self.word(
                n,
                "what happens to a host's power",
                &[("lost", HostPower::Lost), ("shut-down", HostPower::Off), ("back", HostPower::Back)],
            )
        });
        Some(Fault::HostPower { host: host?, power: power?.value })
    }

    /// The incident of the catalogue, and where it happens.
    fn incident_at(&mut self, fields: &Fields<'_>) -> Option<(&'static Incident, At<Target>)> {
        let names: Vec<&str> = INCIDENTS.iter().map(|incident| incident.name).collect();
        let node = fields.get("incident")?;
        let incident = self.named(node, "the name of an incident", &names, incident)?.value;
        let at = self.need(fields, "at")?;
        let target = match incident.on {
            On::Link => self.link(at).map(|link| At::new(Target::Link(link.value), link.place)),
            On::Host => self.host(at).map(|host| At::new(Target::Host(host.value), host.place)),
            On::Copy => self.copy(at).map(|copy| At::new(Target::Copy(copy.value), copy.place)),
        };
        Some((incident, target?))
    }

    fn strike(&mut self, fields: &Fields<'_>) -> Option<Fault> {
        for key in
            ["link", "cut", "host", "power", "trust", "worker"].iter().filter_map(|key| fields.key(key))
        {
            let help = Some("an incident is { incident: NAME, at: WHERE }".to_owned());
            self.error(key.place, format!("`{}` does not go with `incident`", key.text), help);
        }
        let (incident, at) = self.incident_at(fields)?;
        let taken =
            [("for", incident.lasts()), ("rate", incident.takes_rate()), ("by", incident.takes_time())];
        for key in taken.iter().filter(|(_, takes)| !takes).filter_map(|(key, _)| fields.key(key)) {
            self.error(key.place, format!("`{}` says nothing of `{}`", key.text, incident.name), None);
        }
        if let Target::Copy(copy) = at.value {
            self.disks_change(copy.vm, incident);
        }
        let lasts = self.optional(fields, "for", Self::span).map(|at| at.value);
        let rate = self.optional(fields, "rate", Self::rate).map(|at| at.value);
        let by = self.optional(fields, "by", Self::span).map(|at| at.value);
        Some(Fault::Incident(At::new(Strike { incident, target: at.value, lasts, rate, by }, at.place)))
    }

    /// From here on the machine has another disk, or one of another size: what is written to it is checked when it is.
    fn disks_change(&mut self, vm: VmId, incident: &Incident) {
        let Some(sizes) = self.sizes.get_mut(vm.index()) else { return };
        match incident.act {
            Act::Do(Deed::AddDisk) => sizes.push(None),
            Act::Do(Deed::GrowDisk | Deed::GrowBeforeResync | Deed::ShrinkDisk) => sizes.fill(None),
            _ => {}
        }
    }

    fn repair(&mut self, node: &Node) -> Option<Repair> {
        let fields = self.fields(node, "`repair`", &["link", "incident", "at"])?;
        if fields.has("incident") {
            if let Some(key) = fields.key("link") {
                self.error(key.place, "`link` does not go with `incident`", None);
            }
            let (incident, at) = self.incident_at(&fields)?;
            if !incident.lasts() {
                let place = fields.get("incident").map_or(fields.place, |node| node.place);
                let message = format!("`{}` is no state that ends, it happens once", incident.name);
                self.error(place, message, Some(incident.cure.to_owned()));
                return None;
            }
            return Some(Repair::Incident { incident, at: at.value });
        }
        self.need(&fields, "link").and_then(|n| self.link(n)).map(Repair::Link)
    }

    fn mark(&mut self, node: &Node) -> Option<Mark> {
        let fields = self.fields(node, "`mark`", &["point", "as"])?;
        let point = self.need(&fields, "point").and_then(|n| self.point(n));
        let name = self.need(&fields, "as").and_then(|n| self.name(n))?;
        if name.starts_with('-') || name.contains('@') || name.contains(char::is_whitespace) {
            self.error(
                name.place,
                "the name of a recovery point has no blank, no `@` and no `-` in front",
                None,
            );
        } else if self.names.marks.contains(&name.value) {
            self.error(name.place, format!("another recovery point is marked as `{}` already", *name), None);
        } else {
            self.names.marks.push(name.value.clone());
        }
        Some(Mark { point: point?, name })
    }
}
