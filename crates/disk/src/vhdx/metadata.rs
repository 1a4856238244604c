//! The metadata region (MS-VHDX 2.6): block size, disk size, sector sizes, identity, parent.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::locator::Locator;
use super::region::Region;
use crate::bytes::{KIB, MIB, get_guid, get_u16, get_u32, get_u64, put, to_u64, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, read_structure};

const TABLE_LEN: u64 = 64 * KIB;
const MAX_ENTRIES: u16 = 2047;
const MAX_USER_ENTRIES: usize = 1024;
/// The largest virtual disk, 64 TiB.
pub(crate) const MAX_DISK: u64 = 64 << 40;
/// The smallest and the largest block.
pub(crate) const BLOCK_SIZES: std::ops::RangeInclusive<u64> = MIB..=256 * MIB;

const FILE_PARAMETERS: Uuid = Uuid::from_u128(0xCAA1_6737_FA36_4D43_B3B6_33F0_AA44_E76B);
pub(super) const DISK_SIZE: Uuid = Uuid::from_u128(0x2FA5_4224_CD1B_4876_B211_5DBE_D83B_F4B8);
const DISK_ID: Uuid = Uuid::from_u128(0xBECA_12AB_B2E6_4523_93EF_C309_E000_C746);
const LOGICAL_SECTOR: Uuid = Uuid::from_u128(0x8141_BF1D_A96F_4709_BA47_F233_A8FA_AB5F);
const PHYSICAL_SECTOR: Uuid = Uuid::from_u128(0xCDA3_48C7_445D_4471_9CC9_E988_5251_C556);
pub(super) const PARENT_LOCATOR: Uuid = Uuid::from_u128(0xA8D3_5F2D_B30B_454D_ABF7_D3D8_4834_AB0C);
const KNOWN: [Uuid; 6] =
    [FILE_PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL_SECTOR, PHYSICAL_SECTOR, PARENT_LOCATOR];

const IS_USER: u32 = 1;
const IS_DISK: u32 = 2;
const IS_REQUIRED: u32 = 4;

/// What the metadata of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Bytes of a payload block: a power of two, 1..256 MiB.
    pub block_size: u64,
    /// A fixed disk: blocks are never given back.
    pub leave_allocated: bool,
    /// Bytes of the virtual disk.
    pub size: u64,
    /// The SCSI page 83 identity of the disk, the same in all files of a chain.
    pub disk_id: Uuid,
    pub logical_sector: u32,
    pub physical_sector: u32,
    /// There for a differencing file.
    pub parent: Option<Locator>,
}

/// A table entry of an item.
struct Item {
    id: Uuid,
    is_user: bool,
    flags: u32,
    offset: u64,
    length: u64,
}

/// An item that belongs to the virtual disk and travels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskItem {
    id: Uuid,
    flags: u32,
    content: Vec<u8>,
}

impl DiskItem {
    /// All such items of a file.
    pub(super) fn read_all(file: &dyn BlockFile, region: Region) -> Result<Vec<Self>, Error> {
        let items = read_table(file, region)?;
        let read = |item: &Item| {
            let content = read_content(file, region, item, "metadata item")?.1;
            Ok(Self { id: item.id, flags: item.flags, content })
        };
        items.iter().filter(|item| item.travels()).map(read).collect()
    }

    /// Whether the item is one that this crate writes itself, from what it knows of the disk.
    pub(crate) fn is_known(&self) -> bool {
        self.flags & IS_USER == 0 && KNOWN.contains(&self.id)
    }
}

impl Item {
    /// Whether the item goes where the disk goes. What is about a file stays, however it is marked.
    fn travels(&self) -> bool {
        let of_file = !self.is_user && [FILE_PARAMETERS, PARENT_LOCATOR].contains(&self.id);
        self.flags & IS_DISK != 0 && !of_file
    }
}

/// What has to be written so that a file has other items: contents at places that were unused, then the table.
pub(super) struct ItemChange {
    pub contents: Vec<(u64, Vec<u8>)>,
    pub table: (u64, Vec<u8>),
}

