//! Round trips over the grid of sizes, block sizes and sector sizes: what we write, QEMU, 7-Zip, libvhdi,
//! dissect and wxtla read with equal contents; what QEMU writes, we read.
//!
//! Small sizes run always. `cargo xtask deep grid` reads disks of up to 9 GiB in full and larger ones where
//! blocks and chunks meet.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hvrsim_disk::{
    ChildOptions, CreateOptions, Format, OpenOptions, Trim, create, create_child, open, probe,
};

use crate::outside::{Content, Piece, Reader, Request};
use crate::support::{MIB, run, seed, text};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Up to here disks are read in full.
const FULL: u64 = 9 * GIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    Dynamic,
    Child,
}

const KINDS: [Kind; 3] = [Kind::Fixed, Kind::Dynamic, Kind::Child];

/// One place of the grid.
#[derive(Debug, Clone, Copy)]
struct Cell {
    format: Format,
    kind: Kind,
    block: u64,
    sector: u64,
    size: u64,
}

impl Cell {
    /// The bytes that one sector bitmap block of a VHDX stands for (MS-VHDX 2.5).
    const fn chunk(&self) -> u64 {
        (self.sector << 23) / self.block * self.block
    }

    fn name(&self, what: &str) -> String {
        let Self { format, kind, block, sector, size } = self;
        format!("{what}-{kind:?}-{}-{sector}-{size}.{format}", block / MIB).to_lowercase()
    }

