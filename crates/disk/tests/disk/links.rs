//! Who stands over whom: every kind of path in a locator, items that travel with the disk, merges with
//! children, and the refusal to write under them.

use std::path::{Path, PathBuf};

use hvrsim_disk::file::{BlockFile, FileSystem, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, Error, ErrorKind, Guid, Image, MergeOptions, OpenOptions,
    children_beside_in, create_child_in, create_in, merge_in, merge_observed, open_in,
};

use crate::support::{DISK, METADATA, MIB, Victim, read, read_all, seed};

const LOCATOR: Guid = Guid::from_u128(0xB04A_EFB7_D19E_4A81_B789_25B8_E944_5913);

fn child(fs: &dyn FileSystem, parent: &str, path: &str) -> Box<dyn Image> {
    let options = ChildOptions::new(seed(3)).block_size(MIB);
    create_child_in(fs, Path::new(parent), Path::new(path), &options).unwrap()
}

fn open(fs: &dyn FileSystem, path: &str) -> Box<dyn Image> {
    open_in(fs, Path::new(path), &OpenOptions::read_only()).unwrap()
}

fn write(fs: &dyn FileSystem, path: &str) -> Result<Box<dyn Image>, Error> {
    open_in(fs, Path::new(path), &OpenOptions::read_write(seed(7)))
}

/// The bytes of a parent locator of these pairs.
fn locator(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut item = LOCATOR.to_bytes_le().to_vec();
    item.extend([0, 0]);
    item.extend(u16::try_from(pairs.len()).unwrap().to_le_bytes());
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut texts = Vec::new();
    let first = item.len() + 12 * pairs.len();
    for (key, value) in pairs {
        let (key, value) = (utf16(key), utf16(value));
        let at = u32::try_from(first + texts.len()).unwrap();
        let key_len = u16::try_from(key.len()).unwrap();
        item.extend(at.to_le_bytes());
        item.extend((at + u32::from(key_len)).to_le_bytes());
        item.extend(key_len.to_le_bytes());
        item.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        texts.extend(key);
        texts.extend(value);
    }
    item.extend(texts);
    item
}

/// Puts another parent locator, the sixth item, into a child that was just made.
fn set_locator(file: &dyn BlockFile, pairs: &[(&str, &str)]) {
    let item = locator(pairs);
    file.write_at(METADATA + 131_072, &item).unwrap();
    let entry = METADATA + 32 + 5 * 32 + 16;
    file.write_at(entry, &131_072_u32.to_le_bytes()).unwrap();
    file.write_at(entry + 4, &u32::try_from(item.len()).unwrap().to_le_bytes()).unwrap();
}

fn linkage(fs: &dyn FileSystem, parent: &str) -> String {
    open(fs, parent).data_write_guid().unwrap().braced().to_string()
}

#[test]
fn every_kind_of_path_leads_to_the_parent_in_the_order_of_the_format() {
    const VOLUME: &str = r"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\base\p.vhdx";
    // Where the parents are, what the locator says, and which of them is taken.
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 7] = [
        (&["/vm/p.vhdx"], &[("relative_path", r".\p.vhdx")], "/vm/p.vhdx"),
        (&["/vm/base/p.vhdx"], &[("volume_path", VOLUME)], "/vm/base/p.vhdx"),
        (&["/base/p.vhdx"], &[("volume_path", VOLUME)], "/base/p.vhdx"),
        (&["/a/p.vhdx"], &[("absolute_win32_path", r"\\?\d:\a\p.vhdx")], "/a/p.vhdx"),
        (
            &["/base/p.vhdx", "/p.vhdx", "/a/p.vhdx"],
            &[
                ("relative_path", r"..\p.vhdx"),
                ("volume_path", VOLUME),
                ("absolute_win32_path", r"c:\a\p.vhdx"),
            ],
            "/p.vhdx",
        ),
        (
            &["/base/p.vhdx", "/a/p.vhdx"],
            &[
                ("relative_path", r"..\p.vhdx"),
                ("volume_path", VOLUME),
                ("absolute_win32_path", r"c:\a\p.vhdx"),
            ],
            "/base/p.vhdx",
        ),
        (
            &["/a/p.vhdx"],
            &[
                ("relative_path", r"..\p.vhdx"),
                ("volume_path", VOLUME),
                ("absolute_win32_path", r"c:\a\p.vhdx"),
            ],
            "/a/p.vhdx",
        ),
    ];
    for (places, paths, want) in cases {
        let victim = Victim::new();
        let fs = &victim.fs;
        child(fs, DISK, "/vm/c.avhdx").close().unwrap();
        let own = linkage(fs, DISK);
        let mut pairs = vec![("parent_linkage", own.as_str())];
        pairs.extend(paths);
        let file = fs.open(Path::new("/vm/c.avhdx"), true).unwrap();
        set_locator(&*file, &pairs);
        fs.remove(Path::new(DISK)).unwrap();
        for place in places {
            fs.insert(*place, victim.file.clone());
        }
        let image = open(fs, "/vm/c.avhdx");
        let parent = image.details().unwrap().parent.unwrap().path;
        assert!(fs.is_same(&parent, Path::new(want)), "{paths:?}: {}", parent.display());
        assert_eq!(read(&*image, 3 * MIB, 1), [0xA3]);
        drop(image);
        // Writing brings stale paths up to date; the chain stays the same.
        write(fs, "/vm/c.avhdx").unwrap().close().unwrap();
        let again = open(fs, "/vm/c.avhdx").details().unwrap().parent.unwrap().path;
        assert!(fs.is_same(&again, Path::new(want)), "{paths:?}: {}", again.display());
    }
}

