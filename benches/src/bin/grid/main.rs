//! `hvrsim resync` beside other tools over a grid of image pairs, as a Markdown table.
//!
//! The pairs and the runs of the other tools come from two scripts that are given: `MAKE_PAIR` writes a pair, `PEERS`
//! runs tools on copies of it and prints what each one cost. Each cell is made, measured, printed and removed before the
//! next one, so that an interrupted run has told what it had.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod cells;
mod helpers;
mod peers;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;

use self::cells::{Cell, Pair};
use self::peers::Figures;

/// What is measured, and how often.
#[derive(Parser)]
#[command(name = "grid", about = "hvrsim resync beside other tools, as a Markdown table", long_about = None)]
struct Arguments {
    #[command(subcommand)]
    helper: Option<helpers::Helper>,
    /// Cells to run, FORMAT/PATTERN/CHANGED/CACHE with `*` for any, and any at the end where parts are left out:
    /// raw/random/1/warm, vhdx, */*/10/cold. Formats raw, vhdx; patterns random, clustered; changed 0, 0.1, 1, 10, 50
    /// per cent; caches warm, cold
    #[arg(long, value_delimiter = ',', default_value = "*")]
    cells: Vec<String>,
    /// Runs of each tool in each cell; medians count
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Runs of rsync, which takes far longer than the others
    #[arg(long, default_value_t = 1)]
    slow_runs: u32,
    /// The disk's virtual size
    #[arg(long, default_value = "4G")]
    size: String,
    /// Before each run wait at most so many seconds for the machine to be 90 % idle
    #[arg(long, default_value_t = 0)]
    settle: u32,
    /// The program to measure
    #[arg(long, default_value = "target/release/hvrsim")]
    program: PathBuf,
    /// A folder for pairs and copies: five times the allocated half of a disk
    #[arg(long, default_value = "target/grid")]
    scratch: PathBuf,
    /// Count the quickest run of each tool instead of the median: for a machine that others use
    #[arg(long)]
    best: bool,
    /// Leave rsync out
    #[arg(long)]
    no_rsync: bool,
    /// Also a pair of 16 GiB, raw, 1 % at random: tracked from a bitmap beside the full compare
    #[arg(long)]
    tracked: bool,
    /// Say which cells would run and how long it takes
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.helper {
        Some(helper) => helper.run(),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let pairs = cells::chosen(&arguments.cells)?;
    let cells: usize = pairs.iter().map(|pair| pair.caches.len()).sum();
    eprintln!("{cells} cells on {} pairs, about {} minutes", pairs.len(), minutes(arguments, &pairs));
    for pair in &pairs {
        pair.caches.iter().for_each(|cache| eprintln!("  {}", pair.cell(*cache).name()));
    }
    if arguments.list {
        return Ok(());
    }
    let tools = Tools::new(arguments)?;
    println!("{}", table::HEAD);
    let mut rows = Vec::new();
    for pair in &pairs {
        let folder = tools.make(pair, &arguments.size)?;
        for cache in &pair.caches {
            let cell = pair.cell(*cache);
            let figures = tools.measure(arguments, &folder, &cell)?;
            println!("{}", table::row(&cell, &figures));
            rows.push((cell, figures));
        }
        remove(&folder);
    }
    if arguments.tracked {
        let pair = Pair::tracked();
        let folder = tools.make(&pair, "16G")?;
        let cell = pair.cell(cells::Cache::Warm);
        let figures = tools.tracked(arguments, &folder)?;
        remove(&folder);
        println!("\n16 GiB: {}", table::row(&cell, &figures));
        rows.push((cell.of_16_gib(), figures));
    }
    println!("\n{}", table::goals(&rows));
    Ok(())
}

/// Seconds seen on two quiet cores for a disk of 4 GiB, for planning only.
fn minutes(arguments: &Arguments, pairs: &[Pair]) -> u32 {
    let runs = arguments.runs;
    let seconds: u32 = pairs
        .iter()
        .map(|pair| {
            let cells = u32::try_from(pair.caches.len()).unwrap_or(u32::MAX);
            let rsync = if arguments.no_rsync { 0 } else { arguments.slow_runs * 25 };
            20 + cells * (runs * 40 + rsync)
        })
        .sum();
    (seconds + u32::from(arguments.tracked) * 200).div_ceil(60)
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        eprintln!("{}: {error}", folder.display());
    }
}

/// The scripts and programs, found before the first pair is made.
struct Tools {
    make_pair: PathBuf,
    peers: PathBuf,
    program: PathBuf,
    own: PathBuf,
    scratch: PathBuf,
}