    /// Where something may go wrong: at both ends, where the first and the last two blocks meet, and where
    /// chunks do.
    fn edges(&self) -> Vec<u64> {
        let last = (self.size - 1) / self.block * self.block;
        let chunks = [1, 2, (self.size - 1) / self.chunk()].map(|n| n * self.chunk());
        let mut all = vec![0, self.block, last, self.size];
        all.extend(chunks);
        all.retain(|edge| *edge <= self.size);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A piece over every edge, which reaches so many sectors to either side of it.
    fn pieces(&self, sectors: u64, mark: u8) -> Vec<Piece> {
        let reach = sectors * self.sector;
        let mut pieces: Vec<Piece> = Vec::new();
        for edge in self.edges() {
            let from = edge.saturating_sub(reach).max(pieces.last().map_or(0, |piece| piece.at + piece.len));
            let to = (edge + reach).min(self.size);
            if from < to {
                let mark = mark + u8::try_from(pieces.len()).unwrap() * 13;
                pieces.push(Piece { at: from, len: to - from, mark: Some(mark) });
            }
        }
        pieces
    }

    /// The unit that pieces are made of, in sectors.
    const fn unit(&self) -> u64 {
        match self.format {
            Format::Vhd => 8,
            _ => 1,
        }
    }

    /// What the first file holds.
    fn base(&self) -> Vec<Piece> {
        self.pieces(3 * self.unit(), 11)
    }

    /// What a child holds over it: a block of zeros and smaller pieces.
    fn over(&self) -> Vec<Piece> {
        let end = (2 * self.block).min(self.size);
        let zeros = (self.block < end).then(|| Piece { at: self.block, len: end - self.block, mark: None });
        zeros.into_iter().chain(self.pieces(self.unit(), 140)).collect()
    }

    fn content(&self) -> Arc<Content> {
        let mut pieces = self.base();
        if self.kind == Kind::Child {
            pieces.extend(self.over());
        }
        Arc::new(Content { size: self.size, start: Vec::new(), pieces })
    }

    /// What of the disk is read: all, or some of it around the edges.
    fn ranges(&self) -> Vec<Range<u64>> {
        if self.size <= FULL {
            return std::iter::once(0..self.size).collect();
        }
        self.around_edges()
    }

    fn around_edges(&self) -> Vec<Range<u64>> {
        self.edges().iter().map(|edge| edge.saturating_sub(MIB)..(edge + MIB).min(self.size)).collect()
    }

    fn requests(&self, path: &Path, reader: Reader) -> Vec<Request> {
        let content = self.content();
        let request = |range| Request { path: path.to_path_buf(), range, content: Arc::clone(&content) };
        let ranges = if self.is_slow_for(reader) { self.around_edges() } else { self.ranges() };
        ranges.into_iter().map(request).collect()
    }

    /// Blocks of 256 MiB of a VHD take libvhdi minutes each.
    fn is_slow_for(&self, reader: Reader) -> bool {
        let blocks = self.format == Format::Vhd && self.kind != Kind::Fixed;
        reader == Reader::Libvhdi && blocks && self.block >= 256 * MIB
    }

    /// Whether a reader knows such disks, or is known to read them wrongly.
    fn is_for(&self, reader: Reader) -> bool {
        let (vhd, child) = (self.format == Format::Vhd, self.kind == Kind::Child);
        match reader {
            // It reads whole disks only, and no VHDX of an odd number of sectors.
            Reader::SevenZip => self.size <= FULL && (vhd || self.size.is_multiple_of(2 * self.sector)),
            // Of a differencing VHD it takes eight sectors for one.
            Reader::Libvhdi if vhd => !child || self.size.is_multiple_of(8 * self.sector),
            // It shows the parent behind zero blocks.
            Reader::Libvhdi => !child && !self.is_large_fixed(),
            // It takes a differencing VHD for a dynamic one.
            Reader::Dissect => !child || !vhd,
            Reader::Wxtla => !vhd && !self.is_large_fixed() && !self.has_a_bat_without_spare_entries(),
        }
    }

    /// For wxtla every chunk has all its entries, the last one too; the format counts those of blocks that there are.
    /// A child has such entries, but not the dynamic disk below it.
    fn has_a_bat_without_spare_entries(&self) -> bool {
        let (blocks, in_a_chunk) = (self.size.div_ceil(self.block), self.chunk() / self.block);
        let room = ((blocks + (blocks - 1) / in_a_chunk) * 8).next_multiple_of(MIB);
        self.kind != Kind::Fixed && blocks.div_ceil(in_a_chunk) * (in_a_chunk + 1) * 8 > room
    }

    /// In such a VHDX libvhdi and wxtla forget that the BAT has entries for sector bitmaps.
    fn is_large_fixed(&self) -> bool {
        self.kind == Kind::Fixed && self.size > self.chunk()
    }

    /// QEMU knows neither differencing files nor logical sectors of 4096 bytes.
    fn is_for_qemu(&self) -> bool {
        self.kind != Kind::Child && self.sector == 512
    }

    fn qemu_format(&self) -> &'static str {
        if self.format == Format::Vhd { "vpc" } else { "vhdx" }
    }
}

/// Writes the cell's disk with this library.
fn write(folder: &Path, cell: &Cell) -> PathBuf {
    let options = match cell.format {
        Format::Vhd => CreateOptions::vhd(cell.size, seed(1)),
        _ => {
            let sector = u32::try_from(cell.sector).unwrap();
            CreateOptions::vhdx(cell.size, seed(1)).logical_sector(sector)
        }
    };
    let options = options.block_size(cell.block).fixed(cell.kind == Kind::Fixed);
    let path = folder.join(cell.name("base"));
    let mut image = create(&path, &options).unwrap();
    cell.base().iter().for_each(|piece| image.write_at(piece.at, &piece.data()).unwrap());
    image.close().unwrap();
    if cell.kind != Kind::Child {
        return path;
    }
    let child = folder.join(cell.name("child"));
    let options = ChildOptions::new(seed(2)).block_size(cell.block);
    let mut image = create_child(&path, &child, &options).unwrap();
    for piece in cell.over() {
        match piece.mark {
            None => image.trim(piece.at, piece.len, Trim::Zero).unwrap(),
            Some(_) => image.write_at(piece.at, &piece.data()).unwrap(),
        }
    }
    image.close().unwrap();
    child
}

