//! `hvrsim reference`: the reference pages and the state diagram, made of the tables that decide at run time.
//!
//! For the project's own documentation: `cargo xtask docs` writes them into `docs/reference/`.

mod diagram;
mod pages;

use std::path::PathBuf;

use crate::Exit;
use crate::input;

/// Arguments of `reference`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that they are written into
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Every page: its file and its text.
fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("README.md", pages::index()),
        ("states.md", pages::states()),
        ("states.svg", diagram::svg()),
        ("rules.md", pages::rules()),
        ("cmdlets.md", pages::cmdlets()),
        ("methods.md", pages::methods()),
        ("incidents.md", pages::incidents()),
        ("findings.md", pages::findings()),
        ("events.md", pages::events()),
    ]
}

pub(crate) fn reference(arguments: &Arguments) -> Exit {
    for (name, text) in pages() {
        let path = arguments.folder.join(name);
        if let Err(error) = input::write_whole(&path, &text) {
            eprintln!("{}: error: the page cannot be written: {error}", path.display());
            return Exit::Environment;
        }
    }
    Exit::Green
}
