//! Differencing files: finding, checking and seeing through to the parent.

use std::path::Path;

use hvrsim_disk::file::{FileSystem, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, ErrorKind, Extent, ExtentKind, Image, OpenOptions, create, create_child,
    create_child_in, create_in, open, open_in,
};

use crate::support::{MIB, read, seed};

fn parent(fs: &dyn FileSystem, size: u64) {
    let mut image =
        create_in(fs, Path::new("/p.vhdx"), &CreateOptions::vhdx(size, seed(1)).block_size(MIB)).unwrap();
    image.write_at(0, &vec![0xA1; 2 << 20]).unwrap();
    image.zero_at(3 * MIB, 1).unwrap();
    image.close().unwrap();
}

fn child(fs: &dyn FileSystem) -> Box<dyn Image> {
    let options = ChildOptions::new(seed(1)).block_size(MIB);
    create_child_in(fs, Path::new("/p.vhdx"), Path::new("/c.avhdx"), &options).unwrap()
}

#[test]
fn extents_tell_own_from_inherited() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    let mut image = child(&fs);
    image.write_at(MIB + 4096, &[0xC1; 4096]).unwrap();
    image.zero_at(4 * MIB, MIB).unwrap();
    image.write_at(5 * MIB, &vec![0xC5; 1 << 20]).unwrap();
    let kinds: Vec<(u64, ExtentKind)> = image
        .extents(0..8 * MIB)
        .unwrap()
        .into_iter()
        .map(|Extent { start, kind, .. }| (start, kind))
        .collect();
    use ExtentKind::{Absent, Data, Parent, Zero};
    let want = [
        (0, Parent),
        (MIB + 4096, Data),
        (MIB + 8192, Parent),
        (2 * MIB, Absent),
        (4 * MIB, Zero),
        (5 * MIB, Data),
        (6 * MIB, Absent),
    ];
    assert_eq!(kinds, want);
    assert_eq!(read(&*image, MIB, 1), [0xA1]);
    assert_eq!(read(&*image, MIB + 4095, 3), [0xA1, 0xC1, 0xC1]);
}

#[test]
fn one_seed_for_parent_and_child_still_makes_two_identities() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    child(&fs).close().unwrap();
    let headers: Vec<Vec<u8>> = ["/p.vhdx", "/c.avhdx"]
        .iter()
        .map(|path| {
            let mut guids = vec![0; 32];
            fs.open(Path::new(path), false).unwrap().read_at((64 << 10) + 16, &mut guids).unwrap();
            guids
        })
        .collect();
    // FileWriteGuid and DataWriteGuid: readers take a child with its parent's for a circle.
    assert_ne!(headers[0][..16], headers[1][..16]);
    assert_ne!(headers[0][16..], headers[1][16..]);
}

#[test]
fn zeroing_hides_the_parent_to_the_byte() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    let mut image = child(&fs);
    image.zero_at(100, 50).unwrap();
    image.zero_at(1000, 3000).unwrap();
    image.zero_at(MIB, MIB).unwrap();
    image.close().unwrap();
    let image = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap();
    let mut want = vec![0xA1; 2 << 20];
    want[100..150].fill(0);
    want[1000..4000].fill(0);
    want[1 << 20..].fill(0);
    assert!(read(&*image, 0, 2 << 20) == want);
}

#[test]
fn a_block_with_all_its_sectors_needs_no_bitmap() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    let mut image = child(&fs);
    for part in 0..16 {
        image.write_at(part * 65_536, &vec![0xC0; 65_536]).unwrap();
    }
    image.close().unwrap();
    let file = fs.open(Path::new("/c.avhdx"), false).unwrap();
    let mut entry = [0; 8];
    file.read_at(3 * MIB, &mut entry).unwrap();
    assert_eq!(entry[0] & 7, 6, "fully present");
}

#[test]
fn bits_left_behind_by_an_earlier_life_of_a_block_mean_nothing() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    let mut image = child(&fs);
    image.write_at(0, &[0xC0; 512]).unwrap();
    image.close().unwrap();
    // The sector bitmap of the only chunk is at 4 MiB; block 1 is not present, its 2048 bits follow those of
    // block 0.
    let file = fs.open(Path::new("/c.avhdx"), true).unwrap();
    file.write_at(4 * MIB + 256, &[0xFF; 256]).unwrap();
    let mut image = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_write(seed(2))).unwrap();
    image.write_at(MIB, &[0xC1; 512]).unwrap();
    image.close().unwrap();
    let image = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap();
    assert_eq!(read(&*image, MIB, 512), [0xC1; 512]);
    assert_eq!(read(&*image, MIB + 512, 512), [0xA1; 512]);
}

