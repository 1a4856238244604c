//! The loader on wrong input (golden messages), on any input (it never panics) and on the shipped scenarios.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hvrsim_scenario::check::Checked;
use hvrsim_scenario::model::step::{Action, Fault};
use hvrsim_scenario::model::value::PointRef;
use hvrsim_scenario::{Choices, Severity, Source, check};
use hvrsim_types::id::{HostId, JobId, VmId};
use hvrsim_types::size::Rate;
use hvrsim_types::state::Power;
use hvrsim_types::time::{Instant, Span};
use proptest::prelude::*;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every `.yaml` of a folder, in order of names.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// Every `.yaml` in the folders of a folder, in order of paths.
fn yaml_files_below(top: &Path) -> Vec<PathBuf> {
    let mut files = yaml_files(top);
    for entry in std::fs::read_dir(top).expect("it is there").map(|entry| entry.expect("it is there").path())
    {
        if entry.is_dir() {
            files.extend(yaml_files_below(&entry));
        }
    }
    files.sort();
    files
}

/// The shipped scenarios, without the parts that they include.
fn shipped() -> Vec<PathBuf> {
    let mut files = yaml_files_below(&folder("../../scenarios"));
    files.retain(|path| !path.starts_with(folder("../../scenarios/topologies")));
    files
}

fn read(path: &Path) -> Source {
    let name = path.file_name().expect("it is there").to_string_lossy().into_owned();
    Source::new(name, std::fs::read_to_string(path).expect("it is there"))
}

/// Files to include are found from one of the folders of the shipped scenarios.
fn checked(source: &Source) -> Checked {
    let include = |path: &str| {
        let file = folder("../../scenarios/basics").join(path);
        std::fs::read_to_string(file).map(|text| Source::new(path, text)).map_err(|error| error.to_string())
    };
    check(source, Choices { params: &BTreeMap::new(), include: &include })
}

fn shown(source: &Source) -> String {
    let diagnostics = checked(source).diagnostics;
    let messages: Vec<String> = diagnostics.iter().map(|d| d.render(false)).collect();
    messages.join("\n")
}

/// `HVRSIM_BLESS=1` writes the messages instead of comparing them.
#[test]
fn messages_are_as_recorded() {
    let bless = std::env::var_os("HVRSIM_BLESS").is_some();
    let files = yaml_files(&folder("tests/diagnostics"));
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let got = shown(&read(&path));
        let golden = path.with_extension("txt");
        if bless {
            std::fs::write(&golden, &got).expect("it is there");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push(format!("--- {}\n{got}", path.display()));
        }
        for word in ["Option", "struct", "serde", "enum", "Node", "granit"] {
            assert!(!got.contains(word), "{}: the message names `{word}`:\n{got}", path.display());
        }
    }
    assert!(wrong.is_empty(), "messages changed (HVRSIM_BLESS=1 records them):\n{}", wrong.join("\n"));
}

#[test]
fn shipped_scenarios_load_without_a_word() {
    let files = shipped();
    assert!(files.len() >= 8, "{} scenarios", files.len());
    for path in files {
        let source = read(&path);
        assert_eq!(shown(&source), "", "{}", path.display());
    }
}

#[test]
fn aliases_cannot_blow_up_a_file() {
    let mut wide = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    let mut deep = String::from("a0: &a0 x\n");
    for n in 1..200 {
        let last = n - 1;
        wide += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", "));
        deep += &format!("a{n}: &a{n} {}*a{last}{}\n", "[".repeat(40), "]".repeat(40));
    }
    let nested = "[".repeat(100_000);
    for text in [wide, deep, nested] {
        let shown = shown(&Source::new("bomb.yaml", text));
        assert!(shown.contains("that is no scenario"), "{shown}");
    }
}

#[test]
fn a_scenario_is_read_into_typed_values() {
    let source = read(&folder("../../scenarios/failback.yaml"));
    let scenario = checked(&source).scenarios.pop().expect("it has no errors");
    assert_eq!(scenario.seed, 7);
    let topology = &scenario.topology;
    assert_eq!(topology.links[0].ends, (HostId(0), HostId(1)));
    assert_eq!(topology.links[0].rate, Rate(2_500_000));
    assert_eq!(topology.host(HostId(0)).disk_rate, Some(Rate(400 << 20)));
    let vm = topology.vm(VmId(0));
    assert_eq!((vm.name.as_str(), vm.host.value, vm.power), ("web01", HostId(0), Power::Running));
    let Action::Run(run) = &scenario.steps[0].action else { panic!("the first step runs cmdlets") };
    let places: Vec<_> = run.lines.iter().map(|line| line.text.place.of(&source.text)).collect();
    assert_eq!(places, ["Stop-VM -Name web01", "Start-VMFailover -VMName web01 -Prepare -Confirm:$false"]);
    for step in &scenario.steps {
        assert_eq!(step.place.of(&source.text), step.action.word());
    }
}

