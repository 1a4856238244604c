//! Another size in place. Every step leaves a disk of the old size or of the new one.

use super::SECTOR;
use super::footer::{LEN as FOOTER, MAX_DISK};
use super::image::{ABSENT, VhdImage};
use crate::bytes::{round_up, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::image::Image;

impl VhdImage {
    /// Grows or shrinks the disk. What is added reads as zeros, what is cut off is gone.
    pub(crate) fn resize(&mut self, size: u64) -> Result<(), Error> {
        if size == 0 || size > MAX_DISK || !size.is_multiple_of(SECTOR) {
            return Err(Error::new(ErrorKind::InvalidOption, "disk size")
                .in_file(&self.path)
                .found(format!("{size} bytes"))
                .requires("whole sectors of 512 bytes, at least one, at most 2040 GiB (VHD 1.0)"));
        }
        if self.parent.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "resize")
                .in_file(&self.path)
                .found("a differencing VHD")
                .requires("the size of its parent: its bits know \"here\" and \"in the parent\", not \"zero\" (VHD 1.0)")
                .remedy("merge it first, or convert the chain to VHDX"));
        }
        self.begin()?;
        self.sync()?;
        let old = self.size();
        if size == old {
            return Ok(());
        }
        let done = if self.sparse.is_none() {
            self.resize_fixed(old, size)
        } else if size > old {
            self.grow_sparse(old, size)
        } else {
            self.shrink_sparse(size)
        };
        self.note(done, "resize of a VHD")
    }

    /// The new footer is durable before the old one goes.
    fn resize_fixed(&mut self, old: u64, size: u64) -> std::io::Result<()> {
        let mut footer = self.footer.clone();
        footer.set_size(size);
        if size > old {
            // An old footer without its last byte must not decide where the end is.
            self.file.set_len(size + FOOTER)?;
        }
        self.file.write_at(size, footer.bytes())?;
        self.file.flush()?;
        if size < old {
            self.file.set_len(size + FOOTER)?;
        } else {
            self.file.punch_hole(old, FOOTER.min(size - old))?;
        }
        self.file.flush()?;
        self.footer = footer;
        Ok(())
    }

    /// Zeros what lies behind the old end of the last block, makes the table large enough, then tells the
    /// size.
    fn grow_sparse(&mut self, old: u64, size: u64) -> std::io::Result<()> {
        let sparse = self.sparse.as_mut().expect("the caller has looked");
        let block_size = sparse.header.block_size();
        let last = (old - 1) / block_size;
        if sparse.bitmap_at(last).is_some() {
            let tail = (last + 1) * block_size - old;
            self.file.punch_hole(sparse.place(old - 1) + 1, tail)?;
        }
        let entries = size.div_ceil(block_size);
        let room = round_up(sparse.header.entries() * 4, SECTOR) / 4;
        let had = sparse.bat.len();
        sparse.bat.resize(to_usize(entries), ABSENT);
        let table = Self::table_bytes(&sparse.bat);
        let mut at = sparse.header.bat_offset();
        if entries > room {
            at = sparse.end;
            sparse.end += to_u64(table.len());
            self.file.set_len(sparse.end + FOOTER)?;
            self.file.write_at(at, &table)?;
            self.file.write_at(sparse.end, self.footer.bytes())?;
        } else {
            // Entries that an earlier, larger disk left behind mean nothing.
            let first = had * 4 / to_usize(SECTOR) * to_usize(SECTOR);
            self.file.write_at(at + to_u64(first), &table[first..])?;
        }
        self.file.flush()?;
        let entries = u32::try_from(entries).expect("checked: 2040 GiB of 512 KiB blocks");
        let entries = entries.max(u32::try_from(sparse.header.entries()).unwrap_or(entries));
        sparse.header.set_table(at, entries);
        self.file.write_at(sparse.header_offset, &sparse.header.bytes()[..to_usize(SECTOR)])?;
        self.file.flush()?;
        self.tell_size(size)
    }

    /// Tells the size, then gives the blocks behind it up. Their space stays in the file as holes.
    fn shrink_sparse(&mut self, size: u64) -> std::io::Result<()> {
        self.tell_size(size)?;
        let sparse = self.sparse.as_mut().expect("the caller has looked");
        let block_size = sparse.header.block_size();
        let keep = size.div_ceil(block_size);
        let block_len = sparse.bitmap_len() + block_size;
        let gone = sparse.bat.split_off(to_usize(keep));
        let mut table = Self::table_bytes(&sparse.bat);
        table.resize(to_usize(round_up(sparse.header.entries() * 4, SECTOR)), 0xFF);
        self.file.write_at(sparse.header.bat_offset(), &table)?;
        self.file.flush()?;
        for sector in gone.into_iter().filter(|sector| *sector != ABSENT) {
            self.file.punch_hole(u64::from(sector) * SECTOR, block_len)?;
        }
        Ok(())
    }

    /// Changes both footers, the front one first: it is the truth.
    fn tell_size(&mut self, size: u64) -> std::io::Result<()> {
        let mut footer = self.footer.clone();
        footer.set_size(size);
        self.file.write_at(0, footer.bytes())?;
        self.file.flush()?;
        let end = self.full_len() - FOOTER;
        self.file.write_at(end, footer.bytes())?;
        self.file.flush()?;
        self.footer = footer;
        Ok(())
    }
}
