//! What is wrong with a line, where, and what would be right.

use std::ops::Range;

use thiserror::Error;

/// A line that PowerShell, or the simulator, cannot split into one cmdlet and its arguments.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// The bytes of the line that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A cmdlet call that PowerShell's binder or the cmdlet itself refuses before it asks anything of a host.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct BindError {
    /// `FullyQualifiedErrorId` as PowerShell shows it, for instance
    /// `AmbiguousParameterSet,Microsoft.HyperV.PowerShell.Commands.StartVMFailoverCommand`. Ids that begin with
    /// `NotSimulated` are the simulator's own: the real module could do it.
    pub id: String,
    /// The bytes of the line that are wrong, if it is one place.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl BindError {
    pub(crate) fn new(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self { id: id.into(), span: None, message: message.into(), help: None }
    }

    #[must_use]
    pub(crate) fn at(self, span: Range<usize>) -> Self {
        Self { span: Some(span), ..self }
    }

    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// "did you mean", when something is near.
    #[must_use]
    pub(crate) fn near(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// Whether the real module could do it and this version of the simulator cannot.
    #[must_use]
    pub fn is_not_simulated(&self) -> bool {
        self.id.starts_with("NotSimulated")
    }
}
