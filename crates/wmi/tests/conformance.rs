//! The tables of the crate against the published ones in `tests/data/wmi-*.tsv`, in both directions. What is missing,
//! misspelt or of another type is named; what is known and not simulated stands in `wmi-not-yet.tsv` with a reason.

#[path = "../../../tests/data/compare.rs"]
mod compare;
#[path = "../../../tests/data/lines.rs"]
mod data;

use std::collections::BTreeSet;

use hvrsim_types::job::JobType;
use hvrsim_wmi::Value;
use hvrsim_wmi::table::{CLASSES, Class, METHODS, Method, Property, Role, VALUES};

use compare::{compare, rows};
use data::lines;

fn all_properties() -> impl Iterator<Item = (&'static Class, &'static Property)> {
    CLASSES.iter().flat_map(|class| class.properties.iter().map(move |p| (*class, p)))
}

#[test]
fn classes() {
    let ours = CLASSES.iter().map(|c| format!("{} | {} | {}", c.name, c.base, c.namespace)).collect();
    compare("wmi-classes.tsv", &rows("wmi-classes.tsv", &[0, 1, 2]), &ours);
}

#[test]
fn properties() {
    let qualifiers = |p: &Property| {
        let key = p.key.then(|| "key".to_owned());
        let limit = Some(p.limit.to_string()).filter(|limit| !limit.is_empty());
        key.into_iter().chain(limit).collect::<Vec<_>>().join("; ")
    };
    let row = |(class, p): (&Class, &Property)| {
        let array = if p.array { "[]" } else { "" };
        format!("{} | {} | {} | {array} | {}", class.name, p.name, p.ty, qualifiers(p))
    };
    let published = rows("wmi-properties.tsv", &[0, 1, 2, 3, 4]);
    // Who may write a property, and that it is old, decide nothing here.
    let published = published.iter().map(|row| row.replace("deprecated", "").replace("write", "")).collect();
    compare("wmi-properties.tsv", &published, &all_properties().map(row).collect());
}

/// A value as the table writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "Null".to_owned(),
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Integer(n) => n.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Map(_) => "an instance".to_owned(),
    }
}

#[test]
fn constant_values_are_the_documented_ones() {
    for line in lines("wmi-properties.tsv") {
        let (name, documented) = (format!("{}.{}", line[0], line[1]), line[5].as_str());
        let (class, property) = all_properties()
            .find(|(class, p)| class.name == line[0] && p.name == line[1])
            .unwrap_or_else(|| panic!("{name} is missing"));
        let (default, wanted) = match documented.strip_prefix("default ") {
            Some(value) => (true, value),
            None => (false, documented),
        };
        match property.constant() {
            Some(_) if default && !class.has_instances() => {}
            Some(value) => assert!(wanted.is_empty() || shown(&value) == wanted, "{name} is always {wanted}"),
            None => assert!(default || wanted.is_empty(), "{name} is always {wanted}"),
        }
    }
}

/// What the documentation lets vary and the simulator does not: named with its reason, and only that.
#[test]
fn what_is_not_simulated_is_named() {
    let published = lines("wmi-properties.tsv");
    let varies = |class: &str, name: &str| {
        let row = published.iter().find(|line| line[0] == class && line[1] == name);
        row.is_some_and(|line| line[5].is_empty() || line[5].starts_with("default "))
    };
    let classes = CLASSES.iter().filter(|c| !c.has_instances()).map(|c| c.name.to_owned());
    let constant = all_properties()
        .filter(|(class, p)| class.has_instances() && p.constant().is_some() && varies(class.name, p.name));
    let constant = constant.map(|(class, p)| format!("{}.{}", class.name, p.name));
    let methods = METHODS.iter().filter(|m| !m.is_simulated()).map(|m| format!("{}()", m.full_name()));
    let jobs =
        JobType::ALL.iter().filter(|job| !METHODS.iter().any(|m| m.is_simulated() && m.jobs.contains(job)));
    let jobs = jobs.map(|job| format!("JobType {}", job.number()));
    let ours = classes.chain(constant).chain(methods).chain(jobs).collect();
    compare("wmi-not-yet.tsv", &rows("wmi-not-yet.tsv", &[0]), &ours);
    for line in lines("wmi-not-yet.tsv") {
        assert!(line.len() == 2 && line[1].len() > 10, "{} needs a reason", line[0]);
    }
}

#[test]
fn methods() {
    let joined = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let row = |m: &Method| {
        let returns = joined(m.returns.iter().map(|code| code.0).collect());
        let mut jobs: Vec<u32> = m.jobs.iter().map(|job| u32::from(job.number())).collect();
        jobs.sort_unstable();
        format!("{} | {} | {returns} | {}", m.class, m.name, joined(jobs))
    };
    compare("wmi-methods.tsv", &rows("wmi-methods.tsv", &[0, 1, 3, 4]), &METHODS.iter().map(row).collect());
}

#[test]
fn parameters() {
    use hvrsim_wmi::table::CimType;
    let mut ours = BTreeSet::new();
    for method in METHODS {
        let own = method.parameters.iter().filter(|p| p.role != Role::This);
        for (order, p) in own.enumerate() {
            let direction = if p.role == Role::Out { "out" } else { "in" };
            let array = if p.array { "[]" } else { "" };
            let embedded = if let CimType::Embedded(class) = p.ty { class } else { "" };
            ours.insert(format!(
                "{} | {} | {order} | {} | {direction} | {} | {array} | {embedded}",
                method.class, method.name, p.name, p.ty
            ));
        }
    }
    compare("wmi-parameters.tsv", &rows("wmi-parameters.tsv", &[0, 1, 2, 3, 4, 5, 6, 7]), &ours);
    for line in lines("wmi-parameters.tsv") {
        let found = METHODS.iter().find(|m| m.class == line[0] && m.name == line[1]);
        let role = found.and_then(|m| m.parameter(&line[3])).map(|p| p.role);
        let wanted = match (line[4].as_str(), line[8].as_str()) {
            ("out", _) => role == Some(Role::Out),
            (_, "required") => matches!(role, Some(Role::Required | Role::Target)),
            _ => role == Some(Role::Optional),
        };
        assert!(wanted, "{}.{} {} is {role:?}", line[0], line[1], line[3]);
    }
}

#[test]
fn values() {
    let row = |name: &str, (value, label): (String, &str)| format!("{name} | {value} | {label}");
    let ours = VALUES.iter().flat_map(|v| v.all().into_iter().map(|one| row(v.name, one))).collect();
    compare("wmi-values.tsv", &rows("wmi-values.tsv", &[0, 1, 2]), &ours);
}

#[test]
fn job_types() {
    let ours = JobType::ALL.iter().map(|job| format!("{} | {}", job.number(), job.label())).collect();
    compare("wmi-jobs.tsv", &rows("wmi-jobs.tsv", &[0, 1]), &ours);
}

#[test]
fn every_row_names_a_public_source() {
    let titles: Vec<String> = lines("sources.tsv").into_iter().map(|c| c[0].clone()).collect();
    let tables = ["classes", "properties", "methods", "parameters", "values", "jobs"];
    for table in tables {
        for line in lines(&format!("wmi-{table}.tsv")) {
            let source = line.last().expect("a column");
            let public = source == "client behaviour"
                || titles.iter().any(|title| source.split(": ").next() == Some(title.as_str()));
            assert!(public, "wmi-{table}.tsv: {source} is no public title");
        }
    }
}
