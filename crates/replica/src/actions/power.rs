//! Power of the machine: allowed or refused by the table, carried out by the world.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::network::AdapterChange;
use hvrsim_types::size::CELL;
use hvrsim_types::state::{Power, ReplicationState};

use crate::copy::Copy;
use crate::exchange::{Effect, Outcome};
use crate::operation::Operation;
use crate::rule::Rule;
use crate::service::Work;

/// Disks that get the smallest size that they can have end at a multiple of this.
const GRAIN: u64 = 1 << 20;

impl Work<'_> {
    pub(crate) fn set_adapters(&mut self, rule: &'static Rule, changes: Vec<AdapterChange>) -> Outcome {
        self.stay(rule.id);
        self.effect(Effect::SetAdapters(changes));
        Self::done(rule)
    }

    /// The size that just holds what the disk has.
    fn smallest_size(&self) -> u64 {
        self.facts.disk_end.max(1).next_multiple_of(GRAIN)
    }

    /// What a disk's new size must be like, and that nothing reads or writes its disks by their old size.
    pub(crate) fn resize_parameters(
        &self,
        disk: u8,
        size: Option<u64>,
    ) -> Option<(ReturnCode, &'static str)> {
        let bad = ReturnCode::INVALID_PARAMETER;
        let beside = self.beside.as_deref().map(Copy::state);
        let size = size.unwrap_or_else(|| self.smallest_size());
        if usize::from(disk) >= self.facts.sizes.len() {
            Some((bad, "a disk of this copy"))
        } else if size == 0 || !size.is_multiple_of(CELL) {
            Some((bad, "a size that is a multiple of 4 KiB"))
        } else if size < self.facts.disk_end {
            Some((bad, "a size that holds what the disk has, and where its guest writes"))
        } else if !self.copy.received.is_empty() || beside.is_some_and(is_read) {
            Some((ReturnCode::IN_USE, "no log to be applied, and no session that reads the disk"))
        } else {
            None
        }
    }

    pub(crate) fn power(&mut self, rule: &'static Rule, operation: &Operation) -> Outcome {
        let effect = match operation {
            Operation::StartVm => Effect::Power(Power::Running),
            Operation::SaveVm => Effect::Power(Power::Saved),
            Operation::Checkpoint => Effect::Checkpoints { add: true },
            Operation::RemoveCheckpoints => Effect::Checkpoints { add: false },
            Operation::ResizeDisk { disk, size } => {
                let size = size.unwrap_or_else(|| self.smallest_size());
                Effect::ResizeDisk { disk: *disk, size }
            }
            Operation::DestroyVm => Effect::DestroyVm,
            _ => Effect::Power(Power::Off),
        };
        self.stay(rule.id);
        self.effect(effect);
        Self::done(rule)
    }
}

/// Whether an extended relationship in this state reads the disks by a session.
const fn is_read(state: ReplicationState) -> bool {
    use ReplicationState as S;
    matches!(
        state,
        S::WaitingToCompleteInitialReplication
            | S::Resynchronizing
            | S::ResynchronizeSuspended
            | S::DiskUpdateInProgress
    )
}
