//! What a power cut left, opened by readers of others that replay a VHDX's log: wxtla on all of it, and
//! `qemu-img check -r all` on a copy where it knows the file. The three must agree, but where the format leaves
//! it open or wxtla is known to part from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, FileSystem, MemFile};
use hvrsim_disk::{Details, Format, Kind, OpenOptions, open};

use crate::history::{Cut, cuts, wanted};
use crate::outside::{Content, Reader, Request};
use crate::support::{MIB, read_all, run, seed, text};

/// Of the cuts with a log to replay one in so many is looked at, of the others one in ten times as many.
const ONE_IN: u64 = 10;

/// Writes the files of a cut into a folder; their locators name each other without one.
fn write(folder: &Path, cut: &Cut) -> PathBuf {
    for (path, file) in cut.files {
        write_file(&folder.join(path.file_name().unwrap()), file);
    }
    folder.join(cut.top.file_name().unwrap())
}

fn write_file(path: &Path, file: &MemFile) {
    let host = std::fs::File::create(path).unwrap();
    let len = file.len().unwrap();
    host.set_len(len).unwrap();
    for part in file.data_extents(0..len).unwrap() {
        let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap()];
        file.read_at(part.start, &mut bytes).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&host, &bytes, part.start).unwrap();
    }
}

/// Where wxtla parts from the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Departure {
    /// It refuses an UNMAPPED block that keeps its place, which MS-VHDX 2.5.1.1 allows.
    Place,
    /// It does not know `parent_linkage2`, by which a child knows its parent while a merge is under way.
    Merge,
    /// It reads on behind the end of a parent that is smaller than the child.
    SmallerParent,
}

impl Departure {
    /// What it says then.
    fn says(self) -> &'static str {
        match self {
            Self::Place => "sparse BAT entries must not carry a file offset",
            Self::Merge => "resolved parent data write identifier",
            Self::SmallerParent => "unexpected end of data",
        }
    }
}

/// The files of a chain, logs replayed, as bytes: what departures are found in.
struct Chain {
    details: Details,
    files: Vec<Vec<u8>>,
}

impl Chain {
    fn of(cut: &Cut) -> Self {
        let fs = cut.file_system();
        let details =
            hvrsim_disk::open_in(&fs, cut.top, &OpenOptions::read_only()).unwrap().details().unwrap();
        let replayed = |file: &Details| {
            let path = Path::new("/").join(file.path.file_name().unwrap());
            hvrsim_disk::open_in(&fs, &path, &OpenOptions::read_write(seed(97))).unwrap().repair().unwrap();
            let file = fs.open(&path, false).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            bytes
        };
        let files =
            std::iter::successors(Some(&details), |file| file.parent.as_deref()).map(replayed).collect();
        Self { details, files }
    }

    fn levels(&self) -> impl Iterator<Item = (&Details, &Vec<u8>)> {
        std::iter::successors(Some(&self.details), |file| file.parent.as_deref()).zip(&self.files)
    }

    /// The payload blocks of all VHDX files: the level, the bytes of the disk, the state, the place in the file.
    fn blocks(&self) -> impl Iterator<Item = (&Details, Range<u64>, u64, u64)> {
        let vhdx = self.levels().filter(|(details, _)| details.format == Format::Vhdx);
        vhdx.flat_map(|(details, bytes)| {
            // No disk of these histories is so large that its BAT has a second chunk.
            let (block, table) = (details.block_size.unwrap(), bat(bytes));
            (0..details.size.div_ceil(block)).map(move |number| {
                let entry = little_endian(bytes, table + 8 * usize::try_from(number).unwrap());
                (details, number * block..(number + 1) * block, entry & 7, entry >> 20)
            })
        })
    }

    fn has(&self, departure: Departure) -> bool {
        let key: Vec<u8> = "parent_linkage2".encode_utf16().flat_map(u16::to_le_bytes).collect();
        match departure {
            Departure::Place => self.blocks().any(|(_, _, state, place)| state == UNMAPPED && place > 0),
            Departure::Merge => self.files.iter().any(|file| file.windows(key.len()).any(|part| part == key)),
            Departure::SmallerParent => self.shared() < self.details.size,
        }
    }

    /// How far all files of the chain reach.
    fn shared(&self) -> u64 {
        self.levels().map(|(details, _)| details.size).min().unwrap()
    }

