//! One disk of a copy: an image, the undo logs of its recovery points, the failover disk over it.

use std::path::PathBuf;

use hvrsim_disk::{
    ChildOptions, CopyOptions, CreateOptions, Format, Image, OpenOptions, copy_sparse_in, create_child_in,
    create_in, open_in, present_cells,
};
use hvrsim_resync::runs::{self, Run};
use hvrsim_types::id::{CopyId, PointId};
use hvrsim_types::size::{Bytes, CELL};

use super::content;
use super::files::{self, Folder, RunFs};
use super::undo::Undo;
use crate::store::extents::Stamped;
use crate::store::{DiskFormat, DiskSpec, Initial, Seen, StoreResult, WriteNo, tally};

/// In a map of what is present: the cell holds something.
const DATA: u64 = 1;

/// A disk over the base, of a failover or a test machine: a differencing child, or a raw file beside a raw base.
struct Over {
    path: PathBuf,
    image: Box<dyn Image>,
    /// Its own cells; 0: it hides what the base has.
    own: Stamped,
}

/// Where a present part of a view is read.
#[derive(Clone, Copy)]
enum Origin {
    Base,
    /// On the disk over the base.
    Over,
    /// In the undo log of the point at this place, from there on.
    Undo(usize, u64),
}

/// What lies over the base in a view.
enum Layer<'a> {
    Over(&'a Over),
    Undo(usize, &'a Undo),
}

impl Layer<'_> {
    /// The parts of a run: where they are read, that they are absent, or that the layer does not know them.
    fn look(&self, run: Run) -> Vec<(Run, Option<Option<Origin>>)> {
        match self {
            Self::Over(over) => {
                let origin = |kind| (kind == DATA).then_some(Origin::Over);
                over.own.segments(run).map(|(run, kind)| (run, kind.map(origin))).collect()
            }
            Self::Undo(at, log) => {
                let origin = |place| (place != 0).then_some(Origin::Undo(*at, place));
                log.places().segments(run).map(|(run, place)| (run, place.map(origin))).collect()
            }
        }
    }
}

/// One disk of a copy.
pub(super) struct Disk {
    copy: CopyId,
    number: u8,
    path: PathBuf,
    image: Box<dyn Image>,
    /// What the base has.
    present: Stamped,
    /// One for each recovery point, oldest first.
    undo: Vec<Undo>,
    failover: Option<Over>,
    test: Option<Over>,
}

impl Disk {
    /// Makes a disk and fills it.
    pub(super) fn make(folder: &Folder, copy: CopyId, number: u8, spec: &DiskSpec) -> StoreResult<Self> {
        let extension = match spec.format {
            DiskFormat::Vhdx => "vhdx",
            DiskFormat::Raw => "raw",
        };
        let path = folder.path(copy, &format!("disk{number}.{extension}"));
        let seed = folder.seed(&path);
        let image = if let Initial::Given(given) = &spec.initial {
            open_in(&RunFs, given, &OpenOptions::read_only()).map_err(files::given(given))?;
            let options = match spec.format {
                DiskFormat::Vhdx => CopyOptions::vhdx(seed),
                DiskFormat::Raw => CopyOptions::raw(),
            };
            copy_sparse_in(&RunFs, given, &path, &options).map_err(|error| {
                let ours = error.path().is_some_and(|file| file.parent() == path.parent());
                if ours { files::at(&path)(error) } else { files::given(given)(error) }
            })?;
            let format = match spec.format {
                DiskFormat::Vhdx => Format::Vhdx,
                DiskFormat::Raw => Format::Raw,
            };
            open_in(&RunFs, &path, &OpenOptions::read_write(seed).format(format))
        } else {
            let options = match spec.format {
                DiskFormat::Vhdx => CreateOptions::vhdx(spec.size.0, seed),
                DiskFormat::Raw => CreateOptions::raw(spec.size.0),
            };
            create_in(&RunFs, &path, &options)
        };
        let image = image.map_err(files::at(&path))?;
        let present = Stamped::default();
        let mut disk =
            Self { copy, number, path, image, present, undo: Vec::new(), failover: None, test: None };
        disk.fill(&spec.initial)?;
        Ok(disk)
    }