/// Puts `new` in the place of a file's items that travel with the disk; the size stays. `None` when the file has
/// them already.
pub(super) fn replace_disk_items(
    file: &dyn BlockFile,
    region: Region,
    new: &[DiskItem],
) -> Result<Option<ItemChange>, Error> {
    let old = read_table(file, region)?;
    let sized = |id: Uuid, flags: u32| id == DISK_SIZE && flags & IS_USER == 0;
    let wanted: Vec<&DiskItem> = new.iter().filter(|item| !sized(item.id, item.flags)).collect();
    let stays = |item: &&Item| !item.travels() || sized(item.id, item.flags);
    let mut used: Vec<(u64, u64)> = old.iter().map(|item| (item.offset, item.offset + item.length)).collect();
    used.push((0, TABLE_LEN));
    let mut table: Vec<Item> = old.iter().filter(stays).map(|item| Item { ..*item }).collect();
    let mut contents = Vec::new();
    let mut same = table.len() + wanted.len() == old.len();
    for item in wanted {
        let is_user = item.flags & IS_USER != 0;
        let here = old.iter().find(|old| old.id == item.id && old.is_user == is_user);
        let length = to_u64(item.content.len());
        let kept = match here {
            Some(old)
                if old.length == length
                    && read_content(file, region, old, "metadata item")?.1 == item.content =>
            {
                same &= old.flags == item.flags;
                Some(old.offset)
            }
            _ => None,
        };
        let offset = match kept {
            Some(offset) => offset,
            None if length == 0 => 0,
            None => {
                let offset = unused(&mut used, length, region)?;
                contents.push((region.offset + offset, item.content.clone()));
                offset
            }
        };
        same &= kept.is_some();
        table.push(Item { id: item.id, is_user, flags: item.flags, offset, length });
    }
    if table.len() > usize::from(MAX_ENTRIES) {
        return Err(Error::new(ErrorKind::Unsupported, "metadata table")
            .at(region.offset)
            .found(format!("{} items of parent and child together", table.len()))
            .requires("at most 2047 (MS-VHDX 2.6.1.1)"));
    }
    let bytes = encode_table(&table);
    Ok((!same).then_some(ItemChange { contents, table: (region.offset, bytes) }))
}

/// A place in the region for an item, behind or between the ranges that are used; it is used from then on.
fn unused(used: &mut Vec<(u64, u64)>, length: u64, region: Region) -> Result<u64, Error> {
    used.sort_unstable();
    let mut at = 0;
    for (start, end) in used.iter() {
        if at + length <= *start {
            break;
        }
        at = at.max(*end);
    }
    if at + length > region.length {
        return Err(no_room(region));
    }
    used.push((at, at + length));
    Ok(at)
}

fn no_room(region: Region) -> Error {
    Error::new(ErrorKind::Unsupported, "metadata region")
        .at(region.offset)
        .found(format!("no room for a longer item in its {} bytes", region.length))
        .remedy("copy the disk into a new file: `hvrsim disk convert`")
}

/// The whole table of these items.
fn encode_table(items: &[Item]) -> Vec<u8> {
    let mut buf = vec![0; to_usize(TABLE_LEN)];
    put(&mut buf, 0, b"metadata");
    let count = u16::try_from(items.len()).expect("at most 2047 items");
    put(&mut buf, 10, &count.to_le_bytes());
    let narrow = |value: u64| u32::try_from(value).expect("a region is shorter than 4 GiB").to_le_bytes();
    for (index, item) in items.iter().enumerate() {
        let entry = 32 + 32 * index;
        put(&mut buf, entry, &item.id.to_bytes_le());
        put(&mut buf, entry + 16, &narrow(item.offset));
        put(&mut buf, entry + 20, &narrow(item.length));
        put(&mut buf, entry + 24, &item.flags.to_le_bytes());
    }
    buf
}

