//! Changes of the disk itself: size, trimmed blocks, merged and flattened chains.

use std::path::{Path, PathBuf};

use hvrsim_disk::file::{FileSystem, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, ErrorKind, Format, Image, OpenOptions, Trim, children_among_in,
    create_child_in, create_in, flatten_in, merge_in, open_in,
};
use proptest::prelude::*;

use crate::support::{BAT, DISK, MIB, Victim, read, read_all, run, seed, text};

fn write(fs: &dyn FileSystem, path: &str) -> Box<dyn Image> {
    open_in(fs, Path::new(path), &OpenOptions::read_write(seed(7))).unwrap()
}

fn open(fs: &dyn FileSystem, path: &str) -> Box<dyn Image> {
    open_in(fs, Path::new(path), &OpenOptions::read_only()).unwrap()
}

fn child(fs: &dyn FileSystem, parent: &str, path: &str) -> Box<dyn Image> {
    let options = ChildOptions::new(seed(3)).block_size(MIB);
    create_child_in(fs, Path::new(parent), Path::new(path), &options).unwrap()
}

fn state(victim: &Victim, block: u64) -> (u8, bool) {
    let entry = u64::from_le_bytes(victim.get(BAT + 8 * block, 8).try_into().unwrap());
    (u8::try_from(entry & 7).unwrap(), entry >> 20 != 0)
}

#[test]
fn trimmed_blocks_take_the_state_that_was_asked_for() {
    for (how, want) in [(Trim::FileSpace, (3, true)), (Trim::FreeSpace, (1, false)), (Trim::Zero, (2, false))]
    {
        let victim = Victim::new();
        let mut image = victim.open_writable().unwrap();
        // Half of block 0 is no whole block.
        image.trim(MIB / 2, 3 * MIB + MIB / 2, how).unwrap();
        let kept = if how == Trim::Zero { 0 } else { 0xA1 };
        assert_eq!(read(&*image, MIB - 1, 1), [kept], "{how:?}");
        assert_eq!(read(&*image, 3 * MIB, 1), [0], "{how:?}");
        image.close().unwrap();
        assert_eq!(state(&victim, 3), want, "{how:?}");
        // What comes back is zero but for what is written.
        let mut image = victim.open_writable().unwrap();
        image.write_at(3 * MIB + 512, &[7; 512]).unwrap();
        image.close().unwrap();
        let image = victim.open().unwrap();
        assert_eq!(read(&*image, 3 * MIB, 512), [0; 512], "{how:?}");
        assert_eq!(read(&*image, 3 * MIB + 512, 512), [7; 512], "{how:?}");
        assert_eq!(read(&*image, 3 * MIB + 1024, 512), [0; 512], "{how:?}");
        assert!(victim.file.len().unwrap() <= 7 * MIB, "{how:?}: an anchor was lost");
    }
}

#[test]
fn a_transparent_block_shows_the_parent_again() {
    let victim = Victim::new();
    let kind = victim.open_writable().unwrap().trim(0, MIB, Trim::Transparent).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Unsupported);
    let mut image = child(&victim.fs, DISK, "/c.avhdx");
    image.write_at(100, &[9; 2000]).unwrap();
    image.zero_at(3 * MIB, MIB).unwrap();
    image.flush().unwrap();
    image.trim(0, 16 * MIB, Trim::Transparent).unwrap();
    image.close().unwrap();
    assert!(read_all(&*open(&victim.fs, "/c.avhdx")) == read_all(&*victim.open().unwrap()));
}

#[test]
fn an_item_that_is_not_known_survives_a_resize_and_new_paths() {
    let victim = Victim::new();
    // A sixth item, of a user, that stands behind the others.
    let item = [&[0x77; 16][..], &131_072_u32.to_le_bytes(), &5_u32.to_le_bytes(), &[1, 0, 0, 0]].concat();
    victim.put(crate::support::METADATA + 32 + 5 * 32, &item);
    victim.put(crate::support::METADATA + 10, &[6]);
    victim.put(crate::support::METADATA + 131_072, b"hello");
    let mut image = victim.open_writable().unwrap();
    image.resize(400 << 30).unwrap();
    image.close().unwrap();
    assert_eq!(victim.get(crate::support::METADATA + 32 + 5 * 32, 28), item);
    assert_eq!(victim.get(crate::support::METADATA + 131_072, 5), b"hello");
    let image = victim.open().unwrap();
    assert_eq!((image.size(), read(&*image, 3 * MIB, 1)[0]), (400 << 30, 0xA3));
}