/// The commands of qemu-io that read or write the pieces a sector at a time.
fn qemu_io(verb: &str, pieces: &[Piece]) -> Vec<String> {
    let sectors = |piece: &Piece| {
        let piece = *piece;
        (piece.at..piece.at + piece.len).step_by(512).map(move |at| (at, piece.byte(at)))
    };
    let commands = pieces.iter().flat_map(sectors).map(|(at, byte)| format!("{verb} -P {byte} {at} 512"));
    commands.flat_map(|command| ["-c".to_owned(), command]).collect()
}

fn qemu_reads(folder: &Path, cell: &Cell, path: &Path) {
    let format = cell.qemu_format();
    if cell.format == Format::Vhdx {
        run("qemu-img", &["check", "-f", format, text(path)]);
    }
    let info = run("qemu-img", &["info", "-f", format, "--output=json", text(path)]);
    assert!(info.contains(&format!("\"virtual-size\": {},", cell.size)), "{cell:?}: {info}");
    if cell.size <= FULL {
        let raw = raw(folder, cell);
        run("qemu-img", &["compare", "-f", format, "-F", "raw", text(path), text(&raw)]);
    } else {
        let commands = qemu_io("read", &cell.content().pieces);
        let mut args = vec!["-r", "-f", format];
        args.extend(commands.iter().map(String::as_str));
        args.push(text(path));
        let told = run("qemu-io", &args);
        assert!(!told.contains("verification failed"), "{cell:?}: {told}");
    }
}

/// The cell's content as a raw file with holes.
fn raw(folder: &Path, cell: &Cell) -> PathBuf {
    let path = folder.join("content.raw");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(cell.size).unwrap();
    for piece in &cell.content().pieces {
        std::os::unix::fs::FileExt::write_all_at(&file, &piece.data(), piece.at).unwrap();
    }
    path
}

/// What we write, the others read.
fn others_read_ours(cells: &[Cell]) {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<(&Cell, PathBuf)> = cells.iter().map(|cell| (cell, write(folder.path(), cell))).collect();
    for (cell, path) in files.iter().filter(|(cell, _)| cell.is_for_qemu()) {
        qemu_reads(folder.path(), cell, path);
    }
    for reader in [Reader::SevenZip, Reader::Libvhdi, Reader::Dissect, Reader::Wxtla] {
        let own = files.iter().filter(|(cell, _)| cell.is_for(reader));
        let requests: Vec<Request> = own.flat_map(|(cell, path)| cell.requests(path, reader)).collect();
        if !requests.is_empty() {
            reader.check(&requests);
        }
    }
}

/// What QEMU writes, we read: a conversion for disks that are read in full, single writes for larger ones.
fn we_read_qemus(cell: &Cell) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(cell.name("qemu"));
    let kind = if cell.kind == Kind::Fixed { "fixed" } else { "dynamic" };
    let options = match cell.format {
        Format::Vhd => format!("subformat={kind},force_size=on"),
        _ => format!("subformat={kind},log_size=1M,block_size={}", cell.block),
    };
    let format = cell.qemu_format();
    if cell.size <= FULL {
        let raw = raw(folder.path(), cell);
        run("qemu-img", &["convert", "-f", "raw", "-O", format, "-o", &options, text(&raw), text(&path)]);
    } else {
        let size = cell.size.to_string();
        run("qemu-img", &["create", "-q", "-f", format, "-o", &options, text(&path), &size]);
        let commands = qemu_io("write", &cell.content().pieces);
        let mut args = vec!["-f", format];
        args.extend(commands.iter().map(String::as_str));
        args.push(text(&path));
        run("qemu-io", &args);
    }
    assert_eq!(probe(&path).unwrap(), cell.format, "{cell:?}");
    let image = open(&path, &OpenOptions::read_only()).unwrap();
    assert_eq!(image.size(), cell.size, "{cell:?}");
    for range in cell.ranges() {
        let read = |at, buf: &mut [u8]| image.read_at(at, buf).map_err(|error| error.to_string());
        cell.content().expect(range, read).unwrap_or_else(|text| panic!("{cell:?}: {text}"));
    }
}

