//! `hvrsim disk` on files that are no images, are cut short or do not belong together, and on requests that no
//! format can meet: what is said, word for word; and images that are only read stay as they are.

use hvrsim_disk::{ChildOptions, CreateOptions, OpenOptions, Seed, create, create_child, open};

use super::Site;
use super::bad_input::refused;

const MIB: u64 = 1 << 20;

fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

/// A folder with a VHDX and a VHD of 8 MiB, and a differencing file over each.
fn site() -> Site {
    let site = Site::new();
    let at = |name: &str| site.path().join(name);
    for (base, child, options) in [
        ("base.vhdx", "child.avhdx", CreateOptions::vhdx(8 * MIB, seed(1)).block_size(MIB)),
        ("base.vhd", "child.avhd", CreateOptions::vhd(8 * MIB, seed(1))),
    ] {
        let mut image = create(at(base), &options).expect("it can be made");
        image.write_at(0, &[0xA1; 4096]).expect("it can be written");
        image.close().expect("it can be closed");
        let image = create_child(at(base), at(child), &ChildOptions::new(seed(2))).expect("it can be made");
        image.close().expect("it can be closed");
    }
    site
}

/// The front of a file under another name.
fn cut(site: &Site, from: &str, to: &str, len: usize) {
    site.write(to, &site.read(from)[..len]);
}

/// Both with the golden `disk-NAME` and exit code 2.
fn wrong(site: &Site, name: &str, args: &[&str]) {
    let args: Vec<&str> = ["disk"].iter().chain(args).copied().collect();
    refused(site, &format!("disk-{name}"), &args, 2);
}

#[test]
fn files_that_are_no_images() {
    let site = site();
    site.write("empty.vhdx", "");
    wrong(&site, "empty-vhdx", &["info", "empty.vhdx"]);
    site.write("empty.vhd", "");
    wrong(&site, "empty-vhd", &["info", "empty.vhd"]);
    site.write("words.vhdx", "just words\n".repeat(500));
    wrong(&site, "words-vhdx", &["info", "words.vhdx"]);
    site.write("words", "just words\n".repeat(500));
    wrong(&site, "words-without-ending", &["map", "words"]);
    std::fs::create_dir(site.path().join("folder.vhdx")).expect("it can be made");
    wrong(&site, "folder", &["info", "folder.vhdx"]);
    wrong(&site, "device", &["info", "/dev/null"]);
    wrong(&site, "missing", &["compare", "base.vhdx", "missing.vhdx"]);
    wrong(&site, "convert-empty", &["convert", "empty.vhdx", "out.raw"]);
}

#[test]
fn files_that_are_cut_short() {
    let site = site();
    for (name, len) in [
        ("in-the-headers", 100_000),
        ("in-the-region-tables", 200_000),
        ("in-the-log", 1_500_000),
        ("before-the-bat", 3 << 20),
        ("in-a-block", 5_000_000),
    ] {
        cut(&site, "base.vhdx", "cut.vhdx", len.min(site.read("base.vhdx").len() - 1));
        wrong(&site, &format!("cut-{name}"), &["info", "cut.vhdx"]);
    }
    for (name, len) in
        [("in-the-footer", 300), ("in-the-header", 1000), ("in-the-table", 1537), ("in-a-block", 9000)]
    {
        cut(&site, "base.vhd", "cut.vhd", len);
        wrong(&site, &format!("cut-vhd-{name}"), &["info", "cut.vhd"]);
    }
}

#[test]
fn files_that_do_not_belong_together() {
    let site = site();
    let at = |name: &str| site.path().join(name);
    wrong(&site, "resize-under-children", &["resize", "base.vhdx", "16M"]);
    wrong(&site, "merge-without-parent", &["merge", "base.vhd"]);
    wrong(&site, "resize-differencing-vhd", &["resize", "child.avhd", "16M"]);
    wrong(&site, "snapshot-into-itself", &["snapshot", "base.vhdx", "base.vhdx", "--force"]);
    create_child(at("base.vhdx"), at("other.avhdx"), &ChildOptions::new(seed(5)))
        .and_then(hvrsim_disk::Image::close)
        .expect("it can be made");
    wrong(&site, "merge-beside-siblings", &["merge", "child.avhdx"]);
    let knowing = OpenOptions::read_write(seed(3)).under_children();
    let mut image = open(at("base.vhdx"), &knowing).expect("it can be opened");
    image.write_at(0, &[9]).expect("it can be written");
    image.close().expect("it can be closed");
    let said = site.call(&["disk", "info", "child.avhdx"]);
    assert_eq!(said.exit, 2);
    assert!(said.stderr.contains("base.vhdx with DataWriteGuid {"), "{}", said.stderr);
    assert!(said.stderr.contains("bring back the parent as it was"), "{}", said.stderr);
    for (base, child) in [("base.vhdx", "child.avhdx"), ("base.vhd", "child.avhd")] {
        std::fs::remove_file(at(base)).expect("it can be removed");
        let said = site.call(&["disk", "info", child]);
        assert_eq!(said.exit, 2);
        assert!(said.stderr.contains(&format!("found no file at ./{base} nor at ")), "{}", said.stderr);
    }
}

