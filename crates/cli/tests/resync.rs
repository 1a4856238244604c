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
    // Cells 14 to 17, and two of the second write; the cell that only the target had.
    assert_eq!((done["sent_bytes"].as_u64(), done["zeroed_bytes"].as_u64()), (Some(6 * 4096), Some(4096)));
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

#[test]
fn every_pair_of_formats_becomes_equal() {
    let folder = tempfile::tempdir().unwrap();
    let formats = [
        CreateOptions::raw(SIZE),
        CreateOptions::vhdx(SIZE, Seed::new([1; 32])),
        CreateOptions::vhd(SIZE, Seed::new([2; 32])),
    ];
    for (a, source) in formats.iter().enumerate() {
        for (b, target) in formats.iter().enumerate() {
            let make = |name: String, options: &CreateOptions, writes: &[(u64, u8, usize)]| {
                let path = folder.path().join(name);
                let mut image = create(&path, options).unwrap();
                for (at, value, len) in writes {
                    image.write_at(*at, &vec![*value; *len]).unwrap();
                }
                image.close().unwrap();
                path
            };
            let source = make(format!("source-{a}-{b}"), source, &[(1 << 20, 1, 90_000), (7 << 20, 2, 4096)]);
            let target =
                make(format!("target-{a}-{b}"), target, &[(1 << 20, 3, 90_000), (3 << 20, 4, 70_000)]);
            let done = json(&resync(&[&source, &target], &["--json", "--verify"]));
            assert_eq!(done["sent_bytes"].as_u64(), Some(23 * 4096), "{a} to {b}");
            assert!(content(&source) == content(&target), "{a} to {b}");
        }
    }
}

/// A run whose standard error is awaited.
fn start(arguments: &[&Path], options: &[&str]) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hvrsim"));
    command.arg("resync").args(arguments).args(options);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
}

fn ctrl_c(child: &std::process::Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// The end of a slow run that was interrupted once something was written: by then the handler is there.
fn interrupted(source: &Path, target: &Path) -> Output {
    let mut running = start(&[source, target], &["--rate", "1MiB/s"]);
    while content(target)[0] == 0 {
        assert!(running.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ctrl_c(&running);
    running.wait_with_output().unwrap()
}

#[test]
fn ctrl_c_leaves_a_state_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(&folder.path().join("a.raw"), false, &[(0, 1, 6 << 20)]);
    let target = image(&folder.path().join("b.raw"), false, &[]);
    let ended = interrupted(&source, &target);
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(3), "{told}");
    assert!(told.contains("the same command goes on from there"), "{told}");
    let kept = folder.path().join("b.raw.hvrsim-resync");
    assert!(kept.exists());
    let again = resync(&[&source, &target], &[]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("going on at"), "{told}");
    assert!(content(&source) == content(&target) && !kept.exists());
}

#[test]
fn after_a_change_of_the_source_everything_is_compared_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(&folder.path().join("a.raw"), false, &[(0, 1, 6 << 20)]);
    let target = image(&folder.path().join("b.raw"), false, &[]);
    assert_eq!(interrupted(&source, &target).status.code(), Some(3));
    // The first block is done, and not the same any more.
    let mut changed = open(&source, &OpenOptions::read_write(Seed::new([2; 32]))).unwrap();
    changed.write_at(0, &[7; 4096]).unwrap();
    changed.close().unwrap();
    let again = resync(&[&source, &target], &[]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("comparing from the beginning") && !told.contains("going on at"), "{told}");
    assert!(content(&source) == content(&target));
}

#[test]
fn outside_its_hours_a_run_pauses_and_says_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(&folder.path().join("a.raw"), false, &[(0, 1, 4096)]);
    let target = image(&folder.path().join("b.raw"), false, &[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3600;
    let hour = |more: u64| (now + more) % 24;
    let zone = ["--time-zone", "UTC", "--window"];
    let closed = format!("{:02}:00-{:02}:00", hour(3), hour(5));
    let mut running = start(&[&source, &target], &[&zone[..], &[&closed]].concat());
    let mut told = String::new();
    let mut stderr = std::io::BufReader::new(running.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut told).unwrap();
    assert!(told.contains(&format!("outside the window {closed}; work goes on at")), "{told}");
    assert!(told.contains(&format!(" {:02}:00 UTC", hour(3))), "{told}");
    assert!(content(&target)[0] == 0);
    ctrl_c(&running);
    assert_eq!(running.wait().unwrap().code(), Some(3));

    let open = format!("{:02}:00-{:02}:00", hour(22), hour(3));
    json(&resync(&[&source, &target], &[&zone[..], &[&open, "--json"]].concat()));
    assert!(content(&target) == content(&source));
    for wrong in [["--window", "25:00-06:00"], ["--time-zone", "Nowhere/Here"]] {
        let options =
            [&wrong[..], &["--window", "18:30-06:00"][..if wrong[0] == "--window" { 0 } else { 2 }]].concat();
        assert_eq!(resync(&[&source, &target], &options).status.code(), Some(2));
    }
}

#[test]
fn a_report_maps_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let source = image(&folder.path().join("a.raw"), false, &[(0, 1, 1 << 20), (4 << 20, 2, 5000)]);
    let target = image(&folder.path().join("b.raw"), false, &[(0, 1, 1 << 20), (6 << 20, 9, 4096)]);
    let page = folder.path().join("map.html");
    json(&resync(&[&source, &target], &["--json", "--report", page.to_str().unwrap()]));
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("class=\"c p4\" title").count(), 4, "1 MiB in tiles of 256 KiB");
    assert!(page.contains("title=\"4 MiB: sent 8 KiB\"") && page.contains("title=\"6 MiB: zeroed 4 KiB\""));
}

#[test]
fn memory_does_not_grow_with_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in [("4 GiB", 4u64 << 30), ("8 TiB", 8 << 40)] {
        let make = |name: &str, value: u8| {
            let path = folder.path().join(name);
            let mut image = create(&path, &CreateOptions::raw(size)).unwrap();
            for part in 0..16 {
                image.write_at(size / 16 * part, &vec![value; 2 << 20]).unwrap();
            }
            image.close().unwrap();
            path
        };
        let (source, target) = (make("a.raw", 1), make("b.raw", 2));
        let done = json(&resync(&[&source, &target], &["--json"]));
        assert_eq!(done["sent_bytes"].as_u64(), Some(32 << 20));
        let peak = done["peak_memory_bytes"].as_u64().unwrap();
        assert!(peak < 64 << 20, "{name}: {} MiB", peak >> 20);
        std::fs::remove_file(source).unwrap();
        std::fs::remove_file(target).unwrap();
    }
}
