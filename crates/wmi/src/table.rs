//! The tables: classes with their properties, methods with their parameters, return codes and job types, and the
//! published names of values.
//!
//! Sources: Hyper-V WMI provider (V2) reference, a page for each class and method; for the classes of collections the
//! Hyper-V cluster WMI provider reference.

mod classes;
mod methods;
mod types;
mod values;

pub use classes::CLASSES;
pub use methods::METHODS;
pub use types::{CimType, Class, Limit, Method, Parameter, Property, Role};
pub(crate) use types::{Procedure, Reading};
pub use values::{VALUES, Values};

/// The class of that name, without regard to case.
#[must_use]
pub fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().copied().find(|class| class.name.eq_ignore_ascii_case(name))
}
