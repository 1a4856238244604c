//! The tables of the crate against the published ones in `tests/data/cmdlet*.tsv`, in both directions. What is missing,
//! misspelt or of another type is named; what is known and not simulated stands in `cmdlet-not-yet.tsv` with a reason.

#[path = "../../../tests/data/compare.rs"]
mod compare;
#[path = "../../../tests/data/lines.rs"]
mod data;

use std::collections::BTreeSet;

use hvrsim_cmdlets::Class;
use hvrsim_cmdlets::table::{CMDLETS, Cmdlet, ENUMERATIONS, Parameter, Support, Type};

use compare::{compare, rows};
use data::lines;

/// about_CommonParameters, which every cmdlet has.
const COMMON: &[&str] = &[
    "Verbose",
    "Debug",
    "ErrorAction",
    "WarningAction",
    "InformationAction",
    "ErrorVariable",
    "WarningVariable",
    "InformationVariable",
    "OutVariable",
    "OutBuffer",
    "PipelineVariable",
];

fn own(cmdlet: &Cmdlet) -> impl Iterator<Item = &'static Parameter> + '_ {
    cmdlet.parameters().filter(|p| !COMMON.contains(&p.name))
}

#[test]
fn cmdlets() {
    let row = |c: &Cmdlet| {
        let changes = if c.parameter("WhatIf").is_some() { "yes" } else { "no" };
        let returns = match (c.name, c.returns) {
            // It returns a sentence.
            ("Test-VMReplicationConnection", None) => "String",
            (_, class) => class.map_or("", Class::name),
        };
        format!("{} | {} | {changes} | {returns}", c.name, c.aliases.join(","))
    };
    compare("cmdlets.tsv", &rows("cmdlets.tsv", &[0, 1, 2, 3]), &CMDLETS.iter().map(row).collect());
}

#[test]
fn parameter_sets() {
    let mut ours = BTreeSet::new();
    for cmdlet in CMDLETS {
        for (n, set) in cmdlet.sets.iter().enumerate() {
            ours.insert(format!("{} | {set} | {}", cmdlet.name, if n == 0 { "yes" } else { "no" }));
        }
    }
    compare("cmdlet-sets.tsv", &rows("cmdlet-sets.tsv", &[0, 1, 2]), &ours);
}

/// The numbers that a type allows.
fn values(ty: Type) -> String {
    let joined = |list: &[i64]| list.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    match ty {
        // The range of a .NET type says nothing.
        Type::Integer(0, high) if high == i64::from(i32::MAX) => "-".to_owned(),
        Type::Integer(low, high) => format!("{low}..{high}"),
        Type::OneOf(list) => joined(list),
        Type::Hours(_) => "1h,2h,3h,4h,6h,8h,12h,24h,2d..7d".to_owned(),
        _ => "-".to_owned(),
    }
}

#[test]
fn monitoring_intervals_are_those_of_the_module() {
    let interval = CMDLETS.iter().find_map(|c| c.parameter("MonitoringInterval")).expect("a parameter");
    let Type::Hours(hours) = interval.ty else { panic!("hours") };
    assert_eq!(hours, [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 96, 120, 144, 168]);
}

#[test]
fn parameters() {
    let mut ours = BTreeSet::new();
    for cmdlet in CMDLETS {
        for (parameter, set) in own(cmdlet).flat_map(|p| cmdlet.sets.iter().map(move |set| (p, set))) {
            let Some(place) = parameter.place(set) else { continue };
            ours.insert(format!(
                "{} | {set} | {} | {} | {} | {} | {} | {} | {}",
                cmdlet.name,
                parameter.name,
                parameter.ty.short(),
                place.position.map_or("-".to_owned(), |n| n.to_string()),
                if place.mandatory { "yes" } else { "no" },
                if parameter.piped { "ByValue" } else { "-" },
                if parameter.aliases.is_empty() { "-".to_owned() } else { parameter.aliases.join(",") },
                values(parameter.ty),
            ));
        }
    }
    let columns = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    compare("cmdlet-parameters.tsv", &rows("cmdlet-parameters.tsv", &columns), &ours);
}

/// The simulator's own property of a snapshot: the short name that `-VMRecoverySnapshot` takes.
const OURS: &str = "VMSnapshot | Point";

#[test]
fn properties_of_objects() {
    let mut ours = BTreeSet::new();
    for class in Class::ALL {
        for p in class.properties() {
            let alias = p.alias.unwrap_or("-");
            ours.insert(format!("{} | {} | {alias} | {}", class.name(), p.name, p.ty));
        }
    }
    ours.retain(|row| !row.starts_with(OURS));
    compare("cmdlet-objects.tsv", &rows("cmdlet-objects.tsv", &[0, 1, 2, 3]), &ours);
}

#[test]
fn enumerations() {
    let mut ours = BTreeSet::new();
    for enumeration in ENUMERATIONS {
        let name = enumeration.dotnet.rsplit('.').next().unwrap_or_default();
        for value in enumeration.values {
            let old = value.name_2012.unwrap_or("-");
            ours.insert(format!("{name} | {} | {} | {old}", value.number, value.name));
        }
    }
    compare("cmdlet-enums.tsv", &rows("cmdlet-enums.tsv", &[0, 1, 2, 3]), &ours);
}

/// The names that the module shows are those of the states, by mode.
#[test]
fn states_have_the_numbers_of_the_module() {
    use hvrsim_types::state::{Mode, ReplicationState};
    let states = ENUMERATIONS.iter().find(|e| e.dotnet.ends_with("VMReplicationState")).expect("states");
    for state in ReplicationState::ALL.iter().filter(|s| **s != ReplicationState::Unknown) {
        for mode in [Mode::Primary, Mode::Replica] {
            let value = states.value(state.powershell(mode)).expect("a value");
            assert_eq!(value.number, state.powershell_number(mode), "{state} in {mode}");
        }
    }
    assert_eq!(states.value("failoverwaitingcompletion").map(|v| v.number), Some(6), "2012");
    assert_eq!(states.value("8").map(|v| v.name), Some("Suspended"));
    assert_eq!(states.value("Failed").map(|v| v.name), None, "two begin so");
}

/// Cmdlets and parameters that do not act, and properties that never change: named with the reason, and only those.
#[test]
fn what_is_not_simulated_is_named() {
    let mut ours = BTreeSet::new();
    for cmdlet in CMDLETS {
        if cmdlet.lacks.is_some() {
            ours.insert(cmdlet.name.to_owned());
            continue;
        }
        let idle = |p: &&Parameter| p.support != Support::Acts || matches!(p.ty, Type::Object(..));
        ours.extend(own(cmdlet).filter(idle).map(|p| format!("-{}", p.name)));
    }
    for class in Class::ALL {
        let fixed = class.properties().iter().filter(|p| !p.is_live());
        ours.extend(fixed.map(|p| format!("{}.{}", class.name(), p.name)));
    }
    compare("cmdlet-not-yet.tsv", &rows("cmdlet-not-yet.tsv", &[0]), &ours);
    for line in lines("cmdlet-not-yet.tsv") {
        assert!(line.len() == 2 && line[1].len() > 10, "{} needs a reason", line[0]);
    }
}
