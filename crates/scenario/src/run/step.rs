//! Carries out one step.

use hvrsim_cmdlets::{BindError, bind, plan};
use hvrsim_replica::exchange::{Note, Outcome};
use hvrsim_replica::operation::Operation;
use hvrsim_sim::Look;
use hvrsim_sim::store::DiskStore;
use hvrsim_sim::trace::{self, Record, What, refusal_text};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId, PointId};
use hvrsim_types::job::JobState;
use hvrsim_types::state::Power;
use hvrsim_wmi::Planned;

use super::{Done, PATIENCE, Run};
use crate::model::step::{
    Action, Condition, Fails, Fault, HostPower, Invoke, Line, Repair, Step, Until, Write,
};
use crate::model::step::{Mark, Run as RunStep};
use crate::model::value::{PointRef, WhichPoint};
use crate::source::{At, Place};

/// A call that was not accepted, or whose job failed.
struct Refused {
    code: Option<ReturnCode>,
    rules: Vec<String>,
    id: String,
    text: String,
    help: Option<String>,
    place: Place,
}

/// What became of a call.
struct Called {
    refused: Option<Refused>,
    code: ReturnCode,
    job: Option<(HostId, JobId)>,
}

impl<D: DiskStore> Run<'_, D> {
    pub(super) fn step(&mut self, step: &Step) -> Done {
        match &step.action {
            Action::Run(run) => self.run_lines(run),
            Action::Invoke(invoke) => self.invoke(invoke),
            Action::Write(write) => self.write(write),
            Action::Advance(span) => {
                let limit = self.sim.world.now + span.value;
                self.pass(limit, &|_| false).map(|_| ())
            }
            Action::Until(until) => self.until(until),
            Action::Fault(fault) => self.fault(fault),
            Action::Repair(Repair::Link(ends)) => {
                self.sim.mend_link(ends.value.0, ends.value.1);
                Ok(())
            }
            Action::Expect(list) => self.expect(list),
            Action::Mark(mark) => self.mark(mark),
            Action::Note(text) => {
                self.sim.say(&text.value);
                Ok(())
            }
        }
    }

    // Cmdlets.

    fn run_lines(&mut self, run: &RunStep) -> Done {
        let host = run.host.as_ref().map(|h| self.sim.host_name(h.value).to_owned());
        let last = run.lines.len().saturating_sub(1);
        for (index, line) in run.lines.iter().enumerate() {
            let called = self.line(line, host.as_deref())?;
            let fails = run.fails.as_ref().filter(|_| index == last);
            self.judge(line.text.place, &called, fails)?;
            if let (true, Some(name)) = (index == last, &run.job) {
                self.name_job(name, &called)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, host: Option<&str>) -> Done<Called> {
        let command = line.command_with(|point| self.point_text(point));
        let planned = bind(&command).and_then(|call| Ok((plan(&call, host, &self.sim)?, call)));
        let (actions, call) = match planned {
            Ok(planned) => planned,
            Err(error) => return Ok(Called::not_bound(&error, line)),
        };
        let mut called = Called { refused: None, code: ReturnCode::COMPLETED, job: None };
        for action in actions {
            match action {
                hvrsim_cmdlets::Action::Show { text } => {
                    self.sim.say(&format!("> {}\n{}", line.text.value.trim(), text.trim_end()));
                }
                hvrsim_cmdlets::Action::Return { on, class } => {
                    let text = hvrsim_cmdlets::returned(class, on, &self.sim);
                    self.sim.say(&format!("> {}\n{}", line.text.value.trim(), text.trim_end()));
                }
                hvrsim_cmdlets::Action::Operate { on, operation, waits } => {
                    called = self.operate(on, &line.text, operation, waits)?;
                    if let Some(refused) = &mut called.refused {
                        refused.id = call.error_id(&refused.id);
                        break;
                    }
                }
            }
        }
        Ok(called)
    }

    /// Calls, and lets time pass until the job has ended if the caller waits for it.
    fn operate(&mut self, on: CopyId, text: &At<String>, operation: Operation, waits: bool) -> Done<Called> {
        if !self.sim.host_is_up(on.host) {
            return Ok(self.host_is_down(on.host, text.place));
        }
        self.tell();
        let power = self.sim.copy(on).map_or(Power::Off, |view| view.power);
        let outcome = self.sim.operate(on, &text.value, operation)?;
        let job = outcome.job.map(|id| (on.host, id));
        let refused = self.refusal(&outcome, on, power, text);
        let mut called = Called { refused, code: outcome.code, job };
        if let (true, Some(id)) = (waits && called.refused.is_none(), outcome.job) {
            called.refused = self.wait_for_job(on, id, text.place)?;
        }
        Ok(called)
    }

    fn host_is_down(&self, host: HostId, place: Place) -> Called {
        let text = format!("{} is down and does not answer", self.sim.host_name(host));
        let refused = Refused {
            code: Some(ReturnCode::NOT_AVAILABLE),
            rules: Vec::new(),
            id: "OperationFailed".to_owned(),
            text,
            help: None,
            place,
        };
        Called { refused: Some(refused), code: ReturnCode::NOT_AVAILABLE, job: None }
    }

    fn refusal(&self, outcome: &Outcome, on: CopyId, power: Power, call: &At<String>) -> Option<Refused> {
        let refusal = outcome.refusal.as_ref()?;
        let (host, vm) = (self.sim.host_name(on.host), self.sim.vm_name(on.vm));
        let text = refusal_text(&call.value, refusal, host, vm, power);
        let place = call.place;
        Some(Refused {
            code: Some(outcome.code),
            rules: vec![refusal.rule.to_owned()],
            id: "InvalidOperation".to_owned(),
            text,
            help: None,
            place,
        })
    }

    fn wait_for_job(&mut self, on: CopyId, id: JobId, place: Place) -> Done<Option<Refused>> {
        let limit = self.sim.world.now + PATIENCE;
        let mut seen = self.tell();
        while !self.sim.job(on.host, id).is_none_or(|job| job.state.ended()) {
            if !self.sim.step(limit)? {
                return Err(self.wrong(place, "the job does not end", None));
            }
            seen.extend(self.tell());
        }
        let Some(job) = self.sim.job(on.host, id).filter(|job| job.state != JobState::Completed) else {
            return Ok(None);
        };
        Ok(Some(Refused {
            code: Some(job.error),
            rules: rules_of(&seen, on),
            id: "OperationFailed".to_owned(),
            text: format!("the job failed with {}: {}", job.error, job.error_text),
            help: None,
            place,
        }))
    }

    /// Holds what became of a call against what was expected of it.
    fn judge(&self, place: Place, called: &Called, fails: Option<&Fails>) -> Done {
        match (&called.refused, fails) {
            (None, None) => Ok(()),
            (Some(refused), None) => {
                Err(self.wrong(refused.place, refused.text.clone(), refused.help.clone()))
            }
            (None, Some(fails)) => {
                let message = "this was to be refused, and was accepted";
                Err(self.wrong(place, message, Some(format!("`fails` stands in line {}", fails.place.line))))
            }
            (Some(refused), Some(fails)) => self.judge_refusal(refused, fails),
        }
    }

    fn judge_refusal(&self, refused: &Refused, fails: &Fails) -> Done {
        let found = format!("it was refused otherwise: {}", refused.text);
        if let Some(rule) = fails.rule.as_ref().filter(|rule| !refused.rules.iter().any(|r| r == rule.value))
        {
            let by = refused.rules.join(", ");
            let message = format!(
                "expected a refusal by {}, found {}",
                rule.value,
                if by.is_empty() { "none by a rule" } else { &by }
            );
            return Err(self.wrong(rule.place, message, Some(found)));
        }
        if let Some(code) = fails.code.as_ref().filter(|code| refused.code != Some(code.value)) {
            let code_found = refused.code.map_or("no return code".to_owned(), |c| c.to_string());
            return Err(self.wrong(
                code.place,
                format!("expected {}, found {code_found}", code.value),
                Some(found),
            ));
        }
        if let Some(id) = fails.id.as_ref().filter(|id| !refused.id.contains(&id.value)) {
            return Err(self.wrong(
                id.place,
                format!("expected the error id {}, found {}", id.value, refused.id),
                Some(found),
            ));
        }
        if let Some(part) = fails.message.as_ref().filter(|part| !refused.text.contains(&part.value)) {
            return Err(self.wrong(
                part.place,
                format!("expected a message with `{}`", part.value),
                Some(found),
            ));
        }
        Ok(())
    }

    fn name_job(&mut self, name: &At<String>, called: &Called) -> Done {
        match called.job {
            Some(job) => {
                self.jobs.insert(name.value.clone(), job);
                Ok(())
            }
            None => Err(self.wrong(name.place, "no job was started that could be named", None)),
        }
    }

    // Methods.

    fn invoke(&mut self, invoke: &Invoke) -> Done {
        let host = invoke.host.value;
        let place = invoke.method.place;
        if !self.sim.host_is_up(host) {
            let called = self.host_is_down(host, place);
            return self.judge(place, &called, invoke.fails.as_ref());
        }
        let known = &self.jobs;
        let values = invoke
            .values(|point| self.point_text(point), |name| known.get(name).map_or(JobId(0), |(_, job)| *job));
        let name = invoke.method.value.full_name();
        let planned = hvrsim_wmi::call(&name, &values, host, &self.sim);
        let called = match planned {
            Ok(Planned::Operate { on, operation }) => {
                let text = format!("{name}{}", invoke.arguments(|point| self.point_words(point)));
                self.operate(on, &At::new(text, place), operation, false)?
            }
            Ok(Planned::Answer(answer)) => Called::answered(answer.code, &answer.why, place),
            Err(error) => return Err(self.wrong(place, error.to_string(), None)),
        };
        if let Some(code) = invoke.returns.as_ref().filter(|code| code.value != called.code) {
            let help = called.refused.as_ref().map(|r| r.text.clone());
            return Err(self.wrong(
                code.place,
                format!("expected {}, found {}", code.value, called.code),
                help,
            ));
        }
        if invoke.returns.is_none() || invoke.fails.is_some() {
            self.judge(place, &called, invoke.fails.as_ref())?;
        }
        match &invoke.job {
            Some(name) => self.name_job(name, &called),
            None => Ok(()),
        }
    }

    // Recovery points.

    /// A recovery point's GUID; the words themselves if there is no such point, which the call then refuses.
    fn point_text(&self, point: &PointRef) -> String {
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

    fn until(&mut self, until: &Until) -> Done {
        let limit = self.sim.world.now + until.timeout;
        let jobs = self.jobs.clone();
        let met = match &until.condition {
            Condition::Copy(copy) => self.pass(limit, &|sim| super::expect::copy(sim, copy).is_empty())?,
            Condition::Job(job) => {
                self.pass(limit, &|sim| super::expect::job(sim, &jobs, job, true).is_empty())?
            }
        };
        if met {
            return Ok(());
        }
        let found = match &until.condition {
            Condition::Copy(copy) => super::expect::copy(&self.sim, copy),
            Condition::Job(job) => super::expect::job(&self.sim, &jobs, job, true),
        };
        let found: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
        let message = format!("not within {}: {}", until.timeout, found.join("; "));
        Err(self.wrong(until.place, message, None))
    }
}

/// The rules that a copy took in these records.
fn rules_of(records: &[Record], copy: CopyId) -> Vec<String> {
    let here = |r: &&Record| r.host == Some(copy.host) && r.vm == Some(copy.vm);
    let rule = |r: &Record| match &r.what {
        What::Note(Note::Rule { rule, .. }) => Some(rule.clone()),
        _ => None,
    };
    records.iter().filter(here).filter_map(rule).collect()
}

impl Called {
    fn not_bound(error: &BindError, line: &Line) -> Self {
        let place = match &error.span {
            Some(span) => line.text.place.part(&line.text.value, span.start, span.len()),
            None => line.text.place,
        };
        let refused = Refused {
            code: None,
            rules: Vec::new(),
            id: error.id.clone(),
            text: error.message.clone(),
            help: error.help.clone(),
            place,
        };
        Self { refused: Some(refused), code: ReturnCode::INVALID_PARAMETER, job: None }
    }

    fn answered(code: ReturnCode, why: &str, place: Place) -> Self {
        let refused = (!code.accepted()).then(|| Refused {
            code: Some(code),
            rules: Vec::new(),
            id: "InvalidOperation".to_owned(),
            text: format!("{code}: {why}"),
            help: None,
            place,
        });
        Self { refused, code, job: None }
    }
}
