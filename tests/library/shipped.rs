//! Every shipped scenario comes out as written, the same on both stores.

use std::fmt::Write;
use std::thread;

use hvrsim_scenario::run::Options;

use crate::golden;
use crate::scenarios::{Outcome, Shipped, on_images, on_stamps, shipped};

/// Of the scenarios of incidents only those that change disks in a way of their own run on images here: `cargo xtask ci
/// scenarios` runs all on both stores, as built for release.
const ON_DISKS: &[&str] = &[
    "disasters/boot-or-data-disk-excluded.yaml",
    "disasters/checkpoint-applied.yaml",
    "disasters/disk-added-and-not-replicated.yaml",
    "disasters/disk-edited-offline.yaml",
    "disasters/disk-resized-on-the-primary-only.yaml",
    "disasters/machine-removed.yaml",
    "disasters/media-too-late.yaml",
    "disasters/point-older-than-a-shrink.yaml",
    "disasters/replica-restored-from-backup.yaml",
    "disasters/resynchronization-with-other-sizes.yaml",
    "disasters/test-machine-migrated.yaml",
    "disasters/wrong-media-folder.yaml",
];

/// Runs a scenario on stamps, or on both stores; gives back what came out, or what is wrong.
fn carried_out(shipped: &Shipped) -> Result<Outcome, String> {
    if !shipped.name.starts_with("disasters/") || ON_DISKS.contains(&shipped.name.as_str()) {
        return on_both(shipped);
    }
    let options = Options { folder: shipped.folder(), ..Options::default() };
    let outcome = on_stamps(&shipped.load(), &options);
    if outcome.failures.is_empty() {
        Ok(outcome)
    } else {
        Err(format!("{} ended otherwise than it should:\n{}", shipped.name, outcome.failures))
    }
}

/// Runs a scenario on both stores and compares them; gives back what came out, or what is wrong.
fn on_both(shipped: &Shipped) -> Result<Outcome, String> {
    let scenario = shipped.load();
    let options = Options { folder: shipped.folder(), ..Options::default() };
    let images = on_images(&scenario, &options);
    let name = &shipped.name;
    if shipped.is_red() == images.failures.is_empty() {
        return Err(format!("{name} ended otherwise than it should:\n{}", images.failures));
    }
    // Stamps have no content, so they cannot hold a given image.
    if scenario.images().next().is_some() {
        return Ok(images);
    }
    let stamps = on_stamps(&scenario, &options);
    let pairs = stamps.events.iter().zip(&images.events);
    if let Some((one, other)) = pairs.into_iter().find(|(one, other)| one != other) {
        return Err(format!("{name}: the stores differ first in\n  stamps {one}\n  images {other}"));
    }
    if stamps.events.len() != images.events.len() {
        let counts = (stamps.events.len(), images.events.len());
        return Err(format!("{name}: {} records on stamps, {} on images", counts.0, counts.1));
    }
    if stamps.ended != images.ended {
        return Err(format!("{name}: the logs are equal, the ends differ"));
    }
    Ok(images)
}

#[test]
fn both_stores_give_the_recorded_digests() {
    let all = shipped();
    assert!(all.len() >= 8, "{} scenarios", all.len());
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = all.iter().map(|shipped| scope.spawn(|| carried_out(shipped))).collect();
        running.into_iter().map(|thread| thread.join().expect("no run panics")).collect()
    });
    let mut digests = String::new();
    let mut wrong = Vec::new();
    for (shipped, outcome) in all.iter().zip(outcomes) {
        match outcome {
            Ok(Outcome { ended, .. }) => {
                let _ = writeln!(digests, "{}  {:>6}  {}", ended.digest, ended.records, shipped.name);
            }
            Err(text) => wrong.push(text),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    golden::check("digests.txt", &digests);
}
