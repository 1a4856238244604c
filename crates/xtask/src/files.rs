//! Checks of the source tree itself: nothing stray, nothing too long, nothing left for later.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::metadata::{Metadata, PREFIX};

/// What may stand at the top; anything new there is a decision, not an accident.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "fuzz",
    "rustfmt.toml",
    "scenarios",
    "tests",
];

const LEFTOVERS: &[&str] = &["~", ".bak", ".orig", ".rej", ".swp", ".tmp", ".DS_Store", ".snap.new"];

const LONGEST_RUST_FILE: usize = 900;
const LARGEST_FILE: u64 = 100 * 1024;
/// Files that a tool writes and that may grow.
const MAY_BE_LARGE: &[&str] = &["Cargo.lock"];

/// Marks of unfinished code; written apart so that this file does not find itself.
const UNFINISHED: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!(")];

/// Every finding, a sentence each.
pub(crate) fn findings(metadata: &Metadata) -> Result<Vec<String>> {
    let root = &metadata.workspace_root;
    let mut found = Vec::new();
    let files = listed(root)?;
    for name in &files {
        let path = root.join(name);
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        found.extend(stray(name));
        if about.len() > LARGEST_FILE && !MAY_BE_LARGE.contains(&name.as_str()) {
            found.push(format!(
                "{name} has {} KiB, more than {} KiB",
                about.len() / 1024,
                LARGEST_FILE / 1024
            ));
        }
        if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            found.extend(wrong_source(name, &text));
            if !is_declared(root, name) {
                found.push(format!("{name} belongs to no crate: no `mod` names it"));
            }
        }
    }
    found.extend(wrong_packages(metadata)?);
    Ok(found)
}

/// All files that are or would be committed.
fn listed(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let text = command::read(&mut git).context("the checks of files need a Git checkout")?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}

fn stray(name: &str) -> Option<String> {
    let top = name.split('/').next().unwrap_or_default();
    if !TOP.contains(&top) {
        return Some(format!("{top} does not belong at the top of the checkout"));
    }
    LEFTOVERS
        .iter()
        .any(|end| name.ends_with(end))
        .then(|| format!("{name} is left over from an editor or a tool"))
}

fn wrong_source(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_RUST_FILE {
        found.push(format!("{name} has {lines} lines, more than {LONGEST_RUST_FILE}: divide it"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(mark) = UNFINISHED.iter().find(|mark| line.contains(**mark)) {
            found.push(format!("{name}:{number}: `{mark}` is unfinished code"));
        }
    }
    found
}

/// Whether a module file below a `src` folder is named by its parent; other Rust files are roots of their own.
fn is_declared(root: &Path, name: &str) -> bool {
    let Some((krate, inner)) = name.split_once("/src/") else { return true };
    let mut parts: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let module = match parts.as_slice() {
        ["lib" | "main"] | ["bin", ..] | [] => return true,
        [.., module] => *module,
    };
    let parents = &parts[..parts.len() - 1];
    let folder = root.join(krate).join("src").join(parents.join("/"));
    let candidates = if parents.is_empty() {
        vec![folder.join("lib.rs"), folder.join("main.rs")]
    } else {
        vec![folder.join("mod.rs"), folder.with_extension("rs")]
    };
    candidates.iter().filter_map(|path| fs::read_to_string(path).ok()).any(|text| declares(&text, module))
}

fn declares(text: &str, module: &str) -> bool {
    let declaration = format!("mod {module};");
    let path = format!("{module}.rs\"]");
    let mut code = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end());
    code.any(|line| line.ends_with(&declaration) || line.ends_with(&path))
}

/// Folder name = crate name, and everyone obeys the workspace's lints.
fn wrong_packages(metadata: &Metadata) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for package in metadata.members() {
        let folder = package.folder().file_name().unwrap_or_default().to_string_lossy();
        if package.name.strip_prefix(PREFIX) != Some(folder.as_ref()) {
            found.push(format!("the package {} stands in the folder {folder}", package.name));
        }
        let manifest: toml::Table = fs::read_to_string(&package.manifest_path)?.parse()?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits.and_then(toml::Value::as_bool) != Some(true) {
            found.push(format!("{} does not say `[lints] workspace = true`", package.name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{declares, stray, wrong_source};

    #[test]
    fn only_known_names_stand_at_the_top() {
        assert_eq!(stray("crates/types/src/lib.rs"), None);
        assert!(stray("notes.txt").is_some());
        assert!(stray("docs/page.md.orig").is_some());
    }

    #[test]
    fn long_and_unfinished_files_are_told() {
        assert!(wrong_source("a.rs", &"\n".repeat(900)).is_empty());
        assert_eq!(wrong_source("a.rs", &"\n".repeat(901)).len(), 1);
        assert_eq!(wrong_source("a.rs", concat!("fn a() {\n    todo", "!()\n}\n")).len(), 1);
    }

    #[test]
    fn a_module_is_declared_by_name_or_path() {
        assert!(declares("pub(crate) mod vhdx; // the format\n", "vhdx"));
        assert!(declares("#[path = \"windows_vhdx.rs\"]\nmod vhdx;\n", "vhdx"));
        assert!(!declares("mod vhd;\n", "vhdx"));
        assert!(!declares("// mod vhdx;\n", "vhdx"));
    }
}
