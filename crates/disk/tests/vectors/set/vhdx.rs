//! VHDX files made by hand, good and broken. Nothing of the library's own writing code is used.

use std::collections::BTreeMap;

use hvrsim_disk::Guid;
use hvrsim_disk::file::{BlockFile, MemFile};

use super::{MIB, named, size};

const LOG: u64 = MIB;
const BAT: u64 = 2 * MIB;
const METADATA: u64 = 3 * MIB;
const FIRST_BLOCK: u64 = 4 * MIB;

const BAT_ID: u128 = 0x2DC27766_F623_4200_9D64_115E9BFD4A08;
const METADATA_ID: u128 = 0x8B7CA206_4790_4B9A_B8FE_575F050F886E;
const LOCATOR_ID: u128 = 0xB04AEFB7_D19E_4A81_B789_25B8E9445913;
/// File parameters, disk size, disk id, logical sector, physical sector, parent locator.
const ITEM_IDS: [u128; 6] = [
    0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B,
    0x2FA54224_CD1B_4876_B211_5DBED83BF4B8,
    0xBECA12AB_B2E6_4523_93EF_C309E000C746,
    0x8141BF1D_A96F_4709_BA47_F233A8FAAB5F,
    0xCDA348C7_445D_4471_9CC9_E9885251C556,
    0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C,
];

fn id(value: u128) -> [u8; 16] {
    Guid::from_u128(value).to_bytes_le()
}

/// What stands in a block's place.
#[derive(Clone)]
pub enum Content {
    None,
    Fill(u8),
    /// These bytes at this offset, zeros around them.
    Part(u64, Vec<u8>),
}

/// A file to be made.
#[derive(Clone)]
pub struct Vhdx {
    pub name: &'static str,
    pub disk: u64,
    pub block: u64,
    pub sector: u32,
    /// By number: state and content.
    pub blocks: BTreeMap<u64, (u64, Content)>,
    /// Key-value pairs of the parent locator.
    pub parent: Option<Vec<(&'static str, String)>>,
    /// The sector bitmap of the first chunk.
    pub bitmap: Option<Vec<u8>>,
    pub version: u16,
    pub log_version: u16,
    pub log_guid: [u8; 16],
    pub sequences: [u64; 2],
    /// Another FileWriteGuid in the second header.
    pub second_differs: bool,
    pub required: u32,
    /// An unknown region, required or not.
    pub extra_region: Option<u32>,
    /// An unknown item with these flags.
    pub extra_item: Option<u32>,
}

/// A disk of 16 blocks of 1 MiB: A1 in block 0, A3 in block 3, block 5 marked zero.
pub fn base(name: &'static str) -> Vhdx {
    Vhdx {
        name,
        disk: 16 * MIB,
        block: MIB,
        sector: 512,
        blocks: BTreeMap::from([
            (0, (6, Content::Fill(0xA1))),
            (3, (6, Content::Fill(0xA3))),
            (5, (2, Content::None)),
        ]),
        parent: None,
        bitmap: None,
        version: 1,
        log_version: 0,
        log_guid: [0; 16],
        sequences: [7, 8],
        second_differs: false,
        required: 1,
        extra_region: None,
        extra_item: None,
    }
}

impl Vhdx {
    pub fn with(mut self, block: u64, state: u64, content: Content) -> Self {
        self.blocks.insert(block, (state, content));
        self
    }

    fn entries(&self) -> u64 {
        let ratio = self.ratio();
        let blocks = self.disk.div_ceil(self.block);
        if self.parent.is_some() {
            blocks.div_ceil(ratio) * (ratio + 1)
        } else {
            blocks + (blocks - 1) / ratio
        }
    }

    fn ratio(&self) -> u64 {
        (u64::from(self.sector) << 23) / self.block
    }

    fn header(&self, sequence: u64, second: bool) -> Vec<u8> {
        let mut header = vec![0; 4096];
        let file = if second && self.second_differs { "another session" } else { self.name };
        header[..4].copy_from_slice(b"head");
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..32].copy_from_slice(&named(&format!("session {file}")));
        header[32..48].copy_from_slice(&named(&format!("content {}", self.name)));
        header[48..64].copy_from_slice(&self.log_guid);
        header[64..66].copy_from_slice(&self.log_version.to_le_bytes());
        header[66..68].copy_from_slice(&self.version.to_le_bytes());
        header[68..72].copy_from_slice(&(1_u32 << 20).to_le_bytes());
        header[72..80].copy_from_slice(&LOG.to_le_bytes());
        sealed(header)
    }

