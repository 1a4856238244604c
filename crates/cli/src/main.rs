//! `hvrsim`: rehearse Hyper-V Replica failover and failback without hosts.
//!
//! Exit codes: 0 all expectations met, 1 an expectation failed, 2 the input is wrong, 3 out of budget or
//! environment.

// Messages go to standard error; standard output goes through `out`.
#![allow(clippy::print_stderr)]

mod check;
mod diff;
mod disk;
mod explain;
mod explore;
mod input;
mod new;
mod out;
mod play;
mod reference;
mod replay;
mod report;
mod resync;
mod run;
mod sweep;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Rehearse Hyper-V Replica failover and failback without hosts.
#[derive(Parser)]
#[command(name = "hvrsim", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios: quiet when many are green, precise when one is red
    Run(run::Arguments),
    /// Step through a scenario in the terminal: forwards, backwards, with faults put in, and ask why not
    Play(play::Arguments),
    /// Write a commented scenario to begin with
    New(new::Arguments),
    /// Print the JSON Schema of scenario files, by which editors complete them
    Schema(new::SchemaArguments),
    /// Make a logged run again, from its event log alone, and stop at the first difference
    Replay(replay::Arguments),
    /// Make the HTML report of a run, from its event log alone
    Report(report::Arguments),
    /// Show the timelines of two runs side by side
    Diff(diff::Arguments),
    /// Check everything about scenarios that can be known without running them
    Check(check::Arguments),
    /// What leads to a state, what leads away, what every operation answers there; or a rule, a method, a cmdlet
    Explain(explain::Arguments),
    /// Write the reference pages, for the project's documentation
    #[command(hide = true)]
    Reference(reference::Arguments),
    /// Visit every situation of a small world, hold every claim against it, and tell the way out of one
    Explore(explore::Arguments),
    /// Run many seeds, in shards that any scheduler can spread over machines, and put the results together
    Sweep(sweep::Arguments),
    /// Look at, make, compare and change virtual disk images: VHDX, VHD, raw; and dump change logs
    Disk(disk::Arguments),
    /// Make one disk image equal to another, in place: only what differs is written
    Resync(Box<resync::Arguments>),
}

/// How a command ended, as exit codes have it. The worst of several wins by its place here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// All expectations met.
    Green = 0,
    /// An expectation failed.
    Red = 1,
    /// The input is wrong.
    Input = 2,
    /// The environment: a folder that cannot be written.
    Environment = 3,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exit = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Play(arguments) => play::play(&arguments),
        Command::New(arguments) => new::new(&arguments),
        Command::Schema(arguments) => new::print_schema(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Diff(arguments) => diff::diff(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Reference(arguments) => reference::reference(&arguments),
        Command::Explore(arguments) => explore::explore(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments),
        Command::Disk(arguments) => disk::disk(&arguments),
        Command::Resync(arguments) => resync::resync(&arguments),
    };
    ExitCode::from(exit as u8)
}
