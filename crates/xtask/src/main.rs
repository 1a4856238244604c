//! Development tasks: `cargo xtask ci` is what must be green before a change is merged, `cargo xtask deep`
//! holds the checks that take too long for that.
//!
//! Tasks are data: [`steps`] is the table of CI's steps, [`deep`] that of the long checks. Everything else is
//! what one step does.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling how the checks go is this binary's job"
)]

mod audit;
mod canaries;
mod command;
mod coverage;
mod deep;
mod docs;
mod files;
mod layers;
mod licence;
mod metadata;
mod pure;
mod scenarios;
mod steps;
mod tools;
mod walls;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask ci [--install] [STEP ...]   all steps, or the named ones, in the table's order
       cargo xtask deep [NAME]                 one long check; without a name: list them
       cargo xtask docs                        write docs/reference/ out of the program's tables
       cargo xtask coverage                    rules taken by the test suite and by the shipped scenarios
       cargo xtask canaries [FOLDER]           plant faults and see that each is found; their traces into FOLDER
       cargo xtask help

--install lets a user who is not root install missing outside tools with sudo.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["ci", rest @ ..] => steps::ci(rest),
        ["deep", rest @ ..] => deep::deep(rest),
        ["docs", rest @ ..] => docs::docs(rest),
        ["canaries", rest @ ..] => canaries::canaries(rest),
        ["coverage", rest @ ..] => coverage::coverage(rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}\n\nsteps of ci:\n{}", steps::list());
            Ok(())
        }
        [other, ..] => Err(command::Stop::usage(format!("there is no task `{other}`\n{USAGE}")).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(command::exit_code(&error))
        }
    }
}
