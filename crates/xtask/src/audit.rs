//! The audit of dependencies, over `cargo metadata` alone: licences, sources and duplicates.
//!
//! What is accepted stands in `deny.toml`, so that cargo-deny, which also knows the advisories, judges by the same
//! lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::licence;
use crate::metadata::{Metadata, Package};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Lists {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// A second version of a crate that is put up with, and why.
#[derive(Deserialize)]
struct Skip {
    /// `name@version`, where the version may be cut short: `syn@2`.
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

/// Every finding, a sentence each.
pub(crate) fn findings(metadata: &Metadata) -> Result<Vec<String>> {
    let lists = Lists::load(&metadata.workspace_root.join("deny.toml"))?;
    let mut found = Vec::new();
    for package in &metadata.packages {
        found.extend(wrong_licence(package, &lists.licenses.allow));
        found.extend(wrong_source(package));
    }
    let versions = metadata.packages.iter().map(|package| (package.name.as_str(), package.version.as_str()));
    found.extend(duplicates(versions, &lists.bans.skip));
    Ok(found)
}

impl Lists {
    fn load(path: &Path) -> Result<Lists> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
    }
}

fn wrong_licence(package: &Package, allow: &[String]) -> Option<String> {
    let Package { name, version, license, .. } = package;
    let Some(expression) = license else { return Some(format!("{name} {version} names no licence")) };
    match licence::permitted(expression, allow) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name} {version} is under {expression}, which deny.toml does not allow")),
        Err(error) => Some(format!("{name} {version}: {error}")),
    }
}

fn wrong_source(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    (source != CRATES_IO)
        .then(|| format!("{} {} does not come from crates.io", package.name, package.version))
}

/// Of the versions of one crate all but one need an entry, and every entry a crate that it excuses.
fn duplicates<'a>(packages: impl Iterator<Item = (&'a str, &'a str)>, skips: &[Skip]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in packages {
        versions.entry(name).or_default().insert(version);
    }
    let mut found = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let excused =
            versions.iter().filter(|version| skips.iter().any(|skip| skip.covers(name, version))).count();
        if excused + 1 < versions.len() {
            let versions = versions.iter().copied().collect::<Vec<_>>().join(", ");
            found.push(format!(
                "{name} is there more than once ({versions}): update, or excuse one in deny.toml"
            ));
        }
    }
    for skip in skips {
        let used = versions
            .iter()
            .any(|(name, all)| all.len() > 1 && all.iter().any(|version| skip.covers(name, version)));
        if !used {
            found.push(format!("deny.toml excuses {}, of which there is no duplicate any more", skip.spec));
        }
        if skip.reason.trim().is_empty() {
            found.push(format!("deny.toml excuses {} without a reason", skip.spec));
        }
    }
    found
}

impl Skip {
    fn covers(&self, name: &str, version: &str) -> bool {
        let Some((its_name, its_version)) = self.spec.split_once('@') else { return false };
        let rest = version.strip_prefix(its_version.trim_start_matches(['=', '^', '~']));
        its_name == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
    }
}

#[cfg(test)]
mod tests {
    use super::{Skip, duplicates};

    fn skip(spec: &str) -> Skip {
        Skip { spec: spec.to_owned(), reason: "test".to_owned() }
    }

    #[test]
    fn a_second_version_needs_an_entry() {
        let packages = [("syn", "1.0.9"), ("syn", "2.0.1"), ("toml", "0.9.0")];
        assert_eq!(duplicates(packages.into_iter(), &[]).len(), 1);
        assert!(duplicates(packages.into_iter(), &[skip("syn@1")]).is_empty());
    }

    #[test]
    fn an_entry_without_its_duplicate_is_told() {
        let packages = [("syn", "2.0.1")];
        let found = duplicates(packages.into_iter(), &[skip("syn@1")]);
        assert_eq!(found, ["deny.toml excuses syn@1, of which there is no duplicate any more"]);
    }

    #[test]
    fn a_short_version_covers_whole_parts_only() {
        assert!(skip("a@0.5").covers("a", "0.5.1"));
        assert!(!skip("a@0.5").covers("a", "0.52.0"));
        assert!(!skip("a@0.5").covers("b", "0.5.1"));
    }
}
