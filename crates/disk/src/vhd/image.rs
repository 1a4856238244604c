//! An open VHD with its parents: finding the footer, the table, reading, and what ranges consist of.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::footer::{Footer, Kind as FooterKind, LEN as FOOTER};
use super::header::{LEN as HEADER, SparseHeader};
use super::write::Session;
use super::{SECTOR, get_u32};
use crate::bytes::{round_up, to_u64, to_usize};
use crate::details::{Details, Kind};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, FileSystem, open_file, read_structure};
use crate::image::{Extent, ExtentKind, Format, Image, Level, check_range, push_extent, push_stored};
use crate::parent::{self, Kin, ParentLink};
use crate::seed::Seed;

/// A table entry of a block that is not there.
pub(super) const ABSENT: u32 = u32::MAX;

/// An open VHD file and, for a differencing one, its parents.
pub(crate) struct VhdImage {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn BlockFile>,
    pub(super) footer: Footer,
    /// There in sparse files.
    pub(super) sparse: Option<Sparse>,
    pub(super) parent: Option<Box<VhdImage>>,
    /// There when the image was opened for writing.
    pub(super) session: Option<Session>,
}

/// What a sparse file has besides its footer.
pub(super) struct Sparse {
    pub header: SparseHeader,
    pub header_offset: u64,
    /// Sector numbers of the blocks, [`ABSENT`] where there is none.
    pub bat: Vec<u32>,
    /// Where the last used part of the file ends: the place of the rear footer.
    pub end: u64,
    /// Whether the front footer is good, and the rear one, at its place.
    pub front: bool,
    pub rear: bool,
}

/// The footers of a file: the one that counts, and which are good.
struct Found {
    footer: Footer,
    at: u64,
    front: bool,
    /// Where the rear footer stands, if it is good.
    rear: Option<u64>,
}

impl VhdImage {
    /// Opens a file, for writing when `seed` is there, and the chain of its parents read-only.
    pub(crate) fn open(fs: &dyn FileSystem, path: &Path, seed: Option<Seed>) -> Result<Self, Error> {
        Self::open_link(fs, path, seed.is_some(), 1)
    }

    fn open_link(fs: &dyn FileSystem, path: &Path, writable: bool, depth: usize) -> Result<Self, Error> {
        let file = open_file(fs, path, "image", writable)?;
        let (mut image, kind) = Self::open_file(path, file, writable).map_err(|error| error.in_file(path))?;
        if kind == FooterKind::Differencing {
            let found = parent::find(fs, path, &image.candidates()?, depth)?;
            let parent = Self::open_link(fs, &found, false, depth + 1)?;
            image.check_parent(&parent)?;
            image.parent = Some(Box::new(parent));
        }
        Ok(image)
    }

    fn open_file(path: &Path, file: Arc<dyn BlockFile>, writable: bool) -> Result<(Self, FooterKind), Error> {
        let len = file.len().map_err(|error| Error::io("file", error))?;
        let found = find_footer(&*file, len)?;
        let kind = found.footer.check(found.at)?;
        let size = found.footer.size();
        let sparse = if kind == FooterKind::Fixed {
            // The last footer byte may be missing.
            if found.at < size {
                return Err(Error::new(ErrorKind::Truncated, "fixed VHD")
                    .at(found.at)
                    .found(format!("{} bytes in front of the footer", found.at))
                    .requires(format!("the {size} bytes of the disk"))
                    .remedy("restore the file from a complete copy"));
            }
            None
        } else {
            Some(Sparse::read(&*file, len, &found, size)?)
        };
        let session = writable.then(Session::default);
        let path = path.to_path_buf();
        Ok((Self { path, file, footer: found.footer, sparse, parent: None, session }, kind))
    }

    /// Where the parent may stand, in the order to look.
    pub(crate) fn candidates(&self) -> Result<Vec<PathBuf>, Error> {
        let Some(sparse) = &self.sparse else { return Ok(Vec::new()) };
        sparse.header.candidates(&*self.file, &self.path).map_err(|error| error.in_file(&self.path))
    }

