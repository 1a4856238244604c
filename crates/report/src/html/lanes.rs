//! Lanes: each host and each copy of a machine over time, coloured and patterned by state; faults, marks, jobs.

use std::collections::BTreeMap;

use hvrsim_sim::watch::Seen;
use hvrsim_types::id::{CopyId, HostId};
use hvrsim_types::job::JobState;
use hvrsim_types::state::{Mode, Power, ReplicationState};
use hvrsim_types::time::Instant;
use maud::{Markup, html};

use super::axis::{FULL, Place};
use super::story::{Broken, Job, Mark, Stretch};
use super::{Page, STEP_MARKS};

/// A lane has no more stretches than this; what is narrower than a column of the screen is drawn as one.
const STRETCHES: usize = 400;
/// More jobs than this are not drawn, and not listed.
const JOBS: usize = 300;
/// More marks than this are not drawn.
const MARKS: usize = 200;

/// How a state looks, and what it is called.
pub(super) fn look(mode: Mode, state: ReplicationState) -> (&'static str, String) {
    use ReplicationState as S;
    let class = match (mode, state) {
        (Mode::None, _) | (_, S::Disabled) => "s-none",
        (Mode::Primary, S::Replicating) => "s-rep",
        (_, S::Replicating) => "s-copy",
        (_, S::ReadyForInitialReplication | S::WaitingToCompleteInitialReplication) => "s-init",
        (_, S::SyncedReplicationComplete | S::PreparedForSyncReplication) => "s-prep",
        (_, S::FailoverInProgress | S::Recovered) => "s-over",
        (_, S::Committed) => "s-done",
        (_, S::Suspended | S::ResynchronizeSuspended) => "s-susp",
        (_, S::WaitingForStartResynchronize | S::Resynchronizing) => "s-sync",
        (_, S::FailbackInProgress | S::FailbackComplete) => "s-back",
        (_, S::Critical | S::DiskUpdateCritical) => "s-crit",
        _ => "s-other",
    };
    let words = match mode {
        Mode::None => "not replicated".to_owned(),
        mode => format!("{mode} {}", state.powershell(mode)),
    };
    (class, words)
}

const LEGEND: &[(&str, &str)] = &[
    ("s-rep", "primary, replicating"),
    ("s-copy", "replica, replicating"),
    ("s-init", "initial replication"),
    ("s-prep", "prepared for failover"),
    ("s-over", "failed over, may be reverted"),
    ("s-done", "failover committed"),
    ("s-back", "failback"),
    ("s-sync", "resynchronization"),
    ("s-susp", "suspended"),
    ("s-crit", "error"),
    ("s-none", "not replicated"),
];

pub(super) fn panel(page: &Page<'_>, kept: &[usize]) -> Markup {
    html! {
        section #timeline .card aria-labelledby="timeline-title" {
            div .head {
                h2 #timeline-title { "Timeline" }
                div .switch role="group" aria-label="Scale" {
                    button #by-step type="button" aria-pressed="true" { "room for every step" }
                    button #by-time type="button" aria-pressed="false" { "true to time" }
                }
            }
            div .lanes {
                (ticks(page))
                (step_lane(page, kept))
                (faults(page))
                @for host in page.hosts() { (host_lanes(page, host)) }
                (jobs(page))
                (super::charts::links(page))
                (super::charts::ages(page))
                div .cursor hidden aria-hidden="true" {}
            }
            ul .legend {
                @for (class, words) in LEGEND { li { i .swatch .(class) aria-hidden="true" {} (words) } }
                li { i .swatch .runs aria-hidden="true" {} "machine runs" }
                li { i .swatch .s-fault aria-hidden="true" {} "fault" }
            }
        }
    }
}

/// A lane with its label.
pub(super) fn lane(class: &str, label: &Markup, track: &Markup) -> Markup {
    html! {
        div .lane .(class) { div .label { (label) } div .track { (track) } }
    }
}

fn ticks(page: &Page<'_>) -> Markup {
    let track = html! {
        @for at in apart(page.axis.ticks(8).into_iter().map(|at| (page.axis.moment(at), at)), |place| place.time) {
            span .tick .on-time .last[at.0.time > LATE] style=(at.0.mark()) { (super::short(at.1)) }
        }
        @let starts = page.story.steps.iter().enumerate().map(|(n, step)| (page.axis.part(n + 1).0, step.at));
        @for at in apart(starts, |place| place.step) {
            span .tick .on-step .last[at.0.step > LATE] style=(at.0.mark()) { (super::short(at.1)) }
        }
    };
    lane("axis", &html! { "time" }, &track)
}

/// A tick behind this place has its words on its left.
const LATE: u64 = FULL * 93 / 100;

