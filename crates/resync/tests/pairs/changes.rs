//! Which blocks changed, as logs and differencing images tell it.

use std::collections::BTreeSet;
use std::path::Path;

use hvrsim_disk::file::MemFs;
use hvrsim_disk::hrl::{HrlOptions, HrlReader, HrlWriter};
use hvrsim_disk::{ChildOptions, CreateOptions, Guid, Seed, create_child_in, create_in};
use hvrsim_resync::{Candidates, Changes};
use proptest::prelude::*;

use crate::support::{BLOCK, SIZE};

fn blocks(changes: &Changes) -> BTreeSet<u64> {
    changes.iter().flat_map(|(_, run)| run.start..run.end()).collect()
}

/// Offsets and lengths in sectors.
fn writes() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..SIZE / 512 - 300, prop_oneof![1..4u64, 100..300u64]), 0..12)
}

fn touched(writes: &[(u64, u64)]) -> BTreeSet<u64> {
    let bytes = writes.iter().flat_map(|(at, len)| (at * 512..(at + len) * 512).step_by(512));
    bytes.map(|byte| byte / BLOCK).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_log_names_the_blocks_written(writes in writes()) {
        let fs = MemFs::new();
        let options = HrlOptions {
            unique_id: Guid::from_bytes([1; 16]),
            previous_id: Guid::nil(),
            data_write_guid: Guid::nil(),
            created: 0,
        };
        let mut log = HrlWriter::create_in(&fs, Path::new("/log"), &options).unwrap();
        for (at, len) in &writes {
            log.append(at * 512, &vec![7; *len as usize * 512], 0).unwrap();
        }
        log.close(0).unwrap();
        let mut changes = Changes::default();
        changes.add_log(0, &HrlReader::open_in(&fs, Path::new("/log")).unwrap()).unwrap();
        prop_assert_eq!(blocks(&changes), touched(&writes));
        prop_assert_eq!(changes.is_empty(), writes.is_empty());
    }

    /// From its block table and sector bitmaps, whatever the content is: what is written equal is named, too.
    #[test]
    fn a_differencing_image_names_the_blocks_it_holds(below in writes(), above in writes()) {
        let fs = MemFs::new();
        let options = CreateOptions::vhdx(SIZE, Seed::new([1; 32])).block_size(1 << 20);
        let mut parent = create_in(&fs, Path::new("/p.vhdx"), &options).unwrap();
        for (at, len) in &below {
            parent.write_at(at * 512, &vec![7; *len as usize * 512]).unwrap();
        }
        parent.close().unwrap();
        let options = ChildOptions::new(Seed::new([2; 32]));
        let mut child = create_child_in(&fs, Path::new("/p.vhdx"), Path::new("/c.avhdx"), &options).unwrap();
        for (at, len) in &above {
            child.write_at(at * 512, &vec![7; *len as usize * 512]).unwrap();
        }
        let mut changes = Changes::default();
        changes.add_child(0, &*child).unwrap();
        prop_assert_eq!(blocks(&changes), touched(&above));
        let Candidates::Tracked(tracked) = changes.candidates() else {
            return Err(TestCaseError::fail("tracked blocks"));
        };
        prop_assert_eq!(tracked.values().flatten().flat_map(|run| run.start..run.end()).collect::<BTreeSet<_>>(), touched(&above));
    }
}
