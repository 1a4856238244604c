//! The fuzz targets' corpus, replayed; and each input cut and shifted a little, with fixed seeds.

#[path = "../../fuzz/input.rs"]
mod input;

use std::path::Path;

use self::input::Target;
use crate::support::Rng;

fn replay(name: &str, target: &Target) {
    let target = |input: &[u8]| (target.prepare)(input).iter().for_each(target.read);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{}", folder.display());
    let mut rng = Rng(11);
    for file in files {
        let input = std::fs::read(&file).unwrap();
        assert!(input.len() <= 4096, "{}: keep the corpus small", file.display());
        target(&input);
        for _ in 0..4 {
            let mut other = input.clone();
            other.extend((0..rng.below(40)).map(|_| u8::try_from(rng.below(256)).unwrap()));
            let at = usize::try_from(rng.below(u64::try_from(other.len()).unwrap() + 1)).unwrap();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= u8::try_from(1 + rng.below(255)).unwrap();
            }
            target(&other);
        }
    }
}

#[test]
fn corpus_of_vhdx() {
    replay("vhdx", &input::VHDX);
}

#[test]
fn corpus_of_vhd() {
    replay("vhd", &input::VHD);
}

#[test]
fn corpus_of_hrl() {
    replay("hrl", &input::HRL);
}
