//! The report of a run: one HTML file that needs nothing beside it, made from the event log alone.
//!
//! Text and drawings are all there without scripts; the script (`page.js`) lets a reader choose steps and scales. What
//! no screen can show is left out, and the page says so.

mod audit;
mod axis;
mod charts;
mod lanes;
mod maps;
mod paths;
mod steps;
mod story;

use std::cell::RefCell;
use std::collections::BTreeMap;

use hvrsim_types::id::{CopyId, HostId, VmId};
use hvrsim_types::size::Rate;
use hvrsim_types::time::{Calendar, Instant, Span};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::coverage::Coverage;
use crate::events::Log;
use crate::names::Names;
use axis::Axis;
use story::Story;

/// Steps that are marked over the lanes.
const STEP_MARKS: usize = 300;
/// A scenario of more lines is shown as far as these go.
const SOURCE_LINES: usize = 3000;

/// What the scenario says beside what happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// Its title, with the combination of its matrix.
    pub title: String,
    /// Its description; empty if there is none.
    pub description: String,
    /// The command that makes the run again.
    pub command: String,
    /// The date of its start.
    pub calendar: Calendar,
    /// Its steps in order, those in `parallel` and `repeat` left out.
    pub steps: Vec<Planned>,
    /// Time limits of steps, by their line.
    pub within: BTreeMap<u32, Span>,
    /// What the RPO of a machine must not exceed.
    pub rpo: BTreeMap<VmId, Span>,
    /// How often machines are replicated.
    pub frequency: BTreeMap<VmId, Span>,
    /// Rates of links by their ends.
    pub rates: Vec<(HostId, HostId, Rate)>,
    /// Sites of hosts.
    pub sites: BTreeMap<HostId, String>,
}

/// A step of the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Its line.
    pub line: u32,
    /// What it does.
    pub text: String,
}

impl About {
    fn rate(&self, from: HostId, to: HostId) -> Option<Rate> {
        let ends = |(a, b, _): &&(HostId, HostId, Rate)| (*a, *b) == (from, to) || (*a, *b) == (to, from);
        self.rates.iter().find(ends).map(|(_, _, rate)| *rate)
    }

    /// The target, and whether the scenario states it; else how often the machine is replicated.
    fn rpo_target(&self, vm: VmId) -> (Option<Span>, bool) {
        match self.rpo.get(&vm) {
            Some(target) => (Some(*target), true),
            None => (self.frequency.get(&vm).copied(), false),
        }
    }
}

/// Everything that panels are made of.
struct Page<'a> {
    log: &'a Log,
    about: &'a About,
    names: Names,
    axis: Axis,
    story: Story,
    coverage: Coverage,
    /// What was left out, and how much.
    left_out: RefCell<BTreeMap<&'static str, usize>>,
}

impl Page<'_> {
    fn copy(&self, copy: CopyId) -> String {
        format!("{}/{}", self.names.host(copy.host), self.names.vm(copy.vm))
    }

    fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u16::try_from(self.names.hosts.len()).unwrap_or(u16::MAX)).map(HostId)
    }

    fn site(&self, host: HostId) -> &str {
        self.about.sites.get(&host).map_or("host", String::as_str)
    }

    /// Something is not shown for want of room.
    fn thinned(&self, count: usize, what: &'static str) {
        if count > 0 {
            *self.left_out.borrow_mut().entry(what).or_default() += count;
        }
    }
}

/// The page of a run.
#[must_use]
pub fn page(log: &Log, about: &About) -> String {
    let axis = Axis::new(&log.records, Instant(log.footer.end_ns));
    let story = Story::read(log, &axis);
    let mut coverage = Coverage::default();
    coverage.add(&log.records);
    let page = Page { log, about, names: log.names(), axis, story, coverage, left_out: RefCell::default() };
    let kept = steps::kept(&page.story.steps);
    page.thinned(page.story.steps.len() - kept.len(), "steps in the middle that went as written");
    let panels = html! {
        (lanes::panel(&page, &kept))
        (steps::panel(&page, &kept))
        (audit::objectives(&page))
        (audit::losses(&page))
        (lanes::job_table(&page))
        (maps::panel(&page))
        (paths::panel(&page))
        (source(&page))
        (audit::sign_off(&page))
    };
    document(&page, &panels).into_string()
}

