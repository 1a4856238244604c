//! `hvrsim play`: a scenario step by step in a terminal, for teaching: forwards, backwards, with faults put in, and
//! the question why something would not be allowed.

mod edit;
mod player;
mod view;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::Exit;
use crate::input;
use crate::out::out;
use player::Player;

/// Arguments of `play`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A scenario; of a matrix, the first run is played
    file: PathBuf,
    /// Seed in place of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// A parameter's value in place of the scenario's
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = input::parameter)]
    params: Vec<(String, String)>,
    /// When it ends, write what was played as a scenario to this file: it plays the same
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What is on the screen beside what is played.
#[derive(Default)]
struct Screen {
    /// The step that is marked.
    selected: usize,
    message: Option<String>,
    prompt: Option<(Prompt, String)>,
    /// Faults to choose from, and the chosen one.
    menu: Option<(usize, Vec<String>)>,
}

/// What is being typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompt {
    Step,
    Why,
}

impl Prompt {
    const fn words(self) -> &'static str {
        match self {
            Self::Step => "step to put in here (as in the file): ",
            Self::Why => "would this be allowed now ([HOST: ]cmdlet)? ",
        }
    }
}

pub(crate) fn play(arguments: &Arguments) -> Exit {
    let wrong = |exit: Exit, message: &str| {
        eprint!("{message}");
        exit
    };
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return wrong(Exit::Environment, "error: play needs a terminal; `hvrsim run` does without\n");
    }
    let mut player = match load(arguments) {
        Ok(player) => player,
        Err(message) => return wrong(Exit::Input, &message),
    };
    let played = ratatui::run(|terminal| -> std::io::Result<()> {
        let mut screen = Screen::default();
        loop {
            terminal.draw(|frame| view::draw(frame, &player, &screen))?;
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && !pressed(&mut player, &mut screen, key)
            {
                return Ok(());
            }
        }
    });
    if let Err(error) = played {
        return wrong(Exit::Environment, &format!("error: the terminal does not answer: {error}\n"));
    }
    match &arguments.record {
        Some(path) => record(&player, path),
        None => Exit::Green,
    }
}

fn load(arguments: &Arguments) -> Result<Player, String> {
    let params: BTreeMap<String, String> = arguments.params.iter().cloned().collect();
    let scenarios = input::scenarios(&arguments.file, &params)?;
    let Some(scenario) = scenarios.into_iter().next() else { return Err(String::new()) };
    let name = scenario.source.name.clone();
    if scenario.images().next().is_some() {
        return Err(format!(
            "{name}: error: the scenario uses images; play keeps disks as numbers of writes\n"
        ));
    }
    Player::new(arguments.file.clone(), params, arguments.seed, scenario)
        .map_err(|message| format!("{name}: error: {message}\n"))
}

fn record(player: &Player, path: &Path) -> Exit {
    let written = player.recorded().and_then(|text| input::write_whole(path, &text));
    match written {
        Ok(()) => {
            out(format_args!("{}: what was played, seed {}\n", path.display(), player.seed()));
            Exit::Green
        }
        Err(error) => {
            eprintln!("{}: error: what was played cannot be recorded: {error}", path.display());
            Exit::Environment
        }
    }
}

/// A key; tells whether it goes on.
fn pressed(player: &mut Player, screen: &mut Screen, key: KeyEvent) -> bool {
    let quits = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if quits {
        return false;
    }
    if screen.prompt.is_some() {
        typed(player, screen, key.code);
    } else if screen.menu.is_some() {
        chosen(player, screen, key.code);
    } else {
        return commanded(player, screen, key.code);
    }
    true
}

fn typed(player: &mut Player, screen: &mut Screen, key: KeyCode) {
    let Some((kind, mut text)) = screen.prompt.take() else { return };
    match key {
        KeyCode::Esc => return,
        KeyCode::Enter => {
            match kind {
                Prompt::Why => screen.message = Some(player.why(text.trim())),
                Prompt::Step => put_in(player, screen, text.trim()),
            }
            return;
        }
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(letter) => text.push(letter),
        _ => {}
    }
    screen.prompt = Some((kind, text));
}

fn chosen(player: &mut Player, screen: &mut Screen, key: KeyCode) {
    let Some((at, faults)) = screen.menu.take() else { return };
    let last = faults.len().saturating_sub(1);
    let next = match key {
        KeyCode::Esc | KeyCode::Char('q') => return,
        KeyCode::Enter => return put_in(player, screen, &faults[at]),
        KeyCode::Down | KeyCode::Char('j') => (at + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
        _ => at,
    };
    screen.menu = Some((next, faults));
}

fn put_in(player: &mut Player, screen: &mut Screen, step: &str) {
    screen.message = player.inject(step).err();
    screen.selected = player.steps();
}

fn commanded(player: &mut Player, screen: &mut Screen, key: KeyCode) -> bool {
    screen.message = None;
    let last = player.scenario.steps.len().saturating_sub(1);
    let went = match key {
        KeyCode::Char('q') => return false,
        KeyCode::Char('s' | ' ') | KeyCode::Right => player.step_to(player.steps() + 1),
        KeyCode::Char('e') => player.event(),
        KeyCode::Char('u') | KeyCode::Left | KeyCode::Backspace => player.back(),
        KeyCode::Home => player.step_to(0),
        KeyCode::Char('r') => player.on(),
        KeyCode::Char('g') | KeyCode::Enter => player.step_to(screen.selected),
        KeyCode::Down | KeyCode::Char('j') => {
            screen.selected = (screen.selected + 1).min(last);
            return true;
        }
        KeyCode::Up | KeyCode::Char('k') => {
            screen.selected = screen.selected.saturating_sub(1);
            return true;
        }
        KeyCode::Char('b') => {
            if !player.breakpoints.remove(&screen.selected) {
                player.breakpoints.insert(screen.selected);
            }
            return true;
        }
        KeyCode::Char('f') => {
            screen.menu = Some((0, player.faults()));
            return true;
        }
        KeyCode::Char(':') => {
            screen.prompt = Some((Prompt::Step, String::new()));
            return true;
        }
        KeyCode::Char('?') => {
            screen.prompt = Some((Prompt::Why, String::new()));
            return true;
        }
        _ => return true,
    };
    screen.message = went.err();
    screen.selected = player.steps().min(last);
    true
}
