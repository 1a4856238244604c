//! Changing images in place: `merge`, `resize`.

use std::path::PathBuf;

use hvrsim_disk::file::HostFs;
use hvrsim_disk::{Error, ErrorKind, MergeOptions, Merged, OpenOptions, merge_observed, open};
use serde_json::json;

use super::{Failure, bar, seed, size};
use crate::Exit;
use crate::out::out;

/// Arguments of `disk merge`.
#[derive(clap::Args)]
pub(super) struct Merge {
    /// The differencing file; its parent gets its content, and it is removed
    child: PathBuf,
    /// Merge though other differencing files stand over the parent: they will not fit it any more
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `disk resize`.
#[derive(clap::Args)]
pub(super) struct Resize {
    /// The image
    image: PathBuf,
    /// The new size of the disk: bytes, or a number with K, M, G or T
    #[arg(value_parser = size::parse)]
    size: u64,
    /// Allow a smaller size: what lies behind it is lost
    #[arg(long)]
    shrink: bool,
    /// Resize though differencing files stand over the image: they will not fit it any more
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells of `--force`, where files that depend on an image are all that is in the way.
fn forcible(error: Error) -> Failure {
    let children = error.kind() == ErrorKind::HasChildren;
    let mut failure = Failure::from(error);
    if children {
        failure.message.push_str(", or use --force: they will not fit it any more");
    }
    failure
}

pub(super) fn merge(arguments: &Merge) -> Result<Exit, Failure> {
    let child = &arguments.child;
    let size = open(child, &OpenOptions::read_only())?.size();
    let options = MergeOptions::new(seed(child));
    let options = if arguments.force { options.over_siblings() } else { options };
    let bar = bar(size, arguments.json);
    let merged = merge_observed(&HostFs, child, &options, &mut |at| bar.set_position(at));
    bar.finish_and_clear();
    let Merged { parent, children, .. } = merged.map_err(forcible)?;
    if arguments.json {
        let moved: Vec<String> = children.iter().map(|path| path.display().to_string()).collect();
        let value = json!({ "parent": parent.display().to_string(), "moved_children": moved });
        out(format_args!("{value:#}\n"));
    } else {
        out(format_args!("{}: merged into {}\n", child.display(), parent.display()));
        for path in children {
            out(format_args!("{}: stands over {} now\n", path.display(), parent.display()));
        }
    }
    Ok(Exit::Green)
}

pub(super) fn resize(arguments: &Resize) -> Result<Exit, Failure> {
    let path = &arguments.image;
    let old = open(path, &OpenOptions::read_only())?.size();
    if arguments.size < old && !arguments.shrink {
        return Err(Failure::input(format!(
            "{}: the disk has {}; a smaller one loses what lies behind its end: use --shrink",
            path.display(),
            size::show(old)
        )));
    }
    let options = OpenOptions::read_write(seed(path));
    let options = if arguments.force { options.under_children() } else { options };
    let mut image = open(path, &options).map_err(forcible)?;
    image.resize(arguments.size)?;
    image.close()?;
    if arguments.json {
        out(format_args!("{:#}\n", json!({ "old_size": old, "size": arguments.size })));
    } else {
        out(format_args!("{}: resized to {}\n", path.display(), size::show(arguments.size)));
    }
    Ok(Exit::Green)
}