    fn regions(&self) -> Vec<u8> {
        let mut regions = vec![(id(BAT_ID), BAT, self.required), (id(METADATA_ID), METADATA, self.required)];
        regions.extend(self.extra_region.map(|required| (named("a region"), 64 * MIB, required)));
        let mut table = vec![0; 65_536];
        table[..4].copy_from_slice(b"regi");
        table[8] = u8::try_from(regions.len()).unwrap();
        for (index, (id, offset, required)) in regions.into_iter().enumerate() {
            let entry = &mut table[16 + 32 * index..][..32];
            entry[..16].copy_from_slice(&id);
            entry[16..24].copy_from_slice(&offset.to_le_bytes());
            entry[24..28].copy_from_slice(&(1_u32 << 20).to_le_bytes());
            entry[28..].copy_from_slice(&required.to_le_bytes());
        }
        sealed(table)
    }

    fn metadata(&self) -> Vec<u8> {
        let flags = if self.parent.is_some() { 2_u32 } else { 0 };
        let block = u32::try_from(self.block).unwrap();
        let contents = [
            [block.to_le_bytes(), flags.to_le_bytes()].concat(),
            self.disk.to_le_bytes().to_vec(),
            named("the disk").to_vec(),
            self.sector.to_le_bytes().to_vec(),
            4096_u32.to_le_bytes().to_vec(),
        ];
        let flags = [4_u32, 6, 6, 6, 6];
        let mut items: Vec<([u8; 16], Vec<u8>, u32)> =
            contents.into_iter().zip(flags).zip(ITEM_IDS).map(|((c, f), i)| (id(i), c, f)).collect();
        items.extend(self.parent.as_ref().map(|pairs| (id(ITEM_IDS[5]), locator(pairs), 4)));
        items.extend(self.extra_item.map(|flags| (named("an item"), b"hello".to_vec(), flags)));
        let mut region = vec![0; 65_536];
        region[..8].copy_from_slice(b"metadata");
        region[10] = u8::try_from(items.len()).unwrap();
        for (index, (id, content, flags)) in items.into_iter().enumerate() {
            let place = u32::try_from(region.len()).unwrap();
            let entry = &mut region[32 + 32 * index..][..32];
            entry[..16].copy_from_slice(&id);
            entry[16..20].copy_from_slice(&place.to_le_bytes());
            entry[20..24].copy_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
            entry[24..28].copy_from_slice(&flags.to_le_bytes());
            region.extend(content);
        }
        region
    }

    /// The file.
    pub fn make(&self) -> MemFile {
        let file = MemFile::new();
        let put = |at: u64, bytes: &[u8]| file.write_at(at, bytes).unwrap();
        let mut bat = vec![0_u64; size(self.entries())];
        let mut end = FIRST_BLOCK;
        for (number, (state, content)) in &self.blocks {
            let entry = &mut bat[size(number + number / self.ratio())];
            *entry = *state;
            match content {
                Content::None => continue,
                Content::Fill(byte) => put(end, &vec![*byte; size(self.block)]),
                Content::Part(at, bytes) => put(end + at, bytes),
            }
            *entry |= end;
            end += self.block;
        }
        if let Some(bitmap) = &self.bitmap {
            bat[size(self.ratio())] = end | 6;
            put(end, bitmap);
            end += MIB;
        }
        file.set_len(end.max(if self.extra_region.is_some() { 65 * MIB } else { 0 })).unwrap();
        put(0, b"vhdxfile");
        put(64 << 10, &self.header(self.sequences[0], false));
        put(128 << 10, &self.header(self.sequences[1], true));
        put(192 << 10, &self.regions());
        put(256 << 10, &self.regions());
        put(METADATA, &self.metadata());
        let entries: Vec<u8> = bat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        put(BAT, &entries);
        file
    }
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn locator(pairs: &[(&str, String)]) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut bytes = id(LOCATOR_ID).to_vec();
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(pairs.len()).unwrap().to_le_bytes());
    let mut strings: Vec<u8> = Vec::new();
    let first = 20 + 12 * pairs.len();
    for (key, value) in pairs {
        let (key, value) = (utf16(key), utf16(value));
        let at = first + strings.len();
        bytes.extend(u32::try_from(at).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(at + key.len()).unwrap().to_le_bytes());
        bytes.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        strings.extend(key);
        strings.extend(value);
    }
    bytes.extend(strings);
    bytes
}

/// What a log entry does: a sector of 4 KiB, or a length of zeros.
pub enum Change {
    Sector(u64, Vec<u8>),
    Zeros(u64, u64),
}

