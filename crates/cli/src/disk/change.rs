//! Changing images in place: `merge`, `resize`.

use std::path::{Path, PathBuf};

use hvrsim_disk::{OpenOptions, children_among, open};
use serde_json::json;

use super::{Failure, neighbours, same_file, seed, size};
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

/// Refuses to change an image under files that depend on it.
fn refuse_parent(path: &Path, children: &[PathBuf], force: bool) -> Result<(), Failure> {
    match children {
        [] => Ok(()),
        _ if force => Ok(()),
        [first, ..] => Err(Failure::input(format!(
            "{}: {} is a differencing file over it and would not fit it any more; merge or remove it first, \
             or use --force",
            path.display(),
            first.display()
        ))),
    }
}

pub(super) fn merge(arguments: &Merge) -> Result<Exit, Failure> {
    let child = &arguments.child;
    let details = open(child, &OpenOptions::read_only())?.details()?;
    let Some(parent) = details.parent.map(|parent| parent.path) else {
        let message = format!("{}: merge: found a disk without a parent", child.display());
        return Err(Failure::input(message));
    };
    let near = neighbours(&[child, &parent]);
    let mut siblings = children_among(&parent, &near)?;
    siblings.retain(|other| !same_file(other, child));
    refuse_parent(&parent, &siblings, arguments.force)?;
    let mut children = children_among(child, &near)?;
    children.retain(|other| !same_file(other, child));
    let parent = hvrsim_disk::merge(child, &children, seed(child))?;
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
    let mut children = children_among(path, &neighbours(&[path]))?;
    children.retain(|other| !same_file(other, path));
    refuse_parent(path, &children, arguments.force)?;
    let mut image = open(path, &OpenOptions::read_write(seed(path)))?;
    image.resize(arguments.size)?;
    image.close()?;
    if arguments.json {
        out(format_args!("{:#}\n", json!({ "old_size": old, "size": arguments.size })));
    } else {
        out(format_args!("{}: resized to {}\n", path.display(), size::show(arguments.size)));
    }
    Ok(Exit::Green)
}
