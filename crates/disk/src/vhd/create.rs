//! Creating VHD files.

use std::path::PathBuf;

use uuid::Uuid;

use super::SECTOR;
use super::footer::{Footer, Kind, LEN, MAX_DISK};
use super::header::{BLOCK_SIZES, LEN as HEADER, SparseHeader, locator_texts};
use crate::bytes::{round_up, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::BlockFile;
use crate::seed::{GuidSource, Seed};

/// What a new file is to be.
pub(crate) struct NewVhd {
    pub size: u64,
    pub block_size: u64,
    pub fixed: bool,
    pub seed: Seed,
    /// For a differencing file.
    pub parent: Option<NewParent>,
}

/// The parent of a new differencing file.
pub(crate) struct NewParent {
    pub id: Uuid,
    /// The time in its footer.
    pub time: u32,
    /// The two absolute paths, of which the locators are made.
    pub child_path: PathBuf,
    pub path: PathBuf,
}

impl NewVhd {
    /// Refuses what the format does not allow.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fault = |name: &'static str, found: u64, requires: &'static str| {
            let found = format!("{found} bytes");
            Err(Error::new(ErrorKind::InvalidOption, name).found(found).requires(requires))
        };
        if self.size == 0 || self.size > MAX_DISK || !self.size.is_multiple_of(SECTOR) {
            return fault(
                "disk size",
                self.size,
                "whole sectors of 512 bytes, at least one, at most 2040 GiB (VHD 1.0)",
            );
        }
        if !BLOCK_SIZES.contains(&self.block_size) || !self.block_size.is_power_of_two() {
            return fault("block size", self.block_size, "a power of two from 512 KiB to 256 MiB (VHD 1.0)");
        }
        Ok(())
    }

    /// Writes an empty disk into an empty file. The footer of a fixed one, the front footer of a sparse one
    /// go in last: a file whose creation was cut off is not taken for a disk.
    pub(crate) fn write(&self, file: &dyn BlockFile) -> Result<(), Error> {
        self.check()?;
        let parent = self.parent.as_ref().map_or(Uuid::nil(), |parent| parent.id);
        let id = GuidSource::new(self.seed, &[b"vhd create", parent.as_bytes()]).next();
        let written = if self.fixed { self.write_fixed(file, id) } else { self.write_sparse(file, id) };
        written.map_err(|error| Error::io("new VHD file", error))
    }

    fn write_fixed(&self, file: &dyn BlockFile, id: Uuid) -> std::io::Result<()> {
        file.set_len(self.size + LEN)?;
        file.flush()?;
        file.write_at(self.size, Footer::new(Kind::Fixed, self.size, id).bytes())?;
        file.flush()
    }

    fn write_sparse(&self, file: &dyn BlockFile, id: Uuid) -> std::io::Result<()> {
        let kind = if self.parent.is_some() { Kind::Differencing } else { Kind::Dynamic };
        let footer = Footer::new(kind, self.size, id);
        let entries = self.size.div_ceil(self.block_size);
        let narrow = |value: u64| u32::try_from(value).expect("checked: 2040 GiB of 512 KiB blocks");
        let bat_offset = LEN + HEADER;
        let mut header = SparseHeader::new(bat_offset, narrow(entries), narrow(self.block_size));
        let table = vec![0xFF; to_usize(round_up(entries * 4, SECTOR))];
        let mut end = bat_offset + to_u64(table.len());
        if let Some(parent) = &self.parent {
            let folder = parent.child_path.parent().unwrap_or(std::path::Path::new("/"));
            let relative = crate::paths::relative(folder, &parent.path);
            let absolute = crate::paths::absolute(&parent.path);
            let (locators, texts) = locator_texts(&relative, &absolute, end);
            let name = parent.path.file_name().unwrap_or_default().to_string_lossy();
            header.set_parent(parent.id, parent.time, &name, &locators);
            file.write_at(end, &texts)?;
            end += to_u64(texts.len());
        }
        file.write_at(LEN, header.bytes())?;
        file.write_at(bat_offset, &table)?;
        file.write_at(end, footer.bytes())?;
        file.flush()?;
        file.write_at(0, footer.bytes())?;
        file.flush()
    }
}
