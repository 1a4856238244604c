//! The pages, as Markdown.

use hvrsim_cmdlets::table::{CMDLETS, OTHERS, Support};
use hvrsim_replica::rule::{Call, Evidence, To, Trigger};
use hvrsim_replica::table;
use hvrsim_sim::incident::table::INCIDENTS;
use hvrsim_sim::{findings, windows_log};
use hvrsim_types::state::{Mode, ReplicationState};
use hvrsim_wmi::table::{METHODS, Role};

use super::diagram;
use crate::explain::{pairs, state_list, to_text, triggers};

/// Says where a page comes from.
const MADE: &str =
    "<!-- Made by `cargo xtask docs` out of the program's tables; changes here are lost. -->\n\n";

const EVIDENCE: &str = "*documented*: Microsoft says so. *field*: others saw it on real hosts. *inferred*: it follows from what is documented. *assumed*: our choice.\n\n";

fn page(title: &str, text: &str) -> String {
    format!("{MADE}# {title}\n\n{text}")
}

fn table(out: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    *out += &format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        *out += &format!("| {} |\n", cells.join(" | "));
    }
    out.push('\n');
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn evidence(evidence: Evidence, source: &str) -> String {
    format!("{evidence}: {source}")
}

pub(super) fn index() -> String {
    let mut text =
        String::from("What the simulator knows, each with how well it is known and where from.\n\n");
    text += EVIDENCE;
    let rules = table::rules().count();
    let documented = table::rules().filter(|rule| rule.evidence == Evidence::Documented).count();
    let simulated = METHODS.iter().filter(|method| method.is_simulated()).count();
    let done = CMDLETS.iter().filter(|cmdlet| cmdlet.lacks.is_none()).count();
    let rows = [
        ("states.md", "states", format!("{}, with a diagram", ReplicationState::ALL.len())),
        ("rules.md", "rules of the life cycle", format!("{rules}, {documented} of them documented")),
        ("cmdlets.md", "cmdlets", format!("{}, {done} of them carried out", CMDLETS.len())),
        ("methods.md", "WMI methods", format!("{}, {simulated} of them simulated", METHODS.len())),
        ("incidents.md", "incidents", INCIDENTS.len().to_string()),
        ("findings.md", "findings", findings::table::KINDS.len().to_string()),
        ("events.md", "entries of the Windows event log", windows_log::table::KINDS.len().to_string()),
    ];
    let row = |(file, what, count): (&str, &str, String)| vec![format!("[{what}]({file})"), count];
    table(&mut text, &["Page", "How many"], rows.map(row));
    page("Reference", &text)
}

pub(super) fn states() -> String {
    let mut text = String::from("![States and what leads from one to another](states.svg)\n\n");
    let row = |state: &ReplicationState| {
        let of = |mode| state.powershell(mode).to_owned();
        let number = |mode| state.powershell_number(mode).to_string();
        let reached =
            [Mode::None, Mode::Primary, Mode::Replica].into_iter().any(|mode| reaches(mode, *state));
        vec![
            state.number().to_string(),
            state.label().to_owned(),
            of(Mode::Primary),
            of(Mode::Replica),
            number(Mode::Primary),
            if reached { "yes" } else { "no" }.to_owned(),
        ]
    };
    let head =
        ["WMI", "Label", "PowerShell, primary", "PowerShell, replica", "PowerShell's number", "Reached"];
    table(&mut text, &head, ReplicationState::ALL.iter().map(row));
    for (mode, title) in [(Mode::Primary, "Primary"), (Mode::Replica, "Replica")] {
        text += &format!("## {title}\n\n```mermaid\n{}```\n\n", diagram::mermaid(mode));
    }
    page("States", &text)
}

/// Whether some rule leads into the state, or begins in it.
fn reaches(mode: Mode, state: ReplicationState) -> bool {
    diagram::steps().iter().any(|step| step.from == (mode, state) || step.to == (mode, state))
}

