//! The engine between real images.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its numbers are small")]

use std::path::Path;

use hvrsim_disk::{CreateOptions, Image, Seed, create};
use hvrsim_resync::{Candidates, ImageBlocks, Options, Position, local};

const SIZE: u64 = (33 << 20) + 1536;

fn image(path: &Path, raw: bool, writes: &[(u64, u8, usize)]) -> Box<dyn Image> {
    let options = if raw { CreateOptions::raw(SIZE) } else { CreateOptions::vhdx(SIZE, Seed::new([1; 32])) };
    let mut image = create(path, &options).unwrap();
    for (offset, value, len) in writes {
        image.write_at(*offset, &vec![*value; *len]).unwrap();
    }
    image
}

#[test]
fn two_images_become_equal_from_any_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let a = image(
        &folder.path().join("a.vhdx"),
        false,
        &[(0, 1, 70_000), (17 << 20, 2, 5000), (SIZE - 600, 3, 600)],
    );
    let b = image(
        &folder.path().join("b.raw"),
        true,
        &[(0, 1, 60_000), (8 << 20, 9, 4096), (17 << 20, 2, 5000), (32 << 20, 4, 100_000)],
    );
    let options = || Options { candidates: Candidates::Everything, full: false };
    let source = ImageBlocks::new(vec![a], [7; 32]).unwrap();
    let mut target = ImageBlocks::new(vec![b], [7; 32]).unwrap();
    let mut seen = Vec::new();
    let done = local::run(&source, &mut target, options(), Position::default(), |progress| {
        seen.push(progress.position);
    });
    // Cells 14 to 17 of the first block and its neighbour, and the last, cut cell.
    assert_eq!(done.unwrap().counts.sent_bytes, 5 * 4096);
    assert!(seen.is_sorted() && seen.last().is_some_and(|last| last.disk == 1));
    let again = local::run(&source, &mut target, options(), Position::default(), |_| {}).unwrap();
    assert_eq!(again.counts.sent_bytes, 0);
    let rest = local::run(&source, &mut target, options(), Position { disk: 0, region: 1 }, |_| {}).unwrap();
    assert!(rest.counts.compared_bytes < again.counts.compared_bytes);

    let content = |blocks: ImageBlocks| {
        let mut out = vec![0; usize::try_from(SIZE).unwrap()];
        for image in blocks.into_images() {
            image.read_at(0, &mut out).unwrap();
            image.close().unwrap();
        }
        out
    };
    assert!(content(source) == content(target));
}
