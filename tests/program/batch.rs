//! Many runs: matrix, seeds, folders, filters, results; goldens, replay, diff, new.

use super::Site;
use super::bad_input::GOOD;
use crate::golden;

const MATRIX: &str =
    "params: { wait: 10m }\nmatrix: { frequency: [ 30s, 5m, 15m ], power: [ lost, shut-down ] }\n";

/// A matrix of six runs, of which the steps decide the colour.
fn matrix(steps: &str) -> String {
    let (head, _) = GOOD.split_once("steps:\n").expect("it has steps");
    let head = head.replace("frequency: 5m", "frequency: \"${frequency}\"");
    format!(
        "{MATRIX}{head}steps:\n  - advance: \"${{wait}}\"\n  - fault: {{ host: HV1, power: \"${{power}}\" }}\n{steps}"
    )
}

#[test]
fn a_matrix_runs_in_order_on_any_number_of_threads() {
    let site = Site::new();
    site.write("m.yaml", matrix(""));
    let one = site.call(&["run", "m.yaml", "--threads", "1"]);
    assert_eq!(one.exit, 0, "{}", one.stderr);
    golden::check("batch/matrix.txt", &one.stdout);
    assert_eq!(site.call(&["run", "m.yaml", "--threads", "4"]), one);
    let seeds = site.call(&["run", "m.yaml", "--seeds", "3..5", "--threads", "3"]);
    assert_eq!(seeds.stdout.lines().count(), 13, "{}", seeds.stdout);
    assert!(seeds.stdout.ends_with("12 runs: 12 green, 0 not\n"), "{}", seeds.stdout);
}

#[test]
fn params_and_filters_choose() {
    let site = Site::new();
    site.write("m.yaml", matrix(""));
    let lines = |args: &[&str]| {
        let answer = site.call(&[&["run", "m.yaml"], args].concat());
        assert_eq!(answer.exit, 0, "{}", answer.stderr);
        answer.stdout.lines().filter(|line| line.starts_with("green")).count()
    };
    assert_eq!(lines(&["--param", "frequency=30s"]), 2);
    assert_eq!(lines(&["--filter", "power=lost"]), 3);
    assert_eq!(lines(&["--filter", "FREQUENCY=5m"]), 2);
    let unknown = site.call(&["run", "m.yaml", "--param", "frequenzy=30s"]);
    assert_eq!(unknown.exit, 2);
    assert!(unknown.stderr.contains("did you mean `frequency`?"), "{}", unknown.stderr);
    let nothing = site.call(&["run", "m.yaml", "--filter", "nowhere"]);
    assert_eq!(
        (nothing.exit, nothing.stderr.as_str()),
        (2, "error: --filter nowhere leaves nothing to run\n")
    );
}

