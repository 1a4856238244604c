//! The pure crates and what can be seen of their purity without a compiler.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The folders under `crates/` that must give the same bytes on every machine.
pub(crate) const PURE: &[&str] = &["types", "replica", "resync", "sim", "wmi", "cmdlets"];

/// The `clippy.toml` that all of them carry.
pub(crate) const TEMPLATE: &str = "crates/xtask/pure-clippy.toml";

/// Lints that no pure crate may switch off.
const WALL_LINTS: &[&str] = &["disallowed_types", "disallowed_methods", "style", "all", "warnings"];

/// Not built into any program, only into the tests that `cargo xtask coverage` runs: a file, and what stands in front of
/// its `mod`.
const MEASURING: (&str, &str) =
    ("crates/sim/src/coverage.rs", "#[cfg(feature = \"coverage\")]\nmod coverage;");

/// Everything wrong with the pure crates that exist, a sentence each.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>> {
    let template = read(&root.join(TEMPLATE))?;
    let mut found = forgotten_settings(&read(&root.join("clippy.toml"))?, &template)?;
    let (measuring, gate) = MEASURING;
    if root.join(measuring).is_file() && !read(&root.join(measuring).with_file_name("lib.rs"))?.contains(gate)
    {
        found.push(format!("{measuring} may only be built with a feature: `{}`", gate.replace('\n', " ")));
    }
    for name in PURE {
        let folder = root.join("crates").join(name);
        if !folder.join("Cargo.toml").is_file() {
            continue;
        }
        if fs::read_to_string(folder.join("clippy.toml")).ok().as_ref() != Some(&template) {
            found.push(format!("crates/{name} has no wall: cp {TEMPLATE} crates/{name}/clippy.toml"));
        }
        for file in rust_files(&folder)? {
            let text = read(&file)?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            // Tests may ask other programs; what they test may not.
            if shown.contains("/tests/") || shown == measuring {
                continue;
            }
            found.extend(
                wall_breaches(&text).map(|line| format!("{shown}:{line}: switches a wall's lint off")),
            );
            found.extend(
                saved_usizes(&text).into_iter().map(|line| {
                    format!("{shown}:{line}: a usize is saved: its size differs between machines")
                }),
            );
        }
    }
    Ok(found)
}

/// Clippy reads the nearest file only, so the template has to repeat what the root's file says.
fn forgotten_settings(root: &str, template: &str) -> Result<Vec<String>> {
    let root: toml::Table = root.parse().context("clippy.toml")?;
    let template: toml::Table = template.parse().context(TEMPLATE)?;
    let forgotten = root.iter().filter(|(key, value)| template.get(*key) != Some(value));
    Ok(forgotten.map(|(key, _)| format!("{TEMPLATE} does not repeat `{key}` of clippy.toml")).collect())
}

/// The lines where an attribute begins that allows one of the wall's lints.
fn wall_breaches(text: &str) -> impl Iterator<Item = usize> {
    let attributes = ["allow(", "expect("].into_iter().flat_map(|word| text.match_indices(word));
    attributes.filter_map(|(start, _)| {
        let inside = text[start..].split(')').next().unwrap_or_default();
        // In an attribute; a call of `.expect()` is none.
        let is_attribute = text[..start].trim_end().ends_with(['[', ',']);
        let breach = is_attribute && WALL_LINTS.iter().any(|lint| words(inside).any(|word| word == *lint));
        breach.then(|| text[..start].lines().count().max(1))
    })
}

/// The lines inside of types that derive `Serialize` and name `usize`.
fn saved_usizes(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut in_derive, mut derives) = (false, false);
    let mut depth = None;
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        if depth.is_none() {
            in_derive |= code.contains("derive(");
            derives |= in_derive && code.contains("Serialize");
            in_derive &= !code.contains(")]");
            let starts = ["struct ", "enum "].iter().any(|word| code.contains(word));
            if !starts {
                continue;
            }
            depth = std::mem::take(&mut derives).then_some(0);
        }
        let Some(open) = depth else { continue };
        if words(code).any(|word| word == "usize") && !code.contains("fn ") {
            found.push(number);
        }
        let now = open + count(code, "{(") - count(code, "})");
        depth = (now > 0).then_some(now);
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn count(code: &str, brackets: &str) -> i64 {
    code.chars().map(|c| i64::from(brackets.contains(c))).sum()
}

fn rust_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{forgotten_settings, saved_usizes, wall_breaches};

    #[test]
    fn a_saved_usize_is_found_and_others_are_not() {
        let text = "\
#[derive(Clone, Serialize)]
pub struct Saved {
    pub slot: usize,
    pub name: String, // not a usize
}
#[derive(Clone)]
struct Passing {
    slot: usize,
}
#[derive(
    Clone,
    Serialize,
)]
struct Index(usize);
fn after(slot: usize) {}
";
        assert_eq!(saved_usizes(text), [3, 14]);
    }

    #[test]
    fn switching_a_wall_off_is_found() {
        let text = "\
#![allow(
    clippy::disallowed_types,
    reason = \"only here\"
)]
#[allow(dead_code)]
#[expect(clippy::disallowed_methods)]
let told = value.expect(\"all\");
";
        assert_eq!(wall_breaches(text).collect::<Vec<_>>(), [1, 6]);
    }

    #[test]
    fn a_setting_of_the_root_is_not_forgotten() {
        assert!(forgotten_settings("a = true", "a = true\nb = 1").unwrap().is_empty());
        assert_eq!(forgotten_settings("a = true", "a = false").unwrap().len(), 1);
    }
}