impl Tools {
    fn new(arguments: &Arguments) -> Result<Self, String> {
        let script = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_file()).ok_or_else(|| {
                format!(
                    "the environment variable {name} must hold the path of the script `{}`",
                    name.to_lowercase().replace('_', "-")
                )
            })
        };
        let program = std::path::absolute(&arguments.program).map_err(|error| error.to_string())?;
        if !program.is_file() {
            return Err(format!(
                "{}: build it with `cargo build --release -p hvrsim-cli`, or name it with --program",
                program.display()
            ));
        }
        std::fs::create_dir_all(&arguments.scratch)
            .map_err(|error| format!("{}: {error}", arguments.scratch.display()))?;
        Ok(Self {
            make_pair: script("MAKE_PAIR")?,
            peers: script("PEERS")?,
            program,
            own: std::env::current_exe().map_err(|error| error.to_string())?,
            scratch: std::path::absolute(&arguments.scratch).map_err(|error| error.to_string())?,
        })
    }

    fn make(&self, pair: &Pair, size: &str) -> Result<PathBuf, String> {
        let folder = self.scratch.join(format!("{}-{}-{}-{size}", pair.format, pair.pattern, pair.changed));
        let _ = std::fs::remove_dir_all(&folder);
        let begun = Instant::now();
        let mut command = Command::new(&self.make_pair);
        command.arg("--out").arg(&folder).args(["--size", size, "--alloc", "50", "--no-digest"]);
        command.args(["--format", pair.format, "--pattern", pair.pattern, "--changed", pair.changed]);
        let made = command.output().map_err(|error| format!("{}: {error}", self.make_pair.display()))?;
        if !made.status.success() {
            return Err(format!("MAKE_PAIR: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        eprintln!("{}: made in {:.0?}", folder.display(), begun.elapsed());
        Ok(folder)
    }

    fn measure(&self, arguments: &Arguments, pair: &Path, cell: &Cell) -> Result<Figures, String> {
        let mut figures = self.peers(arguments, pair, cell, arguments.runs, &cell.peers(), true)?;
        if !arguments.no_rsync {
            let rsync = ["rsync --inplace --no-whole-file"];
            figures.extend(self.peers(arguments, pair, cell, arguments.slow_runs, &rsync, false)?);
        }
        Ok(figures)
    }

    fn tracked(&self, arguments: &Arguments, pair: &Path) -> Result<Figures, String> {
        let cell = Pair::tracked().cell(cells::Cache::Warm);
        self.peers(arguments, pair, &cell, arguments.runs, &[], true)
    }

    fn peers(
        &self,
        arguments: &Arguments,
        pair: &Path,
        cell: &Cell,
        runs: u32,
        only: &[&str],
        with_ours: bool,
    ) -> Result<Figures, String> {
        let mut command = Command::new(&self.peers);
        command.arg("--pair").arg(pair).arg("--scratch").arg(self.scratch.join("copies"));
        command.args(["--cache", cell.cache.name(), "--runs", &runs.to_string()]);
        command.args(["--settle", &arguments.settle.to_string()]);
        // A name that no tool has keeps all others out.
        command.args(["--only", &if only.is_empty() { "none of them".to_owned() } else { only.join(",") }]);
        if with_ours {
            for (name, line) in self.ours(pair, cell) {
                command.arg("--ours").arg(format!("{name}={line}"));
            }
        }
        let told = command.output().map_err(|error| format!("{}: {error}", self.peers.display()))?;
        eprint!("{}", String::from_utf8_lossy(&told.stderr));
        if !told.status.success() {
            return Err("PEERS failed, see above".to_owned());
        }
        peers::parse(&String::from_utf8_lossy(&told.stdout), arguments.best)
    }

    /// What is measured of ours, and reading both files for comparison.
    fn ours(&self, pair: &Path, cell: &Cell) -> Vec<(&'static str, String)> {
        let (program, own) = (self.program.display(), self.own.display());
        let bitmap = pair.join("changed.bitmap");
        let mut lines = vec![
            ("ours", format!("{program} resync {{p}} {{r}} -q")),
            ("tracked", format!("{program} resync {{p}} {{r}} -q --bitmap {}", bitmap.display())),
        ];
        if cell.reads_both() {
            lines.push(("read both", format!("{own} read {{p}} {{r}}")));
        }
        if cell.over_tcp() {
            lines.push(("tcp", format!("{own} tcp {program} {{p}} {{r}} {{s}}")));
        }
        lines
    }
}