impl Metadata {
    /// Reads the table and the items, and checks every rule that concerns a single file.
    pub(crate) fn read(file: &dyn BlockFile, region: Region) -> Result<Self, Error> {
        let items = read_table(file, region)?;
        let parameters = Fixed::<8>::read(file, region, &items, FILE_PARAMETERS, "file parameters item")?;
        let flags = get_u32(&parameters.bytes, 4);
        let size = Fixed::<8>::read(file, region, &items, DISK_SIZE, "virtual disk size item")?;
        let disk_id = Fixed::<16>::read(file, region, &items, DISK_ID, "virtual disk id item")?;
        let logical = Fixed::<4>::read(file, region, &items, LOGICAL_SECTOR, "logical sector size item")?;
        let physical = Fixed::<4>::read(file, region, &items, PHYSICAL_SECTOR, "physical sector size item")?;
        let parent = if flags & 2 == 0 {
            None
        } else {
            let (at, bytes) = read_item(file, region, &items, PARENT_LOCATOR, "parent locator item")?;
            Some(Locator::decode(&bytes).map_err(|error| error.at(at))?)
        };
        let metadata = Self {
            block_size: u64::from(get_u32(&parameters.bytes, 0)),
            leave_allocated: flags & 1 != 0,
            size: get_u64(&size.bytes, 0),
            disk_id: get_guid(&disk_id.bytes, 0),
            logical_sector: get_u32(&logical.bytes, 0),
            physical_sector: get_u32(&physical.bytes, 0),
            parent,
        };
        if !BLOCK_SIZES.contains(&metadata.block_size) || !metadata.block_size.is_power_of_two() {
            return Err(parameters.fault(
                format!("a block size of {} bytes", metadata.block_size),
                "a power of two from 1 to 256 MiB (MS-VHDX 2.6.2.1)",
            ));
        }
        for (sector, item) in [(metadata.logical_sector, &logical), (metadata.physical_sector, &physical)] {
            if sector != 512 && sector != 4096 {
                let requires = "512 or 4096 (MS-VHDX 2.6.2.4, 2.6.2.5)";
                return Err(item.fault(format!("a sector of {sector} bytes"), requires));
            }
        }
        let whole = metadata.size.is_multiple_of(u64::from(metadata.logical_sector));
        if metadata.size == 0 || metadata.size > MAX_DISK || !whole {
            return Err(size.fault(
                format!("a disk of {} bytes", metadata.size),
                "whole logical sectors, at least one, at most 64 TiB (MS-VHDX 2.6.2.2)",
            ));
        }
        Ok(metadata)
    }

    /// The used front of the metadata region of a new file: the table, then exactly the items that the format
    /// requires, since some readers refuse anything further, and those that the disk of a parent brings along.
    pub(crate) fn encode(&self, carried: &[DiskItem]) -> Vec<u8> {
        let block_size = u32::try_from(self.block_size).expect("at most 256 MiB");
        let flags = u32::from(self.leave_allocated) | if self.parent.is_some() { 2 } else { 0 };
        let parameters = [block_size.to_le_bytes(), flags.to_le_bytes()].concat();
        let disk = IS_DISK | IS_REQUIRED;
        let mut items = vec![
            (FILE_PARAMETERS, IS_REQUIRED, parameters),
            (DISK_SIZE, disk, self.size.to_le_bytes().to_vec()),
            (DISK_ID, disk, self.disk_id.to_bytes_le().to_vec()),
            (LOGICAL_SECTOR, disk, self.logical_sector.to_le_bytes().to_vec()),
            (PHYSICAL_SECTOR, disk, self.physical_sector.to_le_bytes().to_vec()),
        ];
        if let Some(parent) = &self.parent {
            items.push((PARENT_LOCATOR, IS_REQUIRED, parent.encode()));
        }
        let further = carried.iter().filter(|item| !item.is_known());
        items.extend(further.map(|item| (item.id, item.flags, item.content.clone())));
        let (mut table, mut contents) = (Vec::new(), Vec::new());
        for (id, flags, content) in items {
            let length = to_u64(content.len());
            let offset = if length == 0 { 0 } else { TABLE_LEN + to_u64(contents.len()) };
            table.push(Item { id, is_user: flags & IS_USER != 0, flags, offset, length });
            contents.extend_from_slice(&content);
        }
        [encode_table(&table), contents].concat()
    }
}

/// Where an item's new content goes: at its old place if it fits there, else behind all items. Gives what has
/// to be written, by file offset: the content, and the item's place and length in the table. Items that are not
/// known stay as they are.
pub(super) fn replace_item(
    file: &dyn BlockFile,
    region: Region,
    id: Uuid,
    content: &[u8],
) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let items = read_table(file, region)?;
    let fault = |found: &'static str| {
        Error::new(ErrorKind::Unsupported, "metadata region").at(region.offset).found(found)
    };
    let index = items.iter().position(|item| item.id == id && !item.is_user);
    let index = index.ok_or_else(|| fault("no such item"))?;
    let len = to_u64(content.len());
    let place = if len <= items[index].length {
        items[index].offset
    } else {
        let ends = items.iter().map(|item| item.offset + item.length);
        ends.max().unwrap_or(TABLE_LEN).max(TABLE_LEN)
    };
    if len > MIB || place + len > region.length {
        return Err(no_room(region));
    }
    let narrow = |value: u64| u32::try_from(value).expect("a region is shorter than 4 GiB").to_le_bytes();
    let entry = region.offset + 32 + 32 * to_u64(index) + 16;
    Ok(vec![(region.offset + place, content.to_vec()), (entry, [narrow(place), narrow(len)].concat())])
}

