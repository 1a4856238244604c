//! Holds expectations against the world.

use std::collections::BTreeMap;
use std::fmt::Display;

use hvrsim_sim::findings::table::Kind;
use hvrsim_sim::ledger::Loss;
use hvrsim_sim::store::{DiskStore, View};
use hvrsim_sim::trace::What;
use hvrsim_sim::windows_log::Entry;
use hvrsim_sim::{Look, Sim};
use hvrsim_types::id::{CopyId, HostId, JobId, VmId};
use hvrsim_types::near::nearest;
use hvrsim_types::size::Bytes;
use hvrsim_types::time::Span;

use super::{Done, Run, Trouble};
use crate::diagnostic::Diagnostic;
use crate::model::expect::{
    CopyExpectation, EventExpectation, Expectation, JobExpectation, Lost, LostExpectation,
    ProtectionExpectation, ValueExpectation,
};
use crate::model::value::{Comparison, Content};
use crate::source::{At, Place};

/// What is not as expected: where that is written, and both in words.
type Differences = Vec<(Place, String)>;

impl<D: DiskStore> Run<'_, D> {
    /// Looks at all expectations of a step; each that is not met is told.
    pub(super) fn expect(&mut self, list: &[At<Expectation>]) -> Done {
        self.sim.settle()?;
        self.tell();
        let mut wrong = Vec::new();
        for expectation in list {
            let differences = self.differences(&expectation.value)?;
            let words = if differences.is_empty() {
                self.scenario.source.at(expectation.place).trim().to_owned()
            } else {
                differences.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ")
            };
            let met = differences.is_empty();
            self.record(What::Expected { line: expectation.place.line, met, text: words });
            wrong.extend(differences);
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let source = &self.scenario.source;
        let told = wrong.into_iter().map(|(place, text)| Diagnostic::error(source, place, text, None));
        Err(Trouble::Wrong(told.collect()))
    }

    fn differences(&self, expectation: &Expectation) -> Done<Differences> {
        Ok(match expectation {
            Expectation::Copy(wanted) => copy(&self.sim, wanted),
            Expectation::Job(wanted) => job(&self.sim, &self.jobs, wanted, false),
            Expectation::Lost(wanted) => lost(wanted, &self.sim.losses(wanted.vm.value)),
            Expectation::DisksIdentical { vm } => self.disks_identical(vm)?,
            Expectation::SameContent { disk, same_as } => self.same_content(disk, same_as)?,
            Expectation::Finding { finding, noticed, vm } => self.finding(finding, *noticed, vm.value),
            Expectation::Protection(wanted) => self.protection(wanted),
            Expectation::Event(wanted) => self.windows_event(wanted),
            Expectation::Value(wanted) => self.returned(wanted),
        })
    }

    fn disks_identical(&self, vm: &At<VmId>) -> Done<Differences> {
        let copies: Vec<CopyId> = self.sim.world.copies().filter(|copy| copy.vm == vm.value).collect();
        let [first, second] = copies.as_slice() else {
            let text = format!("{} has {} copies, not two", self.sim.vm_name(vm.value), copies.len());
            return Ok(vec![(vm.place, text)]);
        };
        self.compared(vm.place, (*first, View::Live), (*second, View::Live))
    }

    fn same_content(&self, disk: &At<CopyId>, same_as: &At<Content>) -> Done<Differences> {
        let other = match &same_as.value {
            Content::Now(copy) => (*copy, View::Live),
            Content::Point(point) => match self.point_id(point) {
                Some(id) if self.sim.points(point.copy).iter().any(|p| p.id == id) => {
                    (point.copy, View::Point(id))
                }
                _ => {
                    return Ok(vec![(
                        same_as.place,
                        format!("{} is not kept there", self.point_words(point)),
                    )]);
                }
            },
        };
        self.compared(same_as.place, (disk.value, View::Live), other)
    }

    fn compared(&self, place: Place, a: (CopyId, View), b: (CopyId, View)) -> Done<Differences> {
        if let Some(missing) = [a.0, b.0].into_iter().find(|copy| self.sim.copy(*copy).is_none()) {
            let text = format!(
                "{} holds no copy of {}",
                self.sim.host_name(missing.host),
                self.sim.vm_name(missing.vm)
            );
            return Ok(vec![(place, text)]);
        }
        let name = |copy: CopyId| format!("{}/{}", self.sim.host_name(copy.host), self.sim.vm_name(copy.vm));
        let difference = self.sim.store.difference(a, b)?;
        let text = difference.map(|d| {
            format!("{} and {} differ on disk {} at offset {}", name(a.0), name(b.0), d.disk, d.offset)
        });
        Ok(text.map(|text| (place, text)).into_iter().collect())
    }

    fn finding(&self, wanted: &At<&'static Kind>, noticed: bool, vm: VmId) -> Differences {
        let name = wanted.value.name;
        let all = self.findings.now(&self.sim, &self.watch);
        let found = all.iter().find(|found| found.vm == vm && found.kind == wanted.value);
        let text = match found {
            None if noticed => format!("{name} was not found"),
            Some(found) if !noticed => format!("{name} was found on {}", self.sim.host_name(found.host)),
            _ => return Vec::new(),
        };
        vec![(wanted.place, text)]
    }

    fn returned(&self, wanted: &ValueExpectation) -> Differences {
        let all = self.values.get(&wanted.value.value).map_or(&[][..], Vec::as_slice);
        let of = &wanted.of;
        let Some((_, found)) = all.iter().find(|(path, _)| path.eq_ignore_ascii_case(&of.value)) else {
            // All begin with the same words; what tells them apart is the last.
            fn last(path: &str) -> &str {
                path.rsplit('.').next().unwrap_or(path)
            }
            let near = nearest(last(&of.value), all.iter().map(|(path, _)| last(path)));
            let near = all.iter().map(|(path, _)| path).find(|path| Some(last(path)) == near);
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the timeline shows what was".to_owned(),
            };
            return vec![(of.place, format!("`{}` was not returned; {help}", of.value))];
        };
        if wanted.holds(found) {
            return Vec::new();
        }
        vec![(wanted.is.place, format!("{}: expected {}, found {found}", of.value, wanted.is.value))]
    }

    fn windows_event(&self, wanted: &EventExpectation) -> Differences {
        let here = |entry: &&Entry| {
            entry.kind == wanted.event.value
                && wanted.host.as_ref().is_none_or(|host| host.value == entry.host)
                && wanted.vm.as_ref().is_none_or(|vm| Some(vm.value) == entry.vm)
        };
        let found = self.windows.entries().iter().filter(here).count();
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        let what = format!("event {}", wanted.event.value.id);
        match &wanted.count {
            Some(count) => compare(Some(count), &found, &what).into_iter().collect(),
            None if found == 0 => vec![(wanted.event.place, format!("{what} was not written"))],
            None => Vec::new(),
        }
    }

    fn protection(&self, wanted: &ProtectionExpectation) -> Differences {
        let (vm, name) = (wanted.vm.value, self.sim.vm_name(wanted.vm.value));
        let mut wrong = Differences::new();
        if let Some(protected) = wanted.protected.as_ref().filter(|p| p.value != self.watch.protected(vm)) {
            let words = if protected.value { "nothing protects it" } else { "it is protected" };
            wrong.push((protected.place, format!("protection of {name}: {words}")));
        }
        match (&wanted.rpo, self.watch.rpo(vm)) {
            (Some(rpo), None) => {
                wrong.push((rpo.place, format!("RPO of {name}: nothing was ever brought over")));
            }
            (Some(rpo), Some(found)) => wrong.extend(compare(Some(rpo), &found, &format!("RPO of {name}"))),
            (None, _) => {}
        }
        wrong
    }
}

