//! What can go wrong, told so that a storage administrator can act on it.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The kind of a failure: small and stable, for programs to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host refused an operation on a file; the source says why.
    Io,
    /// There is no such file.
    NotFound,
    /// The file to be created is there already.
    Exists,
    /// The host has no room left.
    NoSpace,
    /// A change was asked of an image that was opened read-only, or that lies on a read-only file system.
    ReadOnly,
    /// A structure contradicts its format.
    Corrupt,
    /// The file ends before what it should hold.
    Truncated,
    /// Valid perhaps, but of a format, version or feature that this crate does not handle.
    Unsupported,
    /// A size or offset is not a multiple of what the format requires.
    Misaligned,
    /// A range leaves the virtual disk.
    OutOfRange,
    /// The parent found is not the one that the child was made on, or it was changed since.
    ParentMismatch,
    /// The parent of a differencing image was not found.
    ParentNotFound,
    /// Differencing files stand over the image: a change would make them useless.
    HasChildren,
    /// A change log does not belong to this disk, or the disk changed without it.
    DiskMismatch,
    /// A change log was not closed: its writer died, and what it holds is not all that was written.
    NotClosed,
    /// An option of the caller is outside what the format allows.
    InvalidOption,
}

/// A failure with its context: file, structure, offset, what was found, what the format requires, the remedy.
pub struct Error(Box<Detail>);

struct Detail {
    kind: ErrorKind,
    structure: Cow<'static, str>,
    path: Option<PathBuf>,
    offset: Option<u64>,
    found: Option<String>,
    requires: Option<Cow<'static, str>>,
    remedy: Option<Cow<'static, str>>,
    source: Option<io::Error>,
}

impl Error {
    /// A failure of `kind` in `structure` (a noun: "region table 1").
    pub(crate) fn new(kind: ErrorKind, structure: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Detail {
            kind,
            structure: structure.into(),
            path: None,
            offset: None,
            found: None,
            requires: None,
            remedy: None,
            source: None,
        }))
    }

    /// A structure that contradicts its format.
    pub(crate) fn corrupt(structure: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, structure)
    }

    /// A failed operation of the host, its kind taken from the host's error.
    pub(crate) fn io(structure: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, structure);
        error.0.source = Some(source);
        match kind {
            ErrorKind::NoSpace => error.remedy("free space on the volume and repeat the operation"),
            ErrorKind::Truncated => error.remedy("restore the file from a complete copy"),
            _ => error,
        }
    }

    /// A failed operation of the host on a file that the caller handles itself.
    #[must_use]
    pub fn from_host(structure: &'static str, path: &Path, source: io::Error) -> Self {
        Self::io(structure, source).in_file(path)
    }

    /// Where in the file (or on the virtual disk, for ranges).
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// What stands there.
    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// What the format requires there.
    pub(crate) fn requires(mut self, requires: impl Into<Cow<'static, str>>) -> Self {
        self.0.requires = Some(requires.into());
        self
    }

    /// What the administrator can do.
    pub(crate) fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// The file concerned, unless an inner layer named one already (a parent's failure names the parent).
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// The same failure told of `path`, where it was of a file that stands in for it for a while.
    #[must_use]
    pub fn in_place_of(mut self, stand_in: &Path, path: &Path) -> Self {
        if self.0.path.as_deref() == Some(stand_in) {
            self.0.path = Some(path.to_path_buf());
        }
        self
    }

    /// The kind, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file concerned, where one is.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The structure concerned, as a noun.
    #[must_use]
    pub fn structure(&self) -> &str {
        &self.0.structure
    }

    /// The byte offset concerned: in the file, or on the virtual disk for `OutOfRange`.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &*self.0;
        if let Some(path) = &detail.path {
            write!(f, "{}: ", path.display())?;
        }
        write!(f, "{}", detail.structure)?;
        if let Some(offset) = detail.offset {
            write!(f, " at offset {offset}")?;
        }
        if let Some(found) = &detail.found {
            write!(f, ": found {found}")?;
        }
        if let Some(requires) = &detail.requires {
            let lead = if detail.found.is_some() { "; required: " } else { ": required: " };
            write!(f, "{lead}{requires}")?;
        }
        if let Some(source) = &detail.source {
            write!(f, ": {source}")?;
        }
        match &detail.remedy {
            Some(remedy) => write!(f, ". Remedy: {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_everything_an_administrator_needs() {
        let error = Error::corrupt("BAT entry 5")
            .at(3_145_768)
            .found("state 4")
            .requires("0..3, 6 or 7 (MS-VHDX 2.5.1.1)")
            .remedy("restore the file from a backup")
            .in_file(Path::new("/vm/web.vhdx"))
            .in_file(Path::new("/other"));
        assert_eq!(
            error.to_string(),
            "/vm/web.vhdx: BAT entry 5 at offset 3145768: found state 4; required: 0..3, 6 or 7 \
             (MS-VHDX 2.5.1.1). Remedy: restore the file from a backup"
        );
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.offset(), Some(3_145_768));
    }

    #[test]
    fn host_errors_keep_their_kind() {
        let full = Error::io("payload", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.kind(), ErrorKind::NoSpace);
        let gone = Error::io("file", io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}
