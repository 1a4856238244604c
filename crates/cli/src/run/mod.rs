//! `hvrsim run`: which runs, all of them at once, and what is told of them in order.

mod claims;
mod job;
mod log;
mod plan;
mod watcher;

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use hvrsim_report::coverage::Coverage;
use hvrsim_report::junit::{self, Case, Outcome};
use hvrsim_scenario::batch;

use crate::Exit;
use crate::input;
use crate::out::out;
pub(crate) use claims::HeldTo;
pub(crate) use job::{Job, Store, Told, remove};
pub(crate) use log::header;
use plan::Plan;

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenario files, and folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seed in place of the scenario's
    #[arg(long, value_parser = seed_argument, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Run once with each of these seeds; B is not one of them
    #[arg(long, value_name = "A..B", value_parser = seeds_argument, conflicts_with = "seed")]
    seeds: Option<(u64, u64)>,
    /// A parameter's value in place of the scenario's; of a matrix, only the runs with this value
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = input::parameter)]
    params: Vec<(String, String)>,
    /// Only runs whose file, title or combination holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Begin no further run after one that is not green
    #[arg(long)]
    fail_fast: bool,
    /// How many runs at once; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Where disks are kept: `stamps` (numbers of writes) or `images` (real files in a run folder)
    #[arg(long, value_enum)]
    store: Option<StoreKind>,
    /// A copy of this image as the machine's first disk; the image itself is only read. Implies `--store images`
    #[arg(long = "disk", value_name = "VM=IMAGE", value_parser = disk_argument)]
    disks: Vec<(String, PathBuf)>,
    /// Write the event log (JSON Lines) to this file; with several runs, into this folder
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write the report, one HTML page, to this file; with several runs, into this folder
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write a trace that Perfetto and Chrome open to this file; with several runs, into this folder
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write the results as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell how many of all rules the runs took, by subject, and which they did not take
    #[arg(long)]
    coverage: bool,
    /// At the end of a run print what `Measure-VMReplication` prints on each host
    #[arg(long)]
    measure: bool,
    /// Record the timelines that scenarios name as `golden`, in place of comparing with them
    #[arg(long)]
    bless: bool,
    /// Keep the run folder with all images. Implies `--store images`
    #[arg(long)]
    keep: bool,
    /// Hold every claim of docs/proof.md against the run, event by event; a broken one is red
    #[arg(long)]
    claims: bool,
    /// As --claims; at the end all faults end, and an operator must lead every machine back to protection
    #[arg(long)]
    recover: bool,
    /// Print the entries of the hosts' Windows event logs at the end of the timeline
    #[arg(long)]
    windows_events: bool,
    /// No timeline; of several runs, only those that are not green
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    Stamps,
    Images,
}

pub(crate) fn disk_argument(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((vm, image)) if !vm.is_empty() && !image.is_empty() => Ok((vm.to_owned(), PathBuf::from(image))),
        _ => Err("expected VM=IMAGE, for instance web01=disk.vhdx".to_owned()),
    }
}

fn seed_argument(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

pub(crate) fn seeds_argument(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    range.filter(|(a, b)| a < b).ok_or_else(|| "expected A..B with A below B, for instance 0..100".to_owned())
}

/// More runs than this are not told one by one when they are green.
const MANY: usize = 50;

pub(crate) fn run(arguments: &Arguments) -> Exit {
    if arguments.store == Some(StoreKind::Stamps) && (arguments.keep || !arguments.disks.is_empty()) {
        eprintln!(
            "error: --disk and --keep need real images: leave --store stamps out, or write --store images"
        );
        return Exit::Input;
    }
    let plan = match Plan::new(arguments) {
        Ok(plan) => plan,
        Err(message) => {
            eprintln!("error: {message}");
            return Exit::Input;
        }
    };
    let results = carry_out(arguments, &plan);
    let exit = results.exit.max(plan.exit);
    if plan.jobs.len() > plan.files {
        out(results.summary(plan.jobs.len()));
    }
    if arguments.coverage {
        out(results.coverage.text());
    }
    match &arguments.junit {
        Some(path) => exit.max(write_junit(path, &plan, &results.cases)),
        None => exit,
    }
}

/// What came of all runs.
struct Results {
    exit: Exit,
    cases: Vec<Case>,
    green: usize,
    coverage: Coverage,
}

impl Results {
    fn summary(&self, planned: usize) -> String {
        let (run, green) = (self.cases.len(), self.green);
        let left = planned - run;
        let left = if left == 0 { String::new() } else { format!(", {left} not begun") };
        format!("{planned} runs: {green} green, {} not{left}\n", run - green)
    }
}

fn carry_out(arguments: &Arguments, plan: &Plan) -> Results {
    let alone = plan.jobs.len() == 1 && plan.single;
    let show_green = alone || (!arguments.quiet && plan.jobs.len() <= MANY);
    let threads = arguments.threads.unwrap_or_else(batch::cores);
    let mut results =
        Results { exit: Exit::Green, cases: Vec::new(), green: 0, coverage: Coverage::default() };
    let progress = (plan.jobs.len() > 1 && std::io::stderr().is_terminal())
        .then(|| indicatif::ProgressBar::new(u64::try_from(plan.jobs.len()).unwrap_or(0)));
    let timeline = alone && !arguments.quiet;
    batch::run(
        &plan.jobs,
        threads,
        |job| job.run(timeline),
        |job, told: Told| {
            eprint!("{}", told.stderr);
            if show_green || told.exit != Exit::Green {
                out(&told.stdout);
            }
            if let Some(bar) = &progress {
                bar.inc(1);
            }
            results.exit = results.exit.max(told.exit);
            results.coverage.join(&told.coverage);
            results.green += usize::from(told.exit == Exit::Green);
            let stop = arguments.fail_fast && told.exit != Exit::Green;
            results.cases.push(case(job, told));
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    if let Some(bar) = progress {
        bar.finish_and_clear();
    }
    results
}

fn case(job: &Job, told: Told) -> Case {
    let outcome = match told.exit {
        Exit::Green => Outcome::Green,
        Exit::Red => Outcome::Red(told.stderr),
        Exit::Input | Exit::Environment => Outcome::Error(told.stderr),
    };
    Case { suite: job.scenario.source.name.clone(), name: job.case_name(), took: told.took, outcome }
}

fn write_junit(path: &Path, plan: &Plan, run: &[Case]) -> Exit {
    let mut cases = plan.unusable.clone();
    cases.extend(run.iter().cloned());
    let left = plan.jobs.iter().skip(run.len()).map(|job| Case {
        suite: job.scenario.source.name.clone(),
        name: job.case_name(),
        took: Duration::ZERO,
        outcome: Outcome::Skipped,
    });
    cases.extend(left);
    let written = junit::document(&cases).and_then(|text| input::write_whole(path, &text));
    match written {
        Ok(()) => Exit::Green,
        Err(error) => {
            eprintln!("{}: error: the results cannot be written: {error}", path.display());
            Exit::Environment
        }
    }
}
