//! Every row of `tests/data/transitions.tsv` is implemented or named as not yet done, and what is
//! implemented says what the row says.

use std::collections::{BTreeMap, BTreeSet};

use hvrsim_replica::rule::{Guard, Rule, To};
use hvrsim_replica::table;
use hvrsim_types::state::{Mode, NamedState, ReplicationState as S};

use crate::data::lines;

/// One row of the published table.
struct Row {
    id: String,
    side: String,
    from: String,
    to: String,
    evidence: String,
    source: String,
}

fn rows() -> Vec<Row> {
    let row = |c: Vec<String>| Row {
        id: c[1].clone(),
        side: c[2].clone(),
        from: c[3].clone(),
        to: c[6].clone(),
        evidence: c[9].clone(),
        source: c[10].clone(),
    };
    lines("transitions.tsv").into_iter().map(row).collect()
}

/// Rows that are not simulated yet: id and reason.
fn not_yet() -> BTreeMap<String, String> {
    lines("not-yet.tsv").into_iter().map(|c| (c[0].clone(), c[1].clone())).collect()
}

/// Rows that say what other rows say in another situation.
const SAME_AS: &[(&str, &[&str])] = &[
    ("UF-91", &["EN-5", "EN-9"]),
    ("UF-92", &["ST-21"]),
    ("UF-93", &["RS-42"]),
    ("XF-96", &["EN-5", "EN-9"]),
];

/// General rules, and the test that shows each.
const GENERAL: &[(&str, &str)] = &[
    ("G-1", "sim/tests/sim/general.rs g1_the_other_side_is_asked_in_the_job"),
    ("G-2", "sim/tests/sim/general.rs g2_a_log_of_an_earlier_epoch_is_not_taken"),
    ("G-3", "sim/tests/sim/general.rs g3_two_reverses_at_once_change_nothing"),
    ("G-4", "sim/tests/sim/general.rs g4_inconsistent_disks_refuse"),
    ("G-5", "sim/tests/sim/general.rs g5_what_is_shown_during_a_job_is_display"),
    ("G-6", "sim/tests/sim/general.rs g6_a_failover_counts_stored_logs"),
    ("G-7", "sim/tests/sim/general.rs g7_a_lost_answer_to_the_final_log"),
    ("G-8", "sim/tests/sim/general.rs g8_jobs_at_a_crash"),
    ("G-9", "sim/tests/sim/general.rs g9_schedules"),
    ("G-10", "sim/tests/sim/general.rs g10_automatic_resynchronization_backs_off"),
    ("G-11", "sim/tests/sim/general.rs g11_a_test_machine_stands_in_the_way"),
    ("G-12", "sim/tests/sim/general.rs g12_no_failover_while_merging"),
    ("G-13", "sim/tests/sim/general.rs g13_remove_needs_no_job"),
    ("G-14", "sim/tests/sim/general.rs g14_revert_needs_the_machine_off"),
    ("G-15", "sim/tests/sim/general.rs g15_a_host_that_is_back_starts_nothing"),
    ("G-16", "sim/tests/sim/general.rs g16_the_worker_process_crashes"),
    ("G-17", "sim/tests/sim/general.rs g17_both_made_replicas"),
];

/// A rule that holds in any state names at least so many.
const ANY: usize = 14;

/// Where a rule says less or something else than its row, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("EN-11", "from: a start that still asks the other side is cancelled, too (EN-11A)"),
    ("ST-22", "from: it happens at the send after the resume, in Replicating"),
    ("RS-44", "from: a start can be scheduled wherever Resynchronize is allowed"),
    ("RS-54", "to: the rule is the end of the retries"),
    ("RS-56", "from: while the resynchronization is paused, too"),
    ("TF-62", "from: a paused replica that was tested (TF-64) ends its test by the same rule"),
    ("TF-63", "from: whatever a test machine outlives (TF-64, TF-65)"),
    ("PF-77", "from: it happens at the next send, in Replicating"),
    ("UF-81", "from: a committed copy is started by the same rule"),
    ("UF-118", "side: a primary merges, too, after a reverse"),
    ("ST-128", "from: any state, what was running has a rule of its own before it"),
    ("XF-105", "from: without ReadyForInitialReplication, which is EN-14"),
    ("UF-86", "XX"),
];

