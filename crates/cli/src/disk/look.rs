//! Looking at images without changing them: `info`, `check`, `map`, `log`.

use std::fmt::Write;
use std::path::PathBuf;

use hvrsim_disk::hrl::HrlReader;
use hvrsim_disk::{Details, ErrorKind, ExtentKind, Level, OpenOptions, open};
use serde_json::{Value, json};

use super::{Failure, seed, size};
use crate::Exit;
use crate::out::out;

/// Arguments of `disk info`.
#[derive(clap::Args)]
pub(super) struct Info {
    /// The image; it is only read
    image: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `disk check`.
#[derive(clap::Args)]
pub(super) struct Check {
    /// The image; only read without --repair
    image: PathBuf,
    /// Replay the log into the file, and write damaged headers, footers and tables anew from their copies
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `disk map`.
#[derive(clap::Args)]
pub(super) struct Map {
    /// The image; it is only read
    image: PathBuf,
    /// How deep to look: at the tables of the format alone, or at the holes of the host's files as well
    #[arg(long, value_enum, default_value = "host")]
    level: MapLevel,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How deep a map looks.
#[derive(Clone, Copy, clap::ValueEnum)]
enum MapLevel {
    Format,
    Host,
}

/// Arguments of `disk log`.
#[derive(clap::Args)]
pub(super) struct Log {
    /// The change log; it is only read
    log: PathBuf,
    /// Whether the log is one of this disk as it is now
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn info(arguments: &Info) -> Result<Exit, Failure> {
    let details = open(&arguments.image, &OpenOptions::read_only())?.details()?;
    if arguments.json {
        out(format_args!("{:#}\n", as_json(&details)));
    } else {
        let mut text = String::new();
        let mut next = Some(&details);
        while let Some(details) = next {
            describe(details, &mut text);
            next = details.parent.as_deref();
        }
        out(text);
    }
    Ok(Exit::Green)
}

/// One file of a chain, a line a fact.
fn describe(details: &Details, text: &mut String) {
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:16} {value}");
    };
    line("file", details.path.display().to_string());
    line("format", format!("{}, {}", details.format, details.kind));
    line("disk", size::show(details.size));
    line("file length", size::show(details.file_len));
    if let Some(bytes) = details.block_size {
        line("blocks", format!("{}, {} present", size::show(bytes), details.present_blocks.unwrap_or(0)));
    }
    let physical = details.physical_sector.map(|bytes| format!(", physical {bytes}")).unwrap_or_default();
    line("sectors", format!("logical {}{physical}", details.logical_sector));
    for (name, id) in [("disk id", details.id), ("DataWriteGuid", details.data_write_guid)] {
        if let Some(id) = id {
            line(name, id.to_string());
        }
    }
    if let Some((cylinders, heads, sectors)) = details.geometry {
        line("geometry", format!("{cylinders} cylinders, {heads} heads, {sectors} sectors"));
    }
    if let Some(creator) = &details.creator {
        line("creator", creator.clone());
    }
    if details.log_to_replay {
        line("log", "to be replayed: opening for writing or `disk check --repair` does it".into());
    }
    for weak in &details.weak {
        line("damaged", weak.clone());
    }
    if details.parent.is_some() {
        line("parent", "below".into());
        text.push('\n');
    }
}

fn as_json(details: &Details) -> Value {
    json!({
        "file": details.path.display().to_string(),
        "format": details.format.to_string().to_lowercase(),
        "kind": details.kind.to_string(),
        "size": details.size,
        "file_length": details.file_len,
        "block_size": details.block_size,
        "present_blocks": details.present_blocks,
        "logical_sector": details.logical_sector,
        "physical_sector": details.physical_sector,
        "id": details.id.map(|id| id.to_string()),
        "file_write_guid": details.file_write_guid.map(|id| id.to_string()),
        "data_write_guid": details.data_write_guid.map(|id| id.to_string()),
        "geometry": details.geometry.map(|(cylinders, heads, sectors)| {
            json!({ "cylinders": cylinders, "heads": heads, "sectors": sectors })
        }),
        "creator": details.creator,
        "log_to_replay": details.log_to_replay,
        "damaged": details.weak,
        "parent": details.parent.as_deref().map(as_json),
    })
}

/// What is to be mended in the files of a chain: path and text, the topmost file's first.
fn findings(details: &Details) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut next = Some(details);
    while let Some(details) = next {
        let file = details.path.display().to_string();
        if details.log_to_replay {
            found.push((file.clone(), "a log waits to be replayed".to_owned()));
        }
        found.extend(details.weak.iter().map(|weak| (file.clone(), weak.clone())));
        next = details.parent.as_deref();
    }
    found
}

pub(super) fn check(arguments: &Check) -> Result<Exit, Failure> {
    let look = || open(&arguments.image, &OpenOptions::read_only()).and_then(|image| image.details());
    let before = match look() {
        Ok(details) => findings(&details),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Io) => return Err(error.into()),
        Err(error) => {
            if arguments.json {
                out(format_args!("{:#}\n", json!({ "sound": false, "damaged": [error.to_string()] })));
            } else {
                out(format_args!("{error}\n"));
            }
            return Ok(Exit::Red);
        }
    };
    let mut left = before.clone();
    if arguments.repair && !before.is_empty() {
        // Mending changes nothing that a file over this one could see.
        let options = OpenOptions::read_write(seed(&arguments.image)).under_children();
        let mut image = open(&arguments.image, &options)?;
        image.repair()?;
        image.close()?;
        left = findings(&look()?);
    }
    let mended = before.iter().filter(|finding| !left.contains(finding));
    let lines = |list: &[(String, String)]| list.iter().map(|(f, t)| format!("{f}: {t}")).collect::<Vec<_>>();
    if arguments.json {
        let mended: Vec<_> = mended.cloned().collect();
        let value = json!({ "sound": left.is_empty(), "damaged": lines(&left), "repaired": lines(&mended) });
        out(format_args!("{value:#}\n"));
    } else {
        for (file, text) in mended {
            out(format_args!("{file}: repaired: {text}\n"));
        }
        for line in lines(&left) {
            out(format_args!("{line}\n"));
        }
        if left.is_empty() {
            out(format_args!("{}: sound\n", arguments.image.display()));
        }
    }
    Ok(if left.is_empty() { Exit::Green } else { Exit::Red })
}

