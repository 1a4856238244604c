//! Writes the reference pages, which a test of `tests/` holds against the tables.

use anyhow::{Result, bail};

use crate::command;
use crate::metadata::Metadata;

/// `cargo xtask docs`
pub(crate) fn docs(arguments: &[&str]) -> Result<()> {
    if let [other, ..] = arguments {
        bail!(command::Stop::usage(format!("docs takes no argument, found `{other}`")));
    }
    let root = Metadata::load()?.workspace_root;
    let folder = root.join("docs").join("reference");
    std::fs::create_dir_all(&folder)?;
    let arguments = ["run", "--locked", "--package", "hvrsim-cli", "--quiet", "--", "reference"];
    let mut make = command::cargo(&root, &arguments);
    make.arg(&folder);
    command::run(&mut make, "see above")?;
    println!("{} is written", folder.display());
    Ok(())
}
