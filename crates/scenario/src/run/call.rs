//! Calls: cmdlets and methods, what becomes of them, and whether that was expected.

use std::collections::VecDeque;

use hvrsim_cmdlets::{Action as Planned, BindError, bind, plan};
use hvrsim_replica::exchange::Outcome;
use hvrsim_replica::operation::{Operation, PointChoice};
use hvrsim_sim::Look;
use hvrsim_sim::store::DiskStore;
use hvrsim_sim::trace::What;
use hvrsim_sim::trace::refusal_text;
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId, JobId};
use hvrsim_types::job::JobState;
use hvrsim_types::state::Power;

use super::operator::{LineUnderWay, Task, Wait, Worker};
use super::{Done, PATIENCE, Run};
use crate::model::step::{Fails, Invoke, Line, Manager, Run as RunStep};
use crate::source::{At, Place};

/// A call that was not accepted, or whose job failed.
pub(super) struct Refused {
    code: Option<ReturnCode>,
    rules: Vec<String>,
    id: String,
    text: String,
    help: Option<String>,
    place: Place,
}

/// What became of a call.
pub(super) struct Called {
    refused: Option<Refused>,
    code: ReturnCode,
    job: Option<(HostId, JobId)>,
}

impl<D: DiskStore> Run<'_, D> {
    /// Begins a line of `run`.
    pub(super) fn line<'a>(&mut self, worker: &mut Worker<'a>, run: &'a RunStep, index: usize) -> Done {
        let host = run.host.as_ref().map(|h| self.sim.host_name(h.value).to_owned());
        let line = &run.lines[index];
        let command = line.command_with(|point| self.point_text(point));
        let planned = bind(&command).and_then(|call| Ok((plan(&call, host.as_deref(), &self.sim)?, call)));
        let (todo, call, called) = match planned {
            Ok((actions, call)) => (actions.into(), Some(call), Called::accepted()),
            Err(error) => (VecDeque::new(), None, Called::not_bound(&error, line)),
        };
        self.go_on(worker, Box::new(LineUnderWay { run, index, todo, call, called, waiting: None }))
    }

    /// Goes on with a line until it waits for a job, or is through.
    pub(super) fn go_on<'a>(&mut self, worker: &mut Worker<'a>, mut line: Box<LineUnderWay<'a>>) -> Done {
        let text = &line.run.lines[line.index].text;
        if let Some((on, job)) = line.waiting.take() {
            line.called.refused = self.job_failed(on, job, text.place)?;
        }
        while let Some(action) = line.todo.pop_front().filter(|_| line.called.refused.is_none()) {
            match action {
                Planned::Show { text: shown } => {
                    self.sim.say(&format!("> {}\n{}", text.value.trim(), shown.trim_end()));
                }
                Planned::Return { on, class } => {
                    let shown = hvrsim_cmdlets::returned(class, on, &self.sim);
                    self.sim.say(&format!("> {}\n{}", text.value.trim(), shown.trim_end()));
                }
                Planned::Operate { on, operation, waits } => {
                    line.called = self.operate(on, text, operation, waits)?;
                    if let (true, None, Some((_, job))) = (waits, &line.called.refused, line.called.job) {
                        line.waiting = Some((on, job));
                        worker.wait = Some(Wait::Job(on, job, self.sim.world.now + PATIENCE));
                        worker.tasks.push(Task::UnderWay(line));
                        return Ok(());
                    }
                }
            }
        }
        if let (Some(call), Some(refused)) = (&line.call, &mut line.called.refused) {
            refused.id = call.error_id(&refused.id);
        }
        self.line_ended(&line)
    }

    fn line_ended(&mut self, line: &LineUnderWay<'_>) -> Done {
        let (run, last) = (line.run, line.index + 1 == line.run.lines.len());
        let fails = run.fails.as_ref().filter(|_| last);
        self.judge(run.lines[line.index].text.place, &line.called, fails)?;
        match &run.job {
            Some(name) if last => self.name_job(name, &line.called),
            _ => Ok(()),
        }
    }

    /// Calls. With `waits`, the rules that the copy takes from now on are kept until its job has ended.
    fn operate(&mut self, on: CopyId, text: &At<String>, operation: Operation, waits: bool) -> Done<Called> {
        if !self.sim.host_is_up(on.host) {
            return Ok(self.host_is_down(on.host, text.place));
        }
        self.tell();
        if waits {
            self.rules.insert(on, Vec::new());
        }
        let power = self.sim.copy(on).map_or(Power::Off, |view| view.power);
        let outcome = self.sim.operate(on, &text.value, operation)?;
        let job = outcome.job.map(|id| (on.host, id));
        let refused = self.refusal(&outcome, on, power, text);
        Ok(Called { refused, code: outcome.code, job })
    }

    /// How a job that was waited for failed, if it did.
    fn job_failed(&mut self, on: CopyId, id: JobId, place: Place) -> Done<Option<Refused>> {
        self.tell();
        let rules = self.rules.remove(&on).unwrap_or_default();
        let Some(job) = self.sim.job(on.host, id).filter(|job| job.state != JobState::Completed) else {
            return Ok(None);
        };
        if !job.state.ended() {
            return Err(self.wrong(place, "the job does not end", None));
        }
        Ok(Some(Refused {
            code: Some(job.error),
            rules,
            id: "OperationFailed".to_owned(),
            text: format!("the job failed with {}: {}", job.error, job.error_text),
            help: None,
            place,
        }))
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
        let (host, vm) = (self.sim.host_name(on.host), self.sim.world.label(on.vm));
        let text = refusal_text(&call.value, refusal, host, &vm, power);
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
            None => Err(self.wrong(
                name.place,
                "no job was started, and nothing returned, that could be named",
                None,
            )),
        }
    }

    /// What Hyper-V Manager does; it is not waited for.
    pub(super) fn manager(&mut self, manager: &Manager) -> Done {
        let (on, place) = (manager.failover.value, manager.failover.place);
        if self.sim.copy(on).is_none() {
            return Err(self.wrong(place, "the host holds no copy of the machine", None));
        }
        let text = At::new("Hyper-V Manager: Failover".to_owned(), place);
        let operation = Operation::ManagerFailover { point: PointChoice::Latest };
        let called = self.operate(on, &text, operation, false)?;
        self.judge(place, &called, manager.fails.as_ref())
    }

    /// Calls a method; its job is not waited for.
    pub(super) fn invoke(&mut self, invoke: &Invoke) -> Done {
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
        let mut returned = Vec::new();
        let called = match planned {
            Ok(hvrsim_wmi::Planned::Operate { on, operation }) => {
                let text = format!("{name}{}", invoke.arguments(|point| self.point_words(point)));
                self.operate(on, &At::new(text, place), operation, false)?
            }
            Ok(hvrsim_wmi::Planned::Answer(answer)) => {
                returned = answer.returned();
                Called::answered(answer.code, &answer.why, place)
            }
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
        if !returned.is_empty() {
            let lines: Vec<String> =
                returned.iter().map(|(path, value)| format!("{path} = {value}")).collect();
            self.record(What::Text(lines.join("\n")));
        }
        match &invoke.job {
            Some(name) if !returned.is_empty() => {
                self.values.insert(name.value.clone(), returned);
                Ok(())
            }
            Some(name) => self.name_job(name, &called),
            None => Ok(()),
        }
    }
}

impl Called {
    fn accepted() -> Self {
        Self { refused: None, code: ReturnCode::COMPLETED, job: None }
    }

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
