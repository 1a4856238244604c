//! Runs on images that QEMU made, judged by QEMU afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Site, hash};
use crate::images::{make, qemu};

/// All files of a folder with this ending, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    found.sort();
    found
}

/// The whole failback on a given image: both sides end alike, and the image is as it was.
fn failback_of(image: &str, format: &str) {
    let site = Site::with("failback.yaml");
    make(site.path(), image, format);
    let given = site.path().join(image);
    let (before, stood) = (hash(&given), fs::metadata(&given).expect("it is there"));
    let disk = format!("web01={image}");
    let answer = site.call(&["run", "failback.yaml", "--store", "images", "--disk", &disk, "--keep"]);
    assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{}", answer.stdout);

    let stands = fs::metadata(&given).expect("it is there");
    assert_eq!(hash(&given), before, "the given image was changed");
    assert_eq!(stands.modified().ok(), stood.modified().ok(), "the given image was touched");
    assert_eq!(stands.permissions(), stood.permissions());

    let run = site.path().join("hvrsim-run/failback");
    let sides = ["HV1", "HV2"].map(|host| files(&run.join(host), "vhdx"));
    let [ours, theirs] = &sides;
    assert_eq!((ours.len(), theirs.len()), (1, 1), "a disk on each host: {sides:?}");
    for file in sides.iter().flatten() {
        let name = file.to_str().expect("names are plain");
        let info = qemu("qemu-img", &run, &["info", "-f", "vhdx", name]);
        assert!(info.contains("4 GiB (4294967296 bytes)"), "{info}");
        assert!(!info.contains("backing file"), "{info}");
        qemu("qemu-img", &run, &["check", "-f", "vhdx", name]);
    }
    let [ours, theirs] = [&ours[0], &theirs[0]].map(|file| file.to_str().expect("names are plain"));
    let told = qemu("qemu-img", &run, &["compare", "-f", "vhdx", "-F", "vhdx", ours, theirs]);
    assert!(told.contains("Images are identical"), "{told}");

    // What neither the guest nor the scenario overwrote still stands there as it was given.
    for pattern in ["read -P 0x55 2047M 1M", "read -P 0x66 3500M 512", "read -P 0x77 4294959104 8k"] {
        for side in [ours, theirs] {
            let told = qemu("qemu-io", &run, &["-f", "vhdx", "-r", "-c", pattern, side]);
            assert!(!told.contains("verification failed"), "{side}: {told}");
        }
    }
}

#[test]
fn failback_of_a_vhdx() {
    failback_of("some.vhdx", "vhdx");
}

#[test]
fn failback_of_a_raw_image() {
    failback_of("some.img", "raw");
}

#[test]
fn a_red_end_still_leaves_files_that_open() {
    let site = Site::with("failback.yaml");
    let text = String::from_utf8(site.read("failback.yaml")).expect("it is text");
    site.write("failback.yaml", text.replace("{ disks: identical", "{ lost: none"));
    let answer = site.call(&["run", "failback.yaml", "--store", "images"]);
    assert_eq!(answer.exit, 1, "{}", answer.stdout);
    assert!(answer.stdout.contains("images: hvrsim-run/failback\n"), "{}", answer.stdout);
    let run = site.path().join("hvrsim-run/failback");
    for host in ["HV1", "HV2"] {
        for file in files(&run.join(host), "vhdx") {
            qemu("qemu-img", &run, &["check", "-f", "vhdx", file.to_str().expect("names are plain")]);
        }
    }
}

#[test]
fn a_green_run_leaves_nothing() {
    let site = Site::with("failback.yaml");
    let before = site.content();
    assert_eq!(site.call(&["run", "failback.yaml", "--store", "images"]).exit, 0);
    assert!(before == site.content(), "a green run without --keep leaves no folder");
}

#[test]
fn a_kept_folder_is_replaced_by_the_next_run() {
    let site = Site::with("failback.yaml");
    let keep = ["run", "failback.yaml", "--quiet", "--keep"];
    assert_eq!(site.call(&keep).exit, 0);
    let first = site.content();
    site.write("hvrsim-run/failback/stray", "from an earlier run");
    assert_eq!(site.call(&keep).exit, 0);
    assert!(first == site.content(), "two runs leave the same files, and nothing else");
}