    /// What the file is to those over it, and over whom it stands.
    fn kin(&self) -> Result<Kin, Error> {
        let differs = self.footer.check(0)? == FooterKind::Differencing;
        let parent = match self.sparse.as_ref().filter(|_| differs) {
            Some(sparse) => {
                Some(ParentLink { candidates: self.candidates()?, accepted: vec![sparse.header.parent_id()] })
            }
            None => None,
        };
        Ok(Kin { identity: self.id(), parent })
    }

    fn check_parent(&self, parent: &Self) -> Result<(), Error> {
        let linked = self.sparse.as_ref().map(|sparse| sparse.header.parent_id());
        if linked == Some(parent.id()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ParentMismatch, "VHD dynamic header")
            .in_file(&self.path)
            .found(format!("parent {} with id {}", parent.path.display(), parent.id()))
            .requires(format!("{}, the parent that the child was made on", linked.unwrap_or_default()))
            .remedy("bring back the parent that the child was made on"))
    }

    /// The identity by which children name this file.
    pub(crate) fn id(&self) -> Uuid {
        self.footer.id()
    }

    /// The time in the footer: seconds since 2000-01-01 UTC.
    pub(crate) fn time(&self) -> u32 {
        self.footer.time()
    }

    pub(super) fn fail(&self, what: &'static str, at: u64, error: std::io::Error) -> Error {
        Error::io(what, error).at(at).in_file(&self.path)
    }

    /// Refuses a range that leaves the disk; gives its end.
    pub(super) fn check(&self, offset: u64, len: u64) -> Result<u64, Error> {
        check_range(self.footer.size(), offset, len).map_err(|error| error.in_file(&self.path))?;
        Ok(offset + len)
    }

    /// Reads what this file does not hold: from the parent as far as it goes, zeros past it.
    fn read_below(&self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        let below = self.parent.as_ref().map_or(0, |parent| parent.size().saturating_sub(at));
        let (head, tail) = buf.split_at_mut(to_usize(below.min(to_u64(buf.len()))));
        tail.fill(0);
        match &self.parent {
            Some(parent) if !head.is_empty() => parent.read_at(at, head),
            _ => Ok(()),
        }
    }

    fn read_here(&self, place: u64, buf: &mut [u8]) -> Result<(), Error> {
        read_structure(&*self.file, "VHD block", place, buf).map_err(|error| error.in_file(&self.path))
    }

    fn extents_below(
        &self,
        range: Range<u64>,
        level: Level,
        list: &mut Vec<Extent>,
        nothing: ExtentKind,
    ) -> Result<(), Error> {
        let split = self.parent.as_ref().map_or(0, |parent| parent.size()).clamp(range.start, range.end);
        if let Some(parent) = self.parent.as_ref().filter(|_| split > range.start) {
            for extent in parent.extents_at(range.start..split, level)? {
                let kind = if extent.kind == ExtentKind::Data { ExtentKind::Parent } else { extent.kind };
                push_extent(list, extent.start, extent.len, kind);
            }
        }
        push_extent(list, split, range.end - split, nothing);
        Ok(())
    }

    /// Appends what a range that stands at `place` is made of: data, or zeros over holes of the host's file.
    fn extents_here(
        &self,
        range: Range<u64>,
        place: u64,
        level: Level,
        list: &mut Vec<Extent>,
    ) -> Result<(), Error> {
        push_stored(list, range, (&*self.file, place), level, ExtentKind::Zero)
            .map_err(|error| error.in_file(&self.path))
    }

    /// What is wrong with the file though it can be read.
    fn weak_points(&self) -> Vec<String> {
        let Some(sparse) = &self.sparse else { return Vec::new() };
        let front = (!sparse.front).then_some("the front footer is damaged");
        let rear = (!sparse.rear).then_some("the rear footer is damaged or not at the end of the used space");
        front.into_iter().chain(rear).map(str::to_owned).collect()
    }
}

