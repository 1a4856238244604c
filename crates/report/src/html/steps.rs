//! The steps: a list to choose from, and of the chosen one the state before and after, its line, its rules.

use std::collections::BTreeMap;

use hvrsim_replica::exchange::Note;
use hvrsim_replica::table::rule;
use hvrsim_sim::trace::{Record, What};
use hvrsim_sim::watch::Seen;
use hvrsim_types::id::CopyId;
use hvrsim_types::state::{Mode, ReplicationState};
use hvrsim_types::time::Instant;
use maud::{Markup, html};

use super::lanes::look;
use super::{Page, shown_at};
use crate::timeline;

/// How a step came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Came {
    Well,
    /// A refusal that was expected, since the run went on.
    Refused,
    Wrong,
}

impl Came {
    const fn sign(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Well => ("ok", "✓", "as written"),
            Self::Refused => ("ref", "⊘", "refused, as expected"),
            Self::Wrong => ("bad", "✗", "not as written"),
        }
    }
}

/// A rule that was taken, or refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    rule: String,
    copy: Option<CopyId>,
    /// Before and after, if the state changed.
    change: Option<((Mode, ReplicationState), (Mode, ReplicationState))>,
    refused: bool,
}

/// What happened in a step.
pub(super) struct StepStory {
    pub(super) number: u32,
    pub(super) line: u32,
    pub(super) text: String,
    pub(super) at: Instant,
    pub(super) end: Instant,
    pub(super) came: Came,
    before: Vec<(CopyId, Seen)>,
    after: Vec<(CopyId, Seen)>,
    rules: Vec<Taken>,
    /// The first records, for the list of events, and how many there are.
    events: Vec<Record>,
    count: usize,
}

/// A step lists no more events than this.
const EVENTS: usize = 60;
/// A step shows no more copies than this that did not change.
const COPIES: usize = 8;
/// The page holds no more steps than this.
pub(super) const STEPS: usize = 600;

impl StepStory {
    pub(super) fn new(number: u32, line: u32, text: &str, at: Instant, before: Vec<(CopyId, Seen)>) -> Self {
        Self {
            number,
            line,
            text: text.to_owned(),
            at,
            end: at,
            came: Came::Well,
            before,
            after: Vec::new(),
            rules: Vec::new(),
            events: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn take(&mut self, record: &Record) {
        let copy = record.host.zip(record.vm).map(|(host, vm)| CopyId { host, vm });
        let taken = match &record.what {
            What::Note(Note::Rule { rule, before, after }) => {
                let change = (before != after).then_some((*before, *after));
                Some(Taken { rule: rule.clone(), copy, change, refused: false })
            }
            What::Refused { rule, .. } => {
                self.came = self.came.max(Came::Refused);
                Some(Taken { rule: rule.clone(), copy, change: None, refused: true })
            }
            What::Expected { met: false, .. } => {
                self.came = Came::Wrong;
                None
            }
            _ => None,
        };
        if let Some(taken) = taken
            && !self.rules.contains(&taken)
            && self.rules.len() < EVENTS
        {
            self.rules.push(taken);
        }
        if matches!(record.what, What::Step { .. }) || !timeline::tells(record) {
            return;
        }
        self.count += 1;
        if self.events.len() < EVENTS {
            self.events.push(record.clone());
        }
    }

    /// It is over, and everything stands like this. Copies that it did not touch are dropped where there are many.
    pub(super) fn end(&mut self, at: Instant, standing: &[(CopyId, Seen)]) {
        self.end = at;
        let known: BTreeMap<CopyId, Seen> = self.before.iter().copied().collect();
        let many = standing.len() > COPIES;
        self.after =
            standing.iter().filter(|(copy, seen)| !many || known.get(copy) != Some(seen)).copied().collect();
        let kept: Vec<CopyId> = self.after.iter().map(|(copy, _)| *copy).collect();
        self.before.retain(|(copy, _)| kept.contains(copy));
    }

    fn changed(&self, copy: CopyId) -> bool {
        let of = |all: &[(CopyId, Seen)]| all.iter().find(|(c, _)| *c == copy).map(|(_, seen)| *seen);
        of(&self.before) != of(&self.after)
    }
}

/// Which steps the page holds when there are too many: the first, the last, and all that did not go well.
pub(super) fn kept(steps: &[StepStory]) -> Vec<usize> {
    let count = steps.len();
    let half = STEPS / 3;
    let near = |index: usize| count <= STEPS || index < half || index + half >= count;
    let mut room = STEPS - 2 * half;
    let mut keeps = |index: usize| {
        if near(index) {
            return true;
        }
        let told = steps[index].came != Came::Well && room > 0;
        room -= usize::from(told);
        told
    };
    (0..count).filter(|index| keeps(*index)).collect()
}

pub(super) fn panel(page: &Page<'_>, kept: &[usize]) -> Markup {
    let steps = &page.story.steps;
    let reached: Vec<u32> = steps.iter().map(|step| step.line).collect();
    let missed = page.about.steps.iter().filter(|planned| !reached.contains(&planned.line));
    html! {
        section #steps .card aria-labelledby="steps-title" {
            h2 #steps-title { "Plan: every step, with the state before and after" }
            p .hint { "Choose a step. Arrow keys go from one to the next; the address of the page then names it." }
            div .split {
                ol .list #step-list {
                    @for index in kept { (entry(&steps[*index], *index)) }
                    @for planned in missed {
                        li .step .missed {
                            span .sign { "–" }
                            span .words { (planned.text) }
                            span .when { "not reached, line " (planned.line) }
                        }
                    }
                }
                div .details { @for index in kept { (detail(page, &steps[*index], *index)) } }
            }
        }
    }
}

