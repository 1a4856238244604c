//! The simulated world: hosts with power, machines, guests that write, links that share their bandwidth,
//! a virtual clock and an event queue. It carries out what the life cycle (`hvrsim-replica`) asks for, on
//! one of two stores of disks, and writes everything down in one trace.
//!
//! * [`sim`]: the simulator; [`world`]: its state
//! * [`store`]: disks, as numbers of writes or as real images
//! * [`ledger`]: which content every copy has, and what is lost
//! * [`link`], [`guest`]: links and guests
//! * [`cluster`]: failover clusters and their brokers
//! * [`incident`]: what breaks
//! * `network`: network adapters at a failover
//! * [`trace`]: records and the digest
//! * [`paths`]: how the files of disks are called
//! * [`pending`]: what is under way, and letting any of it come first
//! * [`look`]: what clients see; [`watch`]: what records tell of protection
//! * [`findings`]: what is legal and wrong
//! * [`windows_log`]: the entries of the Windows event log

pub mod cluster;
#[cfg(feature = "coverage")]
mod coverage;
mod disks;
mod effect;
pub mod findings;
pub mod guest;
pub mod incident;
pub mod ledger;
pub mod link;
pub mod look;
mod looking;
mod media;
mod network;
pub mod paths;
pub mod pending;
pub mod sim;
pub mod store;
mod test;
pub mod trace;
pub mod watch;
pub mod windows_log;
pub mod world;

pub use look::Look;
pub use sim::Sim;