/// A log entry with one descriptor sector.
pub fn entry(sequence: u64, tail: u64, log: [u8; 16], changes: &[Change], lens: (u64, u64)) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    for (index, change) in changes.iter().enumerate() {
        let at = 64 + 32 * index;
        let offset = match change {
            Change::Sector(offset, sector) => {
                bytes[at..at + 4].copy_from_slice(b"desc");
                bytes[at + 4..at + 8].copy_from_slice(&sector[4092..]);
                bytes[at + 8..at + 16].copy_from_slice(&sector[..8]);
                bytes.extend(b"data");
                bytes.extend(&sequence.to_le_bytes()[4..]);
                bytes.extend(&sector[8..4092]);
                bytes.extend(&sequence.to_le_bytes()[..4]);
                offset
            }
            Change::Zeros(offset, len) => {
                bytes[at..at + 4].copy_from_slice(b"zero");
                bytes[at + 8..at + 16].copy_from_slice(&len.to_le_bytes());
                offset
            }
        };
        bytes[at + 16..at + 24].copy_from_slice(&offset.to_le_bytes());
        bytes[at + 24..at + 32].copy_from_slice(&sequence.to_le_bytes());
    }
    let narrow = |value: u64| u32::try_from(value).unwrap().to_le_bytes();
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    bytes[..4].copy_from_slice(b"loge");
    bytes[8..12].copy_from_slice(&length);
    bytes[12..16].copy_from_slice(&narrow(tail));
    bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes[24..28].copy_from_slice(&u32::try_from(changes.len()).unwrap().to_le_bytes());
    bytes[32..48].copy_from_slice(&log);
    bytes[48..56].copy_from_slice(&lens.0.to_le_bytes());
    bytes[56..64].copy_from_slice(&lens.1.to_le_bytes());
    sealed(bytes)
}

/// Block 7 is there, but only a log knows it: the disk's BAT lacks it. `log` makes the log's bytes from the
/// BAT sector that has it and the file's length.
fn dirty(name: &'static str, log: impl Fn(Vec<u8>, u64) -> Vec<u8>) -> (&'static str, MemFile) {
    let mut disk = base(name).with(7, 6, Content::Fill(0xB7));
    disk.log_guid = named("the log");
    let file = disk.make();
    let mut sector = vec![0; 4096];
    file.read_at(BAT, &mut sector).unwrap();
    file.write_at(BAT + 7 * 8, &[0; 8]).unwrap();
    let len = file.len().unwrap();
    file.write_at(LOG, &log(sector, len)).unwrap();
    (name, file)
}

fn logs() -> Vec<(&'static str, MemFile)> {
    let log = named("the log");
    let one = |sequence, tail, sector: Vec<u8>, len| {
        entry(sequence, tail, log, &[Change::Sector(BAT, sector)], (len, len))
    };
    let beside = METADATA + MIB / 2;
    vec![
        dirty("log-one.vhdx", |bat, len| one(1, 0, bat, len)),
        dirty("log-two.vhdx", |bat, len| [one(5, 0, vec![0; 4096], len), one(6, 0, bat, len)].concat()),
        dirty("log-gap.vhdx", |bat, len| {
            let later = entry(9, 8192, log, &[Change::Sector(beside, vec![0; 4096])], (len, len));
            [one(5, 0, bat, len), later].concat()
        }),
        dirty("log-wrap.vhdx", |bat, len| {
            let bytes = one(3, MIB - 4096, bat, len);
            let (first, rest) = bytes.split_at(4096);
            [rest, &vec![0; size(MIB) - bytes.len()], first].concat()
        }),
        dirty("log-grow.vhdx", |bat, len| {
            entry(1, 0, log, &[Change::Sector(BAT, bat)], (len, len + 5 * MIB))
        }),
        dirty("log-zero.vhdx", |bat, len| {
            let zeros = Change::Zeros(METADATA + 900 * 1024, 65_536);
            entry(1, 0, log, &[Change::Sector(BAT, bat), zeros], (len, len))
        }),
        dirty("log-no-entry.vhdx", |_, _| vec![0; 4096]),
        dirty("log-bad-checksum.vhdx", |bat, len| {
            let mut bytes = one(1, 0, bat, len);
            *bytes.last_mut().unwrap() = 0x55;
            bytes
        }),
        dirty("log-other-guid.vhdx", |bat, len| {
            entry(1, 0, named("no log"), &[Change::Sector(BAT, bat)], (len, len))
        }),
        dirty("log-tail-outside.vhdx", |bat, len| one(3, 10 * 4096, bat, len)),
        dirty("log-file-truncated.vhdx", |bat, len| {
            entry(1, 0, log, &[Change::Sector(BAT, bat)], (len + 64 * MIB, len))
        }),
    ]
}

