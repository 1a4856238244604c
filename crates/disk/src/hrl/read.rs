//! Reading a change log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::layout::{self, Bad, EOL_FIELD, HEADER, Header, SLOT, Slot, VERSION, VERSION_1};
use super::{HrlInfo, REMEDY};
use crate::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, FileSystem, HostFs, open_file, read_structure};

/// A closed log, its whole chain of metadata blocks checked.
pub struct HrlReader {
    path: PathBuf,
    file: Arc<dyn BlockFile>,
    header: Header,
    /// Where the metadata blocks stand, the last first.
    blocks: Vec<u64>,
}

/// One write of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// First byte on the disk.
    pub offset: u64,
    /// Seconds since 2000-01-01 UTC.
    pub time: u32,
    /// What was written.
    pub data: Vec<u8>,
}

impl HrlReader {
    /// Opens a log and checks header and metadata blocks; data is checked when it is read.
    ///
    /// # Errors
    /// `NotClosed` when its writer died or failed, `Unsupported` for another version, `Corrupt`, `Truncated`,
    /// `NotFound`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_in(&HostFs, path.as_ref())
    }

    /// [`HrlReader::open`] over another file system.
    ///
    /// # Errors
    /// As [`HrlReader::open`].
    pub fn open_in(fs: &dyn FileSystem, path: &Path) -> Result<Self, Error> {
        let file = open_file(fs, path, "change log", false)?;
        let header = read_header(&*file).map_err(|error| error.in_file(path))?;
        let mut reader = Self { path: path.to_path_buf(), file, header, blocks: Vec::new() };
        reader.walk_back().map_err(|error| error.in_file(path))?;
        Ok(reader)
    }

    /// What the header says.
    #[must_use]
    pub fn info(&self) -> &HrlInfo {
        &self.header.info
    }

    /// Refuses a log that was not written for the disk as it is: one with another DataWriteGuid was changed
    /// without the log. A log of version 1 does not tell and is let through.
    ///
    /// # Errors
    /// `DiskMismatch`.
    pub fn check_disk(&self, data_write_guid: Uuid) -> Result<(), Error> {
        let own = self.header.info.data_write_guid;
        if own == data_write_guid || self.header.version == VERSION_1 {
            return Ok(());
        }
        Err(self.mismatch("Vhd2DataWriteGuid", 110, own, data_write_guid, "the DataWriteGuid of the disk"))
    }

    /// Refuses a log that does not follow the log with this id.
    ///
    /// # Errors
    /// `DiskMismatch`.
    pub fn check_follows(&self, previous: Uuid) -> Result<(), Error> {
        let own = self.header.info.previous_id;
        if own == previous {
            return Ok(());
        }
        Err(self.mismatch("PreviousUniqueId", 76, own, previous, "the id of the log applied before"))
    }

    fn mismatch(&self, field: &'static str, at: u64, found: Uuid, wanted: Uuid, what: &str) -> Error {
        Error::new(ErrorKind::DiskMismatch, field)
            .in_file(&self.path)
            .at(at)
            .found(found.to_string())
            .requires(format!("{wanted}, {what} (MS-HRL 2.2)"))
            .remedy(REMEDY)
    }

    /// The writes in the order in which they were made. Ranges may overlap: the order matters. The log does
    /// not know the size of its disk: a write past it is refused by [`crate::Image::write_at`].
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries { log: self, left: self.blocks.clone(), slots: Vec::new().into_iter(), at: 0 }
    }

    /// Finds the metadata blocks from the end of the log, and checks that each describes all the data in
    /// front of it.
    fn walk_back(&mut self) -> Result<(), Error> {
        let size = u64::from(self.header.metadata_size);
        let first = HEADER;
        let mut at = self.header.end - size;
        let mut entries = 0;
        loop {
            self.blocks.push(at);
            let (distance, slots) = self.block(at)?;
            entries += to_u64(slots.len());
            let data: u64 = slots.iter().map(|slot| u64::from(slot.len)).sum();
            if at == first && distance == 0 && slots.is_empty() {
                break;
            }
            let fits = distance.checked_sub(size) == Some(data)
                && at.checked_sub(distance).is_some_and(|to| to >= first);
            if !fits {
                return Err(bad_block(
                    at,
                    format!("a distance of {distance} back, over {data} bytes of data"),
                    "the block before to stand right in front of the data (MS-HRL 2.2)",
                ));
            }
            at -= distance;
        }
        if entries != self.header.info.entries {
            return Err(bad_block(
                HEADER,
                format!("{entries} entries in all blocks"),
                "as many as the header counts (MS-HRL 2.2)",
            ));
        }
        Ok(())
    }

    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; to_usize(len)];
        read_structure(&*self.file, "change log", at, &mut bytes)?;
        Ok(bytes)
    }

    /// A metadata block: distance to the one before, slots.
    fn block(&self, at: u64) -> Result<(u64, Vec<Slot>), Error> {
        let requires = "an undamaged block (MS-HRL 2.2)";
        let size = self.header.metadata_size;
        let bytes = self.read(at, u64::from(size))?;
        let (distance, count) =
            layout::decode_block_head(&bytes, size).map_err(|found| bad_block(at, found, requires))?;
        let mut slots = Vec::new();
        for bytes in bytes.chunks_exact(SLOT).skip(1).take(count) {
            let slot = Slot::decode(bytes).map_err(|found| bad_block(at, found, requires))?;
            if slot.offset.checked_add(u64::from(slot.len)).is_none() {
                let found = format!("a write of {} bytes at {}", slot.len, slot.offset);
                return Err(bad_block(at, found, "an offset on a disk"));
            }
            slots.push(slot);
        }
        Ok((distance, slots))
    }
}

