//! What only the store of images has: files.

use std::path::Path;

use hvrsim_disk::{CreateOptions, OpenOptions, open};
use hvrsim_types::id::CopyId;
use proptest::prelude::*;

use super::{
    Bytes, DiskFormat, DiskSpec, DiskStore, Images, Initial, PointId, Stamps, StoreError, View, Write,
    WriteNo, id,
};

pub fn store(folder: &Path) -> Images {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Images::new(folder.to_path_buf(), &names(&["HV1", "HV2"]), &names(&["web01"]), 7).unwrap()
}

/// Every cell holds the content of the write that the model names.
pub fn check_content(
    images: &Images,
    copy: CopyId,
    expected: &super::model::Content,
) -> Result<(), TestCaseError> {
    for (disk, cells) in (0..).zip(expected) {
        for (cell, &no) in (0..).zip(cells) {
            let found = images.cell(copy, disk, cell);
            prop_assert_eq!(
                found,
                images.expected_cell(copy, WriteNo(no), disk, cell),
                "disk {}, cell {}",
                disk,
                cell
            );
        }
    }
    Ok(())
}

fn blank(size: u64, format: DiskFormat, initial: Initial) -> [DiskSpec; 1] {
    [DiskSpec { size: Bytes(size), format, initial }]
}

fn write(no: u64, offset: u64, len: u64) -> Write {
    Write { no: WriteNo(no), disk: 0, offset, len }
}

/// A run with everything that leaves files: both copies equal at the end, as HV1 sees them.
fn replicated(folder: &Path, format: DiskFormat) -> Images {
    let mut images = store(folder);
    let spec = blank(40 << 20, format, Initial::Blank);
    images.create(id(0), &spec).unwrap();
    images.create(id(1), &spec).unwrap();
    images.log_start(id(0)).unwrap();
    for cycle in 0..3 {
        images.write(id(0), &write(2 + 2 * cycle, cycle * 65536, 100 * 4096)).unwrap();
        images.write(id(0), &write(3 + 2 * cycle, 33 << 20, 8192)).unwrap();
        images.log_switch(id(0)).unwrap();
        images.log_deliver(id(0), id(1)).unwrap();
        images.log_apply(id(1)).unwrap();
        images.log_drop_oldest(id(0)).unwrap();
        images.point_take(id(1), PointId(cycle)).unwrap();
    }
    assert_eq!(images.difference((id(0), View::Live), (id(1), View::Live)).unwrap(), None);
    images
}

#[expect(clippy::disallowed_methods, reason = "the test asks another implementation")]
fn qemu_img(args: &[&str]) -> String {
    let output = std::process::Command::new("qemu-img").args(args).output();
    let output = output.expect("qemu-img is needed: install qemu-utils");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {args:?}: {text}");
    text
}

#[test]
fn qemu_img_finds_both_sides_identical() {
    for (format, extension, name) in [(DiskFormat::Vhdx, "vhdx", "vhdx"), (DiskFormat::Raw, "raw", "raw")] {
        let folder = tempfile::tempdir().unwrap();
        replicated(folder.path(), format).finish().unwrap();
        let path = |host: &str| folder.path().join(host).join(format!("web01-disk0.{extension}"));
        let [a, b] = ["HV1", "HV2"].map(|host| path(host).to_str().unwrap().to_owned());
        for file in [&a, &b] {
            if format == DiskFormat::Vhdx {
                let text = qemu_img(&["check", "-f", name, file]);
                assert!(text.contains("No errors"), "{text}");
            }
        }
        let text = qemu_img(&["compare", "-f", name, "-F", name, &a, &b]);
        assert!(text.contains("Images are identical"), "{text}");
    }
}

#[test]
fn equal_runs_make_equal_files() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        replicated(folder.path(), DiskFormat::Vhdx).finish().unwrap();
    }
    for host in ["HV1", "HV2"] {
        let list = |folder: &Path| {
            let entries = std::fs::read_dir(folder.join(host)).unwrap().map(|entry| entry.unwrap().path());
            let mut files: Vec<_> = entries
                .map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap()))
                .collect();
            files.sort();
            files
        };
        let [a, b] = [list(folders[0].path()), list(folders[1].path())];
        assert!(a.len() >= 2, "the disk, and logs");
        assert!(a == b, "{host}: a file differs");
    }
}

