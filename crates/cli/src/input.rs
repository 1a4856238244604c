//! Files that users give: scenarios and images. Nothing of theirs is ever changed.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use hvrsim_scenario::{Checked, Choices, Diagnostic, Scenario, Severity, Source};
use hvrsim_types::near::nearest;

/// Reads a scenario file.
pub(crate) fn read(file: &Path) -> Result<Source, String> {
    let name = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(error) => {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let (line, column) = end_of(&String::from_utf8_lossy(valid));
                Err(format!(
                    "{name}:{line}:{column}: error: from here on the file is not UTF-8 text; save it as UTF-8"
                ))
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{name}: error: {}", missing(file))),
        Err(error) => Err(format!("{name}: error: the file cannot be read: {error}")),
    }
}

/// Line and column after a text, from 1.
fn end_of(text: &str) -> (usize, usize) {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

/// What to say of a file that is not there: the nearest name that is, or that its folder is missing.
fn missing(file: &Path) -> String {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!("there is no such file, and no folder `{}`", folder.display());
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let wanted = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let near = nearest(&wanted, names.iter().map(String::as_str));
    near.map_or_else(
        || "there is no such file".to_owned(),
        |name| format!("there is no such file; did you mean `{}`?", file.with_file_name(name).display()),
    )
}

/// Why a folder cannot be made: most often a file stands where it should be.
pub(crate) fn folder_error(folder: &Path, error: &Error) -> String {
    folder.ancestors().find(|part| part.is_file()).map_or_else(
        || error.to_string(),
        |file| format!("`{}` is a file where a folder is needed; remove or rename it", file.display()),
    )
}

/// The folder that a scenario's images are relative to.
pub(crate) fn folder(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// What is wrong with the images that a scenario names.
pub(crate) fn images(scenario: &Scenario, file: &Path) -> Vec<Diagnostic> {
    let folder = folder(file);
    let wrong = |image: &hvrsim_scenario::At<String>| {
        let error = image_error(&folder.join(&image.value))?;
        Some(Diagnostic::error(&scenario.source, image.place, error, None))
    };
    scenario.images().filter_map(wrong).collect()
}

/// Why an image cannot be used, if it cannot. It is opened for reading only.
pub(crate) fn image_error(path: &Path) -> Option<String> {
    match hvrsim_disk::open(path, &hvrsim_disk::OpenOptions::read_only()) {
        Ok(image) if image.size() == 0 => {
            Some(format!("{}: the image is empty: a disk needs at least a sector", path.display()))
        }
        Ok(_) => None,
        Err(error) if error.kind() == hvrsim_disk::ErrorKind::NotFound => {
            Some(format!("{}: {}", path.display(), missing(path)))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Whether any of these is more than an advice.
pub(crate) fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|d| d.severity == Severity::Error)
}

/// Messages as text, in colour if they go to a terminal.
pub(crate) fn shown(found: &[Diagnostic]) -> String {
    let colour = std::io::stderr().is_terminal();
    found.iter().map(|diagnostic| diagnostic.render(colour)).collect()
}

/// `NAME=VALUE`.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, for instance frequency=30s".to_owned()),
    }
}

/// The scenarios that files and folders stand for: of a folder every file below it that ends in `.yaml` or `.yml` and
/// has the key `scenario`, in order of their names.
pub(crate) fn scenario_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let mut open = vec![path.clone()];
        while let Some(folder) = open.pop() {
            let wrong = |error: Error| format!("{}: {error}", folder.display());
            for entry in std::fs::read_dir(&folder).map_err(wrong)? {
                let path = entry.map_err(wrong)?.path();
                if path.is_dir() {
                    open.push(path);
                } else if is_scenario(&path) {
                    files.push(path);
                }
            }
        }
        files[before..].sort();
        if files.len() == before {
            return Err(format!("{}: there is no scenario in this folder", path.display()));
        }
    }
    Ok(files)
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
        && std::fs::read_to_string(path)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("scenario:")))
}

/// Reads and checks a scenario with the files that it includes.
pub(crate) fn check(source: &Source, file: &Path, params: &BTreeMap<String, String>) -> Checked {
    let folder = folder(file);
    let include = |path: &str| {
        let path = folder.join(path);
        read(&path).map_err(|error| match error.split_once(": error: ") {
            Some((name, error)) => format!("{name} cannot be included: {error}"),
            None => error,
        })
    };
    hvrsim_scenario::check::check(source, Choices { params, include: &include })
}

/// The runs of a file, or all that is wrong with it as text.
pub(crate) fn scenarios(file: &Path, params: &BTreeMap<String, String>) -> Result<Vec<Scenario>, String> {
    let source = read(file).map_err(|message| format!("{message}\n"))?;
    let checked = check(&source, file, params);
    if checked.scenarios.is_empty() { Err(shown(&checked.diagnostics)) } else { Ok(checked.scenarios) }
}

/// The name under which a file is written before it is whole.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    PathBuf::from(beside)
}

/// Writes a file beside its place and renames it; folders above it are made.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| folder_error(folder, &error))?;
    }
    let beside = beside(path);
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        error.to_string()
    })
}
