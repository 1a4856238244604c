//! Sweeps: shards, threads, schedulers' variables, and results put together.

use std::fs;

use serde_json::Value;

use super::{Answer, Site, answer};
use crate::root;

/// Two operators whose order the seed decides; one of the orders is red.
const RACE: &str = "\
scenario: Who is first
topology:
  hosts: { HV1: {}, HV2: {} }
  links: { HV1-HV2: {} }
  vms:
    web01: { host: HV1, disks: [ { size: 1GiB } ], replica: { host: HV2 } }
steps:
  - parallel:
      north: [ { host: HV1, run: Suspend-VMReplication -VMName web01 } ]
      south: [ { expect: [ { vm: web01, host: HV1, replication: Suspended } ] } ]
";

fn site() -> Site {
    let site = Site::new();
    site.write("race.yaml", RACE);
    site
}

fn merged(site: &Site, folder: &str) -> Answer {
    site.call(&["sweep", "merge", folder])
}

#[test]
fn any_number_of_shards_and_threads_gives_one_result() {
    let site = site();
    let sweep = ["sweep", "race.yaml", "--seeds", "0..24"];
    let whole = site.call(&[&sweep[..], &["--threads", "1", "--out", "one"]].concat());
    assert_eq!(whole.exit, 1, "{whole:?}");
    for shard in ["1/3", "3/3", "2/3", "3/3"] {
        let answer =
            site.call(&[&sweep[..], &["--threads", "3", "--shard", shard, "--out", "three"]].concat());
        assert!(answer.exit <= 1, "{answer:?}");
    }
    let (one, three) = (merged(&site, "one"), merged(&site, "three"));
    assert_eq!(one, three);
    assert_eq!(one.exit, 1);
    let first = one.stdout.lines().next().expect("it tells something");
    assert!(first.starts_with("24 runs with the seeds 0 to 23: "), "{first}");
    // The command that it names shows the failure.
    let command = one.stdout.lines().last().expect("it names a command");
    let words: Vec<&str> = command.strip_prefix("hvrsim ").expect("it is ours").split(' ').collect();
    let shown = site.call(&words);
    assert_eq!(shown.exit, 1, "{command}");
    assert!(shown.stderr.contains("Suspended"), "{}", shown.stderr);
}

#[test]
fn schedulers_say_which_shard_it_is() {
    let site = site();
    let sweep = ["sweep", "race.yaml", "--seeds", "0..4", "--out", "out"];
    for index in ["7", "8"] {
        let mut command = site.command(&sweep);
        command.envs([
            ("SLURM_ARRAY_TASK_ID", index),
            ("SLURM_ARRAY_TASK_MIN", "7"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
        ]);
        assert!(answer(&mut command).exit <= 1);
    }
    let gap = merged(&site, "out");
    assert_eq!(gap.exit, 2);
    assert!(gap.stderr.contains("1 cases of 4 are missing, the first is case 2"), "{}", gap.stderr);
    let mut command = site.command(&sweep);
    command.envs([("JOB_COMPLETION_INDEX", "2"), ("HVRSIM_SHARDS", "3")]);
    assert!(answer(&mut command).exit <= 1);
    assert!(merged(&site, "out").exit <= 1);
    let mut command = site.command(&sweep);
    let lacking = answer(command.env("JOB_COMPLETION_INDEX", "2"));
    assert_eq!(lacking.exit, 2);
    assert!(lacking.stderr.contains("set HVRSIM_SHARDS"), "{}", lacking.stderr);
}

#[test]
fn random_walks_are_swept_too() {
    let site = Site::new();
    let answer = site.call(&["sweep", "--walks", "--seeds", "0..6", "--out", "out"]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    let merged = merged(&site, "out");
    assert!(merged.stdout.starts_with("6 runs with the seeds 0 to 5: 0 failed"), "{merged:?}");
    let missing = site.call(&["sweep", "--walks", "--seeds", "0..6"]);
    assert_eq!(missing.exit, 2);
}

/// The manifest of the guide agrees with itself: as many shards as pods, an index for each, the program's own words.
#[test]
fn the_manifest_of_the_guide_is_an_indexed_job() {
    let page = fs::read_to_string(root().join("docs/guide/src/sweeps.md")).expect("it can be read");
    let (_, rest) = page.split_once("```yaml,example\n").expect("the page has a manifest");
    let (manifest, _) = rest.split_once("```").expect("the block ends");
    let job: Value = serde_saphyr::from_str(manifest).expect("it is YAML");
    assert_eq!((&job["apiVersion"], &job["kind"]), (&"batch/v1".into(), &"Job".into()));
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let shards = &container["env"][0];
    assert_eq!(shards["name"], "HVRSIM_SHARDS");
    assert_eq!(shards["value"], job["spec"]["completions"].to_string());
    for mount in container["volumeMounts"].as_array().expect("it is a list") {
        let volumes = pod["volumes"].as_array().expect("it is a list");
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
    let words: Vec<&str> =
        container["command"].as_array().expect("it is a list").iter().filter_map(Value::as_str).collect();
    let site = site();
    let command: Vec<&str> = words[1..]
        .iter()
        .map(|word| match *word {
            "/rehearsals" => "race.yaml",
            "/results" => "results",
            "0..1000000" => "0..32",
            word => word,
        })
        .collect();
    let mut command = site.command(&command);
    let answer = answer(command.env("JOB_COMPLETION_INDEX", "15").env("HVRSIM_SHARDS", "16"));
    assert!(answer.stdout.starts_with("shard 16 of 16: 2 runs"), "{answer:?}");
}

/// What walks have found keeps every claim, and an operator leads the machine back to protection.
#[test]
fn the_corpus_holds_every_claim() {
    let corpus = root().join("scenarios/corpus");
    let site = Site::new();
    let mut command = site.command(&["run", "--quiet", "--recover"]);
    let answer = answer(command.arg(corpus));
    assert_eq!(answer.exit, 0, "{}{}", answer.stdout, answer.stderr);
}