/// How a copy is not as expected.
pub(super) fn copy<D: DiskStore>(sim: &Sim<D>, wanted: &CopyExpectation) -> Differences {
    let on = CopyId { host: wanted.host.value, vm: wanted.vm.value };
    let name = format!("{} on {}", sim.world.label(on.vm), sim.host_name(on.host));
    let Some(view) = sim.copy(on) else {
        return vec![(wanted.vm.place, format!("{name} does not exist"))];
    };
    let mut wrong = Differences::new();
    let mut differ = |place: Place, what: &str, found: &dyn Display, needed: &dyn Display| {
        wrong.push((place, format!("{what} of {name}: expected {needed}, found {found}")));
    };
    if let Some(mode) = wanted.mode.as_ref().filter(|mode| mode.value != view.machine_mode()) {
        differ(mode.place, "mode", &view.machine_mode(), &mode.value);
    }
    if let Some(state) = wanted.replication.as_ref().filter(|s| !s.value.matches(view.mode, view.state)) {
        let needed = state.value.state.powershell(state.value.mode.unwrap_or(view.mode));
        differ(state.place, "replication", &view.state.powershell(view.mode), &needed);
    }
    if let Some(health) = wanted.health.as_ref().filter(|health| health.value != view.health) {
        let why = view.health_details.join(" ");
        let found = if why.is_empty() { view.health.to_string() } else { format!("{} ({why})", view.health) };
        differ(health.place, "health", &found, &health.value);
    }
    if let Some(power) = wanted.power.as_ref().filter(|power| power.value != view.power) {
        differ(power.place, "power", &view.power, &power.value);
    }
    let adapter = sim.adapters(on).into_iter().next().map(|view| view.adapter);
    let found = adapter.as_ref().and_then(|adapter| adapter.address);
    if let Some(address) = wanted.network.address.as_ref().filter(|address| address.value != found) {
        differ(address.place, "address", &or_none(found.as_ref()), &or_none(address.value.as_ref()));
    }
    let found = adapter.as_ref().and_then(|adapter| adapter.switch.as_ref());
    if let Some(switch) = wanted.network.switch.as_ref().filter(|switch| switch.value.as_ref() != found) {
        differ(switch.place, "switch", &or_none(found), &or_none(switch.value.as_ref()));
    }
    let kept = u64::try_from(sim.points(on).len()).unwrap_or(u64::MAX);
    wrong.extend(compare(wanted.points.as_ref(), &kept, &format!("recovery points of {name}")));
    wrong
}

