//! The same scenario and seed give the same run; another seed gives another.

use hvrsim_scenario::run::Options;

use crate::scenarios::{on_stamps, shipped};

#[test]
fn twice_in_one_process() {
    for shipped in shipped().iter().filter(|shipped| shipped.load().images().next().is_none()) {
        let scenario = shipped.load();
        let [one, other] = [(); 2].map(|()| on_stamps(&scenario, &Options::default()));
        assert_eq!(one.events, other.events, "{}", shipped.name);
        assert_eq!(one.ended, other.ended, "{}", shipped.name);
    }
}

#[test]
fn the_seed_decides_what_a_guest_writes() {
    let all = shipped();
    let shipped = all.iter().find(|shipped| shipped.name == "failback.yaml").expect("it is shipped");
    let scenario = shipped.load();
    let with = |seed| on_stamps(&scenario, &Options { seed: Some(seed), ..Options::default() });
    let (seven, eight) = (with(scenario.seed), with(scenario.seed + 1));
    assert_eq!(seven.ended.digest, on_stamps(&scenario, &Options::default()).ended.digest);
    assert_ne!(seven.ended.digest, eight.ended.digest);
    assert_eq!(eight.failures, "", "the scenario holds with any seed");
}
