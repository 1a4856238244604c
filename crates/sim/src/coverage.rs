//! For `cargo xtask coverage` only, behind a feature of its own: each rule that is taken in this process is written once
//! into the file that `HVRSIM_COVERAGE` names. Nothing that is simulated sees it.
#![expect(
    clippy::disallowed_methods,
    reason = "only under the feature, and nothing in the simulator reads it"
)]

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;

use hvrsim_replica::exchange::Note;

use crate::trace::What;

static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A record was written.
pub(crate) fn note(what: &What) {
    let (What::Note(Note::Rule { rule, .. }) | What::Refused { rule, .. }) = what else { return };
    let Some(path) = std::env::var_os("HVRSIM_COVERAGE") else { return };
    let Ok(mut taken) = TAKEN.lock() else { return };
    if taken.insert(rule.clone())
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _unwritten = writeln!(file, "{rule}");
    }
}
