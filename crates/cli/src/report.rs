//! `hvrsim report`: the report of a run, from its event log alone; and what the scenario adds to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hvrsim_report::coverage::Coverage;
use hvrsim_report::diagram;
use hvrsim_report::html::{self, About, Planned};
use hvrsim_scenario::Scenario;
use hvrsim_scenario::model::expect::NeverWhat;
use hvrsim_scenario::model::step::{Action, Step};
use hvrsim_types::id::{HostId, VmId};
use hvrsim_types::time::Span;

use crate::Exit;
use crate::input;
use crate::replay::{read_log, scenario_of};

/// Arguments of `report`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// An event log: `hvrsim run --events FILE` writes one
    #[arg(value_name = "EVENTS")]
    log: PathBuf,
    /// Where the report goes, a name that ends in `.html`; with `.svg` or `.mmd` it gets the state diagram alone, as a
    /// drawing or as Mermaid text
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What a report is made as.
enum Form {
    Page,
    Drawing,
    Mermaid,
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "html" | "htm" => Some(Self::Page),
            "svg" => Some(Self::Drawing),
            "mmd" => Some(Self::Mermaid),
            _ => None,
        }
    }
}

pub(crate) fn report(arguments: &Arguments) -> Exit {
    let read = read_log(&arguments.log).and_then(|(_, log)| Ok((scenario_of(&log, &arguments.log)?, log)));
    let (scenario, log) = match read {
        Ok(read) => read,
        Err(message) => {
            eprint!("{message}");
            return Exit::Input;
        }
    };
    let Some(form) = Form::of(&arguments.output) else {
        let message =
            "a report is a page (.html), a drawing of the state diagram (.svg) or its Mermaid text (.mmd)";
        eprintln!("{}: error: {message}", arguments.output.display());
        return Exit::Input;
    };
    let command = format!("hvrsim replay {}", quoted(&arguments.log));
    let mut coverage = Coverage::default();
    coverage.add(&log.records);
    let text = match form {
        Form::Drawing => diagram::svg(&coverage),
        Form::Mermaid => diagram::mermaid(&coverage),
        Form::Page => html::page(&log, &about(&scenario, command)),
    };
    match write(&arguments.output, &text) {
        Ok(()) => Exit::Green,
        Err(message) => {
            eprintln!("{message}");
            Exit::Environment
        }
    }
}

/// Writes a report.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    input::write_whole(path, text)
        .map_err(|error| format!("{}: error: the report cannot be written: {error}", path.display()))
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What the scenario says beside what happened.
pub(crate) fn about(scenario: &Scenario, command: String) -> About {
    let topology = &scenario.topology;
    let mut within = BTreeMap::new();
    limits(&scenario.steps, &mut within);
    limits(&scenario.cleanup, &mut within);
    let vms = || (0..).map(VmId).zip(&topology.vms);
    let hosts = (0..).map(HostId).zip(&topology.hosts);
    let mut rpo = BTreeMap::new();
    for never in &scenario.never {
        if let NeverWhat::Rpo(forbidden) = &never.value.what {
            let of = never.value.vm.as_ref().map(|vm| vm.value);
            rpo.extend(
                vms().filter(|(id, _)| of.is_none_or(|of| of == *id)).map(|(id, _)| (id, forbidden.value)),
            );
        }
    }
    About {
        title: scenario.full_title(),
        description: scenario.description.trim().to_owned(),
        command,
        calendar: scenario.calendar.clone(),
        steps: scenario.steps.iter().map(|step| planned(scenario, step)).collect(),
        within,
        rpo,
        frequency: vms()
            .filter_map(|(id, vm)| {
                Some((id, Span::seconds(vm.replica.as_ref()?.settings.frequency.interval_s())))
            })
            .collect(),
        rates: topology.links.iter().map(|link| (link.ends.0, link.ends.1, link.rate)).collect(),
        sites: hosts.filter_map(|(id, host)| Some((id, host.site.clone()?))).collect(),
    }
}

fn planned(scenario: &Scenario, step: &Step) -> Planned {
    Planned { line: step.place.line, text: scenario.words(step) }
}

fn limits(steps: &[Step], within: &mut BTreeMap<u32, Span>) {
    for step in steps {
        within.extend(step.within.as_ref().map(|limit| (step.place.line, limit.value)));
        match &step.action {
            Action::Repeat(repeat) => limits(&repeat.steps, within),
            Action::Parallel(operators) => {
                operators.iter().for_each(|operator| limits(&operator.steps, within));
            }
            _ => {}
        }
    }
}
