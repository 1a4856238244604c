//! The HTML report, in a browser.

use std::fs;
use std::path::PathBuf;

use hvrsim_types::state::{Mode, ReplicationState};
use serde_json::Value;

use super::Site;
use super::chromium::Browser;

/// Every panel by its id.
const PANELS: &[&str] = &[
    "verdict",
    "timeline",
    "steps",
    "objectives",
    "loss",
    "jobs",
    "coverage",
    "resync",
    "source",
    "sign-off",
];

/// Where pictures are kept for those who look at them after a run of the tests.
fn pictures() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its file");
    let target = test.ancestors().nth(3).expect("a test stands in target/PROFILE/deps");
    let folder = target.join("report-pictures");
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

fn site_with_report(scenario: &str) -> Site {
    let site = Site::with(scenario);
    let file = scenario.rsplit('/').next().expect("it has a name");
    let answer = site.call(&["run", file, "--quiet", "--report", "report.html"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    site
}

fn is_quiet(browser: &Browser) {
    assert_eq!(browser.complaints, Vec::<String>::new(), "the console is empty");
    let outside: Vec<&String> = browser
        .requests
        .iter()
        .filter(|url| !url.starts_with("file://") && !url.starts_with("data:"))
        .collect();
    assert_eq!(outside, Vec::<&String>::new(), "nothing is asked of the network");
    let files = browser.requests.iter().filter(|url| url.starts_with("file://")).count();
    assert_eq!(files, 1, "there is one file: {:?}", browser.requests);
}

#[test]
fn opens_quietly_with_every_panel_and_a_click_shows_before_and_after() {
    let site = site_with_report("failback.yaml");
    let mut browser = Browser::new();
    browser.look(1400, 900, "light");
    browser.open(&site.path().join("report.html"));
    for panel in PANELS {
        assert!(!browser.text(&format!("#{panel}")).is_empty(), "{panel} is there");
    }
    assert!(browser.text(".stamp").contains("GREEN"));
    // An outage that had not ended was left out, and 0.105 s stood there.
    let facts = browser.text(".facts");
    assert!(facts.contains("15m, and not back"), "{facts}");
    assert_eq!(browser.text("#command"), "hvrsim run failback.yaml --seed 7");
    for (selector, least) in [
        (".lane.host", 2),
        (".lane.copy", 2),
        (".lane.copy .s-back", 1),
        (".lane.faults .s-fault", 1),
        (".lane.jobs .job", 9),
        (".lane.flows path", 4),
        (".lane.ages path", 2),
        (".point", 3),
        (".heat .map", 2),
        (".heat .f-r", 1),
        (".loss tbody tr", 1),
        ("#sign-off input", 4),
    ] {
        let found = browser.eval(&format!("document.querySelectorAll({selector:?}).length"));
        assert!(found.as_u64() >= Some(least), "{selector}: {found}");
    }

    let commit = "Array.from(document.querySelectorAll('.step > a')).find(a => \
                  a.innerText.includes('Complete-VMFailover')).setAttribute('id', 'commit')";
    browser.eval(commit);
    browser.click("#commit");
    let shown = browser.text(".detail.open");
    for part in ["Complete-VMFailover", "SOURCE, LINE 116", "STATE BEFORE AND AFTER", "RULES", "FB-130"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let state = |browser: &mut Browser, when: &str| {
        browser.text(&format!(".detail.open tr.changed td.{when} .state"))
    };
    assert_eq!(state(&mut browser, "before"), "Replica FailbackComplete");
    assert_eq!(state(&mut browser, "after"), "Replica FailedOver");
    let here = browser.text(".detail.open .source .here");
    assert!(here.contains("116") && here.contains("run: |"), "{here}");
    let address = browser.eval("location.hash");
    assert_eq!(address, browser.eval("document.querySelector('#commit').hash"), "the address names the step");

    browser.key("ArrowDown");
    assert!(browser.text(".detail.open h3").starts_with("25. "), "a key goes on to the next step");
    browser.key("ArrowUp");
    assert!(browser.text(".detail.open h3").starts_with("24. "));

    let wide = "document.querySelector('.lane.copy .s-prep').getBoundingClientRect().width";
    let by_step = browser.eval(wide).as_f64();
    browser.click("#by-time");
    assert_ne!(browser.eval(wide).as_f64(), by_step, "the other scale moves what is drawn");
    assert_eq!(browser.text("[aria-pressed=true]"), "true to time");
    is_quiet(&browser);
}

#[test]
fn fits_every_screen_in_light_and_dark() {
    let site = site_with_report("failback.yaml");
    let mut browser = Browser::new();
    let mut pages = Vec::new();
    for width in [360, 800, 1920] {
        for scheme in ["light", "dark"] {
            browser.look(width, 900, scheme);
            browser.open(&site.path().join("report.html"));
            let wide = browser.eval("document.documentElement.scrollWidth");
            assert!(wide.as_u64() <= Some(u64::from(width)), "{width}: {wide} wide");
            let small = browser.eval(
                "Array.from(document.querySelectorAll('button, .step > a, input[type=text]')).filter(e => \
                 e.getBoundingClientRect().height < 24).length",
            );
            assert_eq!(small, 0, "{width}: everything can be hit with a finger");
            let ground = browser.eval("getComputedStyle(document.body).backgroundColor");
            pages.push((scheme, ground));
            let picture = browser.picture();
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{width} {scheme}");
            fs::write(pictures().join(format!("failback-{width}-{scheme}.png")), picture)
                .expect("it can be written");
            is_quiet(&browser);
        }
    }
    assert_ne!(pages[0].1, pages[1].1, "light and dark differ");
}

#[test]
fn is_printed_with_every_step_open() {
    let site = site_with_report("failover/unplanned-failover.yaml");
    let mut browser = Browser::new();
    browser.open(&site.path().join("report.html"));
    assert!(browser.print().starts_with(b"%PDF-"));
    browser.ask("Emulation.setEmulatedMedia", &serde_json::json!({ "media": "print" }));
    let hidden = "Array.from(document.querySelectorAll('.detail')).filter(d => d.offsetHeight === 0).length";
    assert_eq!(browser.eval(hidden), 0);
    let shown = browser.eval("document.querySelectorAll('.detail').length");
    assert!(shown.as_u64() > Some(8), "{shown}");
    is_quiet(&browser);
}

#[test]
fn a_red_run_names_the_line_and_what_was_not_reached() {
    let site = Site::new();
    site.write("red.yaml", RED);
    let answer = site.call(&["run", "red.yaml", "--quiet", "--events", "log.jsonl", "--report", "run.html"]);
    assert_eq!(answer.exit, 1, "{}", answer.stderr);
    assert_eq!(site.call(&["report", "log.jsonl", "-o", "log.html"]).exit, 0);
    let page = |name: &str| String::from_utf8(site.read(name)).expect("it is text");
    let without_command = |page: String| {
        let (before, rest) = page.split_once("id=\"command\">").expect("it has a command");
        let (_, after) = rest.split_once("</code>").expect("it ends");
        format!("{before}{after}")
    };
    let (run, log) = (without_command(page("run.html")), without_command(page("log.html")));
    assert_eq!(run, log, "the log alone gives the same page");

    let mut browser = Browser::new();
    browser.open(&site.path().join("log.html"));
    assert!(browser.text(".stamp").contains("RED"));
    assert!(browser.text(".failure").contains("line 21"), "{}", browser.text(".failure"));
    assert!(browser.text(".step.missed").contains("not reached"));
    assert!(browser.text(".detail.open h3").starts_with("6. "), "the page opens at what went wrong");
    let objectives = browser.text("#objectives");
    for part in ["RTO of step 5", "30m", "met", "RPO of web01", "10m"] {
        assert!(objectives.contains(part), "{part} in\n{objectives}");
    }
    let loss = browser.text("#loss");
    for part in ["orders", "16 MiB", "the newest content", "chosen", "+02:01:26.752"] {
        assert!(loss.contains(part), "{part} in\n{loss}");
    }
    is_quiet(&browser);
}

/// Once the header added up the records, and a loss that two of them tell of was counted twice.
#[test]
fn the_header_counts_each_lost_write_once() {
    let site = Site::with("failback/failback-after-disaster.yaml");
    let args = ["run", "failback-after-disaster.yaml", "-q", "--events", "log.jsonl", "--report", "run.html"];
    assert_eq!(site.call(&args).exit, 0);
    let log = String::from_utf8(site.read("log.jsonl")).expect("it is text");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let told: Vec<u64> = lines.iter().filter_map(|line| line["what"]["Lost"][0]["bytes"].as_u64()).collect();
    assert_eq!(told, [32 << 20, 32 << 20], "at the failover, and when the old primary gives up its role");
    let footer = lines.last().expect("it has lines");
    assert_eq!(footer["lost"]["web01"].as_array().map(Vec::len), Some(1), "{footer}");
    assert_eq!(footer["lost"]["web01"][0]["bytes"], 32 << 20);

    let mut browser = Browser::new();
    browser.open(&site.path().join("run.html"));
    let facts = browser.text(".facts");
    assert!(facts.to_lowercase().contains("lost at the end\n32 mib"), "{facts}");
    let lost = browser.text("#lost-at-the-end");
    assert!(lost.starts_with("web01: `last-orders`: 1 write, 32 MiB"), "{lost}");
}

#[test]
fn what_no_screen_can_show_is_thinned_and_told() {
    let site = Site::new();
    site.write("many.yaml", MANY);
    let args = ["run", "many.yaml", "--quiet", "--report", "report.html"];
    let answer = site.call(&[args.as_slice(), &["--param", "times=40"]].concat());
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let records =
        |line: &str| line.split(", ").find_map(|part| part.strip_suffix(" records")?.parse::<usize>().ok());
    let small = records(&answer.stdout).expect("it tells its records");
    assert!((5_000..8_000).contains(&small), "{}", answer.stdout);
    let bytes = site.read("report.html").len();
    assert!(bytes < 2_000_000, "{bytes} bytes for {small} records");

    let answer = site.call(&args);
    assert!(records(&answer.stdout) > Some(90_000), "{}", answer.stdout);
    let mut browser = Browser::new();
    browser.open(&site.path().join("report.html"));
    assert!(browser.text("#thinned").contains("The event log holds everything"));
    assert!(browser.text("#thinned").contains("steps in the middle"));
    is_quiet(&browser);
}

/// The ways between states that a log tells of, each once, with the rule and how often it was gone.
fn ways(log: &str) -> Vec<(String, String, String)> {
    let mut ways: Vec<(String, String, String, u32)> = Vec::new();
    for line in log.lines() {
        let record: Value = serde_json::from_str(line).expect("it is JSON");
        let taken = &record["what"]["Note"]["Rule"];
        let Some(rule) = taken["rule"].as_str() else { continue };
        let state = |side: &str| {
            let (mode, state): (Mode, ReplicationState) =
                serde_json::from_value(taken[side].clone()).expect("it is a state");
            if mode == Mode::None {
                return "not replicated".to_owned();
            }
            format!("{mode} {}", state.powershell(mode))
        };
        let (from, to) = (state("before"), state("after"));
        match ways.iter_mut().find(|way| (&way.0, &way.1) == (&from, &to)) {
            _ if from == to => {}
            Some(way) => way.3 += 1,
            None => ways.push((from, to, rule.to_owned(), 1)),
        }
    }
    let label = |rule: String, count: u32| if count > 1 { format!("{rule} ×{count}") } else { rule };
    ways.into_iter().map(|(from, to, rule, count)| (from, to, label(rule, count))).collect()
}

#[test]
fn the_state_diagram_has_the_visited_path() {
    let site = Site::with("failover/planned-failover.yaml");
    let answer = site.call(&["run", "planned-failover.yaml", "-q", "--events", "log.jsonl", "--coverage"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let log = String::from_utf8(site.read("log.jsonl")).expect("it is text");
    let ways = ways(&log);
    assert!(ways.len() > 8, "{ways:?}");
    for name in ["path.mmd", "path.svg"] {
        let made = site.call(&["report", "log.jsonl", "-o", name]);
        assert_eq!((made.exit, made.stderr.as_str()), (0, ""), "{name}");
    }
    let mermaid = String::from_utf8(site.read("path.mmd")).expect("it is text");
    assert!(mermaid.starts_with("stateDiagram-v2\n"), "{mermaid}");
    let names: std::collections::BTreeMap<&str, &str> = mermaid
        .lines()
        .filter_map(|line| line.trim().strip_prefix("state \"")?.split_once("\" as "))
        .map(|(name, id)| (id, name))
        .collect();
    let drawn: Vec<(String, String, String)> = mermaid
        .lines()
        .filter_map(|line| {
            let (ends, label) = line.split_once(" : ")?;
            let (from, to) = ends.trim().split_once(" --> ")?;
            let rules = label.split_once(". ")?.1;
            Some((names[from].to_owned(), names[to].to_owned(), rules.to_owned()))
        })
        .collect();
    assert_eq!(drawn, ways, "every way once, in the order in which it was first gone");

    let read =
        super::answer(std::process::Command::new("xmllint").arg("--noout").arg(site.path().join("path.svg")));
    assert_eq!(read.exit, 0, "it is XML: {}", read.stderr);
    let drawing = String::from_utf8(site.read("path.svg")).expect("it is text");
    for (from, to, rule) in &ways {
        let rule = rule.split(' ').next().unwrap_or_default();
        for part in [from, to, rule] {
            assert!(drawing.contains(part), "{part} in {drawing}");
        }
    }

    let rules: std::collections::BTreeSet<&str> = log
        .lines()
        .filter_map(|line| Some(line.split_once("{\"Rule\":{\"rule\":\"")?.1.split_once('"')?.0))
        .collect();
    let told = answer.stdout.lines().find_map(|line| line.strip_prefix("coverage: ")).expect("it is counted");
    let (count, _) = told.split_once(" of ").expect("it is so many of so many");
    assert!(count.parse::<usize>().is_ok_and(|count| count >= rules.len()), "{told}, {rules:?}");

    let other = site.call(&["report", "log.jsonl", "-o", "path.pdf"]);
    assert_eq!(other.exit, 2, "an unknown form is refused");
    assert!(!site.path().join("path.pdf").exists(), "{}", other.stderr);
}

#[test]
fn replication_is_measured_as_the_cmdlet_does() {
    let site = Site::with("failover/planned-failover.yaml");
    let answer = site.call(&["run", "planned-failover.yaml", "--measure"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    for host in ["HV1", "HV2"] {
        let (_, table) =
            answer.stdout.split_once(&format!("{host}> Measure-VMReplication\n")).expect("it is asked");
        let lines: Vec<&str> = table.lines().collect();
        let heads =
            ["VMName", "State", "Health", "LReplTime", "PReplSize(M)", "AvgLatency", "AvgReplSize(M)"];
        assert!(heads.iter().all(|head| lines[0].contains(head)), "{table}");
        assert!(lines[2].split_whitespace().nth(1) == Some("Replicating"), "{table}");
    }
}

const RED: &str = "scenario: Orders <b>lost</b> & found
topology:
  hosts: { HV1: { site: north }, HV2: { site: south } }
  links: { HV1-HV2: { rate: 100Mbit, latency: 5ms } }
  vms:
    web01:
      host: HV1
      disks: [ { size: 40GiB, used: 1GiB } ]
      replica: { host: HV2, frequency: 5m, recovery-points: 3 }
never:
  - rpo: \"> 10m\"
steps:
  - advance: 2h10m
  - write: { vm: web01, offset: 2GiB, bytes: 16MiB, tag: orders }
  - advance: 2m
  - fault: { host: HV1, power: lost }
  - host: HV2
    within: 30m
    run: Start-VMFailover -VMName web01 -Confirm:$false
  - expect:
      - { lost: { tag: orders, bytes: 0B }, vm: web01 }
  - note: nobody comes here
";

/// A run of many events; the benchmark of the report makes its log of the same.
const MANY: &str = include_str!("../data/many-events.yaml");
