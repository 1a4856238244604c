//! VHD files made by hand, good and broken. Every sparse one has blocks of 2 MiB.

use hvrsim_disk::file::{BlockFile, MemFile};

use super::{MIB, byte_sum, named, size};

const BLOCK: u64 = 2 * MIB;

/// Number, content (offset, bytes), bitmap.
type Block = (u64, (u64, Vec<u8>), Vec<u8>);

/// A file to be made.
#[derive(Clone)]
struct Vhd {
    name: &'static str,
    disk: u64,
    kind: u32,
    creator: &'static [u8; 4],
    blocks: Vec<Block>,
    parent: Option<&'static str>,
    front: bool,
    rear: bool,
}

fn base(name: &'static str, blocks: &[(u64, u8)]) -> Vhd {
    let full = |(number, byte): &(u64, u8)| (*number, (0, vec![*byte; size(BLOCK)]), vec![0xFF; 512]);
    let blocks = blocks.iter().map(full).collect();
    Vhd { name, disk: 16 * MIB, kind: 3, creator: b"win ", blocks, parent: None, front: true, rear: true }
}

impl Vhd {
    fn footer(&self) -> Vec<u8> {
        // 16 MiB and a little: 4 heads, 17 sectors a track.
        let cylinders = u16::try_from(self.disk / 512 / 17 / 4).unwrap();
        let mut footer = vec![0; 512];
        let header = if self.kind == 2 { u64::MAX } else { 512 };
        let mut put = |at: usize, bytes: &[u8]| footer[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"conectix");
        put(8, &2_u32.to_be_bytes());
        put(12, &0x1_0000_u32.to_be_bytes());
        put(16, &header.to_be_bytes());
        put(24, &4096_u32.to_be_bytes());
        put(28, self.creator);
        put(32, &0x6_0003_u32.to_be_bytes());
        put(36, b"Wi2k");
        put(40, &self.disk.to_be_bytes());
        put(48, &self.disk.to_be_bytes());
        put(56, &cylinders.to_be_bytes());
        put(58, &[4, 17]);
        put(60, &self.kind.to_be_bytes());
        put(68, &named(self.name));
        let sum = byte_sum(&footer).to_be_bytes();
        footer[64..68].copy_from_slice(&sum);
        footer
    }

    fn header(&self, entries: u32, locator: u64) -> (Vec<u8>, Vec<u8>) {
        let mut header = vec![0; 1024];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"cxsparse");
        put(8, &[0xFF; 8]);
        put(16, &1536_u64.to_be_bytes());
        put(24, &0x1_0000_u32.to_be_bytes());
        put(28, &entries.to_be_bytes());
        put(32, &u32::try_from(BLOCK).unwrap().to_be_bytes());
        let mut text = Vec::new();
        if let Some(parent) = self.parent {
            put(40, &named(parent));
            put(56, &4096_u32.to_be_bytes());
            put(64, &parent.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
            text = format!(".\\{parent}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            put(576, b"W2ru");
            put(580, &512_u32.to_be_bytes());
            put(584, &u32::try_from(text.len()).unwrap().to_be_bytes());
            put(592, &locator.to_be_bytes());
            text.resize(512, 0);
        }
        let sum = byte_sum(&header).to_be_bytes();
        header[36..40].copy_from_slice(&sum);
        (header, text)
    }

    fn make(&self) -> MemFile {
        let file = MemFile::new();
        let put = |at: u64, bytes: &[u8]| file.write_at(at, bytes).unwrap();
        let entries = self.disk.div_ceil(BLOCK);
        let mut bat = vec![u32::MAX; 128];
        let mut end = 2048;
        let (header, text) = self.header(u32::try_from(entries).unwrap(), end);
        put(end, &text);
        end += u64::try_from(text.len()).unwrap();
        for (number, (at, content), bitmap) in &self.blocks {
            bat[size(*number)] = u32::try_from(end / 512).unwrap();
            put(end, bitmap);
            put(end + 512 + at, content);
            end += 512 + BLOCK;
        }
        file.set_len(end).unwrap();
        if self.front {
            put(0, &self.footer());
        }
        put(512, &header);
        put(1536, &bat.iter().flat_map(|entry| entry.to_be_bytes()).collect::<Vec<u8>>());
        if self.rear {
            put(end, &self.footer());
        }
        file
    }
}

/// 16 MiB of F1 and what a function makes of the footer.
fn fixed(name: &'static str, change: impl Fn(&mut Vec<u8>)) -> (&'static str, MemFile) {
    let mut footer = Vhd { kind: 2, ..base(name, &[]) }.footer();
    change(&mut footer);
    let file = MemFile::new();
    file.write_at(0, &vec![0xF1; size(16 * MIB)]).unwrap();
    file.write_at(16 * MIB, &footer).unwrap();
    (name, file)
}

/// All VHD vectors.
pub fn all() -> Vec<(&'static str, MemFile)> {
    let mut hole = base("bitmap-hole.vhd", &[(0, 0xA1), (3, 0xA3)]);
    hole.blocks[0].2[0] = 0;
    let bits = |at: usize, byte: u8| {
        let mut bitmap = vec![0; 512];
        bitmap[at] = byte;
        bitmap
    };
    let mut child = base("child.vhd", &[(2, 0xC2)]);
    (child.kind, child.parent) = (4, Some("parent.vhd"));
    child.blocks.insert(0, (1, (4096, vec![0xC1; 4096]), bits(1, 0xFF)));
    child.blocks.push((3, (0, vec![0xC3; 512]), bits(0, 0x80)));
    let odd = 16 * MIB + 1536;
    let ends = [(0, 0xA1), (8, 0xA8)];
    let sparse = [
        base("dynamic.vhd", &[(0, 0xA1), (3, 0xA3)]),
        hole,
        base("parent.vhd", &[(0, 0xA1), (1, 0xA2), (3, 0xA3)]),
        child,
        Vhd { rear: false, ..base("tail-footer-lost.vhd", &[(0, 0xA1)]) },
        Vhd { front: false, ..base("head-footer-lost.vhd", &[(0, 0xA1)]) },
        Vhd { disk: odd, ..base("size-current.vhd", &ends) },
        Vhd { disk: odd, creator: b"vpc ", ..base("size-geometry.vhd", &ends) },
    ];
    let mut files: Vec<_> = sparse.iter().map(|disk| (disk.name, disk.make())).collect();
    files.push(fixed("fixed.vhd", |_| ()));
    files.push(fixed("fixed-511.vhd", |footer| footer.truncate(511)));
    files.push(fixed("fixed-bad-checksum.vhd", |footer| footer[64] ^= 1));
    files
}
