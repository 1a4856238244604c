//! `hvrsim new` and `hvrsim schema`: a file to begin with, and what editors complete it by.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use hvrsim_scenario::schema;

use crate::Exit;
use crate::input;
use crate::out::out;

/// Arguments of `new`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The scenario's name; the file is NAME.yaml
    name: PathBuf,
}

/// Arguments of `schema`.
#[derive(clap::Args)]
pub(crate) struct SchemaArguments {
    /// Of which kind of file
    #[arg(value_enum, default_value = "scenario")]
    of: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A scenario
    Scenario,
    /// A topology that scenarios include
    Topology,
}

pub(crate) fn print_schema(arguments: &SchemaArguments) -> Exit {
    out(match arguments.of {
        Kind::Scenario => schema::scenario(),
        Kind::Topology => schema::topology(),
    });
    Exit::Green
}

pub(crate) fn new(arguments: &Arguments) -> Exit {
    let mut path = arguments.name.clone();
    if path.extension().is_none_or(|end| end != "yaml" && end != "yml") {
        path.as_mut_os_string().push(".yaml");
    }
    if path.exists() {
        eprintln!("{}: error: the file is there already; nothing was written", path.display());
        return Exit::Input;
    }
    let title = arguments.name.file_stem().unwrap_or_default().to_string_lossy().replace(['-', '_'], " ");
    let text = include_str!("new.yaml").replace("TITLE", &title.replace(['"', '\\'], " "));
    let schema = input::folder(&path).join(schema::FILE);
    match write(&path, &text, &schema) {
        Ok(()) => {
            let run = crate::report::quoted(&path);
            out(format_args!("{} is written; `hvrsim run {run}` runs it\n", path.display()));
            Exit::Green
        }
        Err(error) => {
            eprintln!("{}: error: {error}", path.display());
            Exit::Environment
        }
    }
}

fn write(path: &Path, text: &str, schema: &Path) -> Result<(), String> {
    input::write_whole(path, text)?;
    if schema.exists() { Ok(()) } else { input::write_whole(schema, &schema::scenario()) }
}
