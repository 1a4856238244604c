//! What several themes need: seeds, images in memory, outside tools.

use std::path::Path;
use std::process::Command;

use hvrsim_disk::{Image, Seed};

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
    let output = Command::new(tool)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{tool} is needed for this test (package qemu-utils): {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{tool} {args:?}: {}\n{out}\n{err}", output.status);
    out
}

/// A path as text for a tool's argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
