//! Return codes of the replication methods (Hyper-V WMI provider v2, `Msvm_ReplicationService`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A `uint32` return value of a WMI method.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ReturnCode(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $label:literal;)*) => {
        impl ReturnCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The published label, or `None` for a number that is not published.
            #[must_use]
            pub const fn label(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($label),)*
                    _ => None,
                }
            }

            /// Every published code, in numerical order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    /// Done synchronously.
    COMPLETED = 0, "Completed with No Error";
    /// A job was started.
    JOB_STARTED = 4096, "Method Parameters Checked - Job Started";
    /// Any failure without a code of its own.
    FAILED = 32768, "Failed";
    /// The caller is not authorized.
    ACCESS_DENIED = 32769, "Access Denied";
    /// The provider lacks the capability.
    NOT_SUPPORTED = 32770, "Not Supported";
    /// The status is unknown.
    UNKNOWN = 32771, "Status is unknown";
    /// A wait limit passed.
    TIMEOUT = 32772, "Timeout";
    /// A parameter is missing or malformed.
    INVALID_PARAMETER = 32773, "Invalid parameter";
    /// Another operation holds the virtual machine.
    IN_USE = 32774, "System is in use";
    /// The mode or state forbids the operation.
    INVALID_STATE = 32775, "Invalid state for this operation";
    /// An embedded instance could not be read.
    INCORRECT_DATA_TYPE = 32776, "Incorrect data type";
    /// The other side did not answer, or the service is stopping.
    NOT_AVAILABLE = 32777, "System is not available";
    /// No memory.
    OUT_OF_MEMORY = 32778, "Out of memory";
    /// A disk file is missing.
    FILE_NOT_FOUND = 32779, "File not found";
}

impl ReturnCode {
    /// Whether the call was accepted (0 or 4096).
    #[must_use]
    pub const fn accepted(self) -> bool {
        self.0 == 0 || self.0 == 4096
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label() {
            Some(label) => write!(f, "{} ({label})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
