//! What several themes need: seeds, images in memory, outside tools.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, FileSystem, MemFs};
use hvrsim_disk::{CreateOptions, Error, ErrorKind, Image, OpenOptions, Seed};

pub const MIB: u64 = 1 << 20;

pub fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

pub fn read_all(image: &dyn Image) -> Vec<u8> {
    let mut all = vec![0xEE; usize::try_from(image.size()).unwrap()];
    image.read_at(0, &mut all).unwrap();
    all
}

pub fn read(image: &dyn Image, at: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xEE; len];
    image.read_at(at, &mut buf).unwrap();
    buf
}

/// Runs an outside tool that must be there and must succeed; gives what it printed.
pub fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|error| {
        panic!("{tool} cannot be run ({error}): `cargo xtask ci tools` provides what the tests need")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{tool} {args:?}: {}\n{out}\n{err}", output.status);
    out
}

/// A path as text for a tool's argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A dynamic disk in memory to be damaged: 16 MiB of 1 MiB blocks at `/d.vhdx`, block 0 filled with A1, block
/// 3 with A3. Its log stands at 1 MiB, its metadata at 2 MiB, its BAT at 3 MiB, block 0 at 4 MiB, block 3 at
/// 5 MiB.
pub struct Victim {
    pub fs: MemFs,
    pub file: Arc<dyn BlockFile>,
}

pub const DISK: &str = "/d.vhdx";
pub const LOG: u64 = MIB;
pub const METADATA: u64 = 2 * MIB;
pub const BAT: u64 = 3 * MIB;
pub const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
pub const REGIONS: [u64; 2] = [192 << 10, 256 << 10];

impl Victim {
    pub fn new() -> Self {
        let fs = MemFs::new();
        let options = CreateOptions::vhdx(16 * MIB, seed(1)).block_size(MIB);
        let mut image = hvrsim_disk::create_in(&fs, Path::new(DISK), &options).unwrap();
        image.write_at(0, &vec![0xA1; 1 << 20]).unwrap();
        image.write_at(3 * MIB, &vec![0xA3; 1 << 20]).unwrap();
        image.close().unwrap();
        let file = fs.open(Path::new(DISK), true).unwrap();
        Self { fs, file }
    }

    pub fn open(&self) -> Result<Box<dyn Image>, Error> {
        hvrsim_disk::open_in(&self.fs, Path::new(DISK), &OpenOptions::read_only())
    }

    pub fn open_writable(&self) -> Result<Box<dyn Image>, Error> {
        hvrsim_disk::open_in(&self.fs, Path::new(DISK), &OpenOptions::read_write(seed(2)))
    }

    /// The kind with which opening is refused, for reading and for writing alike.
    pub fn refused(&self) -> ErrorKind {
        let kind = self.open().expect_err("the file must be refused").kind();
        assert_eq!(self.open_writable().expect_err("the file must be refused").kind(), kind);
        kind
    }

    /// The first byte of every MiB.
    pub fn firsts(&self) -> Vec<u8> {
        let image = self.open().unwrap();
        (0..image.size() / MIB).map(|at| read(&*image, at * MIB, 1)[0]).collect()
    }

    pub fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.file.read_at(at, &mut bytes).unwrap();
        bytes
    }

    pub fn put(&self, at: u64, bytes: &[u8]) {
        self.file.write_at(at, bytes).unwrap();
    }

    /// Changes bytes of a structure and mends its checksum, the 4 bytes at its offset 4.
    pub fn patch(&self, structure: u64, len: usize, at: u64, bytes: &[u8]) {
        self.put(structure + at, bytes);
        self.put(structure + 4, &[0; 4]);
        let crc = crc32c::crc32c(&self.get(structure, len));
        self.put(structure + 4, &crc.to_le_bytes());
    }

    pub fn patch_headers(&self, at: u64, bytes: &[u8]) {
        for header in HEADERS {
            self.patch(header, 4096, at, bytes);
        }
    }

    pub fn patch_regions(&self, at: u64, bytes: &[u8]) {
        for table in REGIONS {
            self.patch(table, 65_536, at, bytes);
        }
    }

    pub fn put_bat(&self, index: u64, entry: u64) {
        self.put(BAT + 8 * index, &entry.to_le_bytes());
    }

    pub fn all_bytes(&self) -> Vec<u8> {
        self.get(0, usize::try_from(self.file.len().unwrap()).unwrap())
    }
}

/// The first bytes of an untouched [`Victim`].
pub fn intact() -> Vec<u8> {
    let mut firsts = vec![0; 16];
    (firsts[0], firsts[3]) = (0xA1, 0xA3);
    firsts
}

/// A small deterministic generator (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
