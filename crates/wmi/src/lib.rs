//! The WMI face: classes, instances and methods of the Hyper-V WMI provider (v2) over the simulated world.
//!
//! The tables ([`table`]) say what exists: classes with their properties, methods with parameters, return codes and
//! job types, names of values. [`get`] and [`instances`] read the world as a client sees it, [`to_text`] gives an
//! instance as CIM-XML. [`call`] reads a method's parameters, embedded instances included, and gives the operation, or
//! what the service answers before it looks at any state. A mistake in the scenario itself (a method or a parameter
//! that does not exist) is a [`CallError`] and never a return code; [`check`] finds most of them before anything runs.
//! Transport is not part of it.

pub mod table;

mod call;
mod datetime;
mod embedded;
mod error;
mod identifier;
mod live;
mod object;
mod providers;
mod reading;
mod returned;
mod value;
mod xml;

pub use call::{Answer, Planned, call, check, find};
pub use error::{CallError, ReadError};
pub use object::{Object, find_object, get, instances, properties, read};
pub use value::Value;
pub use xml::to_text;