#[test]
fn requests_that_no_format_meets() {
    let site = site();
    for (name, args) in [
        ("size-0", &["create", "a.vhdx", "0"][..]),
        ("size-beyond-vhdx", &["create", "a.vhdx", "65T"]),
        ("size-beyond-vhd", &["create", "a.vhd", "3T"]),
        ("size-unaligned", &["create", "a.vhdx", "1000"]),
        ("size-unaligned-raw", &["create", "a.raw", "1000"]),
        ("ending-unknown", &["create", "a.xyz", "1M"]),
        ("ending-missing", &["convert", "base.vhdx", "a"]),
        ("block-size", &["create", "a.vhdx", "1M", "--block-size", "3M"]),
        ("block-size-raw", &["create", "a.raw", "1M", "--block-size", "1M"]),
        ("sector-size", &["create", "a.vhdx", "1M", "--sector", "1024"]),
        ("sector-size-vhd", &["create", "a.vhd", "1M", "--sector", "4096"]),
        ("folder-missing", &["create", "nowhere/a.vhdx", "1M"]),
        ("file-there", &["convert", "base.vhdx", "base.vhd"]),
        ("shrink", &["resize", "child.avhdx", "1M"]),
        ("convert-into-itself", &["convert", "base.vhdx", "./base.vhdx", "--force"]),
    ] {
        wrong(&site, name, args);
    }
    site.write("a.vhdx.partial", "");
    wrong(&site, "partial-in-the-way", &["create", "a.vhdx", "1M"]);
    std::fs::create_dir(site.path().join("b.vhdx")).expect("it can be made");
    wrong(&site, "folder-in-the-way", &["create", "b.vhdx", "1M", "--force"]);
}

#[test]
fn an_image_that_is_read_stays_as_it_is_with_a_log_to_replay_too() {
    let site = site();
    let at = |name: &str| site.path().join(name);
    let mut image = open(at("child.avhdx"), &OpenOptions::read_write(seed(4))).expect("it can be opened");
    image.write_at(MIB, &[7; 5000]).expect("it can be written");
    image.flush().expect("it can be flushed");
    // Never closed: the log is still to be replayed.
    drop(image);
    let stood = |name: &str| {
        let stat = std::fs::metadata(at(name)).expect("it is there");
        (stat.modified().expect("the host tells"), stat.len(), super::hash(&at(name)))
    };
    let names = ["base.vhdx", "child.avhdx", "base.vhd", "child.avhd"];
    let before = names.map(stood);
    let json = site.call(&["disk", "info", "child.avhdx", "--json"]).stdout;
    assert!(json.contains("\"log_to_replay\": true"), "{json}");
    for args in [
        &["info", "child.avhdx"][..],
        &["check", "child.avhdx"],
        &["map", "child.avhdx", "--json"],
        &["map", "child.avhdx", "--level", "format"],
        &["compare", "child.avhdx", "base.vhd"],
        &["convert", "child.avhdx", "out.vhd"],
        &["convert", "child.avhdx", "out.raw"],
        &["convert", "child.avhd", "out.vhdx"],
        &["snapshot", "child.avhdx", "grandchild.avhdx", "--json"],
    ] {
        let args: Vec<&str> = ["disk"].iter().chain(args).copied().collect();
        let said = site.call(&args);
        assert!(said.exit < 2, "{args:?}: {}", said.stderr);
        assert!(!said.stderr.contains('\u{1b}'), "{args:?}: a progress bar without a terminal");
        assert!(names.map(stood) == before, "{args:?} changed what it read");
    }
    assert_eq!(site.call(&["disk", "check", "child.avhdx", "--repair"]).exit, 0);
    assert!(stood("child.avhdx") != before[1], "the repair replays the log into the file");
    assert_eq!(site.call(&["disk", "compare", "child.avhdx", "out.raw"]).exit, 0);
}
