//! `hvrsim explain`: answers out of the table that decides at run time.

use hvrsim_replica::rule::{Call, Evidence, Guard, Rule, To, Trigger};
use hvrsim_replica::service::{Decision, decide, states_needed};
use hvrsim_replica::table;
use hvrsim_sim::incident::table::{INCIDENTS, Incident, incident};
use hvrsim_sim::{findings, windows_log};
use hvrsim_types::near::nearest;
use hvrsim_types::state::{Mode, NamedState, ReplicationState};

use crate::Exit;
use crate::out::out;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A state (name or WMI number), a rule's id, a cmdlet, a WMI method, an incident, a finding or the id of an event
    #[arg(value_name = "STATE|METHOD|RULE|INCIDENT|FINDING|EVENT", required = true, num_args = 1.., allow_hyphen_values = true)]
    what: Vec<String>,
}

pub(crate) fn explain(arguments: &Arguments) -> Exit {
    let word = arguments.what.join(" ");
    if let Some(rule) = table::rule(&word) {
        out(rule_text(rule));
        return Exit::Green;
    }
    if let Some(incident) = incident(&word) {
        out(incident_text(incident));
        return Exit::Green;
    }
    if let Some(kind) = findings::table::kind(&word) {
        out(finding_text(kind));
        return Exit::Green;
    }
    if let Some(kind) = word.parse().ok().and_then(windows_log::table::kind) {
        out(event_text(kind));
        return Exit::Green;
    }
    let calls: Vec<Call> = Call::ALL.iter().copied().filter(|call| names(*call, &word)).collect();
    if !calls.is_empty() {
        calls.iter().for_each(|call| out(call_text(*call)));
        return Exit::Green;
    }
    if let Some(state) = state_named(&word) {
        out(state_text(state));
        return Exit::Green;
    }
    let known: Vec<&str> = table::rules()
        .map(|rule| rule.id)
        .chain(NamedState::names())
        .chain(INCIDENTS.iter().map(|incident| incident.name))
        .chain(findings::table::KINDS.iter().map(|kind| kind.name))
        .chain(Call::ALL.iter().flat_map(|call| [call.cmdlet(), call.method()]))
        .collect();
    let near = nearest(&word, known).map_or_else(
        || {
            "ask for instance for `WaitingForFailback`, `PF-66`, `InitiateFailback` or `Start-VMFailover`"
                .to_owned()
        },
        |word| format!("did you mean `{word}`?"),
    );
    eprintln!("error: `{word}` is no state, rule, method, cmdlet, incident, finding or event; {near}");
    Exit::Input
}

/// A state's name or number, with or without the mode before it.
fn state_named(word: &str) -> Option<NamedState> {
    let (first, rest) = word.split_once(' ').unwrap_or(("", word));
    match Mode::parse(first) {
        Some(mode) => NamedState::parse(rest).map(|state| NamedState { mode: Some(mode), ..state }),
        None => NamedState::parse(word),
    }
}

/// A call is named by its cmdlet, with or without switches, or by its method.
fn names(call: Call, word: &str) -> bool {
    let same = |name: &str| name.eq_ignore_ascii_case(word);
    let bare = |name: &str| name.split([' ', '(']).next().is_some_and(same);
    let method = word.rsplit_once('.').map_or(word, |(_, method)| method);
    same(call.cmdlet())
        || same(call.method())
        || bare(call.cmdlet())
        || bare(call.method())
        || call.method().eq_ignore_ascii_case(method)
}

fn state_name(mode: Mode, state: ReplicationState) -> String {
    format!("{mode} {}", state.powershell(mode))
}

/// So many states of a mode are told as "any state".
const MANY: usize = 12;

/// Names of states, by mode.
pub(crate) fn state_list(states: impl IntoIterator<Item = (Mode, ReplicationState)>) -> String {
    let mut modes: Vec<(Mode, Vec<&'static str>)> = Vec::new();
    for (mode, state) in states {
        let name = state.powershell(mode);
        match modes.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => modes.push((mode, vec![name])),
        }
    }
    let one = |(mode, names): (Mode, Vec<&str>)| match (mode, names.len()) {
        (Mode::None, _) => "a machine that is not replicated".to_owned(),
        (_, MANY..) => format!("{mode} in any state"),
        _ => format!("{mode} {}", names.join(" | ")),
    };
    modes.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(crate) fn pairs(rule: &Rule) -> impl Iterator<Item = (Mode, ReplicationState)> + '_ {
    rule.modes.iter().flat_map(|mode| rule.from.iter().map(|state| (*mode, *state)))
}

fn trigger_name(trigger: Trigger) -> String {
    match trigger {
        Trigger::Call(call) => call.cmdlet().to_owned(),
        Trigger::Event(event) => spaced(&format!("{event:?}")),
    }
}

