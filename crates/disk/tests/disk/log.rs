//! Replaying logs that were written here, by code of their own.

use hvrsim_disk::ErrorKind;

use crate::support::{BAT, LOG, MIB, Victim, intact};

const GUID: [u8; 16] = [0x77; 16];

enum Change {
    Data(u64, Vec<u8>),
    Zero(u64, u64),
}

struct Entry {
    sequence: u64,
    tail: u32,
    guid: [u8; 16],
    flushed: u64,
    last: u64,
    changes: Vec<Change>,
}

/// A victim whose headers name a log, with block 6 to appear at 6 MiB, filled with B7, when the log is
/// replayed.
fn dirty() -> Victim {
    let victim = Victim::new();
    victim.file.set_len(7 * MIB).unwrap();
    victim.put(6 * MIB, &vec![0xB7; 1 << 20]);
    victim.patch_headers(48, &GUID);
    victim
}

/// The first page of the BAT with entry `index` set.
fn bat_with(victim: &Victim, index: usize, entry: u64) -> Change {
    let mut page = victim.get(BAT, 4096);
    page[8 * index..8 * index + 8].copy_from_slice(&entry.to_le_bytes());
    Change::Data(BAT, page)
}

fn entry(sequence: u64, tail: u32, changes: Vec<Change>) -> Entry {
    Entry { sequence, tail, guid: GUID, flushed: 7 * MIB, last: 7 * MIB, changes }
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let mut head = vec![0; 4096];
        let mut data: Vec<u8> = Vec::new();
        for (n, change) in self.changes.iter().enumerate() {
            let at = 64 + 32 * n;
            let offset = match change {
                Change::Data(offset, sector) => {
                    head[at..at + 4].copy_from_slice(b"desc");
                    head[at + 4..at + 8].copy_from_slice(&sector[4092..]);
                    head[at + 8..at + 16].copy_from_slice(&sector[..8]);
                    data.extend(b"data");
                    data.extend(&self.sequence.to_le_bytes()[4..]);
                    data.extend(&sector[8..4092]);
                    data.extend(&self.sequence.to_le_bytes()[..4]);
                    offset
                }
                Change::Zero(offset, len) => {
                    head[at..at + 4].copy_from_slice(b"zero");
                    head[at + 8..at + 16].copy_from_slice(&len.to_le_bytes());
                    offset
                }
            };
            head[at + 16..at + 24].copy_from_slice(&offset.to_le_bytes());
            head[at + 24..at + 32].copy_from_slice(&self.sequence.to_le_bytes());
        }
        head.extend(data);
        let length = u32::try_from(head.len()).unwrap();
        head[..4].copy_from_slice(b"loge");
        head[8..12].copy_from_slice(&length.to_le_bytes());
        head[12..16].copy_from_slice(&self.tail.to_le_bytes());
        head[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        head[24..28].copy_from_slice(&u32::try_from(self.changes.len()).unwrap().to_le_bytes());
        head[32..48].copy_from_slice(&self.guid);
        head[48..56].copy_from_slice(&self.flushed.to_le_bytes());
        head[56..64].copy_from_slice(&self.last.to_le_bytes());
        let crc = crc32c::crc32c(&head);
        head[4..8].copy_from_slice(&crc.to_le_bytes());
        head
    }

    /// Puts the entry at an offset of the log, running over its end to its front.
    fn place(&self, victim: &Victim, at: u64) {
        for (n, sector) in self.bytes().chunks(4096).enumerate() {
            victim.put(LOG + (at + 4096 * u64::try_from(n).unwrap()) % MIB, sector);
        }
    }
}

fn replayed() -> Vec<u8> {
    let mut firsts = intact();
    firsts[6] = 0xB7;
    firsts
}

/// Reads over a replay in memory, which leaves the file alone; then replays into the file, twice the same.
fn expect(victim: &Victim, firsts: &[u8]) {
    let before = victim.all_bytes();
    assert_eq!(victim.firsts(), firsts);
    assert!(victim.all_bytes() == before, "a read-only open changed the file");
    victim.open_writable().unwrap().close().unwrap();
    assert_eq!(victim.get((64 << 10) + 48, 16), [0; 16]);
    assert_eq!(victim.get((128 << 10) + 48, 16), [0; 16]);
    assert_ne!(victim.get((128 << 10) + 16, 16), before[((128 << 10) + 16)..][..16], "FileWriteGuid");
    assert_eq!(victim.get((128 << 10) + 32, 16), before[((128 << 10) + 32)..][..16], "DataWriteGuid");
    assert_eq!(victim.firsts(), firsts);
    let after = victim.all_bytes();
    victim.patch_headers(48, &GUID);
    victim.open_writable().unwrap().close().unwrap();
    assert!(victim.all_bytes()[192 << 10..] == after[192 << 10..], "a second replay changed something");
}

