//! The table that the script of the other tools prints.

use std::collections::BTreeMap;

/// What a tool cost in a cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cost {
    /// Until its exit, and until everything was on the disk.
    pub seconds: f64,
    /// Processor time.
    pub cpu_s: Option<f64>,
    /// The largest process.
    pub rss_mib: Option<f64>,
    /// Whether the target was found equal, or was not to be written.
    pub right: bool,
}

/// By the tool's name.
pub(crate) type Figures = BTreeMap<String, Cost>;

/// Reads the tab-separated table; `best` takes the quickest run instead of the median.
pub(crate) fn parse(text: &str, best: bool) -> Result<Figures, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    // All tools may be missing.
    let Some(head) = lines.next() else { return Ok(Figures::new()) };
    let columns: Vec<&str> = head.split('\t').collect();
    let column = |name: &str| {
        columns
            .iter()
            .position(|column| *column == name)
            .ok_or_else(|| format!("PEERS printed no column `{name}`"))
    };
    let wall = column(if best { "best_s" } else { "wall_s" })?;
    let (peer, sync, cpu, rss, check) =
        (column("peer")?, column("sync_s")?, column("cpu_s")?, column("rss_MiB")?, column("check")?);
    let mut figures = Figures::new();
    for line in lines {
        let values: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| values.get(at).and_then(|text| text.parse::<f64>().ok());
        let word = |at: usize| values.get(at).copied().unwrap_or_default();
        let Some(seconds) = number(wall) else {
            eprintln!("{}: {}", word(peer), word(check));
            continue;
        };
        let cost = Cost {
            seconds: seconds + number(sync).unwrap_or(0.0),
            cpu_s: number(cpu),
            rss_mib: number(rss),
            right: !word(check).contains("DIFFERS"),
        };
        figures.insert(word(peer).to_owned(), cost);
    }
    Ok(figures)
}
