//! Maps of disks, made without reading data, against what reading gives.

use std::ops::Range;
use std::path::Path;

use hvrsim_disk::file::{BlockFile, FileSystem, MemFs};
use hvrsim_disk::{
    ChildOptions, CreateOptions, ExtentKind, Image, Level, OpenOptions, Trim, create_child_in, create_in,
    open_in,
};
use proptest::prelude::*;

use crate::support::{MIB, read_all, seed};

const SIZE: u64 = 4 * MIB + 1536;

fn index(range: &Range<u64>) -> Range<usize> {
    usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
}

fn kinds(image: &dyn Image, level: Level) -> Vec<(Range<u64>, ExtentKind)> {
    let list = image.extents_at(0..image.size(), level).unwrap();
    list.into_iter().map(|extent| (extent.start..extent.end(), extent.kind)).collect()
}

/// What a map says of one byte.
fn kind_at(map: &[(Range<u64>, ExtentKind)], at: u64) -> ExtentKind {
    map.iter().find(|(range, _)| range.contains(&at)).unwrap().1
}

/// Holds the maps of an image at both levels against its content, and that of its parent.
fn check(image: &dyn Image, parent: Option<&dyn Image>) {
    use ExtentKind::{Absent, Data, Parent, Zero};
    let content = read_all(image);
    let below = parent.map(read_all).unwrap_or_else(|| vec![0; content.len()]);
    let [format, host] = [Level::Format, Level::Host].map(|level| kinds(image, level));
    for map in [&format, &host] {
        let mut at = 0;
        for (range, kind) in map {
            assert_eq!(range.start, at, "no gaps");
            at = range.end;
            let part = &content[index(range)];
            match kind {
                Absent | Zero => assert!(part.iter().all(|byte| *byte == 0), "{range:?} is not {kind:?}"),
                // What a parent holds is as it is there.
                Parent => assert!(*part == below[index(range)], "{range:?} is not the parent's"),
                Data => {}
            }
        }
        assert_eq!(at, image.size());
        assert!(map.windows(2).all(|pair| pair[0].1 != pair[1].1), "neighbours of one kind are joined");
        if parent.is_none() {
            assert!(map.iter().all(|(_, kind)| *kind != Parent), "there is none");
        }
    }
    // The host knows more zeros than the format, and nothing else than that.
    for (range, kind) in &host {
        for at in [range.start, range.end - 1] {
            let said = kind_at(&format, at);
            let finer = matches!((said, kind), (Data | Parent, Zero | Absent));
            assert!(said == *kind || finer, "{at}: {said:?} by the format, {kind:?} by the host");
        }
    }
    // Where the child differs from its parent, it says so.
    for (at, (now, then)) in (0_u64..).zip(content.iter().zip(&below)).step_by(256) {
        if now != then && parent.is_some() {
            assert!(matches!(kind_at(&format, at), Data | Zero), "{at} differs");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, u64),
    Zero(u64, u64),
    Trim(u64, u64, Trim),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = || (0..SIZE, prop_oneof![1..9000_u64, Just(MIB), Just(2 * MIB)]);
    let how = prop_oneof![Just(Trim::FileSpace), Just(Trim::FreeSpace), Just(Trim::Zero)];
    let step = prop_oneof![
        3 => range().prop_map(|(at, len)| Step::Write(at, len.min(SIZE - at))),
        1 => range().prop_map(|(at, len)| Step::Zero(at, len.min(SIZE - at))),
        1 => (range(), how).prop_map(|((at, len), how)| Step::Trim(at, len.min(SIZE - at), how)),
    ];
    prop::collection::vec(step, 0..8)
}

fn work(mut image: Box<dyn Image>, steps: &[Step], parent: Option<&dyn Image>) {
    for step in steps {
        match step {
            Step::Write(at, len) => {
                image.write_at(*at, &vec![0xD5; usize::try_from(*len).unwrap()]).unwrap();
            }
            Step::Zero(at, len) => image.zero_at(*at, *len).unwrap(),
            Step::Trim(at, len, how) => image.trim(*at, *len, *how).unwrap(),
        }
        check(&*image, parent);
    }
    image.close().unwrap();
}

/// Makes holes of some pages of a file that are all zero: what a host that finds zeros would do.
fn dig(file: &dyn BlockFile) {
    for part in file.data_extents(0..file.len().unwrap()).unwrap() {
        for page in (part.start / 4096 * 4096..part.end).step_by(8192) {
            let mut bytes = vec![0; usize::try_from((part.end - page).min(4096)).unwrap()];
            file.read_at(page, &mut bytes).unwrap();
            if bytes.iter().all(|byte| *byte == 0) {
                file.punch_hole(page, 4096).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_map_never_calls_content_zero_or_absent(base in steps(), middle in steps(), top in steps(), kind in 0..5) {
        let fs = MemFs::new();
        let (first, options) = match kind {
            0 => ("/0.img", CreateOptions::raw(SIZE)),
            1 | 2 => ("/0.vhd", CreateOptions::vhd(SIZE, seed(1)).block_size(512 << 10).fixed(kind == 1)),
            _ => ("/0.vhdx", CreateOptions::vhdx(SIZE, seed(1)).block_size(MIB).fixed(kind == 3)),
        };
        let chain = if kind == 0 { vec![first] } else { vec![first, "/1", "/2"] };
        for (number, (name, steps)) in chain.iter().zip([&base, &middle, &top]).enumerate() {
            let path = Path::new(name);
            let read = |name: &str| open_in(&fs, Path::new(name), &OpenOptions::read_only()).unwrap();
            let parent = number.checked_sub(1).map(|below| read(chain[below]));
            let image = match number {
                0 => create_in(&fs, path, &options).unwrap(),
                _ => {
                    let options = ChildOptions::new(seed(2)).block_size(MIB);
                    create_child_in(&fs, Path::new(chain[number - 1]), path, &options).unwrap()
                }
            };
            work(image, steps, parent.as_deref());
            check(&*read(name), parent.as_deref());
            dig(&*fs.open(path, true).unwrap());
            check(&*read(name), parent.as_deref());
        }
    }
}

#[test]
fn a_present_block_over_a_hole_of_the_host_is_zero_and_data_for_the_format() {
    for (name, options, place) in [
        ("/d.vhdx", CreateOptions::vhdx(SIZE, seed(1)).block_size(MIB), 4 * MIB),
        ("/d.vhd", CreateOptions::vhd(SIZE, seed(1)).block_size(MIB), 2048 + 512),
        ("/d.vhd", CreateOptions::vhd(SIZE, seed(1)).fixed(true), 0),
        ("/d.img", CreateOptions::raw(SIZE), 0),
    ] {
        let fs = MemFs::new();
        let mut image = create_in(&fs, Path::new(name), &options).unwrap();
        image.write_at(0, &vec![0xA1; 1 << 20]).unwrap();
        image.close().unwrap();
        let file = fs.open(Path::new(name), true).unwrap();
        file.punch_hole(place + 8192, 65_536).unwrap();
        let image = open_in(&fs, Path::new(name), &OpenOptions::read_only()).unwrap();
        check(&*image, None);
        let at = 32_768;
        assert_eq!(kind_at(&kinds(&*image, Level::Format), at), ExtentKind::Data, "{name}");
        let host = kind_at(&kinds(&*image, Level::Host), at);
        let want = if name == "/d.img" { ExtentKind::Absent } else { ExtentKind::Zero };
        assert_eq!(host, want, "{name}");
        assert_eq!(kind_at(&kinds(&*image, Level::Host), 500_000), ExtentKind::Data, "{name}");
    }
}
