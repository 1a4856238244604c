//! Disks that are added, dropped and resized while the machine is there.

use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, HostId, PointId};
use hvrsim_types::size::Bytes;

use crate::sim::Sim;
use crate::store::{DiskFormat, DiskSpec, DiskStore, Initial, StoreResult};
use crate::trace::What;

impl<D: DiskStore> Sim<D> {
    fn blank(&self, copy: CopyId, disk: u8, size: Bytes) -> DiskSpec {
        let format = self.world.vm(copy.vm).disks.get(usize::from(disk)).map(|d| d.format);
        DiskSpec { size, format: format.unwrap_or(DiskFormat::Vhdx), initial: Initial::Blank }
    }

    /// Somebody attaches a new, blank disk to this copy of the machine.
    pub(crate) fn add_disk(&mut self, copy: CopyId, size: Bytes) -> StoreResult<()> {
        let Ok(disk) = u8::try_from(self.store.sizes(copy).len()) else { return Ok(()) };
        let spec = self.blank(copy, disk, size);
        self.store.disk_make(copy, disk, &spec)?;
        let disks = &mut self.world.vms[copy.vm.index()].disks;
        if disks.len() == usize::from(disk) {
            disks.push(spec);
        }
        self.record(Some(copy.host), Some(copy.vm), What::Text(format!("disk {disk} of {size} is added")));
        Ok(())
    }

    /// The replica gets the disks that it has not got, or has in another size; a place between them is left blank.
    pub(crate) fn make_disks(&mut self, copy: CopyId, like: HostId, disks: DiskSet) -> StoreResult<()> {
        let sizes = self.store.sizes(CopyId { host: like, vm: copy.vm });
        let last = disks.iter().last();
        for (disk, size) in (0..=u8::MAX).zip(sizes).take_while(|(disk, _)| Some(*disk) <= last) {
            let there = self.store.sizes(copy).get(usize::from(disk)).copied();
            if there.is_none() || (disks.contains(disk) && there != Some(size)) {
                self.store.disk_make(copy, disk, &self.blank(copy, disk, size))?;
            }
        }
        Ok(())
    }

    /// What these disks of a replica hold is forgotten: blank ones stand in their places.
    pub(crate) fn drop_disks(&mut self, copy: CopyId, disks: DiskSet) -> StoreResult<()> {
        for (disk, size) in
            (0..=u8::MAX).zip(self.store.sizes(copy)).filter(|(disk, _)| disks.contains(*disk))
        {
            self.store.disk_make(copy, disk, &self.blank(copy, disk, size))?;
        }
        Ok(())
    }

    /// Where a disk can end at the earliest: behind what it holds and where its guest writes.
    pub(crate) fn disk_end(&self, copy: CopyId, disk: u8) -> Bytes {
        if self.store.sizes(copy).len() <= usize::from(disk) {
            return Bytes(0);
        }
        let info = self.world.vm(copy.vm);
        let made = info.disks.get(usize::from(disk)).map_or(Bytes(0), |d| d.size);
        let guest = info.guest.filter(|guest| guest.disk == disk).map(|guest| guest.hot_spot.min(made));
        self.store.disk_end(copy, disk).max(guest.unwrap_or_default())
    }

    pub(crate) fn resize_disk(&mut self, copy: CopyId, disk: u8, size: Bytes) -> StoreResult<()> {
        let before = self.store.sizes(copy)[usize::from(disk)];
        self.store.disk_resize(copy, disk, size)?;
        if size < before {
            let state = self.world.host(copy.host).service.copies.get(&copy.vm);
            let points: Vec<PointId> = state.iter().flat_map(|c| &c.points).map(|point| point.id).collect();
            self.with(copy, |m| m.cut.extend(points));
        }
        let text = format!("disk {disk} is resized from {before} to {size}");
        self.record(Some(copy.host), Some(copy.vm), What::Text(text));
        Ok(())
    }
}
