//! Expectations, and the conditions of `until`.

use hvrsim_sim::findings::table::{KINDS, Kind as FindingKind};
use hvrsim_sim::windows_log;
use hvrsim_types::id::VmId;
use hvrsim_types::job::JobState;
use hvrsim_types::time::Span;

use super::Reader;
use super::fields::{Fields, listed, suggestion};
use crate::model::expect::{
    CopyExpectation, EventExpectation, Expectation, JobExpectation, Lost, LostExpectation, Never, NeverWhat,
    ProtectionExpectation, ValueExpectation,
};
use crate::model::value::{Comparison, Relation};
use crate::source::At;
use crate::yaml::{Key, Kind, Node};

/// What says which copy is meant, and which of its relationships.
const OF: &[&str] = &["vm", "host", "relationship"];
/// The keys of expectations that are not of a copy, as kinds are told apart by them.
const KINDS_BY_KEY: &[&str] =
    &["job", "value", "lost", "disks", "disk", "finding", "not", "protected", "rpo", "event"];
/// What can be said of a copy.
const OF_COPY: &[&str] = &["mode", "replication", "health", "power", "recovery-points", "address", "switch"];
/// What can be said of a machine's protection.
const OF_PROTECTION: &[&str] = &["protected", "rpo"];
/// What can be said of a job.
const OF_JOB: &[&str] = &["state", "progress", "sent", "compared", "resent", "error"];