/// Rules for a row: its id, and its id with a letter for another outcome or side.
fn rules_of(id: &str) -> Vec<&'static Rule> {
    let same = |rule: &&Rule| {
        rule.id.strip_prefix(id).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_uppercase()))
    };
    table::rules().filter(same).collect()
}

#[test]
fn every_row_is_implemented_or_named_as_missing() {
    let missing = not_yet();
    let mut known = BTreeSet::new();
    let mut numbers = 0;
    for row in rows() {
        let general = row.id.starts_with("G-");
        numbers += usize::from(!general);
        let same = SAME_AS.iter().find(|(id, _)| *id == row.id);
        let by_rules = !rules_of(&row.id).is_empty();
        let by_others = same.is_some_and(|(_, ids)| ids.iter().all(|id| table::rule(id).is_some()));
        let by_test = GENERAL.iter().any(|(id, _)| *id == row.id);
        let done = by_rules || by_others || by_test;
        assert_ne!(done, missing.contains_key(&row.id), "{} is done and missing, or neither", row.id);
        assert!(known.insert(row.id.clone()), "{} stands twice", row.id);
    }
    assert_eq!(numbers, 138);
    assert_eq!(known.iter().filter(|id| id.starts_with("G-")).count(), 17);
    for (id, reason) in &missing {
        assert!(known.contains(id) && !reason.is_empty(), "{id} is no row");
    }
}

/// General rules are shown by tests that exist under that name.
#[test]
fn the_tests_of_general_rules_exist() {
    for (id, place) in GENERAL {
        let (file, name) = place.split_once(' ').expect("a file and a name");
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(&format!("fn {name}()")), "{id}: {place}");
    }
}

fn modes_of(row: &Row) -> BTreeSet<Mode> {
    let by_side = |side: &str| match side {
        "primary" => vec![Mode::Primary],
        "replica" | "middle" => vec![Mode::Replica],
        // Of a third copy that is to become a middle one, the mode has changed before.
        "third" if row.id == "XF-136" => vec![Mode::Replica],
        "third" => vec![Mode::ExtendedReplica],
        "none" => vec![Mode::None],
        _ => vec![Mode::Primary, Mode::Replica],
    };
    row.side.split('|').flat_map(by_side).collect()
}

/// What is said of a replica may be said of an extended one, too.
fn may_have(row: &Row, mode: Mode) -> bool {
    let modes = modes_of(row);
    let extended = mode == Mode::ExtendedReplica && row.side != "middle" && modes.contains(&Mode::Replica);
    extended || modes.contains(&mode)
}

fn states(text: &str, mode: Mode) -> BTreeSet<S> {
    let mut all = BTreeSet::new();
    for part in text.split('|') {
        let (of, name) = part.split_once('/').unwrap_or(("", part));
        if !of.is_empty() && of != mode.label() {
            continue;
        }
        if let Some(named) = NamedState::parse(name) {
            all.insert(named.state);
        }
    }
    all
}

/// From-states: where the row names them, the rules have the same, mode by mode.
fn starts_there(row: &Row) -> Result<(), String> {
    let rules = rules_of(&row.id);
    for mode in modes_of(row) {
        let of_mode: Vec<_> = rules.iter().filter(|r| r.modes.contains(&mode)).collect();
        let have: BTreeSet<S> = of_mode.iter().flat_map(|r| r.from.iter().copied()).collect();
        let want = states(&row.from, mode);
        let any = row.from.contains("any") && want.is_empty();
        if of_mode.is_empty() || (any && have.len() < ANY) || (!any && have != want) {
            return Err(format!("{} {mode}: from {have:?}, the row has {want:?}", row.id));
        }
    }
    // What a failback given up does to the other side is a rule of its own there.
    let mut own = rules.iter().filter(|r| r.id != "FB-132P").flat_map(|r| r.modes);
    match own.find(|mode| !may_have(row, **mode)) {
        Some(mode) => Err(format!("{}: the row has no mode {mode}", row.id)),
        None => Ok(()),
    }
}

