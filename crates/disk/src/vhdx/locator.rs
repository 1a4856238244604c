//! The parent locator (MS-VHDX 2.6.2.6): how a differencing file names its parent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::bytes::{get_guid, get_u16, get_u32, put, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::FileSystem;
use crate::paths;

/// The type of locators that VHDX defines: the parent is a VHDX file.
const VHDX_TYPE: Uuid = Uuid::from_u128(0xB04A_EFB7_D19E_4A81_B789_25B8_E944_5913);
const MAX_PAIRS: u16 = 256;
const HEAD: usize = 20;
const PAIR: usize = 12;

const LINKAGE: &str = "parent_linkage";
const LINKAGE2: &str = "parent_linkage2";
const RELATIVE: &str = "relative_path";
const VOLUME: &str = "volume_path";
const ABSOLUTE: &str = "absolute_win32_path";

/// The key-value pairs of a parent locator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locator(BTreeMap<String, String>);

impl Locator {
    /// A locator for a parent with this DataWriteGuid. `child` and `parent` are absolute host paths; they are
    /// written with backslashes, the absolute one under drive `c:`, as the format wants.
    pub(crate) fn new(linkage: Uuid, child: &Path, parent: &Path) -> Self {
        let relative = paths::relative(child.parent().unwrap_or(Path::new("/")), parent);
        let absolute = format!("\\\\?\\{}", paths::absolute(parent));
        Self(BTreeMap::from([
            (LINKAGE.to_owned(), linkage.braced().to_string()),
            (RELATIVE.to_owned(), relative),
            (ABSOLUTE.to_owned(), absolute),
        ]))
    }

    /// Whether a parent with this DataWriteGuid is the one meant. `parent_linkage2` counts too: it is there
    /// while a merge into the parent is under way.
    pub(crate) fn accepts(&self, data_write_guid: Uuid) -> bool {
        self.accepted().contains(&data_write_guid)
    }

    /// The DataWriteGuids that a parent may have.
    pub(crate) fn accepted(&self) -> Vec<Uuid> {
        let linkages = [LINKAGE, LINKAGE2].into_iter().filter_map(|key| self.0.get(key));
        linkages.filter_map(|value| Uuid::try_parse(value).ok()).collect()
    }

    /// Whether this is the DataWriteGuid that a merge announced, and not the one before it.
    pub(crate) fn expects(&self, data_write_guid: Uuid) -> bool {
        let names = |key: &str| {
            let value = self.0.get(key).and_then(|value| Uuid::try_parse(value).ok());
            value == Some(data_write_guid)
        };
        names(LINKAGE2) && !names(LINKAGE)
    }

    /// The same locator for a merge under way: it accepts the parent as it is, and as it will be.
    pub(crate) fn accepting(&self, present: Uuid, coming: Uuid) -> Self {
        let mut pairs = self.0.clone();
        pairs.insert(LINKAGE.to_owned(), present.braced().to_string());
        pairs.insert(LINKAGE2.to_owned(), coming.braced().to_string());
        Self(pairs)
    }

    /// The same linkage with the paths to where the parent is now. A volume path goes: which volume that is
    /// Windows alone knows.
    pub(crate) fn repointed(&self, child: &Path, parent: &Path) -> Self {
        let mut pairs = self.0.clone();
        pairs.remove(VOLUME);
        let fresh = Self::new(Uuid::nil(), child, parent);
        for key in [RELATIVE, ABSOLUTE] {
            pairs.insert(key.to_owned(), fresh.0[key].clone());
        }
        Self(pairs)
    }

    /// The linkage as it stands in the file, for messages.
    pub(crate) fn linkage(&self) -> &str {
        self.0.get(LINKAGE).map_or("", String::as_str)
    }

    /// Host paths to try, in the order the format gives: relative, on a volume, absolute (MS-VHDX 2.6.2.6.3).
    pub(crate) fn candidates(&self, fs: &dyn FileSystem, child: &Path) -> Vec<PathBuf> {
        let folder = child.parent().unwrap_or(Path::new(""));
        let relative = self.0.get(RELATIVE).map(|value| folder.join(paths::to_host(value)));
        let place = fs.absolute(child).unwrap_or_else(|_| child.to_path_buf());
        let volume = self.0.get(VOLUME).map(|value| paths::on_volume_to_host(value, &place));
        let absolute = self.0.get(ABSOLUTE).map(|value| paths::absolute_to_host(value));
        relative.into_iter().chain(volume.into_iter().flatten()).chain(absolute).collect()
    }

