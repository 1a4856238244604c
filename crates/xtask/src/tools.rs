//! The outside programs that tests judge images and reports with: from Debian's packages, and under the target folder what
//! Debian has not or has too old: readers in Python, and one in Rust with more dependencies than the program may
//! have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, Stop};
use crate::metadata::Metadata;

/// A program, and the packages that bring it, the first choice first: the names differ between releases.
struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { program: "qemu-img", packages: &["qemu-utils"] },
    Tool { program: "7z", packages: &["p7zip-full", "7zip"] },
    // The report is looked at in it, and the stepper is driven through the other.
    Tool { program: "chromium", packages: &["chromium"] },
    Tool { program: "tmux", packages: &["tmux"] },
    // Results for CI are held against their schema.
    Tool { program: "xmllint", packages: &["libxml2-utils"] },
];

/// The formats that 7-Zip must know; its releases before 21 know no VHDX.
const SEVEN_ZIP_READS: &[&str] = &["VHDX", "VHD"];

/// Makes sure that all are there; as root, or with `install`, by installing what is missing.
pub(crate) fn provide(metadata: &Metadata, install: bool) -> Result<String> {
    let programs = programs(install)?;
    check_seven_zip()?;
    python_readers(metadata)?;
    oracle(metadata)?;
    Ok(format!("{programs}; libvhdi, dissect and wxtla are under {}", folder(metadata).display()))
}

/// Where the tests look for readers that the system has no packages of.
fn folder(metadata: &Metadata) -> PathBuf {
    metadata.target_directory.join("tools")
}

fn check_seven_zip() -> Result<()> {
    let formats = command::read(Command::new("7z").arg("i"))?;
    let lacks = |name: &&&str| !formats.split_whitespace().any(|word| word == **name);
    match SEVEN_ZIP_READS.iter().find(lacks) {
        None => Ok(()),
        Some(name) => {
            let text =
                format!("this 7z reads no {name}: the tests need 7-Zip 21 or newer (Debian 12 has it)");
            Err(Stop::environment(text).into())
        }
    }
}

/// A virtual environment with the pinned readers, made anew when the pins change.
fn python_readers(metadata: &Metadata) -> Result<()> {
    let pins = metadata.workspace_root.join("crates/disk/tests/tools/requirements.txt");
    let wanted = fs::read_to_string(&pins).with_context(|| format!("cannot read {}", pins.display()))?;
    let place = folder(metadata).join("python");
    let made_of = place.join("made-of.txt");
    if fs::read_to_string(&made_of).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let python = place.join("bin/python");
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&place);
    let mut fill = Command::new(&python);
    fill.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&pins);
    let typed = format!(
        "the readers in Python can be made with\n  sudo apt-get install python3-venv\n  python3 -m venv {0}\n  \
         {0}/bin/python -m pip install --requirement {1}\n  cp {1} {2}",
        place.display(),
        pins.display(),
        made_of.display()
    );
    for command in [&mut make, &mut fill] {
        command::run(command, &typed).map_err(|error| Stop::environment(format!("{error:#}")))?;
    }
    fs::write(&made_of, wanted).with_context(|| format!("cannot write {}", made_of.display()))
}

/// The crate wxtla behind a program of our own. It stands outside the workspace.
fn oracle(metadata: &Metadata) -> Result<()> {
    let target = folder(metadata).join("oracle");
    let manifest = metadata.workspace_root.join("crates/disk/oracle/Cargo.toml");
    let mut build = command::cargo(&metadata.workspace_root, &["build", "--release", "--locked", "--quiet"]);
    build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
    command::run(&mut build, "it needs the crates of its Cargo.lock and a C compiler")
        .map_err(|error| Stop::environment(format!("{error:#}")).into())
}

/// The fuzzer's driver, for `cargo xtask deep fuzz` alone; gives the folder that it is in.
pub(crate) fn cargo_fuzz(metadata: &Metadata) -> Result<PathBuf> {
    let place = folder(metadata);
    let programs = place.join("bin");
    if !command::found("cargo-fuzz") && !programs.join("cargo-fuzz").is_file() {
        let mut install = command::cargo(Path::new("/"), &["install", "cargo-fuzz", "--locked", "--root"]);
        command::run(install.arg(&place), "install cargo-fuzz by hand")
            .map_err(|error| Stop::environment(format!("{error:#}")))?;
    }
    Ok(programs)
}

/// The programs of Debian's packages.
fn programs(install: bool) -> Result<String> {
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
    text.push_str("or run `cargo xtask ci --install tools`, which does the same");
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
