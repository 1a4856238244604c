//! A read-only file with changes on top that live in memory: how a log is replayed without touching the file.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::BlockFile;
use crate::bytes::{to_u64, to_usize};

/// What lies over a range of the file.
#[derive(Debug, Clone)]
enum Patch {
    Zero,
    Data(Box<[u8]>),
}

/// `base` with patches. Changes go in before it is shared as a [`BlockFile`], which then refuses all further
/// ones.
pub(crate) struct Overlay {
    base: Arc<dyn BlockFile>,
    len: u64,
    /// Start to (end, content); ranges do not overlap.
    patches: BTreeMap<u64, (u64, Patch)>,
}

impl Overlay {
    pub(crate) fn new(base: Arc<dyn BlockFile>) -> io::Result<Self> {
        Ok(Self { len: base.len()?, base, patches: BTreeMap::new() })
    }

    /// Lays `data` over the file at `offset`.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        self.lay(offset, to_u64(data.len()), Patch::Data(data.into()));
    }

    /// Lays zeros over the file.
    pub(crate) fn zero(&mut self, offset: u64, len: u64) {
        self.lay(offset, len, Patch::Zero);
    }

    /// Makes the file at least `len` long.
    pub(crate) fn extend(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    fn lay(&mut self, offset: u64, len: u64, patch: Patch) {
        let end = offset.saturating_add(len);
        if offset >= end {
            return;
        }
        for (start, (old_end, old)) in self.take_overlapping(offset..end) {
            if start < offset {
                self.patches.insert(start, (offset, cut(&old, 0, offset - start)));
            }
            if old_end > end {
                self.patches.insert(end, (old_end, cut(&old, end - start, old_end - end)));
            }
        }
        self.patches.insert(offset, (end, patch));
        self.extend(end);
    }

    fn take_overlapping(&mut self, range: Range<u64>) -> Vec<(u64, (u64, Patch))> {
        let starts: Vec<u64> = self.overlapping(range).map(|(start, _, _)| start).collect();
        starts.into_iter().filter_map(|start| self.patches.remove_entry(&start)).collect()
    }

    fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, u64, &Patch)> {
        let before = self.patches.range(..range.start).next_back().map_or(range.start, |(start, _)| *start);
        self.patches
            .range(before..range.end)
            .map(|(start, (end, patch))| (*start, *end, patch))
            .filter(move |(_, end, _)| *end > range.start)
    }
}

/// A part of a patch.
fn cut(patch: &Patch, from: u64, len: u64) -> Patch {
    match patch {
        Patch::Zero => Patch::Zero,
        Patch::Data(data) => Patch::Data(data[to_usize(from)..to_usize(from + len)].into()),
    }
}

impl BlockFile for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(to_u64(buf.len()));
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let in_base = self.base.len()?.clamp(offset, end) - offset;
        let (head, tail) = buf.split_at_mut(to_usize(in_base));
        if !head.is_empty() {
            self.base.read_at(offset, head)?;
        }
        tail.fill(0);
        for (start, patch_end, patch) in self.overlapping(offset..end) {
            let (from, to) = (start.max(offset), patch_end.min(end));
            let target = &mut buf[to_usize(from - offset)..to_usize(to - offset)];
            match patch {
                Patch::Zero => target.fill(0),
                Patch::Data(data) => {
                    target.copy_from_slice(&data[to_usize(from - start)..to_usize(to - start)]);
                }
            }
        }
        Ok(())
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn data_extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut all = self.base.data_extents(range.clone())?;
        all.extend(
            self.overlapping(range.clone())
                .filter(|(_, _, patch)| matches!(patch, Patch::Data(_)))
                .map(|(start, end, _)| start.max(range.start)..end.min(range.end)),
        );
        all.sort_unstable_by_key(|part| part.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for part in all {
            match joined.last_mut() {
                Some(last) if last.end >= part.start => last.end = last.end.max(part.end),
                _ => joined.push(part),
            }
        }
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::MemFile;

    #[test]
    fn later_patches_win_and_the_base_stays() {
        let base = Arc::new(MemFile::new());
        base.write_at(0, &[1; 100]).unwrap();
        let mut overlay = Overlay::new(Arc::<MemFile>::clone(&base)).unwrap();
        overlay.write(10, &[2; 20]);
        overlay.zero(15, 5);
        overlay.write(18, &[3; 4]);
        overlay.write(120, &[4; 2]);
        let mut want = vec![1; 100];
        want[10..30].fill(2);
        want[15..20].fill(0);
        want[18..22].fill(3);
        want.resize(122, 0);
        want[120..].fill(4);
        let mut all = vec![9; 122];
        overlay.read_at(0, &mut all).unwrap();
        assert_eq!(all, want);
        for from in 0..120 {
            let mut two = [9; 2];
            overlay.read_at(from, &mut two).unwrap();
            assert_eq!(two, want[to_usize(from)..to_usize(from) + 2]);
        }
        assert_eq!(base.len().unwrap(), 100);
        assert!(overlay.write_at(0, &[0]).is_err());
        assert_eq!(overlay.data_extents(0..200).unwrap(), [0..100, 120..122]);
    }
}
