//! JUnit XML: a suite a file, a case a run, for the services that show test results.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The file.
    pub suite: String,
    /// What tells it apart from the file's other runs.
    pub name: String,
    /// Real time.
    pub took: Duration,
    /// How it came out.
    pub outcome: Outcome,
}

/// How a run came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As written.
    Green,
    /// Otherwise; what was told.
    Red(String),
    /// It could not be carried out; what was told.
    Error(String),
    /// Not begun, as an earlier one was not green.
    Skipped,
}

/// The first thing that went wrong; in front of it may stand which run it was.
fn message(text: &str) -> &str {
    let wrong = text.lines().find(|line| line.contains("error: "));
    wrong.or_else(|| text.lines().find(|line| !line.is_empty())).unwrap_or("no reason was told")
}

/// The document.
///
/// # Errors
/// The text cannot be written, which does not happen with what the program says.
pub fn document(cases: &[Case]) -> Result<String, String> {
    let mut report = Report::new("hvrsim");
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in cases {
        if suites.last().is_none_or(|suite| suite.name.as_str() != case.suite) {
            suites.push(TestSuite::new(case.suite.as_str()));
        }
        let failed = |kind, text: &str| {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(match kind {
                NonSuccessKind::Failure => "not as written",
                NonSuccessKind::Error => "could not be carried out",
            });
            status.set_message(message(text));
            status.set_description(text);
            status
        };
        let status = match &case.outcome {
            Outcome::Green => TestCaseStatus::success(),
            Outcome::Red(text) => failed(NonSuccessKind::Failure, text),
            Outcome::Error(text) => failed(NonSuccessKind::Error, text),
            Outcome::Skipped => TestCaseStatus::skipped(),
        };
        let mut one = TestCase::new(case.name.as_str(), status);
        one.set_classname(case.suite.as_str());
        one.set_time(case.took);
        if let Some(suite) = suites.last_mut() {
            suite.add_test_case(one);
        }
    }
    for suite in &mut suites {
        suite.set_time(suite.test_cases.iter().filter_map(|case| case.time).sum());
    }
    report.set_time(cases.iter().map(|case| case.took).sum());
    report.add_test_suites(suites);
    report.to_string().map_err(|error| error.to_string())
}