/// Reads of a file what it is to those over it, and over whom it stands.
pub(crate) fn kin(fs: &dyn FileSystem, path: &Path) -> Result<Kin, Error> {
    let file = open_file(fs, path, "image", false)?;
    let (image, _) = VhdImage::open_file(path, file, false).map_err(|error| error.in_file(path))?;
    image.kin()
}

/// Finds the footer that counts. A fixed disk has one, at the end, and its front belongs to the guest; of a
/// sparse file's two the one at the front counts, since growing writes over the other.
fn find_footer(file: &dyn BlockFile, len: u64) -> Result<Found, Error> {
    let read = |at: u64| {
        let mut buf = [0; 512];
        let part = &mut buf[..to_usize(len.saturating_sub(at).min(FOOTER))];
        read_structure(file, "VHD footer", at, part)?;
        Ok(Footer::decode(&buf).map(|footer| (footer, at)))
    };
    let front = read(0)?;
    // Old programs left the footer's last byte out.
    let mut rear = None;
    for at in [len.saturating_sub(FOOTER), len.saturating_sub(FOOTER - 1)] {
        rear = if rear.is_none() && at > 0 { read(at)? } else { rear };
    }
    let rear_at = rear.as_ref().map(|(_, at)| *at);
    let fixed = |footer: &Footer, at: u64| footer.check(at).is_ok_and(|kind| kind == FooterKind::Fixed);
    match (front, rear) {
        (_, Some((footer, at))) if fixed(&footer, at) && at >= footer.size() => {
            Ok(Found { footer, at, front: false, rear: rear_at })
        }
        (Some((footer, at)), rear) => {
            let rear = rear.filter(|(other, _)| *other == footer).map(|(_, at)| at);
            Ok(Found { footer, at, front: true, rear })
        }
        (None, Some((footer, at))) => Ok(Found { footer, at, front: false, rear: rear_at }),
        (None, None) => Err(Error::corrupt("VHD footer")
            .at(len.saturating_sub(FOOTER))
            .found("no footer with a right cookie and checksum at the end, nor a copy at the front")
            .requires("one of them (VHD 1.0)")
            .remedy("restore the file from a backup")),
    }
}

/// Two parts of a file in one place.
fn overlap(name: &str, at: u64, other: &str, end: u64) -> Error {
    Error::corrupt(format!("VHD {name}"))
        .at(at)
        .found(format!("space up to {end} that {other} has too"))
        .requires("structures and blocks never to overlap (VHD 1.0)")
        .remedy("restore the file from a backup")
}

/// A part that leaves the file.
fn cut_off(name: &str, at: u64, length: u64, len: u64) -> Error {
    Error::new(ErrorKind::Truncated, format!("VHD {name}"))
        .at(at)
        .found(format!("{length} bytes in a file of {len}"))
        .requires("every block to lie within the file (VHD 1.0)")
        .remedy("restore the file from a complete copy")
}

impl Sparse {
    fn read(file: &dyn BlockFile, len: u64, found: &Found, size: u64) -> Result<Self, Error> {
        let header_offset = found.footer.header_offset();
        let header = SparseHeader::read(file, header_offset, size)?;
        let bat_offset = header.bat_offset();
        let needed = size.div_ceil(header.block_size()) * 4;
        if bat_offset.checked_add(needed).is_none_or(|end| end > len) {
            return Err(cut_off("BAT", bat_offset, needed, len));
        }
        let mut table = vec![0; to_usize(needed)];
        read_structure(file, "VHD BAT", bat_offset, &mut table)?;
        let bat = (0..table.len()).step_by(4).map(|at| get_u32(&table, at)).collect();
        let mut sparse = Self { header, header_offset, bat, end: 0, front: found.front, rear: false };
        sparse.end = sparse.check(len)?;
        sparse.rear = found.rear == Some(sparse.end);
        Ok(sparse)
    }

