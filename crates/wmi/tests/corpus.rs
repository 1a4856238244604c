//! The fuzz target's corpus, replayed; and each input cut short.

#[path = "../fuzz/input.rs"]
mod input;

use std::path::Path;

#[test]
fn methods() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/methods");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("an input");
        input::methods(&bytes);
        input::methods(&bytes[..bytes.len() / 2]);
        seen += 1;
    }
    assert!((20..=200).contains(&seen), "{seen} inputs");
}
