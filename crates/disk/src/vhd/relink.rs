//! What a merge does to the files around it: a child that gave all its blocks away, a grandchild put over
//! another parent. Every step leaves a file whose chain has the content it had.

use std::path::Path;

use uuid::Uuid;

use super::footer::LEN as FOOTER;
use super::header::{LEN as HEADER, locator_texts};
use super::image::{ABSENT, VhdImage};
use crate::bytes::to_u64;
use crate::error::{Error, ErrorKind};
use crate::file::FileSystem;

impl VhdImage {
    /// Empties the table of a differencing file whose parent has all of its content: whatever part of the table
    /// is durable, the disk is the same.
    pub(crate) fn forget_blocks(&mut self) -> Result<(), Error> {
        self.begin()?;
        let Some(sparse) = &mut self.sparse else { return Ok(()) };
        sparse.bat.fill(ABSENT);
        let table = Self::table_bytes(&sparse.bat);
        let at = sparse.header.bat_offset();
        let written = self.file.write_at(at, &table).and_then(|()| self.file.flush());
        self.note(written, "VHD BAT")
    }

    /// Puts the file over another parent, which must have the content of the one before.
    ///
    /// Header and locators are two sectors and more, which a power cut may tear: they are written anew at the
    /// end of the file, and the front footer, one sector, then names them.
    pub(crate) fn stand_over(
        &mut self,
        fs: &dyn FileSystem,
        parent: &Path,
        id: Uuid,
        time: u32,
    ) -> Result<(), Error> {
        let absolute =
            |path: &Path| fs.absolute(path).map_err(|error| Error::io("path", error).in_file(path));
        let (own, parent) = (absolute(&self.path)?, absolute(parent)?);
        self.begin()?;
        let Some(sparse) = &mut self.sparse else {
            return Err(Error::new(ErrorKind::Unsupported, "VHD dynamic header")
                .in_file(&self.path)
                .found("a fixed disk")
                .requires("a differencing one"));
        };
        let relative = crate::paths::relative(own.parent().unwrap_or(Path::new("/")), &parent);
        let at = sparse.end;
        let (locators, texts) = locator_texts(&relative, &crate::paths::absolute(&parent), at + HEADER);
        let name = parent.file_name().unwrap_or_default().to_string_lossy();
        sparse.header.set_parent(id, time, &name, &locators);
        sparse.header_offset = at;
        sparse.end = at + HEADER + to_u64(texts.len());
        let end = sparse.end;
        let header = sparse.header.bytes().to_vec();
        self.footer.set_header_offset(at);
        let steps = || {
            self.file.set_len(end + FOOTER)?;
            self.file.write_at(at, &header)?;
            self.file.write_at(at + HEADER, &texts)?;
            self.file.write_at(end, self.footer.bytes())?;
            self.file.flush()?;
            self.file.write_at(0, self.footer.bytes())?;
            self.file.flush()
        };
        let done = steps();
        self.note(done, "VHD dynamic header")
    }
}
