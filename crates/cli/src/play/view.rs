//! What the stepper shows.

use hvrsim_replica::exchange::Note;
use hvrsim_report::names::Names;
use hvrsim_sim::Look;
use hvrsim_sim::trace::What;
use hvrsim_sim::world::Event;
use hvrsim_types::id::CopyId;
use hvrsim_types::state::{Mode, Power, ReplicationState};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, List, ListItem, ListState, Paragraph, Wrap};

use super::Screen;
use super::player::Player;

/// Cells of a lane.
const LANE: usize = 22;

pub(super) fn draw(frame: &mut Frame<'_>, player: &Player, screen: &Screen) {
    let [head, body, message, help] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(8),
        Constraint::Length(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(38), Constraint::Percentage(62)]).areas(body);
    let copies = u16::try_from(player.sim.world.copies().count()).unwrap_or(8);
    let [lanes, events, timeline] = Layout::vertical([
        Constraint::Length((copies + 2).min(body.height / 2)),
        Constraint::Length(6),
        Constraint::Min(3),
    ])
    .areas(right);
    frame.render_widget(title(player), head);
    steps(frame, left, player, screen);
    frame.render_widget(self::lanes(player), lanes);
    frame.render_widget(next_events(player), events);
    frame.render_widget(self::timeline(player, timeline), timeline);
    frame.render_widget(said(player, screen), message);
    let keys = "s step  e event  u back  r run  b breakpoint  g go to  f fault  : step  ? why not  q quit";
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)), help);
    if let Some((chosen, faults)) = &screen.menu {
        menu(frame, *chosen, faults);
    }
}

fn title(player: &Player) -> Paragraph<'_> {
    let (at, ended) = (player.sim.now(), &player.reached.ended);
    let under_way = if player.reached.position.events.is_some() { " and a part" } else { "" };
    let place = format!(
        "{} of {} steps{under_way}  {at}  {}  seed {}  {} records  digest {}",
        player.steps(),
        player.scenario.steps.len(),
        player.scenario.calendar.show(at),
        player.seed(),
        ended.records,
        ended.digest.get(..16).unwrap_or_default(),
    );
    Paragraph::new(vec![Line::from(player.scenario.full_title()).style(Modifier::BOLD), Line::from(place)])
}

fn steps(frame: &mut Frame<'_>, area: Rect, player: &Player, screen: &Screen) {
    let done = player.steps();
    let item = |(index, step)| {
        let failed = index == done && player.trouble().is_some();
        let sign = match () {
            () if failed => "✗",
            () if index < done => "✓",
            () if index == done => "▶",
            () => " ",
        };
        let stop = if player.breakpoints.contains(&index) { "●" } else { " " };
        let words = player.scenario.words(step);
        let style = match () {
            () if failed => Style::new().fg(Color::Red),
            () if index < done => Style::new().fg(Color::Green),
            () if index == done => Style::new().add_modifier(Modifier::BOLD),
            () => Style::new(),
        };
        ListItem::new(format!("{stop}{sign} {}. {words}", index + 1)).style(style)
    };
    let items: Vec<ListItem<'_>> = player.scenario.steps.iter().enumerate().map(item).collect();
    let list = List::new(items).block(Block::bordered().title(" Steps ")).highlight_style(Modifier::REVERSED);
    let mut state = ListState::default().with_selected(Some(screen.selected));
    frame.render_stateful_widget(list, area, &mut state);
}

/// A letter and a colour for a state: neither alone.
fn sign(mode: Mode, state: ReplicationState) -> (char, Color) {
    use ReplicationState as S;
    match (mode, state) {
        (Mode::None, _) => ('·', Color::DarkGray),
        (Mode::Primary, S::Replicating) => ('P', Color::Green),
        (_, S::Replicating) => ('R', Color::LightGreen),
        (_, S::ReadyForInitialReplication | S::WaitingToCompleteInitialReplication) => ('i', Color::Blue),
        (_, S::SyncedReplicationComplete) => ('p', Color::Yellow),
        (_, S::FailoverInProgress | S::Recovered | S::Committed) => ('F', Color::LightRed),
        (_, S::FailbackInProgress | S::FailbackComplete) => ('B', Color::Magenta),
        (_, S::WaitingForStartResynchronize | S::Resynchronizing | S::ResynchronizeSuspended) => {
            ('S', Color::Cyan)
        }
        (_, S::Suspended) => ('-', Color::Gray),
        _ => ('!', Color::Red),
    }
}

/// The states of a copy over the records so far, by equal parts.
fn lane(player: &Player, copy: CopyId) -> Vec<Span<'static>> {
    let count = player.records.len().max(1);
    let mut cells = [sign(Mode::None, ReplicationState::Disabled); LANE];
    for (index, record) in player.records.iter().enumerate() {
        if (record.host, record.vm) == (Some(copy.host), Some(copy.vm))
            && let What::Note(Note::Rule { after: (mode, state), .. }) = &record.what
        {
            cells[index * LANE / count..].fill(sign(*mode, *state));
        }
    }
    cells
        .chunk_by(|a, b| a == b)
        .map(|run| {
            let text: String = run.iter().map(|(letter, _)| *letter).collect();
            Span::styled(text, Style::new().fg(run[0].1))
        })
        .collect()
}

