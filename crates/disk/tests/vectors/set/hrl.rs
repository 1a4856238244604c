//! Change logs made by hand, good and broken.

use hvrsim_disk::file::{BlockFile, MemFile};

use super::{MIB, byte_sum, named};

type Write = (u64, Vec<u8>);

fn block(distance: u64, writes: &[Write]) -> Vec<u8> {
    let mut block = vec![0; 4096];
    block[..8].copy_from_slice(&distance.to_le_bytes());
    block[8..12].copy_from_slice(&u32::try_from(writes.len()).unwrap().to_le_bytes());
    let sum = byte_sum(&block[..32]).to_le_bytes();
    block[12..16].copy_from_slice(&sum);
    for (slot, (offset, data)) in block[32..].chunks_mut(32).zip(writes) {
        slot[..8].copy_from_slice(&offset.to_le_bytes());
        slot[12..16].copy_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
        slot[16..20].copy_from_slice(&539_842_382_u32.to_le_bytes());
        slot[20] = 1;
        let sum = byte_sum(slot).to_le_bytes();
        slot[8..12].copy_from_slice(&sum);
    }
    block
}

fn log(disk: &str, closed: bool) -> Vec<u8> {
    let batches: [Vec<Write>; 2] = [
        vec![(0, vec![0x11; 4096]), (8 * MIB, vec![0x22; 31_232])],
        vec![(512, vec![0x33; 512]), (8 * MIB + 4096, vec![0x44; 8192])],
    ];
    let mut body = block(0, &[]);
    let mut last = 0;
    for batch in &batches {
        body.extend(batch.iter().flat_map(|(_, data)| data.clone()));
        let here = body.len();
        body.extend(block(u64::try_from(here - last).unwrap(), batch));
        last = here;
    }
    let end = u64::try_from(4096 + body.len()).unwrap();
    let mut header = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"msctlog ");
    put(8, &0x2_0000_u32.to_le_bytes());
    put(12, &539_842_380_u32.to_le_bytes());
    put(16, b"ct  ");
    put(20, &0xA_0000_u32.to_le_bytes());
    put(32, &end.to_le_bytes());
    put(44, &if closed { end } else { 0 }.to_le_bytes());
    put(56, &4096_u32.to_le_bytes());
    put(60, &named("this log"));
    put(76, &named("the log before"));
    put(92, &539_842_384_u32.to_le_bytes());
    put(96, &4_u64.to_le_bytes());
    put(110, &named(&format!("content {disk}")));
    let sum = byte_sum(&header).to_le_bytes();
    header[40..44].copy_from_slice(&sum);
    header.extend(body);
    header
}

/// All change logs.
pub fn all() -> Vec<(&'static str, MemFile)> {
    let good = || log("plain.vhdx", true);
    let mut bad_slot = good();
    let slot = bad_slot.len() - 4096 + 32;
    bad_slot[slot] = 1;
    let mut bad_header = good();
    bad_header[32] = 1;
    let files = [
        ("clean.hrl", good()),
        ("not-closed.hrl", log("plain.vhdx", false)),
        ("other-disk.hrl", log("elsewhere", true)),
        ("bad-slot.hrl", bad_slot),
        ("bad-header.hrl", bad_header),
    ];
    let put = |(name, bytes): (&'static str, Vec<u8>)| {
        let file = MemFile::new();
        file.write_at(0, &bytes).unwrap();
        (name, file)
    };
    files.into_iter().map(put).collect()
}
