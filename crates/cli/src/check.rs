//! `hvrsim check`.

use std::path::PathBuf;

use crate::Exit;
use crate::input;
use crate::out::out;

/// Arguments of `check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn check(arguments: &Arguments) -> Exit {
    arguments.files.iter().map(|file| check_file(file)).max().unwrap_or(Exit::Green)
}

fn check_file(file: &std::path::Path) -> Exit {
    let source = match input::read(file) {
        Ok(source) => source,
        Err(message) => {
            eprintln!("{message}");
            return Exit::Input;
        }
    };
    let checked = hvrsim_scenario::check(&source);
    let mut found = checked.diagnostics;
    if let Some(scenario) = &checked.scenario {
        found.extend(input::images(scenario, file));
    }
    input::show(&found, &source.text);
    if input::has_errors(&found) {
        return Exit::Input;
    }
    if let Some(scenario) = &checked.scenario {
        out(format_args!("{}: ok, {} steps\n", source.name, scenario.steps.len()));
    }
    Exit::Green
}
