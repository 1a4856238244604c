//! From a text to checked scenarios, or to all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Severity};
use crate::expand::{Choices, Expander, Tree};
use crate::model::Scenario;
use crate::parse::Reader;
use crate::source::{Place, Source};
use crate::yaml;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The runs of the file if there is no error: one, or one for each combination of its matrix.
    pub scenarios: Vec<Scenario>,
    /// Errors and advices, in order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks everything that can be known without running: syntax, keys, values, names, cmdlets, methods.
///
/// Files are not touched: the caller reads what the topology includes, images are named by [`Scenario::images`].
#[must_use]
pub fn check(source: &Source, choices: Choices<'_>) -> Checked {
    let (root, mut diagnostics) = yaml::parse(source, 0);
    let mut scenarios = Vec::new();
    let mut complete = true;
    if let Some(root) = root {
        let mut expander = Expander::new(source, choices);
        let trees = expander.trees(root);
        let told: BTreeSet<Place> = expander.diagnostics.iter().map(|found| found.place).collect();
        diagnostics.append(&mut expander.diagnostics);
        for tree in trees {
            let mut found = Vec::new();
            let scenario = read(&expander.source, &expander.included, tree, &mut found);
            // Where a parameter could not be put in, its name is no value.
            diagnostics.extend(found.into_iter().filter(|found| !told.contains(&found.place)));
            complete &= scenario.is_some();
            scenarios.extend(scenario);
        }
    }
    diagnostics.sort_by(|a, b| (a.place, a.severity, &a.message).cmp(&(b.place, b.severity, &b.message)));
    // An alias repeats what is wrong with its anchor, a combination what is wrong with all.
    diagnostics.dedup();
    if !complete || diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        scenarios.clear();
    }
    Checked { scenarios, diagnostics }
}

fn read(
    source: &Source,
    included: &[String],
    tree: Tree,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Scenario> {
    let mut reader = Reader::new(source);
    let scenario = reader.scenario(&tree.root);
    for mut found in reader.diagnostics {
        if let Some((_, name)) = tree.put.iter().find(|(place, _)| *place == found.place) {
            let value = tree.params.get(name).map_or("", String::as_str);
            let put = format!("`${{{name}}}` is `{value}` here");
            found.help = Some(found.help.map_or(put.clone(), |help| format!("{help}\n{put}")));
        }
        diagnostics.push(found);
    }
    Some(Scenario { included: included.to_vec(), cell: tree.cell, params: tree.params, ..scenario? })
}

/// Reads and checks a scenario that includes nothing; of a matrix, the first run.
///
/// # Errors
/// All that is wrong with it, at least one of [`Severity::Error`].
pub fn load(source: &Source) -> Result<Scenario, Vec<Diagnostic>> {
    let include = |path: &str| Err(format!("{path} is included, and nobody says how to read it"));
    let checked = check(source, Choices { params: &BTreeMap::new(), include: &include });
    checked.scenarios.into_iter().next().ok_or(checked.diagnostics)
}