fn document(page: &Page<'_>, panels: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (page.about.title) " – hvrsim" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body .by-step {
                a .skip href="#steps" { "To the steps" }
                (header(page))
                main { (panels) }
                footer {
                    "hvrsim " (page.log.header.tool) " · event log format " (page.log.header.format) " · "
                    (page.log.footer.records) " events · digest " code { (page.log.footer.digest.get(..16).unwrap_or("")) }
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    }
}

fn header(page: &Page<'_>) -> Markup {
    let failures = &page.log.footer.failures;
    let green = failures.is_empty();
    html! {
        header #verdict .card .verdict {
            div .top {
                span .stamp .ok[green] .bad[!green] { @if green { "✓ GREEN" } @else { "✗ RED" } }
                h1 { (page.about.title) }
            }
            @if !page.about.description.is_empty() { p .description { (page.about.description) } }
            @for failure in failures {
                p .failure { b { "line " (failure.line) ": " } (failure.message) }
            }
            dl .facts {
                @for (name, value) in facts(page) { div { dt { (name) } dd { (value) } } }
            }
            div .again {
                span { "Make it again" }
                code #command { (page.about.command) }
                button #copy type="button" { "copy" }
            }
            (left_out(page))
        }
    }
}

fn facts(page: &Page<'_>) -> Vec<(&'static str, String)> {
    let story = &page.story;
    let worst = story.ages.values().flatten().map(|age| age.rpo).max();
    let end = Instant(page.log.footer.end_ns);
    let outages = story.outages.iter().map(|o| (o.to.unwrap_or(end) - o.from, o.to.is_none()));
    let outage = outages
        .max()
        .map(|(span, open)| format!("{}{}", charts::rounded(span), if open { ", and not back" } else { "" }));
    // Records tell of one loss again and again: at the failover, when the old primary gives up its role, at a failback.
    let lost: u64 = page.log.footer.lost.values().flatten().map(|loss| loss.bytes).sum();
    let mut facts = vec![
        ("seed", page.log.header.seed.to_string()),
        ("virtual start", shown_at(page, Instant::START)),
        ("virtual time", charts::rounded(Span(page.log.footer.end_ns)).to_string()),
        ("steps", story.steps.iter().filter(|step| step.number > 0).count().to_string()),
        ("events", page.log.footer.records.to_string()),
        ("longest outage", outage.unwrap_or_else(|| "none".to_owned())),
        ("worst RPO", worst.map_or("–".to_owned(), |span| charts::rounded(span).to_string())),
        (
            "lost at the end",
            if lost == 0 { "nothing".to_owned() } else { hvrsim_types::size::Bytes(lost).to_string() },
        ),
    ];
    facts.push(("coverage", page.coverage.summary()));
    let params = page.log.header.params.iter().map(|(name, value)| format!("{name}={value}"));
    let params: Vec<String> = params.collect();
    if !params.is_empty() {
        facts.push(("parameters", params.join(", ")));
    }
    facts
}

fn left_out(page: &Page<'_>) -> Markup {
    let left = page.left_out.borrow();
    html! {
        @if !left.is_empty() {
            p #thinned .thinned {
                b { "Thinned. " } "The page leaves out what no screen can show: "
                @for (n, (what, count)) in left.iter().enumerate() { @if n > 0 { "; " } (count) " " (what) }
                ". The event log holds everything."
            }
        }
    }
}

fn source(page: &Page<'_>) -> Markup {
    let text = &page.log.header.scenario;
    let count = text.lines().count();
    page.thinned(count.saturating_sub(SOURCE_LINES), "lines of the scenario");
    html! {
        section #source .card aria-labelledby="source-title" {
            h2 #source-title { "The scenario" }
            details {
                summary { (count) " lines" }
                pre .source {
                    @for (n, line) in (1..).zip(text.lines()).take(SOURCE_LINES) {
                        span .row { span .no { (n) } (line) "\n" }
                    }
                }
                @for file in &page.log.header.included {
                    h3 { "included: " (file.path) }
                    pre .source { @for (n, line) in (1..).zip(file.text.lines()).take(SOURCE_LINES) {
                        span .row { span .no { (n) } (line) "\n" }
                    } }
                }
            }
        }
    }
}

/// A moment on the scenario's calendar.
fn shown_at(page: &Page<'_>, at: Instant) -> String {
    page.about.calendar.show(at)
}

/// A moment with no more figures than it needs.
fn short(at: Instant) -> String {
    let seconds = at.0 / 1_000_000_000;
    let (days, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let days = if days > 0 { format!("{days}d ") } else { String::new() };
    if s == 0 { format!("{days}{h:02}:{m:02}") } else { format!("{days}{h:02}:{m:02}:{s:02}") }
}
