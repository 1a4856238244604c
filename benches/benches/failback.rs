//! The shipped failback scenario, from its text to its end, on both stores.

use std::path::Path;

use criterion::Criterion;
use hvrsim_scenario::run::{Options, run};
use hvrsim_scenario::{Scenario, Source, load};
use hvrsim_sim::store::{DiskStore, Images, Stamps};

fn green<D: DiskStore>(text: &str, store: impl FnOnce(&Scenario) -> D) -> u64 {
    let scenario = load(&Source::new("failback.yaml", text)).expect("the scenario is right");
    let store = store(&scenario);
    let (ended, _) = run(&scenario, &Options::default(), store, &mut ()).expect("the store works");
    assert!(ended.failures.is_empty(), "the scenario is green");
    ended.records
}

fn images(scenario: &Scenario, folder: &Path) -> Images {
    let hosts: Vec<String> = scenario.topology.hosts.iter().map(|host| host.name.value.clone()).collect();
    let vms: Vec<String> = scenario.topology.vms.iter().map(|vm| vm.name.value.clone()).collect();
    Images::new(folder.to_owned(), &hosts, &vms, scenario.seed).expect("a run folder")
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/failback.yaml");
    let text = std::fs::read_to_string(path).expect("the shipped scenario");
    let mut group = criterion.benchmark_group("failback");
    group.bench_function("stamps", |bench| {
        bench.iter(|| green(&text, |_| Stamps::new()));
    });
    group.sample_size(10);
    group.bench_function("images", |bench| {
        bench.iter(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            green(&text, |scenario| images(scenario, folder.path()))
        });
    });
    group.finish();
    criterion.final_summary();
}
