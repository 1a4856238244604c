//! The outside programs that tests judge images with, from Debian's packages.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, Stop};

/// A program, and the packages that bring it, the first choice first: the names differ between releases.
struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { program: "qemu-img", packages: &["qemu-utils"] },
    Tool { program: "7z", packages: &["p7zip-full", "7zip"] },
];

/// Makes sure that all are there; as root, or with `install`, by installing what is missing.
pub(crate) fn provide(install: bool) -> Result<String> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !command::found(tool.program)).collect();
    if missing.is_empty() {
        return Ok(format!("{} are there", names(TOOLS.iter())));
    }
    let root = is_root()?;
    if !root && !install {
        return Err(Stop::environment(advice(&missing)).into());
    }
    println!("installing what is missing: {}", names(missing.iter().copied()));
    apt_get(root, &["update"])?;
    for tool in &missing {
        fetch(root, tool)?;
    }
    Ok(format!("{} installed", names(missing.iter().copied())))
}

fn fetch(root: bool, tool: &Tool) -> Result<()> {
    for package in tool.packages {
        // A release that lacks the first choice is no failure as long as another package brings the program.
        let installed = apt_get(root, &["install", "--yes", "--no-install-recommends", package]).is_ok();
        if installed && command::found(tool.program) {
            return Ok(());
        }
    }
    let packages = tool.packages.join(" or ");
    Err(Stop::environment(format!("{} could not be installed from {packages}", tool.program)).into())
}

fn apt_get(root: bool, args: &[&str]) -> Result<()> {
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.arg("apt-get");
    }
    command::run(command.arg("--quiet").args(args), "see its output above")
        .map_err(|error| Stop::environment(format!("{error:#}")).into())
}

fn is_root() -> Result<bool> {
    Ok(command::read(Command::new("id").arg("-u"))?.trim() == "0")
}

fn advice(missing: &[&Tool]) -> String {
    let mut text =
        format!("the tests need {}; install with\n  sudo apt-get update\n", names(missing.iter().copied()));
    for tool in missing {
        let choices: Vec<String> =
            tool.packages.iter().map(|package| format!("sudo apt-get install {package}")).collect();
        text.push_str(&format!("  {}\n", choices.join(" || ")));
    }
    text.push_str("or run `cargo xtask ci --install`, which does the same");
    text
}

fn names<'a>(tools: impl Iterator<Item = &'a Tool>) -> String {
    tools.map(|tool| tool.program).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{TOOLS, advice};

    #[test]
    fn the_advice_can_be_typed() {
        let text = advice(&TOOLS.iter().collect::<Vec<_>>());
        assert!(text.contains("\n  sudo apt-get install qemu-utils\n"));
        assert!(text.contains("\n  sudo apt-get install p7zip-full || sudo apt-get install 7zip\n"));
    }
}
