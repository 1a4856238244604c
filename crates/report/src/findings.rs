//! What there is to find at the end of a run, and the Windows event logs, as text.

use std::fmt::Write;

use hvrsim_sim::findings::Found;
use hvrsim_sim::findings::table::{KINDS, Weight};
use hvrsim_sim::windows_log::Entry;

use crate::names::Names;

/// The findings: each danger a line, all advice in one. Empty without any.
#[must_use]
pub fn text(names: &Names, found: &[Found]) -> String {
    let mut out = String::new();
    let place = |found: &Found| format!("{}/{}", names.host(found.host), names.vm(found.vm));
    let mut advice = Vec::new();
    for kind in KINDS {
        let places: Vec<String> = found.iter().filter(|f| f.kind == kind).map(place).collect();
        if places.is_empty() {
            continue;
        }
        match kind.weight {
            Weight::Danger => {
                let _ = writeln!(out, "  {:<34} {}", kind.name, places.join(", "));
                let _ = writeln!(out, "    {}\n    {}", kind.what, kind.cure);
            }
            Weight::Advice => advice.push(format!("{} ({})", kind.name, places.join(", "))),
        }
    }
    for line in &advice {
        let _ = writeln!(out, "  advice: {line}");
    }
    if out.is_empty() { out } else { format!("Findings (hvrsim explain NAME)\n{out}\n") }
}

/// The Windows event logs of all hosts, an entry a line.
#[must_use]
pub fn windows_events(names: &Names, entries: &[Entry]) -> String {
    let mut out = String::from("Windows event logs\n");
    for entry in entries {
        let (host, vm) = (names.host(entry.host), entry.vm.map(|vm| names.vm(vm)).unwrap_or_default());
        let _ = writeln!(out, "  {:<17} {host:<8} {vm:<12} {entry}", entry.at.to_string());
    }
    out.push('\n');
    out
}