fn leads_to(rule: &Rule, text: &str) -> bool {
    let state = |name: &str| NamedState::parse(name).map(|named| named.state);
    match (text, rule.to) {
        ("same", To::Stay | To::Before) | ("refused", To::Refused(_)) => true,
        (_, To::Extends(to)) => text.strip_prefix("Extended/").is_some_and(|name| state(name) == Some(to)),
        (_, To::Mode(mode)) => text.strip_suffix("/same") == Some(mode.label()),
        // A guard on the other side fails in the job: the call is accepted, the copy stays.
        ("refused", To::Stay) => rule.guards.iter().any(|guard| matches!(guard, Guard::Peer(_))),
        (_, To::Via(first, second)) => {
            text.split_once('>').is_some_and(|(a, b)| (state(a), state(b)) == (Some(first), Some(second)))
        }
        (_, To::Become(mode, to)) => {
            text.split_once('/').is_some_and(|(m, s)| m == mode.label() && state(s) == Some(to))
        }
        (_, To::State(to)) => match text.split_once('/') {
            Some((m, s)) => rule.modes.iter().all(|mode| m == mode.label()) && state(s) == Some(to),
            None => state(text) == Some(to),
        },
        (_, To::Stay) => rule.from.iter().all(|from| state(text) == Some(*from)),
        (_, To::Before | To::Refused(_)) => false,
    }
}

/// To-states: every rule of a row leads to one of the row's outcomes, and every outcome has a rule.
fn leads_there(row: &Row) -> Result<(), String> {
    let rules: Vec<_> = rules_of(&row.id).into_iter().filter(|r| r.id != "FB-132P").collect();
    let outcomes: Vec<&str> = row.to.split('|').collect();
    for rule in &rules {
        if !outcomes.iter().any(|to| leads_to(rule, to)) {
            return Err(format!("{}: {:?} is none of {:?}", rule.id, rule.to, row.to));
        }
    }
    match outcomes.iter().find(|to| !rules.iter().any(|rule| leads_to(rule, to))) {
        Some(to) => Err(format!("{}: nothing leads to {to}", row.id)),
        None => Ok(()),
    }
}

#[test]
fn implemented_rows_start_and_lead_where_the_table_says() {
    for row in rows().iter().filter(|row| !rules_of(&row.id).is_empty()) {
        let says = starts_there(row).and_then(|()| leads_there(row));
        match (DIFFERENT.iter().find(|(id, _)| *id == row.id), says) {
            (None, Err(what)) => panic!("{what}"),
            (Some((id, _)), Ok(())) => panic!("{id} is as its row, and named as different"),
            _ => {}
        }
    }
}

/// Evidence and source are the row's; what is in no row names a public title or says that it is our reading.
#[test]
fn evidence_and_source_are_those_of_the_table() {
    let rows = rows();
    let titles: BTreeSet<String> = lines("sources.tsv").into_iter().map(|c| c[0].clone()).collect();
    for rule in table::rules() {
        let base = rule.id.trim_end_matches(|c: char| c.is_ascii_uppercase());
        match rows.iter().find(|row| row.id == rule.id || row.id == base) {
            Some(row) => {
                assert_eq!(rule.evidence.to_string(), row.evidence, "{}", rule.id);
                assert_eq!(rule.source, row.source, "{}", rule.id);
            }
            None => assert!(
                titles.contains(rule.source) || rule.source.starts_with("our reading"),
                "{}: {} is no public title",
                rule.id,
                rule.source
            ),
        }
    }
}
