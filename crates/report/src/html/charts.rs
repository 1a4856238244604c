//! Curves: what crossed the links, and how old the other side's content was, with recovery points as marks.

use std::collections::BTreeMap;
use std::fmt::Write;

use hvrsim_types::id::{HostId, PointId, VmId};
use hvrsim_types::size::Rate;
use hvrsim_types::time::{Instant, Span};
use maud::{Markup, html};

use super::Page;
use super::axis::{FULL, Place};
use super::lanes::lane;
use super::story::{Age, Carried, Point};

/// Height of a curve in its own units.
const HEIGHT: u64 = 1000;
/// A curve of a link has this many columns.
const COLUMNS: usize = 600;
/// A lane has no more marks of recovery points than this.
const POINTS: usize = 250;

/// Where a place is on one of the scales.
type Scale = fn(Place) -> u64;

/// Both curves of a lane, one for each scale, drawn by the same rule.
fn curves(class: &str, draw: impl Fn(Scale) -> String) -> Markup {
    html! {
        svg .curve .(class) viewBox={"0 0 " (FULL) " " (HEIGHT)} preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            path .on-time d=(draw(|place| place.time)) {}
            path .on-step d=(draw(|place| place.step)) {}
        }
    }
}

// Links.

pub(super) fn links(page: &Page<'_>) -> Markup {
    let mut ways: BTreeMap<(HostId, HostId), Vec<&Carried>> = BTreeMap::new();
    for carried in page.story.carried.iter().filter(|c| c.bytes > 0) {
        ways.entry((carried.from, carried.to)).or_default().push(carried);
    }
    html! {
        @for ((from, to), carried) in ways {
            @let columns = columns(page, &carried);
            @let peak = columns.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
            @let bytes = hvrsim_types::size::Bytes(carried.iter().map(|c| c.bytes).sum());
            @let limit = page.about.rate(from, to);
            @let top = limit.map_or(peak, |limit| limit.0).max(peak).max(1);
            @let title = format!("{bytes} from {} to {}, at most {}", page.names.host(from), page.names.host(to), Rate(peak));
            @let track = html! {
                (curves("flow", |x| area(&columns, top, x)))
                span .scale title=(title) { "peak " (Rate(peak)) @if let Some(limit) = limit { " of " (limit) } }
            };
            @let label = html! { (page.names.host(from)) "→" (page.names.host(to)) small { (bytes) } };
            (lane("chart flows", &label, &track))
        }
    }
}

/// Bytes a second over the run: each delivery counts evenly for the time that it took.
fn columns(page: &Page<'_>, carried: &[&Carried]) -> Vec<(Place, u64)> {
    let end = page.log.footer.end_ns.max(1);
    let count = u64::try_from(COLUMNS).unwrap_or(1);
    // The borders are those of both scales, so that neither loses the short transfers of a busy step.
    let mut borders: Vec<u64> = (0..=count).map(|n| mul(end, n, count)).collect();
    for (index, _) in page.story.steps.iter().enumerate().take(COLUMNS) {
        let step = &page.story.steps[index];
        let (from, to) = (step.at.0, step.end.0);
        borders.extend((0..8).map(|n| from + mul(to - from, n, 8)));
    }
    borders.sort_unstable();
    borders.dedup();
    // Bytes by border, from the growth of what each delivery has brought by then.
    let mut rates = vec![0u64; borders.len().saturating_sub(1)];
    for one in carried {
        let (begun, ended) = (one.begun.0, one.ended.0.max(one.begun.0 + 1));
        let by = |at: u64| mul(one.bytes, at.clamp(begun, ended) - begun, ended - begun);
        let first = borders.partition_point(|border| *border <= begun).saturating_sub(1);
        for (n, rate) in rates.iter_mut().enumerate().skip(first) {
            if borders[n] >= ended {
                break;
            }
            *rate += by(borders[n + 1]) - by(borders[n]);
        }
    }
    let per_second = |n: usize| mul(rates[n], 1_000_000_000, (borders[n + 1] - borders[n]).max(1));
    (0..rates.len()).map(|n| (page.axis.moment(Instant(borders[n])), per_second(n))).collect()
}

fn mul(value: u64, by: u64, of: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(by) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

fn area(columns: &[(Place, u64)], top: u64, x: Scale) -> String {
    let mut path = format!("M0 {HEIGHT}");
    let mut last = 0;
    for (place, rate) in columns {
        if *rate == last {
            continue;
        }
        let _ = write!(path, "H{}V{}", x(*place), HEIGHT - mul(HEIGHT, *rate, top).min(HEIGHT));
        last = *rate;
    }
    let _ = write!(path, "H{FULL}V{HEIGHT}Z");
    path
}

// RPO.

pub(super) fn ages(page: &Page<'_>) -> Markup {
    html! { @for (vm, ages) in &page.story.ages { (age_lane(page, *vm, ages)) } }
}

fn age_lane(page: &Page<'_>, vm: VmId, ages: &[Age]) -> Markup {
    let most = ages.iter().map(|age| age.rpo).max().unwrap_or_default();
    let (target, stated) = page.about.rpo_target(vm);
    // A little over the target, so that its line is seen; but a curve is not pressed flat by a target far away.
    let room = target.filter(|target| target.0 <= most.0.saturating_mul(6)).unwrap_or_default();
    let top = most.0.max(room.0).saturating_mul(11) / 10;
    let track = html! {
        (curves("age", |x| line(ages, top.max(1), x)))
        @if let Some(target) = target.filter(|target| target.0 < top) {
            span .target style=(format!("bottom:{}%", mul(100, target.0, top.max(1)))) {
                span { @if stated { "target " } @else { "replication frequency " } (target) }
            }
        }
        span .scale title=(format!("at most {most}")) { "at most " (rounded(most)) }
    };
    let label = html! { "RPO of " (page.names.vm(vm)) small { "age of the other side" } };
    lane("chart ages", &label, &track)
}

fn line(ages: &[Age], top: u64, x: Scale) -> String {
    let mut path = String::new();
    for (index, age) in ages.iter().enumerate() {
        let y = HEIGHT - mul(HEIGHT, age.rpo.0, top).min(HEIGHT);
        let _ = write!(path, "{}{} {y}", if index == 0 { 'M' } else { 'L' }, x(age.place));
    }
    path
}

/// Below a second nobody reads.
pub(super) fn rounded(span: Span) -> Span {
    if span.as_seconds() < 10 { span } else { Span::seconds(span.as_seconds()) }
}

// Recovery points.

pub(super) fn points(page: &Page<'_>, points: &BTreeMap<PointId, Point>) -> Markup {
    let mut all: Vec<&Point> = points.values().collect();
    all.sort_by_key(|point| point.at);
    let every = all.len().div_ceil(POINTS).max(1);
    page.thinned(all.len() - all.len().div_ceil(every), "recovery points that stand too close");
    html! {
        @for point in all.into_iter().step_by(every) {
            @let dropped = point.dropped.map_or("kept to the end".to_owned(), |at| format!("kept until {at}"));
            @let text = format!("{} recovery point of {}, {dropped}", point.kind, point.at);
            span .point .gone[point.dropped.is_some()] style=(point.place.mark()) title=(text) {}
        }
    }
}