pub(super) fn map(arguments: &Map) -> Result<Exit, Failure> {
    let image = open(&arguments.image, &OpenOptions::read_only())?;
    let name = |kind| match kind {
        ExtentKind::Absent => "absent",
        ExtentKind::Zero => "zero",
        ExtentKind::Data => "data",
        ExtentKind::Parent => "parent",
    };
    let level = match arguments.level {
        MapLevel::Format => Level::Format,
        MapLevel::Host => Level::Host,
    };
    let extents = image.extents_at(0..image.size(), level)?;
    if arguments.json {
        let list: Vec<Value> = extents
            .iter()
            .map(|part| json!({ "start": part.start, "length": part.len, "kind": name(part.kind) }))
            .collect();
        out(format_args!("{:#}\n", Value::from(list)));
        return Ok(Exit::Green);
    }
    let mut text = format!("{:>16} {:>16} {}\n", "start", "length", "kind");
    for part in extents {
        let _ = writeln!(text, "{:>16} {:>16} {}", part.start, part.len, name(part.kind));
    }
    out(text);
    Ok(Exit::Green)
}

pub(super) fn log(arguments: &Log) -> Result<Exit, Failure> {
    // A log that cannot be used is damaged, not a wrong request.
    let damaged = |error: hvrsim_disk::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Io => Failure::from(error),
        _ => Failure { exit: Exit::Red, message: error.to_string() },
    };
    let log = HrlReader::open(&arguments.log).map_err(damaged)?;
    if let Some(disk) = &arguments.disk {
        let guid = open(disk, &OpenOptions::read_only())?.data_write_guid();
        log.check_disk(guid.unwrap_or_default()).map_err(damaged)?;
    }
    let info = log.info();
    let mut text = format!(
        "log {}\nafter {}\ncontent {}\ncreated {} s after 2000-01-01, changed {}\n{} writes\n",
        info.unique_id, info.previous_id, info.data_write_guid, info.created, info.modified, info.entries
    );
    let _ = writeln!(text, "{:>16} {:>12} {:>12}", "offset", "length", "time");
    let mut list = Vec::new();
    for entry in log.entries() {
        let entry = entry.map_err(damaged)?;
        let _ = writeln!(text, "{:>16} {:>12} {:>12}", entry.offset, entry.data.len(), entry.time);
        list.push(json!({ "offset": entry.offset, "length": entry.data.len(), "time": entry.time }));
    }
    if arguments.json {
        let value = json!({
            "id": info.unique_id.to_string(),
            "previous_id": info.previous_id.to_string(),
            "data_write_guid": info.data_write_guid.to_string(),
            "created": info.created,
            "modified": info.modified,
            "writes": list,
        });
        text = format!("{value:#}\n");
    }
    out(text);
    Ok(Exit::Green)
}