    /// Reads the item's content. Errors carry no offset; the caller knows it.
    pub(crate) fn decode(item: &[u8]) -> Result<Self, Error> {
        let fault = |found: &str, requires: &'static str| {
            Error::corrupt("parent locator").found(found).requires(requires)
        };
        if item.len() < HEAD {
            return Err(fault("fewer than 20 bytes", "a head of 20 bytes (MS-VHDX 2.6.2.6)"));
        }
        let kind = get_guid(item, 0);
        if kind != VHDX_TYPE {
            return Err(Error::new(ErrorKind::Unsupported, "parent locator")
                .found(format!("locator type {kind}"))
                .requires(format!("{VHDX_TYPE}, a VHDX parent (MS-VHDX 2.6.2.6.3)")));
        }
        let count = get_u16(item, 18);
        if count > MAX_PAIRS || item.len() < HEAD + PAIR * usize::from(count) {
            return Err(fault(&format!("{count} entries"), "at most 256, within the item"));
        }
        let mut pairs = BTreeMap::new();
        let mut text_len = 0;
        for index in 0..usize::from(count) {
            let entry = &item[HEAD + PAIR * index..][..PAIR];
            let text = |offset: usize, length: usize| {
                decode_text(item, get_u32(entry, offset), get_u16(entry, length)).ok_or_else(|| {
                    fault(
                        &format!("entry {index} with a bad string"),
                        "UTF-16 text within the item (MS-VHDX 2.6.2.6.2)",
                    )
                })
            };
            text_len += usize::from(get_u16(entry, 8)) + usize::from(get_u16(entry, 10));
            if text_len > item.len() {
                return Err(fault(
                    "more text than bytes",
                    "strings in places of their own (MS-VHDX 2.6.2.6.2)",
                ));
            }
            let key = text(0, 8)?;
            if pairs.insert(key.clone(), text(4, 10)?).is_some() {
                return Err(fault(&format!("key {key} a second time"), "every key once (MS-VHDX 2.6.2.6.2)"));
            }
        }
        if pairs.get(LINKAGE).is_none_or(|value| Uuid::try_parse(value).is_err()) {
            return Err(fault("no parent_linkage with a GUID", "one (MS-VHDX 2.6.2.6.3)"));
        }
        if ![RELATIVE, VOLUME, ABSOLUTE].iter().any(|key| pairs.contains_key(*key)) {
            let requires = "relative_path, volume_path or absolute_win32_path (MS-VHDX 2.6.2.6.3)";
            return Err(fault("no path of the parent", requires));
        }
        Ok(Self(pairs))
    }

    /// The item's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut item = vec![0; HEAD + PAIR * self.0.len()];
        put(&mut item, 0, &VHDX_TYPE.to_bytes_le());
        let count = u16::try_from(self.0.len()).expect("at most four keys");
        put(&mut item, 18, &count.to_le_bytes());
        for (index, pair) in self.0.iter().enumerate() {
            let entry = HEAD + PAIR * index;
            for (text, offset, length) in [(pair.0, 0, 8), (pair.1, 4, 10)] {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let at = u32::try_from(item.len()).expect("paths are short");
                let len = u16::try_from(bytes.len()).expect("host paths have at most 4 KiB");
                put(&mut item, entry + offset, &at.to_le_bytes());
                put(&mut item, entry + length, &len.to_le_bytes());
                item.extend_from_slice(&bytes);
            }
        }
        item
    }
}

fn decode_text(item: &[u8], offset: u32, length: u16) -> Option<String> {
    let start = to_usize(u64::from(offset));
    let bytes = item.get(start..start + usize::from(length))?;
    if start == 0 || bytes.is_empty() || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| get_u16(pair, 0)).collect();
    String::from_utf16(&units).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::MemFs;

    const GUID: Uuid = Uuid::from_u128(0xABCD_EF01_2345_4678_9ABC_DEF0_1234_5678);

    #[test]
    fn round_trip_with_lower_case_linkage() {
        let locator = Locator::new(GUID, Path::new("/vm/disks/c.avhdx"), Path::new("/vm/base/p.vhdx"));
        assert_eq!(locator.0[LINKAGE], "{abcdef01-2345-4678-9abc-def012345678}");
        assert_eq!(locator.0[RELATIVE], "..\\base\\p.vhdx");
        assert_eq!(locator.0[ABSOLUTE], "\\\\?\\c:\\vm\\base\\p.vhdx");
        assert_eq!(Locator::decode(&locator.encode()).unwrap(), locator);
        assert!(locator.accepts(GUID));
        assert!(!locator.accepts(Uuid::nil()));
        let moved = locator.candidates(&MemFs::new(), Path::new("/new/disks/c.avhdx"));
        assert_eq!(moved, [PathBuf::from("/new/disks/../base/p.vhdx"), PathBuf::from("/vm/base/p.vhdx")]);
    }

    #[test]
    fn a_volume_path_comes_between_the_relative_and_the_absolute_one() {
        let mut locator = Locator::new(GUID, Path::new("/vm/c.avhdx"), Path::new("/base/p.vhdx"));
        let volume = "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\base\\p.vhdx";
        locator.0.insert(VOLUME.to_owned(), volume.to_owned());
        assert_eq!(Locator::decode(&locator.encode()).unwrap(), locator);
        let found = locator.candidates(&MemFs::new(), Path::new("/mnt/vm/c.avhdx"));
        let want = ["/mnt/vm/../base/p.vhdx", "/mnt/vm/base/p.vhdx", "/mnt/base/p.vhdx", "/base/p.vhdx"];
        let want: Vec<PathBuf> = want.iter().chain(&["/base/p.vhdx"]).map(PathBuf::from).collect();
        assert_eq!(found, want);
        let moved = locator.repointed(Path::new("/a/c"), Path::new("/a/p"));
        assert!(!moved.0.contains_key(VOLUME) && moved.accepts(GUID));
    }

    #[test]
    fn a_locator_without_a_path_is_refused() {
        let mut locator = Locator::new(GUID, Path::new("/c"), Path::new("/p"));
        locator.0.remove(RELATIVE);
        assert!(Locator::decode(&locator.encode()).is_ok());
        locator.0.remove(ABSOLUTE);
        assert!(Locator::decode(&locator.encode()).unwrap_err().to_string().contains("volume_path"));
    }

    #[test]
    fn damaged_locators_are_refused() {
        let good = Locator::new(GUID, Path::new("/c"), Path::new("/p")).encode();
        for (at, value) in [(0, 0xFF), (18, 0xFF), (20, 0), (24, 0xFF), (28, 1), (29, 0xFF)] {
            let mut bad = good.clone();
            bad[at] = value;
            if at == 20 {
                bad[21] = 0;
            }
            assert!(Locator::decode(&bad).is_err(), "byte {at}");
        }
        assert!(Locator::decode(&good[..19]).is_err());
        assert!(Locator::decode(&good[..good.len() - 1]).is_err());
    }
}
