//! `oracle (FILE.vhdx OFFSET LENGTH)...` reads virtual disks with the crate wxtla, logs replayed. For each triple it
//! writes the disk's size (8 bytes, little-endian) and LENGTH bytes from OFFSET to standard output. Parents are
//! looked for in the file's own folder.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wxtla::images::vhdx::VhdxImage;
use wxtla::{
    ByteSource, ByteSourceHandle, FileDataSource, RelatedSourceRequest, RelatedSourceResolver, SourceHints,
    SourceIdentity,
};

/// The files of one folder by name.
struct Folder(PathBuf);

impl RelatedSourceResolver for Folder {
    fn resolve(&self, request: &RelatedSourceRequest) -> wxtla::Result<Option<ByteSourceHandle>> {
        let path = self.0.join(request.path.file_name().unwrap_or_default());
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(Arc::new(FileDataSource::open(path)?)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    for triple in words.chunks(3) {
        let [file, at, len] = triple else { return Err("usage: oracle (FILE.vhdx OFFSET LENGTH)...".into()) };
        read(Path::new(file), at.parse()?, len.parse()?, &mut out)
            .map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

fn read(path: &Path, at: u64, len: u64, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = Folder(path.parent().unwrap_or(Path::new("")).to_path_buf());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file name in UTF-8 is needed")?;
    let identity = SourceIdentity::from_relative_path(name)?;
    let hints = SourceHints::new().with_resolver(&folder).with_source_identity(&identity);
    let image = VhdxImage::open_with_hints(Arc::new(FileDataSource::open(path)?), hints)?;
    out.write_all(&image.size()?.to_le_bytes())?;
    for from in (at..at + len).step_by(1 << 20) {
        let count = usize::try_from((at + len - from).min(1 << 20))?;
        out.write_all(&image.read_bytes_at(from, count)?)?;
    }
    Ok(())
}