/// `CycleDelivered` as words.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

pub(crate) fn triggers(rule: &Rule) -> String {
    rule.triggers.iter().map(|t| trigger_name(*t)).collect::<Vec<_>>().join(", ")
}

pub(crate) fn to_text(rule: &Rule, to: To) -> String {
    let mode = rule.modes.first().copied().unwrap_or(Mode::None);
    match to {
        To::Stay => "unchanged".to_owned(),
        To::State(state) => state_name(mode, state),
        To::Via(first, second) => format!("{}, then {}", state_name(mode, first), state_name(mode, second)),
        To::Become(mode, state) => state_name(mode, state),
        To::Before => "the state before".to_owned(),
        To::Extends(state) => {
            format!("unchanged; the extended relationship {}", state_name(Mode::Primary, state))
        }
        To::Mode(mode) => format!("{mode}, in the state of the relationship that goes on"),
        To::Refused(code) => format!("refused with {code}"),
    }
}

fn needs(rule: &Rule) -> String {
    rule.guards.iter().map(|guard| guard.words().0).collect::<Vec<_>>().join("; ")
}

fn evidence(rule: &Rule) -> String {
    source(rule.evidence, rule.source)
}

fn source(evidence: Evidence, source: &str) -> String {
    let mark = if evidence == Evidence::Documented { "" } else { ", not documented" };
    format!("{evidence}{mark}: {source}")
}

fn rule_text(rule: &Rule) -> String {
    let mut out = format!("{}  {}\n", rule.id, rule.what);
    out += &format!("  from      {}\n", state_list(pairs(rule)));
    out += &format!("  when      {}\n", triggers(rule));
    if !rule.guards.is_empty() {
        // A rule that refuses names what it refuses for.
        let word = if matches!(rule.to, To::Refused(_)) { "if" } else { "needs" };
        out += &format!("  {word:9} {}\n", needs(rule));
    }
    out += &format!("  leads to  {}\n", to_text(rule, rule.to));
    if let Some(other) = rule.other {
        let from = other.modes.iter().flat_map(|mode| other.from.iter().map(|state| (*mode, *state)));
        let there = Rule { modes: other.modes, ..*rule };
        out += &format!("  the other {} -> {}\n", state_list(from), to_text(&there, other.to));
    }
    out += &format!("  evidence  {}\n", evidence(rule));
    out
}

fn incident_text(incident: &Incident) -> String {
    let mut out = format!("{}  {}\n", incident.name, incident.fault);
    out += &format!("  on        {}, {}\n", incident.on.name(), incident.on.form());
    out += &format!("  effect    {}\n", incident.effect);
    out += &format!("  cure      {}\n", incident.cure);
    if !incident.rules.is_empty() {
        out += &format!("  rules     {}\n", incident.rules.join(", "));
    }
    out += &format!("  step      {}\n", step(incident));
    out += &format!("  evidence  {}\n", source(incident.evidence, incident.source));
    out
}

fn finding_text(kind: &findings::table::Kind) -> String {
    let mut out = format!("{}  {}\n", kind.name, kind.what);
    out += &format!("  weight    {}\n", kind.weight.name());
    if let Some(number) = kind.bpa {
        out += &format!("  rule      best-practice rule {number}\n");
    }
    out += &format!("  cure      {}\n", kind.cure);
    out += &format!("  step      expect: [ {{ finding: {}, vm: NAME }} ]\n", kind.name);
    out += &format!("  evidence  {}\n", source(kind.evidence, kind.source));
    out
}

fn event_text(kind: &windows_log::table::Kind) -> String {
    let mut out = format!("{}  {}\n", kind.id, kind.text);
    out += &format!("  level     {}\n", kind.level.name());
    out += &format!("  channel   {}\n", kind.channel);
    out += &format!("  when      {}\n", kind.when);
    out +=
        &format!("  step      expect: [ {{ event: {}, host: NAME, vm: NAME, count: \">= 1\" }} ]\n", kind.id);
    out += &format!("  evidence  {}; the words are ours\n", source(kind.evidence, kind.source));
    out
}

fn step(incident: &Incident) -> String {
    let mut keys = format!("incident: {}, at: {}", incident.name, incident.on.form());
    if incident.takes_rate() {
        keys += &format!(", rate: {}", incident.rate);
    }
    if incident.takes_time() {
        keys += &format!(", by: {}", incident.by);
    }
    match incident.lasts() {
        true => format!(
            "fault: {{ {keys}, for: TIME }}, or without `for` until `repair` with the same `incident` and `at`"
        ),
        false => format!("fault: {{ {keys} }}"),
    }
}

