//! What a power cut left, opened by readers of others that replay a VHDX's log: wxtla on all of it, and
//! `qemu-img check -r all` on a copy where it knows the file. The three must agree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, MemFile};
use hvrsim_disk::{Format, Kind, OpenOptions, open};

use crate::history::{Cut, cuts, wanted};
use crate::outside::{Content, Reader, Request};
use crate::support::{read_all, run, text};

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

#[derive(Default)]
struct Seen {
    wxtla: u64,
    qemu: u64,
    replayed: u64,
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
    let size = image.size();
    let known = Content { size, start: content.clone(), pieces: Vec::new() };
    let request = Request { path: path.clone(), range: 0..size, content: Arc::new(known) };
    Reader::Wxtla.check(&[request]);
    seen.wxtla += 1;
    seen.replayed += u64::from(details.log_to_replay);
    if details.kind != Kind::Differencing && details.logical_sector == 512 {
        let raw = folder.path().join("content.raw");
        std::fs::write(&raw, &content).unwrap();
        run("qemu-img", &["check", "-q", "-r", "all", "-f", "vhdx", text(&path)]);
        run("qemu-img", &["compare", "-q", "-f", "vhdx", "-F", "raw", text(&path), text(&raw)]);
        seen.qemu += 1;
    }
}

#[test]
fn other_readers_replay_what_power_cuts_leave_as_we_do() {
    let mut seen = Seen::default();
    for number in 0..wanted(8) {
        cuts(number, |cut, rng| judge(cut, &mut seen, &mut |n| rng.below(n) == 0));
    }
    let Seen { wxtla, qemu, replayed } = seen;
    println!("{wxtla} cuts read by wxtla too, {replayed} of them with a log, and {qemu} by QEMU");
    assert!(wxtla > 10 && qemu > 3 && replayed > 5);
}
