//! What the checks ask of those who know WMI methods, so that a method or parameter that does not exist is found
//! without running anything.

use crate::model::value::{Method, Parameter};
use crate::source::At;

/// Something wrong with a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallProblem {
    /// The name of the parameter that is wrong; `None` for the method itself.
    pub parameter: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Knows which methods exist.
pub trait Methods {
    /// What is wrong with an `invoke`.
    fn check(&self, method: &Method, with: &[At<Parameter>]) -> Vec<CallProblem>;
}
