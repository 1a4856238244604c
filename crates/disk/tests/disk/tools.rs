//! Round trips with qemu-img and qemu-io, in both directions.

use std::path::{Path, PathBuf};

use hvrsim_disk::{
    CopyOptions, CreateOptions, ErrorKind, Format, OpenOptions, copy_sparse, create, open, present_cells,
    probe,
};

use crate::support::{MIB, read, run, seed, text};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn qemu_check(path: &Path) {
    run("qemu-img", &["check", "-f", "vhdx", text(path)]);
}

fn qemu_read(path: &Path, pattern: u8, at: u64, len: u64) {
    let command = format!("read -P {pattern} {at} {len}");
    let out = run("qemu-io", &["-r", "-f", "vhdx", "-c", &command, text(path)]);
    assert!(!out.contains("verification failed"), "{}: {command}: {out}", path.display());
}

#[test]
fn qemu_reads_what_we_create_and_write() {
    let folder = Folder::new();
    for (size, block) in [
        (MIB, MIB),
        (MIB - 512, MIB),
        (3 * MIB + 512, MIB),
        (100 * MIB, 32 * MIB),
        ((4 << 30) + 2 * MIB, 2 * MIB),
        (9 << 30, 256 * MIB),
        (64 << 40, 256 * MIB),
    ] {
        let path = folder.path(&format!("{size}-{block}.vhdx"));
        let mut image = create(&path, &CreateOptions::vhdx(size, seed(3)).block_size(block)).unwrap();
        let step = (size / 3) / 512 * 512;
        for (at, byte) in [(0, 0x11), (step, 0x22), (2 * step, 0x33), (size - 512, 0x44)] {
            image.write_at(at, &[byte; 512]).unwrap();
        }
        image.close().unwrap();
        qemu_check(&path);
        let info = run("qemu-img", &["info", text(&path)]);
        assert!(info.contains("file format: vhdx") && info.contains(&format!("({size} bytes)")), "{info}");
        if step > 512 {
            qemu_read(&path, 0x11, 0, 512);
            qemu_read(&path, 0, 512, 512.min(step - 512));
        }
        for (at, byte) in [(step, 0x22), (2 * step, 0x33), (size - 512, 0x44)] {
            qemu_read(&path, byte, at, 512);
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 4 * block + 40 * MIB);
    }
}

#[test]
fn we_read_what_qemu_creates_and_writes() {
    let folder = Folder::new();
    for (size, kind, block) in [
        (MIB, "dynamic", 1),
        (8 * MIB + 512, "dynamic", 8),
        (8 * MIB - 512, "fixed", 8),
        (8 * MIB + 512, "fixed", 8),
        ((4 << 30) + 32 * MIB, "dynamic", 32),
        (9 << 30, "dynamic", 256),
    ] {
        let path = folder.path(&format!("{size}-{kind}.vhdx"));
        let options = format!("subformat={kind},block_size={block}M,log_size=1M");
        let size_text = size.to_string();
        run("qemu-img", &["create", "-q", "-f", "vhdx", "-o", &options, text(&path), &size_text]);
        let last = size - 512;
        let commands = [format!("write -P 0x5a {last} 512"), "write -P 0xa1 4096 8192".to_owned()];
        let args = ["-f", "vhdx", "-c", &commands[0], "-c", &commands[1], text(&path)];
        run("qemu-io", &args);
        let mut image = open(&path, &OpenOptions::read_write(seed(4))).unwrap();
        assert_eq!((image.size(), image.format()), (size, Format::Vhdx));
        assert_eq!(read(&*image, last, 512), [0x5A; 512]);
        assert_eq!(read(&*image, 4096, 8192), [0xA1; 8192]);
        assert_eq!(read(&*image, 0, 4096), [0; 4096]);
        let cells = present_cells(&*image, 4096).unwrap();
        assert_eq!(cells, [4096..12_288, last / 4096 * 4096..size]);
        image.write_at(size / 2 - 100, &[0x77; 200]).unwrap();
        image.close().unwrap();
        qemu_check(&path);
        qemu_read(&path, 0x77, size / 2 - 100, 200);
        qemu_read(&path, 0x5A, last, 512);
    }
}

#[test]
fn copies_compare_equal() {
    let folder = Folder::new();
    let [source, vhdx, raw, back] =
        ["s.vhdx", "copy.vhdx", "copy.img", "back.vhdx"].map(|name| folder.path(name));
    run("qemu-img", &["create", "-q", "-f", "vhdx", text(&source), "200M"]);
    run("qemu-io", &["-f", "vhdx", "-c", "write -P 1 3M 5M", "-c", "write -P 2 150M 70k", text(&source)]);
    let before = std::fs::read(&source).unwrap();
    copy_sparse(&source, &vhdx, &CopyOptions::vhdx(seed(5)).block_size(MIB)).unwrap();
    copy_sparse(&vhdx, &raw, &CopyOptions::raw()).unwrap();
    copy_sparse(&raw, &back, &CopyOptions::vhdx(seed(6))).unwrap();
    assert!(std::fs::read(&source).unwrap() == before, "the source was changed");
    assert_eq!(probe(&raw).unwrap(), Format::Raw);
    for copy in [&vhdx, &back] {
        qemu_check(copy);
        run("qemu-img", &["compare", text(&source), text(copy)]);
    }
    run("qemu-img", &["compare", "-F", "raw", text(&source), text(&raw)]);
    let converted = folder.path("converted.img");
    run("qemu-img", &["convert", "-O", "raw", text(&vhdx), text(&converted)]);
    assert!(std::fs::read(&converted).unwrap() == std::fs::read(&raw).unwrap());
    use std::os::unix::fs::MetadataExt;
    let taken = std::fs::metadata(&raw).unwrap().blocks() * 512;
    assert!(taken < 6 * MIB, "the raw copy takes {taken} bytes");
    assert!(!folder.path("copy.vhdx.partial").exists());
}