fn call_text(call: Call) -> String {
    let mut out = if call.cmdlet() == call.method() {
        format!("{}  (WMI only, no cmdlet)\n", call.method())
    } else {
        format!("{}  (WMI: {})\n", call.cmdlet(), call.method())
    };
    out += &format!("  accepted on: {}\n", state_list(states_needed(call)));
    for rule in table::rules().filter(|rule| rule.triggers.contains(&Trigger::Call(call))) {
        out += &format!("\n{}", indented(&rule_text(rule)));
    }
    out.push('\n');
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Modes in which some rule is about a copy in this state.
fn modes_of(state: NamedState) -> Vec<Mode> {
    let known = |mode: &Mode| {
        table::rules().any(|rule| {
            rule.modes.contains(mode) && (rule.from.contains(&state.state)) && rule.triggers.iter().any(own)
        }) && state.matches(*mode, state.state)
    };
    [Mode::None, Mode::Primary, Mode::Replica, Mode::ExtendedReplica].into_iter().filter(known).collect()
}

/// Power and settings concern every state; a state is known by what else concerns it.
fn own(trigger: &Trigger) -> bool {
    !matches!(
        trigger,
        Trigger::Call(
            Call::StartVm
                | Call::StopVm
                | Call::TurnOffVm
                | Call::SaveVm
                | Call::RemoveSavedState
                | Call::Checkpoint
                | Call::RemoveCheckpoints
                | Call::Modify
                | Call::ResetStatistics
                | Call::SetAdapters
                | Call::MoveVm
                | Call::Remove
                | Call::AsReplica
        ) | Trigger::Event(hvrsim_replica::rule::Event::HostCrash)
    )
}

fn state_text(named: NamedState) -> String {
    let state = named.state;
    let mut out = String::new();
    let modes = modes_of(named);
    if modes.is_empty() {
        return format!(
            "{} ({state}, WMI {}): nothing in this version leads there.\n",
            state.powershell(Mode::Primary),
            state.number()
        );
    }
    for mode in modes {
        out += &format!(
            "{}  (WMI {} \"{state}\", PowerShell {})\n",
            state_name(mode, state),
            state.number(),
            state.powershell_number(mode)
        );
        out += "\n  leads here\n";
        for rule in table::rules().filter(|rule| reaches(rule, mode, state)) {
            out += &format!("    {:<8} {} from {}\n", rule.id, triggers(rule), state_list(pairs(rule)));
        }
        out += "\n  leads away, or happens here\n";
        let here = |rule: &&Rule| rule.modes.contains(&mode) && rule.from.contains(&state);
        for rule in table::rules().filter(here).filter(|rule| rule.triggers.iter().any(own)) {
            out += &format!(
                "    {:<8} {}: {}  [{}]\n",
                rule.id,
                triggers(rule),
                to_text(rule, rule.to),
                rule.evidence
            );
        }
        out += "\n  what each operation answers\n";
        for call in Call::ALL.iter().filter(|call| **call != Call::CancelJob) {
            out += &answer(*call, mode, state);
        }
        out.push('\n');
    }
    out
}

fn reaches(rule: &Rule, mode: Mode, state: ReplicationState) -> bool {
    let of = |modes: &[Mode], from: &[ReplicationState], to: To| match to {
        To::State(s) => modes.contains(&mode) && s == state,
        To::Via(a, b) => modes.contains(&mode) && (a == state || b == state),
        To::Become(m, s) => (m, s) == (mode, state),
        To::Before => modes.contains(&mode) && from.contains(&state),
        To::Mode(m) => m == mode,
        To::Stay | To::Extends(_) | To::Refused(_) => false,
    };
    of(rule.modes, rule.from, rule.to)
        || rule.other.is_some_and(|other| of(other.modes, other.from, other.to))
}

fn answer(call: Call, mode: Mode, state: ReplicationState) -> String {
    // As good as it gets: everything that an operator can bring about is so.
    let best = |guard: Guard| match guard {
        Guard::VmNotOff => call == Call::TurnOffVm,
        Guard::IsExtended => call == Call::Enable && mode == Mode::Replica,
        Guard::HasExtended => call == Call::PromoteExtended,
        Guard::Merging | Guard::Later | Guard::NoSuchExtended | Guard::Unsettled => false,
        _ => true,
    };
    let (code, why) = match decide(call, mode, state, &best) {
        Decision::Take(rule) => {
            let guards = needs(rule);
            let needs = if guards.is_empty() { String::new() } else { format!(", needs {guards}") };
            ("accepted".to_owned(), format!("{}{needs}", rule.id))
        }
        Decision::Refuse(code, refusal) => {
            let own: Vec<_> = refusal.states_needed.iter().copied().filter(|(m, _)| *m == mode).collect();
            let states = if own.is_empty() { refusal.states_needed } else { own };
            (code.0.to_string(), format!("{}, accepted on {}", refusal.rule, state_list(states)))
        }
    };
    format!("    {:<38} {code:<9} {why}\n", call.cmdlet())
}