    fn fill(&mut self, initial: &Initial) -> StoreResult<()> {
        match initial {
            Initial::Blank => {}
            Initial::Used(used) => {
                for run in content::parts(tally::cells(0, used.0.min(self.size()))) {
                    self.put(run, Some(&content::cells(WriteNo::INITIAL, self.number, run)))?;
                }
            }
            Initial::Given(_) => {
                let all = present_cells(&*self.image, 4096).map_err(files::at(&self.path))?;
                for range in all {
                    self.present.set(tally::cells(range.start, range.end - range.start), DATA);
                }
            }
        }
        Ok(())
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.image.size()
    }

    /// Gives it another size; what lies behind it is gone, of recovery points too.
    pub(super) fn resize(&mut self, size: u64) -> StoreResult<()> {
        let before = self.cells();
        self.image.resize(size).map_err(files::at(&self.path))?;
        let behind = Run::new(self.cells().min(before), before);
        self.present.clear(behind);
        self.undo.iter_mut().for_each(|log| log.resize(size, behind));
        Ok(())
    }

    /// The end of the last cell of the base that holds something.
    pub(super) fn end(&self) -> u64 {
        self.present.iter().last().map_or(0, |(run, _)| run.end())
    }

    /// Cells.
    pub(super) fn cells(&self) -> u64 {
        self.size().div_ceil(CELL)
    }

    /// What the guest writes, as whole cells.
    pub(super) fn write(&mut self, run: Run, content: &[u8]) -> StoreResult<()> {
        match &mut self.failover {
            Some(failover) => failover.put(run, Some(content)),
            None => self.overwrite(run, Some(content)),
        }
    }

    /// What the test machine writes.
    pub(super) fn write_test(&mut self, run: Run, content: &[u8]) -> StoreResult<()> {
        self.test.as_mut().expect("there is a test machine").put(run, Some(content))
    }

    /// Changes the base (no content: the cells become absent): recovery points and a failover disk keep seeing what they saw.
    pub(super) fn overwrite(&mut self, run: Run, content: Option<&[u8]>) -> StoreResult<()> {
        self.keep(run)?;
        self.put(run, content)
    }

    /// Writes what comes from a log or a session, where a cell of zeros is an absent one.
    pub(super) fn overwrite_mixed(&mut self, run: Run, content: &[u8]) -> StoreResult<()> {
        let mut rest = content;
        let mut at = run.start;
        while at < run.end() {
            let kinds = rest.chunks_exact(content::CELL_BYTES).map(content::is_zero);
            let zero = kinds.clone().next().unwrap_or(true);
            let len = kinds.take_while(|kind| *kind == zero).count();
            let (part, left) = rest.split_at(len * content::CELL_BYTES);
            let run = Run { start: at, len: len as u64 };
            self.overwrite(run, (!zero).then_some(part))?;
            (rest, at) = (left, run.end());
        }
        Ok(())
    }

    /// Keeps what the base has in a run for the disks over it.
    fn keep_over(&mut self, part: Run) -> StoreResult<()> {
        for seen in [Seen::Guest, Seen::Test] {
            let hidden = self.over(seen).map(|over| gaps(over.own.segments(part)));
            for (run, old) in self.old(&hidden.unwrap_or_default())? {
                let over = if seen == Seen::Test { &mut self.test } else { &mut self.failover };
                if let Some(over) = over {
                    over.put(run, old.as_deref())?;
                }
            }
        }
        Ok(())
    }

    /// The disk over the base through which somebody looks.
    fn over(&self, seen: Seen) -> Option<&Over> {
        match seen {
            Seen::Guest => self.failover.as_ref(),
            Seen::Test => self.test.as_ref(),
            Seen::Base | Seen::Point(_) => None,
        }
    }

    /// Keeps what the base has in a run for the newest point and for the disks over it.
    fn keep(&mut self, run: Run) -> StoreResult<()> {
        for part in content::parts(run) {
            self.keep_over(part)?;
            let unknown = self.undo.last().map(|newest| gaps(newest.places().segments(part)));
            for (run, old) in self.old(&unknown.unwrap_or_default())? {
                if let Some(newest) = self.undo.last_mut() {
                    newest.add(run, old.as_deref())?;
                }
            }
        }
        Ok(())
    }

