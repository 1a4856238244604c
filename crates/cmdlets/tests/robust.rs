//! Whatever is written, the answer is a call or a message that points into the line.

use std::ops::Range;

use hvrsim_cmdlets::table::CMDLETS;
use hvrsim_cmdlets::{bind, parse};
use proptest::prelude::*;

fn points_into(line: &str, span: &Range<usize>) -> bool {
    span.start <= span.end && line.get(span.clone()).is_some()
}

fn answered(line: &str) -> Result<(), TestCaseError> {
    match parse(line) {
        Err(error) => {
            prop_assert!(points_into(line, &error.span), "{line:?} {error:?}");
        }
        Ok(command) => {
            prop_assert!(points_into(line, &command.span));
            match bind(&command) {
                Err(error) => {
                    prop_assert!(error.span.is_none_or(|span| points_into(line, &span)), "{line:?}");
                }
                Ok(call) => {
                    let again = bind(&parse(&call.to_string()).expect("its own spelling")).expect("a call");
                    prop_assert_eq!(call.to_string(), again.to_string());
                    prop_assert_eq!(call.set(), again.set());
                }
            }
        }
    }
    Ok(())
}

/// A cmdlet with parameters of its own, some cut short, and odd values.
fn nearly_right() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(String::new()),
        "[a-z]{1,6}[0-9*]?",
        "'[a-z ]{1,6}'",
        "-?[0-9]{1,3}",
        Just("$true".to_owned()),
        Just("18:30".to_owned()),
        Just("HV2/web01@-1".to_owned()),
        "[a-z]{1,3},[a-z]{1,3}",
    ];
    let argument = (any::<prop::sample::Index>(), 1..30usize, value);
    (any::<prop::sample::Index>(), prop::collection::vec(argument, 0..5)).prop_map(|(cmdlet, arguments)| {
        let cmdlet = cmdlet.get(CMDLETS);
        let parameters: Vec<_> = cmdlet.parameters().collect();
        arguments.iter().fold(cmdlet.name.to_owned(), |line, (which, length, value)| {
            let name = which.get(&parameters).name;
            let name = name.get(..*length).unwrap_or(name);
            format!("{line} -{name} {value}")
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(line in "\\PC{0,60}") {
        answered(&line)?;
    }

    #[test]
    fn any_arguments(rest in "[-a-zA-Z0-9 ,:'\"$@#.*–“”é]{0,50}") {
        answered(&format!("Start-VMFailover {rest}"))?;
    }

    #[test]
    fn calls_that_are_nearly_right(line in nearly_right()) {
        answered(&line)?;
    }
}