fn or_none(value: Option<&impl Display>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// How a job is not as expected. `at_least`: a bare progress means at least that.
pub(super) fn job<D: DiskStore>(
    sim: &Sim<D>,
    jobs: &BTreeMap<String, (HostId, JobId)>,
    wanted: &JobExpectation,
    at_least: bool,
) -> Differences {
    let name = &wanted.job.value;
    let Some(view) = jobs.get(name).and_then(|(host, id)| sim.job(*host, *id)) else {
        let text = format!("job {name} is not known any more: jobs are removed five minutes after their end");
        return vec![(wanted.job.place, text)];
    };
    let mut wrong = Differences::new();
    if let Some(state) = wanted.state.as_ref().filter(|state| state.value != view.state) {
        let why = if view.error_text.is_empty() { String::new() } else { format!(" ({})", view.error_text) };
        let text = format!("state of job {name}: expected {}, found {}{why}", state.value, view.state);
        wrong.push((state.place, text));
    }
    if let Some(progress) = &wanted.progress {
        let enough = at_least && view.percent >= progress.value.value;
        if !enough && !progress.value.holds(&view.percent) {
            let text =
                format!("progress of job {name}: expected {} %, found {} %", progress.value, view.percent);
            wrong.push((progress.place, text));
        }
    }
    let counts = [
        ("sent", &wanted.sent, view.sent_bytes),
        ("compared", &wanted.compared, view.compared_bytes),
        ("resent", &wanted.resent, view.resent_bytes),
    ];
    for (what, wanted, found) in counts {
        wrong.extend(compare(wanted.as_ref(), &Bytes(found), &format!("{what} of job {name}")));
    }
    if let Some(error) = wanted.error.as_ref().filter(|error| error.value != view.error) {
        wrong.push((
            error.place,
            format!("error of job {name}: expected {}, found {}", error.value, view.error),
        ));
    }
    wrong
}

fn compare<T: Ord + Display>(
    wanted: Option<&At<Comparison<T>>>,
    found: &T,
    what: &str,
) -> Option<(Place, String)> {
    let wanted = wanted?;
    (!wanted.value.holds(found))
        .then(|| (wanted.place, format!("{what}: expected {}, found {found}", wanted.value)))
}

fn lost(wanted: &LostExpectation, losses: &[Loss]) -> Differences {
    match &wanted.lost {
        Lost::Nothing if losses.is_empty() => Vec::new(),
        Lost::Nothing => {
            let found: Vec<String> = losses.iter().map(ToString::to_string).collect();
            vec![(wanted.vm.place, format!("expected no loss, lost {}", found.join("; ")))]
        }
        Lost::Writes { tag, bytes, writes, time } => {
            let named = |loss: &&Loss| tag.as_ref().is_none_or(|t| loss.tag.as_ref() == Some(&t.value));
            let of: Vec<&Loss> = losses.iter().filter(named).collect();
            let what = tag.as_ref().map_or(String::new(), |t| format!(" of `{}`", t.value));
            let span = match (of.iter().map(|l| l.from).min(), of.iter().map(|l| l.to).max()) {
                (Some(from), Some(to)) => to - from,
                _ => Span::ZERO,
            };
            let total: u64 = of.iter().map(|l| l.bytes).sum();
            let count: u64 = of.iter().map(|l| l.writes).sum();
            let checks = [
                compare(bytes.as_ref(), &Bytes(total), &format!("bytes lost{what}")),
                compare(writes.as_ref(), &count, &format!("writes lost{what}")),
                compare(time.as_ref(), &span, &format!("time lost{what}")),
            ];
            let mut wrong: Differences = checks.into_iter().flatten().collect();
            if let (Some(tag), None, None, None, true) = (tag, bytes, writes, time, of.is_empty()) {
                wrong.push((tag.place, format!("nothing of `{}` was lost", tag.value)));
            }
            wrong
        }
    }
}
