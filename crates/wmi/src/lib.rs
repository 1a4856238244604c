//! The WMI face: what a method of the Hyper-V WMI provider (v2), called by name, asks of the simulated world.
//!
//! The table of methods ([`table`]) says what exists, with parameters, return codes and job types. [`call`] reads the
//! parameters, embedded instances included, and gives the operation, or the code that the service answers before
//! it looks at any state. A mistake in the scenario itself (a method or a parameter that does not exist) is a
//! [`CallError`] and never a return code; [`check`] finds most of them before anything runs. Transport is not part of it.

pub mod table;

mod call;
mod datetime;
mod embedded;
mod error;
mod identifier;
mod value;

pub use call::{Planned, call, check, find};
pub use error::CallError;
pub use value::Value;
