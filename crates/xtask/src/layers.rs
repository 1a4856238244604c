//! Which crate may use which: arrows go down only. A new edge is the rarest kind of change, so it is made here, on
//! purpose.

use crate::metadata::{Metadata, PREFIX};

/// Every package with its layer; one may use packages of lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("types", 0),
    ("disk", 1),
    ("replica", 2),
    ("resync", 2),
    ("powershell", 3),
    ("sim", 3),
    ("transport", 3),
    ("cmdlets", 4),
    ("wmi", 4),
    ("report", 5),
    ("scenario", 5),
    ("check", 6),
    ("service", 7),
    ("cli", 8),
    ("benches", 9),
    ("tests", 9),
    ("xtask", 9),
];

/// Packages that may use less than all lower layers.
const USES_ONLY: &[(&str, &[&str])] = &[
    ("disk", &["types"]),
    ("replica", &["types"]),
    ("resync", &["types", "disk"]),
    ("powershell", &["types"]),
    ("transport", &["types", "disk", "resync"]),
    ("xtask", &[]),
];

/// Packages that few may use.
const USED_BY_ONLY: &[(&str, &[&str])] = &[("transport", &["cli", "benches", "tests"])];

/// Where an async runtime may be linked: at the rim, and where the whole is tested.
const RUNTIME: &str = "tokio";
const RIM: &[&str] = &["transport", "service", "cli", "benches", "tests"];

/// Every edge that goes up, a sentence each.
pub(crate) fn findings(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.members() {
        let Some(user) = package.name.strip_prefix(PREFIX) else {
            found.push(format!("the package {} lacks the prefix {PREFIX}", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            if let Some(used) = dependency.name.strip_prefix(PREFIX) {
                found.extend(wrong_edge(user, used));
            }
        }
        if layer(user).is_none() {
            found.push(format!("{user} has no layer: give it a row in crates/xtask/src/layers.rs"));
        }
        if !RIM.contains(&user) && metadata.reached_from(package).contains(RUNTIME) {
            found.push(format!("{user} links {RUNTIME}, which belongs to {} only", RIM.join(", ")));
        }
    }
    found
}

fn wrong_edge(user: &str, used: &str) -> Option<String> {
    let limits = |table: &[(&str, &'static [&'static str])], name: &str| {
        table.iter().find(|(row, _)| *row == name).map(|(_, names)| *names)
    };
    if let (Some(above), Some(below)) = (layer(user), layer(used))
        && below >= above
    {
        return Some(format!("{user} (layer {above}) uses {used} (layer {below}): arrows go down only"));
    }
    if let Some(names) = limits(USES_ONLY, user)
        && !names.contains(&used)
    {
        return Some(format!("{user} uses {used}, but may use {} only", listed(names)));
    }
    if let Some(names) = limits(USED_BY_ONLY, used)
        && !names.contains(&user)
    {
        return Some(format!("{user} uses {used}, which is for {} only", listed(names)));
    }
    None
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing of the project".to_owned() } else { names.join(", ") }
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(row, _)| *row == name).map(|(_, layer)| *layer)
}

#[cfg(test)]
mod tests {
    use super::wrong_edge;

    #[test]
    fn arrows_go_down() {
        assert_eq!(wrong_edge("sim", "replica"), None);
        assert_eq!(wrong_edge("cli", "transport"), None);
        assert!(wrong_edge("types", "disk").is_some());
        assert!(wrong_edge("scenario", "report").is_some(), "same layer");
    }

    #[test]
    fn named_limits_hold() {
        assert!(wrong_edge("replica", "disk").is_some(), "the life cycle never touches an image");
        assert!(wrong_edge("scenario", "transport").is_some());
        assert!(wrong_edge("xtask", "types").is_some());
    }
}
