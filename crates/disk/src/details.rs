//! What the files of an image say of themselves.

use std::path::PathBuf;

use uuid::Uuid;

use crate::image::Format;

/// How a file keeps its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All of it is there from the beginning.
    Fixed,
    /// Blocks appear as they are written.
    Dynamic,
    /// Only what differs from a parent.
    Differencing,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
            Self::Differencing => "differencing",
        })
    }
}

/// One file of a chain. What a format does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// Where the file was found.
    pub path: PathBuf,
    /// Its container format.
    pub format: Format,
    /// How it keeps its disk.
    pub kind: Kind,
    /// Bytes of the virtual disk.
    pub size: u64,
    /// Bytes of the file, holes included.
    pub file_len: u64,
    /// Bytes of a block.
    pub block_size: Option<u64>,
    /// Blocks that have a place in the file.
    pub present_blocks: Option<u64>,
    /// Bytes of a logical sector.
    pub logical_sector: u32,
    /// Bytes of a physical sector.
    pub physical_sector: Option<u32>,
    /// VHDX: the disk's SCSI page 83 identity. VHD: the file's own.
    pub id: Option<Uuid>,
    /// VHDX: new at every session that changes the file.
    pub file_write_guid: Option<Uuid>,
    /// VHDX: new at every session that changes the content; children name their parent by it.
    pub data_write_guid: Option<Uuid>,
    /// VHD: cylinders, heads, sectors per track.
    pub geometry: Option<(u16, u8, u8)>,
    /// VHD: the program that made the file.
    pub creator: Option<String>,
    /// VHDX: a log waits to be replayed into the file.
    pub log_to_replay: bool,
    /// What is damaged though the disk can be read: opening for writing and repairing mends it.
    pub weak: Vec<String>,
    /// The parent of a differencing file, opened.
    pub parent: Option<Box<Details>>,
}