pub(super) fn rules() -> String {
    let mut text = format!("{EVIDENCE}`hvrsim explain ID` prints one.\n\n");
    for group in table::RULES {
        let Some(prefix) = group.first().map(|rule| rule.id.split('-').next().unwrap_or_default()) else {
            continue;
        };
        text += &format!("## {}\n\n", subject(prefix));
        let row = |rule: &hvrsim_replica::rule::Rule| {
            let needs: Vec<&str> = rule.guards.iter().map(|guard| guard.words().0).collect();
            vec![
                rule.id.to_owned(),
                state_list(pairs(rule)),
                triggers(rule),
                needs.join("; "),
                to_text(rule, rule.to),
                rule.what.to_owned(),
                evidence(rule.evidence, rule.source),
            ]
        };
        table(
            &mut text,
            &["Rule", "From", "When", "Needs", "Leads to", "What", "Evidence"],
            group.iter().map(row),
        );
    }
    page("Rules of the life cycle", &text)
}

fn subject(prefix: &str) -> &'static str {
    match prefix {
        "EN" => "Enabling and initial replication",
        "ST" => "Steady state, pause, errors",
        "RS" => "Resynchronization",
        "TF" => "Test failover",
        "PF" => "Planned failover",
        "FB" => "Failback",
        "UF" => "Unplanned failover and return, removal",
        "XF" => "Extended replication, removal",
        _ => "Power, and rules that only the WMI text has",
    }
}

pub(super) fn cmdlets() -> String {
    let mut text = String::from(
        "The cmdlets of the Hyper-V module that concern replication, with their parameter sets. \
         Source: Hyper-V module reference for PowerShell.\n\n",
    );
    for cmdlet in CMDLETS {
        text += &format!("## {}\n\n", cmdlet.name);
        if !cmdlet.aliases.is_empty() {
            text += &format!("Aliases: {}.\n\n", cmdlet.aliases.join(", "));
        }
        if let Some(lacks) = cmdlet.lacks {
            text += &format!("Not carried out: {lacks}.\n\n");
        }
        for set in cmdlet.sets {
            let one =
                |(parameter, place): (&hvrsim_cmdlets::table::Parameter, hvrsim_cmdlets::table::Place)| {
                    let name = if place.position.is_some() {
                        format!("[-{}]", parameter.name)
                    } else {
                        format!("-{}", parameter.name)
                    };
                    let short = parameter.ty.short();
                    let value =
                        if short == "SwitchParameter" { String::new() } else { format!(" <{short}>") };
                    if place.mandatory { format!("{name}{value}") } else { format!("[{name}{value}]") }
                };
            let words: Vec<String> = cmdlet.syntax(set).into_iter().map(one).collect();
            text += &format!("* {set}: `{} {}`\n", cmdlet.name, words.join(" "));
        }
        text.push('\n');
        let said = |support: Support| match support {
            Support::Acts => None,
            Support::NoEffect => Some("taken, and changes nothing".to_owned()),
            Support::Later => Some("refused: not simulated".to_owned()),
            Support::Only(value) => Some(format!("only `{value}`")),
        };
        let odd = cmdlet.parameters().filter_map(|p| Some(vec![code(p.name), said(p.support)?]));
        let odd: Vec<_> = odd.collect();
        if !odd.is_empty() && cmdlet.lacks.is_none() {
            table(&mut text, &["Parameter", "In this version"], odd);
        }
    }
    text += &format!("## Others\n\nKnown by name, and not simulated: {}.\n", OTHERS.join(", "));
    page("Cmdlets", &text)
}

