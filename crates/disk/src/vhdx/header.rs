//! The two headers (MS-VHDX 2.2.2): which one counts, and how both are replaced without ever losing both.

use uuid::Uuid;

use crate::bytes::{KIB, MIB, crc_without, get_guid, get_u16, get_u32, get_u64, put, seal, to_usize};
use crate::error::{Error, ErrorKind};
use crate::file::{BlockFile, read_structure};

/// Where the two headers stand.
pub(crate) const OFFSETS: [u64; 2] = [64 * KIB, 128 * KIB];
/// Bytes of one header that its checksum covers.
pub(crate) const LEN: u64 = 4 * KIB;
/// The longest log that is read; the format itself stops at 4 GiB.
const MAX_LOG: u64 = 1 << 30;
const CHECKSUM: usize = 4;

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub sequence: u64,
    /// New at every session that changes the file in any way.
    pub file_write_guid: Uuid,
    /// New at every session that changes what a guest could see; children name their parent by it.
    pub data_write_guid: Uuid,
    /// Nil when there is no log to replay.
    pub log_guid: Uuid,
    pub log_version: u16,
    pub version: u16,
    pub log_length: u32,
    pub log_offset: u64,
}

impl Header {
    /// Reads a header; `None` when signature or checksum are wrong.
    pub(crate) fn decode(buf: &[u8]) -> Option<Self> {
        if &buf[..4] != b"head" || get_u32(buf, CHECKSUM) != crc_without(buf, CHECKSUM) {
            return None;
        }
        Some(Self {
            sequence: get_u64(buf, 8),
            file_write_guid: get_guid(buf, 16),
            data_write_guid: get_guid(buf, 32),
            log_guid: get_guid(buf, 48),
            log_version: get_u16(buf, 64),
            version: get_u16(buf, 66),
            log_length: get_u32(buf, 68),
            log_offset: get_u64(buf, 72),
        })
    }

    /// The 4 KiB of this header, checksum included.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buf = vec![0; to_usize(LEN)];
        put(&mut buf, 0, b"head");
        put(&mut buf, 8, &self.sequence.to_le_bytes());
        put(&mut buf, 16, &self.file_write_guid.to_bytes_le());
        put(&mut buf, 32, &self.data_write_guid.to_bytes_le());
        put(&mut buf, 48, &self.log_guid.to_bytes_le());
        put(&mut buf, 64, &self.log_version.to_le_bytes());
        put(&mut buf, 66, &self.version.to_le_bytes());
        put(&mut buf, 68, &self.log_length.to_le_bytes());
        put(&mut buf, 72, &self.log_offset.to_le_bytes());
        seal(&mut buf, CHECKSUM);
        buf
    }

    /// Checks what the checksum cannot: versions and the place of the log.
    fn check(&self, at: u64) -> Result<(), Error> {
        let fault = |kind| Error::new(kind, "VHDX header").at(at);
        if self.version != 1 {
            return Err(fault(ErrorKind::Unsupported)
                .found(format!("format version {}", self.version))
                .requires("version 1 (MS-VHDX 2.2.2)")
                .remedy("convert the disk with the tool that made it"));
        }
        let length = u64::from(self.log_length);
        if !self.log_guid.is_nil() {
            if self.log_version != 0 {
                return Err(fault(ErrorKind::Unsupported)
                    .found(format!("log version {} with a log to replay", self.log_version))
                    .requires("version 0 (MS-VHDX 2.2.2)")
                    .remedy("open the disk once with the tool that wrote it, so that its log is replayed"));
            }
            if length == 0 {
                return Err(fault(ErrorKind::Corrupt)
                    .found("a log to replay but a log length of 0")
                    .requires("at least 1 MiB (MS-VHDX 2.2.2)"));
            }
        }
        if length > MAX_LOG {
            return Err(fault(ErrorKind::Unsupported)
                .found(format!("a log of {length} bytes"))
                .requires("at most 1 GiB"));
        }
        let aligned = length.is_multiple_of(MIB) && self.log_offset.is_multiple_of(MIB);
        if !aligned || self.log_offset.checked_add(length).is_none() || (length > 0 && self.log_offset < MIB)
        {
            return Err(fault(ErrorKind::Corrupt)
                .found(format!("a log of {length} bytes at {}", self.log_offset))
                .requires("length and offset in whole MiB, offset at least 1 MiB (MS-VHDX 2.2.2)"));
        }
        Ok(())
    }
}

/// The header that counts, and in which of the two places it stands.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub header: Header,
    slot: usize,
}

impl Current {
    /// Reads both headers and picks the current one: valid, with the higher sequence number. Equal numbers
    /// are accepted when both headers are the same bytes, as some writers leave them.
    pub(crate) fn read(file: &dyn BlockFile) -> Result<Self, Error> {
        let mut bytes = [vec![0; to_usize(LEN)], vec![0; to_usize(LEN)]];
        for (buf, at) in bytes.iter_mut().zip(OFFSETS) {
            read_structure(file, "VHDX header", at, buf)?;
        }
        let slot = match [Header::decode(&bytes[0]), Header::decode(&bytes[1])] {
            [Some(first), Some(second)] if first.sequence == second.sequence && bytes[0] != bytes[1] => {
                return Err(Error::corrupt("VHDX headers")
                    .at(OFFSETS[0])
                    .found(format!("two different headers, both with sequence number {}", first.sequence))
                    .requires("one of them to be newer (MS-VHDX 2.2.2)")
                    .remedy("restore the file from a backup"));
            }
            [Some(first), Some(second)] => usize::from(second.sequence > first.sequence),
            [Some(_), None] => 0,
            [None, Some(_)] => 1,
            [None, None] => {
                return Err(Error::corrupt("VHDX headers")
                    .at(OFFSETS[0])
                    .found("no valid signature and checksum in either header")
                    .requires("at least one valid header (MS-VHDX 2.2.2)")
                    .remedy("restore the file from a backup"));
            }
        };
        let header = Header::decode(&bytes[slot]).expect("the chosen header was decoded above");
        header.check(OFFSETS[slot])?;
        Ok(Self { header, slot })
    }

    /// Changes both headers: the one that does not count first, flushed, then the other, flushed, so that at
    /// every moment one valid header is on the disk. Flushes everything written to the file before as well.
    pub(crate) fn update(
        &mut self,
        file: &dyn BlockFile,
        change: impl FnOnce(&mut Header),
    ) -> Result<(), Error> {
        let mut header = self.header.clone();
        change(&mut header);
        for _ in 0..2 {
            header.sequence = header.sequence.checked_add(1).ok_or_else(|| {
                Error::corrupt("VHDX header")
                    .at(OFFSETS[self.slot])
                    .found("the highest sequence number there is")
            })?;
            let slot = 1 - self.slot;
            let at = OFFSETS[slot];
            file.write_at(at, &header.encode())
                .and_then(|()| file.flush())
                .map_err(|error| Error::io("VHDX header", error).at(at))?;
            *self = Self { header: header.clone(), slot };
        }
        Ok(())
    }
}
