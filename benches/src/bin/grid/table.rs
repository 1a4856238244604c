//! Figures as Markdown.

use std::fmt::Write;

use crate::cells::{Cache, Cell};
use crate::peers::{Cost, Figures};

const COMPARE: &str = "qemu-img compare";
const CP: &str = "cp";
const RSYNC: &str = "rsync --inplace --no-whole-file";
const READ: &str = "read both";
const OURS: &str = "ours";
const TRACKED: &str = "tracked";
const TCP: &str = "tcp";

/// The columns of a row.
pub(crate) const HEAD: &str = "\
| cell | hvrsim s | CPU s | MiB | tracked s | TCP s | read both s | qemu-img compare s | cp s | rsync s | best other | \
other / hvrsim |
|---|---|---|---|---|---|---|---|---|---|---|---|";

/// A cell's row; all seconds include the fsync that a tool left undone.
pub(crate) fn row(cell: &Cell, figures: &Figures) -> String {
    let seconds =
        |name: &str| figures.get(name).map_or("-".to_owned(), |cost| shown(cost.seconds, cost.right));
    let ours = figures.get(OURS);
    let small =
        |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let best = best_other(figures);
    let ratio = best.and_then(|(_, cost)| Some(cost.seconds / ours?.seconds));
    let mut line = String::from("|");
    let values = [
        cell.name(),
        seconds(OURS),
        small(ours.and_then(|cost| cost.cpu_s), 2),
        small(ours.and_then(|cost| cost.rss_mib), 0),
        seconds(TRACKED),
        seconds(TCP),
        seconds(READ),
        seconds(COMPARE),
        seconds(CP),
        seconds(RSYNC),
        best.map_or("-".to_owned(), |(name, cost)| format!("{name} {}", shown(cost.seconds, true))),
        small(ratio, 2),
    ];
    for value in values {
        let _ = write!(line, " {value} |");
    }
    line
}

fn shown(seconds: f64, right: bool) -> String {
    format!("{seconds:.3}{}", if right { "" } else { " WRONG" })
}

/// The quickest of the tools that make the target equal. One that only compares does half of the work and is in a column
/// of its own.
fn best_other(figures: &Figures) -> Option<(&str, Cost)> {
    let own = [OURS, TRACKED, TCP, READ, COMPARE];
    let others = figures.iter().filter(|(name, cost)| !own.contains(&name.as_str()) && cost.right);
    others.map(|(name, cost)| (name.as_str(), *cost)).min_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds))
}

/// A ratio that is to be reached.
struct Goal {
    what: &'static str,
    cells: fn(&Cell) -> bool,
    /// The first tool's time by the second's, at least so much.
    ratio: (&'static str, &'static str, f64),
}

fn up_to(cell: &Cell, most: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::MAX);
    number(cell.changed) <= number(most)
}

const GOALS: &[Goal] = &[
    Goal {
        what: "rsync --inplace by ours",
        cells: |cell| cell.size.is_empty() && cell.name() == "raw/random/1/warm",
        ratio: (RSYNC, OURS, 12.0),
    },
    Goal {
        what: "qemu-img compare by ours",
        cells: |cell| cell.size.is_empty() && cell.name() == "raw/random/1/warm",
        ratio: (COMPARE, OURS, 2.5),
    },
    Goal {
        what: "rsync --inplace by ours over TCP",
        cells: |cell| cell.size.is_empty() && cell.name() == "raw/random/1/warm",
        ratio: (RSYNC, TCP, 6.0),
    },
    Goal {
        what: "our full compare by tracked, 16 GiB",
        cells: |cell| cell.size == "16 GiB",
        ratio: (OURS, TRACKED, 8.0),
    },
    Goal {
        what: "rsync --inplace by ours, cold",
        cells: |cell| cell.name() == "raw/random/1/cold",
        ratio: (RSYNC, OURS, 4.0),
    },
    Goal {
        what: "reading both by ours, cold, up to 1 %",
        cells: |cell| cell.cache == Cache::Cold && up_to(cell, "1"),
        ratio: (READ, OURS, 1.0 / 1.15),
    },
    Goal {
        what: "cp by ours, raw, up to 10 %",
        cells: |cell| {
            cell.size.is_empty() && cell.format == "raw" && cell.cache == Cache::Warm && up_to(cell, "10")
        },
        ratio: (CP, OURS, 2.0),
    },
    Goal {
        what: "qemu-img compare by ours, VHDX, up to 1 %",
        cells: |cell| cell.format == "vhdx" && cell.cache == Cache::Warm && up_to(cell, "1"),
        ratio: (COMPARE, OURS, 2.0),
    },
];

/// Each goal with what was reached, by cell.
pub(crate) fn goals(rows: &[(Cell, Figures)]) -> String {
    let mut text = String::from("| goal | cell | at least | reached | |\n|---|---|---|---|---|\n");
    let mut line = |what: &str, cell: &Cell, wanted: f64, reached: f64| {
        let verdict = if reached >= wanted { "met" } else { "MISSED" };
        let _ = writeln!(text, "| {what} | {} | {wanted:.2} | {reached:.2} | {verdict} |", cell.name());
    };
    for Goal { what, cells, ratio: (first, second, wanted) } in GOALS {
        for (cell, figures) in rows.iter().filter(|(cell, _)| cells(cell)) {
            if let (Some(first), Some(second)) = (figures.get(*first), figures.get(*second)) {
                line(what, cell, *wanted, first.seconds / second.seconds);
            }
        }
    }
    for (cell, figures) in rows.iter().filter(|(cell, _)| cell.cache == Cache::Warm && up_to(cell, "10")) {
        if let (Some((_, best)), Some(ours)) = (best_other(figures), figures.get(OURS)) {
            line("best other that writes by ours, warm", cell, 1.0, best.seconds / ours.seconds);
        }
    }
    text
}
