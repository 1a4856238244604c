//! The guide: its pages hang together, each example is carried out, and everything that the schema knows has one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use hvrsim_scenario::schema;
use serde_json::Value;

use super::Site;
use crate::root;

fn folder() -> PathBuf {
    root().join("docs/guide/src")
}

/// The pages that the summary names, in order.
fn pages() -> Vec<String> {
    let summary = fs::read_to_string(folder().join("SUMMARY.md")).expect("it can be read");
    links(&summary)
}

/// Where links of a page lead to.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A fenced block of a page.
struct Block {
    /// Where: page and line.
    place: String,
    language: String,
    /// The words after the language.
    words: Vec<String>,
    text: String,
}

impl Block {
    fn is(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// How calls of this block end.
    fn exit(&self) -> i32 {
        if self.is("red") {
            1
        } else if self.is("wrong") {
            2
        } else {
            0
        }
    }
}

fn blocks(name: &str) -> Vec<Block> {
    blocks_of(name, &page(name))
}

fn blocks_of(name: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split(',').map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let place = format!("{name}:{number}");
                open = Some(Block { place, language, words: words.collect(), text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a block does not end");
    found
}

/// Steps as they stand in the world of their page.
fn in_world(world: &str, steps: &str) -> String {
    format!("{world}steps:\n{steps}")
}

/// The whole scenario that an example is; `None` if it is something else.
fn scenario(block: &Block, world: Option<&str>) -> Option<String> {
    if block.language != "yaml" || ["world", "example", "github", "gitlab"].iter().any(|word| block.is(word))
    {
        return None;
    }
    if block.text.starts_with("- ") {
        let world = world.unwrap_or_else(|| panic!("{}: no world stands in front of it", block.place));
        return Some(in_world(world, &block.text));
    }
    block.text.lines().any(|line| line.starts_with("scenario:")).then(|| block.text.clone())
}

/// The blocks of a page with the scenarios that they are.
fn examples(name: &str) -> Vec<(Block, Option<String>)> {
    let mut world = None;
    let mut found = Vec::new();
    for block in blocks(name) {
        let example = scenario(&block, world.as_deref());
        if block.is("world") {
            world = Some(block.text.clone());
        }
        found.push((block, example));
    }
    found
}

#[test]
fn the_summary_has_every_page_and_links_lead_somewhere() {
    let pages = pages();
    assert!(pages.len() >= 7, "{pages:?}");
    let named: BTreeSet<&str> = pages.iter().map(String::as_str).chain(["SUMMARY.md"]).collect();
    for entry in fs::read_dir(folder()).expect("it can be listed") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("it is text");
        assert!(named.contains(name.as_str()), "the summary lacks {name}");
    }
    for name in &pages {
        for link in links(&page(name)).iter().filter(|link| !link.starts_with("https://")) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let text = page(if file.is_empty() { name } else { file });
            let title = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            let there = |line: &str| line.starts_with('#') && title(line) == part;
            assert!(part.is_empty() || text.lines().any(there), "{name}: {link} leads nowhere");
        }
    }
    let book = fs::read_to_string(root().join("docs/guide/book.toml")).expect("it can be read");
    assert!(book.contains("src = \"src\""), "{book}");
}

/// The calls of a block, each with the lines that must be said.
fn calls(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut calls: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), calls.last_mut()) {
            (Some(call), _) => calls.push((call, Vec::new())),
            (None, Some((_, said))) => said.push(line.trim()),
            (None, None) => panic!("`{line}` stands in front of the first call"),
        }
    }
    calls
}

fn called(site: &Site, call: &str) -> super::Answer {
    let mut words = call.split_whitespace();
    assert_eq!(words.next(), Some("hvrsim"), "{call}");
    site.call(&words.collect::<Vec<_>>())
}

fn console(site: &Site, block: &Block) {
    if let Some(lesson) = block.value("lesson") {
        site.add(&format!("lessons/{lesson}/broken.yaml"));
        site.add(&format!("lessons/{lesson}/fixed.yaml"));
    }
    for (call, expected) in calls(&block.text) {
        let answer = called(site, call);
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert_eq!(answer.exit, block.exit(), "{}: {call}: {said}", block.place);
        for line in expected {
            assert!(said.contains(line), "{}: {call} does not say `{line}`:\n{said}", block.place);
        }
    }
}

/// Calls of the program in a service's file, and the files that it is to keep.
fn service(site: &Site, block: &Block) {
    fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => found.extend(text.lines()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(map) => map.values().for_each(|item| texts(item, found)),
            _ => {}
        }
    }
    let read: Value = serde_saphyr::from_str(&block.text).expect("it is YAML");
    let mut found = Vec::new();
    texts(&read, &mut found);
    let calls: Vec<&&str> = found.iter().filter(|text| text.starts_with("hvrsim ")).collect();
    assert!(!calls.is_empty(), "{}: the program is not called", block.place);
    let _ = fs::remove_dir_all(site.path().join("results"));
    for call in calls {
        let answer = called(site, call);
        assert_eq!(answer.exit, 0, "{}: {call}: {}", block.place, answer.stderr);
    }
    for kept in found.iter().filter(|text| text.starts_with("results")) {
        assert!(site.path().join(kept).exists(), "{}: there is no {kept}", block.place);
    }
    assert!(block.text.contains("--junit results/"), "{}", block.place);
}

