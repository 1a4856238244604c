//! The corpus of the fuzz targets, replayed: each input as it is, cut, and with changed bytes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use hvrsim_disk::file::MemFs;
use hvrsim_resync::wire::{End, Frame, SourceEnd, TargetEnd};

#[path = "../../fuzz/input.rs"]
mod input;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)
}

/// Replays all inputs of a target; the changes follow from the place and a fixed number.
fn replay(name: &str, run: fn(&[u8])) {
    let files = std::fs::read_dir(folder(name)).unwrap();
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() <= 16 << 10, "{}: keep the corpus small", path.display());
        run(&bytes);
        for step in 1..=40 {
            let at = bytes.len() * step / 41;
            run(&bytes[..at]);
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte = byte.wrapping_add(u8::try_from(step * 37 % 255 + 1).unwrap());
            }
            run(&changed);
        }
        count += 1;
    }
    assert!(count > 0, "no corpus for {name}");
}

#[test]
fn corpus_of_target() {
    recorded("target", 1);
    replay("target", input::target);
}

#[test]
fn corpus_of_source() {
    recorded("source", 0);
    replay("source", input::source);
}

/// The recorded session is the one that the ends have today.
fn recorded(name: &str, which: usize) {
    let (path, session) = (folder(name).join("session"), session()[which].clone());
    if std::env::var_os("HVRSIM_BLESS").is_some() {
        std::fs::write(&path, &session).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == session,
        "the frames have changed: HVRSIM_BLESS=1, and look at the diff"
    );
}

/// What each end hears in an honest session, as inputs: the source's, then the target's.
fn session() -> [Vec<u8>; 2] {
    let (here, there) = (MemFs::new(), MemFs::new());
    let source = input::disk(&here, false, input::SOURCE).unwrap();
    let mut target = input::disk(&there, false, input::TARGET).unwrap();
    let mut ends: [Box<dyn End + '_>; 2] = [
        Box::new(SourceEnd::new(&*source, None, input::KEY, input::GENERATION)),
        Box::new(TargetEnd::new(&mut *target, input::KEY, Box::new(|_, _| Ok(None)))),
    ];
    let mut heard = [vec![0], vec![0]];
    let mut on_the_way = VecDeque::new();
    while ends.iter().any(|end| end.finished().is_none()) {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(frame) = ends[from].next().unwrap() {
                on_the_way.push_back((to, frame.encode()));
            }
        }
        let Some((to, bytes)) = on_the_way.pop_front() else { panic!("the session stands still") };
        heard[to].extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        heard[to].extend(&bytes);
        ends[to].handle(Frame::decode(&bytes).unwrap()).unwrap();
    }
    heard
}
