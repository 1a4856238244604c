//! Test machines: made on a recovery point beside the replica, deleted with what they wrote.

use hvrsim_replica::exchange::Input;
use hvrsim_types::id::{CopyId, JobId, PointId, TEST_SUFFIX, guid};
use hvrsim_types::state::Power;

use crate::ledger::Position;
use crate::sim::{Sim, new_machine};
use crate::store::{DiskStore, StoreResult, View};
use crate::trace::What;
use crate::world::{DiskWork, VmInfo};

impl<D: DiskStore> Sim<D> {
    /// The disk is there at once and keeps what the point shows; the machine follows when it is prepared.
    pub(crate) fn make_test(&mut self, copy: CopyId, point: Option<PointId>) -> StoreResult<()> {
        let job = self.world.host(copy.host).service.copies.get(&copy.vm).and_then(|state| state.job);
        let newest = self.world.machine(copy).map(|machine| machine.content.base);
        let content = match point {
            Some(point) => self.world.points.get(&point).map(|info| info.content),
            None => newest,
        };
        let (Some(job), Some(content)) = (job, content) else { return Ok(()) };
        let bytes = point.map_or(0, |point| self.store.point_undo_bytes(copy, point));
        self.store.test_create(copy, point.map_or(View::Live, View::Point))?;
        self.disk_work(copy, bytes, DiskWork::TestMachine(job, content));
        Ok(())
    }

    pub(crate) fn test_ready(&mut self, copy: CopyId, job: JobId, content: Position) -> StoreResult<()> {
        let state = self.world.host(copy.host).service.copies.get(&copy.vm);
        if state.is_none_or(|state| state.job != Some(job)) {
            return Ok(());
        }
        let (test, info) = (copy.test(), self.world.vm(copy.vm));
        let name = format!("{}{TEST_SUFFIX}", info.name);
        let guid = guid(self.world.seed, "vm", &name);
        let info = VmInfo { name, guid, ..info.clone() };
        self.world.test_vms.insert(test.vm, info);
        let mut machine = new_machine(content);
        machine.adapters = self.test_adapters(copy);
        machine.to_be_told = !machine.adapters.is_empty();
        let host = self.world.host_mut(copy.host);
        host.machines.insert(test.vm, machine);
        host.service.add_test(test.vm);
        self.record(Some(test.host), Some(test.vm), What::Machine { made: true });
        self.input(copy, Input::TestReady)
    }

    pub(crate) fn remove_test(&mut self, copy: CopyId) -> StoreResult<()> {
        let test = copy.test();
        if self.world.machine(test).is_some_and(|machine| machine.power != Power::Off) {
            self.set_power(test, Power::Off)?;
        }
        if self.world.machine(test).is_some() {
            self.delete_machine(test);
        }
        if self.store.has_test(copy) {
            self.store.test_discard(copy)?;
        }
        Ok(())
    }

    /// What the host knows of a machine goes; its disks are gone already, or are not its own.
    pub(crate) fn delete_machine(&mut self, copy: CopyId) {
        let host = self.world.host_mut(copy.host);
        host.machines.remove(&copy.vm);
        host.service.forget(copy.vm);
        self.record(Some(copy.host), Some(copy.vm), What::Machine { made: false });
    }
}
