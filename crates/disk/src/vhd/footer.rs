//! The footer: kind, size and identity of the disk.

use uuid::Uuid;

use super::{SECTOR, checksum, get_u32, get_u64, seal};
use crate::bytes::{array, put};
use crate::error::{Error, ErrorKind};

/// Bytes of a footer.
pub(crate) const LEN: u64 = 512;
/// What a footer begins with.
pub(crate) const COOKIE: &[u8; 8] = b"conectix";
/// The largest disk: 2040 GiB.
pub(super) const MAX_DISK: u64 = 0xFF00_0000 * SECTOR;

const CHECKSUM: usize = 64;
const VERSION: u32 = 0x0001_0000;
/// More sectors than this the geometry cannot tell.
const MAX_GEOMETRY: u64 = 65_535 * 16 * 255;
/// Writers that mean the size of the geometry; all others mean the current size.
const BY_GEOMETRY: [&[u8; 4]; 2] = [b"vpc ", b"qemu"];

/// The kinds of disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fixed = 2,
    Dynamic = 3,
    Differencing = 4,
}

/// A footer with a right checksum; fields that mean nothing here are kept as they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer([u8; 512]);

impl Footer {
    /// The footer of a new disk. The creator is one whose disks have the current size for every reader.
    pub(super) fn new(kind: Kind, size: u64, id: Uuid) -> Self {
        let mut buf = [0; 512];
        put(&mut buf, 0, COOKIE);
        put(&mut buf, 8, &2_u32.to_be_bytes());
        put(&mut buf, 12, &VERSION.to_be_bytes());
        let header = if kind == Kind::Fixed { u64::MAX } else { LEN };
        put(&mut buf, 16, &header.to_be_bytes());
        put(&mut buf, 28, b"win ");
        put(&mut buf, 32, &0x000A_0000_u32.to_be_bytes());
        put(&mut buf, 36, b"Wi2k");
        put(&mut buf, 40, &size.to_be_bytes());
        put(&mut buf, 60, &(kind as u32).to_be_bytes());
        put(&mut buf, 68, id.as_bytes());
        let mut footer = Self(buf);
        footer.set_size(size);
        footer
    }

    /// Reads a footer; `None` when cookie or checksum are wrong.
    pub(super) fn decode(buf: &[u8; 512]) -> Option<Self> {
        let good = &buf[..8] == COOKIE && get_u32(buf, CHECKSUM) == checksum(buf, CHECKSUM);
        good.then_some(Self(*buf))
    }

    pub(super) fn bytes(&self) -> &[u8; 512] {
        &self.0
    }

    /// Checks what the checksum cannot.
    pub(super) fn check(&self, at: u64) -> Result<Kind, Error> {
        let fault = |kind, found: String, requires: &'static str| {
            Err(Error::new(kind, "VHD footer").at(at).found(found).requires(requires))
        };
        let version = get_u32(&self.0, 12);
        if version >> 16 != VERSION >> 16 {
            return fault(ErrorKind::Unsupported, format!("version {version:#010x}"), "version 0x00010000");
        }
        if self.size() > MAX_DISK {
            let found = format!("a disk of {} bytes", self.size());
            return fault(ErrorKind::Corrupt, found, "at most 2040 GiB");
        }
        if self.size() == 0 || !self.size().is_multiple_of(SECTOR) {
            let found = format!("a disk of {} bytes", self.size());
            return fault(ErrorKind::Corrupt, found, "whole sectors of 512 bytes, at least one");
        }
        match get_u32(&self.0, 60) {
            2 => Ok(Kind::Fixed),
            3 => Ok(Kind::Dynamic),
            4 => Ok(Kind::Differencing),
            kind => {
                fault(ErrorKind::Corrupt, format!("disk type {kind}"), "2 fixed, 3 dynamic or 4 differencing")
            }
        }
    }

    /// Where the header of a sparse file stands.
    pub(super) fn header_offset(&self) -> u64 {
        get_u64(&self.0, 16)
    }

    /// Names another place of that header.
    pub(super) fn set_header_offset(&mut self, at: u64) {
        put(&mut self.0, 16, &at.to_be_bytes());
        seal(&mut self.0, CHECKSUM);
    }

    /// Bytes of the disk, by the field that this footer's writer means.
    pub(super) fn size(&self) -> u64 {
        let sectors = self.geometry_sectors();
        let by_geometry = BY_GEOMETRY.iter().any(|creator| self.creator() == &creator[..]);
        // A geometry at its limit cannot have told the size.
        if by_geometry && sectors != 0 && sectors < MAX_GEOMETRY {
            sectors * SECTOR
        } else {
            get_u64(&self.0, 48)
        }
    }

    /// Sets the current size and its geometry. A creator that goes by the geometry is replaced: it could not
    /// tell most sizes.
    pub(super) fn set_size(&mut self, size: u64) {
        let (cylinders, heads, sectors) = geometry(size / SECTOR);
        put(&mut self.0, 48, &size.to_be_bytes());
        put(&mut self.0, 56, &cylinders.to_be_bytes());
        self.0[58] = heads;
        self.0[59] = sectors;
        if self.size() != size {
            put(&mut self.0, 28, b"win ");
        }
        seal(&mut self.0, CHECKSUM);
    }

    fn geometry_sectors(&self) -> u64 {
        let cylinders = u64::from(u16::from_be_bytes(array(&self.0, 56)));
        cylinders * u64::from(self.0[58]) * u64::from(self.0[59])
    }

    /// Cylinders, heads, sectors per track.
    pub(super) fn geometry(&self) -> (u16, u8, u8) {
        (u16::from_be_bytes(array(&self.0, 56)), self.0[58], self.0[59])
    }

    /// The program that made the file, 4 characters.
    pub(super) fn creator(&self) -> &[u8] {
        &self.0[28..32]
    }

    /// Seconds since 2000-01-01 UTC.
    pub(super) fn time(&self) -> u32 {
        get_u32(&self.0, 24)
    }

    /// The identity by which a child names its parent.
    pub(super) fn id(&self) -> Uuid {
        Uuid::from_bytes(array(&self.0, 68))
    }
}