    /// What of a disk's first bytes the format defines: UNDEFINED blocks of children may hold anything
    /// (MS-VHDX 2.5.1.1). Here they are zeros, with wxtla what the parent has.
    fn defined(&self, size: u64) -> Vec<Range<u64>> {
        let open = |(details, range, state, _): (&Details, Range<u64>, u64, u64)| {
            (details.kind == Kind::Differencing && state == UNDEFINED).then_some(range)
        };
        let open: Vec<Range<u64>> = self.blocks().filter_map(open).collect();
        let pieces = (0..size).step_by(1 << 20).map(|at| at..(at + MIB).min(size));
        pieces.filter(|piece| !open.iter().any(|block| block.contains(&piece.start))).collect()
    }
}

/// Payload block states (MS-VHDX 2.5.1.1).
const UNDEFINED: u64 = 1;
const UNMAPPED: u64 = 3;

fn little_endian(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where a VHDX has its BAT: the region table at 192 KiB names it by a GUID (MS-VHDX 2.2.3).
fn bat(bytes: &[u8]) -> usize {
    const GUID: [u8; 4] = 0x2DC2_7766_u32.to_le_bytes();
    let entries = (0..16).map(|number| (192 << 10) + 16 + 32 * number);
    let entry = entries.into_iter().find(|at| bytes[*at..*at + 4] == GUID).unwrap();
    usize::try_from(little_endian(bytes, entry + 16)).unwrap()
}

#[derive(Default)]
struct Seen {
    wxtla: u64,
    qemu: u64,
    replayed: u64,
    /// How often wxtla could not, and why.
    departures: BTreeMap<Departure, u64>,
}

fn judge(cut: &Cut, seen: &mut Seen, one_in: &mut impl FnMut(u64) -> bool) {
    let fs = cut.file_system();
    let image = hvrsim_disk::open_in(&fs, cut.top, &OpenOptions::read_only()).unwrap();
    let details = image.details().unwrap();
    if details.format != Format::Vhdx || !one_in(if details.log_to_replay { ONE_IN } else { 10 * ONE_IN }) {
        return;
    }
    let content = read_all(&*image);
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), cut);
    assert!(read_all(&*open(&path, &OpenOptions::read_only()).unwrap()) == content, "{}", cut.when);
    if read_by_wxtla(cut, &path, &content, seen) {
        seen.wxtla += 1;
        seen.replayed += u64::from(details.log_to_replay);
    }
    if details.kind != Kind::Differencing && details.logical_sector == 512 {
        let raw = folder.path().join("content.raw");
        std::fs::write(&raw, &content).unwrap();
        run("qemu-img", &["check", "-q", "-r", "all", "-f", "vhdx", text(&path)]);
        run("qemu-img", &["compare", "-q", "-f", "vhdx", "-F", "raw", text(&path), text(&raw)]);
        seen.qemu += 1;
    }
}

/// Whether wxtla reads a cut, and then as we do. Where it does not the file must have what it does not know.
fn read_by_wxtla(cut: &Cut, path: &Path, content: &[u8], seen: &mut Seen) -> bool {
    let chain = Chain::of(cut);
    let size = chain.details.size;
    let known = Arc::new(Content { size, start: content.to_vec(), pieces: Vec::new() });
    let read = |size| {
        let request = |range| Request { path: path.to_path_buf(), range, content: Arc::clone(&known) };
        Reader::Wxtla.read(&chain.defined(size).into_iter().map(request).collect::<Vec<_>>())
    };
    let Err(text) = read(size) else { return true };
    let departures = [Departure::Place, Departure::Merge, Departure::SmallerParent];
    let departure = departures.into_iter().find(|known| text.contains(known.says()) && chain.has(*known));
    let departure = departure.unwrap_or_else(|| panic!("{}: {text}", cut.when));
    *seen.departures.entry(departure).or_default() += 1;
    if departure == Departure::SmallerParent {
        read(chain.shared()).unwrap_or_else(|text| panic!("{}: {text}", cut.when));
    }
    departure == Departure::SmallerParent
}

#[test]
fn other_readers_replay_what_power_cuts_leave_as_we_do() {
    let mut seen = Seen::default();
    for number in 0..wanted(8) {
        cuts(number, |cut, rng| judge(cut, &mut seen, &mut |n| rng.below(n) == 0));
    }
    let Seen { wxtla, qemu, replayed, departures } = seen;
    println!("{wxtla} cuts read by wxtla too, {replayed} of them with a log, and {qemu} by QEMU");
    println!("what wxtla does not know: {departures:?}");
    let refused: u64 = departures.values().sum();
    assert!(wxtla > 10 && qemu > 3 && replayed > 5 && refused * 4 < wxtla);
}