impl Reader<'_> {
    pub(super) fn expect(&mut self, node: &Node) -> Option<Vec<At<Expectation>>> {
        let Kind::List(items) = &node.kind else {
            let help = Some("begin each expectation with `- `, or write `expect: [ { ... } ]`".to_owned());
            self.error(node.place, format!("`expect` is a list, found {}", node.found()), help);
            return None;
        };
        if items.is_empty() {
            self.error(node.place, "`expect` expects nothing", None);
        }
        let read: Vec<Option<At<Expectation>>> = items.iter().map(|item| self.expectation(item)).collect();
        read.into_iter().collect()
    }

    fn expectation(&mut self, node: &Node) -> Option<At<Expectation>> {
        let entries = self.entries(node, "an expectation")?;
        let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
        let expectation = if has("job") {
            let fields = self.fields(node, "an expectation of a job", &with(&["job"], OF_JOB))?;
            Expectation::Job(self.job_expectation(&fields, Relation::Equal)?)
        } else if has("event") {
            self.event(node)?
        } else if has("lost") {
            self.lost(node)?
        } else if has("disks") {
            self.identical(node)?
        } else if has("value") {
            self.returned(node)?
        } else if has("disk") || has("same-as") {
            let fields = self.fields(node, "an expectation of a disk", &["disk", "same-as"])?;
            let disk = self.need(&fields, "disk").and_then(|n| self.copy(n));
            let same_as = self.need(&fields, "same-as").and_then(|n| self.content(n));
            Expectation::SameContent { disk: disk?, same_as: same_as? }
        } else if has("finding") || has("not") {
            self.finding(node)?
        } else if has("protected") || has("rpo") {
            self.protection(node)?
        } else if has("vm") || has("host") {
            self.kind_is_clear(entries)?;
            let fields = self.fields(node, "an expectation of a copy", &with(OF, OF_COPY))?;
            Expectation::Copy(self.copy_expectation(&fields)?)
        } else {
            let help = match entries.first() {
                Some((key, _)) => suggestion(&key.text, &with(&["vm"], KINDS_BY_KEY), "it has one of"),
                None => format!("it has one of {}", listed(with(&["vm"], KINDS_BY_KEY))),
            };
            self.error(node.place, "what is expected here? No key says it", Some(help));
            return None;
        };
        Some(At::new(expectation, node.place))
    }

    /// Which kind of expectation is meant shows in its key; where that is misspelt, no kind's keys are any help.
    fn kind_is_clear(&mut self, entries: &[(Key, Node)]) -> Option<()> {
        let is = |known: &[&str], key: &Key| known.contains(&key.text.as_str());
        let odd = entries.iter().map(|(key, _)| key).find(|key| !is(OF, key) && !is(OF_COPY, key));
        let Some(odd) = odd.filter(|_| !entries.iter().any(|(key, _)| is(OF_COPY, key))) else {
            return Some(());
        };
        let help = suggestion(&odd.text, &with(OF_COPY, KINDS_BY_KEY), "it has one of");
        self.error(odd.place, format!("there is no expectation `{}`", odd.text), Some(help));
        None
    }

    pub(super) fn copy_expectation(&mut self, fields: &Fields<'_>) -> Option<CopyExpectation> {
        let vm = self.need(fields, "vm").and_then(|n| self.vm(n));
        let host = self.need(fields, "host").and_then(|n| self.host(n));
        let extended = self.optional(fields, "relationship", Self::is_extended);
        let of = |vm: At<VmId>| match &extended {
            Some(At { value: true, .. }) => At::new(vm.value.extended(), vm.place),
            _ => vm,
        };
        let vm = vm.map(of);
        self.need_one(fields, OF_COPY);
        let mode = self.optional(fields, "mode", Self::mode);
        let replication = self.optional(fields, "replication", Self::state);
        let health = self.optional(fields, "health", Self::health);
        let power = self.optional(fields, "power", Self::power);
        let points = self.optional(fields, "recovery-points", |r, n| {
            r.comparison(n, "a number of recovery points", Relation::Equal, |text| {
                text.parse().map_err(|_| String::new())
            })
        });
        let network = self.network_expectation(fields);
        Some(CopyExpectation { vm: vm?, host: host?, mode, replication, health, power, points, network })
    }

    fn event(&mut self, node: &Node) -> Option<Expectation> {
        let keys = ["event", "host", "vm", "count"];
        let fields = self.fields(node, "an expectation of the Windows event log", &keys)?;
        let ids: Vec<String> = windows_log::table::KINDS.iter().map(|kind| kind.id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let read = |text: &str| text.parse().ok().and_then(windows_log::table::kind);
        let event = fields.get("event").and_then(|n| self.named(n, "the id of an event", &ids, read));
        let host = self.optional(&fields, "host", Self::host);
        let vm = self.optional(&fields, "vm", Self::vm);
        let count = self.optional(&fields, "count", |r, n| {
            r.comparison(n, "a number of events", Relation::Equal, |text| {
                text.parse().map_err(|_| String::new())
            })
        });
        Some(Expectation::Event(EventExpectation { event: event?, host, vm, count }))
    }

    fn protection(&mut self, node: &Node) -> Option<Expectation> {
        let keys = with(&["vm"], OF_PROTECTION);
        let fields = self.fields(node, "an expectation of the protection", &keys)?;
        let vm = self.need(&fields, "vm").and_then(|n| self.vm(n));
        let protected = self.optional(&fields, "protected", Self::boolean);
        let rpo = self.optional(&fields, "rpo", |r, n| r.span_comparison(n, Relation::AtMost));
        Some(Expectation::Protection(ProtectionExpectation { vm: vm?, protected, rpo }))
    }

    fn span_comparison(&mut self, node: &Node, bare: Relation) -> Option<At<Comparison<Span>>> {
        self.comparison(node, Span::EXPECTED, bare, Span::parse)
    }

    /// `never`: a list of words, and of maps with one of the words as a key.
    pub(super) fn never(&mut self, node: &Node) -> Option<Vec<At<Never>>> {
        let Kind::List(items) = &node.kind else {
            let help = Some("begin each with `- `".to_owned());
            self.error(node.place, format!("`never` is a list, found {}", node.found()), help);
            return None;
        };
        let read: Vec<Option<At<Never>>> = items.iter().map(|item| self.never_one(item)).collect();
        read.into_iter().collect()
    }

    fn never_one(&mut self, node: &Node) -> Option<At<Never>> {
        const RUNNING: &str = "running-on-both";
        const UNPROTECTED: &str = "unprotected-longer-than";
        if let Kind::Scalar(text, _) = &node.kind
            && [UNPROTECTED, "rpo"].contains(&text.as_str())
        {
            let help = Some(format!("such as `{text}: 1h`"));
            self.error(node.place, format!("`{text}` needs a time"), help);
            return None;
        }
        if !matches!(node.kind, Kind::Map(_)) {
            let words = [(RUNNING, ()), (UNPROTECTED, ()), ("rpo", ())];
            self.word(node, "something that can be forbidden", &words)?;
            return Some(At::new(Never { what: NeverWhat::RunningOnBoth, vm: None }, node.place));
        }
        let fields = self.fields(node, "an entry of `never`", &[RUNNING, UNPROTECTED, "rpo", "vm"])?;
        let vm = self.optional(&fields, "vm", Self::vm);
        let mut found: Vec<NeverWhat> = Vec::new();
        if let Some(node) = fields.get(RUNNING) {
            self.word(node, "`true`", &[("true", ())])?;
            found.push(NeverWhat::RunningOnBoth);
        }
        if let Some(node) = fields.get(UNPROTECTED) {
            found.push(NeverWhat::UnprotectedLongerThan(self.span(node)?.value));
        }
        if let Some(node) = fields.get("rpo") {
            let forbidden = self.span_comparison(node, Relation::Above)?;
            if !matches!(forbidden.value.relation, Relation::AtLeast | Relation::Above) {
                let help = Some(format!("such as \"> {}\"", forbidden.value.value));
                self.error(node.place, "`never` names the ages that are too great", help);
                return None;
            }
            found.push(NeverWhat::Rpo(forbidden.value));
        }
        if found.len() != 1 {
            let message = format!("an entry of `never` has one of {}", listed([RUNNING, UNPROTECTED, "rpo"]));
            self.error(node.place, message, Some("begin a new one with `- `".to_owned()));
            return None;
        }
        Some(At::new(Never { what: found.pop()?, vm }, node.place))
    }

    /// `bare` is what a progress without a sign means.
    pub(super) fn job_expectation(&mut self, fields: &Fields<'_>, bare: Relation) -> Option<JobExpectation> {
        let job = self.need(fields, "job").and_then(|n| self.known_job(n));
        self.need_one(fields, OF_JOB);
        let state = self.optional(fields, "state", Self::job_state);
        let progress = self.optional(fields, "progress", |r, n| {
            r.comparison(n, "a progress from 0 to 100", bare, |text| {
                let number = text.trim_end_matches('%').trim_end().parse().ok();
                number.filter(|n| *n <= 100).ok_or_else(String::new)
            })
        });
        let sent = self.optional(fields, "sent", Self::bytes_comparison);
        let compared = self.optional(fields, "compared", Self::bytes_comparison);
        let resent = self.optional(fields, "resent", Self::bytes_comparison);
        let error = self.optional(fields, "error", Self::number_of_code);
        Some(JobExpectation { job: job?, state, progress, sent, compared, resent, error })
    }

    fn job_state(&mut self, node: &Node) -> Option<At<JobState>> {
        let names: Vec<&str> = JobState::ALL.iter().map(|state| state.label()).collect();
        self.named(node, "a state of a job", &names, |text| {
            let is = |state: &JobState| {
                state.label().eq_ignore_ascii_case(text) || state.number().to_string() == text
            };
            JobState::ALL.iter().copied().find(is)
        })
    }

    fn need_one(&mut self, fields: &Fields<'_>, keys: &[&str]) {
        if !keys.iter().any(|key| fields.has(key)) {
            let message = format!("nothing is said of it: add {}", listed(keys.iter().copied()));
            self.error(fields.place, message, None);
        }
    }

    fn lost(&mut self, node: &Node) -> Option<Expectation> {
        let fields = self.fields(node, "an expectation of a loss", &["lost", "vm"])?;
        let vm = self.need(&fields, "vm").and_then(|n| self.vm(n));
        let lost = fields.get("lost")?;
        let lost = match &lost.kind {
            Kind::Map(_) => self.lost_writes(lost),
            Kind::Null | Kind::Scalar(..) | Kind::List(_) => {
                let what = "`none`, or a map such as { tag: orders, bytes: 64MiB }";
                if let Kind::Scalar(text, _) = &lost.kind
                    && text.contains(|c: char| c.is_ascii_digit())
                {
                    let key = if Span::parse(text).is_ok() { "time" } else { "bytes" };
                    let help = Some(format!("write `lost: {{ {key}: {text} }}`"));
                    self.error(lost.place, format!("`{text}` is not {what}"), help);
                    return None;
                }
                self.word(lost, what, &[("none", ())]).map(|_| Lost::Nothing)
            }
        };
        Some(Expectation::Lost(LostExpectation { vm: vm?, lost: lost? }))
    }

    fn lost_writes(&mut self, node: &Node) -> Option<Lost> {
        let keys = ["tag", "bytes", "writes", "time"];
        let fields = self.fields(node, "`lost`", &keys)?;
        self.need_one(&fields, &keys);
        let tag = self.optional(&fields, "tag", Self::name);
        if let Some(tag) = tag.as_ref().filter(|tag| !self.tags.contains(&tag.value)) {
            let tags = self.tags.clone();
            let names: Vec<&str> = tags.iter().map(String::as_str).collect();
            let help = suggestion(tag, &names, "tags up to here:");
            self.error(tag.place, format!("no write up to here has the tag `{}`", tag.value), Some(help));
        }
        Some(Lost::Writes {
            tag,
            bytes: self.optional(&fields, "bytes", Self::bytes_comparison),
            writes: self.optional(&fields, "writes", |r, n| {
                r.comparison(n, "a number of writes", Relation::Equal, |text| {
                    text.parse().map_err(|_| String::new())
                })
            }),
            time: self.optional(&fields, "time", |r, n| r.span_comparison(n, Relation::Equal)),
        })
    }

    fn returned(&mut self, node: &Node) -> Option<Expectation> {
        let fields = self.fields(node, "an expectation of a value", &["value", "of", "is"])?;
        let value = self.need(&fields, "value").and_then(|n| self.known_value(n));
        let of = self.need(&fields, "of").and_then(|n| self.name(n));
        let is = self
            .need(&fields, "is")
            .and_then(|n| self.comparison(n, "a value", Relation::Equal, |text| Ok(text.to_owned())));
        if let Some(is) = is.as_ref().filter(|is| is.value.relation != Relation::Equal)
            && is.value.value.parse::<i128>().is_err()
        {
            let message = format!("`{}` is no whole number that could be greater or less", is.value.value);
            self.error(is.place, message, None);
            return None;
        }
        Some(Expectation::Value(ValueExpectation { value: value?, of: of?, is: is? }))
    }

    fn known_value(&mut self, node: &Node) -> Option<At<String>> {
        let name = self.name(node)?;
        if self.values.contains(&name.value) {
            return Some(name);
        }
        let values = self.values.clone();
        let names: Vec<&str> = values.iter().map(String::as_str).collect();
        let help = if names.is_empty() {
            "name what a method returns with `as` in its `invoke`".to_owned()
        } else {
            suggestion(&name, &names, "values up to here:")
        };
        self.error(name.place, format!("no value is called `{}` up to here", *name), Some(help));
        None
    }

    fn identical(&mut self, node: &Node) -> Option<Expectation> {
        let fields = self.fields(node, "an expectation of the disks", &["disks", "vm"])?;
        let vm = self.need(&fields, "vm").and_then(|n| self.vm(n));
        let identical = fields.get("disks").and_then(|n| self.word(n, "`identical`", &[("identical", ())]));
        identical?;
        Some(Expectation::DisksIdentical { vm: vm? })
    }

    fn finding(&mut self, node: &Node) -> Option<Expectation> {
        let fields = self.fields(node, "an expectation of a finding", &["finding", "not", "vm"])?;
        let vm = self.need(&fields, "vm").and_then(|n| self.vm(n));
        let words: Vec<(&str, &'static FindingKind)> = KINDS.iter().map(|kind| (kind.name, kind)).collect();
        let (wanted, refused) = (fields.get("finding"), fields.get("not"));
        if let (Some(_), Some(refused)) = (wanted, refused) {
            self.error(refused.place, "either `finding` or `not`", None);
        }
        let finding = wanted.or(refused).and_then(|n| self.word(n, "a finding", &words));
        Some(Expectation::Finding { finding: finding?, noticed: wanted.is_some(), vm: vm? })
    }
}

fn with<'k>(first: &[&'k str], rest: &[&'k str]) -> Vec<&'k str> {
    first.iter().chain(rest).copied().collect()
}