#[test]
fn while_a_merge_is_under_way_either_linkage_is_enough() {
    let victim = Victim::new();
    let fs = &victim.fs;
    child(fs, DISK, "/c.avhdx").close().unwrap();
    let own = linkage(fs, DISK);
    let other = "{00000000-0000-4000-8000-000000000001}";
    let file = fs.open(Path::new("/c.avhdx"), true).unwrap();
    let path = ("relative_path", r".\d.vhdx");
    for (pairs, fits) in [
        (vec![("parent_linkage", own.as_str()), ("parent_linkage2", other), path], true),
        (vec![("parent_linkage", other), ("parent_linkage2", own.as_str()), path], true),
        (vec![("parent_linkage", other), ("parent_linkage2", other), path], false),
        (vec![("parent_linkage", other), path], false),
    ] {
        set_locator(&*file, &pairs);
        let opened = open_in(fs, Path::new("/c.avhdx"), &OpenOptions::read_only());
        assert_eq!(opened.err().map(|error| error.kind()), (!fits).then_some(ErrorKind::ParentMismatch));
        assert_eq!(children_beside_in(fs, Path::new(DISK)).unwrap().len(), usize::from(fits));
    }
}

#[test]
fn a_parent_is_not_opened_for_writing_under_its_children() {
    for vhd in [false, true] {
        let fs = MemFs::new();
        let options =
            if vhd { CreateOptions::vhd(8 * MIB, seed(1)) } else { CreateOptions::vhdx(8 * MIB, seed(1)) };
        let [base, top, copy] =
            if vhd { ["/p.vhd", "/c.avhd", "/q.vhd"] } else { ["/p.vhdx", "/c.avhdx", "/q.vhdx"] };
        create_in(&fs, Path::new(base), &options).unwrap().close().unwrap();
        write(&fs, base).unwrap().close().unwrap();
        child(&fs, base, top).close().unwrap();
        assert_eq!(children_beside_in(&fs, Path::new(base)).unwrap(), [PathBuf::from(top)]);
        let before = fs.open(Path::new(base), false).unwrap();
        let bytes = |file: &dyn BlockFile| {
            let mut all = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut all).unwrap();
            all
        };
        let content = bytes(&*before);
        let refused = write(&fs, base).unwrap_err();
        assert_eq!((refused.kind(), refused.path()), (ErrorKind::HasChildren, Some(Path::new(base))));
        assert!(refused.to_string().contains(top), "{refused}");
        assert!(bytes(&*before) == content);
        // Reading is free, the child may be written, and so may the parent by one who knows.
        open(&fs, base);
        write(&fs, top).unwrap().close().unwrap();
        let knowing = OpenOptions::read_write(seed(7)).under_children();
        open_in(&fs, Path::new(base), &knowing).unwrap().close().unwrap();
        // A copy of the parent has the same identity, but the child looks elsewhere.
        let file = fs.open(Path::new(base), false).unwrap();
        fs.insert(copy, std::sync::Arc::new(crate::crash::copy_of(&*file)));
        write(&fs, copy).unwrap().close().unwrap();
        fs.remove(Path::new(top)).unwrap();
        write(&fs, base).unwrap().close().unwrap();
    }
}

