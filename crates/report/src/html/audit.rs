//! What an auditor asks for: RTO and RPO achieved against their targets, what was lost, and a box to sign in.

use hvrsim_sim::ledger::Loss;
use hvrsim_types::id::VmId;
use hvrsim_types::size::Bytes;
use hvrsim_types::state::ReplicationType;
use hvrsim_types::time::{Instant, Span};
use maud::{Markup, html};

use super::charts::rounded;
use super::story::Choices;
use super::{Page, shown_at};

/// More rows of a kind than this are not listed.
const ROWS: usize = 60;

/// One line of the table of objectives.
struct Objective {
    what: String,
    target: String,
    achieved: String,
    met: Option<bool>,
    when: Option<Instant>,
}

pub(super) fn objectives(page: &Page<'_>) -> Markup {
    let mut rows = rto(page);
    rows.extend(outages(page));
    rows.extend(rpo(page));
    page.thinned(rows.len().saturating_sub(ROWS), "rows of objectives");
    html! {
        section #objectives .card aria-labelledby="objectives-title" {
            h2 #objectives-title { "Objectives: RTO and RPO achieved against target" }
            @if rows.is_empty() { p .none { "No machine was replicated, and no step has a time limit." } }
            @else {
                div .scroll tabindex="0" role="region" aria-label="Objectives" {
                    table {
                        thead { tr {
                            th scope="col" { "Objective" } th scope="col" { "Target" } th scope="col" { "Achieved" }
                            th scope="col" { "Met" } th scope="col" { "When" }
                        } }
                        tbody {
                            @for row in rows.iter().take(ROWS) {
                                tr {
                                    th scope="row" { (row.what) } td .n { (row.target) } td .n { (row.achieved) }
                                    td { (met(row.met)) }
                                    td .n { @if let Some(at) = row.when { (at) } }
                                }
                            }
                        }
                    }
                }
            }
            p .hint {
                "Targets are those of the scenario: " code { "within" } " of a step, " code { "rpo" } " and "
                code { "unprotected-longer-than" } " of " code { "never" } ". All times are virtual."
            }
        }
    }
}

fn met(met: Option<bool>) -> Markup {
    html! {
        @match met {
            Some(true) => { span .badge .ok { "✓ met" } }
            Some(false) => { span .badge .bad { "✗ missed" } }
            None => { span .badge .ref { "no target" } }
        }
    }
}

/// Steps with a time limit.
fn rto(page: &Page<'_>) -> Vec<Objective> {
    let steps = page.story.steps.iter();
    let limited = steps.filter_map(|step| Some((step, *page.about.within.get(&step.line)?)));
    limited
        .map(|(step, target)| {
            let took = step.end - step.at;
            Objective {
                what: format!("RTO of step {}: {}", step.number, step.text),
                target: target.to_string(),
                achieved: took.to_string(),
                met: Some(took <= target),
                when: Some(step.at),
            }
        })
        .collect()
}

/// How long each machine ran nowhere.
fn outages(page: &Page<'_>) -> Vec<Objective> {
    let end = Instant(page.log.footer.end_ns);
    let outages = page.story.outages.iter().map(|outage| {
        let back = match (outage.to, outage.host) {
            (Some(to), Some(host)) => {
                format!("{}, then on {}", rounded(to - outage.from), page.names.host(host))
            }
            _ => format!("{}, and not back", rounded(end - outage.from)),
        };
        Objective {
            what: format!("Outage of {}", page.names.vm(outage.vm)),
            target: "–".to_owned(),
            achieved: back,
            met: None,
            when: Some(outage.from),
        }
    });
    outages.collect()
}

fn rpo(page: &Page<'_>) -> Vec<Objective> {
    let of = |(vm, ages): (&VmId, &Vec<super::story::Age>)| {
        let most = ages.iter().map(|age| age.rpo).max()?;
        let (target, stated) = page.about.rpo_target(*vm);
        let target = target.filter(|_| stated);
        Some(Objective {
            what: format!("RPO of {}, the worst moment", page.names.vm(*vm)),
            target: target.map_or("–".to_owned(), |target| target.to_string()),
            achieved: rounded(most).to_string(),
            met: target.map(|target| most <= target),
            when: None,
        })
    };
    page.story.ages.iter().filter_map(of).collect()
}

// Losses.

pub(super) fn losses(page: &Page<'_>) -> Markup {
    let all = &page.story.choices;
    html! {
        section #loss .card aria-labelledby="loss-title" {
            h2 #loss-title { "Loss by tag, for each recovery point" }
            @if all.is_empty() && page.story.losses.is_empty() && page.log.footer.lost.is_empty() {
                p .none { "No replica kept a recovery point that could have been chosen, and nothing was lost." }
            }
            @for choices in all.iter().take(12) { (table(page, choices)) }
            (lost(page))
        }
    }
}