#[test]
fn a_child_over_several_chunks() {
    let fs = MemFs::new();
    let size = 9 << 30;
    parent(&fs, size);
    let mut image = child(&fs);
    for at in [0, (4 << 30) - 512, 4 << 30, (8 << 30) - 512, size - 512] {
        image.write_at(at, &[0xC7; 512]).unwrap();
    }
    image.close().unwrap();
    let image = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap();
    for at in [0, (4 << 30) - 512, 4 << 30, (8 << 30) - 512, size - 512] {
        assert_eq!(read(&*image, at, 512), [0xC7; 512]);
    }
    assert_eq!(read(&*image, 512, 512), [0xA1; 512]);
    assert_eq!(read(&*image, (4 << 30) + 512, 512), [0; 512]);
}

#[test]
fn a_changed_parent_no_longer_fits() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    child(&fs).close().unwrap();
    let options = OpenOptions::read_write(seed(5)).under_children();
    let mut image = open_in(&fs, Path::new("/p.vhdx"), &options).unwrap();
    image.write_at(0, &[1]).unwrap();
    image.close().unwrap();
    let error = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ParentMismatch);
    assert_eq!(error.path(), Some(Path::new("/c.avhdx")));
}

#[test]
fn a_missing_parent_is_named_with_the_places_looked_at() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    child(&fs).close().unwrap();
    fs.remove(Path::new("/p.vhdx")).unwrap();
    let error = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ParentNotFound);
    assert!(error.to_string().contains("p.vhdx"), "{error}");
}

#[test]
fn a_damaged_parent_is_named() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    child(&fs).close().unwrap();
    fs.open(Path::new("/p.vhdx"), true).unwrap().set_len(3 * MIB).unwrap();
    let error = open_in(&fs, Path::new("/c.avhdx"), &OpenOptions::read_only()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Truncated, Some(Path::new("/./p.vhdx"))));
}

#[test]
fn only_a_vhdx_can_be_a_parent() {
    let fs = MemFs::new();
    create_in(&fs, Path::new("/p.img"), &CreateOptions::raw(MIB)).unwrap().close().unwrap();
    let options = ChildOptions::new(seed(1));
    let error = create_child_in(&fs, Path::new("/p.img"), Path::new("/c.avhdx"), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(fs.open(Path::new("/c.avhdx"), false).is_err());
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let fs = MemFs::new();
    parent(&fs, 8 * MIB);
    child(&fs).close().unwrap();
    let options = ChildOptions::new(seed(1));
    for path in ["/c.avhdx", "/p.vhdx"] {
        let error = create_child_in(&fs, Path::new("/p.vhdx"), Path::new(path), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        let error = create_in(&fs, Path::new(path), &CreateOptions::vhdx(MIB, seed(1))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
    }
}

#[test]
fn a_chain_that_moved_as_a_whole_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(old.join("base")).unwrap();
    let options = CreateOptions::vhdx(8 * MIB, seed(1)).block_size(MIB);
    let mut image = create(old.join("base/p.vhdx"), &options).unwrap();
    image.write_at(0, &[0xA1; 512]).unwrap();
    image.close().unwrap();
    let options = ChildOptions::new(seed(2));
    create_child(old.join("base/p.vhdx"), old.join("c.avhdx"), &options).unwrap().close().unwrap();
    create_child(old.join("c.avhdx"), old.join("d.avhdx"), &options).unwrap().close().unwrap();
    std::fs::rename(&old, &new).unwrap();
    let image = open(new.join("d.avhdx"), &OpenOptions::read_only()).unwrap();
    assert_eq!(read(&*image, 0, 512), [0xA1; 512]);
    drop(image);
    // The child alone elsewhere: the absolute path leads to the parent.
    std::fs::rename(&new, &old).unwrap();
    std::fs::rename(old.join("c.avhdx"), folder.path().join("c.avhdx")).unwrap();
    let image = open(folder.path().join("c.avhdx"), &OpenOptions::read_only()).unwrap();
    assert_eq!(read(&*image, 0, 512), [0xA1; 512]);
}
