//! VHD files: kinds, sizes, footers lost and found, parents, and other tools.

use std::path::Path;
use std::sync::Arc;

use hvrsim_disk::file::{FileSystem, MemFile, MemFs};
use hvrsim_disk::{
    ChildOptions, CopyOptions, CreateOptions, ErrorKind, Format, Image, Kind, OpenOptions, copy_sparse,
    create, create_child_in, create_in, open, open_in, probe_in,
};

use crate::support::{MIB, read, read_all, run, seed, text};

const DISK: &str = "/d.vhd";

/// 8 MiB of 2 MiB blocks: block 0 filled with A1, block 2 with A3 in one sector.
fn victim(fixed: bool) -> MemFs {
    let fs = MemFs::new();
    let options = CreateOptions::vhd(8 * MIB, seed(1)).fixed(fixed);
    let mut image = create_in(&fs, Path::new(DISK), &options).unwrap();
    image.write_at(0, &vec![0xA1; 2 << 20]).unwrap();
    image.write_at(4 * MIB + 512, &[0xA3; 512]).unwrap();
    image.close().unwrap();
    fs
}

fn open_at(fs: &MemFs, path: &str) -> Box<dyn Image> {
    open_in(fs, Path::new(path), &OpenOptions::read_only()).unwrap()
}

fn refused(fs: &MemFs) -> ErrorKind {
    open_in(fs, Path::new(DISK), &OpenOptions::read_only()).unwrap_err().kind()
}

fn expect_victim(image: &dyn Image) {
    let mut want = vec![0; 8 << 20];
    want[..2 << 20].fill(0xA1);
    want[(4 << 20) + 512..(4 << 20) + 1024].fill(0xA3);
    assert!(read_all(image) == want);
}

fn file(fs: &MemFs) -> Arc<dyn hvrsim_disk::file::BlockFile> {
    fs.open(Path::new(DISK), true).unwrap()
}

#[test]
fn either_footer_is_enough_and_writing_brings_the_other_back() {
    for lost_front in [true, false] {
        let fs = victim(false);
        let len = file(&fs).len().unwrap();
        if lost_front {
            file(&fs).write_at(0, &[0; 512]).unwrap();
        } else {
            file(&fs).set_len(len - 512).unwrap();
        }
        let image = open_at(&fs, DISK);
        expect_victim(&*image);
        assert_eq!(image.details().unwrap().weak.len(), 1);
        drop(image);
        let mut image = open_in(&fs, Path::new(DISK), &OpenOptions::read_write(seed(2))).unwrap();
        image.write_at(0, &[0xA1]).unwrap();
        image.close().unwrap();
        let image = open_at(&fs, DISK);
        expect_victim(&*image);
        assert_eq!(image.details().unwrap().weak, Vec::<String>::new());
        assert_eq!(file(&fs).len().unwrap(), len);
        let mut footers = [[0; 512]; 2];
        file(&fs).read_at(0, &mut footers[0]).unwrap();
        file(&fs).read_at(len - 512, &mut footers[1]).unwrap();
        assert_eq!(footers[0], footers[1]);
    }
}

#[test]
fn without_any_footer_it_is_refused() {
    let fs = victim(false);
    file(&fs).write_at(100, &[1]).unwrap();
    let len = file(&fs).len().unwrap();
    file(&fs).write_at(len - 100, &[1]).unwrap();
    assert_eq!(refused(&fs), ErrorKind::Corrupt);
    let fs = victim(true);
    file(&fs).write_at(8 * MIB + 64, &[1]).unwrap();
    assert_eq!(refused(&fs), ErrorKind::Corrupt);
}

#[test]
fn a_fixed_disk_is_its_data_and_a_footer_that_may_lack_its_last_byte() {
    let fs = victim(true);
    assert_eq!(file(&fs).len().unwrap(), 8 * MIB + 512);
    expect_victim(&*open_at(&fs, DISK));
    file(&fs).set_len(8 * MIB + 511).unwrap();
    let image = open_at(&fs, DISK);
    expect_victim(&*image);
    assert_eq!((image.format(), image.details().unwrap().kind), (Format::Vhd, Kind::Fixed));
    // A guest may keep a sparse VHD's footer in its first sector: it is not this disk's.
    let fs = victim(true);
    let mut front = [0; 512];
    victim(false).open(Path::new(DISK), false).unwrap().read_at(0, &mut front).unwrap();
    file(&fs).write_at(0, &front).unwrap();
    assert_eq!(read(&*open_at(&fs, DISK), 0, 512), front);
}