    /// Refuses blocks that leave the file or overlap anything; gives the end of what is used. A table may claim
    /// millions of blocks: what is held for each of them is its sector number.
    fn check(&self, len: u64) -> Result<u64, Error> {
        let table = round_up(self.header.entries() * 4, SECTOR);
        let mut fixed = vec![
            (0, FOOTER, "front footer"),
            (self.header_offset, HEADER, "dynamic header"),
            (self.header.bat_offset(), table, "BAT"),
        ];
        fixed.extend(self.header.locator_ranges().map(|(offset, len)| (offset, len, "parent locator")));
        fixed.sort_unstable();
        let end_of = |part: &(u64, u64, &str)| part.0.saturating_add(part.1);
        if let Some(pair) = fixed.windows(2).find(|pair| end_of(&pair[0]) > pair[1].0) {
            return Err(overlap(pair[1].2, pair[1].0, pair[0].2, end_of(&pair[0])));
        }
        if let Some(part) = fixed.iter().find(|part| end_of(part) > len && part.2 != "BAT") {
            return Err(cut_off(part.2, part.0, part.1, len));
        }
        let mut sectors: Vec<u32> = self.bat.iter().copied().filter(|sector| *sector != ABSENT).collect();
        sectors.sort_unstable();
        let block_len = self.bitmap_len() + self.header.block_size();
        let names = |at: u64| {
            let found = |sector: &u32| u64::from(*sector) * SECTOR == at;
            [self.bat.iter().position(found), self.bat.iter().rposition(found)]
                .map(|block| format!("block {}", block.unwrap_or_default()))
        };
        let mut before: Option<u64> = None;
        for at in sectors.iter().map(|sector| u64::from(*sector) * SECTOR) {
            let end = at + block_len;
            if let Some(other) = before.filter(|other| other + block_len > at) {
                return Err(overlap(&names(at)[1], at, &names(other)[0], other + block_len));
            }
            if let Some(part) = fixed.iter().find(|part| part.0 < end && end_of(part) > at) {
                return Err(overlap(&names(at)[0], at, part.2, end_of(part)));
            }
            if end > len {
                return Err(cut_off(&names(at)[0], at, block_len, len));
            }
            before = Some(at);
        }
        let before = before.map_or(0, |at| at + block_len);
        let end = fixed.iter().map(end_of).max().unwrap_or(0).max(before);
        Ok(round_up(end, SECTOR))
    }

    /// Bytes of a block's sector bitmap.
    pub(super) fn bitmap_len(&self) -> u64 {
        round_up(self.header.block_size() / 4096, SECTOR)
    }

    /// Where a block's bitmap stands, if the block is there.
    pub(super) fn bitmap_at(&self, block: u64) -> Option<u64> {
        let sector = self.bat[to_usize(block)];
        (sector != ABSENT).then_some(u64::from(sector) * SECTOR)
    }

    /// Where a byte of the disk stands, for a block that is there.
    pub(super) fn place(&self, at: u64) -> u64 {
        let block_size = self.header.block_size();
        let bitmap = self.bitmap_at(at / block_size).unwrap_or(0);
        bitmap + self.bitmap_len() + at % block_size
    }
}

/// The runs of whole or cut sectors of a range: whether their bits are set.
pub(super) fn runs(bitmap: &[u8], block_start: u64, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
    let mut runs: Vec<(Range<u64>, bool)> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let bit = to_usize((at - block_start) / SECTOR);
        // Bytes of equal bits, the usual case, count as a whole.
        let sectors = if bit.is_multiple_of(8) && matches!(bitmap[bit / 8], 0 | 0xFF) { 8 } else { 1 };
        let end = ((at / SECTOR + sectors) * SECTOR).min(range.end);
        let here = bitmap[bit / 8] & (0x80 >> (bit % 8)) != 0;
        match runs.last_mut() {
            Some((run, kind)) if *kind == here => run.end = end,
            _ => runs.push((at..end, here)),
        }
        at = end;
    }
    runs
}

