//! What the fuzz targets and the test that replays their corpus share: an end of the wire, and a peer that says whatever
//! the input says. It has passed the handshake: it knows the key.

use std::path::Path;

use hvrsim_disk::file::{FileSystem, MemFs};
use hvrsim_disk::{CreateOptions, Image, OpenOptions, Seed, create_in, open_in};
use hvrsim_resync::wire::{End, Frame, LONGEST_FRAME, SourceEnd, TargetEnd};

/// The disk's bytes: a few pieces, and a cut block at the end.
pub const SIZE: u64 = (5 << 20) + 1536;
/// The session's key for digests; recorded sessions use it, too.
pub const KEY: [u8; 32] = [7; 32];
/// Names the content of the source.
pub const GENERATION: [u8; 32] = [3; 32];
/// An end that has more to say than this after one frame goes on for ever.
const MOST_ANSWERS: usize = 1000;

/// A disk that holds something in a few places: a run of a value at each of them.
pub fn disk(fs: &MemFs, vhdx: bool, writes: &[(u64, u8, usize)]) -> Option<Box<dyn Image>> {
    let path = Path::new("/disk");
    let options = match vhdx {
        true => CreateOptions::vhdx(SIZE, Seed::new([1; 32])).block_size(1 << 20),
        false => CreateOptions::raw(SIZE),
    };
    let mut image = create_in(fs, path, &options).ok()?;
    for (at, value, len) in writes {
        image.write_at(*at, &vec![*value; *len]).ok()?;
    }
    image.close().ok()?;
    open_in(fs, path, &OpenOptions::read_write(Seed::new([2; 32]))).ok()
}

/// What the two disks of a session hold.
pub const SOURCE: &[(u64, u8, usize)] = &[(0, 1, 200_000), (1 << 20, 2, 70_000), (3 << 20, 3, 9_000)];
/// See [`SOURCE`].
pub const TARGET: &[(u64, u8, usize)] = &[(0, 1, 150_000), (1 << 20, 9, 70_000), (4 << 20, 4, 80_000)];

/// Frames, each behind its length in two bytes; a first byte says whether the disk is a VHDX.
fn play(end: &mut dyn End, mut input: &[u8]) {
    while let [low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, tail) = rest.split_at(len);
        input = tail;
        // As the driver does: what is no frame ends the session.
        let Ok(frame) = Frame::decode(body) else { break };
        if end.handle(frame).is_err() || !say(end) {
            break;
        }
    }
    let _ = end.interrupted();
}

/// Whether the end may go on after all that it has to say now.
fn say(end: &mut dyn End) -> bool {
    for _ in 0..MOST_ANSWERS {
        match end.next() {
            Ok(Some(frame)) => {
                assert!(frame.encode().len() <= LONGEST_FRAME, "a frame that the other side refuses");
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    panic!("an end that never waits for its peer");
}

/// A hostile source, against our target.
#[allow(dead_code, reason = "each target uses one of these")]
pub fn target(input: &[u8]) {
    let [vhdx, input @ ..] = input else { return };
    let (fs, vhdx) = (MemFs::new(), vhdx & 1 != 0);
    let Some(mut image) = disk(&fs, vhdx, TARGET) else { return };
    let mut end = TargetEnd::new(&mut *image, KEY, Box::new(|_, _| Ok(None)));
    play(&mut end, input);
    drop(end);
    assert_eq!(image.size(), SIZE);
    assert!(image.close().is_ok(), "whatever came, the image stays whole");
    let Ok(file) = fs.open(Path::new("/disk"), false) else { panic!("the image is gone") };
    let Ok(len) = file.len() else { panic!("the image has no length") };
    assert!(if vhdx { len <= 16 << 20 } else { len == SIZE }, "written outside the disk: {len} bytes");
    assert!(open_in(&fs, Path::new("/disk"), &OpenOptions::read_only()).is_ok());
}

/// A hostile target, against our source.
#[allow(dead_code, reason = "each target uses one of these")]
pub fn source(input: &[u8]) {
    let [vhdx, input @ ..] = input else { return };
    let fs = MemFs::new();
    let Some(image) = disk(&fs, vhdx & 1 != 0, SOURCE) else { return };
    let mut end = SourceEnd::new(&*image, None, KEY, GENERATION);
    if say(&mut end) {
        play(&mut end, input);
    }
}