#[test]
fn one_entry() {
    let victim = dirty();
    entry(1, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    expect(&victim, &replayed());
}

#[test]
fn of_two_entries_the_second_wins() {
    let victim = dirty();
    entry(4, 8192, vec![bat_with(&victim, 7, (6 * MIB) | 6)]).place(&victim, 8192);
    entry(5, 8192, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 16_384);
    expect(&victim, &replayed());
}

#[test]
fn entries_before_the_tail_are_not_replayed() {
    let victim = dirty();
    let mut bat = victim.get(BAT, 4096);
    bat[48..56].copy_from_slice(&((6 * MIB) | 6).to_le_bytes());
    entry(4, 0, vec![Change::Zero(6 * MIB, MIB)]).place(&victim, 0);
    entry(5, 4096, vec![Change::Data(BAT, bat)]).place(&victim, 4096);
    expect(&victim, &replayed());
}

#[test]
fn an_entry_that_wraps() {
    let victim = dirty();
    let at = MIB - 4096;
    entry(1, u32::try_from(at).unwrap(), vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, at);
    expect(&victim, &replayed());
}

#[test]
fn a_sequence_that_wraps() {
    let victim = dirty();
    let at = MIB - 8192;
    entry(1, 0, vec![bat_with(&victim, 7, (6 * MIB) | 6)]).place(&victim, at);
    entry(2, u32::try_from(at).unwrap(), vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    expect(&victim, &replayed());
}

#[test]
fn after_a_gap_only_the_newer_sequence_counts() {
    let victim = dirty();
    entry(5, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    entry(9, 8192, vec![]).place(&victim, 8192);
    expect(&victim, &intact());
}

#[test]
fn an_older_sequence_counts_when_the_newer_has_lost_its_tail() {
    let victim = dirty();
    entry(5, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    entry(9, 65_536, vec![]).place(&victim, 8192);
    expect(&victim, &replayed());
}

#[test]
fn a_tail_outside_the_sequence_is_corrupt() {
    let victim = dirty();
    entry(5, 65_536, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn a_log_without_a_valid_entry_is_corrupt() {
    let victim = dirty();
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
    let mut other = entry(1, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]);
    other.guid = [1; 16];
    other.place(&victim, 0);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
    entry(1, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    victim.put(LOG + 5000, &[0x12]);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn sequence_number_zero_is_no_entry() {
    let victim = dirty();
    entry(0, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]).place(&victim, 0);
    assert_eq!(victim.refused(), ErrorKind::Corrupt);
}

#[test]
fn a_file_shorter_than_what_was_flushed_is_truncated() {
    let victim = dirty();
    let mut last = entry(1, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6)]);
    last.flushed = 8 * MIB;
    last.place(&victim, 0);
    let before = victim.all_bytes();
    assert_eq!(victim.refused(), ErrorKind::Truncated);
    assert!(victim.all_bytes() == before, "a refused open changed the file");
}

#[test]
fn replay_makes_the_file_as_long_as_the_log_says() {
    let victim = dirty();
    let mut grow =
        entry(1, 0, vec![bat_with(&victim, 6, (11 * MIB) | 6), Change::Data(11 * MIB, vec![0xB7; 4096])]);
    grow.last = 12 * MIB;
    grow.place(&victim, 0);
    expect(&victim, &replayed());
    assert_eq!(victim.file.len().unwrap(), 12 * MIB);
}

#[test]
fn zero_descriptors_make_zeros() {
    let victim = dirty();
    entry(1, 0, vec![bat_with(&victim, 6, (6 * MIB) | 6), Change::Zero(4 * MIB, 8192)]).place(&victim, 0);
    let mut firsts = replayed();
    firsts[0] = 0;
    expect(&victim, &firsts);
}

#[test]
fn more_descriptors_than_one_sector_holds() {
    let victim = dirty();
    let mut changes: Vec<Change> =
        (0..125).map(|n| Change::Data(4 * MIB + 4096 * n, vec![0xC1; 4096])).collect();
    changes.push(bat_with(&victim, 6, (6 * MIB) | 6));
    entry(1, 0, changes).place(&victim, 0);
    let mut firsts = replayed();
    firsts[0] = 0xC1;
    expect(&victim, &firsts);
}
