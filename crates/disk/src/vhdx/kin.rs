//! What a file says of itself and of its parent, without its blocks: for finding who stands over a file.

use std::path::Path;
use std::sync::Arc;

use super::header::Current;
use super::log::Sequence;
use super::metadata::Metadata;
use super::region::Regions;
use crate::error::Error;
use crate::file::{BlockFile, FileSystem, open_file};
use crate::parent::{Kin, ParentLink};

/// Reads headers and metadata of a file; a log that is to be replayed is replayed into memory.
pub(crate) fn kin(fs: &dyn FileSystem, path: &Path) -> Result<Kin, Error> {
    let file = open_file(fs, path, "image", false)?;
    let read = || {
        let current = Current::read(&*file)?;
        let header = &current.header;
        let mut file: Arc<dyn BlockFile> = Arc::clone(&file);
        if !header.log_guid.is_nil() {
            let length = u64::from(header.log_length);
            let sequence = Sequence::find(&*file, header.log_offset, length, header.log_guid)?;
            file = Arc::new(sequence.overlay(file)?);
        }
        let regions = Regions::read(&*file)?;
        let metadata = Metadata::read(&*file, regions.metadata)?;
        let parent = metadata.parent.map(|locator| ParentLink {
            candidates: locator.candidates(fs, path),
            accepted: locator.accepted(),
        });
        Ok(Kin { identity: header.data_write_guid, parent })
    };
    read().map_err(|error: Error| error.in_file(path))
}
