//! Recorded outputs.

use std::fs;
use std::path::Path;

/// Compares a text with the golden file of this name, or records it.
pub(crate) fn check(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name);
    if std::env::var_os("HVRSIM_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(&path, got).expect("the golden can be written");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden == got {
        return;
    }
    let (mut old, mut new) = (golden.lines(), got.lines());
    let (number, old, new) = (1..)
        .map(|number| (number, old.next(), new.next()))
        .find(|(_, old, new)| old != new || old.is_none())
        .expect("the texts end");
    panic!(
        "goldens/{name} differs first in line {number}:\n  recorded {}\n  found    {}\n\
         HVRSIM_BLESS=1 records the new text, which is:\n{got}",
        old.unwrap_or("nothing"),
        new.unwrap_or("nothing"),
    );
}