fn bad_block(at: u64, found: impl Into<String>, requires: &'static str) -> Error {
    Error::corrupt("metadata block of a change log").at(at).found(found).requires(requires).remedy(REMEDY)
}

fn read_header(file: &dyn BlockFile) -> Result<Header, Error> {
    let name = "change log header";
    let corrupt = |found: String, requires: &'static str| {
        Err(Error::corrupt(name).at(0).found(found).requires(requires).remedy(REMEDY))
    };
    let mut bytes = vec![0; to_usize(HEADER)];
    read_structure(file, name, 0, &mut bytes)?;
    let header = match Header::decode(&bytes) {
        Ok(header) => header,
        Err(Bad::Cookie) => {
            return Err(Error::corrupt(name)
                .at(0)
                .found("another cookie")
                .requires("the cookie \"msctlog \" (MS-HRL 2.2)")
                .remedy("check that the file is a change log"));
        }
        Err(Bad::Checksum) => {
            return corrupt("a wrong checksum".into(), "that of its 4096 bytes (MS-HRL 2.2)");
        }
    };
    if header.version != VERSION && header.version != VERSION_1 {
        return Err(Error::new(ErrorKind::Unsupported, name)
            .at(8)
            .found(format!("version {:#x}", header.version))
            .requires("version 0x10000 or 0x20000 (MS-HRL 2.2)"));
    }
    if header.end == 0 || header.error != 0 {
        return Err(Error::new(ErrorKind::NotClosed, name)
            .at(EOL_FIELD)
            .found(format!("end of log {}, error code {:#x}", header.end, header.error))
            .requires("a log that its writer closed cleanly: an end and no error (MS-HRL 2.2)")
            .remedy(REMEDY));
    }
    let size = u64::from(header.metadata_size);
    if size == 0 || !size.is_multiple_of(512) {
        return corrupt(format!("metadata blocks of {size} bytes"), "a multiple of 512 (MS-HRL 2.2)");
    }
    if header.end < HEADER + size {
        return corrupt(
            format!("an end at {}", header.end),
            "room for the first metadata block (MS-HRL 2.2)",
        );
    }
    let len = file.len().map_err(|error| Error::io(name, error))?;
    if len < header.end {
        return Err(Error::new(ErrorKind::Truncated, "change log")
            .at(len)
            .found(format!("a file of {len} bytes"))
            .requires(format!("{} bytes, where the header says it ends", header.end))
            .remedy("fetch the log again from its source"));
    }
    Ok(header)
}

/// The writes of a log, forward; data is read as it is asked for. See [`HrlReader::entries`].
pub struct Entries<'a> {
    log: &'a HrlReader,
    /// Blocks still to come, the next one last.
    left: Vec<u64>,
    slots: std::vec::IntoIter<Slot>,
    /// Where the next slot's data stands.
    at: u64,
}

impl Entries<'_> {
    fn read_next(&mut self) -> Result<Option<Entry>, Error> {
        let slot = loop {
            if let Some(slot) = self.slots.next() {
                break slot;
            }
            let Some(block) = self.left.pop() else {
                return Ok(None);
            };
            let (_, slots) = self.log.block(block)?;
            self.at = block - slots.iter().map(|slot| u64::from(slot.len)).sum::<u64>();
            self.slots = slots.into_iter();
        };
        let data = self.log.read(self.at, u64::from(slot.len))?;
        if slot.data_sum != 0 && slot.data_sum != layout::sum(&data) {
            return Err(Error::corrupt("data of a change log")
                .at(self.at)
                .found("a wrong checksum")
                .requires("that of its slot (MS-HRL 2.2)")
                .remedy(REMEDY));
        }
        self.at += u64::from(slot.len);
        Ok(Some(Entry { offset: slot.offset, time: slot.time, data }))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next().map_err(|error| error.in_file(&self.log.path)).transpose();
        if matches!(next, Some(Err(_))) {
            // Nothing after a failure: writes must not be applied over a gap.
            self.left.clear();
            self.slots = Vec::new().into_iter();
        }
        next
    }
}