/// An item of a file's metadata table: GUID, flags, content.
type Item = (u128, u32, Vec<u8>);
const USER: u32 = 1;
const DISK_ITEM: u32 = 2;

/// Adds items behind those that a new file has.
fn add_items(file: &dyn BlockFile, had: u16, items: &[Item]) {
    let mut place = 200_000_u32;
    for (index, (id, flags, content)) in (u64::from(had)..).zip(items) {
        let entry = METADATA + 32 + 32 * index;
        let len = u32::try_from(content.len()).unwrap();
        let fields = [place.to_le_bytes(), len.to_le_bytes(), flags.to_le_bytes()].concat();
        file.write_at(entry, &Guid::from_u128(*id).to_bytes_le()).unwrap();
        file.write_at(entry + 16, &fields).unwrap();
        file.write_at(METADATA + u64::from(place), content).unwrap();
        place += len;
    }
    let count = had + u16::try_from(items.len()).unwrap();
    file.write_at(METADATA + 10, &count.to_le_bytes()).unwrap();
}

/// The items of a file by GUID and flags.
fn items(file: &dyn BlockFile) -> Vec<Item> {
    let get = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        file.read_at(at, &mut bytes).unwrap();
        bytes
    };
    let count = u16::from_le_bytes(get(METADATA + 10, 2).try_into().unwrap());
    let mut found: Vec<Item> = (0..u64::from(count))
        .map(|index| {
            let entry = get(METADATA + 32 + 32 * index, 32);
            let field = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap());
            let content = get(METADATA + u64::from(field(16)), usize::try_from(field(20)).unwrap());
            (Guid::from_slice_le(&entry[..16]).unwrap().as_u128(), field(24), content)
        })
        .collect();
    found.sort();
    found
}

/// Those that are not of the format itself.
fn further(file: &dyn BlockFile) -> Vec<Item> {
    items(file).into_iter().filter(|(id, _, _)| *id < 1 << 32).collect()
}

#[test]
fn items_of_the_disk_go_to_a_child_and_back_and_items_of_the_file_stay() {
    let victim = Victim::new();
    let fs = &victim.fs;
    let of_file: Item = (1, USER, b"of the parent's file".to_vec());
    let of_disk: Item = (2, USER | DISK_ITEM, b"of the disk".to_vec());
    add_items(&*victim.file, 5, &[of_file.clone(), of_disk.clone(), (3, DISK_ITEM, b"gone later".to_vec())]);
    child(fs, DISK, "/c.avhdx").close().unwrap();
    let file = fs.open(Path::new("/c.avhdx"), true).unwrap();
    assert_eq!(further(&*file), [of_disk, (3, DISK_ITEM, b"gone later".to_vec())]);
    // The child changes one, drops one, has a new one, has one of its own, and another identity of the disk.
    let changed: Item = (2, USER | DISK_ITEM, vec![0x22; 70_000]);
    let new: Item = (4, DISK_ITEM, b"new".to_vec());
    add_items(&*file, 6, &[changed.clone(), new.clone(), (5, USER, b"of the child's file".to_vec())]);
    let page83 = items(&*file).into_iter().find(|item| item.0 >> 96 == 0xBECA_12AB).unwrap();
    let mut whole = vec![0; 65_536];
    file.read_at(METADATA + 65_536, &mut whole).unwrap();
    let at = whole.windows(16).position(|part| part == page83.2).unwrap();
    file.write_at(METADATA + 65_536 + u64::try_from(at).unwrap(), &[0x77; 16]).unwrap();
    let mut image = write(fs, "/c.avhdx").unwrap();
    image.write_at(MIB, &[0xC1; 512]).unwrap();
    image.close().unwrap();
    let want = read_all(&*open(fs, "/c.avhdx"));

    merge_in(fs, Path::new("/c.avhdx"), &[], seed(9)).unwrap();
    assert_eq!(further(&*victim.file), [of_file, changed, new]);
    let image = open(fs, DISK);
    assert!(read_all(&*image) == want);
    assert_eq!(image.details().unwrap().id.unwrap().as_bytes(), &[0x77; 16]);
}