#[test]
fn damage_is_named() {
    type Case = (u64, &'static [u8], ErrorKind);
    let cases: [Case; 5] = [
        (512, b"x", ErrorKind::Corrupt),
        (512 + 40, b"x", ErrorKind::Corrupt),
        (1536, &[0, 0, 0, 0], ErrorKind::Corrupt),
        (1536 + 8, &[0, 0, 0, 4], ErrorKind::Corrupt),
        (1536 + 4, &[0, 0x10, 0, 0], ErrorKind::Truncated),
    ];
    for (at, bytes, kind) in cases {
        let fs = victim(false);
        file(&fs).write_at(at, bytes).unwrap();
        assert_eq!(refused(&fs), kind, "{at}");
    }
    let fs = victim(false);
    file(&fs).set_len(MIB).unwrap();
    assert_eq!(refused(&fs), ErrorKind::Truncated);
}

#[test]
fn a_child_of_each_kind_of_parent() {
    for fixed in [true, false] {
        let fs = victim(fixed);
        let options = ChildOptions::new(seed(3));
        for (parent, child) in [(DISK, "/c.avhd"), ("/c.avhd", "/g.avhd")] {
            let image = create_child_in(&fs, Path::new(parent), Path::new(child), &options).unwrap();
            expect_victim(&*image);
            image.close().unwrap();
        }
        let mut image = open_in(&fs, Path::new("/g.avhd"), &OpenOptions::read_write(seed(4))).unwrap();
        image.write_at(100, &[0xC1; 1000]).unwrap();
        image.zero_at(1024 * 1024, MIB).unwrap();
        image.close().unwrap();
        let image = open_at(&fs, "/g.avhd");
        assert_eq!(read(&*image, 0, 100), [0xA1; 100]);
        assert_eq!(read(&*image, 100, 1000), [0xC1; 1000]);
        assert_eq!(read(&*image, 1100, 100), [0xA1; 100]);
        assert!(read(&*image, MIB, 1 << 20).iter().all(|byte| *byte == 0));
        expect_victim(&*open_at(&fs, "/c.avhd"));
        let details = image.details().unwrap();
        let below = details.parent.unwrap();
        assert_eq!((details.kind, below.kind), (Kind::Differencing, Kind::Differencing));
    }
}

#[test]
fn a_parent_that_is_missing_or_another_is_refused() {
    let fs = victim(false);
    create_child_in(&fs, Path::new(DISK), Path::new("/c.avhd"), &ChildOptions::new(seed(3))).unwrap();
    let child = |fs: &MemFs| open_in(fs, Path::new("/c.avhd"), &OpenOptions::read_only()).unwrap_err().kind();
    fs.remove(Path::new(DISK)).unwrap();
    assert_eq!(child(&fs), ErrorKind::ParentNotFound);
    create_in(&fs, Path::new(DISK), &CreateOptions::vhd(8 * MIB, seed(9))).unwrap();
    assert_eq!(child(&fs), ErrorKind::ParentMismatch);
}

#[test]
fn options_outside_the_format_are_refused() {
    for options in [
        CreateOptions::vhd(1000, seed(1)),
        CreateOptions::vhd(0, seed(1)),
        CreateOptions::vhd((2040 << 30) + 512, seed(1)),
        CreateOptions::vhd(MIB, seed(1)).block_size(MIB + 512),
        CreateOptions::vhd(MIB, seed(1)).block_size(4096),
    ] {
        let error = create_in(&MemFs::new(), Path::new(DISK), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
    }
}

#[test]
fn growing_and_shrinking() {
    for fixed in [true, false] {
        let fs = victim(fixed);
        let write = || open_in(&fs, Path::new(DISK), &OpenOptions::read_write(seed(2))).unwrap();
        let mut image = write();
        image.resize(4 * MIB + 1024).unwrap();
        image.close().unwrap();
        let image = open_at(&fs, DISK);
        assert_eq!(image.size(), 4 * MIB + 1024);
        assert_eq!(read(&*image, 4 * MIB + 512, 512), [0xA3; 512]);
        drop(image);
        let mut image = write();
        image.resize(4 * MIB + 512).unwrap();
        // So many blocks need another place for the table.
        image.resize(3 << 30).unwrap();
        image.write_at((3 << 30) - 512, &[0xEE; 512]).unwrap();
        image.close().unwrap();
        let image = open_at(&fs, DISK);
        assert_eq!(image.size(), 3 << 30);
        assert_eq!(read(&*image, 0, 512), [0xA1; 512]);
        assert!(read(&*image, 4 * MIB, 8 << 20).iter().all(|byte| *byte == 0), "old data came back");
        assert_eq!(read(&*image, (3 << 30) - 512, 512), [0xEE; 512]);
    }
}

#[test]
fn a_cut_off_creation_is_no_disk() {
    let fs = MemFs::new();
    fs.insert(DISK, Arc::new(MemFile::new()));
    assert_eq!(probe_in(&fs, Path::new(DISK)).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn round_trips_with_qemu() {
    let folder = tempfile::tempdir().unwrap();
    for (size, fixed) in [
        (MIB, false),
        (MIB, true),
        (2 * MIB - 512, false),
        (2 * MIB + 512, false),
        ((4 << 30) + 2 * MIB, false),
        (9 << 30, true),
        (2040 << 30, false),
    ] {
        let path = folder.path().join(format!("{size}-{fixed}.vhd"));
        let mut image = create(&path, &CreateOptions::vhd(size, seed(3)).fixed(fixed)).unwrap();
        for (at, byte) in [(4096, 0x11), (size / 1024 * 512, 0x22), (size - 512, 0x33)] {
            image.write_at(at, &[byte; 512]).unwrap();
        }
        image.close().unwrap();
        let info = run("qemu-img", &["info", "-f", "vpc", text(&path)]);
        assert!(info.contains(&format!("({size} bytes)")), "{info}");
        let write = format!("write -P 0x44 {} 512", size / 512 / 3 * 512);
        run("qemu-io", &["-f", "vpc", "-c", &write, text(&path)]);
        let mut image = open(&path, &OpenOptions::read_write(seed(5))).unwrap();
        assert_eq!(read(&*image, size / 512 / 3 * 512, 512), [0x44; 512]);
        image.write_at(8192, &[0x55; 1024]).unwrap();
        image.close().unwrap();
        for (at, byte) in [(4096, 0x11), (size / 1024 * 512, 0x22), (size - 512, 0x33), (8192, 0x55)] {
            let command = format!("read -P {byte} {at} 512");
            let out = run("qemu-io", &["-r", "-f", "vpc", "-c", &command, text(&path)]);
            assert!(!out.contains("verification failed"), "{size} {command}: {out}");
        }
    }
}

#[test]
fn copies_in_every_direction_compare_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    run("qemu-img", &["create", "-q", "-f", "vpc", "-o", "force_size=on", text(&path("s.vhd")), "64M"]);
    run(
        "qemu-io",
        &["-f", "vpc", "-c", "write -P 1 3M 5M", "-c", "write -P 2 50M 70k", text(&path("s.vhd"))],
    );
    copy_sparse(path("s.vhd"), path("a.vhdx"), &CopyOptions::vhdx(seed(1)).block_size(MIB)).unwrap();
    copy_sparse(path("a.vhdx"), path("b.vhd"), &CopyOptions::vhd(seed(2))).unwrap();
    copy_sparse(path("b.vhd"), path("c.vhd"), &CopyOptions::vhd(seed(3)).fixed(true)).unwrap();
    copy_sparse(path("c.vhd"), path("d.img"), &CopyOptions::raw()).unwrap();
    copy_sparse(path("d.img"), path("e.vhdx"), &CopyOptions::vhdx(seed(4)).fixed(true)).unwrap();
    for (name, format) in
        [("a.vhdx", "vhdx"), ("b.vhd", "vpc"), ("c.vhd", "vpc"), ("d.img", "raw"), ("e.vhdx", "vhdx")]
    {
        run("qemu-img", &["compare", "-f", "vpc", "-F", format, text(&path("s.vhd")), text(&path(name))]);
    }
    run("qemu-img", &["check", "-f", "vhdx", text(&path("e.vhdx"))]);
}
