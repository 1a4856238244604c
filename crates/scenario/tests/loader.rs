//! The loader on wrong input (golden messages), on any input (it never panics) and on the shipped scenarios.

use std::path::{Path, PathBuf};

use hvrsim_scenario::methods::{CallProblem, Methods};
use hvrsim_scenario::model::value::{Method, Parameter};
use hvrsim_scenario::{At, Severity, Source, check};
use hvrsim_types::near::nearest;
use proptest::prelude::*;

/// Knows a few methods: enough to see where their problems are shown.
struct Few;

const METHODS: &[&str] = &[
    "CommitFailover",
    "InitiateFailback",
    "InitiateFailover",
    "RequestReplicationStateChange",
    "RequestStateChange",
    "ReverseReplicationRelationship",
    "RevertFailover",
];

impl Methods for Few {
    fn check(&self, method: &Method, with: &[At<Parameter>]) -> Vec<CallProblem> {
        let mut problems = Vec::new();
        if !METHODS.contains(&method.name.as_str()) {
            let message = format!("{} has no method `{}`", method.class, method.name);
            let near = nearest(&method.name, METHODS.iter().copied());
            let help = near.map(|near| format!("did you mean `{near}`?"));
            problems.push(CallProblem { parameter: None, message, help });
        }
        for parameter in with.iter().filter(|parameter| parameter.name.starts_with(char::is_lowercase)) {
            let message = format!("`{}` is not a parameter of {}", parameter.name, method.name);
            problems.push(CallProblem { parameter: Some(parameter.name.clone()), message, help: None });
        }
        problems
    }
}

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

fn read(path: &Path) -> Source {
    let name = path.file_name().expect("it is there").to_string_lossy().into_owned();
    Source::new(name, std::fs::read_to_string(path).expect("it is there"))
}

fn shown(source: &Source) -> String {
    let diagnostics = check(source, &Few).diagnostics;
    let messages: Vec<String> = diagnostics.iter().map(|d| d.render(&source.text, false)).collect();
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
    let files = yaml_files(&folder("../../scenarios"));
    assert!(files.len() >= 8, "{} scenarios", files.len());
    for path in files {
        let source = read(&path);
        assert_eq!(shown(&source), "", "{}", path.display());
    }
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
        let mut files = yaml_files(&folder("../../scenarios"));
        files.extend(yaml_files(&folder("tests/diagnostics")));
        let source = read(&files[which.index(files.len())]);
        let damaged = Source::new("damaged.yaml", edited(&source.text, &edits));
        let checked = check(&damaged, &Few);
        prop_assert_eq!(checked.scenario.is_none(), checked.diagnostics.iter().any(|d| d.severity == Severity::Error));
        for diagnostic in checked.diagnostics {
            prop_assert!(diagnostic.render(&damaged.text, true).contains("damaged.yaml"));
        }
    }
}