fn lanes(player: &Player) -> Paragraph<'static> {
    let sim = &player.sim;
    let line = |copy: CopyId| {
        let view = sim.copy(copy)?;
        let down = if sim.host_is_up(copy.host) { "" } else { " (down)" };
        let name = format!("{}{down}/{}", sim.host_name(copy.host), sim.vm_name(copy.vm));
        let mut spans = vec![Span::raw(format!("{name:<16} "))];
        spans.extend(lane(player, copy));
        let runs = if view.power == Power::Running { "▲" } else { "▽" };
        let words = format!(
            " {runs}{:<8} {} {} {}",
            view.power,
            view.mode,
            view.state.powershell(view.mode),
            view.health
        );
        spans.push(Span::raw(words));
        Some(Line::from(spans))
    };
    let lines: Vec<Line<'_>> = sim.world.copies().filter_map(line).collect();
    Paragraph::new(lines).block(Block::bordered().title(" Lanes "))
}

fn next_events(player: &Player) -> Paragraph<'static> {
    let names = Names::of(&player.sim);
    let lines: Vec<Line<'_>> = player
        .sim
        .world
        .pending()
        .take(4)
        .map(|((at, _), event)| Line::from(format!("{at}  {}", words(&names, event))))
        .collect();
    let text = if lines.is_empty() { Text::from("nothing is under way") } else { Text::from(lines) };
    Paragraph::new(text).block(Block::bordered().title(" Next events "))
}

fn words(names: &Names, event: &Event) -> String {
    let of = |copy: &CopyId| format!("{}/{}", names.host(copy.host), names.vm(copy.vm));
    match event {
        Event::Timer(copy, kind) => format!("{}: timer {kind:?}", of(copy)),
        Event::Flows { .. } => "a transfer over a link may be through".to_owned(),
        Event::Arrive(_) => "a message arrives".to_owned(),
        Event::Broken { to, vm, .. } => {
            format!("{}/{}: no answer comes", names.host(*to), names.vm(*vm))
        }
        Event::Done { copy, .. } => format!("{}: disk work is done", of(copy)),
        Event::SessionRead { .. } => "blocks have been read".to_owned(),
        Event::SessionArrived { .. } => "blocks arrive".to_owned(),
        Event::SessionBroken { .. } => "a broken transfer is noticed".to_owned(),
        Event::LinkBack { .. } => "a link carries again".to_owned(),
        Event::HostBack { host, .. } => format!("{} starts again", names.host(*host)),
        Event::NodeSilent { node, .. } => format!("{} is missed by its cluster", names.host(*node)),
        Event::Flap { .. } => "a flapping link goes down".to_owned(),
        Event::Mended { .. } => "an incident is over".to_owned(),
    }
}

fn timeline(player: &Player, area: Rect) -> Paragraph<'static> {
    let shown = usize::from(area.height.saturating_sub(2));
    let width = usize::from(area.width.saturating_sub(2));
    let all = player.timeline();
    // No line becomes less than one.
    let newest = &all[all.len().saturating_sub(shown)..];
    let lines: Vec<String> = newest.iter().flat_map(|line| folded(line, width)).collect();
    let last: Vec<Line<'_>> =
        lines[lines.len().saturating_sub(shown)..].iter().map(|line| Line::from(line.clone())).collect();
    Paragraph::new(last).block(Block::bordered().title(" Timeline "))
}

/// A line of the timeline in a narrow pane: its columns give way first, then it goes on below.
fn folded(line: &str, width: usize) -> Vec<String> {
    const BELOW: &str = "                  ";
    if line.chars().count() <= width || width <= BELOW.len() {
        return vec![line.to_owned()];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut lines = Vec::new();
    let mut last = String::new();
    for word in line.split_whitespace() {
        let begins = last.trim().is_empty();
        if !begins && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut last, format!("{BELOW}{word}")));
        } else if begins {
            last = format!("{indent}{word}");
        } else {
            last = format!("{last} {word}");
        }
    }
    lines.push(last);
    lines
}

fn said(player: &Player, screen: &Screen) -> Paragraph<'static> {
    let (text, style) = match (&screen.prompt, &screen.message, player.trouble()) {
        (Some((kind, text)), _, _) => (format!("{}{text}▏", kind.words()), Style::new().fg(Color::Yellow)),
        (None, Some(message), _) => (message.clone(), Style::new().fg(Color::Yellow)),
        (None, None, Some(trouble)) => (trouble, Style::new().fg(Color::Red)),
        (None, None, None) => (String::new(), Style::new()),
    };
    Paragraph::new(text).style(style).wrap(Wrap { trim: true })
}

fn menu(frame: &mut Frame<'_>, chosen: usize, faults: &[String]) {
    let area = frame.area();
    let height = u16::try_from(faults.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let width = 54.min(area.width);
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    let items = faults.iter().enumerate().map(|(n, fault)| ListItem::new(format!("{}. {fault}", n + 1)));
    let list = List::new(items)
        .block(Block::bordered().title(" Put in here: Enter takes it, Esc leaves "))
        .highlight_style(Modifier::REVERSED);
    frame.render_widget(Clear, place);
    frame.render_stateful_widget(list, place, &mut ListState::default().with_selected(Some(chosen)));
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn a_line_that_is_too_long_goes_on_below() {
        let line = "  +00:20:59.094     HV1      web01        Primary Replicating -> Primary WaitingForStartResynchronize  [ST-30]";
        assert_eq!(folded(line, 200), [line]);
        assert_eq!(
            folded(line, 72),
            [
                "  +00:20:59.094 HV1 web01 Primary Replicating -> Primary",
                "                  WaitingForStartResynchronize [ST-30]"
            ]
        );
        assert_eq!(folded("", 72), [""]);
        assert!(folded(line, 30).iter().all(|part| part.chars().count() <= 48), "{:?}", folded(line, 30));
    }
}
