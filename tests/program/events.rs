//! The event log: JSON Lines with a header and a footer.

use serde_json::Value;

use super::Site;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

fn lines(site: &Site, name: &str) -> Vec<Value> {
    let text = String::from_utf8(site.read(name)).expect("it is text");
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

#[test]
fn has_header_records_and_footer() {
    let site = Site::with("failback.yaml");
    let answer = site.call(&["run", "failback.yaml", "--events", "log.jsonl"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let lines = lines(&site, "log.jsonl");
    let [header, records @ .., footer] = lines.as_slice() else { panic!("it has lines") };

    assert_eq!(
        keys(header),
        ["format", "hosts", "images", "included", "params", "placed", "scenario", "seed", "tool", "vms"]
    );
    let text = String::from_utf8(site.read("failback.yaml")).expect("it is text");
    assert_eq!(header["scenario"], Value::from(text), "the log holds the whole scenario");
    assert_eq!(header["seed"], 7);
    assert_eq!(header["hosts"], serde_json::json!(["HV1", "HV2"]));

    assert_eq!(keys(footer), ["digest", "end_ns", "failures", "lost", "records"]);
    assert_eq!(footer["records"], records.len());
    let digest = footer["digest"].as_str().expect("it is text");
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert!(answer.stdout.contains(&digest[..16]), "the closing line names the digest");

    let mut before = 0;
    for (number, record) in (0..).zip(records) {
        assert_eq!(record["seq"], Value::from(number), "{record}");
        let at = record["at_ns"].as_u64().expect("it is a time");
        assert!(at >= before, "time never goes back: {record}");
        before = at;
        assert!(record["what"].is_object(), "{record}");
    }
    assert!(footer["end_ns"].as_u64() >= Some(before));
}

#[test]
fn names_given_images_by_their_content() {
    let site = Site::with("failback.yaml");
    crate::images::make(site.path(), "web01.vhdx", "vhdx");
    let args = ["run", "failback.yaml", "--quiet", "--disk", "web01=web01.vhdx", "--events", "log.jsonl"];
    assert_eq!(site.call(&args).exit, 0);
    let hash = super::hash(&site.path().join("web01.vhdx")).to_hex();
    let log = String::from_utf8(site.read("log.jsonl")).expect("it is text");
    assert_eq!(lines(&site, "log.jsonl")[0]["images"], serde_json::json!([hash.as_str()]));
    assert!(!log.contains("web01.vhdx") && !log.contains("hvrsim-run"), "a log names no path");
}

#[test]
fn of_several_scenarios_stand_in_a_folder() {
    let site = Site::with("failback.yaml");
    site.add("failover/wrong-order.yaml");
    let answer = site.call(&["run", "failback.yaml", "wrong-order.yaml", "--events", "logs"]);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    for name in ["logs/failback.jsonl", "logs/wrong-order.jsonl"] {
        assert!(lines(&site, name).len() > 2, "{name}");
    }
}
