//! Wrong input: a message that can be acted on, exit code 2, and nothing written.

use super::{Answer, Site};
use crate::golden;

pub(super) const GOOD: &str = "\
scenario: Bad input
topology:
  hosts: { HV1: {}, HV2: {} }
  links:
    HV1-HV2: { rate: 100Mbit, latency: 5ms }
  vms:
    web01:
      host: HV1
      disks: [ { size: 8GiB, used: 32MiB } ]
      replica: { host: HV2, frequency: 5m }
steps:
  - advance: 10m
  - host: HV1
    run: |
      Stop-VM -Name web01
      Start-VMFailover -VMName web01 -Prepare -Confirm:$false
";

/// The good scenario with one thing changed.
pub(super) fn with(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good} stands in the good scenario");
    GOOD.replace(good, bad)
}

/// Calls the program where nothing may change, and holds what it says against the golden.
pub(super) fn refused(site: &Site, name: &str, args: &[&str], exit: i32) -> Answer {
    let before = site.content();
    let answer = site.call(args);
    assert!(before == site.content(), "{name}: files were changed by {}", args.join(" "));
    assert_eq!(answer.stdout, "", "{name}: what is wrong goes to standard error");
    assert_eq!(answer.exit, exit, "{name}: {}", answer.stderr);
    let said = format!("$ hvrsim {}\nexit {}\n{}", args.join(" "), answer.exit, answer.stderr);
    golden::check(&format!("bad-input/{name}.txt"), &said);
    answer
}

/// Both `run` and `check` find what is wrong with a file, in the same words.
fn found(name: &str, text: impl AsRef<[u8]>) {
    let site = Site::new();
    site.write("wrong.yaml", text);
    let run = refused(&site, name, &["run", "wrong.yaml"], 2);
    assert_eq!(site.call(&["check", "wrong.yaml"]), run, "{name}: `check` finds the same");
    let events = ["run", "wrong.yaml", "--store", "images", "--keep", "--events", "log.jsonl"];
    let before = site.content();
    assert_eq!(site.call(&events), run, "{name}");
    assert!(before == site.content(), "{name}: a wrong scenario leaves no run folder and no log");
}

#[test]
fn the_good_one_is_good() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    let answer = site.call(&["check", "good.yaml"]);
    let stdout = "good.yaml: ok, 2 steps\n".to_owned();
    assert_eq!(answer, Answer { exit: 0, stdout, stderr: String::new() });
    assert_eq!(site.call(&["run", "good.yaml"]).exit, 0);
}

#[test]
fn unknown_key() {
    found("unknown-key", with("frequency: 5m", "frequenzy: 5m"));
}

#[test]
fn wrong_type() {
    found("wrong-type", with("used: 32MiB", "used: [ 32MiB ]"));
}

#[test]
fn wrong_unit() {
    found("wrong-unit", with("advance: 10m", "advance: 10 minutes"));
}

#[test]
fn duplicate_key() {
    found("duplicate-key", with("      host: HV1\n", "      host: HV1\n      host: HV2\n"));
}

#[test]
fn tab_indentation() {
    found("tab-indentation", with("  - advance: 10m", "\t- advance: 10m"));
}

#[test]
fn unknown_host() {
    found("unknown-host", with("replica: { host: HV2", "replica: { host: HV3"));
}

#[test]
fn unknown_machine() {
    found("unknown-machine", with("Stop-VM -Name web01", "Stop-VM -Name wbe01"));
}

#[test]
fn unknown_cmdlet() {
    found("unknown-cmdlet", with("Stop-VM ", "Halt-VM "));
}

#[test]
fn unknown_parameter() {
    found("unknown-parameter", with("-Prepare ", "-Prepared "));
}

#[test]
fn no_such_parameter_set() {
    found("no-such-parameter-set", with("-Prepare ", "-VMRecoverySnapshot HV2/web01@-1 "));
}

#[test]
fn unknown_method() {
    let step = "  - invoke: Msvm_ReplicationService.InitateFailback\n    host: HV1\n";
    found("unknown-method", with("  - advance: 10m\n", step));
}

