//! Files that users give: scenarios and images. Nothing of theirs is ever changed.

use std::io::{Error, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use hvrsim_scenario::{Diagnostic, Scenario, Severity, Source};
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

/// Shows messages, in colour on a terminal.
pub(crate) fn show(found: &[Diagnostic], text: &str) {
    let colour = std::io::stderr().is_terminal();
    for diagnostic in found {
        eprint!("{}", diagnostic.render(text, colour));
    }
}
