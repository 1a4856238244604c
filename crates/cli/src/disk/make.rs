//! Making images: `create`, `convert`, `snapshot`. Each is made beside its name and renamed when complete.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use hvrsim_disk::file::{FileSystem, HostFs};
use hvrsim_disk::{
    ChildOptions, CopyOptions, CreateOptions, Error, ErrorKind, Image, OpenOptions, copy_sparse_observed,
    create_child, open,
};
use serde_json::json;

use super::{Failure, bar, may_write, same_file, seed, size};
use crate::Exit;
use crate::out::out;

/// A container format that can be made.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    Vhdx,
    Vhd,
    Raw,
}

/// What a new file is to be, however it is filled.
#[derive(clap::Args)]
struct Shape {
    /// The format, in place of the one that the file's ending says (.vhdx .vhd .raw .img)
    #[arg(long, value_enum)]
    to: Option<To>,
    /// A fixed disk: as large as its content from the beginning
    #[arg(long)]
    fixed: bool,
    /// Bytes of a block, a power of two
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    block_size: Option<u64>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `disk create`.
#[derive(clap::Args)]
pub(super) struct Create {
    /// The file to be made
    image: PathBuf,
    /// Size of the disk: bytes, or a number with K, M, G or T
    #[arg(value_parser = size::parse)]
    size: u64,
    /// Bytes of a logical sector: 512, for VHDX also 4096
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    sector: u32,
    #[command(flatten)]
    shape: Shape,
}

/// Arguments of `disk convert`.
#[derive(clap::Args)]
pub(super) struct Convert {
    /// The image that is read; its format is found by its content, and it is never changed
    #[arg(value_name = "IN")]
    source: PathBuf,
    /// The file to be made
    #[arg(value_name = "OUT")]
    target: PathBuf,
    #[command(flatten)]
    shape: Shape,
}

/// Arguments of `disk snapshot`.
#[derive(clap::Args)]
pub(super) struct Snapshot {
    /// The image under the new file; it must not be changed from then on
    parent: PathBuf,
    /// The differencing file to be made (.avhdx over VHDX, .avhd over VHD)
    child: PathBuf,
    /// Bytes of a block, a power of two
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    block_size: Option<u64>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Shape {
    /// The format: as asked for, else by the file's ending.
    fn format(&self, path: &Path) -> Result<To, Failure> {
        if let Some(to) = self.to {
            return Ok(to);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("vhdx" | "avhdx") => Ok(To::Vhdx),
            Some("vhd" | "avhd") => Ok(To::Vhd),
            Some("raw" | "img") => Ok(To::Raw),
            _ => Err(Failure::input(format!(
                "{}: the ending tells no format; expected .vhdx, .vhd, .raw or .img, or --to",
                path.display()
            ))),
        }
    }
}

impl Shape {
    /// Refuses what the format has no place for.
    fn check(&self, path: &Path, format: To) -> Result<(), Failure> {
        let without_blocks = format == To::Raw || (format == To::Vhd && self.fixed);
        if self.block_size.is_some() && without_blocks {
            let message =
                format!("{}: --block-size: a raw image or a fixed VHD has no blocks", path.display());
            return Err(Failure::input(message));
        }
        Ok(())
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

/// An error told of the file that was asked for, not of the one that stands in for it until it is complete. The
/// rest of an interrupted command is told of by its own name.
fn told_of(error: Error, path: &Path) -> Failure {
    let partial = partial(path);
    if error.kind() == ErrorKind::Exists && error.path() == Some(&partial) {
        return Failure::input(format!(
            "{}: the rest of a command that was interrupted is in the way; remove it, unless that command still runs",
            partial.display()
        ));
    }
    error.in_place_of(&partial, path).into()
}

/// Makes a file under another name beside `path`, and renames it when it is complete and durable.
fn beside(path: &Path, make: impl FnOnce(&Path) -> Result<Box<dyn Image>, Error>) -> Result<(), Failure> {
    let partial = partial(path);
    let image = make(&partial).map_err(|error| told_of(error, path))?;
    let done = image.close().and_then(|()| {
        HostFs.rename(&partial, path).map_err(|error| Error::from_host("new image", path, error))
    });
    if done.is_err() {
        // The first failure is the one to tell.
        let _ = HostFs.remove(&partial);
    }
    done.map_err(|error| told_of(error, path))
}

pub(super) fn create(arguments: &Create) -> Result<Exit, Failure> {
    let (path, shape) = (&arguments.image, &arguments.shape);
    may_write(path, shape.force)?;
    let seed = seed(path);
    let format = shape.format(path)?;
    shape.check(path, format)?;
    if format != To::Vhdx && arguments.sector != 512 {
        let message =
            format!("{}: --sector: this format has sectors of 512 bytes only; use VHDX", path.display());
        return Err(Failure::input(message));
    }
    let options = match format {
        To::Vhdx => CreateOptions::vhdx(arguments.size, seed).logical_sector(arguments.sector),
        To::Vhd => CreateOptions::vhd(arguments.size, seed),
        To::Raw => CreateOptions::raw(arguments.size),
    };
    let options = shape.block_size.map_or(options, |bytes| options.block_size(bytes)).fixed(shape.fixed);
    beside(path, |partial| hvrsim_disk::create(partial, &options))?;
    tell(path, arguments.size, "created", shape.json);
    Ok(Exit::Green)
}

pub(super) fn convert(arguments: &Convert) -> Result<Exit, Failure> {
    let (source, target, shape) = (&arguments.source, &arguments.target, &arguments.shape);
    if same_file(source, target) {
        return Err(Failure::input(format!("{}: IN and OUT are one file", source.display())));
    }
    may_write(target, shape.force)?;
    let seed = seed(target);
    let format = shape.format(target)?;
    shape.check(target, format)?;
    let options = match format {
        To::Vhdx => CopyOptions::vhdx(seed),
        To::Vhd => CopyOptions::vhd(seed),
        To::Raw => CopyOptions::raw(),
    };
    let options = shape.block_size.map_or(options, |bytes| options.block_size(bytes)).fixed(shape.fixed);
    let size = open(source, &OpenOptions::read_only())?.size();
    let bar = bar(size, shape.json);
    let copied = copy_sparse_observed(&HostFs, source, target, &options, &mut |at| bar.set_position(at));
    bar.finish_and_clear();
    copied.map_err(|error| told_of(error, target))?;
    tell(target, size, "converted", shape.json);
    Ok(Exit::Green)
}

fn tell(path: &Path, size: u64, what: &str, json: bool) {
    if json {
        out(format_args!("{:#}\n", json!({ "file": path.display().to_string(), "size": size })));
    } else {
        out(format_args!("{}: {what}, {}\n", path.display(), size::show(size)));
    }
}

pub(super) fn snapshot(arguments: &Snapshot) -> Result<Exit, Failure> {
    let (parent, child) = (&arguments.parent, &arguments.child);
    if same_file(parent, child) {
        return Err(Failure::input(format!("{}: the parent and the child are one file", parent.display())));
    }
    may_write(child, arguments.force)?;
    let options = ChildOptions::new(seed(child));
    let options = arguments.block_size.map_or(options, |bytes| options.block_size(bytes));
    beside(child, |partial| create_child(parent, partial, &options))?;
    if arguments.json {
        let value = json!({ "file": child.display().to_string(), "parent": parent.display().to_string() });
        out(format_args!("{value:#}\n"));
    } else {
        out(format_args!("{}: created over {}\n", child.display(), parent.display()));
    }
    Ok(Exit::Green)
}