#[test]
fn every_example_comes_out_as_the_page_says() {
    let mut count = 0;
    for name in pages() {
        let site = Site::new();
        for (block, example) in examples(&name) {
            count += 1;
            assert!(!block.language.is_empty(), "{}: the block has no language", block.place);
            if let Some(file) = block.value("file") {
                site.write(file, &block.text);
            } else if block.language == "console" {
                console(&site, &block);
            } else if block.is("github") || block.is("gitlab") {
                service(&site, &block);
            } else if let Some(text) = example {
                site.write("example.yaml", &text);
                let store = if block.is("images") { "images" } else { "stamps" };
                let answer = site.call(&["run", "example.yaml", "--quiet", "--store", store]);
                assert_eq!(answer.exit, block.exit(), "{}: {}", block.place, answer.stderr);
            } else {
                assert!(block.is("world") || block.is("example"), "{}: what is it?", block.place);
            }
        }
    }
    assert!(count > 50, "{count} examples");
}

/// Marks every key of a value that a schema knows, by the schema's part that it belongs to.
fn mark(all: &Value, part: &Value, name: &str, value: &Value, used: &mut BTreeSet<(String, String)>) {
    if let Some(reference) = part["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return mark(all, &all["definitions"][name], name, value, used);
    }
    for choices in ["anyOf", "oneOf", "allOf"] {
        part[choices].as_array().into_iter().flatten().for_each(|one| mark(all, one, name, value, used));
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let own = &part["properties"][key];
                if !own.is_null() {
                    used.insert((name.to_owned(), key.clone()));
                    mark(all, own, name, inner, used);
                } else if part["additionalProperties"].is_object() {
                    mark(all, &part["additionalProperties"], name, inner, used);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| mark(all, &part["items"], name, item, used)),
        _ => {}
    }
}

#[test]
fn everything_that_the_schema_knows_has_an_example() {
    let all: Value = serde_json::from_str(&schema::scenario()).expect("it is JSON");
    let validator = jsonschema::validator_for(&all).expect("it is a schema");
    let mut used = BTreeSet::new();
    for name in pages() {
        for (block, example) in examples(&name) {
            let Some(text) = example else { continue };
            let value: Value = serde_saphyr::from_str(&text).expect("it is YAML");
            if !block.is("wrong") && block.value("file") != Some("wrong.yaml") {
                assert!(validator.is_valid(&value), "{}: the schema refuses it", block.place);
            }
            mark(&all, &all, "", &value, &mut used);
        }
    }
    let mut known: BTreeMap<&str, &Value> = BTreeMap::from([("", &all)]);
    known.extend(all["definitions"].as_object().expect("it has parts").iter().map(|(n, p)| (n.as_str(), p)));
    let mut lacks = Vec::new();
    for (name, part) in known {
        let keys = part["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
        lacks.extend(keys.map(|key| (name.to_owned(), key)).filter(|pair| !used.contains(pair)));
    }
    assert!(lacks.is_empty(), "the guide has no example of {lacks:?}");
    assert!(used.len() > 100, "{}", used.len());
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_first_scenario_of_the_readme_ends_as_it_says() {
    let readme = read("README.md");
    let blocks = blocks_of("README.md", &readme);
    let at = blocks.iter().position(|block| block.language == "yaml").expect("it has a scenario");
    let (scenario, shown) = (&blocks[at].text, &blocks[at + 1].text);
    let site = Site::new();
    site.write("first.yaml", scenario);
    let answer = site.call(&["run", "first.yaml", "--quiet"]);
    assert_eq!((answer.exit, answer.stderr.as_str()), (1, shown.as_str()), "the message is the shown one");
    for (from, to) in [("bytes: 0B", "bytes: 16MiB"), ("advance: 2m", "advance: 10m")] {
        assert!(scenario.contains(from), "{from}");
        site.write("first.yaml", scenario.replace(from, to));
        assert_eq!(site.call(&["run", "first.yaml", "--quiet"]).exit, 0, "{to} makes it green");
    }
}

#[test]
fn the_reference_of_the_format_has_no_wrong_example() {
    let head = "scenario: x\ntopology:\n  hosts: { HV1: {}, HV2: {} }\n  links: { HV1-HV2: {} }\n  vms:\n    web01: { \
                host: HV1, disks: [ { size: 40GiB }, { size: 1GiB } ], replica: { host: HV2 } }\nsteps:\n";
    let site = Site::new();
    let blocks = blocks_of("scenarios.md", &read("docs/scenarios.md"));
    let examples: Vec<&Block> = blocks.iter().filter(|block| block.language == "yaml").collect();
    assert!(examples.len() >= 9, "{}", examples.len());
    for block in examples {
        let text = match block.text.split_whitespace().next() {
            Some("-") => format!("{head}{}", block.text),
            Some("topology:") => format!("scenario: x\n{}steps: [ {{ note: x }} ]\n", block.text),
            _ => block.text.clone(),
        };
        site.write("example.yaml", text);
        let answer = site.call(&["check", "example.yaml"]);
        assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{}", block.place);
    }
}