fn tags(choices: &Choices) -> Vec<Option<&str>> {
    let lost = choices.points.iter().map(|choice| &choice.lost).chain(&choices.newest).flatten();
    let mut tags: Vec<Option<&str>> = lost.map(|loss| loss.tag.as_deref()).collect();
    tags.sort_by_key(|tag| (tag.is_none(), *tag));
    tags.dedup();
    tags.truncate(12);
    tags
}

fn of_tag<'a>(lost: &'a [Loss], tag: Option<&str>) -> Option<&'a Loss> {
    lost.iter().find(|loss| loss.tag.as_deref() == tag)
}

fn table(page: &Page<'_>, choices: &Choices) -> Markup {
    let tags = tags(choices);
    let losses = choices.points.iter().map(|choice| &choice.lost).chain(&choices.newest);
    let worst = losses.map(|lost| total(lost)).max().unwrap_or(0).max(1);
    let end = choices.chosen.is_none() && choices.newest.is_none();
    let what = if end { "had it been failed over at the end:" } else { "what could be chosen:" };
    html! {
        h3 { (page.copy(choices.copy)) " at " (choices.at) ", " (what) }
        div .scroll tabindex="0" role="region" aria-label="Loss by recovery point" {
            table .loss {
                thead { tr {
                    th scope="col" { "Recovery point" }
                    @for tag in &tags { th scope="col" { (tag.unwrap_or("untagged")) } }
                    th scope="col" { "In all" }
                } }
                tbody {
                    @if let Some(lost) = &choices.newest {
                        (choice(&html! { "the newest content" }, lost, &tags, worst, true))
                    }
                    @for point in choices.points.iter().rev() {
                        @let name = html! { (point.taken) small { " " (kind(point.kind)) } };
                        (choice(&name, &point.lost, &tags, worst, choices.chosen == Some(point.point)))
                    }
                }
            }
        }
    }
}

/// A row of the table: what this content lacks, by tag.
fn choice(name: &Markup, lost: &[Loss], tags: &[Option<&str>], worst: u64, chosen: bool) -> Markup {
    let sum = total(lost);
    html! {
        tr .chosen[chosen] {
            th scope="row" { (name) @if chosen { span .tag { "chosen" } } }
            @for tag in tags {
                td .n { @match of_tag(lost, *tag) { Some(loss) => (Bytes(loss.bytes)), None => "–" } }
            }
            td .n .bar style=(format!("--w:{}%", sum.saturating_mul(100) / worst)) {
                @if sum == 0 { "nothing" } @else { (Bytes(sum)) }
            }
        }
    }
}

const fn kind(kind: ReplicationType) -> &'static str {
    match kind {
        ReplicationType::Planned => "planned",
        ReplicationType::ApplicationConsistent => "application-consistent",
        _ => "",
    }
}

fn total(lost: &[Loss]) -> u64 {
    lost.iter().map(|loss| loss.bytes).sum()
}

fn lost(page: &Page<'_>) -> Markup {
    let losses = &page.story.losses;
    page.thinned(losses.len().saturating_sub(ROWS), "losses");
    html! {
        @if !losses.is_empty() {
            h3 { "Losses as they were told" }
            ul .lost {
                @for (at, copy, lost) in losses.iter().take(ROWS) {
                    li {
                        time { (at) } " " (page.copy(*copy)) ": "
                        @for (n, loss) in lost.iter().enumerate() { @if n > 0 { "; " } (loss) }
                    }
                }
            }
        }
        (lost_at_the_end(page))
    }
}

/// Each write once, whatever was told of it on the way.
fn lost_at_the_end(page: &Page<'_>) -> Markup {
    html! {
        @if !page.log.footer.lost.is_empty() {
            h3 { "Lost at the end" }
            ul #lost-at-the-end .lost {
                @for (vm, lost) in &page.log.footer.lost {
                    li { (vm) ": " @for (n, loss) in lost.iter().enumerate() { @if n > 0 { "; " } (loss) } }
                }
            }
        }
    }
}

// Sign-off.

pub(super) fn sign_off(page: &Page<'_>) -> Markup {
    let field = |id: &str, label: &str| {
        html! {
            div .field { label for=(id) { (label) } input #(id) type="text" autocomplete="off"; }
        }
    };
    html! {
        section #sign-off .card aria-labelledby="sign-off-title" {
            h2 #sign-off-title { "Sign-off" }
            p {
                "This is a rehearsal in a simulator, begun at the virtual time " (shown_at(page, Instant::START))
                " and " (Span(page.log.footer.end_ns)) " long. Digest of everything that happened: "
                code .digest { (page.log.footer.digest) }
            }
            form .signs {
                @for (id, words) in [
                    ("plan-read", "The plan above is the one that is to be rehearsed"),
                    ("objectives-read", "RTO and RPO achieved have been looked at, and are accepted"),
                    ("loss-read", "The losses above are accepted"),
                ] {
                    label .check { input type="checkbox" id=(id); " " (words) }
                }
                (field("signer", "Name")) (field("role", "Role")) (field("date", "Date")) (field("signature", "Signature"))
            }
            p .hint { "Nothing that is typed here is kept or sent: print the page, or save it as PDF." }
        }
    }
}
