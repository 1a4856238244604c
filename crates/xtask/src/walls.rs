//! Proof that the determinism wall stands: the same violations that a hurried author would write are planted in a
//! scratch copy of a pure crate, and clippy must report every one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::metadata::Metadata;
use crate::pure;

/// The crate that is copied: small, and with few dependencies.
const CRATE: &str = "types";

/// A violation in one line, and what clippy says of it.
struct Violation {
    code: &'static str,
    told: &'static str,
}

const VIOLATIONS: &[Violation] = &[
    Violation {
        code: "fn order() -> std::collections::HashMap<u8, u8> { Default::default() }",
        told: "disallowed type `std::collections::HashMap`",
    },
    Violation {
        code: "fn members() -> std::collections::HashSet<u8> { Default::default() }",
        told: "disallowed type `std::collections::HashSet`",
    },
    Violation { code: "fn ratio(part: f64) -> f64 { part }", told: "disallowed type `f64`" },
    Violation {
        code: "fn clock() -> u64 { std::time::Instant::now().elapsed().as_secs() }",
        told: "disallowed method `std::time::Instant::now`",
    },
    Violation {
        code: "fn date() -> bool { std::time::SystemTime::now().elapsed().is_ok() }",
        told: "disallowed method `std::time::SystemTime::now`",
    },
    Violation {
        code: "fn setting() -> bool { std::env::var(\"LANG\").is_ok() }",
        told: "disallowed method `std::env::var`",
    },
    Violation {
        code: "fn thread() { std::thread::spawn(|| ()); }",
        told: "disallowed method `std::thread::spawn`",
    },
    Violation {
        code: "fn zone() -> jiff::tz::TimeZone { jiff::tz::TimeZone::system() }",
        told: "disallowed method `jiff::tz::TimeZone::system`",
    },
];

/// Checks the files of all pure crates, then tries the wall. Gives back what was shown.
pub(crate) fn check(metadata: &Metadata) -> Result<String> {
    let root = &metadata.workspace_root;
    let found = pure::findings(root)?;
    if !found.is_empty() {
        bail!("the determinism walls have holes:\n  {}", found.join("\n  "));
    }
    let scratch = Scratch::new(metadata)?;
    if let Some(complaint) = scratch.complaints(metadata)? {
        bail!(
            "the untouched copy of crates/{CRATE} is not clean, so nothing can be shown with it:\n{complaint}"
        );
    }
    scratch.plant()?;
    let Some(complaint) = scratch.complaints(metadata)? else {
        bail!("clippy accepts a copy of crates/{CRATE} with {} planted violations", VIOLATIONS.len());
    };
    let missed: Vec<&str> =
        VIOLATIONS.iter().filter(|violation| !complaint.contains(violation.told)).map(|v| v.code).collect();
    if !missed.is_empty() {
        bail!("clippy overlooks planted violations:\n  {}\nIt says:\n{complaint}", missed.join("\n  "));
    }
    Ok(format!("clippy reports all {} planted violations", VIOLATIONS.len()))
}

/// A workspace with the one crate in it, below the target folder.
struct Scratch {
    root: PathBuf,
}

impl Scratch {
    fn new(metadata: &Metadata) -> Result<Scratch> {
        let root = metadata.target_directory.join("xtask").join("wall");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        let from = &metadata.workspace_root;
        let folder = root.join("crates").join(CRATE);
        copy_folder(&from.join("crates").join(CRATE), &folder)?;
        // The root's own clippy.toml comes along: it must not be the one that clippy obeys.
        for name in ["Cargo.lock", "clippy.toml"] {
            fs::copy(from.join(name), root.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        fs::write(root.join("Cargo.toml"), one_member(&fs::read_to_string(from.join("Cargo.toml"))?)?)?;
        Ok(Scratch { root })
    }

    fn plant(&self) -> Result<()> {
        let lib = self.root.join("crates").join(CRATE).join("src").join("lib.rs");
        let mut text = fs::read_to_string(&lib)?;
        text.push_str("#[allow(dead_code)]\nmod planted {\n");
        for violation in VIOLATIONS {
            text.push_str(&format!("    {}\n", violation.code));
        }
        text.push_str("}\n");
        fs::write(&lib, text).with_context(|| format!("cannot write {}", lib.display()))
    }

    /// What clippy objects to, if anything. The common target folder saves building the dependencies again.
    fn complaints(&self, metadata: &Metadata) -> Result<Option<String>> {
        let mut clippy = command::cargo(&self.root, &["clippy", "--quiet", "--color", "never"]);
        clippy.arg("--target-dir").arg(&metadata.target_directory).args(["--", "-D", "warnings"]);
        let output = clippy.output().context("cannot start clippy")?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((!output.status.success()).then_some(text))
    }
}

/// The workspace manifest with the copied crate as its one member.
fn one_member(manifest: &str) -> Result<String> {
    let mut table: toml::Table = manifest.parse().context("Cargo.toml")?;
    let workspace = table.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let workspace = workspace.context("Cargo.toml has no [workspace]")?;
    workspace.insert("members".to_owned(), vec![format!("crates/{CRATE}")].into());
    workspace.remove("default-members");
    workspace.remove("exclude");
    Ok(table.to_string())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
