//! What is wrong with a call itself, as opposed to what the service answers.

use hvrsim_types::code::ReturnCode;
use thiserror::Error;

/// A call that no client could make.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError {
    /// No class has such a method.
    #[error("{message}")]
    Unknown {
        /// What is wrong.
        message: String,
        /// The nearest right name.
        help: Option<String>,
    },
    /// A parameter that the method does not have, one that is missing, or a value that its type cannot hold.
    #[error("{message}")]
    Parameter {
        /// The parameter as written, or the missing one.
        parameter: String,
        /// The property of its embedded instance, if that is what is wrong.
        property: Option<String>,
        /// What is wrong.
        message: String,
        /// The nearest right name, or what to write.
        help: Option<String>,
    },
}

impl CallError {
    pub(crate) fn parameter(parameter: &str, message: impl Into<String>) -> Self {
        Self::Parameter {
            parameter: parameter.to_owned(),
            property: None,
            message: message.into(),
            help: None,
        }
    }

    /// Says what to write instead.
    #[must_use]
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        let (Self::Unknown { help, .. } | Self::Parameter { help, .. }) = &mut self;
        *help = Some(text.into());
        self
    }

    /// "did you mean", when something is near.
    #[must_use]
    pub(crate) fn near(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }
}

/// A class, an instance or a property that does not exist.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// No such class.
    #[error("there is no class `{name}`{}", hint(.near.as_deref()))]
    Class {
        /// As written.
        name: String,
        /// The nearest right name.
        near: Option<String>,
    },
    /// The host has no such instance.
    #[error("there is no instance of {class} with `{name}`")]
    Instance {
        /// Its class.
        class: String,
        /// As written.
        name: String,
    },
    /// The class has no such property.
    #[error("{class} has no property `{name}`{}", hint(.near.as_deref()))]
    Property {
        /// The class.
        class: String,
        /// As written.
        name: String,
        /// The nearest right name.
        near: Option<String>,
    },
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Why reading the parameters ends before there is an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// The service answers this.
    Answer(ReturnCode, String),
    /// The scenario is wrong.
    Wrong(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Wrong(error)
    }
}

impl Stop {
    /// 32773.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Answer(ReturnCode::INVALID_PARAMETER, why.into())
    }

    /// 32776.
    pub(crate) fn unreadable(why: impl Into<String>) -> Self {
        Self::Answer(ReturnCode::INCORRECT_DATA_TYPE, why.into())
    }

    /// 32770: the real service can do it, the model cannot.
    pub(crate) fn not_simulated(what: impl Into<String>) -> Self {
        Self::Answer(ReturnCode::NOT_SUPPORTED, format!("{} is not simulated", what.into()))
    }
}
