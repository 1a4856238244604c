//! `hvrsim sweep`: many seeds in shards, and `hvrsim sweep merge`: the shards put together.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use hvrsim_check::shrink::{Failing, shrink};
use hvrsim_check::sweep::{Case, Header, Merged, Shard, merge, text};
use hvrsim_check::{trace, walk};
use hvrsim_scenario::run::{Options, Stopped, run};
use hvrsim_scenario::{Scenario, batch};
use hvrsim_sim::store::{Stamps, StoreError};

use crate::Exit;
use crate::input;
use crate::out::out;
use crate::report::quoted;
use crate::run::seeds_argument;

/// Arguments of `sweep`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Scenario files, and folders of them
    #[arg(value_name = "FILE", required_unless_present = "walks")]
    files: Vec<PathBuf>,
    /// Random walks in place of scenarios: each seed is a world, faults and what is done in it
    #[arg(long, conflicts_with = "files")]
    walks: bool,
    /// The seeds; B is not one of them
    #[arg(long, value_name = "A..B", value_parser = seeds_argument, required = true)]
    seeds: Option<(u64, u64)>,
    /// Which part, from 1; without it the variables of a Slurm job array or of an indexed job of Kubernetes say so
    #[arg(long, value_name = "I/N", value_parser = shard_argument)]
    shard: Option<Shard>,
    /// The folder of the results: a file a shard
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// How many runs at once; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Subcommand)]
enum Command {
    /// Put the results of all shards together; gaps and results that disagree are refused
    Merge {
        /// The folder of the results
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

fn shard_argument(text: &str) -> Result<Shard, String> {
    Shard::parse(text).ok_or_else(|| "expected I/N with I from 1 to N, for instance 3/8".to_owned())
}

type Failed = (Exit, String);

pub(crate) fn sweep(arguments: &Arguments) -> Exit {
    // What panics is a finding; it is told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match &arguments.command {
        Some(Command::Merge { folder }) => merged(folder),
        None => carry_out(arguments),
    };
    done.unwrap_or_else(|(exit, message)| {
        eprint!("{message}");
        exit
    })
}

fn wrong(message: impl std::fmt::Display) -> Failed {
    (Exit::Input, format!("error: {message}\n"))
}

fn environment(message: impl std::fmt::Display) -> Failed {
    (Exit::Environment, format!("error: {message}\n"))
}

/// What is run with each seed.
enum Subject {
    Walk,
    Scenario { scenario: Box<Scenario>, folder: PathBuf },
}

struct Named {
    name: String,
    digest: String,
    subject: Subject,
}

fn subjects(arguments: &Arguments) -> Result<Vec<Named>, Failed> {
    if arguments.walks {
        return Ok(vec![Named { name: "walks".to_owned(), digest: String::new(), subject: Subject::Walk }]);
    }
    let mut all = Vec::new();
    for file in input::scenario_files(&arguments.files).map_err(wrong)? {
        let scenarios =
            input::scenarios(&file, &BTreeMap::new()).map_err(|message| (Exit::Input, message))?;
        for scenario in scenarios {
            if scenario.images().next().is_some() {
                let name = file.display();
                return Err(wrong(format!("{name}: a sweep has no images, and this scenario names some")));
            }
            let mut digest = blake3::Hasher::new();
            for source in std::iter::once(&scenario.source).chain(&scenario.source.included) {
                digest.update(source.text.as_bytes());
            }
            let cell: Vec<String> =
                scenario.cell.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cell = if cell.is_empty() { String::new() } else { format!(" [{}]", cell.join(", ")) };
            all.push(Named {
                name: format!("{}{cell}", file.display()),
                digest: digest.finalize().to_hex().to_string(),
                subject: Subject::Scenario { scenario: Box::new(scenario), folder: input::folder(&file) },
            });
        }
    }
    Ok(all)
}

fn carry_out(arguments: &Arguments) -> Result<Exit, Failed> {
    let (Some((from, to)), Some(folder)) = (arguments.seeds, &arguments.out) else {
        return Err(wrong("--seeds and --out are needed"));
    };
    let of_environment = || Shard::of_environment(|name| std::env::var(name).ok());
    let shard = match arguments.shard {
        Some(shard) => shard,
        None => of_environment().map_err(wrong)?.unwrap_or(Shard::WHOLE),
    };
    let all = subjects(arguments)?;
    let seeds = to - from;
    let cases = seeds
        .checked_mul(all.len() as u64)
        .ok_or_else(|| wrong("that are more cases than can be counted"))?;
    let what = all.iter().map(|named| (named.name.clone(), named.digest.clone())).collect();
    let header = Header::new(env!("CARGO_PKG_VERSION"), what, (from, to), cases);
    let mine: Vec<u64> = (0..cases).filter(|case| shard.has(*case)).collect();
    let threads = arguments.threads.unwrap_or_else(batch::cores);
    let (mut results, mut failed) = (Vec::new(), None);
    let one = |case: &u64| {
        let named = usize::try_from(case / seeds).ok().and_then(|at| all.get(at));
        named.map(|named| carried_out(named, *case, from + case % seeds))
    };
    batch::run(&mine, threads, one, |_, result| {
        match result {
            Some(Ok(case)) => results.push(case),
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(error) = failed {
        return Err(environment(error));
    }
    let path = folder.join(shard.file());
    input::write_whole(&path, &text(&header, shard, &results)).map_err(|error| {
        environment(format!("{}: the results cannot be written: {error}", path.display()))
    })?;
    let red = results.iter().filter(|case| case.failed.is_some()).count();
    out(format!(
        "shard {} of {}: {} runs, {red} failed, {}\n",
        shard.index,
        shard.count,
        results.len(),
        path.display()
    ));
    Ok(if red == 0 { Exit::Green } else { Exit::Red })
}

fn carried_out(named: &Named, number: u64, seed: u64) -> Result<Case, StoreError> {
    let (digest, failed) = match &named.subject {
        Subject::Walk => {
            let walked = walk::walk(seed)?;
            (walked.digest, walked.violation.map(|v| format!("{}: {}", v.claim, v.found)))
        }
        Subject::Scenario { scenario, folder } => {
            let options = Options { seed: Some(seed), folder: folder.clone(), ..Options::default() };
            let ran = AssertUnwindSafe(|| run(scenario, &options, Stamps::default(), &mut ()));
            let Ok(ran) = catch_unwind(ran) else {
                let failed = Some("a panic".to_owned());
                return Ok(Case {
                    case: number,
                    name: named.name.clone(),
                    seed,
                    digest: String::new(),
                    failed,
                });
            };
            let (ended, _) = ran.map_err(|Stopped::Store(error, _)| error)?;
            let failures: Vec<String> = ended.failures.iter().map(|failure| failure.render(false)).collect();
            (ended.digest, (!failures.is_empty()).then(|| failures.concat()))
        }
    };
    Ok(Case { case: number, name: named.name.clone(), seed, digest, failed })
}

/// The files of results in a folder and below, in order of their names.
fn results(folder: &Path) -> Result<Vec<(String, String)>, Failed> {
    let failed = |path: &Path, error: std::io::Error| wrong(format!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "jsonl") {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
                found.push((path.display().to_string(), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn merged(folder: &Path) -> Result<Exit, Failed> {
    let merged = merge(&results(folder)?).map_err(|error| wrong(format!("{}: {error}", folder.display())))?;
    let failed = merged.cases.iter().filter(|case| case.failed.is_some()).count();
    let (from, to) = merged.header.seeds;
    out(format!(
        "{} runs with the seeds {from} to {}: {failed} failed, digest {}\n",
        merged.cases.len(),
        to - 1,
        merged.digest.get(..16).unwrap_or(&merged.digest)
    ));
    match merged.smallest_failure() {
        None => Ok(Exit::Green),
        Some(case) => tell_failure(folder, &merged, case),
    }
}

fn tell_failure(folder: &Path, merged: &Merged, case: &Case) -> Result<Exit, Failed> {
    out(format!("the smallest seed that failed is {}, of {}\n", case.seed, case.name));
    out(format!("{}\n", case.failed.as_deref().unwrap_or_default().trim_end()));
    if merged.header.version != env!("CARGO_PKG_VERSION") {
        out(format!("it was found by hvrsim {}; this is another version\n", merged.header.version));
    }
    if case.name != "walks" {
        let file = case.name.split(" [").next().unwrap_or_default();
        out(format!("hvrsim run {} --seed {}\n", quoted(Path::new(file)), case.seed));
        return Ok(Exit::Red);
    }
    let store = |error: StoreError| environment(error);
    let walked = walk::walk(case.seed).map_err(store)?;
    let Some(violation) = walked.violation else {
        return Err(environment("the same walk does not fail here: it is not deterministic"));
    };
    let failing = Failing { shape: walked.shape, seed: case.seed, acts: walked.acts, violation };
    let before = failing.acts.len();
    let short = shrink(failing).map_err(store)?;
    let acts = short.acts.len();
    let Some(text) = trace::scenario(&short).map_err(store)? else {
        out(format!("shrunk from {before} acts to {acts}, which no scenario can tell:\n{:#?}\n", short.acts));
        return Ok(Exit::Red);
    };
    let path = folder.join("smallest-failure.yaml");
    input::write_whole(&path, &text)
        .map_err(|error| environment(format!("{}: cannot be written: {error}", path.display())))?;
    out(format!("shrunk from {before} acts to {acts}: hvrsim run --recover {}\n", quoted(&path)));
    Ok(Exit::Red)
}
