//! Power of the machine: allowed or refused by the table, carried out by the world.

use hvrsim_types::network::AdapterChange;
use hvrsim_types::state::Power;

use crate::exchange::{Effect, Outcome};
use crate::operation::Operation;
use crate::rule::Rule;
use crate::service::Work;

impl Work<'_> {
    pub(crate) fn set_adapters(&mut self, rule: &'static Rule, changes: Vec<AdapterChange>) -> Outcome {
        self.stay(rule.id);
        self.effect(Effect::SetAdapters(changes));
        Self::done(rule)
    }

    pub(crate) fn power(&mut self, rule: &'static Rule, operation: &Operation) -> Outcome {
        let effect = match operation {
            Operation::StartVm => Effect::Power(Power::Running),
            Operation::SaveVm => Effect::Power(Power::Saved),
            Operation::Checkpoint => Effect::Checkpoints { add: true },
            Operation::RemoveCheckpoints => Effect::Checkpoints { add: false },
            Operation::DestroyVm => Effect::DestroyVm,
            _ => Effect::Power(Power::Off),
        };
        self.stay(rule.id);
        self.effect(effect);
        Self::done(rule)
    }
}
