//! Paths as images store them: with backslashes, relative to the child's folder or absolute on a drive.

use std::path::{Path, PathBuf};

/// What stands in front of paths that Windows takes as they are.
const PREFIX: &str = "\\\\?\\";

/// The way from a folder to a file, with backslashes: `.\name`, `..\folder\name`.
pub(crate) fn relative(folder: &Path, file: &Path) -> String {
    let from: Vec<_> = folder.components().collect();
    let to: Vec<_> = file.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts = vec!["..".to_owned(); from.len() - shared];
    if parts.is_empty() {
        parts.push(".".to_owned());
    }
    parts.extend(to[shared..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned()));
    parts.join("\\")
}

/// A host's absolute path as one on drive `c:`.
pub(crate) fn absolute(path: &Path) -> String {
    format!("c:{}", path.to_string_lossy().replace('/', "\\"))
}

/// A relative Windows path as one of the host.
pub(crate) fn to_host(windows: &str) -> PathBuf {
    PathBuf::from(windows.replace('\\', "/"))
}

/// An absolute Windows path, with or without `\\?\`, as one of the host: the drive is left out, and so is the
/// `UNC` of a share.
pub(crate) fn absolute_to_host(windows: &str) -> PathBuf {
    let plain = windows.strip_prefix(PREFIX).unwrap_or(windows);
    if let Some(share) = windows.strip_prefix(PREFIX).and_then(|path| path.strip_prefix("UNC\\")) {
        return Path::new("//").join(to_host(share));
    }
    match plain.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => to_host(&plain[2..]),
        _ => to_host(plain),
    }
}

/// A path on a volume, `\\?\Volume{GUID}\folder\file`, as paths of the host. The host knows no such GUIDs, but
/// the volume is mounted at a folder above the child, or its content was copied to one: the path on the volume
/// is looked for under the child's folder and under each folder above it.
pub(crate) fn on_volume_to_host(windows: &str, child: &Path) -> Vec<PathBuf> {
    let volume = windows.strip_prefix(PREFIX).filter(|rest| rest.to_ascii_lowercase().starts_with("volume{"));
    match volume.and_then(|rest| rest.split_once("}\\")) {
        Some((_, tail)) => {
            let tail = to_host(tail.trim_start_matches('\\'));
            child.ancestors().skip(1).map(|folder| folder.join(&tail)).collect()
        }
        None => vec![absolute_to_host(windows)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_folder_is_dot() {
        assert_eq!(relative(Path::new("/a"), Path::new("/a/p.vhdx")), ".\\p.vhdx");
        assert_eq!(relative(Path::new("/a/b"), Path::new("/a/c/p.vhdx")), "..\\c\\p.vhdx");
    }

    #[test]
    fn drives_are_left_out() {
        assert_eq!(absolute_to_host("\\\\?\\UNC\\host\\share\\p.vhd"), Path::new("//host/share/p.vhd"));
        for windows in ["c:\\vm\\p.vhd", "\\\\?\\C:\\vm\\p.vhd", "/vm/p.vhd"] {
            assert_eq!(absolute_to_host(windows), Path::new("/vm/p.vhd"));
        }
        assert_eq!(absolute(Path::new("/vm/p.vhd")), "c:\\vm\\p.vhd");
    }
}
