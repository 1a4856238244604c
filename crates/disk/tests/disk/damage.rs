//! Files that contradict the format, a test for each rule.

use hvrsim_disk::{ErrorKind, Guid};

use crate::support::{BAT, HEADERS, LOG, METADATA, MIB, REGIONS, Victim, intact};

const FULL: u64 = 6;
const PARTIAL: u64 = 7;

#[test]
fn one_header_is_enough() {
    for header in HEADERS {
        let victim = Victim::new();
        victim.put(header, &[0; 4096]);
        assert_eq!(victim.firsts(), intact());
        victim.open_writable().unwrap().close().unwrap();
    }
}

#[test]
fn no_valid_header_is_corrupt() {
    let victim = Victim::new();
    for header in HEADERS {
        victim.put(header + 100, &[1]);
    }
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn the_newer_header_counts_whichever_place_it_has() {
    for (newer, older) in [(HEADERS[0], HEADERS[1]), (HEADERS[1], HEADERS[0])] {
        let victim = Victim::new();
        victim.patch(newer, 4096, 8, &1000_u64.to_le_bytes());
        // A version that would be refused stands in the older one.
        victim.patch(older, 4096, 66, &[9]);
        assert_eq!(victim.firsts(), intact());
    }
}

#[test]
fn equal_headers_are_accepted_when_they_are_the_same_bytes() {
    let victim = Victim::new();
    let bytes = victim.get(HEADERS[0], 4096);
    victim.put(HEADERS[1], &bytes);
    assert_eq!(victim.firsts(), intact());
    victim.patch(HEADERS[1], 4096, 16, &[1; 16]);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn another_version_is_unsupported() {
    let victim = Victim::new();
    victim.patch_headers(66, &[2, 0]);
    assert_eq!(victim.refused(), ErrorKind::Unsupported);
}

#[test]
fn another_log_version_matters_only_with_a_log_to_replay() {
    let victim = Victim::new();
    victim.patch_headers(64, &[1, 0]);
    assert_eq!(victim.firsts(), intact());
    victim.patch_headers(48, &[7; 16]);
    assert_eq!(victim.refused(), ErrorKind::Unsupported);
}

#[test]
fn a_log_between_mebibytes_or_in_the_header_section_is_corrupt() {
    for (at, bytes) in
        [(68, 4096_u64.to_le_bytes()), (72, (MIB + 4096).to_le_bytes()), (72, 0_u64.to_le_bytes())]
    {
        let victim = Victim::new();
        let len = if at == 68 { 4 } else { 8 };
        victim.patch_headers(at, &bytes[..len]);
        assert_eq!(victim.refused(), ErrorKind::Corrupt);
    }
}

#[test]
fn region_table_2_stands_in_for_table_1() {
    let victim = Victim::new();
    victim.put(REGIONS[0], &[0; 65_536]);
    assert_eq!(victim.firsts(), intact());
    victim.put(REGIONS[1] + 5000, &[1]);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn unknown_regions_are_refused_when_required_and_kept_when_not() {
    for (required, refused) in [(1_u32, true), (0, false)] {
        let victim = Victim::new();
        let mut entry = Guid::from_u128(5).to_bytes_le().to_vec();
        entry.extend((7 * MIB).to_le_bytes());
        entry.extend(u32::try_from(MIB).unwrap().to_le_bytes());
        entry.extend(required.to_le_bytes());
        victim.patch_regions(80, &entry);
        victim.patch_regions(8, &3_u32.to_le_bytes());
        victim.file.set_len(8 * MIB).unwrap();
        victim.put(7 * MIB, &[0x55; 4096]);
        if refused {
            assert_eq!(victim.refused(), ErrorKind::Unsupported);
        } else {
            let mut image = victim.open_writable().unwrap();
            for block in 5..12 {
                image.write_at(block * MIB, &[1; 512]).unwrap();
            }
            image.close().unwrap();
            assert_eq!(victim.get(7 * MIB, 4096), [0x55; 4096], "the unknown region was used");
        }
    }
}

#[test]
fn regions_need_not_be_marked_required() {
    let victim = Victim::new();
    victim.patch_regions(44, &[0]);
    victim.patch_regions(76, &[0]);
    assert_eq!(victim.firsts(), intact());
}

#[test]
fn region_tables_that_cannot_be_are_corrupt() {
    for (at, bytes, what) in [
        (8, 2048_u32.to_le_bytes().to_vec(), "too many entries"),
        (8, 1_u32.to_le_bytes().to_vec(), "no metadata region"),
        (32, (BAT + 4096).to_le_bytes().to_vec(), "a BAT between mebibytes"),
        (32, LOG.to_le_bytes().to_vec(), "a BAT on the log"),
        (32, 0_u64.to_le_bytes().to_vec(), "a BAT on the headers"),
        (40, 0_u32.to_le_bytes().to_vec(), "a BAT of no length"),
    ] {
        let victim = Victim::new();
        victim.patch_regions(at, &bytes);
        assert_eq!(victim.refused(), ErrorKind::Corrupt, "{what}");
    }
    let victim = Victim::new();
    let bat = victim.get(REGIONS[0] + 16, 32);
    victim.patch_regions(80, &bat);
    victim.patch_regions(8, &3_u32.to_le_bytes());
    assert_eq!(victim.refused(), ErrorKind::Corrupt, "a region twice");
}

#[test]
fn a_region_past_the_end_is_truncated() {
    let victim = Victim::new();
    victim.patch_regions(32, &(100 * MIB).to_le_bytes());
    assert_eq!(victim.refused(), ErrorKind::Truncated);
}

/// Metadata table entries stand at 32 + 32 n: file parameters, size, id, logical, physical; items from 64 KiB
/// on.
#[test]
fn metadata_that_cannot_be_is_corrupt() {
    for (at, bytes, what) in [
        (0, b"metadatA".to_vec(), "signature"),
        (10, 4_u16.to_le_bytes().to_vec(), "a missing item"),
        (10, 2048_u16.to_le_bytes().to_vec(), "too many entries"),
        (48, 4096_u32.to_le_bytes().to_vec(), "an item in the table"),
        (48, u32::try_from(MIB).unwrap().to_le_bytes().to_vec(), "an item past the region"),
        (52, 0_u32.to_le_bytes().to_vec(), "an item of no length"),
        (52, 7_u32.to_le_bytes().to_vec(), "an item of another length"),
        (65_536, (3 * MIB).to_le_bytes()[..4].to_vec(), "a block size that is no power of two"),
        (65_536, (512 * MIB).to_le_bytes()[..4].to_vec(), "a block size of 512 MiB"),
        (65_536 + 8, 1000_u64.to_le_bytes().to_vec(), "a size between sectors"),
        (65_536 + 8, 0_u64.to_le_bytes().to_vec(), "a size of 0"),
        (65_536 + 8, ((64_u64 << 40) + 512).to_le_bytes().to_vec(), "a size over 64 TiB"),
        (65_536 + 32, 520_u32.to_le_bytes().to_vec(), "a sector of 520 bytes"),
        (65_536 + 4, vec![2], "a parent without a locator"),
    ] {
        let victim = Victim::new();
        victim.put(METADATA + at, &bytes);
        assert_eq!(victim.refused(), ErrorKind::Corrupt, "{what}");
    }
    let victim = Victim::new();
    let item = victim.get(METADATA + 32, 32);
    victim.put(METADATA + 32 * 6, &item);
    victim.put(METADATA + 10, &[6]);
    assert_eq!(victim.refused(), ErrorKind::Corrupt, "an item twice");
}

#[test]
fn unknown_items_are_refused_when_required_only() {
    for (flags, refused) in [(4_u32, true), (5, true), (0, false), (1, false), (2, false)] {
        let victim = Victim::new();
        let mut entry = victim.get(METADATA + 32, 32);
        entry[..16].copy_from_slice(&[9; 16]);
        entry[24..28].copy_from_slice(&flags.to_le_bytes());
        victim.put(METADATA + 32 * 6, &entry);
        victim.put(METADATA + 10, &[6]);
        if refused {
            assert_eq!(victim.refused(), ErrorKind::Unsupported, "flags {flags}");
        } else {
            assert_eq!(victim.firsts(), intact(), "flags {flags}");
        }
    }
}

#[test]
fn a_bat_too_small_for_the_disk_is_corrupt() {
    let victim = Victim::new();
    victim.put(METADATA + 65_536 + 8, &(1_u64 << 40).to_le_bytes());
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn bat_states_that_cannot_be_are_corrupt() {
    for (entry, what) in [
        (4, "reserved state 4"),
        (5, "reserved state 5"),
        ((7 * MIB) | PARTIAL, "partially present without a parent"),
        ((6 * MIB) | FULL | 8, "a reserved bit"),
    ] {
        let victim = Victim::new();
        victim.file.set_len(8 * MIB).unwrap();
        victim.put_bat(4, entry);
        assert_eq!(victim.refused(), ErrorKind::Corrupt, "{what}");
    }
}

#[test]
fn blocks_that_overlap_anything_are_corrupt() {
    for (place, what) in
        [(4 * MIB, "another block"), (LOG, "the log"), (METADATA, "metadata"), (BAT, "BAT"), (0, "headers")]
    {
        let victim = Victim::new();
        victim.put_bat(9, place | FULL);
        assert_eq!(victim.refused(), ErrorKind::Corrupt, "{what}");
    }
}

#[test]
fn blocks_past_the_end_are_truncated() {
    for place in [6 * MIB, 500 * MIB, u64::MAX / MIB * MIB] {
        let victim = Victim::new();
        victim.put_bat(9, place | FULL);
        assert_eq!(victim.refused(), ErrorKind::Truncated);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let len = Victim::new().file.len().unwrap();
    for cut in (0..len).step_by(300_000).chain([len - 1]) {
        let victim = Victim::new();
        victim.file.set_len(cut).unwrap();
        let kind = victim.open().expect_err("a cut file must be refused").kind();
        assert!(matches!(kind, ErrorKind::Truncated | ErrorKind::Corrupt), "{cut}: {kind:?}");
    }
}

#[test]
fn a_last_block_cut_behind_the_disk_is_read_and_made_whole_by_writing() {
    let victim = Victim::new();
    // 15.5 MiB of disk; its last block ends with the file in the middle.
    victim.put(METADATA + 65_536 + 8, &(31 * MIB / 2).to_le_bytes());
    victim.put_bat(15, (6 * MIB) | FULL);
    victim.file.set_len(6 * MIB + MIB / 2).unwrap();
    let mut image = victim.open_writable().unwrap();
    image.write_at(31 * MIB / 2 - 512, &[7; 512]).unwrap();
    image.close().unwrap();
    assert_eq!(victim.file.len().unwrap(), 7 * MIB);
    assert_eq!(victim.firsts()[..15], intact()[..15]);
}

#[test]
fn given_up_blocks_read_as_zeros_whatever_their_state_and_anchor() {
    for entry in [1, 2, 3, (6 * MIB) | 1, (6 * MIB) | 2, (6 * MIB) | 3] {
        let victim = Victim::new();
        victim.put(6 * MIB, &vec![0xEE; 1 << 20]);
        victim.put_bat(4, entry);
        assert_eq!(victim.firsts(), intact(), "entry {entry:#x}");
        let mut image = victim.open_writable().unwrap();
        image.write_at(4 * MIB + 512, &[7; 512]).unwrap();
        image.close().unwrap();
        let image = victim.open().unwrap();
        let mut block = vec![0; 2048];
        image.read_at(4 * MIB, &mut block).unwrap();
        assert!(block[..512] == [0; 512] && block[512..1024] == [7; 512] && block[1024..] == [0; 1024]);
    }
}

/// The space of an anchor is given back when its block is written. It may be somebody else's by then, or not
/// be there at all.
#[test]
fn an_anchor_takes_nothing_from_others() {
    for anchor in [5 * MIB, 2 * MIB, 100 * MIB, 1 << 60] {
        let victim = Victim::new();
        victim.put_bat(4, anchor | 3);
        let mut image = victim.open_writable().unwrap();
        for block in 4..8 {
            image.write_at(block * MIB, &[7; 512]).unwrap();
            image.flush().unwrap();
        }
        image.close().unwrap();
        let mut want = intact();
        want[4..8].fill(7);
        assert_eq!(victim.firsts(), want, "anchor at {anchor:#x}");
        assert_eq!(victim.file.len().unwrap(), 10 * MIB, "anchor at {anchor:#x}");
    }
}

#[test]
fn opening_for_writing_without_writing_changes_nothing() {
    let victim = Victim::new();
    let before = victim.all_bytes();
    let mut image = victim.open_writable().unwrap();
    image.flush().unwrap();
    image.close().unwrap();
    assert!(victim.all_bytes() == before);
}

#[test]
fn a_session_brings_new_guids_once_and_leaves_no_log() {
    let victim = Victim::new();
    let before = victim.open().unwrap().data_write_guid().unwrap();
    let mut image = victim.open_writable().unwrap();
    assert_eq!(image.data_write_guid(), Some(before));
    image.write_at(0, &[1]).unwrap();
    let during = image.data_write_guid().unwrap();
    assert_ne!(during, before);
    image.write_at(9 * MIB, &[1]).unwrap();
    image.close().unwrap();
    assert_eq!(victim.open().unwrap().data_write_guid(), Some(during));
    for header in HEADERS {
        assert_eq!(victim.get(header + 48, 16), [0; 16], "LogGuid");
        assert_eq!(victim.get(header + 32, 16), during.to_bytes_le());
    }
    // The same seed again gives other GUIDs: the file is another.
    let mut image = victim.open_writable().unwrap();
    image.write_at(0, &[2]).unwrap();
    assert_ne!(image.data_write_guid(), Some(during));
}

#[test]
fn read_only_images_refuse_changes() {
    let victim = Victim::new();
    let mut image = victim.open().unwrap();
    assert_eq!(image.write_at(0, &[1]).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(image.zero_at(0, 1).unwrap_err().kind(), ErrorKind::ReadOnly);
    image.flush().unwrap();
    image.close().unwrap();
}

#[test]
fn ranges_that_leave_the_disk_are_refused() {
    let victim = Victim::new();
    let mut image = victim.open_writable().unwrap();
    for offset in [16 * MIB, 16 * MIB - 1, u64::MAX] {
        assert_eq!(image.read_at(offset, &mut [0; 2]).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(image.write_at(offset, &[0; 2]).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(image.zero_at(offset, 2).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(image.extents(offset..u64::MAX).unwrap_err().kind(), ErrorKind::OutOfRange);
    }
    image.read_at(16 * MIB, &mut []).unwrap();
}
