//! Files that users give: scenarios and images. Nothing of theirs is ever changed.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use hvrsim_scenario::{Diagnostic, Scenario, Severity, Source};

/// Reads a scenario file.
pub(crate) fn read(file: &Path) -> Result<Source, String> {
    let name = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(error) => Err(format!(
                "{name}: error: the file is not UTF-8 text from byte {} on; save it as UTF-8",
                error.utf8_error().valid_up_to()
            )),
        },
        Err(error) => Err(format!("{name}: error: the file cannot be read: {error}")),
    }
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
    hvrsim_disk::open(path, &hvrsim_disk::OpenOptions::read_only()).err().map(|error| error.to_string())
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
