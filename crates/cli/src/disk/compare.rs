//! `disk compare`.

use std::path::PathBuf;

use hvrsim_disk::{OpenOptions, open};
use serde_json::json;

use super::{Failure, bar, size};
use crate::Exit;
use crate::out::out;

/// Arguments of `disk compare`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// One image; both are only read
    left: PathBuf,
    /// The other one
    right: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn compare(arguments: &Arguments) -> Result<Exit, Failure> {
    let left = open(&arguments.left, &OpenOptions::read_only())?;
    let right = open(&arguments.right, &OpenOptions::read_only())?;
    let bar = bar(left.size().min(right.size()), arguments.json);
    let compared = hvrsim_disk::compare(&*left, &*right, &mut |at| bar.set_position(at));
    bar.finish_and_clear();
    let found = compared?;
    if arguments.json {
        let value = json!({
            "equal": found.is_equal(),
            "sizes": [left.size(), right.size()],
            "first_difference": found.first,
            "differing_bytes": found.differing,
        });
        out(format_args!("{value:#}\n"));
    } else if found.is_equal() {
        out(format_args!("equal, {}\n", size::show(left.size())));
    } else {
        if let Some((left, right)) = found.sizes {
            out(format_args!("sizes differ: {} and {}\n", size::show(left), size::show(right)));
        }
        if let Some(first) = found.first {
            let cells = found.differing;
            out(format_args!("first difference at byte {first}; {cells} bytes in cells of 4 KiB differ\n"));
        }
    }
    Ok(if found.is_equal() { Exit::Green } else { Exit::Red })
}
