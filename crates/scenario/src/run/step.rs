//! Carries out one step, or puts what it consists of on its operator's pile.

use hvrsim_sim::Look;
use hvrsim_sim::store::DiskStore;
use hvrsim_sim::trace;
use hvrsim_types::id::{CopyId, PointId};
use hvrsim_types::state::Power;

use super::operator::{Task, Wait, Worker};
use super::{Done, Run};
use crate::model::step::{Action, Fault, HostPower, Mark, Operator, Repair, Step, Write};
use crate::model::value::{PointRef, WhichPoint};

impl<D: DiskStore> Run<'_, D> {
    pub(super) fn step<'a>(&mut self, worker: &mut Worker<'a>, step: &'a Step) -> Done {
        match &step.action {
            Action::Run(run) => {
                worker.tasks.extend((0..run.lines.len()).rev().map(|index| Task::Line(run, index)));
                Ok(())
            }
            Action::Invoke(invoke) => self.invoke(invoke),
            Action::Manager(manager) => self.manager(manager),
            Action::Write(write) => self.write(write),
            Action::Advance(span) => {
                worker.wait = Some(Wait::Time(self.sim.world.now + span.value));
                Ok(())
            }
            Action::Until(until) => {
                worker.tasks.push(Task::Came(until));
                worker.wait = Some(Wait::Until(until, self.sim.world.now + until.timeout));
                Ok(())
            }
            Action::Fault(fault) => self.fault(fault),
            Action::Repair(Repair::Link(ends)) => {
                self.sim.mend_link(ends.value.0, ends.value.1);
                Ok(())
            }
            Action::Repair(Repair::Incident { incident, at }) => {
                self.sim.mend(incident, *at)?;
                Ok(())
            }
            Action::Expect(list) => self.expect(list),
            Action::Mark(mark) => self.mark(mark),
            Action::Note(text) => {
                self.sim.say(&text.value);
                Ok(())
            }
            Action::Repeat(repeat) => {
                worker.tasks.push(Task::Repeat(repeat, repeat.times));
                Ok(())
            }
            Action::Parallel(operators) => {
                let one =
                    |operator: &'a Operator| Worker::new(Some(operator.name.value.as_str()), &operator.steps);
                let mut workers: Vec<Worker<'_>> = operators.iter().map(one).collect();
                self.work(&mut workers, step.place.line)
            }
        }
    }

    // Recovery points.

    /// A recovery point's GUID; the words themselves if there is no such point, which the call then refuses.
    pub(super) fn point_text(&self, point: &PointRef) -> String {
        match self.point_id(point) {
            Some(id) => self.sim.point_guid(id).to_string(),
            None => self.point_words(point),
        }
    }

    pub(super) fn point_words(&self, point: &PointRef) -> String {
        let (host, vm) = (self.sim.host_name(point.copy.host), self.sim.vm_name(point.copy.vm));
        match &point.which {
            WhichPoint::FromNewest(n) => format!("{host}/{vm}@-{n}"),
            WhichPoint::Marked(name) => format!("{host}/{vm}@{name}"),
        }
    }

    pub(super) fn point_id(&self, point: &PointRef) -> Option<PointId> {
        match &point.which {
            WhichPoint::FromNewest(n) => {
                let points = self.sim.points(point.copy);
                let index = points.len().checked_sub(*n as usize)?;
                points.get(index).map(|p| p.id)
            }
            WhichPoint::Marked(name) => self.marks.get(name).copied(),
        }
    }

    fn mark(&mut self, mark: &Mark) -> Done {
        let Some(id) = self.point_id(&mark.point.value) else {
            let kept = self.sim.points(mark.point.value.copy).len();
            let message = format!(
                "{} does not exist: the copy keeps {kept} recovery points",
                self.point_words(&mark.point.value)
            );
            return Err(self.wrong(mark.point.place, message, None));
        };
        self.marks.insert(mark.name.value.clone(), id);
        let guid = self.sim.point_guid(id);
        self.sim.say(&format!("{} is {} ({guid})", mark.name.value, self.point_words(&mark.point.value)));
        Ok(())
    }

    // The world.

    fn write(&mut self, write: &Write) -> Done {
        let vm = write.vm.value;
        let running = |copy: &CopyId| {
            copy.vm == vm && self.sim.copy(*copy).is_some_and(|view| view.power == Power::Running)
        };
        let copies: Vec<CopyId> = self.sim.world.copies().collect();
        let on = match &write.host {
            Some(host) => Some(CopyId { host: host.value, vm }),
            None => copies.into_iter().find(running),
        };
        let Some(on) = on else {
            let message = format!("{} runs nowhere; a guest writes only while it runs", self.sim.vm_name(vm));
            return Err(self.wrong(write.place, message, None));
        };
        let tag = write.tag.as_deref().unwrap_or_default();
        match self.sim.write(on, write.disk, write.offset.0, write.bytes, tag)? {
            Ok(()) => Ok(()),
            Err(error) => {
                let place = format!("{} on {}: {error}", self.sim.vm_name(vm), self.sim.host_name(on.host));
                Err(self.wrong(write.place, place, None))
            }
        }
    }

    fn fault(&mut self, fault: &Fault) -> Done {
        match fault {
            Fault::LinkCut { link, span } => {
                self.sim.cut_link(link.value.0, link.value.1, *span)?;
            }
            Fault::Incident(strike) => {
                if let Err(why) = self.sim.strike(&strike.value)? {
                    let message = format!("`{}` cannot happen here: {why}", strike.value.incident.name);
                    return Err(self.wrong(strike.place, message, None));
                }
            }
            Fault::HostTrust { host, trust } => self.sim.set_trust(host.value, *trust),
            Fault::Worker { copy } => {
                if !self.sim.worker_crash(copy.value)? {
                    return Err(self.wrong(copy.place, "the machine does not run there", None));
                }
            }
            Fault::HostPower { host, power } => {
                let power = match power {
                    HostPower::Lost => trace::HostPower::Lost,
                    HostPower::Off => trace::HostPower::Off,
                    HostPower::Back => trace::HostPower::Back,
                };
                self.sim.host_power(host.value, power)?;
            }
        }
        Ok(())
    }
}