/// Ticks that leave room for the words of each.
fn apart(all: impl Iterator<Item = (Place, Instant)>, x: fn(Place) -> u64) -> Vec<(Place, Instant)> {
    let mut kept: Vec<(Place, Instant)> = Vec::new();
    for tick in all {
        let room = kept.last().is_none_or(|last| x(tick.0) >= x(last.0) + FULL / 11);
        let new = kept.last().is_none_or(|last| tick.1.0 / 1_000_000_000 > last.1.0 / 1_000_000_000);
        if room && new {
            kept.push(tick);
        }
    }
    kept
}

fn step_lane(page: &Page<'_>, kept: &[usize]) -> Markup {
    let shown: Vec<usize> = kept.iter().copied().take(STEP_MARKS).collect();
    let track = html! {
        @for index in shown {
            @let step = &page.story.steps[index];
            @let (from, to) = page.axis.part(index + 1);
            a .seg .stepmark .{"came-" (step.came as u8)} href={"#step-" (index)} style=(from.style(to)) title=(step.text)
                tabindex="-1" data-step=(index) { span .nr .wide[step.number > 9] { (step.number) } }
        }
    };
    lane("steps", &html! { "steps" }, &track)
}

fn faults(page: &Page<'_>) -> Markup {
    let mut rows: BTreeMap<&Broken, Vec<&Stretch<(Broken, String)>>> = BTreeMap::new();
    for fault in &page.story.faults {
        rows.entry(&fault.what.0).or_default().push(fault);
    }
    let name = |broken: &Broken| match broken {
        Broken::Host(host) => page.names.host(*host).to_owned(),
        Broken::Link(a, b) => format!("{}–{}", page.names.host(*a), page.names.host(*b)),
        Broken::Incident(host, Some(vm), ..) => page.copy(CopyId { host: *host, vm: *vm }),
        Broken::Incident(host, None, Some(to), _) => {
            format!("{}–{}", page.names.host(*host), page.names.host(*to))
        }
        Broken::Incident(host, None, None, _) => page.names.host(*host).to_owned(),
    };
    html! {
        @for (broken, faults) in rows {
            @let track = html! {
                @for fault in faults.iter().take(STRETCHES) {
                    @let text = format!("{} {}, {} to {}", name(broken), fault.what.1, fault.from.0, fault.to.0);
                    span .seg .s-fault style=(fault.from.1.style(fault.to.1)) title=(text) { span .text { (fault.what.1) } }
                }
            };
            (lane("faults", &html! { (name(broken)) small { "fault" } }, &track))
        }
        @if !page.story.marks.is_empty() {
            @let track = html! { @for mark in page.story.marks.iter().take(MARKS) { (a_mark(mark)) } };
            (lane("marks", &html! { "findings" small { "and faults of a moment" } }, &track))
        }
    }
}

fn a_mark(mark: &Mark) -> Markup {
    let text = format!("{} at {}", mark.text, mark.at);
    html! { span .mark style=(mark.place.mark()) title=(text) role="img" aria-label=(text) { "◆" } }
}

fn host_lanes(page: &Page<'_>, host: HostId) -> Markup {
    let down = page.story.faults.iter().filter(|fault| fault.what.0 == Broken::Host(host));
    let track = html! {
        span .seg .up style=(Place::default().style(Place::END)) title={ (page.names.host(host)) " is up" } {}
        @for fault in down.take(STRETCHES) {
            @let text = format!("{} to {}", fault.from.0, fault.to.0);
            span .seg .s-fault style=(fault.from.1.style(fault.to.1)) title=(text) { span .text { (fault.what.1) } }
        }
    };
    let copies = page.story.lanes.iter().filter(|(copy, _)| copy.host == host);
    html! {
        (lane("host", &html! { b { (page.names.host(host)) } small { (page.site(host)) } }, &track))
        @for (copy, stretches) in copies { (copy_lane(page, *copy, stretches)) }
    }
}

fn copy_lane(page: &Page<'_>, copy: CopyId, stretches: &[Stretch<Seen>]) -> Markup {
    let points = page.story.points.get(&copy);
    let (shown, thinned) = thin(stretches);
    page.thinned(thinned, "changes of state that are narrower than a column of the screen");
    let track = html! {
        @for stretch in &shown {
            @let seen = stretch.what;
            @let (class, words) = look(seen.mode, seen.state);
            @let title = format!("{}, {}, machine {}, {} to {}", page.copy(copy), words, seen.power, stretch.from.0, stretch.to.0);
            span .seg .(class) .runs[seen.power == Power::Running] style=(stretch.from.1.style(stretch.to.1)) title=(title) {
                span .text { (short_words(&words)) }
            }
        }
        @if let Some(points) = points { (super::charts::points(page, points)) }
    };
    let label = html! { (page.names.vm(copy.vm)) small { "on " (page.names.host(copy.host)) } };
    lane("copy", &label, &track)
}

