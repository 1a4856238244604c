//! What a property's value is made of: an instance and what the simulator can tell about it.

use hvrsim_sim::look::{AdapterView, CopyView, JobView, Look, PointView};
use hvrsim_types::code::ReturnCode;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::job::JobState;
use hvrsim_types::network::FailoverAddresses;
use hvrsim_types::state::Mode;
use hvrsim_types::time::Instant;

use crate::datetime;
use crate::object::{Key, Object};
use crate::providers::{PROVIDERS, Provider};
use crate::value::Value;

/// An instance, and what the world says of it now.
pub(crate) struct Scene<'a> {
    pub(crate) object: &'a Object,
    pub(crate) look: &'a dyn Look,
    copy: Option<CopyView>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(object: &'a Object, look: &'a dyn Look) -> Self {
        let copy = object.copy(look).and_then(|copy| look.copy(copy));
        Self { object, look, copy }
    }

    pub(crate) fn host(&self) -> HostId {
        self.object.host
    }

    pub(crate) fn host_name(&self) -> &str {
        self.look.host_name(self.host())
    }

    /// Something of the machine; Null if the host does not hold it any more.
    pub(crate) fn of_copy(&self, read: impl FnOnce(&CopyView) -> Value) -> Value {
        self.copy.as_ref().map_or(Value::Null, read)
    }

    pub(crate) fn copy(&self) -> Option<CopyId> {
        self.copy.as_ref().map(|view| view.copy)
    }

    pub(crate) fn of_job(&self, read: impl FnOnce(&JobView) -> Value) -> Value {
        match self.object.key {
            Key::Job(job) => self.look.job(self.host(), job).as_ref().map_or(Value::Null, read),
            _ => Value::Null,
        }
    }

    pub(crate) fn point(&self) -> Option<PointView> {
        let Key::Settings(_, Some(id)) = self.object.key else { return None };
        self.look.points(self.copy()?).into_iter().find(|point| point.id == id)
    }

    /// Something of the network adapter.
    pub(crate) fn of_adapter(&self, read: impl FnOnce(&AdapterView) -> Value) -> Value {
        let Key::Adapter(vm, number) = self.object.key else { return Value::Null };
        let all = self.look.adapters(CopyId { host: self.host(), vm });
        all.get(usize::from(number)).map_or(Value::Null, read)
    }

    /// Something of what the adapter's guest is told after a failover; Null if nothing.
    pub(crate) fn told(&self, read: impl FnOnce(&FailoverAddresses) -> Value) -> Value {
        self.of_adapter(|view| view.adapter.failover.as_ref().map_or(Value::Null, read))
    }

    pub(crate) fn provider(&self) -> &'static Provider {
        match self.object.key {
            Key::Provider(n) => PROVIDERS.get(n).unwrap_or(&PROVIDERS[0]),
            _ => &PROVIDERS[0],
        }
    }

    /// 0 or 1.
    pub(crate) fn index(&self) -> u8 {
        match self.object.key {
            Key::Relationship(_, index) => index,
            _ => 0,
        }
    }

    /// The servers of the relationship: primary, then replica.
    pub(crate) fn servers(&self) -> (Value, Value) {
        let Some(view) = &self.copy else { return (Value::Null, Value::Null) };
        let here = text(self.host_name());
        let peer = view.peer.map_or(Value::Null, |host| text(self.look.host_name(host)));
        if view.mode == Mode::Primary { (here, peer) } else { (peer, here) }
    }

    pub(crate) fn moment(&self, at: Option<Instant>) -> Value {
        at.map_or(Value::Null, |at| text(&datetime::show(self.look.calendar().unix_s(at))))
    }

    /// Each end of an association.
    pub(crate) fn end(&self, second: bool) -> Value {
        match &self.object.key {
            Key::Pair(ends) if second => text(&ends.1.path(self.look)),
            Key::Pair(ends) => text(&ends.0.path(self.look)),
            _ => Value::Null,
        }
    }
}

/// The name of the machine.
pub(crate) fn vm_name(scene: &Scene<'_>) -> Value {
    scene.of_copy(|view| text(scene.look.vm_name(view.copy.vm)))
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn number(number: impl Into<u64>) -> Value {
    Value::Integer(i64::try_from(number.into()).unwrap_or(i64::MAX))
}

/// Whether `GetError` has something to say of a job.
pub(crate) fn failed(job: &JobView) -> bool {
    matches!(job.state, JobState::Terminated | JobState::Exception) || job.error != ReturnCode::COMPLETED
}

/// What a failed or cancelled job says, in words.
pub(crate) fn failure_text(job: &JobView) -> String {
    match (job.error_text.is_empty(), job.state) {
        (false, _) => job.error_text.clone(),
        (true, JobState::Terminated) => "The job was cancelled (0x80004004).".to_owned(),
        (true, _) => job.error.to_string(),
    }
}
