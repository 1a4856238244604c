//! The simulated world: it carries out what the life cycle asks for.

pub mod look;
pub mod store;
