//! Readers that other people wrote, behind one face: each gives a disk's size and a range of its content.
//! They are put under the target folder, or installed, by `cargo xtask ci tools`.

use std::fmt;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::support::{MIB, text};

const ADVICE: &str = "`cargo xtask ci tools` provides what the tests need";

/// A reader of virtual disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// 7-Zip; whole disks only.
    SevenZip,
    /// libvhdi through its Python module.
    Libvhdi,
    /// dissect.hypervisor, in Python.
    Dissect,
    /// The Rust crate wxtla: VHDX only.
    Wxtla,
}

/// A range of a disk to be read, and what the disk holds.
pub struct Request {
    pub path: PathBuf,
    pub range: Range<u64>,
    pub content: Arc<Content>,
}

/// What a disk holds.
pub struct Content {
    pub size: u64,
    /// Its first bytes; zeros follow.
    pub start: Vec<u8>,
    /// What lies over that, the later pieces over the earlier.
    pub pieces: Vec<Piece>,
}

/// A run of sectors, each filled with a byte of its own, or with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub at: u64,
    pub len: u64,
    pub mark: Option<u8>,
}

impl Piece {
    /// What the sector of 512 bytes at an offset of the disk is filled with.
    pub fn byte(&self, at: u64) -> u8 {
        let number = |mark: u8| (at - self.at) / 512 * 7 + u64::from(mark);
        self.mark.map_or(0, |mark| u8::try_from(1 + number(mark) % 255).unwrap())
    }

    pub fn data(&self) -> Vec<u8> {
        (self.at..self.at + self.len).map(|at| self.byte(at)).collect()
    }
}

impl Content {
    /// The bytes from an offset of the disk on.
    pub fn fill(&self, at: u64, buf: &mut [u8]) {
        let start = usize::try_from(at).unwrap().min(self.start.len());
        let (known, rest) = buf.split_at_mut(buf.len().min(self.start.len() - start));
        known.copy_from_slice(&self.start[start..start + known.len()]);
        rest.fill(0);
        let end = at + u64::try_from(buf.len()).unwrap();
        for piece in &self.pieces {
            for from in (piece.at.max(at)..(piece.at + piece.len).min(end)).step_by(512) {
                let start = usize::try_from(from - at).unwrap();
                let stop = (start + 512).min(buf.len());
                buf[start..stop].fill(piece.byte(from));
            }
        }
    }

    /// Reads a range, which must hold what the disk holds there.
    ///
    /// # Errors
    /// What differs first.
    pub fn expect(
        &self,
        range: Range<u64>,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut found, mut wanted) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        for from in range.clone().step_by(1 << 20) {
            let count = usize::try_from((range.end - from).min(MIB)).unwrap();
            read(from, &mut found[..count])?;
            self.fill(from, &mut wanted[..count]);
            if found[..count] != wanted[..count] {
                let first = (0..count).find(|n| found[*n] != wanted[*n]).unwrap();
                let (found, wanted) = (found[first], wanted[first]);
                return Err(format!("{found:#x} instead of {wanted:#x}, {first} bytes after {from}"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Where the readers are that the system has no packages of.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools")
}

impl Reader {
    fn command(self) -> Command {
        let python = |name: &str| {
            let mut command = Command::new(tools().join("python/bin/python"));
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/readers.py")).arg(name);
            command
        };
        match self {
            Self::SevenZip => Command::new("7z"),
            Self::Libvhdi => python("libvhdi"),
            Self::Dissect => python("dissect"),
            Self::Wxtla => Command::new(tools().join("oracle/release/hvrsim-disk-oracle")),
        }
    }

    /// Reads ranges, all of which must hold what is expected.
    ///
    /// # Panics
    /// When the reader is missing, fails, or reads something else.
    pub fn check(self, requests: &[Request]) {
        self.read(requests).unwrap_or_else(|text| panic!("{text}"));
    }

    /// Reads ranges, all of which must hold what is expected.
    ///
    /// # Errors
    /// What the reader says, or what it reads instead.
    ///
    /// # Panics
    /// When the reader is missing.
    pub fn read(self, requests: &[Request]) -> Result<(), String> {
        if self == Self::SevenZip {
            for request in requests {
                let vhdx = request.path.extension().is_some_and(|ending| ending == "vhdx");
                let kind = if vhdx { "-tVHDX" } else { "-tVHD" };
                let mut command = self.command();
                command.args(["x", "-so", kind, text(&request.path)]);
                self.run(&mut command, |stream| compare(request, stream))?;
            }
            return Ok(());
        }
        let mut command = self.command();
        for request in requests {
            let Range { start, end } = request.range;
            command.arg(&request.path).args([start, end - start].map(|n| n.to_string()));
        }
        self.run(&mut command, |stream| {
            for request in requests {
                let mut size = [0; 8];
                stream.read_exact(&mut size).map_err(|error| format!("{}: {error}", text(&request.path)))?;
                let (size, wanted) = (u64::from_le_bytes(size), request.content.size);
                if size != wanted {
                    return Err(format!("{}: a disk of {size} bytes, not {wanted}", text(&request.path)));
                }
                compare(request, stream)?;
            }
            Ok(())
        })
    }

    /// Runs a reader and looks at its output, which must end where the expectation does.
    fn run(
        self,
        command: &mut Command,
        expected: impl FnOnce(&mut dyn Read) -> Result<(), String>,
    ) -> Result<(), String> {
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{self} cannot be run ({error}): {ADVICE}"));
        let mut errors = child.stderr.take().unwrap();
        let mut stream = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        let (told, said) = std::thread::scope(|scope| {
            let said = scope.spawn(move || {
                let mut said = String::new();
                errors.read_to_string(&mut said).map(|_| said)
            });
            let told = expected(&mut stream).and_then(|()| match stream.read(&mut [0]) {
                Ok(0) => Ok(()),
                _ => Err("more than was expected".to_owned()),
            });
            drop(stream);
            (told, said.join().unwrap().unwrap())
        });
        let status = child.wait().unwrap();
        told.map_err(|text| format!("{self}: {text}\n{status}\n{said}"))?;
        if status.success() { Ok(()) } else { Err(format!("{self}: {status}\n{said}")) }
    }
}

fn compare(request: &Request, stream: &mut dyn Read) -> Result<(), String> {
    let read = |_, buf: &mut [u8]| stream.read_exact(buf).map_err(|error| error.to_string());
    let told = request.content.expect(request.range.clone(), read);
    told.map_err(|text| format!("{}: {text}", request.path.display()))
}
