//! Building, testing and running needs nothing beside the checkout.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::root;

/// All tracked files; `None` in a copy of the sources that is no Git checkout.
fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.split_terminator('\0').map(str::to_owned).collect())
}

/// Whether a path, begun in `folder` of the checkout, climbs above the checkout's top.
fn leaves(folder: &Path, path: &str) -> bool {
    let mut depth = folder.components().count();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    false
}

fn is_path(c: char) -> bool {
    c.is_alphanumeric() || "/._-".contains(c)
}

/// What a line names outside of the checkout: a way up and out, or something that stands beside it.
fn outside<'a>(folder: &Path, beside: &[String], line: &'a str) -> Vec<&'a str> {
    let words = line.split(|c| !is_path(c)).filter(|word| word.contains('/'));
    words
        .filter(|word| {
            let climbs = word.starts_with("../") && leaves(folder, word);
            climbs || beside.iter().any(|path| Path::new(word).starts_with(path))
        })
        .collect()
}

/// What stands in the same folder as the checkout, and the checkout by its own full path.
fn siblings() -> Vec<String> {
    let Some(above) = root().parent().filter(|above| above.parent().is_some()) else { return Vec::new() };
    let entries = fs::read_dir(above).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path: PathBuf| path.to_string_lossy().into_owned()).collect()
}

#[test]
fn no_tracked_file_names_a_path_outside() {
    let Some(files) = tracked() else { return };
    assert!(files.len() > 100, "{} files are tracked", files.len());
    let beside = siblings();
    let mut found = Vec::new();
    for name in &files {
        // A manifest's or document's relative path begins in its own folder.
        let folder = Path::new(name).parent().expect("it is in a folder");
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            let words = outside(folder, &beside, line);
            found.extend(words.iter().map(|word| format!("{name}:{number}: {word}")));
        }
    }
    assert!(found.is_empty(), "paths outside of the checkout:\n{}", found.join("\n"));
}

#[test]
fn no_package_stands_outside() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["metadata", "--format-version", "1", "--locked", "--offline", "--no-deps"];
    let output = Command::new(cargo).current_dir(root()).args(args).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let list = |value: &serde_json::Value| value.as_array().expect("it is a list").clone();
    let packages = list(&metadata["packages"]);
    let used = packages.iter().flat_map(|package| list(&package["dependencies"]));
    let paths: Vec<String> =
        used.filter_map(|dependency| dependency["path"].as_str().map(str::to_owned)).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(Path::new(&path).starts_with(root()), "{path} is not in {}", root().display());
    }
}

#[test]
fn a_way_out_is_seen() {
    let beside = ["/build/other".to_owned()];
    let found = |folder: &str, line: &'static str| outside(Path::new(folder), &beside, line);
    assert_eq!(found("crates/a", "path = \"../b\""), [""; 0]);
    // Written apart so that this file does not find itself.
    assert_eq!(found("crates/a", concat!("path = \"..", "/../../b\"")), [concat!("..", "/../../b")]);
    assert_eq!(found("", "see ../b/c.md, which"), ["../b/c.md"]);
    assert_eq!(found("docs", "cat /build/other/x /build/otherwise"), ["/build/other/x"]);
}