#[test]
fn the_first_red_one_ends_a_hurried_run() {
    let site = Site::new();
    let red = "  - advance: 1m\n  - expect: [ { vm: web01, host: HV1, health: Warning } ]\n";
    site.write("m.yaml", matrix(red));
    let all = site.call(&["run", "m.yaml", "--threads", "1"]);
    let hurried = site.call(&["run", "m.yaml", "--threads", "1", "--fail-fast", "--junit", "out/j.xml"]);
    assert_eq!((all.exit, hurried.exit), (1, 1));
    assert!(all.stdout.lines().count() > hurried.stdout.lines().count(), "{}", hurried.stdout);
    assert!(hurried.stdout.contains("not begun"), "{}", hurried.stdout);
    assert!(all.stderr.contains("m.yaml [frequency=30s, power=lost]:\n"), "the run is named: {}", all.stderr);
    let junit = String::from_utf8(site.read("out/j.xml")).expect("it is text");
    for part in [
        "<testsuites name=\"hvrsim\" tests=\"6\"",
        "<testsuite name=\"m.yaml\"",
        "<failure ",
        "<skipped",
        "classname=\"m.yaml\"",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
}

#[test]
fn a_folder_stands_for_its_scenarios() {
    let site = Site::new();
    std::fs::create_dir_all(site.path().join("all/deep")).expect("it can be made");
    site.write("all/b.yaml", GOOD);
    site.write("all/deep/a.yaml", GOOD);
    site.write("all/part.yaml", "hosts: { HV1: {} }\n");
    let answer = site.call(&["run", "all"]);
    let names: Vec<&str> = answer.stdout.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    assert_eq!((answer.exit, names), (0, vec!["all/b.yaml", "all/deep/a.yaml"]));
    assert_eq!(
        site.call(&["check", "all"]).stdout,
        "all/b.yaml: ok, 2 steps\nall/deep/a.yaml: ok, 2 steps\n"
    );
}

#[test]
fn a_golden_is_recorded_and_compared() {
    let site = Site::new();
    let text = format!("golden: good.golden\n{GOOD}");
    site.write("good.yaml", &text);
    let args = ["run", "good.yaml", "--quiet"];
    let without = site.call(&args);
    assert_eq!(without.exit, 1);
    assert!(without.stderr.contains("`--bless` records it"), "{}", without.stderr);
    assert_eq!(site.call(&["run", "good.yaml", "--quiet", "--bless"]).exit, 0);
    assert_eq!(site.call(&args).exit, 0);
    // Comments and blank lines move the steps; what happens stays.
    site.write("good.yaml", format!("# A word more.\n\n{text}"));
    assert_eq!(site.call(&args).exit, 0);
    // Another seed or parameter is another run.
    assert_eq!(site.call(&["run", "good.yaml", "--quiet", "--seed", "5"]).exit, 0);
    site.write("good.yaml", text.replace("Stop-VM -Name web01", "Stop-VM -Name web01 -TurnOff"));
    let other = site.call(&args);
    assert_eq!(other.exit, 1);
    golden::check("batch/golden-differs.txt", &other.stderr);
    assert!(other.stderr.contains("@@ good.yaml:"), "the step's line is named: {}", other.stderr);
}

#[test]
fn shipped_timelines_are_as_recorded() {
    let site = Site::new();
    let mut named = 0;
    for scenario in crate::scenarios::shipped() {
        if scenario.text().lines().any(|line| line.starts_with("golden:")) {
            named += 1;
            let path = scenario.path().to_str().expect("it is text");
            let answer = site.call(&["run", "-q", path]);
            assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{}", scenario.name);
        }
    }
    assert!(named >= 1, "none names a golden");
}

#[test]
fn a_log_is_replayed_to_its_first_difference() {
    let site = Site::new();
    site.write("m.yaml", matrix(""));
    let answer = site.call(&["run", "m.yaml", "--events", "logs", "--seeds", "4..5"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let log = "logs/m-15m-shut-down-s4.jsonl";
    std::fs::remove_file(site.path().join("m.yaml")).expect("it is there");
    let same = site.call(&["replay", log]);
    assert_eq!(same.exit, 0, "{}{}", same.stdout, same.stderr);
    assert!(same.stdout.starts_with("the same: "), "{}", same.stdout);
    let text = String::from_utf8(site.read(log)).expect("it is text");
    let line = text.lines().position(|line| line.contains("Delivered")).expect("a cycle was delivered");
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(
            |(number, text)| {
                if number == line { text.replace("\"at_ns\":", "\"at_ns\":1") } else { text.to_owned() }
            },
        )
        .collect();
    site.write("changed.jsonl", format!("{}\n", changed.join("\n")));
    let other = site.call(&["replay", "changed.jsonl"]);
    assert_eq!(other.exit, 1, "{}", other.stderr);
    assert!(
        other.stdout.contains(&format!("the first difference is in line {}:", line + 1)),
        "{}",
        other.stdout
    );
    site.write("cut.jsonl", &text[..text.len() / 2]);
    let cut = site.call(&["replay", "cut.jsonl"]);
    assert_eq!((cut.exit, cut.stdout.as_str()), (2, ""), "{}", cut.stderr);
}

#[test]
fn two_runs_stand_side_by_side() {
    let site = Site::new();
    site.write("a.yaml", GOOD);
    site.write("b.yaml", GOOD.replace("Stop-VM -Name web01", "Stop-VM -Name web01 -TurnOff"));
    let same = site.call(&["diff", "a.yaml", "a.yaml"]);
    assert_eq!(same.exit, 0, "{}", same.stderr);
    let other = site.call(&["diff", "a.yaml", "b.yaml", "--width", "60"]);
    assert_eq!(other.exit, 1, "{}", other.stderr);
    golden::check("batch/diff.txt", &other.stdout);
}

#[test]
fn a_trace_has_what_readers_require() {
    let site = Site::with("failback.yaml");
    let answer = site.call(&["run", "failback.yaml", "--quiet", "--trace", "trace.json"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let trace: serde_json::Value = serde_json::from_slice(&site.read("trace.json")).expect("it is JSON");
    let events = trace["traceEvents"].as_array().expect("it has events");
    let mut open = std::collections::BTreeMap::new();
    for event in events {
        let phase = event["ph"].as_str().expect("every event has a phase");
        assert!(event["name"].is_string() && event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        assert!(event["ts"].is_u64(), "{event}");
        match phase {
            "M" => assert!(event["args"]["name"].is_string(), "{event}"),
            "X" => assert!(event["dur"].is_u64(), "{event}"),
            "i" => assert!(["p", "t"].contains(&event["s"].as_str().expect("it has a scope")), "{event}"),
            "b" => *open.entry(event["id"].to_string()).or_insert(0) += 1,
            "e" => *open.entry(event["id"].to_string()).or_insert(0) -= 1,
            other => panic!("phase {other} is not expected"),
        }
    }
    assert!(open.len() > 3 && open.values().all(|count| *count == 0), "every job begins and ends: {open:?}");
    let steps = events.iter().filter(|event| event["pid"] == 0 && event["ph"] == "X").count();
    assert!(steps > 20, "{steps} steps");
}

#[test]
fn a_new_scenario_runs() {
    let site = Site::new();
    let made = site.call(&["new", "my-first"]);
    assert_eq!(
        (made.exit, made.stdout.as_str()),
        (0, "my-first.yaml is written; `hvrsim run my-first.yaml` runs it\n")
    );
    let run = site.call(&["run", "my-first.yaml", "-q"]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let again = site.call(&["new", "my-first"]);
    assert_eq!(again.exit, 2, "nothing is overwritten");
    assert_eq!(site.read("scenario.schema.json"), site.call(&["schema"]).stdout.into_bytes());
}
