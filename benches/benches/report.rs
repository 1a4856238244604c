//! The HTML report of a run with 100,000 events.

use std::collections::BTreeMap;

use criterion::{Criterion, Throughput};
use hvrsim_report::events::{FORMAT, Footer, Header, Log, Placed};
use hvrsim_report::html::{About, page};
use hvrsim_scenario::run::{Observer, Options, run};
use hvrsim_scenario::{Source, check::load};
use hvrsim_sim::Look;
use hvrsim_sim::store::Stamps;
use hvrsim_sim::trace::Record;
use hvrsim_types::id::HostId;
use hvrsim_types::state::Power;
use hvrsim_types::time::Instant;

/// Cycles of half a minute over days, and a link that fails every half an hour.
const SCENARIO: &str = include_str!("../../tests/data/many-events.yaml");
/// So many of the records make the log.
const EVENTS: usize = 100_000;

struct Collector(Vec<Record>);

impl Observer for Collector {
    fn records(&mut self, _: &dyn Look, records: &[Record], _: Instant) {
        self.0.extend_from_slice(records);
    }
}

fn log() -> Log {
    let scenario = load(&Source::new("many.yaml", SCENARIO)).expect("the scenario is sound");
    let mut collector = Collector(Vec::new());
    let (ended, _) = run(&scenario, &Options::default(), Stamps::default(), &mut collector)
        .expect("the workload comes to its end");
    let mut records = collector.0;
    assert!(records.len() >= EVENTS, "{} events", records.len());
    records.truncate(EVENTS);
    let header = Header {
        format: FORMAT,
        tool: String::new(),
        scenario: SCENARIO.to_owned(),
        included: Vec::new(),
        params: BTreeMap::new(),
        seed: 0,
        hosts: vec!["HV1".to_owned(), "HV2".to_owned()],
        vms: vec!["web01".to_owned()],
        placed: vec![Placed { host: HostId(0), power: Power::Running }],
        images: Vec::new(),
    };
    let end_ns = records.last().map_or(0, |last| last.at.0);
    let failures = Vec::new();
    Log {
        header,
        records,
        footer: Footer { records: 100_000, end_ns, digest: ended.digest, failures, lost: BTreeMap::new() },
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (log, about) = (log(), About::default());
    let mut group = criterion.benchmark_group("report");
    group.sample_size(10).throughput(Throughput::Elements(100_000));
    group.bench_function("HTML of 100,000 events", |bench| bench.iter(|| page(&log, &about).len()));
    group.finish();
    criterion.final_summary();
}