    /// What the base has in these runs; nothing where it is absent.
    fn old(&self, runs: &[Run]) -> StoreResult<Vec<(Run, Option<Vec<u8>>)>> {
        let mut out = Vec::new();
        for (run, data) in runs.iter().flat_map(|run| self.present.segments(*run)) {
            let content = data.map(|_| read(&*self.image, run)).transpose();
            out.push((run, content.map_err(files::at(&self.path))?));
        }
        Ok(out)
    }

    fn put(&mut self, run: Run, content: Option<&[u8]>) -> StoreResult<()> {
        put(&mut *self.image, run, content).map_err(files::at(&self.path))?;
        match content {
            Some(_) => self.present.set(run, DATA),
            None => self.present.clear(run),
        }
        Ok(())
    }

    /// A recovery point is taken: it is the newest.
    pub(super) fn take_point(&mut self, folder: &Folder, point: PointId) -> StoreResult<()> {
        if let Some(newest) = self.undo.last_mut() {
            newest.close()?;
        }
        let path = folder.path(self.copy, &format!("disk{}-{:x}.hru", self.number, point.0));
        self.undo.push(Undo::create(folder, path, self.size())?);
        Ok(())
    }

    /// Drops the recovery point at this place; older ones keep what they need of it.
    pub(super) fn drop_point(&mut self, folder: &Folder, at: usize) -> StoreResult<()> {
        let dropped = self.undo.remove(at);
        if let Some(older) = at.checked_sub(1) {
            let mut merged = self.undo.remove(older).reopen(folder, Some(&dropped))?;
            if at < self.undo.len() + 1 {
                merged.close()?;
            }
            self.undo.insert(older, merged);
        }
        dropped.remove()
    }

    /// Sets the base back to a point; it and all newer ones are gone.
    pub(super) fn roll_back(&mut self, folder: &Folder, at: usize) -> StoreResult<()> {
        let gone = self.undo.split_off(at);
        // What is undone need not be kept for the older points: they keep it already.
        let older = std::mem::take(&mut self.undo);
        let mut done = Stamped::default();
        for log in &gone {
            for (run, _) in log.places().iter() {
                for part in gaps(done.segments(run)).into_iter().flat_map(content::parts) {
                    for (part, place) in log.places().within(part) {
                        let mut old = vec![0; content::bytes(part)];
                        if place != 0 {
                            log.read(place, part, &mut old)?;
                        }
                        self.overwrite(part, (place != 0).then_some(&old))?;
                    }
                }
                done.set(run, DATA);
            }
        }
        self.undo = older;
        if let Some(newest) = self.undo.pop() {
            self.undo.push(newest.reopen(folder, None)?);
        }
        gone.into_iter().try_for_each(Undo::remove)
    }

    /// The cells that changed since a point.
    pub(super) fn changed(&self, at: usize) -> Stamped {
        let mut out = Stamped::default();
        for (run, _) in self.undo[at..].iter().flat_map(|log| log.places().iter()) {
            out.set(run, DATA);
        }
        out
    }

    /// Puts a failover disk over the base, showing a point or the present.
    pub(super) fn create_failover(&mut self, folder: &Folder, point: Option<usize>) -> StoreResult<()> {
        self.failover = Some(self.make_over(folder, "failover", point)?);
        Ok(())
    }

    /// As [`Disk::create_failover`], for a test machine.
    pub(super) fn create_test(&mut self, folder: &Folder, point: Option<usize>) -> StoreResult<()> {
        self.test = Some(self.make_over(folder, "test", point)?);
        Ok(())
    }

