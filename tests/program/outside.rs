//! What other programs read of what `run` leaves.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{Site, answer};

/// Python with the pinned readers; `cargo xtask ci tools` makes it.
fn python() -> Command {
    let tools =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder").join("tools");
    Command::new(tools.join("python/bin/python"))
}

/// Tells what `junitparser` reads: totals, and each case with its results.
const READER: &str = "
import sys
from junitparser import JUnitXml
xml = JUnitXml.fromfile(sys.argv[1])
suites = list(xml)
print(sum(s.tests for s in suites), sum(s.failures for s in suites), sum(s.errors for s in suites), sum(s.skipped for s in suites))
assert (xml.tests, xml.failures, xml.errors) == tuple(sum(getattr(s, n) for s in suites) for n in ('tests', 'failures', 'errors'))
for suite in suites:
    cases = list(suite)
    assert suite.tests == len(cases) and suite.time is not None
    for case in cases:
        assert case.classname == suite.name and case.time is not None
        print(suite.name, '|', case.name, '|', ','.join(type(r).__name__ for r in case.result), '|', *(r.message for r in case.result))
";

/// What `xmllint` says of a file by the schema of JUnit results.
fn by_the_schema(file: &Path) -> super::Answer {
    let schema = crate::root().join("tests/data/junit.xsd");
    answer(Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(schema).arg(file))
}

#[test]
fn the_schema_of_junit_takes_results_of_every_kind() {
    let site = Site::new();
    let good = super::bad_input::GOOD;
    let matrix = "matrix: { frequency: [ 30s, 5m, 15m ] }\n";
    let red = "  - advance: 1m\n  - expect: [ { vm: web01, host: HV1, health: Warning } ]\n";
    let cells = good.replace("frequency: 5m", "frequency: \"${frequency}\"");
    site.write("a/good.yaml", good.replace("Bad input", "Good <b>input</b> & \\\"more\\\""));
    site.write("a/matrix.yaml", format!("{matrix}{cells}{red}"));
    site.write("a/wrong.yaml", good.replace("topology:", "topologie:"));
    for (name, args) in [
        ("all.xml", ["run", "a", "--threads", "1"].as_slice()),
        ("hurried.xml", &["run", "a", "--threads", "1", "--fail-fast"]),
        ("seeds.xml", &["run", "a/good.yaml", "--seeds", "0..4"]),
        ("one.xml", &["run", "a/good.yaml"]),
    ] {
        site.call(&[args, &["--junit", name]].concat());
        let read = by_the_schema(&site.path().join(name));
        assert_eq!(read.exit, 0, "{name}: {}", read.stderr);
    }
    let text = String::from_utf8(site.read("all.xml")).expect("it is text");
    assert!(text.contains("Good &lt;b&gt;input&lt;/b&gt; &amp; "), "{text}");
    assert!(text.contains("message=\"a/matrix.yaml:"), "the message is what went wrong: {text}");
    assert!(String::from_utf8(site.read("hurried.xml")).expect("it is text").contains("<skipped"));
    // The schema sees what is wrong.
    for (from, to) in [
        ("<testsuite name", "<testsuit name"),
        (" classname=\"a/good.yaml\"", ""),
        ("tests=\"", "tests=\"some "),
        (" type=\"not as written\"", ""),
        ("time=\"", "time=\"-"),
        ("<failure", "<failure level=\"1\""),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        site.write(
            "damaged.xml",
            text.replacen(from, to, 1).replace(
                "</testsuite>",
                if from.contains("suite ") { "</testsuit>" } else { "</testsuite>" },
            ),
        );
        assert_ne!(by_the_schema(&site.path().join("damaged.xml")).exit, 0, "{to} is taken by the schema");
    }
}

#[test]
fn a_public_reader_reads_the_results() {
    let site = Site::new();
    let good = super::bad_input::GOOD;
    site.write("a/good.yaml", good);
    site.write(
        "a/red.yaml",
        good.to_owned() + "  - advance: 1m\n  - expect: [ { vm: web01, host: HV1, health: Warning } ]\n",
    );
    site.write("a/wrong.yaml", good.replace("topology:", "topologie:"));
    let told = site.call(&["run", "a", "--threads", "1", "--junit", "results.xml"]);
    assert_eq!(told.exit, 2, "{}", told.stderr);
    let read = answer(python().args(["-c", READER]).arg(site.path().join("results.xml")));
    assert_eq!(read.exit, 0, "{}", read.stderr);
    let lines: Vec<&str> = read.stdout.lines().collect();
    assert_eq!(lines[0], "3 1 1 0", "{}", read.stdout);
    let results: BTreeSet<(&str, &str)> = lines[1..]
        .iter()
        .map(|line| {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            (parts[0], parts[2])
        })
        .collect();
    assert_eq!(
        results,
        BTreeSet::from([("a/good.yaml", ""), ("a/red.yaml", "Failure"), ("a/wrong.yaml", "Error")])
    );
    assert!(
        read.stdout.contains("a/red.yaml:") && read.stdout.contains("expected Warning"),
        "{}",
        read.stdout
    );
}