#[test]
fn sizes_outside_the_format_are_refused() {
    let victim = Victim::new();
    let mut image = victim.open_writable().unwrap();
    for size in [0, 1000, (64 << 40) + 512] {
        assert_eq!(image.resize(size).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    assert_eq!(victim.open().unwrap().size(), 16 * MIB);
}

#[test]
fn qemu_reads_a_disk_whose_bat_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.vhdx");
    for fixed in [false, true] {
        let options = CreateOptions::vhdx(MIB, seed(1)).block_size(MIB).fixed(fixed);
        let mut image = hvrsim_disk::create(&path, &options).unwrap();
        image.write_at(0, &[0x11; 4096]).unwrap();
        // More than 131,072 entries need a second MiB.
        let size = if fixed { 2 << 30 } else { 200 << 30 };
        image.resize(size).unwrap();
        image.write_at(size - 4096, &[0x22; 4096]).unwrap();
        image.close().unwrap();
        run("qemu-img", &["check", "-f", "vhdx", text(&path)]);
        for (at, byte) in [(0, 0x11), (4096, 0), (size - 4096, 0x22)] {
            let command = format!("read -P {byte} {at} 4096");
            let out = run("qemu-io", &["-r", "-f", "vhdx", "-c", &command, text(&path)]);
            assert!(!out.contains("verification failed"), "{command}: {out}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_merged_child_is_gone_and_its_content_stays() {
    for vhd in [false, true] {
        let fs = MemFs::new();
        let size = 6 * MIB + 512;
        let options =
            if vhd { CreateOptions::vhd(size, seed(1)) } else { CreateOptions::vhdx(size, seed(1)) };
        let mut image = create_in(&fs, Path::new("/p"), &options).unwrap();
        image.write_at(0, &vec![0xA1; 3 << 20]).unwrap();
        image.close().unwrap();
        let mut image = child(&fs, "/p", "/c");
        image.write_at(1000, &[0xC1; 5000]).unwrap();
        image.zero_at(MIB, MIB).unwrap();
        image.write_at(size - 10, &[0xC2; 10]).unwrap();
        image.close().unwrap();
        let want = read_all(&*open(&fs, "/c"));
        let parent = merge_in(&fs, Path::new("/c"), &[], seed(9)).unwrap();
        assert_eq!(parent.file_name(), Some("p".as_ref()));
        assert!(read_all(&*open(&fs, "/p")) == want);
        assert!(fs.open(Path::new("/c"), false).is_err());
        assert_eq!(merge_in(&fs, Path::new("/p"), &[], seed(9)).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn a_file_in_the_middle_is_merged_from_under_its_child() {
    let victim = Victim::new();
    let fs = &victim.fs;
    let mut image = child(fs, DISK, "/m.avhdx");
    image.write_at(MIB, &[0xC1; 512]).unwrap();
    image.resize(20 * MIB).unwrap();
    image.close().unwrap();
    let mut image = child(fs, "/m.avhdx", "/t.avhdx");
    image.write_at(2 * MIB, &[0xC2; 512]).unwrap();
    image.close().unwrap();
    let [middle, top] = ["/m.avhdx", "/t.avhdx"].map(PathBuf::from);
    let all = [middle.clone(), top.clone(), PathBuf::from(DISK)];
    assert_eq!(children_among_in(fs, Path::new(DISK), &all).unwrap(), std::slice::from_ref(&middle));
    assert_eq!(children_among_in(fs, &middle, &all).unwrap(), std::slice::from_ref(&top));
    let want = read_all(&*open(fs, "/t.avhdx"));
    let below = read_all(&*open(fs, "/m.avhdx"));
    merge_in(fs, &middle, std::slice::from_ref(&top), seed(9)).unwrap();
    assert!(read_all(&*open(fs, "/t.avhdx")) == want);
    assert!(read_all(&*open(fs, DISK)) == below);
    assert_eq!(
        open(fs, "/t.avhdx").details().unwrap().parent.unwrap().path.file_name(),
        Some("d.vhdx".as_ref())
    );
}

#[test]
fn a_flattened_chain_is_one_file() {
    let victim = Victim::new();
    let mut image = child(&victim.fs, DISK, "/c.avhdx");
    image.write_at(MIB, &[0xC1; 512]).unwrap();
    image.close().unwrap();
    let want = read_all(&*open(&victim.fs, "/c.avhdx"));
    flatten_in(&victim.fs, Path::new("/c.avhdx"), seed(4)).unwrap();
    victim.fs.remove(Path::new(DISK)).unwrap();
    let image = open(&victim.fs, "/c.avhdx");
    assert!(read_all(&*image) == want);
    assert_eq!((image.format(), image.details().unwrap().parent), (Format::Vhdx, None));
}

#[test]
fn stale_paths_are_rewritten_and_the_childs_own_children_still_fit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("new")).unwrap();
    let options = CreateOptions::vhdx(8 * MIB, seed(1)).block_size(MIB);
    hvrsim_disk::create(at("p.vhdx"), &options).unwrap().close().unwrap();
    let options = ChildOptions::new(seed(2));
    hvrsim_disk::create_child(at("p.vhdx"), at("c.avhdx"), &options).unwrap().close().unwrap();
    std::fs::rename(at("c.avhdx"), at("new/c.avhdx")).unwrap();
    let before = hvrsim_disk::open(at("new/c.avhdx"), &OpenOptions::read_only()).unwrap().data_write_guid();
    // Only the absolute path leads to the parent; opening for writing mends the relative one.
    hvrsim_disk::open(at("new/c.avhdx"), &OpenOptions::read_write(seed(5))).unwrap().close().unwrap();
    let moved = tempfile::tempdir().unwrap();
    std::fs::rename(folder.path(), moved.path().join("all")).unwrap();
    let child = moved.path().join("all/new/c.avhdx");
    let image = hvrsim_disk::open(&child, &OpenOptions::read_only()).unwrap();
    assert_eq!(image.data_write_guid(), before);
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64, u8),
    Trim(u64, u64, Trim),
    Resize(u64),
    Reopen,
    Crash,
    Child,
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..12 * MIB;
    let how = prop_oneof![Just(Trim::FileSpace), Just(Trim::FreeSpace), Just(Trim::Zero)];
    prop_oneof![
        6 => (at(), 1..2 * MIB, 1..=255_u8).prop_map(|(at, len, byte)| Step::Write(at, len, byte)),
        2 => (at(), 1..4 * MIB, how).prop_map(|(at, len, how)| Step::Trim(at, len, how)),
        3 => (1..12 * MIB / 512).prop_map(|sectors| Step::Resize(sectors * 512)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => Just(Step::Child),
        1 => Just(Step::Merge),
    ]
}

/// What a trim makes of the model: zeros, but only whole blocks where it is not exact.
fn trim_model(model: &mut [u8], image: &dyn Image, at: u64, len: u64, how: Trim) {
    if how == Trim::Zero || image.format() != Format::Vhdx {
        model[usize::try_from(at).unwrap()..usize::try_from(at + len).unwrap()].fill(0);
        return;
    }
    // Blocks that were not there before keep showing the parent: the image itself tells what is left.
    let before = read_all(image);
    model.copy_from_slice(&before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_changes_against_a_vector(
        steps in prop::collection::vec(step(), 1..20),
        vhd: bool,
        fixed: bool,
    ) {
        let fs = MemFs::new();
        let mut size = 6 * MIB;
        let options =
            if vhd { CreateOptions::vhd(size, seed(1)) } else { CreateOptions::vhdx(size, seed(1)).block_size(MIB) };
        create_in(&fs, Path::new("/0"), &options.fixed(fixed)).unwrap().close().unwrap();
        let mut chain = vec!["/0".to_owned()];
        let mut model = vec![0; usize::try_from(size).unwrap()];
        let mut image = write(&fs, "/0");
        for step in steps {
            let top = chain.last().unwrap().clone();
            match step {
                Step::Write(at, len, byte) => {
                    let at = at.min(size);
                    let len = len.min(size - at);
                    let data = vec![byte; usize::try_from(len).unwrap()];
                    image.write_at(at, &data).unwrap();
                    model[usize::try_from(at).unwrap()..][..data.len()].copy_from_slice(&data);
                }
                Step::Trim(at, len, how) => {
                    let at = at.min(size);
                    let len = len.min(size - at);
                    image.trim(at, len, how).unwrap();
                    trim_model(&mut model, &*image, at, len, how);
                }
                Step::Resize(new) if !(vhd && chain.len() > 1) => {
                    image.resize(new).unwrap();
                    model.resize(usize::try_from(new).unwrap(), 0);
                    size = new;
                }
                Step::Resize(_) => {}
                Step::Reopen => {
                    image.close().unwrap();
                    image = write(&fs, &top);
                }
                Step::Crash => {
                    image.flush().unwrap();
                    drop(image);
                    prop_assert!(read_all(&*open(&fs, &top)) == model, "replay for reading");
                    image = write(&fs, &top);
                }
                Step::Child => {
                    image.close().unwrap();
                    let name = format!("/{}", chain.len());
                    image = child(&fs, &top, &name);
                    chain.push(name);
                }
                Step::Merge if chain.len() > 1 => {
                    image.close().unwrap();
                    merge_in(&fs, Path::new(&top), &[], seed(8)).unwrap();
                    chain.pop();
                    image = write(&fs, chain.last().unwrap());
                }
                Step::Merge => {}
            }
            prop_assert_eq!(image.size(), size);
            prop_assert!(read_all(&*image) == model, "after {:?}", step);
        }
        image.close().unwrap();
        prop_assert!(read_all(&*open(&fs, chain.last().unwrap())) == model, "after closing");
    }
}
