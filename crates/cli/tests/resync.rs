//! `hvrsim resync` as a program, between two images on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hvrsim_disk::{CreateOptions, OpenOptions, Seed, create, open};

const SIZE: u64 = 8 << 20;

fn image(path: &Path, vhdx: bool, writes: &[(u64, u8, usize)]) -> PathBuf {
    let options = if vhdx { CreateOptions::vhdx(SIZE, Seed::new([1; 32])) } else { CreateOptions::raw(SIZE) };
    let mut image = create(path, &options).unwrap();
    for (at, value, len) in writes {
        image.write_at(*at, &vec![*value; *len]).unwrap();
    }
    image.close().unwrap();
    path.to_owned()
}

fn content(path: &Path) -> Vec<u8> {
    let image = open(path, &OpenOptions::read_only()).unwrap();
    let mut out = vec![0; usize::try_from(image.size()).unwrap()];
    image.read_at(0, &mut out).unwrap();
    out
}

fn resync(arguments: &[&Path], options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hvrsim")).arg("resync").args(arguments).args(options).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_target_becomes_equal_and_an_equal_one_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.vhdx"), true, &[(0, 1, 70_000), (4 << 20, 2, 5000)]);
    let target = image(&file("b.raw"), false, &[(0, 1, 60_000), (6 << 20, 9, 4096)]);

    let dry = json(&resync(&[&source, &target], &["--dry-run", "--json"]));
    assert_eq!(dry["was_equal"], false);
    assert!(content(&target) != content(&source));

    let source_before = std::fs::read(&source).unwrap();
    let done = json(&resync(&[&source, &target], &["--json", "--verify"]));
    for key in ["compared_bytes", "sent_bytes", "zeroed_bytes"] {
        assert_eq!(done[key], dry[key]);
    }
    // Cells 14 to 17, and two of the second write; the block that only the target had.
    assert_eq!((done["sent_bytes"].as_u64(), done["zeroed_bytes"].as_u64()), (Some(6 * 4096), Some(65_536)));
    assert!(content(&target) == content(&source));
    assert!(std::fs::read(&source).unwrap() == source_before, "the source is only read");
    assert!(!file("b.raw.hvrsim-resync").exists());

    let time = std::fs::metadata(&target).unwrap().modified().unwrap();
    let again = json(&resync(&[&source, &target], &["--json"]));
    assert_eq!(again["was_equal"], true);
    assert_eq!(std::fs::metadata(&target).unwrap().modified().unwrap(), time);
}

#[test]
fn wrong_input_is_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let source = image(&file("a.raw"), false, &[(0, 1, 4096)]);
    let target = image(&file("b.raw"), false, &[]);
    std::fs::write(file("longer.raw"), vec![0; 9 << 20]).unwrap();
    std::fs::write(file("short.bitmap"), [0xff; 3]).unwrap();
    let longer = file("longer.raw");
    let bitmap = file("short.bitmap");
    let bitmap = ["--bitmap", bitmap.to_str().unwrap()];
    for (arguments, options, told) in [
        ([&*source, &*longer], &[][..], "differ in size"),
        ([&*source, &*source], &[], "one file"),
        ([&*source, Path::new("nowhere.raw")], &[], "nowhere.raw"),
        ([&*source, &*target], &bitmap, "needs 16"),
    ] {
        let refused = resync(&arguments, options);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        assert!(message.contains(told), "{message}");
    }
    assert!(content(&target).iter().all(|byte| *byte == 0));
}

#[test]
fn a_rate_limits_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(&folder.path().join("a.raw"), false, &[(0, 1, 1 << 20)]);
    let target = image(&folder.path().join("b.raw"), false, &[]);
    let begun = std::time::Instant::now();
    json(&resync(&[&source, &target], &["--json", "--rate", "1MiB/s"]));
    assert!(begun.elapsed() >= std::time::Duration::from_millis(950), "{:?}", begun.elapsed());
    assert!(content(&source) == content(&target));
    assert_eq!(resync(&[&source, &target], &["--rate", "1KiB/s"]).status.code(), Some(2));
}