/// A block, and a little less and more: by one sector of either size, and by two.
fn around(block: u64) -> Vec<u64> {
    [8192, 4096, 512].iter().flat_map(|sector| [block - sector, block + sector]).chain([block]).collect()
}

/// Every kind at every one of the sizes that `sizes` gives for a block and a sector size.
fn cells(blocks: &[u64], sizes: impl Fn(u64, u64) -> Vec<u64>) -> Vec<Cell> {
    let mut all = Vec::new();
    for block in blocks.iter().map(|n| n * MIB) {
        for (format, sector) in [(Format::Vhdx, 512), (Format::Vhdx, 4096), (Format::Vhd, 512)] {
            for size in sizes(block, sector) {
                let cell = |kind| Cell { format, kind, block, sector, size };
                all.extend(KINDS.map(cell).into_iter().filter(is_possible));
            }
        }
    }
    all
}

/// A disk has whole sectors, a VHD at most 2040 GiB, and no file of the host 64 TiB.
fn is_possible(cell: &Cell) -> bool {
    cell.size.is_multiple_of(cell.sector)
        && match cell.format {
            Format::Vhd => cell.size <= 2040 * GIB,
            _ => cell.kind != Kind::Fixed || cell.size < 16 * TIB,
        }
}

/// QEMU writes VHD blocks of 2 MiB only.
fn qemu_writes(cell: &Cell) -> bool {
    cell.is_for_qemu() && (cell.format == Format::Vhdx || cell.block == 2 * MIB)
}

fn small() -> Vec<Cell> {
    let mut all = cells(&[1, 2], |block, _| around(block));
    all.extend(cells(&[32], |block, _| vec![block + 8192]));
    all.extend(cells(&[256], |_, _| vec![3 * MIB + 4096]));
    all
}

#[test]
fn other_readers_agree_on_small_disks() {
    others_read_ours(&small());
}

#[test]
fn small_disks_that_qemu_writes_are_read() {
    small().iter().filter(|cell| qemu_writes(cell)).for_each(we_read_qemus);
}

/// Both ways for all cells, or with `HVRSIM_GRID=N` in the environment for every Nth; `N@FIRST` begins at a cell, to go
/// on with.
fn both_ways(cells: &[Cell]) {
    let chosen = std::env::var("HVRSIM_GRID").unwrap_or_else(|_| "1".to_owned());
    let (step, first) = chosen.split_once('@').unwrap_or((&chosen, "1"));
    let (step, first): (usize, usize) = (step.parse().unwrap(), first.parse().unwrap());
    let (mut ours, mut theirs) = (0, 0);
    for (number, cell) in (1..).zip(cells).skip(first - 1).step_by(step) {
        println!("{number} of {}: {cell:?}", cells.len());
        others_read_ours(std::slice::from_ref(cell));
        ours += 1;
        if qemu_writes(cell) {
            we_read_qemus(cell);
            theirs += 1;
        }
    }
    println!("{ours} disks of ours read by others, {theirs} of QEMU's read by us");
}

#[test]
#[ignore = "long: cargo xtask deep grid"]
fn grid_of_disks_read_in_full() {
    both_ways(&cells(&[1, 2, 32, 256], |block, _| {
        let more = [MIB, 4 * GIB - block, 4 * GIB, 4 * GIB + block, 9 * GIB];
        around(block).into_iter().filter(|size| *size != MIB).chain(more).collect()
    }));
}

#[test]
#[ignore = "long: cargo xtask deep grid"]
fn grid_of_large_disks_read_at_the_edges() {
    both_ways(&cells(&[1, 2, 32, 256], |block, _| {
        vec![32 * GIB - block, 32 * GIB + block, 2040 * GIB, 64 * TIB - block, 64 * TIB]
    }));
}
