//! What the fuzz target and the test that replays its corpus share.

#[allow(dead_code, reason = "tests use more of it")]
#[path = "../tests/fake/mod.rs"]
mod fake;

use fake::Fake;
use hvrsim_cmdlets::{Action, bind, parse, plan, returned};

/// One line, on one of three hosts or on none: whatever is written, the answer is a plan or a message that points into
/// the line.
pub fn lines(input: &[u8]) {
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let line = String::from_utf8_lossy(rest);
    let world = Fake::new();
    let host = fake::HOSTS.get(usize::from(*first) % (fake::HOSTS.len() + 1)).copied();
    let inside = |span: &std::ops::Range<usize>| span.start <= span.end && line.get(span.clone()).is_some();
    let command = match parse(&line) {
        Ok(command) => command,
        Err(error) => {
            assert!(inside(&error.span));
            return;
        }
    };
    let planned = bind(&command).and_then(|call| {
        let again = bind(&parse(&call.to_string()).expect("its own spelling")).expect("a call");
        assert_eq!((call.to_string(), call.set()), (again.to_string(), again.set()));
        plan(&call, host, &world)
    });
    match planned {
        Ok(actions) => {
            for action in actions {
                if let Action::Return { on, class } = action {
                    let _ = returned(class, on, &world);
                }
            }
        }
        Err(error) => {
            assert!(!error.id.is_empty() && !error.message.is_empty());
            assert!(error.span.as_ref().is_none_or(inside), "{line:?} {error:?}");
        }
    }
}