fn entry(step: &StepStory, index: usize) -> Markup {
    let (class, sign, words) = step.came.sign();
    html! {
        li .step .(class) {
            a href={"#step-" (index)} data-step=(index) {
                span .sign aria-label=(words) { (sign) }
                span .words {
                    @if step.number > 0 { b { (step.number) ". " } }
                    (step.text)
                }
                span .when { (step.at) }
            }
        }
    }
}

fn detail(page: &Page<'_>, step: &StepStory, index: usize) -> Markup {
    let (from, to) = page.axis.part(index + 1);
    let (class, _, words) = step.came.sign();
    html! {
        article .detail id={"step-" (index)} tabindex="-1" data-t=(format!("{},{},{},{}", from.time, to.time, from.step, to.step)) {
            h3 { @if step.number > 0 { (step.number) ". " } (step.text) }
            p .meta {
                span .badge .(class) { (words) }
                " " (step.at) " (" (shown_at(page, step.at)) ")"
                @if step.end > step.at { ", took " (step.end - step.at) }
            }
            (source(page, step.line))
            (states(page, step))
            (rules(page, step))
            (events(page, step))
        }
    }
}

fn source(page: &Page<'_>, line: u32) -> Markup {
    let lines: Vec<&str> = page.log.header.scenario.lines().collect();
    let at = usize::try_from(line).unwrap_or(0);
    if at == 0 || at > lines.len() {
        return html! {};
    }
    // The step's lines: up to the next entry of a list on its level or above.
    let indent = |text: &str| text.len() - text.trim_start().len();
    let level =
        lines[..at].iter().rev().find(|text| text.trim_start().starts_with("- ")).map_or(0, |t| indent(t));
    let first = (0..at).rev().find(|n| lines[*n].trim_start().starts_with("- ")).unwrap_or(at - 1);
    let ends = |text: &str| !text.trim().is_empty() && indent(text) <= level;
    let last = lines[at..].iter().position(|text| ends(text)).map_or(lines.len(), |n| at + n);
    let last = last.min(first + 14);
    html! {
        h4 { "Source, line " (line) }
        pre .source {
            @for n in first..last {
                @let text = lines[n].trim_end();
                @if !(n + 1 == last && text.is_empty()) {
                    span .row .here[n + 1 == at] { span .no { (n + 1) } (text) "\n" }
                }
            }
        }
    }
}

fn states(page: &Page<'_>, step: &StepStory) -> Markup {
    let before: BTreeMap<CopyId, Seen> = step.before.iter().copied().collect();
    let shown = |seen: Option<&Seen>| {
        html! {
            @match seen {
                Some(seen) => {
                    @let (class, text) = look(seen.mode, seen.state);
                    span .state { i .swatch .(class) aria-hidden="true" {} (text) }
                    span .power { (seen.power) }
                }
                None => { span .state { "no copy" } }
            }
        }
    };
    html! {
        h4 { "State before and after" }
        @if step.after.is_empty() { p .none { "No copy changed." } }
        @else {
            table .states {
                thead { tr { th scope="col" { "Copy" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for (copy, seen) in &step.after {
                        @let changed = step.changed(*copy);
                        tr .changed[changed] {
                            th scope="row" { (page.copy(*copy)) @if changed { span .tag { "changed" } } }
                            td .before { (shown(before.get(copy))) }
                            td .after { (shown(Some(seen))) }
                        }
                    }
                }
            }
        }
    }
}

fn rules(page: &Page<'_>, step: &StepStory) -> Markup {
    if step.rules.is_empty() {
        return html! {};
    }
    let name = |(mode, state): (Mode, ReplicationState)| format!("{mode} {}", state.powershell(mode));
    html! {
        h4 { "Rules" }
        ul .rules {
            @for taken in &step.rules {
                li {
                    b { (taken.rule) }
                    @if let Some(copy) = taken.copy { " on " (page.copy(copy)) }
                    @if taken.refused { span .badge .ref { "refused" } }
                    @if let Some((before, after)) = taken.change { ": " (name(before)) " → " (name(after)) }
                    @if let Some(rule) = rule(&taken.rule) {
                        span .what { (rule.what) }
                        span .evidence { (rule.evidence) ": " (rule.source) }
                    }
                }
            }
        }
    }
}

fn events(page: &Page<'_>, step: &StepStory) -> Markup {
    if step.events.is_empty() {
        return html! {};
    }
    html! {
        h4 { "What happened" }
        ol .events {
            @for record in &step.events {
                @if let Some(text) = timeline::words(&page.names, record) {
                    li {
                        time { (record.at) }
                        span .who {
                            @if let Some(host) = record.host { (page.names.host(host)) }
                            @if let Some(vm) = record.vm { " " (page.names.vm(vm)) }
                        }
                        span .text { (text) }
                    }
                }
            }
        }
        @if step.count > step.events.len() {
            p .none { (step.count - step.events.len()) " more events of this step are in the event log." }
        }
    }
}