    fn make_over(&mut self, folder: &Folder, name: &str, point: Option<usize>) -> StoreResult<Over> {
        self.image.flush().map_err(files::at(&self.path))?;
        let (path, image) = match self.image.format() {
            Format::Raw | Format::Vhd => {
                let path = folder.path(self.copy, &format!("disk{}-{name}.raw", self.number));
                let image = create_in(&RunFs, &path, &CreateOptions::raw(self.size()));
                (path, image)
            }
            Format::Vhdx => {
                let path = folder.path(self.copy, &format!("disk{}-{name}.avhdx", self.number));
                let options = ChildOptions::new(folder.seed(&path));
                let image = create_child_in(&RunFs, &self.path, &path, &options);
                (path, image)
            }
        };
        let image = image.map_err(files::at(&path))?;
        let mut over = Over { path, image, own: Stamped::default() };
        let Some(at) = point else { return Ok(over) };
        let seen = Seen::Point(at);
        for (run, _) in self.changed(at).iter() {
            for part in content::parts(run) {
                let (mut old, shown) = (vec![0; content::bytes(part)], self.present(seen, part));
                self.read(seen, part, &mut old)?;
                over.put(part, None)?;
                for run in shown {
                    let from = content::bytes(Run { start: 0, len: run.start - part.start });
                    over.put(run, Some(&old[from..from + content::bytes(run)]))?;
                }
            }
        }
        Ok(over)
    }

    /// Drops the test machine's disk.
    pub(super) fn discard_test(&mut self) -> StoreResult<()> {
        self.test.take().map_or(Ok(()), Over::remove)
    }

    /// Drops the failover disk.
    pub(super) fn discard_failover(&mut self) -> StoreResult<()> {
        self.failover.take().map_or(Ok(()), Over::remove)
    }

    /// Merges the failover disk into the base and drops all points. Returns the cells merged.
    pub(super) fn commit_failover(&mut self) -> StoreResult<u64> {
        std::mem::take(&mut self.undo).into_iter().try_for_each(Undo::remove)?;
        let Some(failover) = self.failover.take() else { return Ok(0) };
        for (run, kind) in failover.own.iter() {
            if kind != DATA {
                content::parts(run).try_for_each(|part| self.keep_over(part))?;
                self.put(run, None)?;
                continue;
            }
            for part in content::parts(run) {
                self.keep_over(part)?;
                let content = read(&*failover.image, part).map_err(files::at(&failover.path))?;
                self.put(part, Some(&content))?;
            }
        }
        let cells = failover.own.cells();
        failover.remove()?;
        Ok(cells)
    }

    /// The failover disk's own cells.
    pub(super) fn failover_cells(&self) -> Vec<Run> {
        let mut out = Vec::new();
        for (run, _) in self.failover.iter().flat_map(|failover| failover.own.iter()) {
            runs::push(&mut out, run);
        }
        out
    }

