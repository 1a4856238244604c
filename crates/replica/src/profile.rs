//! What a scenario may switch: generations, and readings where two are plausible.

use serde::{Deserialize, Serialize};

/// The generation of the hosts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Generation {
    /// Server 2012 R2.
    Server2012R2,
    /// Server 2016 and later.
    #[default]
    Server2016,
}

/// How a scenario wants what is not documented to be read.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The generation.
    pub generation: Generation,
    /// A failback writes into a stage, so that a cancel returns to the state before.
    pub failback_staged: bool,
    /// Initial replication after an unplanned reverse sends everything instead of comparing.
    pub initial_full: bool,
    /// The running new primary keeps recovery points to fail back to.
    pub failback_points: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            generation: Generation::default(),
            failback_staged: false,
            initial_full: false,
            failback_points: true,
        }
    }
}