#[test]
fn blocks_given_back_shrink_the_host_file() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let path = folder.path("d.vhdx");
    let mut image = create(&path, &CreateOptions::vhdx(64 * MIB, seed(7)).block_size(2 * MIB)).unwrap();
    image.write_at(0, &vec![9; 32 << 20]).unwrap();
    image.flush().unwrap();
    let full = std::fs::metadata(&path).unwrap().blocks() * 512;
    image.zero_at(MIB, 30 * MIB).unwrap();
    image.flush().unwrap();
    let less = std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(full > 32 * MIB && less < 4 * MIB, "{full} {less}");
    image.write_at(4 * MIB, &[8; 512]).unwrap();
    image.close().unwrap();
    qemu_check(&path);
    qemu_read(&path, 9, 0, MIB);
    qemu_read(&path, 0, MIB, 3 * MIB);
    qemu_read(&path, 8, 4 * MIB, 512);
    qemu_read(&path, 0, 4 * MIB + 512, 27 * MIB - 512);
    qemu_read(&path, 9, 31 * MIB, MIB);
    assert!(std::fs::metadata(&path).unwrap().len() < 40 * MIB, "given-up space was not used again");
}

#[test]
fn qemu_replays_the_log_that_we_leave() {
    let folder = Folder::new();
    let [path, copy] = ["d.vhdx", "copy.vhdx"].map(|name| folder.path(name));
    let mut image = create(&path, &CreateOptions::vhdx(64 * MIB, seed(8)).block_size(MIB)).unwrap();
    for (at, byte) in [(0, 1), (40 * MIB, 2), (9 * MIB, 3)] {
        image.write_at(at, &[byte; 4096]).unwrap();
        image.flush().unwrap();
    }
    drop(image);
    std::fs::copy(&path, &copy).unwrap();
    // The last change at its place is undone, as if it had not reached the disk: only the log has it.
    let bat = std::fs::OpenOptions::new().write(true).open(&copy).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&bat, &[0; 8], 3 * MIB + 9 * 8).unwrap();
    run("qemu-img", &["check", "-r", "all", "-f", "vhdx", text(&copy)]);
    qemu_check(&copy);
    for (at, byte) in [(0, 1), (40 * MIB, 2), (9 * MIB, 3)] {
        qemu_read(&copy, byte, at, 4096);
    }
    open(&path, &OpenOptions::read_write(seed(9))).unwrap().close().unwrap();
    qemu_check(&path);
    run("qemu-img", &["compare", text(&path), text(&copy)]);
}

#[test]
fn sizes_that_are_no_disk_are_refused() {
    let folder = Folder::new();
    for (name, content, kind) in [
        ("odd.img", vec![1; 1000], ErrorKind::Misaligned),
        ("no.vhdx", vec![1; 1024], ErrorKind::Corrupt),
        ("no.VHD", vec![1; 1024], ErrorKind::Corrupt),
        ("empty.avhdx", vec![], ErrorKind::Corrupt),
    ] {
        let path = folder.path(name);
        std::fs::write(&path, content).unwrap();
        let error = open(&path, &OpenOptions::read_only()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(&*path)), "{error}");
    }
    assert_eq!(probe(folder.path("none")).unwrap_err().kind(), ErrorKind::NotFound);
    let error = create(folder.path("r.img"), &CreateOptions::raw(1000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    for options in [
        CreateOptions::vhdx(1000, seed(1)),
        CreateOptions::vhdx(0, seed(1)),
        CreateOptions::vhdx(MIB, seed(1)).block_size(3 * MIB),
        CreateOptions::vhdx(MIB, seed(1)).block_size(512 * MIB),
        CreateOptions::vhdx(MIB, seed(1)).logical_sector(1024),
        CreateOptions::vhdx(MIB + 512, seed(1)).logical_sector(4096),
        CreateOptions::vhdx((64 << 40) + 512, seed(1)),
    ] {
        let path = folder.path("v.vhdx");
        assert_eq!(create(&path, &options).unwrap_err().kind(), ErrorKind::InvalidOption);
        assert!(!path.exists());
    }
}

#[test]
fn the_same_calls_make_the_same_file() {
    let folder = Folder::new();
    let make = |name: &str, by: u8| {
        let path = folder.path(name);
        let mut image = create(&path, &CreateOptions::vhdx(8 * MIB, seed(by)).block_size(MIB)).unwrap();
        image.write_at(5, b"hello").unwrap();
        image.close().unwrap();
        std::fs::read(&path).unwrap()
    };
    assert!(make("a.vhdx", 1) == make("b.vhdx", 1));
    assert!(make("c.vhdx", 1) != make("d.vhdx", 2));
}