    /// What a view looks through, nearest first.
    fn layers(&self, seen: Seen) -> Vec<Layer<'_>> {
        match seen {
            Seen::Point(at) => {
                self.undo.iter().enumerate().skip(at).map(|(at, log)| Layer::Undo(at, log)).collect()
            }
            _ => self.over(seen).into_iter().map(Layer::Over).collect(),
        }
    }

    /// The present parts of a run in a view, in order.
    fn view(&self, seen: Seen, run: Run) -> Vec<(Run, Origin)> {
        let (mut found, mut open) = (Vec::new(), vec![run]);
        for layer in self.layers(seen) {
            let mut left = Vec::new();
            for (part, origin) in open.iter().flat_map(|part| layer.look(*part)) {
                match origin {
                    Some(Some(origin)) => found.push((part, origin)),
                    Some(None) => {}
                    None => left.push(part),
                }
            }
            open = left;
        }
        for part in open {
            found.extend(self.present.within(part).map(|(part, _)| (part, Origin::Base)));
        }
        found.sort_unstable_by_key(|(part, _)| part.start);
        found
    }

    /// A disk of its own that holds what the test machine sees.
    pub(super) fn alone(&self, folder: &Folder, test: CopyId) -> StoreResult<Self> {
        let format = if self.image.format() == Format::Vhdx { DiskFormat::Vhdx } else { DiskFormat::Raw };
        let spec = DiskSpec { size: Bytes(self.size()), format, initial: Initial::Blank };
        let mut own = Self::make(folder, test, self.number, &spec)?;
        for run in self.present(Seen::Test, Run { start: 0, len: self.cells() }) {
            for part in content::parts(run) {
                let mut content = vec![0; content::bytes(part)];
                self.read(Seen::Test, part, &mut content)?;
                own.overwrite(part, Some(&content))?;
            }
        }
        Ok(own)
    }

    /// The present cells of a run in a view.
    pub(super) fn present(&self, seen: Seen, run: Run) -> Vec<Run> {
        let mut out = Vec::new();
        for (part, _) in self.view(seen, run) {
            runs::push(&mut out, part);
        }
        out
    }

    /// Reads whole cells of a view.
    pub(super) fn read(&self, seen: Seen, run: Run, out: &mut [u8]) -> StoreResult<()> {
        out.fill(0);
        for (part, origin) in self.view(seen, run) {
            let from = content::bytes(Run { start: 0, len: part.start - run.start });
            let out = &mut out[from..from + content::bytes(part)];
            match (origin, self.over(seen)) {
                (Origin::Undo(at, place), _) => self.undo[at].read(place, part, out)?,
                (Origin::Over, Some(over)) => {
                    read_into(&*over.image, part, out).map_err(files::at(&over.path))?;
                }
                _ => read_into(&*self.image, part, out).map_err(files::at(&self.path))?,
            }
        }
        Ok(())
    }

    /// Present cells as the guest, or the test machine, sees them.
    pub(super) fn present_cells(&self, seen: Seen) -> u64 {
        let mut cells = self.present.cells();
        for (run, kind) in self.over(seen).iter().flat_map(|over| over.own.iter()) {
            let covered: u64 = self.present.within(run).map(|(part, _)| part.len).sum();
            cells = cells - covered + if kind == DATA { run.len } else { 0 };
        }
        cells
    }

    /// Leaves the files clean.
    pub(super) fn close(mut self) -> StoreResult<()> {
        for log in &mut self.undo {
            log.close()?;
        }
        for over in [self.failover, self.test].into_iter().flatten() {
            over.image.close().map_err(files::at(&over.path))?;
        }
        self.image.close().map_err(files::at(&self.path))
    }

    /// Deletes the files.
    pub(super) fn remove(mut self) -> StoreResult<()> {
        self.discard_failover()?;
        self.discard_test()?;
        self.undo.into_iter().try_for_each(Undo::remove)?;
        drop(self.image);
        files::remove(&self.path)
    }
}

impl Over {
    fn put(&mut self, run: Run, content: Option<&[u8]>) -> StoreResult<()> {
        put(&mut *self.image, run, content).map_err(files::at(&self.path))?;
        self.own.set(run, if content.is_some() { DATA } else { 0 });
        Ok(())
    }

    fn remove(self) -> StoreResult<()> {
        drop(self.image);
        files::remove(&self.path)
    }
}

/// The parts that a map does not have.
fn gaps(segments: impl Iterator<Item = (Run, Option<u64>)>) -> Vec<Run> {
    segments.filter(|(_, value)| value.is_none()).map(|(run, _)| run).collect()
}

/// Whole cells into an image, cut at its end; without content: zeros.
fn put(image: &mut dyn Image, run: Run, content: Option<&[u8]>) -> Result<(), hvrsim_disk::Error> {
    let len = tally::bytes(run, image.size());
    match content {
        Some(content) => {
            let cut = usize::try_from(len).unwrap_or(usize::MAX).min(content.len());
            image.write_at(run.start * CELL, &content[..cut])
        }
        None => image.zero_at(run.start * CELL, len),
    }
}

/// Whole cells of an image; behind its end zeros.
fn read_into(image: &dyn Image, run: Run, out: &mut [u8]) -> Result<(), hvrsim_disk::Error> {
    let cut = usize::try_from(tally::bytes(run, image.size())).unwrap_or(usize::MAX).min(out.len());
    image.read_at(run.start * CELL, &mut out[..cut])
}

fn read(image: &dyn Image, run: Run) -> Result<Vec<u8>, hvrsim_disk::Error> {
    let mut out = vec![0; content::bytes(run)];
    read_into(image, run, &mut out)?;
    Ok(out)
}