fn read_table(file: &dyn BlockFile, region: Region) -> Result<Vec<Item>, Error> {
    let mut buf = vec![0; to_usize(TABLE_LEN)];
    let name = "metadata table";
    read_structure(file, name, region.offset, &mut buf)?;
    if &buf[..8] != b"metadata" {
        return Err(Error::corrupt(name)
            .at(region.offset)
            .found("another signature")
            .requires("the signature \"metadata\" (MS-VHDX 2.6.1.1)"));
    }
    let count = get_u16(&buf, 10);
    if count > MAX_ENTRIES {
        return Err(Error::corrupt(name)
            .at(region.offset + 10)
            .found(format!("{count} entries"))
            .requires("at most 2047 (MS-VHDX 2.6.1.1)"));
    }
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    for index in 0..u64::from(count) {
        let at = 32 + 32 * index;
        let item = read_entry(&buf[to_usize(at)..to_usize(at) + 32], region.offset + at, region)?;
        if !seen.insert((item.id, item.is_user)) {
            return Err(Error::corrupt("metadata table entry")
                .at(region.offset + at)
                .found(format!("item {} a second time", item.id))
                .requires("every item once (MS-VHDX 2.6.1.2)"));
        }
        items.push(item);
    }
    if items.iter().filter(|item| item.is_user).count() > MAX_USER_ENTRIES {
        return Err(Error::corrupt(name)
            .at(region.offset)
            .found("more than 1024 user items")
            .requires("at most 1024 (MS-VHDX 2.6.1.2)"));
    }
    Ok(items)
}

fn read_entry(entry: &[u8], at: u64, region: Region) -> Result<Item, Error> {
    let flags = get_u32(entry, 24);
    let item = Item {
        id: get_guid(entry, 0),
        is_user: flags & IS_USER != 0,
        flags,
        offset: u64::from(get_u32(entry, 16)),
        length: u64::from(get_u32(entry, 20)),
    };
    let empty = item.offset == 0 && item.length == 0;
    let inside = item.offset >= TABLE_LEN && item.offset + item.length <= region.length;
    if !empty && (!inside || item.length == 0 || item.length > MIB) {
        return Err(Error::corrupt("metadata table entry")
            .at(at)
            .found(format!("item {} of {} bytes at {}", item.id, item.length, item.offset))
            .requires("1 byte to 1 MiB, within the region, past its first 64 KiB (MS-VHDX 2.6.1.2)"));
    }
    let known = !item.is_user && KNOWN.contains(&item.id);
    if flags & IS_REQUIRED != 0 && !known {
        return Err(Error::new(ErrorKind::Unsupported, "metadata table entry")
            .at(at)
            .found(format!("the unknown item {}, marked as required", item.id))
            .requires("a reader to know every required item (MS-VHDX 2.6.1.2)")
            .remedy("convert the disk with the tool that made it"));
    }
    Ok(item)
}

/// Reads an item's content; the offset is that in the file.
fn read_item(
    file: &dyn BlockFile,
    region: Region,
    items: &[Item],
    id: Uuid,
    name: &'static str,
) -> Result<(u64, Vec<u8>), Error> {
    let item = items.iter().find(|item| item.id == id && !item.is_user).ok_or_else(|| {
        Error::corrupt(name)
            .at(region.offset)
            .found("no such item")
            .requires("the item to be there (MS-VHDX 2.6.2)")
    })?;
    read_content(file, region, item, name)
}

/// An item's content, and its offset in the file.
fn read_content(
    file: &dyn BlockFile,
    region: Region,
    item: &Item,
    name: &'static str,
) -> Result<(u64, Vec<u8>), Error> {
    let at = region.offset + item.offset;
    let mut bytes = vec![0; to_usize(item.length)];
    read_structure(file, name, at, &mut bytes)?;
    Ok((at, bytes))
}

/// An item of a fixed length.
struct Fixed<const N: usize> {
    name: &'static str,
    at: u64,
    bytes: [u8; N],
}

impl<const N: usize> Fixed<N> {
    fn read(
        file: &dyn BlockFile,
        region: Region,
        items: &[Item],
        id: Uuid,
        name: &'static str,
    ) -> Result<Self, Error> {
        let (at, bytes) = read_item(file, region, items, id, name)?;
        let found = to_u64(bytes.len());
        let bytes = bytes.try_into().map_err(|_| {
            Error::corrupt(name)
                .at(at)
                .found(format!("{found} bytes"))
                .requires(format!("{N} bytes (MS-VHDX 2.6.2)"))
        })?;
        Ok(Self { name, at, bytes })
    }

    fn fault(&self, found: String, requires: &'static str) -> Error {
        Error::corrupt(self.name).at(self.at).found(found).requires(requires)
    }
}