#[test]
fn without_steps() {
    let (topology, _) = GOOD.split_once("steps:").expect("it has steps");
    found("without-steps", topology);
}

#[test]
fn empty_file() {
    found("empty-file", "");
}

#[test]
fn not_text() {
    found("not-text", [&b"scenario: "[..], &[0xff, 0xfe, 0x00], b"\n"].concat());
}

#[test]
fn missing_image() {
    found("missing-image", with("{ size: 8GiB, used: 32MiB }", "{ image: images/web01.vhdx }"));
}

#[test]
fn missing_file() {
    let site = Site::new();
    let run = refused(&site, "missing-file", &["run", "nowhere.yaml"], 2);
    assert_eq!(site.call(&["check", "nowhere.yaml"]), run);
}

#[test]
fn nearly_the_name_of_a_file() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("web01.raw", vec![7; 64 << 10]);
    refused(&site, "nearly-a-file", &["run", "god.yaml"], 2);
    refused(&site, "nearly-an-image", &["run", "good.yaml", "--disk", "web01=web1.raw"], 2);
}

#[test]
fn results_of_one_name() {
    let site = Site::new();
    std::fs::create_dir(site.path().join("other")).expect("it can be made");
    site.write("good.yaml", GOOD);
    site.write("other/good.yaml", GOOD);
    let files = ["run", "good.yaml", "other/good.yaml"];
    refused(&site, "results-of-one-name", &[&files[..], &["--events", "logs"]].concat(), 2);
    assert_eq!(site.call(&files).exit, 0, "nothing is left of them, so nothing is in the way");
}

#[test]
fn folder_for_a_file() {
    let site = Site::new();
    std::fs::create_dir(site.path().join("folder.yaml")).expect("it can be made");
    refused(&site, "folder-for-a-file", &["run", "folder.yaml"], 2);
}

#[test]
fn stamps_hold_no_images() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("web01.raw", vec![7; 64 << 10]);
    let args = ["run", "good.yaml", "--store", "stamps", "--disk", "web01=web01.raw"];
    refused(&site, "stamps-with-disk", &args, 2);
    refused(&site, "stamps-with-keep", &["run", "good.yaml", "--store", "stamps", "--keep"], 2);
    site.write("image.yaml", with("{ size: 8GiB, used: 32MiB }", "{ image: web01.raw }"));
    refused(&site, "stamps-with-image", &["run", "image.yaml", "--store", "stamps"], 2);
}

#[test]
fn disk_of_an_unknown_machine() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("web01.raw", vec![7; 64 << 10]);
    refused(&site, "disk-unknown-machine", &["run", "good.yaml", "--disk", "wep01=web01.raw"], 2);
    refused(&site, "disk-without-image", &["run", "good.yaml", "--disk", "web01"], 2);
    let twice = ["run", "good.yaml", "--disk", "web01=web01.raw", "--disk", "WEB01=web01.raw"];
    refused(&site, "disk-twice", &twice, 2);
}

#[test]
fn unknown_option() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    refused(&site, "unknown-option", &["run", "good.yaml", "--sed", "1"], 2);
    refused(&site, "unknown-store", &["run", "good.yaml", "--store", "image"], 2);
    refused(&site, "seed-no-number", &["run", "good.yaml", "--seed", "-1"], 2);
}

#[test]
fn the_worst_of_several_decides() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("wrong.yaml", with("Stop-VM ", "Halt-VM "));
    let answer = site.call(&["check", "wrong.yaml", "good.yaml"]);
    assert_eq!((answer.exit, answer.stdout.as_str()), (2, "good.yaml: ok, 2 steps\n"));
}

/// Root may write everywhere, so a file stands where the folder should be made.
#[test]
fn the_run_folder_cannot_be_made() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("hvrsim-run", "in the way");
    refused(&site, "run-folder-in-the-way", &["run", "good.yaml", "--store", "images"], 3);
}

#[test]
fn the_event_log_cannot_be_written() {
    let site = Site::new();
    site.write("good.yaml", GOOD);
    site.write("logs", "in the way");
    refused(&site, "events-in-the-way", &["run", "good.yaml", "--quiet", "--events", "logs/one.jsonl"], 3);
}