/// A chain of four files and, over the third, two more: the third can be merged from under both.
fn family(vhd: bool) -> (MemFs, [&'static str; 5]) {
    let fs = MemFs::new();
    let names = if vhd {
        ["/0.vhd", "/1.avhd", "/2.avhd", "/3.avhd", "/4.avhd"]
    } else {
        ["/0.vhdx", "/1.avhdx", "/2.avhdx", "/3.avhdx", "/4.avhdx"]
    };
    let size = 6 * MIB + 512;
    let options = if vhd { CreateOptions::vhd(size, seed(1)) } else { CreateOptions::vhdx(size, seed(1)) };
    let mut image = create_in(&fs, Path::new(names[0]), &options).unwrap();
    image.write_at(0, &vec![0xA0; 3 << 20]).unwrap();
    image.close().unwrap();
    for (number, parent, own) in [(1_u8, 0, 1), (2, 1, 2), (3, 2, 3), (4, 2, 4)] {
        let options = ChildOptions::new(seed(10 + number)).block_size(MIB);
        let (parent, own) = (Path::new(names[parent]), Path::new(names[own]));
        let mut image = create_child_in(&fs, parent, own, &options).unwrap();
        image.write_at(u64::from(number) * 3000, &[0xA0 + number; 3000]).unwrap();
        image.zero_at(MIB + u64::from(number) * 8192, 4096).unwrap();
        image.close().unwrap();
    }
    (fs, names)
}

#[test]
fn a_file_with_two_children_is_merged_from_under_them() {
    for vhd in [false, true] {
        let (fs, names) = family(vhd);
        let before = names.map(|name| read_all(&*open(&fs, name)));
        let options = MergeOptions::new(seed(9));
        let mut told = Vec::new();
        let merged = merge_observed(&fs, Path::new(names[2]), &options, &mut |at| told.push(at)).unwrap();
        assert!(fs.is_same(&merged.parent, Path::new(names[1])));
        assert_eq!(merged.children, [PathBuf::from(names[3]), PathBuf::from(names[4])]);
        assert!(told.is_sorted() && told.last() == Some(&(6 * MIB + 512)), "{told:?}");
        assert!(read_all(&*open(&fs, names[0])) == before[0]);
        for (name, want) in [(names[1], &before[2]), (names[3], &before[3]), (names[4], &before[4])] {
            assert!(read_all(&*open(&fs, name)) == *want, "{name}");
        }
        let above = open(&fs, names[4]).details().unwrap().parent.unwrap();
        assert!(fs.is_same(&above.path, Path::new(names[1])));
        // They are the parent's children now, and each other's siblings.
        let refused = merge_in(&fs, Path::new(names[3]), &[], seed(9)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::HasChildren);
        assert!(refused.to_string().contains(names[4]), "{refused}");
        assert!(read_all(&*open(&fs, names[3])) == before[3]);
        let options = MergeOptions::new(seed(9)).over_siblings();
        merge_observed(&fs, Path::new(names[3]), &options, &mut |_| ()).unwrap();
        assert!(read_all(&*open(&fs, names[1])) == before[3]);
    }
}

#[test]
fn a_differencing_vhd_keeps_its_size_and_a_differencing_vhdx_takes_another() {
    let (fs, names) = family(true);
    let refused = write(&fs, names[3]).unwrap().resize(8 * MIB).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("the size of its parent"), "{refused}");
    let (fs, names) = family(false);
    let before = read_all(&*open(&fs, names[3]));
    for (size, kept) in [(9 * MIB, 6 * MIB + 512), (2 * MIB, 2 * MIB), (6 * MIB, 2 * MIB)] {
        let mut image = write(&fs, names[3]).unwrap();
        image.resize(size).unwrap();
        image.close().unwrap();
        let now = read_all(&*open(&fs, names[3]));
        let kept = usize::try_from(kept).unwrap();
        assert_eq!(now.len(), usize::try_from(size).unwrap());
        assert!(now[..kept] == before[..kept] && now[kept..].iter().all(|byte| *byte == 0), "{size}");
        assert!(read_all(&*open(&fs, names[2]))[..1 << 20] != now[..1 << 20]);
    }
}

#[test]
fn a_file_with_children_is_not_flattened_from_under_them() {
    let (fs, names) = family(false);
    let before = read_all(&*open(&fs, names[3]));
    let refused = hvrsim_disk::flatten_in(&fs, Path::new(names[2]), seed(4)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::HasChildren);
    hvrsim_disk::flatten_in(&fs, Path::new(names[3]), seed(4)).unwrap();
    let image = open(&fs, names[3]);
    assert!(read_all(&*image) == before && image.details().unwrap().parent.is_none());
}