#[test]
fn places_hold_with_windows_line_ends_and_a_byte_order_mark() {
    for path in shipped() {
        let text = read(&path).text.replace('\n', "\r\n");
        let source = Source::new("windows.yaml", format!("\u{feff}{text}"));
        let scenario = checked(&source).scenarios.pop().expect("it has no errors");
        for step in &scenario.steps {
            assert_eq!(step.place.of(&source.text), step.action.word());
            let Action::Run(run) = &step.action else { continue };
            for line in &run.lines {
                assert_eq!(line.text.place.of(&source.text), *line.text);
            }
        }
    }
}

#[test]
fn every_key_is_read() {
    let source = read(&folder("tests/every-key.yaml"));
    assert_eq!(shown(&source), "");
    let scenario = checked(&source).scenarios.pop().expect("it has no errors");
    assert_eq!(scenario.calendar.show(Instant::START), "2026-07-01 18:00:00");
    assert!(scenario.profile.failback_staged && !scenario.profile.failback_points);
    let images: Vec<_> = scenario.images().map(|image| image.value.as_str()).collect();
    assert_eq!(images, ["images/data.vhdx"]);
    let settings = &scenario.topology.vms[0].replica.as_ref().expect("it has a replica").settings;
    assert_eq!((settings.frequency.interval_s(), settings.recovery_history), (30, 24));
    assert_eq!(
        (settings.auto_resync_start, settings.auto_resync_end),
        (Span::minutes(1110), Span::minutes(360))
    );
    let cut = scenario.steps.iter().find_map(|step| match &step.action {
        Action::Fault(Fault::LinkCut { link, span }) => Some((link.value, *span)),
        _ => None,
    });
    assert_eq!(cut, Some(((HostId(0), HostId(1)), None)), "the ends stand as in the topology");
    let Action::Invoke(cancel) = &scenario.steps[1].action else { panic!("the second step is a call") };
    let values = cancel.values(|_| String::new(), |name| JobId(if name == "resync" { 7 } else { 0 }));
    assert_eq!(values["Job"], hvrsim_wmi::Value::Text("7".to_owned()));
    assert_eq!(values["RequestedState"], hvrsim_wmi::Value::Integer(4));
}

#[test]
fn a_marked_point_is_put_into_its_line() {
    let source = read(&folder("../../scenarios/failover/revert-and-choose-another-point.yaml"));
    let scenario = checked(&source).scenarios.pop().expect("it has no errors");
    let runs = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Run(run) => Some(&run.lines),
        _ => None,
    });
    let line = runs.flatten().find(|line| !line.points.is_empty()).expect("a line names a marked point");
    assert_eq!(line.points[0].point.place.of(&source.text), "HV2/files@clean");
    let marked = |point: &PointRef| format!("{:?}", point.which);
    let command = format!("{:?}", line.command_with(marked).tokens);
    assert!(command.contains(r#"Marked(\"clean\")"#), "{command}");
}

#[test]
fn a_wrong_value_from_a_matrix_shows_in_the_file_that_uses_it() {
    let text =
        read(&folder("../../scenarios/basics/loss-by-frequency.yaml")).text.replace("10Mbit", "1|0Mbit");
    let shown = shown(&Source::new("damaged.yaml", text));
    assert!(shown.contains("../topologies/two-sites.yaml:7:20: error: `1|0Mbit` is not a rate"), "{shown}");
    assert!(shown.contains("`${link}` is `1|0Mbit` here"), "{shown}");
}

/// One edit of a text: where (scaled to its length), how many characters go, what comes.
fn edits() -> impl Strategy<Value = Vec<(u32, usize, String)>> {
    let piece = prop_oneof![
        Just("\t".to_owned()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("{".to_owned()),
        Just("]".to_owned()),
        Just("|".to_owned()),
        Just("\"".to_owned()),
        Just("é".to_owned()),
        Just("@-0".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        "[ -~]{0,6}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec((any::<u32>(), 0usize..12, piece), 1..6)
}

fn edited(text: &str, edits: &[(u32, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, remove, insert) in edits {
        let at = *at as usize % (chars.len() + 1);
        let end = (at + remove).min(chars.len());
        chars.splice(at..end, insert.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,200}|[ \\t\\n:\\-{}\\[\\]a-c|>#&*!'\"]{0,120}") {
        shown(&Source::new("any.yaml", text));
    }

    #[test]
    fn a_damaged_scenario_gets_an_answer(which in any::<prop::sample::Index>(), edits in edits()) {
        let mut files = shipped();
        files.extend(yaml_files(&folder("tests/diagnostics")));
        let source = read(&files[which.index(files.len())]);
        let damaged = Source::new("damaged.yaml", edited(&source.text, &edits));
        let checked = checked(&damaged);
        // A wrong value that a file gives to what it includes shows in the included file.
        let included: Vec<String> = yaml_files(&folder("../../scenarios/topologies"))
            .iter()
            .map(|path| format!("../topologies/{}", path.file_name().expect("it is there").to_string_lossy()))
            .collect();
        prop_assert_eq!(checked.scenarios.is_empty(), checked.diagnostics.iter().any(|d| d.severity == Severity::Error));
        for diagnostic in checked.diagnostics {
            let shown = diagnostic.render(true);
            let named = shown.contains("damaged.yaml") || included.iter().any(|file| shown.contains(file));
            prop_assert!(named, "it names no file:\n{shown}");
        }
    }
}
