//! `hvrsim check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Exit;
use crate::input;
use crate::out::out;

/// Arguments of `check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenario files, and folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A parameter's value in place of the scenario's
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = input::parameter)]
    params: Vec<(String, String)>,
}

pub(crate) fn check(arguments: &Arguments) -> Exit {
    let params = arguments.params.iter().cloned().collect();
    match input::scenario_files(&arguments.files) {
        Ok(files) => files.iter().map(|file| check_file(file, &params)).max().unwrap_or(Exit::Green),
        Err(message) => {
            eprintln!("error: {message}");
            Exit::Input
        }
    }
}

fn check_file(file: &std::path::Path, params: &BTreeMap<String, String>) -> Exit {
    let source = match input::read(file) {
        Ok(source) => source,
        Err(message) => {
            eprintln!("{message}");
            return Exit::Input;
        }
    };
    let checked = input::check(&source, file, params);
    let mut found = checked.diagnostics;
    for scenario in &checked.scenarios {
        found.extend(input::images(scenario, file));
    }
    found.dedup();
    eprint!("{}", input::shown(&found));
    if input::has_errors(&found) {
        return Exit::Input;
    }
    if let Some(scenario) = checked.scenarios.first() {
        let runs = checked.scenarios.len();
        let runs = if runs == 1 { String::new() } else { format!(", {runs} runs") };
        let count = scenario.steps.len();
        let steps = if count == 1 { "step" } else { "steps" };
        out(format_args!("{}: ok, {count} {steps}{runs}\n", source.name));
    }
    Exit::Green
}
