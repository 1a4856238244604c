//! Metadata items that belong to the virtual disk and not to a file (MS-VHDX 2.6.1.2, IsVirtualDisk): they go
//! from a parent to its new child, and from the child to the parent when it is merged.

use super::image::VhdxImage;
use super::log::BATCH;
use super::metadata::{DiskItem, Metadata, replace_disk_items};
use crate::error::Error;

impl VhdxImage {
    /// The items of the file that belong to the disk.
    pub(crate) fn disk_items(&self) -> Result<Vec<DiskItem>, Error> {
        let items = DiskItem::read_all(&*self.file, self.regions()?.metadata);
        items.map_err(|error| error.in_file(&self.path))
    }

    /// Takes over the items of a merged child, but for the size, which is changed for itself. Contents go to
    /// unused places of the metadata region first; one log entry with the new table then makes them count.
    pub(crate) fn take_disk_items(&mut self, items: &[DiskItem]) -> Result<(), Error> {
        let region = self.regions()?.metadata;
        let change =
            replace_disk_items(&*self.file, region, items).map_err(|error| error.in_file(&self.path))?;
        self.begin_as(true)?;
        let Some(change) = change else { return Ok(()) };
        self.commit()?;
        for piece in self.pages_with(&change.contents)?.chunks(BATCH) {
            self.commit_together(piece)?;
        }
        let table = self.pages_with(&[change.table])?;
        self.commit_together(&table)?;
        self.metadata = Metadata::read(&*self.file, region).map_err(|error| error.in_file(&self.path))?;
        Ok(())
    }

    /// Whether the parent is the one that the file was told to expect, and no more the one it was made on.
    pub(crate) fn parent_came(&self) -> bool {
        match (&self.metadata.parent, &self.parent) {
            (Some(locator), Some(parent)) => locator.expects(parent.write_guid()),
            _ => false,
        }
    }
}