pub(super) fn methods() -> String {
    let mut text = String::from(
        "The WMI methods of replication, with the codes that are documented for each. \
         Source: Hyper-V WMI provider (V2) reference.\n\n",
    );
    let row = |method: &hvrsim_wmi::table::Method| {
        let of = |wanted: &dyn Fn(Role) -> bool| {
            let named = method.parameters.iter().filter(|p| wanted(p.role));
            named.map(|p| code(p.name)).collect::<Vec<_>>().join(", ")
        };
        let codes: Vec<String> = method.returns.iter().map(|code| code.0.to_string()).collect();
        let jobs: Vec<String> = method.jobs.iter().map(|kind| kind.label().to_owned()).collect();
        vec![
            code(&method.full_name()),
            of(&|role| matches!(role, Role::Target | Role::Required | Role::Optional)),
            of(&|role| role == Role::Out),
            codes.join(", "),
            if method.asynchronous { jobs.join(", ") } else { "none: done at once".to_owned() },
            if method.is_simulated() { "yes" } else { "no: 32770" }.to_owned(),
        ]
    };
    table(&mut text, &["Method", "In", "Out", "Codes", "Job", "Simulated"], METHODS.iter().map(row));
    text += "## What the rules ask\n\n";
    let row = |call: &Call| {
        let rules = table::rules().filter(|rule| rule.triggers.contains(&Trigger::Call(*call)));
        let (refused, taken): (Vec<_>, Vec<_>) = rules.partition(|rule| matches!(rule.to, To::Refused(_)));
        let ids = |rules: Vec<&hvrsim_replica::rule::Rule>| {
            rules.iter().map(|rule| rule.id).collect::<Vec<_>>().join(", ")
        };
        vec![code(call.method()), code(call.cmdlet()), ids(taken), ids(refused)]
    };
    table(&mut text, &["Method", "Cmdlet", "Rules", "Rules that refuse"], Call::ALL.iter().map(row));
    page("WMI methods", &text)
}

pub(super) fn incidents() -> String {
    let mut text = format!(
        "What breaks, by the name that a step `fault: {{ incident: NAME, at: WHERE }}` of a scenario takes. \
         A scenario for each stands in `scenarios/disasters/`.\n\n{EVIDENCE}"
    );
    let row = |incident: &hvrsim_sim::incident::table::Incident| {
        vec![
            code(incident.name),
            incident.on.form().to_owned(),
            incident.fault.to_owned(),
            incident.effect.to_owned(),
            incident.cure.to_owned(),
            if incident.lasts() { "until mended" } else { "happens once" }.to_owned(),
            incident.rules.join(", "),
            evidence(incident.evidence, incident.source),
        ]
    };
    let head = ["Incident", "At", "What breaks", "What follows", "What helps", "Lasts", "Rules", "Evidence"];
    table(&mut text, &head, INCIDENTS.iter().map(row));
    page("Incidents", &text)
}

pub(super) fn findings() -> String {
    let mut text = String::from(
        "What the simulator notices and nobody asked for. `hvrsim run` prints it at the end; \
         `expect: [ { finding: NAME, vm: VM } ]` asks for it.\n\n",
    );
    let row = |kind: &findings::table::Kind| {
        vec![
            code(kind.name),
            kind.weight.name().to_owned(),
            kind.bpa.map_or_else(String::new, |number| number.to_string()),
            kind.what.to_owned(),
            kind.cure.to_owned(),
            evidence(kind.evidence, kind.source),
        ]
    };
    let head = ["Finding", "Weight", "Best-practice rule", "What is wrong", "What helps", "Evidence"];
    table(&mut text, &head, findings::table::KINDS.iter().map(row));
    text += "## Best-practice rules that are not looked at\n\n";
    let row = |(number, why): &(u8, &str)| vec![number.to_string(), (*why).to_owned()];
    table(&mut text, &["Rule", "Why"], findings::table::NOT_CHECKED.iter().map(row));
    page("Findings", &text)
}

pub(super) fn events() -> String {
    let mut text = String::from(
        "Entries of the Windows event log that the simulator writes. Ids and levels are published, the words are ours. \
         `hvrsim run --windows-events` prints them; `expect: [ { event: ID, host: HOST } ]` asks for them.\n\n",
    );
    let row = |kind: &windows_log::table::Kind| {
        vec![
            kind.id.to_string(),
            kind.level.name().to_owned(),
            kind.text.to_owned(),
            kind.when.to_owned(),
            evidence(kind.evidence, kind.source),
        ]
    };
    table(&mut text, &["Id", "Level", "Text", "When", "Evidence"], windows_log::table::KINDS.iter().map(row));
    text +=
        &format!("All stand in the channel `{}`.\n\n## Known and not written\n\n", windows_log::table::VMMS);
    let row = |(id, why): &(u32, &str)| vec![id.to_string(), (*why).to_owned()];
    table(&mut text, &["Id", "Why"], windows_log::table::NOT_WRITTEN.iter().map(row));
    page("Windows event log", &text)
}