/// The name of the state alone; the mode is in the colour and in the words that appear on pointing.
fn short_words(words: &str) -> &str {
    words.split_once(' ').filter(|(mode, _)| *mode != "not").map_or(words, |(_, state)| state)
}

/// Joins what is narrower than the screen can show; tells how many stretches that hid.
fn thin(stretches: &[Stretch<Seen>]) -> (Vec<Stretch<Seen>>, usize) {
    if stretches.len() <= STRETCHES {
        return (stretches.to_vec(), 0);
    }
    let narrow = |from: Place, to: Place| {
        let least = FULL / u64::try_from(STRETCHES).unwrap_or(1);
        to.time - from.time < least && to.step.saturating_sub(from.step) < least
    };
    let mut shown: Vec<Stretch<Seen>> = Vec::new();
    for stretch in stretches {
        match shown.last_mut() {
            Some(last) if last.what == stretch.what || narrow(last.from.1, last.to.1) => {
                if !narrow(stretch.from.1, stretch.to.1) {
                    last.what = stretch.what;
                }
                last.to = stretch.to;
            }
            _ => shown.push(stretch.clone()),
        }
    }
    let hidden = stretches.len() - shown.len();
    (shown, hidden)
}

const fn phase_class(phase: &str) -> &'static str {
    match phase.as_bytes() {
        b"comparing" => "p-compare",
        b"transferring" => "p-transfer",
        b"preparing" => "p-prepare",
        b"finalizing" => "p-final",
        b"waiting-for-provider" | b"scheduled" => "p-wait",
        _ => "p-ask",
    }
}

fn jobs(page: &Page<'_>) -> Markup {
    let jobs = &page.story.jobs;
    page.thinned(jobs.len().saturating_sub(JOBS), "jobs after the first");
    let mut rows: Vec<(u64, Vec<&Job>)> = Vec::new();
    for job in jobs.iter().take(JOBS) {
        let from = job.from().1.step;
        // A job stands in the first row that is free, with room to tell two apart.
        match rows.iter_mut().find(|(end, _)| *end <= from) {
            Some((end, row)) => {
                *end = job.to().1.step;
                row.push(job);
            }
            None => rows.push((job.to().1.step, vec![job])),
        }
    }
    html! {
        @for (number, (_, row)) in rows.iter().enumerate().take(6) {
            @let track = html! { @for job in row { (job_bar(page, job)) } };
            @let label = html! { @if number == 0 { "jobs" small { "by phase" } } };
            (lane("jobs", &label, &track))
        }
    }
}

fn job_bar(page: &Page<'_>, job: &Job) -> Markup {
    let copy = page.copy(CopyId { host: job.host, vm: job.vm });
    let title =
        format!("job {} of {copy}: {}, {} to {}", job.id.0, job.kind.label(), job.from().0, job.to().0);
    html! {
        @for phase in &job.phases {
            span .seg .job .(phase_class(phase.what)) style=(phase.from.1.style(phase.to.1)) title={ (title) ", " (phase.what) } {}
        }
        span .seg .joblabel style=(job.from().1.style(job.to().1)) title=(title) { span .text { (job.kind.label()) } }
    }
}

pub(super) fn job_table(page: &Page<'_>) -> Markup {
    let jobs: Vec<&Job> = page.story.jobs.iter().take(JOBS).collect();
    html! {
        section #jobs .card aria-labelledby="jobs-title" {
            h2 #jobs-title { "Jobs" }
            @if jobs.is_empty() { p .none { "No job was started." } }
            @else {
                div .scroll tabindex="0" role="region" aria-label="Jobs" {
                    table {
                        thead { tr {
                            th scope="col" { "Job" } th scope="col" { "Copy" } th scope="col" { "Begun" }
                            th scope="col" { "Took" } th scope="col" { "Phases" } th scope="col" { "Result" }
                        } }
                        tbody { @for job in jobs { (job_row(page, job)) } }
                    }
                }
            }
        }
    }
}

fn job_row(page: &Page<'_>, job: &Job) -> Markup {
    let (from, to) = (job.from().0, job.to().0);
    html! {
        tr {
            th scope="row" { (job.kind.label()) small { " " (job.id.0) } }
            td { (page.copy(CopyId { host: job.host, vm: job.vm })) }
            td .n { (from) }
            td .n { (to - from) }
            td {
                @for phase in &job.phases {
                    span .phase { i .swatch .(phase_class(phase.what)) aria-hidden="true" {} (phase.what) " " (phase.to.0 - phase.from.0) }
                }
            }
            td {
                @match &job.ended {
                    Some((JobState::Completed, _)) => { span .badge .ok { "Completed" } }
                    Some((state, text)) => { span .badge .bad { (state) } " " (text) }
                    None => { span .badge .ref { "still running" } }
                }
            }
        }
    }
}
