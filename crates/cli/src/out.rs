//! Output. A reader that goes away, as `head` does, ends the program without a word.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

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
