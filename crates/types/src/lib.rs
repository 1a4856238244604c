//! The vocabulary of the simulator: ids, virtual time, sizes and rates, and the documented
//! enumerations of Hyper-V Replica with their numbers. It knows no behaviour.
//!
//! * [`canary`]: faults planted to check the checks
//! * [`id`]: hosts, virtual machines, jobs, recovery points
//! * [`time`]: virtual instants and spans, and the calendar that dates them
//! * [`size`]: bytes and rates
//! * [`disks`]: sets of a machine's disks
//! * [`state`]: replication states, modes, health, power, with both spellings
//! * [`code`]: return codes of the WMI methods
//! * [`vm_map`]: a map by machine
//! * [`job`]: job types and states
//! * [`network`]: network adapters

pub mod canary;
pub mod code;
pub mod disks;
pub mod id;
pub mod job;
pub mod near;
pub mod network;
pub mod size;
pub mod state;
pub mod time;
pub mod vm_map;
