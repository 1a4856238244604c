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
