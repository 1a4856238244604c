//! Runs every shipped scenario through the built program, on both stores.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::metadata::Metadata;

const STORES: &[&str] = &["stamps", "images"];

/// Builds `hvrsim` and runs all scenarios; gives back how many runs there were.
pub(crate) fn run_all(metadata: &Metadata) -> Result<String> {
    if !metadata.has("hvrsim-cli") {
        return Ok("skipped: the package hvrsim-cli does not exist yet".to_owned());
    }
    let root = &metadata.workspace_root;
    let mut build = command::cargo(root, &["build", "--release", "--locked", "--package", "hvrsim-cli"]);
    command::run(&mut build, "see the compiler's output above")?;
    let program = metadata.target_directory.join("release").join("hvrsim");
    let work = metadata.target_directory.join("xtask").join("scenarios");
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;

    let (scenarios, parts): (Vec<_>, Vec<_>) =
        shipped(&root.join("scenarios"))?.into_iter().partition(|scenario| scenario.is_whole);
    let mut runs = 0;
    let mut failed = Vec::new();
    for scenario in &scenarios {
        let mut told = Vec::new();
        for store in STORES {
            runs += 1;
            match carried_out(&program, &work, &scenario.path, store)? {
                Ok(line) => told.push(line),
                Err(text) => failed.push(text),
            }
        }
        if let [one, other] = told.as_slice()
            && one != other
        {
            failed.push(format!("{}: the stores differ:\n{one}\n{other}", scenario.path.display()));
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} of {runs} runs of shipped scenarios ended otherwise than they should:\n{}",
            failed.len(),
            { failed.join("\n") }
        );
    }
    Ok(format!("{} scenarios, {runs} runs; {} files are parts of others", scenarios.len(), parts.len()))
}

/// Runs one scenario in a folder of its own. Gives back the lines with the digests, or, when it ended unexpectedly, all
/// that it printed.
fn carried_out(
    program: &Path,
    work: &Path,
    scenario: &Path,
    store: &str,
) -> Result<std::result::Result<String, String>> {
    let mut command = Command::new(program);
    command.current_dir(work).arg("run").arg(scenario).args(["--store", store]).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let expected = expected_code(scenario);
    if output.status.code() == Some(expected) {
        let said = String::from_utf8_lossy(&output.stdout);
        let digests = said.lines().filter(|line| line.contains(", digest "));
        return Ok(Ok(digests.collect::<Vec<_>>().join("\n")));
    }
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let shown = command::shown(&command);
    Ok(Err(format!("`{shown}` ended with {}, expected exit code {expected}:\n{told}", output.status)))
}

/// A lesson's broken half shows a failed expectation; everything else is met.
fn expected_code(scenario: &Path) -> i32 {
    let lesson = scenario.components().any(|part| part.as_os_str() == "lessons");
    i32::from(lesson && scenario.file_stem().is_some_and(|stem| stem == "broken"))
}

/// A file below `scenarios/`; without the key `scenario` it is a part that others include.
struct Shipped {
    path: PathBuf,
    is_whole: bool,
}

/// All scenario files below a folder, in order.
fn shipped(folder: &Path) -> Result<Vec<Shipped>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                found
                    .push(Shipped { path, is_whole: text.lines().any(|line| line.starts_with("scenario:")) });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::expected_code;
    use std::path::Path;

    #[test]
    fn only_the_broken_half_of_a_lesson_fails() {
        assert_eq!(expected_code(Path::new("scenarios/lessons/saved-state/broken.yaml")), 1);
        assert_eq!(expected_code(Path::new("scenarios/lessons/saved-state/fixed.yaml")), 0);
        assert_eq!(expected_code(Path::new("scenarios/broken.yaml")), 0);
    }
}
