//! `hvrsim disk` as a program: every command, its output word for word, its exit code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hvrsim_disk::hrl::{HrlOptions, HrlWriter};
use hvrsim_disk::{CreateOptions, Guid, OpenOptions, Seed, create, open};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `hvrsim disk` in the folder.
    fn disk(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hvrsim"));
        command.arg("disk").args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Exit code, standard output, standard error; the folder's own path left out.
    fn says(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.disk(arguments);
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(&format!("{}/", self.0.path().display()), "")
        };
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.says(arguments);
        assert_eq!((code, &*err), (Some(0), ""), "{arguments:?}: {out}");
        out
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let (_, out, _) = self.says(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// A VHDX of 8 MiB with 1 MiB blocks: A1 in the first block, A5 in one sector of block 5.
    fn base(&self) {
        let options = CreateOptions::vhdx(8 << 20, Seed::new([1; 32])).block_size(1 << 20);
        let mut image = create(self.path("base.vhdx"), &options).unwrap();
        image.write_at(0, &vec![0xA1; 1 << 20]).unwrap();
        image.write_at(5 << 20, &[0xA5; 512]).unwrap();
        image.close().unwrap();
    }

    fn write(&self, name: &str, at: u64, byte: u8) {
        let mut image = open(self.path(name), &OpenOptions::read_write(Seed::new([2; 32]))).unwrap();
        image.write_at(at, &[byte; 512]).unwrap();
        image.close().unwrap();
    }

    fn first(&self, name: &str, at: u64) -> u8 {
        let mut byte = [0];
        open(self.path(name), &OpenOptions::read_only()).unwrap().read_at(at, &mut byte).unwrap();
        byte[0]
    }
}

fn patch(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
}

#[test]
fn info_tells_what_the_file_says() {
    let folder = Folder::new();
    folder.base();
    let details = open(folder.path("base.vhdx"), &OpenOptions::read_only()).unwrap().details().unwrap();
    let want = format!(
        "  file             base.vhdx
  format           VHDX, dynamic
  disk             8 MiB (8388608 bytes)
  file length      6 MiB (6291456 bytes)
  blocks           1 MiB (1048576 bytes), 2 present
  sectors          logical 512, physical 4096
  disk id          {}
  DataWriteGuid    {}
",
        details.id.unwrap(),
        details.data_write_guid.unwrap()
    );
    assert_eq!(folder.ok(&["info", "base.vhdx"]), want);
    folder.ok(&["snapshot", "base.vhdx", "child.avhdx"]);
    let chain = folder.json(&["info", "child.avhdx", "--json"]);
    assert_eq!((&chain["kind"], &chain["parent"]["kind"]), (&"differencing".into(), &"dynamic".into()));
    assert_eq!((&chain["size"], &chain["log_to_replay"]), (&(8 << 20).into(), &false.into()));
}

#[test]
fn create_takes_the_format_from_the_ending_and_replaces_nothing() {
    let folder = Folder::new();
    assert_eq!(folder.ok(&["create", "a.vhdx", "1G"]), "a.vhdx: created, 1 GiB (1073741824 bytes)\n");
    folder.ok(&["create", "a.vhd", "100M"]);
    folder.ok(&["create", "a.img", "3k"]);
    folder.ok(&["create", "fixed", "10M", "--to", "vhd", "--fixed"]);
    for (name, format, kind) in [
        ("a.vhdx", "vhdx", "dynamic"),
        ("a.vhd", "vhd", "dynamic"),
        ("a.img", "raw", "fixed"),
        ("fixed", "vhd", "fixed"),
    ] {
        let info = folder.json(&["info", name, "--json"]);
        assert_eq!((&info["format"], &info["kind"]), (&format.into(), &kind.into()), "{name}");
    }
    let (code, _, err) = folder.says(&["create", "a.vhdx", "2G"]);
    assert_eq!((code, &*err), (Some(2), "error: a.vhdx: the file is there already; --force replaces it\n"));
    folder.ok(&["create", "a.vhdx", "2G", "--force", "--sector", "4096"]);
    assert_eq!(folder.json(&["info", "a.vhdx", "--json"])["logical_sector"], 4096);
    let (code, _, err) = folder.says(&["create", "b", "2G"]);
    let want = "error: b: the ending tells no format; expected .vhdx, .vhd, .raw or .img, or --to\n";
    assert_eq!((code, &*err), (Some(2), want));
    let (code, _, err) = folder.says(&["create", "b.vhd", "3T"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("required: whole sectors of 512 bytes, at least one, at most 2040 GiB"), "{err}");
    assert_eq!(folder.says(&["create", "b.vhdx", "many"]).0, Some(2));
    assert_eq!(folder.says(&["create", "none/b.vhdx", "1M"]).0, Some(2));
    assert!(!folder.path("b.vhd").exists() && !folder.path("b.vhd.partial").exists());
}

#[test]
fn convert_in_every_direction_and_compare() {
    let folder = Folder::new();
    folder.base();
    let before = std::fs::read(folder.path("base.vhdx")).unwrap();
    let steps = [("base.vhdx", "a.vhd"), ("a.vhd", "b.raw"), ("b.raw", "c.vhdx"), ("c.vhdx", "d.img")];
    for (from, to) in steps {
        let said = folder.ok(&["convert", from, to]);
        assert_eq!(said, format!("{to}: converted, 8 MiB (8388608 bytes)\n"));
        assert_eq!(folder.ok(&["compare", "base.vhdx", to]), "equal, 8 MiB (8388608 bytes)\n");
    }
    assert!(std::fs::read(folder.path("base.vhdx")).unwrap() == before, "the source was changed");
    folder.write("d.img", 5 << 20, 0xEE);
    let (code, out, _) = folder.says(&["compare", "base.vhdx", "d.img"]);
    let want = "first difference at byte 5242880; 4096 bytes in cells of 4 KiB differ\n";
    assert_eq!((code, &*out), (Some(1), want));
    let found = folder.json(&["compare", "base.vhdx", "d.img", "--json"]);
    assert_eq!((&found["equal"], &found["first_difference"]), (&false.into(), &(5 << 20).into()));
    assert_eq!(folder.says(&["convert", "base.vhdx", "d.img"]).0, Some(2));
    folder.ok(&["convert", "base.vhdx", "d.img", "--force"]);
    assert_eq!(folder.says(&["compare", "base.vhdx", "d.img"]).0, Some(0));
    assert_eq!(folder.says(&["convert", "base.vhdx", "base.vhdx", "--force"]).0, Some(2));
    assert_eq!(folder.says(&["convert", "nothing.vhdx", "e.raw"]).0, Some(2));
}

#[test]
fn check_names_structure_offset_and_rule_and_repairs_what_has_a_copy() {
    let folder = Folder::new();
    folder.base();
    assert_eq!(folder.ok(&["check", "base.vhdx"]), "base.vhdx: sound\n");
    patch(&folder.path("base.vhdx"), 64 << 10, &[0; 4096]);
    patch(&folder.path("base.vhdx"), 192 << 10, &[0; 65_536]);
    let header = "base.vhdx: header 1 at offset 65536 has no valid signature and checksum\n";
    let tables = "base.vhdx: the two region tables differ\n";
    let damaged = std::fs::read(folder.path("base.vhdx")).unwrap();
    let (code, out, _) = folder.says(&["check", "base.vhdx"]);
    assert_eq!((code, out), (Some(1), format!("{header}{tables}")));
    assert!(std::fs::read(folder.path("base.vhdx")).unwrap() == damaged, "a check only reads");
    let (code, out, _) = folder.says(&["check", "base.vhdx", "--repair"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("repaired: header 1") && out.ends_with("base.vhdx: sound\n"), "{out}");
    assert_eq!(folder.first("base.vhdx", 0), 0xA1);
    // The BAT has no copy.
    patch(&folder.path("base.vhdx"), (3 << 20) + 8, &[4]);
    let (code, out, _) = folder.says(&["check", "base.vhdx"]);
    let want = "base.vhdx: BAT entry of payload block 1 at offset 3145736: found state 4 and file offset 0; \
                required: state 0..3, 6 or 7; 4 and 5 are reserved (MS-VHDX 2.5.1.1). Remedy: restore the file \
                from a backup\n";
    assert_eq!((code, &*out), (Some(1), want));
    assert_eq!(folder.json(&["check", "base.vhdx", "--json"])["sound"], false);
    assert_eq!(folder.says(&["check", "nothing.vhdx"]).0, Some(2));
}

#[test]
fn check_replays_a_log_into_the_file_only_when_asked() {
    let folder = Folder::new();
    folder.base();
    let mut image = open(folder.path("base.vhdx"), &OpenOptions::read_write(Seed::new([3; 32]))).unwrap();
    image.write_at(7 << 20, &[0xA7; 512]).unwrap();
    image.flush().unwrap();
    drop(image);
    let before = std::fs::read(folder.path("base.vhdx")).unwrap();
    let (code, out, _) = folder.says(&["check", "base.vhdx"]);
    assert_eq!((code, &*out), (Some(1), "base.vhdx: a log waits to be replayed\n"));
    folder.ok(&["convert", "base.vhdx", "copy.raw"]);
    assert_eq!(folder.first("copy.raw", 7 << 20), 0xA7);
    assert!(std::fs::read(folder.path("base.vhdx")).unwrap() == before, "reading changed the file");
    let want = "base.vhdx: repaired: a log waits to be replayed\nbase.vhdx: sound\n";
    assert_eq!(folder.ok(&["check", "base.vhdx", "--repair"]), want);
}

#[test]
fn map_tells_where_content_comes_from() {
    let folder = Folder::new();
    folder.base();
    folder.ok(&["snapshot", "base.vhdx", "c.avhdx", "--block-size", "1M"]);
    folder.write("c.avhdx", 3 << 20, 0xC3);
    let said = folder.ok(&["map", "c.avhdx"]);
    let want = "           start           length kind
               0          1048576 parent
         1048576          2097152 absent
         3145728";
    assert!(said.starts_with(want), "{said}");
    let list = folder.json(&["map", "base.vhdx", "--json"]);
    assert_eq!((&list[0]["kind"], &list[0]["length"]), (&"data".into(), &(1 << 20).into()));
    let total: u64 = list.as_array().unwrap().iter().map(|part| part["length"].as_u64().unwrap()).sum();
    assert_eq!(total, 8 << 20);
}

#[test]
fn snapshots_protect_their_parent_until_they_are_merged() {
    let folder = Folder::new();
    folder.base();
    assert_eq!(folder.ok(&["snapshot", "base.vhdx", "m.avhdx"]), "m.avhdx: created over base.vhdx\n");
    folder.write("m.avhdx", 1 << 20, 0xC1);
    folder.ok(&["snapshot", "m.avhdx", "t.avhdx"]);
    folder.write("t.avhdx", 2 << 20, 0xC2);
    let (code, _, err) = folder.says(&["resize", "base.vhdx", "16M"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("found m.avhdx, made over it"), "{err}");
    assert!(err.contains("use --force"), "{err}");
    let said = folder.ok(&["merge", "m.avhdx"]);
    assert!(said.contains("t.avhdx: stands over"), "{said}");
    assert!(!folder.path("m.avhdx").exists());
    assert_eq!([folder.first("t.avhdx", 1 << 20), folder.first("t.avhdx", 2 << 20)], [0xC1, 0xC2]);
    folder.ok(&["snapshot", "base.vhdx", "other.avhdx"]);
    assert_eq!(folder.says(&["merge", "t.avhdx"]).0, Some(2));
    std::fs::remove_file(folder.path("other.avhdx")).unwrap();
    folder.ok(&["merge", "t.avhdx"]);
    assert_eq!(folder.first("base.vhdx", 2 << 20), 0xC2);
    assert_eq!(folder.says(&["merge", "base.vhdx"]).0, Some(2));
}

#[test]
fn resize_grows_and_shrinks_only_when_told() {
    let folder = Folder::new();
    folder.base();
    folder.ok(&["convert", "base.vhdx", "base.vhd"]);
    folder.ok(&["convert", "base.vhdx", "base.raw"]);
    for name in ["base.vhdx", "base.vhd", "base.raw"] {
        let want = format!("{name}: resized to 20 MiB (20971520 bytes)\n");
        assert_eq!(folder.ok(&["resize", name, "20M"]), want);
        let (code, _, err) = folder.says(&["resize", name, "2M"]);
        assert_eq!(code, Some(2));
        assert!(err.contains("use --shrink"), "{err}");
        folder.ok(&["resize", name, "2M", "--shrink", "--json"]);
        assert_eq!(folder.first(name, 0), 0xA1);
        assert_eq!(folder.json(&["info", name, "--json"])["size"], 2 << 20);
    }
}

#[test]
fn log_dumps_a_change_log_and_refuses_one_that_cannot_be_used() {
    let folder = Folder::new();
    folder.base();
    let guid = open(folder.path("base.vhdx"), &OpenOptions::read_only()).unwrap().data_write_guid().unwrap();
    let options = HrlOptions {
        unique_id: Guid::from_u128(1),
        previous_id: Guid::nil(),
        data_write_guid: guid,
        created: 100,
    };
    let mut log = HrlWriter::create(folder.path("a.hrl"), &options).unwrap();
    log.append(4096, &[1; 512], 101).unwrap();
    log.append(8192, &[2; 1024], 102).unwrap();
    log.close(103).unwrap();
    let want = format!(
        "log 00000000-0000-0000-0000-000000000001
after 00000000-0000-0000-0000-000000000000
content {guid}
created 100 s after 2000-01-01, changed 103
2 writes
          offset       length         time
            4096          512          101
            8192         1024          102
"
    );
    assert_eq!(folder.ok(&["log", "a.hrl", "--disk", "base.vhdx"]), want);
    assert_eq!(folder.json(&["log", "a.hrl", "--json"])["writes"][1]["length"], 1024);
    folder.write("base.vhdx", 0, 1);
    let (code, _, err) = folder.says(&["log", "a.hrl", "--disk", "base.vhdx"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("Vhd2DataWriteGuid at offset 110"), "{err}");
    HrlWriter::create(folder.path("open.hrl"), &options).unwrap();
    let (code, _, err) = folder.says(&["log", "open.hrl"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("closed cleanly"), "{err}");
}

/// What a command writes to a terminal.
fn on_a_terminal(folder: &Folder, command: &str) -> String {
    let call = format!("{} {command}", env!("CARGO_BIN_EXE_hvrsim"));
    let mut script = Command::new("script");
    let output = script.args(["-qec", &call, "/dev/null"]).current_dir(folder.0.path()).output();
    let output = output.expect("`script` starts: it belongs to the package bsdutils");
    assert!(output.status.success(), "{command}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn long_work_shows_on_a_terminal_how_far_it_is() {
    const CLEARED: &str = "\r\u{1b}[2K";
    let folder = Folder::new();
    std::fs::write(folder.path("a.raw"), vec![7; 8 << 20]).unwrap();
    for command in ["disk convert a.raw b.vhdx", "disk compare a.raw b.vhdx", "disk merge c.vhdx"] {
        if command.contains("merge") {
            folder.ok(&["snapshot", "b.vhdx", "c.vhdx"]);
        }
        let shown = on_a_terminal(&folder, command);
        assert!(shown.contains("█") && shown.contains("/8.00 MiB"), "{command}: {shown}");
        let last = shown.rsplit_once(CLEARED).expect("the bar is taken away").1;
        assert!(!last.contains("MiB/"), "{command}: {last}");
    }
    let shown = on_a_terminal(&folder, "disk convert --json a.raw d.vhdx");
    assert!(!shown.contains(CLEARED), "{shown}");
}
