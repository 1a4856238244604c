//! The state diagram with the visited path, and which rules the run took.

use hvrsim_replica::table::RULES;
use maud::{Markup, PreEscaped, html};

use super::Page;
use crate::coverage::SUBJECTS;
use crate::diagram;

pub(super) fn panel(page: &Page<'_>) -> Markup {
    let coverage = &page.coverage;
    html! {
        section #coverage .card aria-labelledby="coverage-title" {
            h2 #coverage-title { "State diagram, with the visited path" }
            p .hint { "The run took " b { (coverage.summary()) } ". Ways are numbered in the order in which they were first gone." }
            @if !coverage.ways().is_empty() {
                div .scroll tabindex="0" role="region" aria-label="State diagram" { (PreEscaped(diagram::svg(coverage))) }
            }
            div .cover {
                @for (subject, group) in SUBJECTS.iter().zip(RULES) {
                    @let taken = group.iter().filter(|rule| coverage.times(rule.id) > 0).count();
                    div {
                        h4 { (subject) ": " (taken) " of " (group.len()) }
                        p .chips {
                            @for rule in *group {
                                @let times = coverage.times(rule.id);
                                span .chip .taken[times > 0] title={ (rule.what) @if times > 0 { " (" (times) " times)" } } { (rule.id) }
                            }
                        }
                    }
                }
            }
            details {
                summary { "Mermaid text" }
                pre .source { span .row { (diagram::mermaid(coverage)) } }
            }
        }
    }
}