/// Cylinders, heads and sectors per track of a disk of this many sectors: never more than the disk has.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let sectors = sectors.min(MAX_GEOMETRY);
    let (heads, per_track) = if sectors >= 65_535 * 16 * 63 {
        (16, 255)
    } else {
        let heads = (sectors / 17).div_ceil(1024).max(4);
        if heads <= 16 && sectors / 17 < heads * 1024 {
            (heads, 17)
        } else if sectors / 31 < 16 * 1024 {
            (16, 31)
        } else {
            (16, 63)
        }
    };
    let narrow = |value: u64| u8::try_from(value).expect("at most 255");
    let cylinders = u16::try_from(sectors / per_track / heads).expect("capped above");
    (cylinders, narrow(heads), narrow(per_track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_at_the_edges() {
        let mib = 2048;
        for (sectors, want) in [
            (mib, (30, 4, 17)),
            (16 * mib, (481, 4, 17)),
            (4 * 1024 * 17 - 1, (1023, 4, 17)),
            (16 * 1024 * 17 - 1, (1023, 16, 17)),
            (16 * 1024 * 17, (561, 16, 31)),
            (16 * 1024 * 31, (503, 16, 63)),
            (65_535 * 16 * 63 - 1, (65_534, 16, 63)),
            (65_535 * 16 * 63, (16_191, 16, 255)),
            (0xFF00_0000, (65_535, 16, 255)),
        ] {
            assert_eq!(geometry(sectors), want, "{sectors} sectors");
        }
    }

    #[test]
    fn creators_decide_which_size_counts() {
        let size = (16 << 20) + 1536;
        let mut footer = Footer::new(Kind::Dynamic, size, Uuid::nil());
        for (creator, want) in
            [(b"win ", size), (b"vpc ", 16_746_496), (b"qemu", 16_746_496), (b"d2v ", size), (b"new!", size)]
        {
            put(&mut footer.0, 28, creator);
            assert_eq!(footer.size(), want);
        }
        put(&mut footer.0, 28, b"vpc ");
        footer.set_size(size);
        assert_eq!((footer.size(), footer.creator()), (size, &b"win "[..]));
        put(&mut footer.0, 28, b"vpc ");
        footer.set_size(2 << 40 >> 1);
        assert_eq!(footer.creator(), b"vpc ", "the maximal geometry means the current size");
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let footer = Footer::new(Kind::Fixed, 1 << 20, Uuid::from_u128(7));
        assert_eq!(Footer::decode(footer.bytes()), Some(footer.clone()));
        for at in 0..512 {
            let mut bad = *footer.bytes();
            bad[at] ^= 1;
            assert_eq!(Footer::decode(&bad), None, "byte {at}");
        }
    }
}