/// The parts of a range by block.
pub(super) fn by_block(block_size: u64, range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let block = at / block_size;
        let part = at..((block + 1) * block_size).min(range.end);
        at = part.end;
        (!part.is_empty()).then_some((block, part))
    })
}

impl Image for VhdImage {
    fn size(&self) -> u64 {
        self.footer.size()
    }

    fn logical_sector(&self) -> u32 {
        512
    }

    fn format(&self) -> Format {
        Format::Vhd
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let end = self.check(offset, to_u64(buf.len()))?;
        let Some(sparse) = &self.sparse else {
            return self.read_here(offset, buf);
        };
        let block_size = sparse.header.block_size();
        for (block, part) in by_block(block_size, offset..end) {
            let slice = |part: &Range<u64>| to_usize(part.start - offset)..to_usize(part.end - offset);
            let Some(bitmap) = self.bitmap(block)? else {
                self.read_below(part.start, &mut buf[slice(&part)])?;
                continue;
            };
            for (run, here) in runs(&bitmap, block * block_size, part) {
                let target = &mut buf[slice(&run)];
                if here {
                    self.read_here(sparse.place(run.start), target)?;
                } else {
                    self.read_below(run.start, target)?;
                }
            }
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let end = self.check(offset, to_u64(data.len()))?;
        self.write(offset..end, data)
    }

    fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        let end = self.check(offset, len)?;
        self.zero(offset..end)
    }

    fn resize(&mut self, size: u64) -> Result<(), Error> {
        Self::resize(self, size)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sync()
    }

    fn extents_at(&self, range: Range<u64>, level: Level) -> Result<Vec<Extent>, Error> {
        self.check(range.start, range.end.saturating_sub(range.start))?;
        let mut list = Vec::new();
        let Some(sparse) = &self.sparse else {
            self.extents_here(range.clone(), range.start, level, &mut list)?;
            return Ok(list);
        };
        let block_size = sparse.header.block_size();
        for (block, part) in by_block(block_size, range) {
            let Some(bitmap) = self.bitmap(block)? else {
                self.extents_below(part, level, &mut list, ExtentKind::Absent)?;
                continue;
            };
            for (run, here) in runs(&bitmap, block * block_size, part) {
                if here {
                    let place = sparse.place(run.start);
                    self.extents_here(run, place, level, &mut list)?;
                } else {
                    self.extents_below(run, level, &mut list, ExtentKind::Zero)?;
                }
            }
        }
        Ok(list)
    }

    fn details(&self) -> Result<Details, Error> {
        let sparse = self.sparse.as_ref();
        let kind = match sparse {
            None => Kind::Fixed,
            Some(_) if self.parent.is_some() => Kind::Differencing,
            Some(_) => Kind::Dynamic,
        };
        let present = |sparse: &Sparse| to_u64(sparse.bat.iter().filter(|at| **at != ABSENT).count());
        Ok(Details {
            path: self.path.clone(),
            format: Format::Vhd,
            kind,
            size: self.size(),
            file_len: self.file.len().map_err(|error| self.fail("file", 0, error))?,
            block_size: sparse.map(|sparse| sparse.header.block_size()),
            present_blocks: sparse.map(present),
            logical_sector: 512,
            physical_sector: None,
            id: Some(self.id()),
            file_write_guid: None,
            data_write_guid: None,
            geometry: Some(self.footer.geometry()),
            creator: Some(String::from_utf8_lossy(self.footer.creator()).into_owned()),
            log_to_replay: false,
            weak: self.weak_points(),
            parent: self.parent.as_ref().map(|parent| parent.details().map(Box::new)).transpose()?,
        })
    }

    fn repair(&mut self) -> Result<(), Error> {
        self.begin()?;
        self.sync()
    }

    fn close(mut self: Box<Self>) -> Result<(), Error> {
        self.sync()
    }
}
