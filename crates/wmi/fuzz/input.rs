//! What the fuzz target and the test that replays its corpus share.

#[allow(dead_code, reason = "tests use more of it")]
#[path = "../../cmdlets/tests/fake/mod.rs"]
mod fake;

use std::collections::BTreeMap;

use fake::{Fake, HV1, HV2};
use hvrsim_types::code::ReturnCode;
use hvrsim_wmi::table::{CimType, METHODS, Role};
use hvrsim_wmi::{Planned, Value, call, check, find};

/// A method, by its number in the table or by its name, and parameters as JSON. Every other input is taken as the text
/// of an embedded instance, for each parameter of each method that takes one.
pub fn methods(input: &[u8]) {
    let world = Fake::new();
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(rest);
    let method = &METHODS[usize::from(*first) % METHODS.len()];
    if let Ok(parameters) = serde_json::from_str::<BTreeMap<String, Value>>(&text) {
        ask(&method.full_name(), &parameters, &world);
        return;
    }
    if let Some((name, json)) = text.split_once(' ') {
        let _ = find(name);
        if let Ok(parameters) = serde_json::from_str::<BTreeMap<String, Value>>(json) {
            ask(name, &parameters, &world);
            return;
        }
    }
    let ins = method.parameters.iter().filter(|p| p.role != Role::Out);
    let value =
        |target: bool| Value::Text(if target { "web01".to_owned() } else { text.clone().into_owned() });
    let parameters: BTreeMap<String, Value> = ins
        .map(|p| {
            let one = value(matches!(p.role, Role::This | Role::Target));
            (p.name.to_owned(), if p.array { Value::List(vec![one]) } else { one })
        })
        .collect();
    ask(&method.full_name(), &parameters, &world);
    // The same text where only the embedded instances are texts.
    let right: BTreeMap<String, Value> = parameters
        .into_iter()
        .map(|(name, value)| {
            let ty = method.parameter(&name).map(|p| p.ty);
            let number = ty.and_then(CimType::bounds).map(|(low, _)| Value::Integer(low + 1));
            let other = matches!(ty, Some(CimType::Boolean)).then_some(Value::Boolean(true));
            (name, number.or(other).unwrap_or(value))
        })
        .collect();
    ask(&method.full_name(), &right, &world);
}

/// Whatever is asked, the answer is an operation, a message, or a code that is documented for the method.
fn ask(name: &str, parameters: &BTreeMap<String, Value>, world: &Fake) {
    let checked = check(name, parameters);
    for host in [HV1, HV2] {
        match call(name, parameters, host, world) {
            Ok(Planned::Answer(answer)) => {
                let method = find(name).expect("it was called");
                assert!(method.returns.contains(&answer.code), "{name} never returns {}", answer.code);
                assert!(answer.code == ReturnCode::COMPLETED || !answer.why.is_empty(), "{name} says why");
                let known = |out: &str| method.parameter(out).is_some_and(|p| p.role == Role::Out);
                assert!(answer.out.iter().all(|(out, _)| known(out)), "{name} returns what it declares");
                assert!(checked.is_ok());
            }
            Ok(Planned::Operate { on, .. }) => assert!(on.host == host && checked.is_ok()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
