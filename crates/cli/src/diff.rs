//! `hvrsim diff`: the timelines of two runs side by side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hvrsim_report::names::Names;
use hvrsim_report::transcript::{Transcript, side_by_side};
use hvrsim_scenario::run::{Observer, Options, run};
use hvrsim_sim::Look;
use hvrsim_sim::store::Stamps;
use hvrsim_sim::trace::Record;
use hvrsim_types::time::Instant;

use crate::Exit;
use crate::input;
use crate::out::out;
use crate::replay::read_log;

/// Arguments of `diff`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// An event log, or a scenario, which is run
    left: PathBuf,
    /// Another
    right: PathBuf,
    /// Columns of each side
    #[arg(long, default_value_t = 78, value_parser = clap::value_parser!(u16).range(20..=500))]
    width: u16,
}

pub(crate) fn diff(arguments: &Arguments) -> Exit {
    let both = timeline(&arguments.left).and_then(|left| Ok((left, timeline(&arguments.right)?)));
    match both {
        Ok((left, right)) => {
            let (text, same) = side_by_side(left.text(), right.text(), usize::from(arguments.width));
            out(text);
            if same { Exit::Green } else { Exit::Red }
        }
        Err(message) => {
            eprint!("{message}");
            Exit::Input
        }
    }
}

fn timeline(path: &Path) -> Result<Transcript, String> {
    if !path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
        let (_, log) = read_log(path)?;
        let mut transcript = Transcript::new(log.names());
        transcript.add(&log.records);
        transcript.finish("");
        return Ok(transcript);
    }
    let scenarios = input::scenarios(path, &BTreeMap::new())?;
    let [scenario] = scenarios.as_slice() else {
        let message = "it has a matrix: compare the event logs of two of its runs";
        return Err(format!("{}: error: {message}\n", path.display()));
    };
    let mut follower = Follower(None);
    let options = Options { folder: input::folder(path), ..Options::default() };
    run(scenario, &options, Stamps::default(), &mut follower)
        .map_err(|_| format!("{}: error: it uses images: compare event logs\n", path.display()))?;
    let mut transcript = follower.0.unwrap_or_else(|| Transcript::new(Names::default()));
    transcript.finish("");
    Ok(transcript)
}

/// Collects the transcript of a run.
struct Follower(Option<Transcript>);

impl Observer for Follower {
    fn records(&mut self, look: &dyn Look, records: &[Record], _: Instant) {
        self.0.get_or_insert_with(|| Transcript::new(Names::of(look))).add(records);
    }
}
