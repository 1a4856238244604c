//! Images that cannot be used, given on the command line or named in a scenario.

use hvrsim_disk::{CreateOptions, Seed};

use super::Site;
use super::bad_input::{GOOD, refused, with};

const MIB: usize = 1 << 20;

/// A scenario that names the image, and one that does not; the image damaged by `damage`.
fn site(image: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Site {
    let site = Site::new();
    let path = site.path().join("good.vhdx");
    let options = CreateOptions::vhdx(64 << 20, Seed::new([7; 32])).block_size(1 << 20);
    let mut disk = hvrsim_disk::create(&path, &options).expect("it can be made");
    disk.write_at(0, &[7; 4096]).expect("it can be written");
    disk.close().expect("it can be closed");
    let mut bytes = site.read("good.vhdx");
    std::fs::remove_file(path).expect("it can be removed");
    damage(&mut bytes);
    site.write(image, bytes);
    site.write("good.yaml", GOOD);
    let disk = format!("{{ image: {image} }}");
    site.write("image.yaml", with("{ size: 8GiB, used: 32MiB }", &disk));
    site
}

/// The image is refused in both places; `check` finds it in the scenario, too.
fn both(name: &str, image: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let site = site(image, damage);
    let disk = format!("web01={image}");
    refused(&site, &format!("{name}-as-disk"), &["run", "good.yaml", "--disk", &disk], 2);
    let run = refused(&site, name, &["run", "image.yaml"], 2);
    assert_eq!(site.call(&["check", "image.yaml"]), run, "{name}: `check` finds the same");
}

#[test]
fn a_whole_one_is_taken() {
    let site = site("web01.vhdx", |_| {});
    assert_eq!(site.call(&["check", "image.yaml"]).exit, 0);
    assert_eq!(site.call(&["run", "image.yaml", "--quiet"]).exit, 0);
    assert_eq!(site.call(&["run", "good.yaml", "--quiet", "--disk", "web01=web01.vhdx"]).exit, 0);
}

#[test]
fn damaged_headers() {
    both("damaged-headers", "web01.vhdx", |bytes| {
        for header in [64 << 10, 128 << 10] {
            bytes[header + 16..header + 64].fill(0xee);
        }
    });
}

#[test]
fn damaged_table() {
    both("damaged-region-table", "web01.vhdx", |bytes| {
        for table in [192 << 10, 256 << 10] {
            bytes[table..table + 64].fill(0xee);
        }
    });
}

#[test]
fn cut_off() {
    both("truncated", "web01.vhdx", |bytes| bytes.truncate(3 * MIB + 512));
}

#[test]
fn cut_off_within_the_headers() {
    both("truncated-headers", "web01.vhdx", |bytes| bytes.truncate(100 << 10));
}

#[test]
fn no_image_at_all() {
    both("not-an-image", "web01.vhdx", |bytes| *bytes = b"just words\n".to_vec());
}

#[test]
fn part_of_a_sector() {
    both("part-of-a-sector", "web01.raw", |bytes| *bytes = vec![7; 1000]);
}

#[test]
fn nothing_in_it() {
    both("empty-image", "web01.raw", Vec::clear);
}

#[test]
fn none_there() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    refused(&site, "missing-image-as-disk", &["run", "good.yaml", "--disk", "web01=nowhere.vhdx"], 2);
}