#[test]
fn an_undo_log_of_many_writes_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = store(folder.path());
    let spec = blank(8 << 20, DiskFormat::Vhdx, Initial::Used(Bytes(4 << 20)));
    images.create(id(0), &spec).unwrap();
    images.create(id(1), &spec).unwrap();
    images.point_take(id(0), PointId(1)).unwrap();
    // Some places were absent; metadata blocks stand after every 127.
    for n in 0..300 {
        images.write(id(0), &write(2 + n, n * 20480, 4096)).unwrap();
    }
    let same = |images: &Images, view| images.difference((id(0), view), (id(1), View::Live)).unwrap();
    assert_eq!(same(&images, View::Point(PointId(1))), None);
    assert_eq!(images.point_undo_bytes(id(0), PointId(1)), 300 * 4096);
    images.failover_create(id(0), View::Point(PointId(1))).unwrap();
    assert_eq!(images.present_bytes(id(0)), 4 << 20);
    images.failover_discard(id(0)).unwrap();
    images.point_rollback(id(0), PointId(1)).unwrap();
    assert_eq!(same(&images, View::Live), None);
}

#[test]
fn removing_a_copy_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = replicated(folder.path(), DiskFormat::Vhdx);
    images.failover_create(id(1), View::Point(PointId(1))).unwrap();
    images.remove(id(0)).unwrap();
    images.remove(id(1)).unwrap();
    for host in ["HV1", "HV2"] {
        assert_eq!(std::fs::read_dir(folder.path().join(host)).unwrap().count(), 0);
    }
}

#[test]
fn a_given_image_is_copied_and_never_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.raw");
    let mut content = vec![0; 1 << 20];
    content[5 * 4096 + 17] = 1;
    content[99 * 4096] = 2;
    std::fs::write(&path, &content).unwrap();
    let mut images = store(&folder.path().join("run"));
    let spec = blank(0, DiskFormat::Vhdx, Initial::Given(path.clone()));
    images.create(id(0), &spec).unwrap();
    images.create(id(1), &spec).unwrap();
    assert_eq!(images.sizes(id(0)), [Bytes(1 << 20)]);
    assert_eq!(images.present_bytes(id(0)), 2 * 4096);
    assert_eq!(images.difference((id(0), View::Live), (id(1), View::Live)).unwrap(), None);
    images.write(id(0), &write(2, 99 * 4096, 4096)).unwrap();
    let difference = images.difference((id(0), View::Live), (id(1), View::Live)).unwrap().unwrap();
    assert_eq!(difference.offset, 99 * 4096);
    images.finish().unwrap();
    assert!(std::fs::read(&path).unwrap() == content, "the given image changed");
    let copy = open(folder.path().join("run/HV2/web01-disk0.vhdx"), &OpenOptions::read_only()).unwrap();
    let mut found = vec![0; 1 << 20];
    copy.read_at(0, &mut found).unwrap();
    assert!(found == content, "the copy differs");
}

#[test]
fn errors_name_what_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.vhdx");
    let spec = blank(0, DiskFormat::Vhdx, Initial::Given(missing.clone()));
    let mut images = store(&folder.path().join("run"));
    let given = images.create(id(0), &spec).unwrap_err();
    assert!(matches!(&given, StoreError::Given { path, .. } if *path == missing), "{given}");
    let given = Stamps::new().create(id(0), &spec).unwrap_err();
    assert!(given.to_string().contains("image store"), "{given}");

    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let Err(error) = Images::new(file.clone(), &["HV1".to_owned()], &[], 0) else {
        panic!("a file is no folder")
    };
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");

    let options = CreateOptions::raw(4096);
    hvrsim_disk::create(folder.path().join("run/HV2/web01-disk0.raw"), &options).unwrap();
    let taken = images.create(id(1), &blank(4096, DiskFormat::Raw, Initial::Blank)).unwrap_err();
    assert!(matches!(taken, StoreError::Folder { .. }), "{taken}");
}
