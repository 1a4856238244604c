//! `oracle (FILE.vhdx OFFSET LENGTH)...` reads virtual disks with the crate wxtla, logs replayed. For each triple it
//! writes the disk's size (8 bytes, little-endian) and LENGTH bytes from OFFSET to standard output. Parents are
//! looked for in the file's own folder.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wxtla::images::vhdx::VhdxImage;
use wxtla::{
    ByteSource, ByteSourceHandle, FileDataSource, RelatedSourceRequest, RelatedSourceResolver, SourceHints,
    SourceIdentity,
};

/// A file, read a page at a time: the crate reads every entry of a table by itself, 64 Mi of them for 64 TiB.
struct Paged {
    file: FileDataSource,
    /// The last page that was read, and where it begins.
    page: Mutex<(u64, Vec<u8>)>,
}

impl Paged {
    const PAGE: u64 = 64 << 10;

    fn open(path: &Path) -> wxtla::Result<ByteSourceHandle> {
        let file = FileDataSource::open(path)?;
        Ok(Arc::new(Self { file, page: Mutex::new((0, Vec::new())) }))
    }
}

impl ByteSource for Paged {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> wxtla::Result<usize> {
        if buf.len() > 4096 {
            return self.file.read_at(offset, buf);
        }
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, bytes) = &mut *page;
        if offset < *start || offset >= *start + bytes.len() as u64 {
            *start = offset / Self::PAGE * Self::PAGE;
            let len = Self::PAGE.min(self.file.size()?.saturating_sub(*start));
            bytes.resize(usize::try_from(len).unwrap_or(0), 0);
            self.file.read_exact_at(*start, bytes)?;
        }
        let from = usize::try_from(offset - *start).unwrap_or(usize::MAX);
        let found = bytes.get(from..).unwrap_or_default();
        let count = found.len().min(buf.len());
        buf[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }

    fn size(&self) -> wxtla::Result<u64> {
        self.file.size()
    }
}

/// The files of one folder by name.
struct Folder(PathBuf);

impl RelatedSourceResolver for Folder {
    fn resolve(&self, request: &RelatedSourceRequest) -> wxtla::Result<Option<ByteSourceHandle>> {
        let path = self.0.join(request.path.file_name().unwrap_or_default());
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(Paged::open(&path)?))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    let mut opened: Option<(&str, VhdxImage)> = None;
    for triple in words.chunks(3) {
        let [file, at, len] = triple else { return Err("usage: oracle (FILE.vhdx OFFSET LENGTH)...".into()) };
        let told = |error: Box<dyn Error>| format!("{file}: {error}");
        let image = match opened.take() {
            Some((name, image)) if name == file => image,
            _ => open(Path::new(file)).map_err(told)?,
        };
        read(&image, at.parse()?, len.parse()?, &mut out).map_err(told)?;
        opened = Some((file, image));
    }
    Ok(())
}

fn open(path: &Path) -> Result<VhdxImage, Box<dyn Error>> {
    let folder = Folder(path.parent().unwrap_or(Path::new("")).to_path_buf());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file name in UTF-8 is needed")?;
    let identity = SourceIdentity::from_relative_path(name)?;
    let hints = SourceHints::new().with_resolver(&folder).with_source_identity(&identity);
    Ok(VhdxImage::open_with_hints(Paged::open(path)?, hints)?)
}

fn read(image: &VhdxImage, at: u64, len: u64, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    out.write_all(&image.size()?.to_le_bytes())?;
    for from in (at..at + len).step_by(1 << 20) {
        let count = usize::try_from((at + len - from).min(1 << 20))?;
        out.write_all(&image.read_bytes_at(from, count)?)?;
    }
    Ok(())
}
