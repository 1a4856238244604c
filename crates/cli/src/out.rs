//! Output. A reader that goes away, as `head` does, ends the program without a word.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::Exit;

/// Writes to standard output.
pub(crate) fn out(text: impl Display) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        if error.kind() != ErrorKind::BrokenPipe {
            eprintln!("error: the output cannot be written: {error}");
        }
        std::process::exit(Exit::Environment as i32);
    }
}

/// Writes a file beside its name, and renames it when it is whole: nobody finds half of it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}