fn chains() -> Vec<(&'static str, MemFile)> {
    let mut parent = base("parent.vhdx").with(1, 6, Content::Fill(0xA2));
    parent.blocks.remove(&5);
    let linkage = |name: &str| format!("{{{}}}", Guid::from_bytes_le(named(&format!("content {name}"))));
    let pairs = |linkage: String| {
        Some(vec![
            ("parent_linkage", linkage),
            ("relative_path", ".\\parent.vhdx".to_owned()),
            ("absolute_win32_path", "\\\\?\\c:\\disks\\parent.vhdx".to_owned()),
        ])
    };
    let mut bitmap = vec![0; size(MIB)];
    // Sectors 8 to 15 of block 1.
    bitmap[2048 / 8 + 1] = 0xFF;
    let child = Vhdx {
        blocks: BTreeMap::from([
            (1, (7, Content::Part(4096, vec![0xC1; 4096]))),
            (2, (6, Content::Fill(0xC2))),
            (3, (2, Content::None)),
        ]),
        parent: pairs(linkage("parent.vhdx")),
        bitmap: Some(bitmap),
        ..base("child.avhdx")
    };
    let stranger =
        Vhdx { name: "child-wrong-parent.avhdx", parent: pairs(linkage("nobody")), ..child.clone() };
    let transparent = Vhdx {
        name: "child-transparent.avhdx",
        blocks: BTreeMap::from([(2, (6, Content::Fill(0xC2)))]),
        bitmap: None,
        ..child.clone()
    };
    [parent, child, stranger, transparent].iter().map(|disk| (disk.name, disk.make())).collect()
}

fn plain() -> Vec<Vhdx> {
    let zero_ee = || Content::Fill(0xEE);
    let big = [(0, 0xD0), (127, 0xD1), (128, 0xD2), (256, 0xD3)];
    vec![
        base("plain.vhdx"),
        Vhdx { required: 0, ..base("required-bit-zero.vhdx") },
        Vhdx { sector: 4096, ..base("sector-4096.vhdx") },
        Vhdx { sequences: [8, 8], ..base("sequence-equal-same.vhdx") },
        Vhdx { sequences: [8, 8], second_differs: true, ..base("sequence-equal-different.vhdx") },
        Vhdx { version: 2, ..base("version-2.vhdx") },
        Vhdx { log_version: 1, ..base("log-version-1-no-log.vhdx") },
        Vhdx { extra_region: Some(0), ..base("unknown-region-required-0.vhdx") },
        Vhdx { extra_region: Some(1), ..base("unknown-region-required-1.vhdx") },
        Vhdx { extra_item: Some(4), ..base("unknown-item-required.vhdx") },
        Vhdx { extra_item: Some(1), ..base("unknown-item-user.vhdx") },
        base("state-1-undefined.vhdx").with(4, 1, Content::None),
        base("state-3-unmapped.vhdx").with(4, 3, Content::None),
        base("state-3-anchored.vhdx").with(4, 3, zero_ee()),
        base("state-2-with-offset.vhdx").with(4, 2, zero_ee()),
        base("state-4-reserved.vhdx").with(4, 4, Content::None),
        base("state-5-reserved.vhdx").with(4, 5, Content::None),
        base("state-7-no-parent.vhdx").with(4, 7, zero_ee()),
        Vhdx {
            disk: 9 << 30,
            block: 32 * MIB,
            blocks: big.map(|(number, byte)| (number, (6, Content::Fill(byte)))).into(),
            ..base("big.vhdx")
        },
    ]
}

/// All VHDX vectors.
pub fn all() -> Vec<(&'static str, MemFile)> {
    let mut files: Vec<_> = plain().iter().map(|disk| (disk.name, disk.make())).collect();
    for (name, at) in [("region-table1-blank.vhdx", 192 << 10), ("header2-blank.vhdx", 128 << 10)] {
        let file = base(name).make();
        file.punch_hole(at, if at == 192 << 10 { 65_536 } else { 4096 }).unwrap();
        files.push((name, file));
    }
    let entries =
        [("bat-twice.vhdx", FIRST_BLOCK), ("bat-past-end.vhdx", 500 * MIB), ("bat-on-log.vhdx", LOG)];
    for (name, place) in entries {
        let file = base(name).make();
        file.write_at(BAT + 8, &(place | 6).to_le_bytes()).unwrap();
        files.push((name, file));
    }
    files.extend(logs());
    files.extend(chains());
    files
}
