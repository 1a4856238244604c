//! Images that other programs wrote, packed with bzip2; see the LICENSE beside them.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use hvrsim_disk::file::{BlockFile, MemFile, MemFs};
use hvrsim_disk::{Image, Kind, OpenOptions, open_in, present_cells};

use crate::set::MIB;

/// Opens an image for reading. Most of it is zeros, which take no space in memory.
fn open(name: &str) -> Box<dyn Image> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/third-party/qemu-iotests");
    let packed = std::fs::File::open(folder.join(format!("{name}.bz2"))).unwrap();
    let mut stream = bzip2_rs::DecoderReader::new(packed);
    let file = MemFile::new();
    let (mut buf, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let mut len = 0;
        while len < buf.len() {
            match stream.read(&mut buf[len..]).unwrap() {
                0 => break,
                more => len += more,
            }
        }
        for (piece, bytes) in (at..).step_by(4096).zip(buf[..len].chunks(4096)) {
            if bytes.iter().any(|byte| *byte != 0) {
                file.write_at(piece, bytes).unwrap();
            }
        }
        at += u64::try_from(len).unwrap();
        file.set_len(at).unwrap();
        if len < buf.len() {
            break;
        }
    }
    let fs = MemFs::new();
    let path = Path::new("/").join(name);
    fs.insert(&path, Arc::new(file));
    open_in(&fs, &path, &OpenOptions::read_only()).unwrap()
}

/// Checks that a disk holds these patterns (start, end, byte) and zeros elsewhere.
fn holds(image: &dyn Image, patterns: &[(u64, u64, u8)]) {
    let mut cells = Vec::new();
    for (start, end, byte) in patterns {
        for at in (*start..*end).step_by(1 << 20) {
            let mut part = vec![0; 1 << 20];
            image.read_at(at, &mut part).unwrap();
            assert!(part.iter().all(|found| found == byte), "{at}");
        }
        match cells.last_mut() {
            Some(last) if *last == (0..*start) => *last = 0..*end,
            _ => cells.push(*start..*end),
        }
    }
    assert_eq!(present_cells(image, 4096).unwrap(), cells);
}

#[test]
fn windows_wrote_a_dynamic_vhdx() {
    let image = open("iotest-dynamic-1G.vhdx");
    assert_eq!((image.size(), image.details().unwrap().kind), (1 << 30, Kind::Dynamic));
    holds(&*image, &[(0, 33 * MIB, 0xA5), (33 * MIB, 66 * MIB, 0x96)]);
}

#[test]
fn disk2vhd_wrote_two_equal_headers() {
    let image = open("test-disk2vhd.vhdx");
    assert_eq!(image.size(), 256 << 20);
    assert!(matches!(&present_cells(&*image, 4096).unwrap()[..], [only] if *only == (0..4096)));
    let mut end = [0; 2];
    image.read_at(510, &mut end).unwrap();
    assert_eq!(end, [0x55, 0xAA]);
}

#[test]
fn qemu_left_a_log_to_replay() {
    let image = open("iotest-dirtylog-10G-4M.vhdx");
    assert!(image.details().unwrap().log_to_replay);
    assert_eq!(image.size(), 10 << 30);
    holds(&*image, &[(0, 18 * MIB, 0xA5)]);
}

#[test]
fn hyper_v_and_virtual_pc_wrote_dynamic_vhds() {
    // Virtual PC means the size of the geometry, which is less than the current size.
    for (name, size) in
        [("hyperv2012r2-dynamic.vhd", 136_365_211_648), ("virtualpc-dynamic.vhd", 136_363_130_880)]
    {
        let image = open(name);
        assert_eq!((image.size(), image.details().unwrap().kind), (size, Kind::Dynamic), "{name}");
        assert_eq!(present_cells(&*image, 4096).unwrap(), []);
    }
}

#[test]
fn disk2vhd_wrote_a_dynamic_vhd() {
    let image = open("d2v-zerofilled.vhd");
    assert_eq!(image.size(), 263_454_720);
    let mut sector = [0; 512];
    image.read_at(image.size() - 512, &mut sector).unwrap();
    assert_eq!(sector, [0; 512]);
}
