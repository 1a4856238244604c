//! From a text to a checked scenario, or to all that is wrong with it.

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Scenario;
use crate::parse::Reader;
use crate::source::Source;
use crate::yaml;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The scenario, if there is no error.
    pub scenario: Option<Scenario>,
    /// Errors and advices, in order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks everything that can be known without running: syntax, keys, values, names, cmdlets, methods.
///
/// Files are not touched: images are named by [`Scenario::images`].
#[must_use]
pub fn check(source: &Source) -> Checked {
    let (root, mut diagnostics) = yaml::parse(source);
    let mut scenario = None;
    if let Some(root) = &root {
        let mut reader = Reader::new(source);
        scenario = reader.scenario(root);
        diagnostics.append(&mut reader.diagnostics);
    }
    diagnostics.sort_by(|a, b| (a.place, a.severity, &a.message).cmp(&(b.place, b.severity, &b.message)));
    // An alias repeats what is wrong with its anchor.
    diagnostics.dedup();
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        scenario = None;
    }
    Checked { scenario, diagnostics }
}

/// Reads and checks a scenario.
///
/// # Errors
/// All that is wrong with it, at least one of [`Severity::Error`].
pub fn load(source: &Source) -> Result<Scenario, Vec<Diagnostic>> {
    let checked = check(source);
    checked.scenario.ok_or(checked.diagnostics)
}
